//! Windows of time: which ones a record falls into, and when they are over.

use chronolith_engine::Every;

use crate::calendar::{Buckets, Width};

/// The most windows that a record may fall into.
const OVERLAP_MAX: i64 = 1_000;

/// How time is cut into windows.
#[derive(Debug, Clone)]
pub(super) enum Windows {
    /// Side by side, each behind the other.
    Tumbling(Buckets),
    /// Of one size, beginning every so often.
    Hopping { every: Buckets, size: Buckets },
    /// Runs of records of a group that follow each other in less than a gap.
    Session { gap_ns: i64 },
}

/// A window of fixed ends, first and last nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start_ns: i64,
    pub(super) last_ns: i64,
}

impl Windows {
    pub(super) const fn tumbling(buckets: Buckets) -> Self {
        Self::Tumbling(buckets)
    }

    pub(super) const fn session(gap_ns: i64) -> Self {
        Self::Session { gap_ns }
    }

    pub(super) fn hopping(
        every: Buckets,
        size: Buckets,
        step: Width,
        width: Width,
    ) -> Result<Self, String> {
        let length = |width: Width| match width {
            Width::Months(months) => i64::from(months),
            other => other.fixed_ns().unwrap_or(i64::MAX),
        };
        let (step, width) = (length(step), length(width));
        if width < step {
            return Err("the size of hop must not be shorter than its step".to_owned());
        }
        if width / step > OVERLAP_MAX {
            return Err(format!("with hop a record would be in more than {OVERLAP_MAX} windows"));
        }
        Ok(Self::Hopping { every, size })
    }

    /// The gap of sessions.
    pub(super) const fn gap_ns(&self) -> Option<i64> {
        match self {
            Self::Session { gap_ns } => Some(*gap_ns),
            _ => None,
        }
    }

    /// The same windows as the engine's buckets, where it has them.
    pub(super) fn every(&self) -> Option<Every> {
        match self {
            Self::Tumbling(buckets) => buckets.every(),
            _ => None,
        }
    }

    /// The last window that begins at or before a time, where windows are fixed; `None` outside of
    /// what the calendar knows.
    pub(super) fn latest_start(&self, time_ns: i64) -> Option<i64> {
        match self {
            Self::Tumbling(every) | Self::Hopping { every, .. } => every.start_of(time_ns),
            Self::Session { .. } => None,
        }
    }

    /// The window that begins at a time.
    pub(super) fn at(&self, start_ns: i64) -> Span {
        let size = match self {
            Self::Tumbling(size) | Self::Hopping { size, .. } => size,
            Self::Session { .. } => return Span { start_ns, last_ns: start_ns },
        };
        // Windows at the end of time end there.
        let last_ns = size.next(start_ns).and_then(|next| next.checked_sub(1));
        Span { start_ns, last_ns: last_ns.unwrap_or(i64::MAX) }
    }

    /// The beginning of the window behind the one that begins at a time.
    pub(super) fn next_start(&self, start_ns: i64) -> Option<i64> {
        match self {
            Self::Tumbling(every) | Self::Hopping { every, .. } => {
                every.next(start_ns).filter(|next| *next > start_ns)
            }
            Self::Session { .. } => None,
        }
    }

    /// The fixed windows that hold a time, the latest first.
    pub(super) fn holding(&self, time_ns: i64) -> Vec<Span> {
        let Some(latest) = self.latest_start(time_ns) else { return Vec::new() };
        let mut windows = vec![self.at(latest)];
        if let Self::Hopping { every, .. } = self {
            let mut start_ns = latest;
            while let Some(before) = start_ns.checked_sub(1).and_then(|time| every.start_of(time)) {
                let window = self.at(before);
                if window.last_ns < time_ns || windows.len() as i64 > 2 * OVERLAP_MAX {
                    break;
                }
                windows.push(window);
                start_ns = before;
            }
        }
        windows
    }

    /// The beginning of the earliest window that holds a time.
    pub(super) fn earliest_start(&self, time_ns: i64) -> Option<i64> {
        self.holding(time_ns).last().map(|window| window.start_ns)
    }
}
