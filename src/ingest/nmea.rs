//! NMEA 0183: positions, speeds and courses of a GPS receiver.
//!
//! RMC, GGA, GLL, VTG, ZDA and HDT are read, of any talker; other sentences are passed over. The
//! date comes from RMC and ZDA; a sentence that states only the time of day gets the date that is
//! nearest to the sentence before, so that midnight is passed. Sentences before the first date are
//! held until it comes; where none comes, the first of them gets the date of `--start`.

mod sentence;

use chronolith_engine::{Kind, Metric, ValueRef};

use super::input::Source;
use super::intake::Intake;
use super::lines::each_line;
use super::time::{DAY_NS, nearest_of_day, on_day_of};
use super::{At, DeviceSource, IngestError, Reason, RecordSink, Refusal, SinkMetric};
use sentence::{Parsed, Quantity, Reading};

/// How many sentences are held while no date is known.
const MAX_HELD: usize = 1024;

/// Reads the whole input.
pub(super) fn run<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &mut Intake<'_, S>,
) -> Result<(), IngestError> {
    let options = intake.options;
    let device = match &options.device {
        DeviceSource::Usual => String::new(),
        DeviceSource::Named(name) => name.clone(),
        DeviceSource::Column(_) | DeviceSource::Tag(_) => {
            return Err(intake.option_error("NMEA names no device; give --device NAME"));
        }
    };
    let mut receiver = Receiver::new(device, options.start_ns);
    let read = each_line(source, intake, |text, number, intake| {
        match sentence::parse(text) {
            Ok(Parsed::Other) => intake.skip_row(),
            Ok(Parsed::Reading(reading)) => receiver.take(reading, number, intake)?,
            Err((at, reason)) => intake.reject_row(At::new(number, at), 1, reason),
        }
        Ok(())
    });
    let held = receiver.release_by_start(intake);
    read.and(held)
}

/// Whether a line is a sentence with a right checksum, for the detection of formats.
pub(super) fn looks_like(line: &str) -> bool {
    line.starts_with(['$', '!']) && sentence::parse(line).is_ok()
}

/// What is known of the receiver's clock, and its metrics.
struct Receiver {
    device: String,
    /// What `--start` says, for sentences that no date comes before or behind.
    start_ns: Option<i64>,
    /// The time of the last sentence that had one.
    last_ns: Option<i64>,
    /// The time of day of the last sentence, while no date is known.
    last_time_of_day_ns: Option<i64>,
    held: Vec<(u64, i64, Reading)>,
    metrics: [Option<Result<SinkMetric, Refusal>>; Quantity::COUNT],
}

impl Receiver {
    const fn new(device: String, start_ns: Option<i64>) -> Self {
        Self {
            device,
            start_ns,
            last_ns: None,
            last_time_of_day_ns: None,
            held: Vec::new(),
            metrics: [const { None }; Quantity::COUNT],
        }
    }

    /// Takes what a sentence says.
    fn take<S: RecordSink + ?Sized>(
        &mut self,
        reading: Reading,
        line: u64,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        if self.held.len() >= MAX_HELD && self.start_ns.is_some() {
            self.release_by_start(intake)?;
        }
        intake.empty(reading.empty);
        if let (Some(day), Some(time_of_day)) = (reading.day, reading.time_of_day_ns) {
            let time_ns = day.checked_mul(DAY_NS).and_then(|day| day.checked_add(time_of_day));
            if let Some(time_ns) = time_ns {
                self.release(time_ns, intake)?;
                self.last_ns = Some(time_ns);
                return self.record(&reading, time_ns, line, intake);
            }
        }
        if reading.values.is_empty() {
            intake.end_row_without_records();
            return Ok(());
        }
        self.last_time_of_day_ns = reading.time_of_day_ns.or(self.last_time_of_day_ns);
        match (self.last_ns, reading.time_of_day_ns, self.last_time_of_day_ns) {
            (Some(last), Some(time_of_day), _) => {
                let time_ns = nearest_of_day(last, time_of_day);
                self.last_ns = Some(time_ns);
                self.record(&reading, time_ns, line, intake)
            }
            (Some(last), None, _) => self.record(&reading, last, line, intake),
            (None, _, Some(time_of_day)) if self.held.len() < MAX_HELD => {
                self.held.push((line, time_of_day, reading));
                Ok(())
            }
            _ => {
                reject_undated(&reading, line, intake);
                Ok(())
            }
        }
    }

    /// Records what was held before the first date.
    fn release<S: RecordSink + ?Sized>(
        &mut self,
        time_ns: i64,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        for (line, time_of_day, reading) in std::mem::take(&mut self.held) {
            self.record(&reading, nearest_of_day(time_ns, time_of_day), line, intake)?;
        }
        Ok(())
    }

    /// Records what was held from the date of `--start` on; rejects it where there is none.
    fn release_by_start<S: RecordSink + ?Sized>(
        &mut self,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        let held = std::mem::take(&mut self.held);
        let Some(start_ns) = self.start_ns.filter(|_| !held.is_empty()) else {
            held.iter().for_each(|(line, _, reading)| reject_undated(reading, *line, intake));
            return Ok(());
        };
        let note = "the first sentences state no date (RMC or ZDA do); they have that of --start";
        intake.note(note.to_owned());
        for (line, time_of_day, reading) in held {
            let time_ns = match self.last_ns {
                Some(last) => nearest_of_day(last, time_of_day),
                None => on_day_of(start_ns, time_of_day),
            };
            self.last_ns = Some(time_ns);
            self.record(&reading, time_ns, line, intake)?;
        }
        Ok(())
    }

    fn record<S: RecordSink + ?Sized>(
        &mut self,
        reading: &Reading,
        time_ns: i64,
        line: u64,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        for value in &reading.values {
            let quantity = value.quantity;
            let slot = self.metrics[quantity as usize].get_or_insert_with(|| {
                let metric = intake.with_tags(Metric::new(&self.device, quantity.name()));
                intake.metric(&metric, Kind::F64, quantity.unit())
            });
            let at = At::new(line, value.at).named(quantity.name());
            match slot {
                Ok(metric) => intake.record(*metric, time_ns, ValueRef::F64(value.number), at),
                Err(refusal) => intake.reject(at, 1, refusal.clone()),
            }
        }
        intake.end_row(time_ns)
    }
}

fn reject_undated<S: RecordSink + ?Sized>(
    reading: &Reading,
    line: u64,
    intake: &mut Intake<'_, S>,
) {
    let reason = Reason::Unusable(
        "no sentence has said the date yet (RMC or ZDA); give --start DATE".to_owned(),
    );
    intake.reject_row(At::new(line, 0), reading.values.len() as u64, reason);
}

#[cfg(test)]
mod tests;
