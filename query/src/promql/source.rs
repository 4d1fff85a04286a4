//! Where series come from.

mod database;
mod matcher;
mod memory;
mod summaries;

use super::error::Result;
use super::labels::Labels;
pub use database::DatabaseSource;
pub use matcher::Matcher;
pub(crate) use matcher::{Test, fits};
pub use memory::MemorySource;

/// The bits of the value that says: the series ends here.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The value that says: the series ends here.
#[must_use]
pub const fn stale() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Whether a value is that of [`stale`], and no other NaN.
#[must_use]
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// The samples of one series in a range of time.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// Its labels, the name among them.
    pub labels: Labels,
    /// Nanoseconds since the epoch, strictly rising.
    pub times: Vec<i64>,
    /// As many as times.
    pub values: Vec<f64>,
}

/// What series are evaluated over.
pub trait Source {
    /// Gives `take` the series whose labels fit all matchers, one at a time and ordered by labels,
    /// with their samples from `first_ns` to `last_ns` (both included). Series without any sample
    /// there may be left out.
    ///
    /// # Errors
    ///
    /// Where the source cannot be read, a series has more samples there than `budget` has left, or
    /// `take` fails.
    fn select(
        &self,
        matchers: &[Matcher],
        first_ns: i64,
        last_ns: i64,
        budget: &mut dyn Budget,
        take: &mut dyn FnMut(Series) -> Result<()>,
    ) -> Result<()>;

    /// Gives `take` the same series, each with what is known of whole windows without their
    /// samples; whether the source can tell. A source that cannot gives nothing.
    ///
    /// # Errors
    ///
    /// As for [`Source::select`].
    fn summarize(
        &self,
        _matchers: &[Matcher],
        _tiles: &Tiles,
        _summary: Summary,
        _budget: &mut dyn Budget,
        _take: &mut dyn FnMut(Summarized) -> Result<()>,
    ) -> Result<bool> {
        Ok(false)
    }
}

/// Windows of one length side by side, without gaps: the first begins behind `start_ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    /// The end of the first window that is left out, in nanoseconds since the epoch.
    pub start_ns: i64,
    /// The length of a window in nanoseconds; more than 0.
    pub length_ns: i64,
    /// How many there are.
    pub count: usize,
}

/// What is wanted of all samples in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Summary {
    /// How many there are.
    Count,
    /// Their sum.
    Sum,
    /// Their arithmetic mean.
    Average,
    /// The least that is not NaN.
    Least,
    /// The greatest that is not NaN.
    Most,
}

/// A series with what was wanted of each window, or with its samples.
#[derive(Debug, Clone)]
pub enum Summarized {
    /// A value for each window; `None` where it has no sample.
    Windows(Labels, Vec<Option<f64>>),
    /// The samples of all windows, where only they can tell.
    Samples(Series),
}

/// What reading is charged to.
pub trait Budget {
    /// Takes samples off what is left.
    ///
    /// # Errors
    ///
    /// Where there are not as many left, or the time of the query is over.
    fn spend(&mut self, samples: usize) -> Result<()>;
}
