//! PromQL: the query language of Prometheus 3, over the engine's metrics or any other series.
//!
//! A [`Query`] is parsed once and asked at one time ([`Query::instant`]) or over a range
//! ([`Query::range`]). It reads from a [`Source`]: [`DatabaseSource`] is the engine's database,
//! [`MemorySource`] holds series in memory. [`promqltest`] runs Prometheus' own format of tests.
//!
//! `docs/promql.md` says what is supported and how much of Prometheus' tests pass.

mod aggregate;
mod ast;
mod binary;
mod error;
mod evaluate;
mod functions;
mod labels;
mod parse;
pub mod promqltest;
mod query;
mod ranges;
mod selector;
mod source;
mod sum;
mod value;
mod window;

pub use error::PromqlError;
pub use labels::Labels;
pub use query::{Limits, Query};
pub use source::{
    Budget, DatabaseSource, Matcher, MemorySource, STALE_BITS, Series, Source, Summarized, Summary,
    Tiles, is_stale, stale,
};
pub use value::{Answer, Data, Sample};

/// The matchers of a lone selector such as `up{job="x"}`.
///
/// # Errors
///
/// Where the text is no selector; the error has the line and the column.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, PromqlError> {
    parse::parse_selector(text)
}
