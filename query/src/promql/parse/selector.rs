//! Selectors: `name{label="value", other=~"pattern"}`.

use super::super::ast::Selector;
use super::super::labels::NAME;
use super::super::source::{Matcher, Test};
use super::{Failure, Parsed, Parser, Token};

impl Parser {
    /// The braces after a name, or without one.
    pub(super) fn selector(&mut self, name: Option<&str>) -> Parsed<Selector> {
        let offset = self.offset();
        let mut matchers = Vec::new();
        if let Some(name) = name {
            matchers.push(Matcher::new(NAME, Test::Equal(name.to_owned())));
        }
        if self.take("{") {
            while !self.take("}") {
                let at = self.offset();
                let matcher = self.matcher()?;
                let names = matchers.iter().any(|other: &Matcher| other.is_name());
                if matcher.is_name() && names && name.is_some() {
                    let problem = format!(
                        "metric name must not be set twice: {:?} or {:?}",
                        name.unwrap_or_default(),
                        matcher.value()
                    );
                    return Err(Failure::new(at, problem));
                }
                matchers.push(matcher);
                if !self.take(",") && self.peek() != &Token::Sign("}") {
                    return Err(self.unexpected("\",\" or \"}\" in the label matchers"));
                }
            }
        }
        if matchers.iter().all(|matcher| matcher.matches("")) {
            self.boundless.push(offset);
        }
        Ok(Selector { matchers, ..Selector::default() })
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let label = match self.peek().clone() {
            Token::Name(label) if super::super::labels::is_plain_label(&label) => label,
            Token::Text(label) => {
                // A lone string is the metric's name.
                let next = self.words.get(self.at + 1).map(|word| &word.token);
                if matches!(next, Some(Token::Sign("," | "}"))) {
                    self.advance();
                    return Ok(Matcher::new(NAME, Test::Equal(label)));
                }
                label
            }
            _ => return Err(self.unexpected("the name of a label or \"}\"")),
        };
        self.advance();
        let operator = match self.peek() {
            Token::Sign(sign @ ("=" | "!=" | "=~" | "!~")) => *sign,
            _ => return Err(self.unexpected("one of = != =~ !~ after the name of a label")),
        };
        self.advance();
        let offset = self.offset();
        let Token::Text(value) = self.peek().clone() else {
            return Err(self.unexpected("a string in quotes"));
        };
        self.advance();
        Matcher::parse(&label, operator, &value).map_err(|problem| Failure::new(offset, problem))
    }
}
