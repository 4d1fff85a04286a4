//! Continuous queries: answers that stay up to date as records come.
//!
//! A statement says what is to be known; its answer is kept in metrics of the same database, exactly
//! as if it were asked anew each time, also when records come late, are replaced or deleted, and
//! when the process is killed at any moment. `docs/continuous-queries.md` has the whole of it.
//!
//! ```
//! use chronolith_engine::{Db, Durability, Kind, Metric, Options};
//! use chronolith_query::continuous::{Continuous, From};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("fleet.db");
//! let db = Db::open(path, Options::default())?;
//! let queries = Continuous::open(db.clone())?;
//! queries.execute(
//!     "CREATE CONTINUOUS QUERY speed_5m AS
//!      SELECT device, time_bucket('5m', time), avg(value), max(value) FROM speed
//!      GROUP BY 1, 2 WITH (lateness = '1m')",
//! )?;
//! let mut changes = queries.subscribe("speed_5m", From::Now)?;
//!
//! let speed = db.metric(Metric::new("car-17", "speed"), Kind::F64)?;
//! let mut batch = db.batch();
//! batch.push(speed, 1_767_225_600_000_000_000, 61.2)?;
//! db.write(&batch, Durability::Synced)?;
//! queries.settle()?; // or `let worker = queries.start()?;` once
//! assert_eq!(changes.ready()?.len(), 1);
//! assert_eq!(queries.rows("speed_5m", i64::MIN..=i64::MAX)?[0].keys, ["car-17"]);
//! # Ok(())
//! # }
//! ```
//!
//! The way of a record: the tail of the log ([`chronolith_engine::Db::follow`]) → the cell of its
//! metric and window → the row of its group → one batch with the row, the cell, the change and the
//! position → those who follow.

mod bytes;
mod cell;
mod claim;
mod commit;
mod error;
mod feed;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod golden;
mod intake;
mod live;
mod outputs;
mod pending;
mod recompute;
mod row;
mod runs;
mod runtime;
mod session;
mod state;
mod statement;
mod status;
mod step;
mod stream;
mod subscription;
mod view;
mod watermark;
mod window;
mod worker;

pub use error::ContinuousError;
pub use row::{Change, ChangeKind, Cursor, Row};
pub use runtime::{Columns, Continuous, Outcome};
pub use state::is_query;
pub use statement::is_statement;
pub use status::Status;
pub use stream::ChangeStream;
pub use subscription::{DeliveryCheck, From, Snapshot, Subscription};
pub use worker::Worker;
