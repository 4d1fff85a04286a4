//! Ranges of time as the windows that they touch.

use std::ops::RangeInclusive;

const NANOSECONDS: i128 = 1_000_000;

/// A run of whole windows of one length.
///
/// Keys open whole windows, so a range of time is widened to those that it touches; the widened
/// bounds are what a buyer is shown before he pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    window_ns: i64,
    first: i64,
    last: i64,
}

/// Why a range of time has no windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowsError {
    /// A window of no length.
    #[error("windows of {window_ns} ns: the length must be above 0")]
    Length {
        /// The length: nanoseconds.
        window_ns: i64,
    },
    /// The range has no time in it.
    #[error("the time from {from_ms} to {until_ms} ms is empty: the end must be later")]
    Empty {
        /// The beginning: milliseconds since the epoch.
        from_ms: u64,
        /// The end, which is not in it.
        until_ms: u64,
    },
    /// The windows are beyond what their numbers can count.
    #[error("the time until {until_ms} ms is beyond the last window of {window_ns} ns")]
    Beyond {
        /// The end: milliseconds since the epoch.
        until_ms: u64,
        /// The length of windows: nanoseconds.
        window_ns: i64,
    },
}

impl Windows {
    /// The windows of `window_ns` nanoseconds that touch the time from `from_ms` until before
    /// `until_ms`, in milliseconds since the epoch.
    ///
    /// # Errors
    /// Where the length or the range is empty, or the range is beyond the last window.
    pub fn touching(window_ns: i64, from_ms: u64, until_ms: u64) -> Result<Self, WindowsError> {
        if window_ns <= 0 {
            return Err(WindowsError::Length { window_ns });
        }
        if until_ms <= from_ms {
            return Err(WindowsError::Empty { from_ms, until_ms });
        }
        let window = |time_ns: i128| {
            i64::try_from(time_ns.div_euclid(window_ns.into()))
                .map_err(|_| WindowsError::Beyond { until_ms, window_ns })
        };
        let first = window(i128::from(from_ms) * NANOSECONDS)?;
        let last = window(i128::from(until_ms) * NANOSECONDS - 1)?;
        Ok(Self { window_ns, first, last })
    }

    /// The numbers of the windows.
    #[must_use]
    pub const fn numbers(&self) -> RangeInclusive<i64> {
        self.first..=self.last
    }

    /// The beginning of the first window: nanoseconds since the epoch.
    #[must_use]
    pub fn from_ns(&self) -> i128 {
        i128::from(self.first) * i128::from(self.window_ns)
    }

    /// The end of the last window, which is not in it: nanoseconds since the epoch.
    #[must_use]
    pub fn until_ns(&self) -> i128 {
        (i128::from(self.last) + 1) * i128::from(self.window_ns)
    }

    /// How much time was added before `from_ms` and after `until_ms`: nanoseconds. This is what a
    /// buyer gets beyond what he asked for.
    #[must_use]
    pub fn widened_ns(&self, from_ms: u64, until_ms: u64) -> (i128, i128) {
        let before = i128::from(from_ms) * NANOSECONDS - self.from_ns();
        (before, self.until_ns() - i128::from(until_ms) * NANOSECONDS)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const HOUR_NS: i64 = 3_600_000_000_000;

    #[test]
    fn a_range_is_widened_to_whole_windows_and_says_by_how_much() {
        let whole = Windows::touching(HOUR_NS, 5 * HOUR_MS, 7 * HOUR_MS).unwrap();
        assert_eq!(whole.numbers(), 5..=6);
        assert_eq!(whole.widened_ns(5 * HOUR_MS, 7 * HOUR_MS), (0, 0));
        let (from, until) = (5 * HOUR_MS + 1, 7 * HOUR_MS + 1);
        let wider = Windows::touching(HOUR_NS, from, until).unwrap();
        assert_eq!(wider.numbers(), 5..=7);
        let hour = i128::from(HOUR_NS);
        assert_eq!(wider.widened_ns(from, until), (1_000_000, hour - 1_000_000));
    }

    #[test]
    fn what_has_no_windows_is_refused_with_the_reason() {
        assert_eq!(Windows::touching(0, 0, 1), Err(WindowsError::Length { window_ns: 0 }));
        let empty = WindowsError::Empty { from_ms: 5, until_ms: 5 };
        assert_eq!(Windows::touching(1, 5, 5), Err(empty));
        let beyond = WindowsError::Beyond { until_ms: u64::MAX, window_ns: 1 };
        assert_eq!(Windows::touching(1, 0, u64::MAX), Err(beyond));
    }

    proptest! {
        #[test]
        fn the_windows_hold_the_range_and_none_is_too_many(
            window_ns in 1_000_000_i64.., from_ms: u64, length_ms in 1_u64..,
        ) {
            let from_ms = from_ms >> 1;
            let until_ms = from_ms + (length_ms >> 1).max(1);
            let windows = Windows::touching(window_ns, from_ms, until_ms).unwrap();
            let (before, after) = windows.widened_ns(from_ms, until_ms);
            prop_assert!((0..i128::from(window_ns)).contains(&before));
            prop_assert!((0..i128::from(window_ns)).contains(&after));
        }
    }
}
