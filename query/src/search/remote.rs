//! What others have: headers of their chunks, and offers.
//!
//! A [`RemoteStore`] keeps them in a log of its own, each with where it comes from and how sure it is
//! that the ledger knows of it. Headers are taken only where their content id names their bytes, and
//! nothing that comes from outside can grow beyond [`Bounds`]. An index follows the store by a
//! [`RemoteSource`], beside the local catalogue.
//!
//! ```
//! use chronolith_query::search::remote::{
//!     Bounds, Change, Listing, Offer, OfferId, Price, Provenance, RemoteSource, RemoteStore, Taken,
//! };
//! use chronolith_query::search::{Request, SearchIndex, Target};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let mut store = RemoteStore::open(&directory.path().join("remote"), Bounds::default())?;
//! let description = "Speeds of delivery vans in the city".to_owned();
//! let offer = Offer {
//!     id: OfferId([7; 32]),
//!     owner: "chron1...".into(),
//!     device: "chron1...".into(),
//!     metrics: vec!["speed".into()],
//!     from_ns: 1_767_225_600_000_000_000,
//!     until_ns: None,
//!     price: Price { coin: "coin".into(), fixed: 0, per_hour: 5_000_000_000_000_000_000 },
//!     level: chronolith_engine::Level::Regular,
//!     listing: Listing { region: "Bavaria".into(), description, ..Listing::default() },
//! };
//! let change = Change::Offer { offer, provenance: Provenance::told("peer 12D3") };
//! assert_eq!(store.apply([change])?, [Ok(Taken::New)]);
//!
//! let mut index = SearchIndex::open(directory.path().join("search"))?;
//! index.follow_remote(&RemoteSource::new(&directory.path().join("remote"))?)?;
//! let request = Request { text: "van region:bavaria".into(), target: Target::Offer, ..Request::default() };
//! assert_eq!(index.search(&request)?.hits[0].price, Some(5_000_000_000_000_000_000));
//! # Ok(())
//! # }
//! ```

pub mod car;
mod codec;
mod entry;
mod error;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
#[cfg(test)]
mod golden;
mod live;
mod log;
mod offer;
#[cfg(any(fuzzing, test))]
mod samples;
mod source;
mod state;
mod store;

pub(in crate::search) use codec::{offer as read_offer, provenance as read_provenance};
pub(in crate::search) use codec::{put_offer, put_provenance};
pub use entry::{Anchor, Bounds, HEADER_BYTES_MAX, Provenance, Refused, Trust};
pub use error::RemoteError;
pub use live::{RemoteRepair, copy, repair, repair_on};
pub use offer::{Listing, Offer, OfferId, Price};
pub use source::RemoteSource;
pub(in crate::search) use source::RemoteUpdate;
pub use store::{Change, RemoteStatistics, RemoteStore, Taken};
