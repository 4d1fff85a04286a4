//! Where series come from.

mod database;
mod memory;

use regex::Regex;

use super::error::Result;
use super::labels::{Labels, NAME};
pub use database::DatabaseSource;
pub use memory::MemorySource;

/// The bits of the value that says: the series ends here.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The value that says: the series ends here.
#[must_use]
pub const fn stale() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Whether a value is that of [`stale`], and no other NaN.
#[must_use]
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// The samples of one series in a range of time.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// Its labels, the name among them.
    pub labels: Labels,
    /// Nanoseconds since the epoch, strictly rising.
    pub times: Vec<i64>,
    /// As many as times.
    pub values: Vec<f64>,
}

/// What series are evaluated over.
pub trait Source {
    /// The series whose labels fit all matchers, with their samples from `first_ns` to `last_ns`
    /// (both included), ordered by labels. Series without any sample there may be left out.
    ///
    /// # Errors
    ///
    /// Where the source cannot be read, or holds more samples there than `budget` has left.
    fn select(
        &self,
        matchers: &[Matcher],
        first_ns: i64,
        last_ns: i64,
        budget: &mut dyn Budget,
    ) -> Result<Vec<Series>>;
}

/// What reading is charged to.
pub trait Budget {
    /// Takes samples off what is left.
    ///
    /// # Errors
    ///
    /// Where there are not as many left, or the time of the query is over.
    fn spend(&mut self, samples: usize) -> Result<()>;
}

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
