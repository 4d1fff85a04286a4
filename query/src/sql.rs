//! SQL: DataFusion over tables that read the engine.
//!
//! The way of a query: [`guard`] bounds the text → DataFusion parses and plans it over the tables
//! that [`catalog`] finds → [`table`] turns conditions into times and metrics ([`filter`]) and makes
//! a [`scan`] → [`bucket`] replaces an aggregation that chunk statistics can answer → [`answer`]
//! hands over batches and keeps the limits. [`problem`] makes errors that show the place.

mod aggregates;
mod answer;
mod asof;
mod bucket;
mod catalog;
mod columns;
#[cfg(feature = "continuous")]
mod continuous;
mod error;
mod files;
mod filter;
mod functions;
mod gapfill;
mod guard;
mod leaf;
mod order;
mod planner;
mod problem;
mod reads;
mod scan;
mod session;
#[cfg(test)]
mod stock;
mod system;
mod table;
mod threads;
mod watch;
mod wide;

pub use answer::{Answer, Canceller};
pub use columns::TAG_METADATA;
pub use error::QueryError;
pub use problem::{Place, Problem};
pub use reads::{Read, Reads};
pub use session::{Limits, Sql};
