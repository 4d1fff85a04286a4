//! What stands between operators: literals, selectors, calls, and what may follow them.

use super::super::ast::{Aggregate, Aggregator, At, Expr, Node, Shift, Span, Type};
use super::super::functions::Function;
use super::{Failure, Parsed, Parser, Token, check, number_value};

impl Parser {
    /// An operand with its ranges, `offset` and `@`.
    pub(super) fn postfixed(&mut self) -> Parsed<Node> {
        let mut node = self.operand()?;
        loop {
            let offset = self.offset();
            if self.take("[") {
                self.deeper(1)?;
                node = self.range(node, offset)?;
            } else if self.take_keyword("offset") {
                let span = self.offset_span()?;
                let shift = shift_of(&mut node, offset, "offset")?;
                if shift.offset.replace(span).is_some() {
                    return Err(Failure::new(offset, "offset may not be set multiple times"));
                }
            } else if self.take("@") {
                let at = self.at_time()?;
                let shift = shift_of(&mut node, offset, "@")?;
                if shift.at.replace(at).is_some() {
                    return Err(Failure::new(offset, "@ may not be set multiple times"));
                }
            } else if self.is_keyword("anchored") || self.is_keyword("smoothed") {
                let problem = "the modifiers anchored and smoothed are not supported";
                return Err(Failure::new(offset, problem));
            } else {
                return Ok(node);
            }
        }
    }

    fn operand(&mut self) -> Parsed<Node> {
        let offset = self.offset();
        let node = |expr| Node { offset, expr };
        match self.peek().clone() {
            Token::Number(value) | Token::Duration(value) => {
                self.advance();
                Ok(node(Expr::Number(value)))
            }
            Token::Text(text) => {
                self.advance();
                Ok(node(Expr::Text(text)))
            }
            Token::Sign("(") => {
                self.advance();
                let inner = self.expression(0)?;
                self.expect(")", "to close the parenthesis")?;
                Ok(node(Expr::Paren(Box::new(inner))))
            }
            Token::Sign("{") => Ok(node(Expr::Selector(self.selector(None)?))),
            Token::Name(name) => self.named(&name, offset),
            _ => Err(self.unexpected("an expression")),
        }
    }

    /// An aggregation, a call, a number that is a word, or a selector.
    fn named(&mut self, name: &str, offset: usize) -> Parsed<Node> {
        let next = self.words.get(self.at + 1).map(|word| &word.token);
        let is_call = next == Some(&Token::Sign("("));
        let is_modifier = matches!(next, Some(Token::Name(word))
            if word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without"));
        let expr = match Aggregator::named(name) {
            Some(aggregator) if is_call || is_modifier => {
                self.advance();
                self.aggregate(aggregator, offset)?
            }
            _ if is_call => {
                self.advance();
                self.call(name, offset)?
            }
            _ => match number_value(name) {
                Some(value) => {
                    self.advance();
                    Expr::Number(value)
                }
                None => {
                    self.advance();
                    Expr::Selector(self.selector(Some(name))?)
                }
            },
        };
        Ok(Node { offset, expr })
    }

    fn aggregate(&mut self, aggregator: Aggregator, offset: usize) -> Parsed<Expr> {
        let mut grouping = self.grouping()?;
        let mut arguments = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let wanted = 1 + usize::from(aggregator.parameter().is_some());
        if arguments.len() != wanted {
            let problem = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, \
                 got {}",
                arguments.len()
            );
            return Err(Failure::new(offset, problem));
        }
        let (Some(inner), parameter) = (arguments.pop(), arguments.pop()) else {
            return Err(self.unexpected("an argument"));
        };
        check::expect(&inner, Type::Vector, "aggregation expression")?;
        if let (Some(parameter), Some(kind)) = (&parameter, aggregator.parameter()) {
            check::expect(parameter, kind, "aggregation parameter")?;
        }
        let (without, labels) = grouping.unwrap_or_default();
        let aggregate = Aggregate { aggregator, inner, parameter, without, labels };
        Ok(Expr::Aggregate(Box::new(aggregate)))
    }

    fn grouping(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        if self.take_keyword("by") {
            return Ok(Some((false, self.label_list("after by")?)));
        }
        if self.take_keyword("without") {
            return Ok(Some((true, self.label_list("after without")?)));
        }
        Ok(None)
    }

    fn arguments(&mut self) -> Parsed<Vec<Node>> {
        self.expect("(", "before the arguments")?;
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if self.take(")") {
                return Ok(arguments);
            }
            if !self.take(",") {
                return Err(self.unexpected("\",\" or \")\" in the arguments"));
            }
            if self.peek() == &Token::Sign(")") {
                let problem = "trailing commas not allowed in function call args";
                return Err(Failure::new(self.offset(), problem));
            }
        }
    }

    fn call(&mut self, name: &str, offset: usize) -> Parsed<Expr> {
        let Some(function) = Function::named(name) else {
            return Err(Failure::new(offset, format!("unknown function with name {name:?}")));
        };
        let arguments = self.arguments()?;
        check::call(function, &arguments, offset)?;
        if let (Function::Info, Some(about)) = (function, arguments.get(1)) {
            // It only says which labels are added to series that the first argument chooses.
            let place = about.bare().offset;
            self.boundless.retain(|offset| *offset != place);
        }
        Ok(Expr::Call { function, arguments })
    }

    /// `[5m]` or `[1h:5m]` after an expression; the bracket is read.
    fn range(&mut self, node: Node, offset: usize) -> Parsed<Node> {
        let range = self.span(0)?;
        if self.take(":") {
            let step = match self.peek() {
                Token::Sign("]") => None,
                _ => Some(self.span(0)?),
            };
            self.expect("]", "to close the subquery")?;
            check::subquery(&node, offset)?;
            let start = node.offset;
            let shift = Shift::default();
            let expr = Expr::Subquery { inner: Box::new(node), range, step, shift };
            return Ok(Node { offset: start, expr });
        }
        self.expect("]", "to close the range")?;
        match node.expr {
            Expr::Selector(selector)
                if selector.shift.at.is_some() || selector.shift.offset.is_some() =>
            {
                Err(Failure::new(offset, "no offset or @ modifiers allowed before range"))
            }
            Expr::Selector(selector) => {
                if let Span::Seconds(seconds) = range
                    && seconds <= 0.0
                {
                    return Err(Failure::new(offset, "duration must be greater than 0"));
                }
                Ok(Node { offset: node.offset, expr: Expr::Range { selector, range } })
            }
            _ => Err(Failure::new(offset, "ranges only allowed for vector selectors")),
        }
    }

    /// The time after `@`.
    fn at_time(&mut self) -> Parsed<At> {
        let offset = self.offset();
        for (keyword, at) in [("start", At::Start), ("end", At::End)] {
            if self.take_keyword(keyword) {
                self.expect("(", "after start or end")?;
                self.expect(")", "after start or end")?;
                return Ok(at);
            }
        }
        let seconds = self.signed_number("a timestamp in seconds, start() or end()")?;
        let nanoseconds = (seconds * 1e9).round();
        if nanoseconds.is_nan() || nanoseconds.abs() >= i64::MAX as f64 {
            let problem = format!("timestamp out of bounds for @ modifier: {seconds}");
            return Err(Failure::new(offset, problem));
        }
        // Whole milliseconds, so that decimals such as 0.1 are what they look like.
        let milliseconds = (seconds * 1e3).round();
        Ok(At::Nanoseconds((milliseconds as i64).saturating_mul(1_000_000)))
    }
}

/// Where `offset` and `@` of a node are kept.
fn shift_of<'a>(node: &'a mut Node, offset: usize, what: &str) -> Parsed<&'a mut Shift> {
    match &mut node.expr {
        Expr::Selector(selector) | Expr::Range { selector, .. } => Ok(&mut selector.shift),
        Expr::Subquery { shift, .. } => Ok(shift),
        _ => {
            let problem = format!(
                "{what} modifier must be preceded by an instant vector selector or range vector \
                 selector or a subquery"
            );
            Err(Failure::new(offset, problem))
        }
    }
}
