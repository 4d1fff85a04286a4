//! Rows: the cells of batches on their way to the sink.

use std::collections::HashMap;

use chronolith_engine::{Kind, Metric};
use chronolith_query::arrow::array::{Array, ArrayRef};
use chronolith_query::arrow::datatypes::FieldRef;

use super::cells::{Cells, Shape, shape, text_bytes};
use super::guarded;
use super::roles::Roles;
use super::time::Times;
use crate::ingest::csv::header::Header;
use crate::ingest::error::Reason;
use crate::ingest::intake::Intake;
use crate::ingest::key::push_part;
use crate::ingest::{At, IngestError, RecordSink, Refusal, SinkMetric, TimeError};

/// Past so many metrics the cache of their numbers starts anew.
const MAX_SLOTS: usize = 4 << 20;

/// A column of values.
struct Field {
    column: usize,
    shape: Shape,
    typed: Option<Kind>,
}

/// A metric as the sink answered.
enum Slot {
    Unasked,
    Known(SinkMetric, Kind),
    Refused(Refusal),
}

/// Takes the rows of a file.
pub(super) struct Rows {
    header: Header,
    roles: Roles,
    fields: Vec<Field>,
    /// Columns that metrics cannot hold.
    unfit: Vec<usize>,
    /// The shapes of columns that are read as text: device, tags, name, unit, blob.
    labels: Vec<(usize, Shape)>,
    /// The slots of each device, tags and name: one for each field.
    groups: HashMap<String, usize>,
    slots: Vec<Slot>,
    key: String,
    last: (String, usize),
    number: u64,
    notes: Vec<String>,
}

/// The cells of a batch.
struct Batch {
    times: Times,
    labels: HashMap<usize, Cells>,
    fields: Vec<Cells>,
}

impl Batch {
    fn label(&self, column: Option<usize>, row: usize) -> std::borrow::Cow<'_, str> {
        let cells = column.and_then(|column| self.labels.get(&column));
        cells.map_or_else(Default::default, |cells| cells.text(row))
    }
}

impl Rows {
    /// Finds the columns' roles.
    pub(super) fn new<S: RecordSink + ?Sized>(
        fields: &[FieldRef],
        intake: &Intake<'_, S>,
    ) -> Result<Self, IngestError> {
        let options = intake.options;
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let header = Header::new(&names);
        let failed = |problem| intake.option_error(problem);
        let roles = Roles::new(&header, fields, options).map_err(failed)?;
        let (mut values, mut unfit, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for column in &roles.values {
            let (name, data_type) = (fields[*column].name(), fields[*column].data_type());
            let mut types = options.types.iter();
            let typed = types.find(|(typed, _)| header.find(typed) == Some(*column));
            let typed = typed.map(|(_, kind)| *kind);
            let Some(shape) = shape(data_type) else {
                notes.push(format!(
                    "column {name:?} is of the type {data_type}, which metrics cannot hold; \
                     its values are left out"
                ));
                unfit.push(*column);
                continue;
            };
            if shape.is_decimal && typed.is_none() {
                notes.push(format!(
                    "column {name:?} holds decimals ({data_type}), which are kept as the nearest \
                     f64; --type {name}=text keeps every digit"
                ));
            }
            values.push(Field { column: *column, shape, typed });
        }
        let single = [roles.device, roles.name, roles.unit, roles.blob].into_iter().flatten();
        let mut labels = Vec::new();
        for column in single.chain(roles.tags.iter().map(|(column, _)| *column)) {
            let data_type = fields[column].data_type();
            let shape = shape(data_type).ok_or_else(|| {
                let name = fields[column].name();
                failed(format!("column {name:?} is of the type {data_type} and names nothing"))
            })?;
            labels.push((column, shape));
        }
        Ok(Self {
            header,
            roles,
            fields: values,
            unfit,
            labels,
            groups: HashMap::new(),
            slots: Vec::new(),
            key: String::new(),
            last: (String::new(), usize::MAX),
            number: 0,
            notes,
        })
    }

    /// The number of the last row that was taken, from 1.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// What the user should know of how the file was read.
    pub(super) fn notes(self) -> Vec<String> {
        let Self { mut notes, roles, .. } = self;
        notes.extend(roles.time.note());
        notes
    }

    /// Takes the rows of one batch.
    pub(super) fn batch<S: RecordSink + ?Sized>(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        let line = self.number;
        let failed = |problem: String| IngestError::batches(intake.name, line, problem);
        let most = intake.options.max_batch_bytes as u64;
        let batch = guarded(|| self.cells(columns, most)).map_err(failed)?;
        for row in 0..rows {
            self.number += 1;
            self.row(&batch, columns, row, intake)?;
        }
        Ok(())
    }

    /// The cells of a batch, whose texts are at most so long together in each column.
    fn cells(&self, columns: &[ArrayRef], most: u64) -> Result<Batch, String> {
        if columns.len() != self.header.columns.len() {
            return Err("a batch has other columns than the schema".to_owned());
        }
        for (column, own) in columns.iter().zip(&self.header.columns) {
            // One text may be that of all rows, which would each have it.
            let bytes = text_bytes(column).map_err(|error| error.to_string())?;
            if bytes > most {
                let name = &own.header;
                return Err(format!("column {name:?} has texts of {bytes} bytes in one batch"));
            }
        }
        let read = |column: usize, shape: &Shape| {
            let name = &self.header.columns[column].header;
            let cells = Cells::new(&columns[column], shape);
            cells.map_err(|error| format!("column {name:?} cannot be read: {error}"))
        };
        let labels = self.labels.iter().map(|(at, shape)| Ok((*at, read(*at, shape)?)));
        let fields = self.fields.iter().map(|field| read(field.column, &field.shape));
        Ok(Batch {
            times: self.roles.time.times(columns).map_err(|error| error.to_string())?,
            labels: labels.collect::<Result<_, String>>()?,
            fields: fields.collect::<Result<_, String>>()?,
        })
    }

    fn row<S: RecordSink + ?Sized>(
        &mut self,
        batch: &Batch,
        columns: &[ArrayRef],
        row: usize,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        let filled = batch.fields.iter().filter(|cells| !cells.is_empty(row)).count() as u64;
        // Where a row is one record, columns of other kinds are no empty cells.
        let cells =
            if self.roles.name.is_some() { filled.max(1) } else { self.fields.len() as u64 };
        let unfit = self.unfit.iter().filter(|column| !columns[**column].is_null(row)).count();
        intake.skip_values(unfit as u64);
        intake.empty(cells - filled + (self.unfit.len() - unfit) as u64);
        let time_ns = match self.roles.time.read(&batch.times, row) {
            Ok(time_ns) => time_ns,
            Err(error) => {
                // A row without time and values is an empty one.
                if filled > 0 || error != TimeError::Missing {
                    intake.reject(self.at(self.roles.time.column), filled, error);
                }
                intake.end_row_without_records();
                return Ok(());
            }
        };
        let is_blob = filled == 0 && !batch.label(self.roles.blob, row).is_empty();
        if let Some(column) = self.roles.blob.filter(|_| is_blob) {
            let reason = "the value is a blob, whose bytes the file does not hold; \
                          use backup to copy a database with its blobs";
            intake.reject(self.at(column), 1, Reason::Unusable(reason.to_owned()));
        }
        if filled > 0 && self.has_name(batch, row, filled, intake) {
            let base = self.group(batch, row);
            for index in 0..self.fields.len() {
                self.cell(batch, row, index, base, time_ns, intake);
            }
        }
        intake.end_row(time_ns)
    }

    /// The place of a cell of the present row: its number, and that of the column.
    fn at(&self, column: usize) -> At<'_> {
        At::new(self.number, column).named(&self.header.columns[column].header)
    }

    /// Whether the row names its metric, where it should.
    fn has_name<S: RecordSink + ?Sized>(
        &self,
        batch: &Batch,
        row: usize,
        filled: u64,
        intake: &mut Intake<'_, S>,
    ) -> bool {
        let Some(column) = self.roles.name else { return true };
        let has_name = !batch.label(Some(column), row).is_empty();
        if !has_name {
            let reason = Reason::Unusable("the row names no metric".to_owned());
            intake.reject(self.at(column), filled, reason);
        }
        has_name
    }

    /// The first slot of the row's device, tags and name.
    fn group(&mut self, batch: &Batch, row: usize) -> usize {
        self.key.clear();
        let Roles { device, name, unit, tags, .. } = &self.roles;
        let single = device.iter().chain(name).chain(unit).copied();
        for column in single.chain(tags.iter().map(|(column, _)| *column)) {
            push_part(&mut self.key, &batch.label(Some(column), row));
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
            self.slots.resize_with(base + self.fields.len(), || Slot::Unasked);
            base
        });
        self.last.0.clone_from(&self.key);
        self.last.1 = base;
        base
    }

    fn cell<S: RecordSink + ?Sized>(
        &mut self,
        batch: &Batch,
        row: usize,
        index: usize,
        base: usize,
        time_ns: i64,
        intake: &mut Intake<'_, S>,
    ) {
        let cells = &batch.fields[index];
        if cells.is_empty(row) {
            return;
        }
        if let Slot::Unasked = self.slots[base + index] {
            self.slots[base + index] = self.ask(batch, row, index, intake);
        }
        let column = self.fields[index].column;
        let at = self.at(column);
        match &self.slots[base + index] {
            Slot::Known(metric, kind) => match cells.value(row, *kind) {
                Ok(value) => intake.record(*metric, time_ns, value.as_ref(), at),
                Err(error) => {
                    intake.reject(at, 1, error.of_column(&self.header.columns[column].header));
                }
            },
            Slot::Refused(refusal) => intake.reject(at, 1, refusal.clone()),
            Slot::Unasked => {}
        }
    }

    /// Asks the sink for the metric of a column and the row's device, tags and name.
    fn ask<S: RecordSink + ?Sized>(
        &self,
        batch: &Batch,
        row: usize,
        index: usize,
        intake: &mut Intake<'_, S>,
    ) -> Slot {
        let Field { column, shape, typed } = &self.fields[index];
        let own = &self.header.columns[*column];
        let device = match self.roles.device {
            Some(column) => batch.label(Some(column), row).into_owned(),
            None => self.roles.device_name.clone(),
        };
        let name = match self.roles.name {
            Some(column) => batch.label(Some(column), row).into_owned(),
            None => own.name.clone(),
        };
        let unit = match (self.roles.unit, own.unit.as_str()) {
            (Some(column), _) => batch.label(Some(column), row).into_owned(),
            (None, "") => shape.unit.to_owned(),
            (None, unit) => unit.to_owned(),
        };
        let mut types = intake.options.types.iter();
        let named = types.find(|(typed, _)| self.roles.name.is_some() && *typed == name);
        let mut metric = Metric::new(device, name);
        for (column, key) in &self.roles.tags {
            metric = metric.tag(key, batch.label(Some(*column), row));
        }
        let metric = intake.with_tags(metric);
        let kind = typed
            .or_else(|| named.map(|(_, kind)| *kind))
            .or_else(|| intake.known_kind(&metric))
            .unwrap_or(shape.kind);
        match intake.metric(&metric, kind, &unit) {
            Ok(number) => Slot::Known(number, kind),
            Err(refusal) => Slot::Refused(refusal),
        }
    }
}
