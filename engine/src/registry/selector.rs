//! Selectors: which metrics an operation is about.

/// A condition on one label. A tag that a metric does not have counts as empty.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Match {
    /// The label is exactly this.
    Equal(String),
    /// The label is anything else.
    NotEqual(String),
    /// The label is one of these.
    OneOf(Vec<String>),
    /// The label begins with this.
    Prefix(String),
    /// The whole label matches this regular expression.
    Pattern(String),
    /// The whole label does not match this regular expression.
    NotPattern(String),
}

/// Conditions that all must hold; none at all selects every metric.
///
/// Labels are `device`, `name` and the keys of tags; a tag that is itself called `device` or
/// `name` is reached as `tag_device` and `tag_name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    pub(crate) conditions: Vec<(String, Match)>,
}

impl Selector {
    /// Every metric.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The same with the name fixed.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.label("name", Match::Equal(name.into()))
    }

    /// The same with the device fixed.
    #[must_use]
    pub fn device(self, device: impl Into<String>) -> Self {
        self.label("device", Match::Equal(device.into()))
    }

    /// The same with one more condition.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>, condition: Match) -> Self {
        self.conditions.push((label.into(), condition));
        self
    }
}
