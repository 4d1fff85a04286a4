//! What every format needs on the way to the sink: counting, rejecting, closing rows.

use chronolith_engine::{Kind, Metric, ValueRef};

use super::{
    At, Format, IngestError, IngestOptions, Reason, RecordSink, Refusal, Report, SinkMetric,
    Summary,
};

/// Counts the rows and records of one file on their way to the sink.
pub(super) struct Intake<'a, S: ?Sized> {
    /// What messages call the file.
    pub(super) name: &'a str,
    pub(super) format: Format,
    pub(super) options: &'a IngestOptions,
    sink: &'a mut S,
    report: &'a mut Report,
    summary: Summary,
    last_time_ns: Option<i64>,
    accepted_in_row: u64,
    row_rejected: bool,
}

impl<'a, S: RecordSink + ?Sized> Intake<'a, S> {
    pub(super) const fn new(
        name: &'a str,
        format: Format,
        options: &'a IngestOptions,
        sink: &'a mut S,
        report: &'a mut Report,
    ) -> Self {
        Self {
            name,
            format,
            options,
            sink,
            report,
            summary: Summary::new(format),
            last_time_ns: None,
            accepted_in_row: 0,
            row_rejected: false,
        }
    }

    /// Looks up a metric in the sink.
    pub(super) fn metric(
        &mut self,
        metric: &Metric,
        kind: Kind,
        unit: &str,
    ) -> Result<SinkMetric, Refusal> {
        self.sink.metric(metric, kind, unit)
    }

    /// The kind of a metric that the sink has already.
    pub(super) fn known_kind(&mut self, metric: &Metric) -> Option<Kind> {
        self.sink.known_kind(metric)
    }

    /// Hands over one record, and counts it as accepted or rejected.
    #[inline]
    pub(super) fn record(
        &mut self,
        metric: SinkMetric,
        time_ns: i64,
        value: ValueRef<'_>,
        at: At<'_>,
    ) {
        match self.sink.record(metric, time_ns, value) {
            Ok(()) => self.accepted_in_row += 1,
            Err(refusal) => self.reject(at, 1, refusal),
        }
    }

    /// Rejects so many records of the present row.
    pub(super) fn reject(&mut self, at: At<'_>, records: u64, reason: impl Into<Reason>) {
        self.row_rejected = true;
        self.summary.rejected += records;
        self.report.reject(at, records, reason);
    }

    /// Counts cells without a value.
    pub(super) const fn empty(&mut self, cells: u64) {
        self.summary.empty += cells;
    }

    /// Counts values that the format has no place for.
    pub(super) const fn skip_values(&mut self, values: u64) {
        self.summary.skipped += values;
    }

    /// Closes a row whose records had this time.
    #[inline]
    pub(super) fn end_row(&mut self, time_ns: i64) -> Result<(), IngestError> {
        if self.accepted_in_row == 0 {
            self.end_row_without_records();
            return Ok(());
        }
        self.summary.equal_times += u64::from(self.last_time_ns == Some(time_ns));
        self.last_time_ns = Some(time_ns);
        self.summary.saw_time(time_ns);
        self.summary.accepted += self.accepted_in_row;
        self.accepted_in_row = 0;
        self.end_row_without_records();
        self.sink.end_row()
    }

    /// Closes a row that gave no record: rejected or empty.
    #[inline]
    pub(super) fn end_row_without_records(&mut self) {
        self.summary.rows += 1;
        if self.row_rejected {
            self.summary.rows_rejected += 1;
            self.row_rejected = false;
        } else {
            self.summary.rows_accepted += 1;
        }
    }

    /// Rejects a whole row.
    pub(super) fn reject_row(&mut self, at: At<'_>, records: u64, reason: impl Into<Reason>) {
        self.reject(at, records, reason);
        self.end_row_without_records();
    }

    /// Counts a row that holds no records by its nature.
    pub(super) const fn skip_row(&mut self) {
        self.summary.rows += 1;
        self.summary.rows_skipped += 1;
    }

    /// Tells the user something of how the file was read.
    pub(super) fn note(&mut self, note: String) {
        self.summary.notes.push(note);
    }

    /// An error for options that do not fit the file.
    pub(super) fn option_error(&self, problem: impl Into<String>) -> IngestError {
        IngestError::Option { file: self.name.to_owned(), problem: problem.into() }
    }

    /// The tags of every metric, on a metric.
    pub(super) fn with_tags(&self, mut metric: Metric) -> Metric {
        for (key, value) in &self.options.tags {
            if metric.tag_value(key).is_none() {
                metric = metric.tag(key, value);
            }
        }
        metric
    }

    /// The counts of the file.
    pub(super) fn finish(self) -> Summary {
        self.summary
    }
}
