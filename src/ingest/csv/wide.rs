//! Wide rows: a time, perhaps a device and tags, and a value for each other column.

use std::collections::HashMap;

use chronolith_engine::{Kind, Metric};

use super::columns::Columns;
use super::split::Row;
use crate::ingest::error::Reason;
use crate::ingest::intake::Intake;
use crate::ingest::key::push_part;
use crate::ingest::{At, IngestError, RecordSink, Refusal, SinkMetric};

/// Past so many metrics the cache of their numbers starts anew.
const MAX_SLOTS: usize = 4 << 20;

/// A value column.
#[derive(Clone, Copy)]
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
    columns: Columns,
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
        columns: Columns,
        intake: &Intake<'_, S>,
    ) -> Result<Self, IngestError> {
        let options = intake.options;
        let failed = |problem| intake.option_error(problem);
        let required = |name: &String| columns.header.require("--tag-column", name);
        let tags: Result<Vec<usize>, _> = options.tag_columns.iter().map(required).collect();
        for (name, _) in &options.types {
            columns.header.require("--type", name).map_err(failed)?;
        }
        Ok(Self {
            tags: tags.map_err(failed)?,
            fields: Vec::new(),
            decided: false,
            groups: HashMap::new(),
            slots: Vec::new(),
            key: String::new(),
            last: (String::new(), usize::MAX),
            columns,
        })
    }

    /// What the user should know of how the file was read.
    pub(super) fn notes(&self) -> Vec<String> {
        self.columns.notes()
    }

    /// Takes one row.
    pub(super) fn row<S: RecordSink + ?Sized>(
        &mut self,
        row: Row<'_>,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        if !self.decided {
            self.decided = self.columns.decide_time(&row, intake)?;
            self.set_fields(intake);
        }
        let time_ns = match self.columns.read_time(&row) {
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
        self.columns.reject_extra_cells(&row, intake);
        intake.end_row(time_ns)
    }

    /// Lists the value columns: all that are no time, device or tag.
    fn set_fields<S: RecordSink + ?Sized>(&mut self, intake: &Intake<'_, S>) {
        let is_field = |column: &usize| {
            let (columns, tags) = (&self.columns, &self.tags);
            !columns.is_time(*column) && columns.device != Some(*column) && !tags.contains(column)
        };
        let typed = |column: usize| {
            let mut types = intake.options.types.iter();
            let found = types.find(|(name, _)| self.columns.header.find(name) == Some(column));
            found.map(|(_, kind)| *kind)
        };
        let columns = (0..self.columns.header.columns.len()).filter(is_field);
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
            intake.reject(self.columns.at(row, column), values, reason);
        }
        self.columns.reject_extra_cells(row, intake);
        intake.end_row_without_records();
    }

    /// The first slot of the row's device and tags.
    fn group(&mut self, row: &Row<'_>) -> usize {
        self.key.clear();
        for column in self.columns.device.iter().chain(&self.tags) {
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
        let Field { column, typed, .. } = self.fields[index];
        let Some(cell) = row.cell(column).filter(|cell| cell.has_value(typed)) else {
            let is_text = matches!(self.slots[base + index], Slot::Known(_, Kind::Text));
            self.columns.empty_cell(row.cell(column), is_text, intake);
            return;
        };
        if let Slot::Unasked = self.slots[base + index] {
            self.slots[base + index] = self.ask(row, index, cell.text, intake);
        }
        let header = &self.columns.header.columns[column].header;
        let at = At::new(row.line, cell.offset).named(header);
        match &self.slots[base + index] {
            Slot::Known(metric, kind) => match self.columns.read_value(cell.text, *kind) {
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
        let Field { column, typed, seen } = self.fields[index];
        let column = &self.columns.header.columns[column];
        let mut metric = Metric::new(self.columns.device(row), &column.name);
        for tag in &self.tags {
            metric = metric.tag(&self.columns.header.columns[*tag].name, of(*tag));
        }
        let metric = intake.with_tags(metric);
        let unit = column.unit.clone();
        let kind = match typed.or_else(|| intake.known_kind(&metric)).or(seen) {
            Some(kind) => kind,
            None => *self.fields[index].seen.insert(self.columns.kind_of(text)),
        };
        match intake.metric(&metric, kind, &unit) {
            Ok(number) => Slot::Known(number, kind),
            Err(refusal) => Slot::Refused(refusal),
        }
    }
}
