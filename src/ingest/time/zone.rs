//! Wall clocks: civil times of a zone, through the changes of daylight saving.
//!
//! In the hour that a clock shows twice, the earlier of the two moments is meant, until the clock
//! of the file steps back: where a row's earlier moment lies more than [`JITTER_NS`] before the
//! row above, and its later moment does not, the later one is meant, and so it is for the rows
//! that follow in the hour. So a log whose clock goes from 01:59 to 01:00 goes on rising. A file
//! whose times are in no order gets the earlier moments.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::TimeError;
use crate::ingest::error::shown;

/// How far back a row may step without meaning that the clock was set back: one minute.
const JITTER_NS: i64 = 60_000_000_000;

/// Turns civil times into moments, in the order of a file.
pub(super) struct WallClock {
    /// None is UTC.
    zone: Option<TimeZone>,
    last_ns: Option<i64>,
    /// Whether the row above was in the second of two equal hours.
    in_second: bool,
    /// Whether rows stepped back where clocks do not: the file is in no order, or falls.
    falls: bool,
}

impl WallClock {
    pub(super) const fn new(zone: Option<TimeZone>) -> Self {
        Self { zone, last_ns: None, in_second: false, falls: false }
    }

    /// Remembers the moment of a row that stated its offset.
    pub(super) const fn saw(&mut self, time_ns: i64) {
        self.last_ns = Some(time_ns);
    }

    /// What the clock shows at a moment, as if it were of UTC.
    pub(super) fn civil_ns(&self, time_ns: i64) -> i64 {
        let Some(zone) = &self.zone else { return time_ns };
        let Ok(timestamp) = Timestamp::from_nanosecond(time_ns.into()) else { return time_ns };
        let offset_s = i64::from(zone.to_offset(timestamp).seconds());
        time_ns.saturating_add(offset_s * 1_000_000_000)
    }

    /// The moment of a civil time.
    pub(super) fn resolve(&mut self, civil: DateTime, text: &str) -> Result<i64, TimeError> {
        let Some(zone) = &self.zone else {
            return moment(civil, Offset::UTC, text);
        };
        let mut in_second = false;
        let time_ns = match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                let time_ns = moment(civil, offset, text)?;
                self.falls |= self.steps_back_to(time_ns);
                time_ns
            }
            AmbiguousOffset::Gap { .. } => {
                let zone = zone.iana_name().unwrap_or("the zone").to_owned();
                return Err(TimeError::Skipped { text: shown(text), zone });
            }
            AmbiguousOffset::Fold { before, after } => {
                let earlier = moment(civil, before, text)?;
                let later = moment(civil, after, text)?;
                let is_later = self.in_second || self.steps_back_to(earlier);
                in_second = is_later && !self.falls && !self.steps_back_to(later);
                if in_second { later } else { earlier }
            }
        };
        self.in_second = in_second;
        self.last_ns = Some(time_ns);
        Ok(time_ns)
    }
}

impl WallClock {
    fn steps_back_to(&self, time_ns: i64) -> bool {
        self.last_ns.is_some_and(|last| time_ns < last.saturating_sub(JITTER_NS))
    }
}

fn moment(civil: DateTime, offset: Offset, text: &str) -> Result<i64, TimeError> {
    let timestamp = offset.to_timestamp(civil).map_err(|_| TimeError::out_of_range(text))?;
    i64::try_from(timestamp.as_nanosecond()).map_err(|_| TimeError::out_of_range(text))
}
