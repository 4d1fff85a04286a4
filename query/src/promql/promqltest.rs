//! Prometheus' format of tests for its query language, and what of a file passes here.
//!
//! A file loads series (`load 5m`, then lines of a series and its values), evaluates queries
//! (`eval instant at 10m QUERY`, `eval range from 0 to 1h step 5m QUERY`, then lines of what is
//! expected) and clears what was loaded (`clear`). [`run`] does all of it and says for each
//! evaluation whether it passed, failed, or uses what is not supported here.

mod compare;
mod file;
mod notation;
mod runner;

pub use runner::{Outcome, Report, run};
