//! Conditions on labels.

use std::fmt;

use regex::Regex;

use crate::promql::labels::{Labels, NAME};

/// A condition on one label; a label that a series does not have counts as empty.
#[derive(Debug, Clone)]
pub struct Matcher {
    label: String,
    test: Test,
}

/// What a label is compared with.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Equal(String),
    NotEqual(String),
    /// The pattern as it was written and as it is matched: against the whole label.
    Pattern(String, Regex),
    NotPattern(String, Regex),
}

impl Matcher {
    pub(crate) fn new(label: &str, test: Test) -> Self {
        Self { label: label.to_owned(), test }
    }

    /// Of an operator as written in a query.
    pub(crate) fn parse(
        label: &str,
        operator: &str,
        value: &str,
    ) -> std::result::Result<Self, String> {
        let regex = || {
            let whole = format!("^(?s:{value})$");
            let regex = regex::RegexBuilder::new(&whole).size_limit(1 << 22).build();
            regex.map_err(|_| format!("{value:?} is no valid regular expression, or too large"))
        };
        let test = match operator {
            "=" => Test::Equal(value.to_owned()),
            "!=" => Test::NotEqual(value.to_owned()),
            "=~" => Test::Pattern(value.to_owned(), regex()?),
            _ => Test::NotPattern(value.to_owned(), regex()?),
        };
        Ok(Self::new(label, test))
    }

    /// How it is written in a query.
    fn written(&self) -> (&'static str, &str) {
        match &self.test {
            Test::Equal(value) => ("=", value),
            Test::NotEqual(value) => ("!=", value),
            Test::Pattern(value, _) => ("=~", value),
            Test::NotPattern(value, _) => ("!~", value),
        }
    }

    /// The label it is about.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    pub(crate) const fn test(&self) -> &Test {
        &self.test
    }

    /// What the label is compared with, as written.
    pub(crate) fn value(&self) -> &str {
        match &self.test {
            Test::Equal(value) | Test::NotEqual(value) => value,
            Test::Pattern(pattern, _) | Test::NotPattern(pattern, _) => pattern,
        }
    }

    /// The value that the label must have, where only one will do.
    pub(crate) fn equal(&self) -> Option<&str> {
        match &self.test {
            Test::Equal(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn is_name(&self) -> bool {
        self.label == NAME
    }

    /// Whether a label with this value fits.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(wanted) => value == wanted,
            Test::NotEqual(other) => value != other,
            Test::Pattern(_, regex) => regex.is_match(value),
            Test::NotPattern(_, regex) => !regex.is_match(value),
        }
    }
}

/// Whether labels fit all matchers.
pub(crate) fn fits(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.label)))
}

/// As in a query: `device="car-17"`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operator, value) = self.written();
        write!(f, "{}{operator}{value:?}", self.label)
    }
}
