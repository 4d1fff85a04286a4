//! Cuts: where the buckets of a query begin and end.

use std::fmt;
use std::time::Duration;

use chronolith_engine::Every;

use crate::calendar::Buckets;

/// How time is cut into buckets.
#[derive(Debug, Clone)]
pub(super) enum Cut {
    /// Not at all.
    Whole,
    /// Into the engine's buckets.
    Even(Every, Buckets),
    /// Into buckets of a calendar that the engine does not know: in a time zone, from an origin.
    Uneven(Buckets),
}

/// Equally long buckets side by side, as the engine makes them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) every: Every,
    /// The first nanosecond.
    pub(super) from_ns: i64,
    /// The last nanosecond.
    pub(super) to_ns: i64,
}

impl Cut {
    pub(super) fn new(buckets: Buckets) -> Self {
        match buckets.every() {
            Some(every) => Self::Even(every, buckets),
            None => Self::Uneven(buckets),
        }
    }

    /// The length of buckets that are all equally long: nanoseconds.
    pub(super) const fn length_ns(&self) -> Option<i64> {
        match self {
            Self::Even(
                Every::Nanoseconds(length_ns) | Every::NanosecondsFrom { length_ns, .. },
                _,
            ) => Some(*length_ns),
            _ => None,
        }
    }

    /// The bucket that a time falls into: its first nanosecond, and its last.
    pub(super) fn bucket(&self, time_ns: i64) -> (i64, i64) {
        let buckets = match self {
            Self::Whole => return (i64::MIN, i64::MAX),
            Self::Even(_, buckets) | Self::Uneven(buckets) => buckets,
        };
        let start_ns = buckets.start_of(time_ns).unwrap_or(i64::MIN);
        let next_ns = buckets.next(start_ns).filter(|next_ns| *next_ns > time_ns);
        (start_ns, next_ns.map_or(i64::MAX, |next_ns| next_ns - 1))
    }

    /// The runs of buckets that cover a range of time.
    pub(super) fn runs(&self, from_ns: i64, to_ns: i64) -> Vec<Run> {
        match self {
            Self::Whole => vec![Run { every: Every::Everything, from_ns, to_ns }],
            Self::Even(every, _) => vec![Run { every: *every, from_ns, to_ns }],
            Self::Uneven(_) => self.uneven_runs(from_ns, to_ns),
        }
    }

    fn uneven_runs(&self, from_ns: i64, to_ns: i64) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut at_ns = from_ns;
        loop {
            let (start_ns, last_ns) = self.bucket(at_ns);
            let length = i128::from(last_ns) - i128::from(start_ns) + 1;
            // A bucket that is longer than a length can say reaches to both ends of time.
            let every = i64::try_from(length).map_or(Every::Everything, |length_ns| {
                Every::NanosecondsFrom { length_ns, origin_ns: start_ns }
            });
            let until_ns = last_ns.min(to_ns);
            match runs.last_mut() {
                // Days that follow each other are mostly equally long.
                Some(run) if same_length(run.every, every) => run.to_ns = until_ns,
                _ => runs.push(Run { every, from_ns: at_ns, to_ns: until_ns }),
            }
            if last_ns >= to_ns {
                return runs;
            }
            at_ns = last_ns + 1;
        }
    }
}

fn same_length(one: Every, other: Every) -> bool {
    match (one, other) {
        (
            Every::NanosecondsFrom { length_ns: one, .. },
            Every::NanosecondsFrom { length_ns: other, .. },
        ) => one == other,
        _ => false,
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Even(Every::Months(months), _) => write!(f, ", every={months} months"),
            Self::Even(..) => {
                let length_ns = self.length_ns().unwrap_or_default();
                write!(f, ", every={:?}", Duration::from_nanos(length_ns.unsigned_abs()))
            }
            Self::Uneven(buckets) => write!(f, ", every={buckets}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::calendar::Width;

    fn at(text: &str) -> i64 {
        i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
    }

    fn cut(width: &str, zone: &str) -> Cut {
        let zone = Some(TimeZone::get(zone).unwrap());
        Cut::new(Buckets::new(Width::parse(width).unwrap(), None, 0, zone))
    }

    #[test]
    fn a_year_of_days_is_five_runs() {
        let days = cut("1d", "Europe/Berlin");
        let runs = days.runs(at("2025-01-01T12:00:00Z"), at("2025-12-31T12:00:00Z"));
        let hours = |run: &Run| match run.every {
            Every::NanosecondsFrom { length_ns, .. } => length_ns / 3_600_000_000_000,
            _ => 0,
        };
        assert_eq!(runs.iter().map(hours).collect::<Vec<_>>(), [24, 23, 24, 25, 24]);
        for pair in runs.windows(2) {
            assert_eq!(pair[0].to_ns + 1, pair[1].from_ns);
        }
        assert_eq!(runs[1].from_ns, at("2025-03-29T23:00:00Z"));
    }

    #[test]
    fn runs_cover_all_of_time_and_end() {
        for width in ["1mo", "100y", "7mo", "9d"] {
            for zone in ["Asia/Kathmandu", "America/New_York"] {
                let runs = cut(width, zone).runs(i64::MIN, i64::MAX);
                assert_eq!(runs.first().unwrap().from_ns, i64::MIN, "{width} {zone}");
                assert_eq!(runs.last().unwrap().to_ns, i64::MAX, "{width} {zone}");
                assert!(runs.windows(2).all(|pair| pair[0].to_ns + 1 == pair[1].from_ns));
            }
        }
    }
}
