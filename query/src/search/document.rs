//! What an index is made of, and where it comes from.

use std::collections::BTreeMap;

use chronolith_engine::{Kind, Level};
use cid::Cid;

use super::error::SearchError;
use super::position::Position;

/// Which of the two coordinates of a device a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Degrees north.
    Latitude,
    /// Degrees east.
    Longitude,
}

/// Something that describes data: a metric, of this database or of others.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Its number in its source, from 0 and dense.
    pub number: u32,
    /// The device.
    pub device: String,
    /// The metric's name.
    pub metric: String,
    /// The metric's tags.
    pub tags: BTreeMap<String, String>,
    /// What the producer says of it.
    pub metadata: BTreeMap<String, String>,
    /// The unit of the values; empty where unknown.
    pub unit: String,
    /// The kind of the values.
    pub kind: Kind,
    /// How private it is.
    pub level: Level,
    /// Where it is produced: degrees north and east.
    pub place: Option<(f64, f64)>,
    /// Where its values are coordinates of the device.
    pub axis: Option<Axis>,
    /// The public key of who made it, in hexadecimal digits, where that is somebody else; empty where
    /// it is this database.
    pub producer: String,
}

impl Subject {
    /// A label by its name: a tag, or metadata where there is no such tag.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.tags.get(key).or_else(|| self.metadata.get(key)).map(String::as_str)
    }

    /// What it costs, as the producer wrote it: a whole number, such as of motes, of which 10^18 are a
    /// coin.
    #[must_use]
    pub fn price(&self) -> Option<u128> {
        self.label("price")?.trim().parse().ok()
    }
}

/// Which chunk of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId {
    /// The number of its metric in the source; of hidden metrics, too.
    pub metric: u32,
    /// The window.
    pub window: i64,
    /// The generation.
    pub generation: u32,
    /// The part.
    pub part: u32,
}

/// A sealed chunk, as far as its public header shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Which.
    pub id: ChunkId,
    /// What describes it; `None` where the header hides that.
    pub subject: Option<u32>,
    /// The kind of its values.
    pub kind: Kind,
    /// How private it is.
    pub level: Level,
    /// Time of the first record, nanoseconds since the epoch; the window's start where hidden.
    pub first_ns: i64,
    /// Time of the last record, nanoseconds since the epoch; the window's end where hidden.
    pub last_ns: i64,
    /// How many records; 0 where hidden.
    pub records: u32,
    /// The length of its body: bytes.
    pub size_bytes: u32,
    /// The content id of its header.
    pub cid: Cid,
    /// Where its subject is an axis of a device's place: which, and the least and the greatest value.
    pub bounds: Option<(Axis, (f64, f64))>,
}

/// A rectangle on the globe: degrees. `west` is greater than `east` where it crosses the 180th
/// meridian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoBox {
    /// The least latitude.
    pub south: f64,
    /// The westernmost longitude.
    pub west: f64,
    /// The greatest latitude.
    pub north: f64,
    /// The easternmost longitude.
    pub east: f64,
}

impl GeoBox {
    /// A box from two corners, south-west and north-east.
    pub fn new(south: f64, west: f64, north: f64, east: f64) -> Result<Self, SearchError> {
        let latitudes = [south, north].iter().all(|degrees| degrees.abs() <= 90.0);
        let longitudes = [west, east].iter().all(|degrees| degrees.abs() <= 180.0);
        if !latitudes || !longitudes {
            let what = "latitudes are from -90 to 90 and longitudes from -180 to 180";
            return Err(SearchError::Request(format!("box {south},{west},{north},{east}: {what}")));
        }
        if south > north {
            let what = format!("the box begins at latitude {south}, north of its end at {north}");
            return Err(SearchError::Request(format!("{what}; write south,west,north,east")));
        }
        Ok(Self { south, west, north, east })
    }

    /// Whether a span of one axis reaches into the box.
    #[must_use]
    pub fn meets(&self, axis: Axis, low: f64, high: f64) -> bool {
        match axis {
            Axis::Latitude => low <= self.north && high >= self.south,
            Axis::Longitude if self.west <= self.east => low <= self.east && high >= self.west,
            Axis::Longitude => low <= self.east || high >= self.west,
        }
    }

    /// Whether a point is in the box.
    #[must_use]
    pub fn holds(&self, (latitude, longitude): (f64, f64)) -> bool {
        self.meets(Axis::Latitude, latitude, latitude)
            && self.meets(Axis::Longitude, longitude, longitude)
    }
}

/// Takes the documents that are new, and forgets those that are gone.
pub trait Update {
    /// A subject as it is now; passed over where the index knows it so.
    fn subject(&mut self, subject: &Subject) -> Result<(), SearchError>;

    /// Whether the index has a subject of this database of this number.
    fn knows_subject(&mut self, number: u32) -> Result<bool, SearchError>;

    /// A chunk that is new.
    fn chunk(&mut self, chunk: &Chunk) -> Result<(), SearchError>;

    /// Chunks that cannot be delivered any more; those the index does not have are passed over.
    fn gone(&mut self, chunks: Vec<ChunkId>) -> Result<(), SearchError>;
}

/// Where documents of this database come from: its catalogue. Those of others come from a
/// [`RemoteSource`](super::remote::RemoteSource).
pub trait Source {
    /// Hands over everything that changed since a position (`None`: everything there is), and
    /// returns the position it ends at. `Ok(None)` where that cannot be told from there, and the
    /// index has to begin anew.
    fn changes(
        &self,
        since: Option<&Position>,
        update: &mut dyn Update,
    ) -> Result<Option<Position>, SearchError>;
}
