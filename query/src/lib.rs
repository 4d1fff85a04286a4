//! Answers: SQL and PromQL over the records of a [`chronolith_engine::Db`].
//!
//! A metric name is a table, a class of devices is a wide table, `records` is everything, and the
//! schema `system` lists devices, metrics, chunks and segments. `docs/sql.md` has the whole of it.
//!
#![cfg_attr(feature = "sql", doc = "```")]
#![cfg_attr(not(feature = "sql"), doc = "```ignore")]
//! use chronolith_engine::{Db, Durability, Kind, Metric, Options};
//! use chronolith_query::{Limits, Sql};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("fleet.db");
//! let db = Db::open(path, Options::default())?;
//! let speed = db.metric(Metric::new("car-17", "speed").tag("class", "fleet"), Kind::F64)?;
//! let mut batch = db.batch();
//! batch.push(speed, 1_767_225_600_000_000_000, 61.2)?;
//! db.write(&batch, Durability::Synced)?;
//!
//! let sql = Sql::new(db)?;
//! let mut rows = 0;
//! for batch in sql.query("SELECT time, value FROM speed", &Limits::default())? {
//!     rows += batch?.num_rows();
//! }
//! assert_eq!(rows, 1);
//! # Ok(())
//! # }
//! ```
//!
//! SQL is behind the crate feature `sql`, since DataFusion, which parses, plans and runs the
//! queries, is most of the compile time of the whole workspace. The modules `promql`, `search` and
//! `continuous` are behind features of their names; none needs another.

#![forbid(unsafe_code)]

#[cfg(any(feature = "continuous", feature = "search"))]
mod bytes;
#[cfg(any(feature = "continuous", feature = "sql"))]
mod calendar;
#[cfg(feature = "continuous")]
pub mod continuous;
#[cfg(feature = "promql")]
pub mod promql;
#[cfg(feature = "search")]
pub mod search;
#[cfg(feature = "sql")]
mod sql;
#[cfg(any(feature = "continuous", feature = "sql"))]
mod ways;

#[cfg(feature = "sql")]
pub use arrow;
#[cfg(feature = "sql")]
pub use sql::{
    Answer, Canceller, Limits, Place, Problem, QueryError, Read, Reads, Sql, TAG_METADATA,
};
