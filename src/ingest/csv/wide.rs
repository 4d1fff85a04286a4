//! Wide rows: a time, perhaps a device and tags, and a value for each other column.

use std::collections::HashMap;

use chronolith_engine::{Kind, Metric};

use super::header::Header;
use super::split::Row;
use super::time::TimeColumn;
use crate::ingest::error::Reason;
use crate::ingest::intake::Intake;
use crate::ingest::key::push_part;
use crate::ingest::{
    At, DeviceSource, Format, IngestError, RecordSink, Refusal, SinkMetric, value,
};

/// Past so many metrics the cache of their numbers starts anew.
const MAX_SLOTS: usize = 4 << 20;

/// A value column.
struct Field {
    /// Its number in the row.
    column: usize,
    /// The kind that `--type` gives it.
    typed: Option<Kind>,
    /// The kind of its first value.
    seen: Option<Kind>,
}

/// A metric as the sink answered.
#[derive(Clone)]
enum Slot {
    Unasked,
    Known(SinkMetric, Kind),
    Refused(Refusal),
}

/// Reads wide rows.
pub(super) struct Wide {
    header: Header,
    time: TimeColumn,
    device_name: String,
    device: Option<usize>,
    tags: Vec<usize>,
    /// Value columns; until the time column is chosen, without all that may be it.
    fields: Vec<Field>,
    decided: bool,
    /// The slots of each device and tags: one for each field.
    groups: HashMap<String, usize>,
    slots: Vec<Slot>,
    key: String,
    last: (String, usize),
}

impl Wide {
    /// Finds the columns' roles.
    pub(super) fn new<S: RecordSink + ?Sized>(
        header: Header,
        intake: &Intake<'_, S>,
    ) -> Result<Self, IngestError> {
        let options = intake.options;
        let failed = |problem| intake.option_error(problem);
        let time = TimeColumn::new(&header, options).map_err(failed)?;
        let (mut device_name, mut device) = (String::new(), None);
        match &options.device {
            DeviceSource::Named(name) => device_name.clone_from(name),
            DeviceSource::Column(name) => {
                device = Some(header.require("--device-column", name).map_err(failed)?);
            }
            _ => device = header.find("device"),
        }
        let required = |name: &String| header.require("--tag-column", name);
        let tags: Result<Vec<usize>, _> = options.tag_columns.iter().map(required).collect();
        for (name, _) in &options.types {
            header.require("--type", name).map_err(failed)?;
        }
        Ok(Self {
            time,
            device_name,
            device,
            tags: tags.map_err(failed)?,
            fields: Vec::new(),
            decided: false,
            groups: HashMap::new(),
            slots: Vec::new(),
            key: String::new(),
            last: (String::new(), usize::MAX),
            header,
        })
    }

    /// What the user should know of how the file was read.
    pub(super) fn note(&self) -> Option<String> {
        self.time.note()
    }

    /// Takes one row.
    pub(super) fn row<S: RecordSink + ?Sized>(
        &mut self,
        row: Row<'_>,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        if !self.decided {
            let options = intake.options;
            let decided = self.time.decide(&row, &self.header, options);
            self.decided = decided.map_err(|problem| intake.option_error(problem))?;
            self.set_fields(intake);
        }
        let time_ns = match self.time.read(&row) {
            Ok(time_ns) => time_ns,
            Err((column, error)) => {
                self.without_time(&row, column, error.into(), intake);
                return Ok(());
            }
        };
        let base = self.group(&row);
        for index in 0..self.fields.len() {
            self.cell(&row, index, base, time_ns, intake);
        }
        self.extra_cells(&row, intake);
        intake.end_row(time_ns)
    }

    /// Lists the value columns: all that are no time, device or tag.
    fn set_fields<S: RecordSink + ?Sized>(&mut self, intake: &Intake<'_, S>) {
        let is_field = |column: &usize| {
            !self.time.is(*column) && self.device != Some(*column) && !self.tags.contains(column)
        };
        let typed = |column: usize| {
            let mut types = intake.options.types.iter();
            let found = types.find(|(name, _)| self.header.find(name) == Some(column));
            found.map(|(_, kind)| *kind)
        };
        let columns = (0..self.header.columns.len()).filter(is_field);
        self.fields =
            columns.map(|column| Field { column, typed: typed(column), seen: None }).collect();
    }

    /// A row whose time cannot be read: its values are rejected, at the time; where it has none,
    /// it is an empty row.
    fn without_time<S: RecordSink + ?Sized>(
        &self,
        row: &Row<'_>,
        column: usize,
        reason: Reason,
        intake: &mut Intake<'_, S>,
    ) {
        let filled = |field: &&Field| row.cell(field.column).is_some_and(|cell| !cell.is_empty());
        let values = self.fields.iter().filter(filled).count() as u64;
        intake.empty(self.fields.len() as u64 - values);
        let cell = row.cell(column);
        if values > 0 || cell.is_some_and(|cell| !cell.is_empty()) {
            let at = At::new(row.line, cell.map_or(0, |cell| cell.offset));
            intake.reject(at.named(&self.header.columns[column].header), values, reason);
        }
        self.extra_cells(row, intake);
        intake.end_row_without_records();
    }

    /// Rejects values beyond the last column.
    fn extra_cells<S: RecordSink + ?Sized>(&self, row: &Row<'_>, intake: &mut Intake<'_, S>) {
        for index in self.header.columns.len()..row.len() {
            if let Some(cell) = row.cell(index).filter(|cell| !cell.is_empty()) {
                let reason = Reason::syntax(
                    Format::Csv,
                    "the row has more values than the header has names",
                );
                intake.reject(At::new(row.line, cell.offset), 1, reason);
            }
        }
    }

    /// The first slot of the row's device and tags.
    fn group(&mut self, row: &Row<'_>) -> usize {
        self.key.clear();
        for column in self.device.iter().chain(&self.tags) {
            push_part(&mut self.key, row.cell(*column).map_or("", |cell| cell.text));
        }
        if self.last.1 != usize::MAX && self.last.0 == self.key {
            return self.last.1;
        }
        if self.slots.len() > MAX_SLOTS {
            self.slots.clear();
            self.groups.clear();
        }
        let base = self.groups.get(&self.key).copied().unwrap_or_else(|| {
            let base = self.slots.len();
            self.groups.insert(self.key.clone(), base);
            self.slots.resize(base + self.fields.len(), Slot::Unasked);
            base
        });
        self.last.0.clone_from(&self.key);
        self.last.1 = base;
        base
    }

    /// Takes one value.
    fn cell<S: RecordSink + ?Sized>(
        &mut self,
        row: &Row<'_>,
        index: usize,
        base: usize,
        time_ns: i64,
        intake: &mut Intake<'_, S>,
    ) {
        let column = self.fields[index].column;
        let Some(cell) = row.cell(column).filter(|cell| !cell.is_empty()) else {
            intake.empty(1);
            return;
        };
        if let Slot::Unasked = self.slots[base + index] {
            self.slots[base + index] = self.ask(row, index, cell.text, intake);
        }
        let header = &self.header.columns[column].header;
        let at = At::new(row.line, cell.offset).named(header);
        match &self.slots[base + index] {
            Slot::Known(metric, kind) => match value::read(cell.text, *kind) {
                Ok(value) => intake.record(*metric, time_ns, value.as_ref(), at),
                Err(error) => intake.reject(at, 1, error.of_column(header)),
            },
            Slot::Refused(refusal) => intake.reject(at, 1, refusal.clone()),
            Slot::Unasked => {}
        }
    }

    /// Asks the sink for the metric of a column and the row's device and tags.
    fn ask<S: RecordSink + ?Sized>(
        &mut self,
        row: &Row<'_>,
        index: usize,
        text: &str,
        intake: &mut Intake<'_, S>,
    ) -> Slot {
        let of = |column: usize| row.cell(column).map_or("", |cell| cell.text);
        let field = &mut self.fields[index];
        let column = &self.header.columns[field.column];
        let device = self.device.map_or(self.device_name.as_str(), of);
        let mut metric = Metric::new(device, &column.name);
        for tag in &self.tags {
            metric = metric.tag(&self.header.columns[*tag].name, of(*tag));
        }
        let metric = intake.with_tags(metric);
        let kind = field
            .typed
            .or_else(|| intake.known_kind(&metric))
            .unwrap_or_else(|| *field.seen.get_or_insert_with(|| value::kind_of(text)));
        match intake.metric(&metric, kind, &column.unit) {
            Ok(number) => Slot::Known(number, kind),
            Err(refusal) => Slot::Refused(refusal),
        }
    }
}
