//! Search: which metrics, devices, sealed chunks and offers there are, by text, labels, time and place.
//!
//! What describes data (a metric, an offer) is a [`Subject`]: text, labels, a price. What is
//! sealed is a [`Chunk`]: a subject's number, times and a content id. Text and labels are indexed
//! once for each subject and not once for each of its chunks, so that a chunk costs a few terms
//! and columns, and a search finds subjects first and then their chunks (`docs/adr/0008`).
//!
//! Documents come from a [`Source`]; the catalogue of a local database is one
//! ([`CatalogueSource`]), what others told is another ([`remote`]). A [`SearchIndex`] follows both
//! incrementally. It is a cache: it can be lost, damaged or half written at any moment and is rebuilt
//! from its sources then.
//!
//! ```
//! use chronolith_engine::{Db, Definition, Durability, Kind, Metric, Options, SealScope};
//! use chronolith_query::search::{CatalogueSource, Request, SearchIndex};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("fleet.db");
//! let db = Db::open(&path, Options::default())?;
//! let metric = Metric::new("car-17", "tyre_pressure").tag("class", "fleet");
//! let pressure = db.define(Definition::new(metric, Kind::F64).unit("kPa"))?;
//! let mut batch = db.batch();
//! batch.push(pressure, 1_767_225_600_000_000_000, 241.5)?;
//! db.write(&batch, Durability::Synced)?;
//! db.seal(SealScope::All)?;
//!
//! let mut index = SearchIndex::open(path.join("search"))?;
//! index.follow(&CatalogueSource::new(&db))?;
//! let answer = index.search(&Request { text: "pressures class:fleet".into(), ..Request::default() })?;
//! assert_eq!((answer.total, answer.hits[0].device.as_str()), (1, "car-17"));
//! # Ok(())
//! # }
//! ```

mod catalogue;
mod cells;
mod chunks;
mod complement;
mod document;
mod error;
mod expression;
mod facets;
mod find;
mod follow;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod matching;
mod place;
mod position;
pub mod remote;
mod request;
mod schema;
mod subjects;
mod suggest;
mod words;

pub use catalogue::CatalogueSource;
pub use document::{Axis, Chunk, ChunkId, GeoBox, Source, Subject, Update};
pub use error::SearchError;
pub use follow::Followed;
pub use index::SearchIndex;
pub use position::{Position, RemotePosition, SegmentMark};
pub use request::{Answer, ChunkHit, Facet, FacetCounts, Hit, Origin, Request, Sort, Target};
