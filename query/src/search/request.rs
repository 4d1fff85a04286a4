//! What is searched for, and what is found.

use std::ops::RangeInclusive;

use super::document::{GeoBox, Subject};
use super::remote::{Offer, Provenance, Trust};

/// What is listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Target {
    /// Metrics.
    #[default]
    Metric,
    /// Devices of which some metric fits.
    Device,
    /// Sealed chunks.
    Chunk,
    /// Offers of others.
    Offer,
}

/// Of whose data something is searched. Offers are always of others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// Of this database and of others.
    #[default]
    Any,
    /// What this database has.
    Local,
    /// What others have.
    Remote,
}

/// The order of what is found. Equals are ordered by metric and window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// What fits the text best first (BM25); of equals what has the newest records.
    #[default]
    Relevance,
    /// What begins first.
    Time,
    /// What has the newest records.
    Freshness,
    /// The cheapest; what has no price comes last.
    Price,
}

/// A label that every search can be narrowed by and counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Facet {
    /// The tag `class`: of which class the device is.
    Class,
    /// The metric's name.
    Metric,
    /// The unit of the values.
    Unit,
    /// The device.
    Device,
    /// The privacy level, 1 to 4.
    Level,
    /// The kind of the values.
    Type,
    /// The tag or metadata `owner`.
    Owner,
    /// The tag or metadata `region`.
    Region,
    /// The tag or metadata `price`; of an offer what the first hour costs.
    Price,
    /// The tag or metadata `coin`; of an offer the coin of its price.
    Coin,
    /// The public key of who made it, where that is somebody else.
    Producer,
}

impl Facet {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Class,
        Self::Metric,
        Self::Unit,
        Self::Device,
        Self::Level,
        Self::Type,
        Self::Owner,
        Self::Region,
        Self::Price,
        Self::Coin,
        Self::Producer,
    ];

    /// The name, as queries write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Metric => "metric",
            Self::Unit => "unit",
            Self::Device => "device",
            Self::Level => "level",
            Self::Type => "type",
            Self::Owner => "owner",
            Self::Region => "region",
            Self::Price => "price",
            Self::Coin => "coin",
            Self::Producer => "producer",
        }
    }

    /// The facet of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|facet| facet.name() == name)
    }

    /// The value of a subject.
    #[must_use]
    pub fn of(self, subject: &Subject) -> Option<String> {
        let label = |key: &str| subject.label(key).map(str::to_owned);
        match self {
            Self::Class => label("class"),
            Self::Metric => Some(subject.metric.clone()),
            Self::Unit => Some(subject.unit.clone()),
            Self::Device => Some(subject.device.clone()),
            Self::Level => Some(subject.level.number().to_string()),
            Self::Type => Some(subject.kind.name().to_owned()),
            Self::Owner => label("owner"),
            Self::Region => label("region"),
            Self::Price => label("price"),
            Self::Coin => label("coin"),
            Self::Producer => Some(&subject.producer).filter(|key| !key.is_empty()).cloned(),
        }
    }

    /// The values of an offer.
    #[must_use]
    pub fn of_offer(self, offer: &Offer) -> Vec<String> {
        let listing = &offer.listing;
        match self {
            Self::Class => listing.tags.get("class").cloned().into_iter().collect(),
            Self::Metric => offer.metrics.clone(),
            Self::Device => listing.devices.iter().chain([&offer.device]).cloned().collect(),
            Self::Level => vec![offer.level.number().to_string()],
            Self::Owner => vec![offer.owner.clone()],
            Self::Region => vec![listing.region.clone()],
            Self::Price => vec![offer.price.least().to_string()],
            Self::Coin => vec![offer.price.coin.clone()],
            Self::Unit | Self::Type | Self::Producer => Vec::new(),
        }
    }

    /// Whether the value of a metric is that of the tag or metadata of this name.
    pub(super) const fn is_label(self) -> bool {
        matches!(self, Self::Class | Self::Owner | Self::Region | Self::Price | Self::Coin)
    }
}

/// What is searched for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Words, `"phrases"`, `-not`, `field:value`, `prefix*`, `OR` and parentheses; all must fit.
    pub text: String,
    /// Labels with their values: the name of a [`Facet`], or the key of a tag. Upper and lower
    /// case are the same.
    pub labels: Vec<(String, String)>,
    /// What is listed.
    pub target: Target,
    /// Of whose data.
    pub origin: Origin,
    /// Of others only what is so sure; of chunks each, of metrics and devices some chunk.
    pub trust: Trust,
    /// The first time: nanoseconds since the epoch. With a range of time only what has sealed
    /// records in it is found.
    pub from_ns: i64,
    /// The last time: nanoseconds since the epoch.
    pub to_ns: i64,
    /// Only what was recorded here: the device's coordinates of that time, or the place of the
    /// metric.
    pub place: Option<GeoBox>,
    /// Only what has a price that is in here, in what the producer wrote it in.
    pub price: Option<RangeInclusive<u128>>,
    /// The order.
    pub sort: Sort,
    /// How many are passed over.
    pub offset: usize,
    /// The most that are listed.
    pub limit: usize,
    /// How many of what is found carry which value of these.
    pub counts: Vec<Facet>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            text: String::new(),
            labels: Vec::new(),
            target: Target::default(),
            origin: Origin::default(),
            trust: Trust::default(),
            from_ns: i64::MIN,
            to_ns: i64::MAX,
            place: None,
            price: None,
            sort: Sort::default(),
            offset: 0,
            limit: 20,
            counts: Vec::new(),
        }
    }
}

/// The most that can be listed at once.
pub(super) const LIMIT_MAX: usize = 10_000;
/// The most that offset and limit may be together.
pub(super) const REACH_MAX: usize = 1_000_000;

/// What is found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// How many there are in all.
    pub total: u64,
    /// Those that were asked for, in order.
    pub hits: Vec<Hit>,
    /// The counts that were asked for.
    pub counts: Vec<FacetCounts>,
    /// Where nothing was found: the query with likelier words.
    pub suggestion: Option<String>,
}

/// How many of what was found carry which value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCounts {
    /// Of which facet.
    pub facet: Facet,
    /// The values, the most frequent first, equals by name; no more than 100.
    pub values: Vec<(String, u64)>,
}

/// A metric, device, chunk or offer that was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hit {
    /// The device; empty where hidden.
    pub device: String,
    /// The metric; empty for devices, and where hidden.
    pub metric: String,
    /// The unit of the values; empty for devices, and where unknown or hidden.
    pub unit: String,
    /// The tags of a metric.
    pub tags: Vec<(String, String)>,
    /// How many metrics it is: 1, or those of a device that fit.
    pub metrics: u64,
    /// How many sealed chunks of it fit; 1 for a chunk.
    pub chunks: u64,
    /// How many records those have; 0 where hidden.
    pub records: u64,
    /// The length of their bodies: bytes.
    pub size_bytes: u64,
    /// Their first and last time, nanoseconds since the epoch; of an offer those of its scope. `None`
    /// where nothing is sealed.
    pub span_ns: Option<(i64, i64)>,
    /// What it costs; of a device the least of its metrics that fit, of an offer what an hour costs.
    /// `None` where that is unknown.
    pub price: Option<u128>,
    /// How well it fits the text; 0 where other orders are asked for.
    pub score: f32,
    /// Whether it is of others.
    pub is_remote: bool,
    /// The public key of who made it, in hexadecimal digits; empty where it is this database, and where
    /// hidden.
    pub producer: String,
    /// Of a chunk of others and of an offer: where it comes from, and how sure it is.
    pub provenance: Option<Provenance>,
    /// Which chunk.
    pub chunk: Option<ChunkHit>,
    /// Which offer.
    pub offer: Option<Offer>,
}

/// Which chunk was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkHit {
    /// The window.
    pub window: i64,
    /// The generation.
    pub generation: u32,
    /// The part.
    pub part: u32,
    /// The content id of its header.
    pub cid: String,
    /// Whether its header hides what it is of.
    pub is_hidden: bool,
}
