//! The labels of a series.

use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub(crate) const NAME: &str = "__name__";

/// What says how the metric of that name is measured, and goes where its name goes.
const TYPE_AND_UNIT: [&str; 2] = ["__type__", "__unit__"];

/// Names and values, sorted by name, none of them empty; cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl Labels {
    /// Of pairs in any order; a later pair replaces an earlier one, an empty value removes it.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut labels = Vec::new();
        for (name, value) in pairs {
            set(&mut labels, name.into(), value.into());
        }
        Self(labels.into())
    }

    /// The value of a label; empty where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        match self.0.binary_search_by(|(other, _)| (**other).cmp(name)) {
            Ok(index) => &self.0[index].1,
            Err(_) => "",
        }
    }

    /// The metric's name; empty where there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.get(NAME)
    }

    /// The pairs by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same with one label set, or removed by an empty value.
    #[must_use]
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut labels = self.0.to_vec();
        set(&mut labels, name.into(), value.into());
        Self(labels.into())
    }

    /// Those whose name fits.
    #[must_use]
    pub(crate) fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.0.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// Only these.
    #[must_use]
    pub(crate) fn only(&self, names: &[String]) -> Self {
        self.filter(|name| names.iter().any(|other| other == name))
    }

    /// All but these.
    #[must_use]
    pub(crate) fn without(&self, names: &[String]) -> Self {
        self.filter(|name| names.iter().all(|other| other != name))
    }

    /// Of something that is no longer the metric of its name: without name, type and unit.
    #[must_use]
    pub(crate) fn without_name(&self) -> Self {
        self.filter(|name| name != NAME && !TYPE_AND_UNIT.contains(&name))
    }
}

fn set(labels: &mut Vec<(Arc<str>, Arc<str>)>, name: Arc<str>, value: Arc<str>) {
    match labels.binary_search_by(|(other, _)| other.cmp(&name)) {
        Ok(index) if value.is_empty() => drop(labels.remove(index)),
        Ok(index) => labels[index].1 = value,
        Err(_) if value.is_empty() => {}
        Err(index) => labels.insert(index, (name, value)),
    }
}

/// Whether a name needs no quotes as the name of a label.
pub(crate) fn is_plain_label(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// Whether a name needs no quotes as the name of a metric.
pub(crate) fn is_plain_metric(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// As a selector of exactly this series: `name{label="value"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = is_plain_metric(self.name());
        if plain {
            f.write_str(self.name())?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        let quoted = (!plain && !self.name().is_empty()).then(|| format!("{:?}", self.name()));
        let pairs = self.iter().filter(|(name, _)| *name != NAME).map(|(name, value)| {
            if is_plain_label(name) {
                format!("{name}={value:?}")
            } else {
                format!("{name:?}={value:?}")
            }
        });
        let parts: Vec<String> = quoted.into_iter().chain(pairs).collect();
        write!(f, "{{{}}}", parts.join(", "))
    }
}
