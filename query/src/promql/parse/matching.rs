//! What stands beside an operator: `bool`, and how the series of both sides find each other.

use super::super::ast::{Cardinality, Matching};
use super::{Parsed, Parser, Token};

impl Parser {
    /// `bool`, `on`, `ignoring`, `group_left`, `group_right` and `fill`; whether there was any of
    /// the matching.
    pub(super) fn modifiers(&mut self) -> Parsed<(bool, Matching, bool)> {
        let returns_bool = self.take_keyword("bool");
        let mut matching = Matching::default();
        let on = self.take_keyword("on");
        let has_matching = on || self.take_keyword("ignoring");
        if has_matching {
            matching.on = on;
            matching.labels = self.label_list("after on or ignoring")?;
            let left = self.take_keyword("group_left");
            if left || self.take_keyword("group_right") {
                matching.cardinality =
                    if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.peek() == &Token::Sign("(") {
                    matching.include = self.label_list("after group_left or group_right")?;
                }
            }
        } else if self.is_keyword("group_left") || self.is_keyword("group_right") {
            return Err(self.unexpected("on or ignoring before it"));
        }
        self.fills(&mut matching)?;
        Ok((returns_bool, matching, has_matching))
    }

    fn fills(&mut self, matching: &mut Matching) -> Parsed<()> {
        loop {
            let both = self.followed_by_parenthesis("fill");
            let left = self.followed_by_parenthesis("fill_left");
            if !(both || left || self.followed_by_parenthesis("fill_right")) {
                return Ok(());
            }
            self.advance();
            self.expect("(", "before the value to fill with")?;
            let value = self.signed_number("a number to fill with")?;
            self.expect(")", "after the value to fill with")?;
            if both || left {
                matching.fill.0 = Some(value);
            }
            if both || !left {
                matching.fill.1 = Some(value);
            }
        }
    }

    fn followed_by_parenthesis(&self, keyword: &str) -> bool {
        let next = self.words.get(self.at + 1).map(|word| &word.token);
        self.is_keyword(keyword) && next == Some(&Token::Sign("("))
    }

    /// `(a, b, "c d")`.
    pub(super) fn label_list(&mut self, place: &str) -> Parsed<Vec<String>> {
        self.expect("(", place)?;
        let mut labels = Vec::new();
        while !self.take(")") {
            match self.peek() {
                Token::Name(name) if super::super::labels::is_plain_label(name) => {
                    labels.push(name.clone());
                }
                Token::Text(name) if !name.is_empty() => labels.push(name.clone()),
                _ => return Err(self.unexpected("the name of a label")),
            }
            self.advance();
            if !self.take(",") && self.peek() != &Token::Sign(")") {
                return Err(self.unexpected("\",\" or \")\" in a list of labels"));
            }
        }
        Ok(labels)
    }
}
