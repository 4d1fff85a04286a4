//! From text to a tree; the grammar of Prometheus 3, by precedence climbing.
//!
//! Every failure has a place. The depth of the tree is bounded, so that nothing that walks it can
//! run out of stack.

mod check;
mod duration;
mod lexer;
mod matching;
mod operand;
mod selector;

use super::ast::{Binary, Expr, Node, Operator, Type};
use super::error::PromqlError;
pub(crate) use lexer::{Token, Word, duration_seconds, number_value};

/// The deepest tree that is accepted.
pub(crate) const MAX_DEPTH: usize = 200;

/// The longest query that is accepted, in bytes.
pub(crate) const MAX_LENGTH: usize = 1 << 20;

/// What is wrong at a byte of the query.
#[derive(Debug)]
pub(crate) struct Failure {
    offset: usize,
    problem: String,
}

impl Failure {
    pub(crate) fn new(offset: usize, problem: impl Into<String>) -> Self {
        Self { offset, problem: problem.into() }
    }

    /// With the line and the column of the place.
    fn locate(self, text: &str) -> PromqlError {
        let before = text.get(..self.offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        PromqlError::Parse {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            offset: self.offset,
            problem: self.problem,
        }
    }
}

type Parsed<T> = Result<T, Failure>;

/// The tree of a query.
pub(crate) fn parse(text: &str) -> Result<Node, PromqlError> {
    query(text).map_err(|failure| failure.locate(text))
}

/// The matchers of a lone selector such as `up{job="x"}`.
pub(crate) fn parse_selector(text: &str) -> Result<Vec<super::Matcher>, PromqlError> {
    let node = parse(text)?;
    match node.expr {
        Expr::Selector(selector)
            if selector.shift.at.is_none() && selector.shift.offset.is_none() =>
        {
            Ok(selector.matchers)
        }
        _ => Err(Failure::new(0, "expected a selector such as up{job=\"x\"}").locate(text)),
    }
}

fn query(text: &str) -> Parsed<Node> {
    if text.len() > MAX_LENGTH {
        return Err(Failure::new(0, format!("the query is longer than {MAX_LENGTH} bytes")));
    }
    let mut parser = Parser { words: lexer::words(text)?, at: 0, depth: 0, boundless: Vec::new() };
    if parser.peek() == &Token::End {
        return Err(Failure::new(0, "no expression found in input"));
    }
    let node = parser.expression(0)?;
    if parser.peek() != &Token::End {
        return Err(parser.unexpected("an operator or the end of the query"));
    }
    match parser.boundless.first() {
        None => Ok(node),
        Some(offset) => {
            let problem = "vector selector must contain at least one non-empty matcher";
            Err(Failure::new(*offset, problem))
        }
    }
}

/// The words and how far they are read.
struct Parser {
    words: Vec<Word>,
    at: usize,
    depth: usize,
    /// Where selectors begin that fit a series without labels, as only `info` may have them.
    boundless: Vec<usize>,
}

impl Parser {
    fn word(&self) -> &Word {
        // The last word is the end, and nothing reads past it.
        &self.words[self.at.min(self.words.len() - 1)]
    }

    fn peek(&self) -> &Token {
        &self.word().token
    }

    fn offset(&self) -> usize {
        self.word().offset
    }

    fn advance(&mut self) {
        self.at += 1;
    }

    /// Whether the next word is this sign; it is read then.
    fn take(&mut self, sign: &'static str) -> bool {
        let is_next = self.peek() == &Token::Sign(sign);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn expect(&mut self, sign: &'static str, place: &str) -> Parsed<()> {
        if self.take(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("{sign:?} {place}")))
    }

    /// Whether the next word is this keyword, in any case; it is read then.
    fn take_keyword(&mut self, keyword: &str) -> bool {
        let is_next = self.is_keyword(keyword);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Token::Name(name) if name.eq_ignore_ascii_case(keyword))
    }

    fn unexpected(&self, wanted: &str) -> Failure {
        let found = match self.peek() {
            Token::End => "end of input".to_owned(),
            Token::Name(name) => format!("{name:?}"),
            Token::Number(value) => format!("number {value}"),
            Token::Duration(seconds) => format!("duration of {seconds} seconds"),
            Token::Text(text) => format!("string {text:?}"),
            Token::Sign(sign) => format!("{sign:?}"),
        };
        Failure::new(self.offset(), format!("unexpected {found}, expected {wanted}"))
    }

    /// Guards one more level of the tree.
    fn deeper(&mut self, levels: usize) -> Parsed<()> {
        self.depth += levels;
        if self.depth > MAX_DEPTH {
            let problem = format!("the query is nested more than {MAX_DEPTH} deep; simplify it");
            return Err(Failure::new(self.offset(), problem));
        }
        Ok(())
    }

    /// An expression of operators that bind at least as tightly as `tightness`.
    fn expression(&mut self, tightness: u8) -> Parsed<Node> {
        let depth = self.depth;
        self.deeper(1)?;
        let mut left = self.unary()?;
        while let Some(operator) = self.operator().filter(|o| o.precedence() >= tightness) {
            self.deeper(1)?;
            let offset = self.offset();
            self.advance();
            let (returns_bool, matching, grouped) = self.modifiers()?;
            // Only the power binds to the right.
            let is_power = operator == Operator::Power;
            let right = self.expression(operator.precedence() + u8::from(!is_power))?;
            let binary = Binary { operator, left, right, returns_bool, matching };
            check::binary(&binary, grouped, offset)?;
            left = Node { offset: binary.left.offset, expr: Expr::Binary(Box::new(binary)) };
        }
        self.depth = depth;
        Ok(left)
    }

    fn operator(&self) -> Option<Operator> {
        Some(match self.peek() {
            Token::Sign("+") => Operator::Add,
            Token::Sign("-") => Operator::Subtract,
            Token::Sign("*") => Operator::Multiply,
            Token::Sign("/") => Operator::Divide,
            Token::Sign("%") => Operator::Modulo,
            Token::Sign("^") => Operator::Power,
            Token::Sign("==") => Operator::Equal,
            Token::Sign("!=") => Operator::NotEqual,
            Token::Sign(">") => Operator::Greater,
            Token::Sign("<") => Operator::Less,
            Token::Sign(">=") => Operator::GreaterEqual,
            Token::Sign("<=") => Operator::LessEqual,
            Token::Name(name) => match name.to_ascii_lowercase().as_str() {
                "and" => Operator::And,
                "or" => Operator::Or,
                "unless" => Operator::Unless,
                "atan2" => Operator::Atan2,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn signed_number(&mut self, wanted: &str) -> Parsed<f64> {
        let negative = self.take("-");
        if !negative {
            self.take("+");
        }
        let value = match self.peek() {
            Token::Number(value) | Token::Duration(value) => *value,
            Token::Name(name) => match number_value(name) {
                Some(value) => value,
                None => return Err(self.unexpected(wanted)),
            },
            _ => return Err(self.unexpected(wanted)),
        };
        self.advance();
        Ok(if negative { -value } else { value })
    }

    /// A sign before an operand binds as tightly as a multiplication.
    fn unary(&mut self) -> Parsed<Node> {
        let offset = self.offset();
        let negative = self.take("-");
        if !negative && !self.take("+") {
            return self.postfixed();
        }
        let operand = self.expression(Operator::Power.precedence())?;
        if !matches!(operand.kind(), Type::Scalar | Type::Vector) {
            let problem = format!(
                "unary expression only allowed on expressions of type scalar or instant vector, \
                 got {}",
                operand.kind().name()
            );
            return Err(Failure::new(offset, problem));
        }
        let expr = match operand.expr {
            Expr::Number(value) if negative => Expr::Number(-value),
            expr if !negative => expr,
            expr => Expr::Negate(Box::new(Node { offset: operand.offset, expr })),
        };
        Ok(Node { offset, expr })
    }
}
