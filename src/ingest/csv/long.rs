//! Long rows: each is one record, with columns that name its metric and its value. The header
//! `time,device,metric,value` of `chronolith export` is such a file; further columns are tags.
//!
//! The export's own rules: a time that is a number is in nanoseconds; a quoted value is text; a
//! fifth column `kind` says the kind of the value.

use std::collections::HashMap;

use chronolith_engine::{Kind, Metric};

use super::header::Header;
use super::split::{Cell, Row};
use super::time::TimeColumn;
use crate::ingest::error::Reason;
use crate::ingest::intake::Intake;
use crate::ingest::key::push_part;
use crate::ingest::{
    At, DeviceSource, Format, IngestError, RecordSink, Refusal, SinkMetric, TimeError, value,
};

/// Past so many metrics the cache of their numbers starts anew.
const MAX_METRICS: usize = 1 << 20;

/// Reads long rows.
pub(super) struct Long {
    header: Header,
    time: TimeColumn,
    device_name: String,
    device: Option<usize>,
    metric: usize,
    value: usize,
    kind: Option<usize>,
    export: bool,
    /// Tag columns, settled with the time column.
    tags: Option<Vec<usize>>,
    known: HashMap<String, (Kind, Result<SinkMetric, Refusal>)>,
    key: String,
}

impl Long {
    /// Finds the columns' roles.
    pub(super) fn new<S: RecordSink + ?Sized>(
        header: Header,
        intake: &Intake<'_, S>,
    ) -> Result<Self, IngestError> {
        let options = intake.options;
        let failed = |problem| intake.option_error(problem);
        let column = |option, name: &Option<String>, usual| match name {
            Some(name) => header.require(option, name),
            None => header.require(option, usual),
        };
        let metric = column("--metric-column", &options.metric_column, "metric").map_err(failed)?;
        let value = column("--value-column", &options.value_column, "value").map_err(failed)?;
        let (device_name, device) = match &options.device {
            DeviceSource::Named(name) => (name.clone(), None),
            DeviceSource::Column(name) => {
                let column = header.require("--device-column", name).map_err(failed)?;
                (String::new(), Some(column))
            }
            _ => (String::new(), header.find("device")),
        };
        let time = TimeColumn::new(&header, options).map_err(failed)?;
        let export = header.is_export();
        let has_kind = export && header.columns.get(4).is_some_and(|other| other.header == "kind");
        Ok(Self {
            time,
            device_name,
            device,
            metric,
            value,
            kind: has_kind.then_some(4),
            export,
            tags: None,
            known: HashMap::new(),
            key: String::new(),
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
        let options = intake.options;
        let value = row.cell(self.value);
        let quoted_text = |cell: &Cell<'_>| self.export && cell.quoted;
        let Some(value) = value.filter(|cell| quoted_text(cell) || !cell.is_empty()) else {
            intake.empty(1);
            self.extra_cells(&row, intake);
            intake.end_row_without_records();
            return Ok(());
        };
        if self.tags.is_none() {
            let decided = self.time.decide(&row, &self.header, options);
            if decided.map_err(|problem| intake.option_error(problem))? {
                self.settle_tags(&row);
            }
        }
        match self.time.read(&row) {
            Ok(time_ns) => {
                self.record(&row, value, time_ns, intake);
                self.extra_cells(&row, intake);
                intake.end_row(time_ns)
            }
            Err((column, error)) => {
                let offset = row.cell(column).map_or(0, |cell| cell.offset);
                let at = At::new(row.line, offset).named(&self.header.columns[column].header);
                intake.reject(at, 1, error);
                self.extra_cells(&row, intake);
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
        let taken = [Some(self.metric), Some(self.value), self.device, self.kind];
        let is_tag = |column: &usize| !self.time.is(*column) && !taken.contains(&Some(*column));
        self.tags = Some((0..self.header.columns.len()).filter(is_tag).collect());
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
            let offset = row.cell(self.metric).map_or(0, |cell| cell.offset);
            let at = At::new(row.line, offset).named(&self.header.columns[self.metric].header);
            intake.reject(at, 1, Reason::syntax(Format::Csv, "the row names no metric"));
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
        let at = At::new(row.line, cell.offset).named(&self.header.columns[self.value].header);
        match self.known.get(&self.key) {
            Some((kind, Ok(metric))) => match value::read(cell.text, *kind) {
                Ok(value) => intake.record(*metric, time_ns, value.as_ref(), at),
                Err(error) => intake.reject(at, 1, error.of_column(name)),
            },
            Some((_, Err(refusal))) => intake.reject(at, 1, refusal.clone()),
            None => intake.reject(at, 1, TimeError::Missing),
        }
    }

    /// What tells the row's metric from others.
    fn make_key(&mut self, row: &Row<'_>) {
        self.key.clear();
        let tags = self.tags.iter().flatten();
        for column in self.device.iter().chain([&self.metric]).chain(&self.kind).chain(tags) {
            push_part(&mut self.key, row.cell(*column).map_or("", |cell| cell.text));
        }
    }

    /// Asks the sink for the row's metric.
    fn ask<S: RecordSink + ?Sized>(
        &self,
        row: &Row<'_>,
        name: &str,
        value: Cell<'_>,
        intake: &mut Intake<'_, S>,
    ) -> (Kind, Result<SinkMetric, Refusal>) {
        let of = |column: usize| row.cell(column).map_or("", |cell| cell.text);
        let device = self.device.map_or(self.device_name.as_str(), of);
        let mut metric = Metric::new(device, name);
        for tag in self.tags.iter().flatten() {
            metric = metric.tag(&self.header.columns[*tag].name, of(*tag));
        }
        let metric = intake.with_tags(metric);
        let mut types = intake.options.types.iter();
        let typed = types.find(|(typed, _)| typed == name).map(|(_, kind)| *kind);
        let kind = typed
            .or_else(|| self.kind.and_then(|column| of(column).parse().ok()))
            .or_else(|| intake.known_kind(&metric))
            .unwrap_or_else(|| match self.export && value.quoted {
                true => Kind::Text,
                false => value::kind_of(value.text),
            });
        (kind, intake.metric(&metric, kind, ""))
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
}
