//! The watermark: up to where event time has come, and what does not move it.
//!
//! A record whose time is further ahead of the clock than `max_ahead` is kept and answered as any
//! other, but it does not move the watermark: one device whose clock stands in the year 2099 must not
//! close every window for ever. Such a record is passed over for good. If it counted once the clock
//! has come near to it, a device that is always five hours ahead would make all others late.
//!
//! Neither does the watermark go back by itself, as when the clock is set: windows have been told to
//! be final by then. `REFRESH` does it, where the watermark is further ahead than anything may be.

use chronolith_engine::{Db, MetricId, ReadReport};

use super::error::ContinuousError;
use super::live::Live;

/// The time of the last record of a metric in a range.
fn last_time(db: &Db, metric: MetricId, range: (i64, i64)) -> Result<Option<i64>, ContinuousError> {
    let windows: Vec<_> = db.live().windows(metric, range.0..=range.1)?.collect();
    let mut report = ReadReport::default();
    for window in windows.into_iter().rev() {
        if let Some(time_ns) = window.times(&mut report)?.last() {
            return Ok(Some(*time_ns));
        }
    }
    Ok(None)
}

impl Live {
    /// The latest event time less the lateness that is allowed: what is before it has come.
    pub(super) fn watermark_ns(&self) -> Option<i64> {
        let latest_ns = self.progress.latest_ns?;
        Some(latest_ns.saturating_sub(self.query.options.lateness_ns))
    }

    /// Says what time it is: nanoseconds since the epoch.
    pub(super) fn set_clock(&mut self, now_ns: i64) {
        let max_ahead_ns = self.query.options.max_ahead_ns;
        self.allowed_ns =
            max_ahead_ns.map_or(i64::MAX, |max_ahead_ns| now_ns.saturating_add(max_ahead_ns));
    }

    /// Moves the watermark on to a record, or counts it where it is too far ahead.
    pub(super) fn see(&mut self, time_ns: i64) {
        let conditions = &self.query.conditions;
        if time_ns < conditions.from_ns || time_ns > conditions.to_ns {
            return;
        }
        match time_ns > self.allowed_ns {
            true => self.progress.ahead += 1,
            false => self.progress.latest_ns = self.progress.latest_ns.max(Some(time_ns)),
        }
    }

    /// Moves the watermark on to the last record that is stored of a metric in a range and not too
    /// far ahead.
    pub(super) fn see_stored(
        &mut self,
        db: &Db,
        metric: MetricId,
        (first_ns, last_ns): (i64, i64),
    ) -> Result<(), ContinuousError> {
        let to_ns = last_ns.min(self.allowed_ns);
        let Some((from_ns, to_ns)) = self.query.conditions.clip(first_ns, to_ns) else {
            return Ok(());
        };
        let last_ns = match to_ns == last_ns {
            true => Some(last_ns),
            false => last_time(db, metric, (from_ns, to_ns))?,
        };
        self.progress.latest_ns = self.progress.latest_ns.max(last_ns);
        Ok(())
    }

    /// Counts the records of a metric that are too far ahead.
    pub(super) fn count_ahead(
        &mut self,
        db: &Db,
        metric: MetricId,
        last_ns: i64,
    ) -> Result<(), ContinuousError> {
        let Some(first_ns) = self.allowed_ns.checked_add(1) else { return Ok(()) };
        let Some((from_ns, to_ns)) = self.query.conditions.clip(first_ns, last_ns) else {
            return Ok(());
        };
        for block in db.scan(metric, from_ns..=to_ns)? {
            self.progress.ahead += block?.len() as u64;
        }
        Ok(())
    }

    /// Takes the watermark back to the records that are there, where it was led astray: by records
    /// that came while the clock was wrong, or before there was a bound. Windows that are open again
    /// by that are computed from the store.
    pub(super) fn mend_watermark(&mut self, db: &Db) -> Result<(), ContinuousError> {
        let astray_ns = self.progress.latest_ns;
        if astray_ns.is_none_or(|latest_ns| latest_ns <= self.allowed_ns) {
            return Ok(());
        }
        self.progress.latest_ns = None;
        let members = self.groups.iter().flat_map(|group| &group.members);
        let metrics: Vec<MetricId> = members.map(|member| member.id).collect();
        for metric in metrics {
            if let Some((last_ns, _)) = db.latest(metric)? {
                self.see_stored(db, metric, (i64::MIN, last_ns))?;
            }
        }
        let Some(watermark_ns) = self.watermark_ns() else {
            // Nothing says where it should be.
            self.progress.latest_ns = astray_ns;
            return Ok(());
        };
        // Sessions are kept for two gaps behind their last record.
        let gap_ns = self.query.windows.gap_ns().unwrap_or(0);
        let from_ns = watermark_ns.saturating_sub(gap_ns.saturating_mul(2));
        for group in 0..self.groups.len() {
            self.note_always(group, from_ns, i64::MAX);
        }
        Ok(())
    }
}
