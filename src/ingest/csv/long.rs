//! Long rows: each is one record, with columns that name its metric and its value. The header
//! `time,device,metric,value` of `chronolith export` is such a file; further columns are tags.
//!
//! The export's own rules: a time that is a number is in nanoseconds; a quoted value is text; a
//! fifth column `kind` says the kind of the value, and a sixth `unit` behind it the metric's unit.

use std::collections::HashMap;

use chronolith_engine::{Kind, Metric};

use super::columns::Columns;
use super::split::{Cell, Row};
use crate::ingest::error::Reason;
use crate::ingest::intake::Intake;
use crate::ingest::key::push_part;
use crate::ingest::{At, Format, IngestError, RecordSink, Refusal, SinkMetric};

/// Past so many metrics the cache of their numbers starts anew.
const MAX_METRICS: usize = 1 << 20;

/// Reads long rows.
pub(super) struct Long {
    columns: Columns,
    metric: usize,
    value: usize,
    kind: Option<usize>,
    unit: Option<usize>,
    export: bool,
    /// Tag columns, settled with the time column.
    tags: Option<Vec<usize>>,
    known: HashMap<String, (Kind, Result<SinkMetric, Refusal>)>,
    key: String,
}

impl Long {
    /// Finds the columns' roles.
    pub(super) fn new<S: RecordSink + ?Sized>(
        columns: Columns,
        intake: &Intake<'_, S>,
    ) -> Result<Self, IngestError> {
        let (options, header) = (intake.options, &columns.header);
        let failed = |problem| intake.option_error(problem);
        let column = |option, name: &Option<String>, usual| match name {
            Some(name) => header.require(option, name),
            None => header.require(option, usual),
        };
        let metric = column("--metric-column", &options.metric_column, "metric").map_err(failed)?;
        let value = column("--value-column", &options.value_column, "value").map_err(failed)?;
        let export = header.is_export();
        let named = |index: usize, name: &str| {
            let column = header.columns.get(index);
            (export && column.is_some_and(|column| column.header == name)).then_some(index)
        };
        let kind = named(4, "kind");
        Ok(Self {
            metric,
            value,
            kind,
            unit: kind.and_then(|_| named(5, "unit")),
            export,
            tags: None,
            known: HashMap::new(),
            key: String::new(),
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
        let value = row.cell(self.value);
        let quoted_text = |cell: &Cell<'_>| self.export && cell.quoted;
        let Some(value) = value.filter(|cell| quoted_text(cell) || !cell.is_empty()) else {
            intake.empty(1);
            self.columns.reject_extra_cells(&row, intake);
            intake.end_row_without_records();
            return Ok(());
        };
        if self.tags.is_none() && self.columns.decide_time(&row, intake)? {
            self.settle_tags(&row);
        }
        match self.columns.read_time(&row) {
            Ok(time_ns) => {
                self.record(&row, value, time_ns, intake);
                self.columns.reject_extra_cells(&row, intake);
                intake.end_row(time_ns)
            }
            Err((column, error)) => {
                intake.reject(self.columns.at(&row, column), 1, error);
                self.columns.reject_extra_cells(&row, intake);
                intake.end_row_without_records();
                Ok(())
            }
        }
    }

    /// Once the time column is known, all columns without another role are tags.
    fn settle_tags(&mut self, row: &Row<'_>) {
        let is_kind =
            |column: usize| row.cell(column).is_some_and(|cell| cell.text.parse::<Kind>().is_ok());
        self.kind = self.kind.filter(|column| is_kind(*column));
        self.unit = self.unit.filter(|_| self.kind.is_some());
        let columns = &self.columns;
        let (metric, value) = (Some(self.metric), Some(self.value));
        let taken = [metric, value, columns.device, self.kind, self.unit];
        let is_tag = |column: &usize| !columns.is_time(*column) && !taken.contains(&Some(*column));
        self.tags = Some((0..columns.header.columns.len()).filter(is_tag).collect());
    }

    fn record<S: RecordSink + ?Sized>(
        &mut self,
        row: &Row<'_>,
        cell: Cell<'_>,
        time_ns: i64,
        intake: &mut Intake<'_, S>,
    ) {
        let name = row.cell(self.metric).map_or("", |cell| cell.text);
        if name.is_empty() {
            let reason = Reason::syntax(Format::Csv, "the row names no metric");
            intake.reject(self.columns.at(row, self.metric), 1, reason);
            return;
        }
        self.make_key(row);
        if !self.known.contains_key(&self.key) {
            let answer = self.ask(row, name, cell, intake);
            if self.known.len() >= MAX_METRICS {
                self.known.clear();
            }
            self.known.insert(self.key.clone(), answer);
        }
        let header = &self.columns.header.columns[self.value].header;
        let at = At::new(row.line, cell.offset).named(header);
        match self.known.get(&self.key) {
            Some((kind, Ok(metric))) => match self.columns.read_value(cell.text, *kind) {
                Ok(value) => intake.record(*metric, time_ns, value.as_ref(), at),
                Err(error) => intake.reject(at, 1, error.of_column(name)),
            },
            Some((_, Err(refusal))) => intake.reject(at, 1, refusal.clone()),
            None => {}
        }
    }

    /// What tells the row's metric from others.
    fn make_key(&mut self, row: &Row<'_>) {
        self.key.clear();
        let tags = self.tags.iter().flatten();
        let roles = self.columns.device.iter().chain([&self.metric]).chain(&self.kind);
        for column in roles.chain(tags) {
            push_part(&mut self.key, row.cell(*column).map_or("", |cell| cell.text));
        }
    }

    /// Asks the sink for the row's metric.
    fn ask<S: RecordSink + ?Sized>(
        &mut self,
        row: &Row<'_>,
        name: &str,
        value: Cell<'_>,
        intake: &mut Intake<'_, S>,
    ) -> (Kind, Result<SinkMetric, Refusal>) {
        let of = |column: usize| row.cell(column).map_or("", |cell| cell.text);
        let mut metric = Metric::new(self.columns.device(row), name);
        for tag in self.tags.iter().flatten() {
            metric = metric.tag(&self.columns.header.columns[*tag].name, of(*tag));
        }
        let metric = intake.with_tags(metric);
        let mut types = intake.options.types.iter();
        let typed = types.find(|(typed, _)| typed == name).map(|(_, kind)| *kind);
        let kind = typed
            .or_else(|| self.kind.and_then(|column| of(column).parse().ok()))
            .or_else(|| intake.known_kind(&metric))
            .unwrap_or_else(|| match self.export && value.quoted {
                true => Kind::Text,
                false => self.columns.kind_of(value.text),
            });
        let unit = self.unit.map_or("", of);
        (kind, intake.metric(&metric, kind, unit))
    }
}
