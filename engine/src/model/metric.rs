//! Metrics: one kind of data from one device.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chronolith_keys::policy::{Policies, ValueKind};

use super::{Kind, Limits};

/// A handle to a metric of one open database: its dense number and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId {
    index: u32,
    kind: Kind,
}

impl MetricId {
    pub(crate) const fn new(index: u32, kind: Kind) -> Self {
        Self { index, kind }
    }

    /// The number: metrics are numbered from 0 in the order of their creation.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The kind of the metric's values.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.kind
    }
}

/// The identity of a metric (elsewhere: series): device, name and tags.
///
/// Tags are sorted by key and unique; an empty value means that the tag is absent. The device
/// may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metric {
    device: Arc<str>,
    name: Arc<str>,
    tags: Arc<Tags>,
}

/// Keys and values, sorted by key.
pub(crate) type Tags = Vec<(String, String)>;

impl Metric {
    /// A metric without tags.
    pub fn new(device: impl Into<String>, name: impl Into<String>) -> Self {
        let (device, name) = (device.into().into(), name.into().into());
        Self { device, name, tags: Arc::default() }
    }

    /// The same metric with a tag set; an empty value removes it.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        let tags = Arc::make_mut(&mut self.tags);
        match tags.binary_search_by(|(other, _)| other.as_str().cmp(&key)) {
            Ok(at) if value.is_empty() => drop(tags.remove(at)),
            Ok(at) => tags[at].1 = value,
            Err(_) if value.is_empty() => {}
            Err(at) => tags.insert(at, (key, value)),
        }
        self
    }

    /// The device that produces it; may be empty.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its tags, sorted by key.
    #[must_use]
    pub fn tags(&self) -> &[(String, String)] {
        &self.tags
    }

    /// The parts that other metrics may share: device, name, tags.
    pub(crate) const fn parts_mut(&mut self) -> (&mut Arc<str>, &mut Arc<str>, &mut Arc<Tags>) {
        (&mut self.device, &mut self.name, &mut self.tags)
    }

    /// The value of one tag.
    #[must_use]
    pub fn tag_value(&self, key: &str) -> Option<&str> {
        let at = self.tags.binary_search_by(|(other, _)| other.as_str().cmp(key)).ok()?;
        Some(&self.tags[at].1)
    }
}

/// `device/name{key=value,...}`, as messages show a metric.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.device, self.name)?;
        for (index, (key, value)) in self.tags.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(f, "{before}{key}={value}")?;
        }
        if self.tags.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

/// How private the data of a metric is (white paper, table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Highly sensitive: name, VIN, V2X messages, exact position.
    Secret = 1,
    /// Personal: age, sex, model, coarse position.
    Personal = 2,
    /// Regular: speed, temperatures, fault codes.
    Regular = 3,
    /// Bulk: CAN frames, sensor events, pictures.
    Bulk = 4,
}

impl Level {
    /// The level's number, 1 to 4.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The level of a number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Secret),
            2 => Some(Self::Personal),
            3 => Some(Self::Regular),
            4 => Some(Self::Bulk),
            _ => None,
        }
    }

    /// Whether a public header hides names, tags, times, count and codec.
    #[must_use]
    pub const fn hides_metric(self) -> bool {
        matches!(self, Self::Secret | Self::Personal)
    }
}

/// A coarse place: a point in hundredths of a degree (about 1 km).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Latitude in 0.01°, −9,000 to 9,000.
    pub latitude_centidegrees: i32,
    /// Longitude in 0.01°, −18,000 to 18,000.
    pub longitude_centidegrees: i32,
}

/// All that is fixed or described of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Which metric.
    pub metric: Metric,
    /// The kind of its values.
    pub kind: Kind,
    /// The unit of its values; empty where unknown.
    pub unit: String,
    /// How private it is.
    pub level: Level,
    /// The length of its windows in nanoseconds.
    pub window_ns: i64,
    /// Where it is produced, coarsely.
    pub place: Option<Place>,
    /// Whether its chunks are in the clear by choice, for everybody to read, although the database has
    /// keys; only for levels 3 and 4.
    pub is_public: bool,
    /// What is done to its records as they are written, to hide whom they are of. It is fixed, and goes into
    /// the header of every chunk.
    pub policies: Policies,
    /// What the producer says of it; goes into the header of every chunk.
    pub metadata: BTreeMap<String, String>,
}

impl Definition {
    /// One hour in nanoseconds: the default window.
    pub const DEFAULT_WINDOW_NS: i64 = 3_600_000_000_000;
    /// The shortest window: one second.
    pub const MIN_WINDOW_NS: i64 = 1_000_000_000;
    /// The longest window: 366 days.
    pub const MAX_WINDOW_NS: i64 = 366 * 86_400_000_000_000;

    /// A definition with the defaults: no unit, level 4, windows of one hour.
    #[must_use]
    pub fn new(metric: Metric, kind: Kind) -> Self {
        Self {
            metric,
            kind,
            unit: String::new(),
            level: Level::Bulk,
            window_ns: Self::DEFAULT_WINDOW_NS,
            place: None,
            is_public: false,
            policies: Policies::default(),
            metadata: BTreeMap::new(),
        }
    }

    /// The same with another window length in nanoseconds.
    #[must_use]
    pub fn window_ns(mut self, window_ns: i64) -> Self {
        self.window_ns = window_ns;
        self
    }

    /// The same with a unit.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// The same with a privacy level.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// The same, in the clear for everybody.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.is_public = true;
        self
    }

    /// The same with what is done to its records as they are written.
    #[must_use]
    pub fn policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// Checks names, lengths and ranges.
    pub fn check(&self, limits: &Limits) -> Result<(), DefinitionError> {
        let fail = |what: &'static str, problem: String| {
            Err(DefinitionError { metric: self.metric.to_string(), what, problem })
        };
        if self.metric.name.is_empty() {
            return fail("name", "is empty".to_owned());
        }
        if self.is_public && self.level.hides_metric() {
            let problem = format!("is {}, which is never public", self.level.number());
            return fail("privacy level", problem);
        }
        if let Err(error) = self.policies.check(value_kind(self.kind)) {
            return fail(
                "de-identification",
                format!("is {:?}: {error}", self.policies.to_string()),
            );
        }
        let (device, name) = (self.metric.device(), self.metric.name());
        let named = [("device", device), ("name", name), ("unit", &self.unit)];
        let tags = self.metric.tags.iter();
        let tags = tags.flat_map(|(key, value)| [("tag key", key.as_str()), ("tag value", value)]);
        for (what, text) in named.into_iter().chain(tags) {
            if text.len() > limits.name_bytes {
                let problem = format!("has {} bytes, more than {}", text.len(), limits.name_bytes);
                return fail(what, problem);
            }
        }
        if self.metric.tags.iter().any(|(key, _)| key.is_empty()) {
            return fail("tag key", "is empty".to_owned());
        }
        if self.metric.tags.len() > limits.tags {
            let problem = format!("are {}, more than {}", self.metric.tags.len(), limits.tags);
            return fail("tags", problem);
        }
        if !(Self::MIN_WINDOW_NS..=Self::MAX_WINDOW_NS).contains(&self.window_ns) {
            let problem = format!("of {} ns is not between 1 s and 366 days", self.window_ns);
            return fail("window", problem);
        }
        let size: usize = self.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        if size > limits.metadata_bytes {
            return fail(
                "metadata",
                format!("has {size} bytes, more than {}", limits.metadata_bytes),
            );
        }
        if let Some(place) = self.place
            && (place.latitude_centidegrees.unsigned_abs() > 9_000
                || place.longitude_centidegrees.unsigned_abs() > 18_000)
        {
            return fail("place", "is outside of ±90° and ±180°".to_owned());
        }
        Ok(())
    }
}

/// A kind as policies name it.
const fn value_kind(kind: Kind) -> ValueKind {
    match kind {
        Kind::F64 => ValueKind::F64,
        Kind::I64 => ValueKind::I64,
        Kind::U64 => ValueKind::U64,
        Kind::Bool => ValueKind::Bool,
        Kind::Text => ValueKind::Text,
        Kind::Bytes => ValueKind::Bytes,
    }
}

/// A definition that the store does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("metric {metric}: the {what} {problem}")]
pub struct DefinitionError {
    /// The metric, as messages show it.
    pub metric: String,
    /// Which part of the definition.
    pub what: &'static str,
    /// What is wrong with it.
    pub problem: String,
}
