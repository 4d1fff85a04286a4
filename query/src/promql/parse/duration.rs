//! Lengths of time: literals, and expressions of them.

use super::super::ast::{Operator, Span};
use super::{Parsed, Parser, Token};

impl Parser {
    /// A duration after `offset`, where operators need parentheses.
    pub(super) fn offset_span(&mut self) -> Parsed<Span> {
        if self.take("-") {
            return Ok(match self.span_operand()? {
                Span::Seconds(seconds) => Span::Seconds(-seconds),
                span => Span::Negate(Box::new(span)),
            });
        }
        self.take("+");
        self.span_operand()
    }

    /// An expression of durations.
    pub(super) fn span(&mut self, tightness: u8) -> Parsed<Span> {
        let depth = self.depth;
        self.deeper(1)?;
        let mut left = self.span_unary()?;
        loop {
            let operator = self.operator().filter(|o| o.precedence() >= tightness.max(4));
            let Some(operator) = operator.filter(|o| *o != Operator::Atan2) else { break };
            self.deeper(1)?;
            self.advance();
            let next = operator.precedence() + u8::from(operator != Operator::Power);
            let right = self.span(next)?;
            left = Span::Binary(operator, Box::new(left), Box::new(right));
        }
        self.depth = depth;
        Ok(left)
    }

    fn span_unary(&mut self) -> Parsed<Span> {
        if self.take("-") {
            return Ok(Span::Negate(Box::new(self.span(Operator::Power.precedence())?)));
        }
        self.take("+");
        self.span_operand()
    }

    fn span_operand(&mut self) -> Parsed<Span> {
        let wanted = "a duration such as 5m";
        let span = match self.peek().clone() {
            Token::Number(seconds) | Token::Duration(seconds) => {
                self.advance();
                return Ok(Span::Seconds(seconds));
            }
            Token::Sign("(") => {
                self.advance();
                let span = self.span(0)?;
                self.expect(")", "to close the parenthesis")?;
                return Ok(span);
            }
            Token::Name(name) => name.to_ascii_lowercase(),
            _ => return Err(self.unexpected(wanted)),
        };
        if !matches!(span.as_str(), "step" | "range" | "min" | "max") {
            return Err(self.unexpected(wanted));
        }
        self.advance();
        self.expect("(", "after the name of a function")?;
        let result = match span.as_str() {
            "step" => Span::Step,
            "range" => Span::Range,
            name => {
                let left = Box::new(self.span(0)?);
                self.expect(",", "between two durations")?;
                let right = Box::new(self.span(0)?);
                if name == "min" { Span::Least(left, right) } else { Span::Most(left, right) }
            }
        };
        self.expect(")", "after the arguments")?;
        Ok(result)
    }
}
