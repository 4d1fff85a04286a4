//! Writing: check, log, apply, wait.

use std::borrow::Cow;
use std::sync::Arc;

use crate::batch::Batch;
use crate::db::{Db, Inner, Maintained};
use crate::error::WriteError;
use crate::model::{Definition, Kind, Metric, MetricId};
use crate::options::Durability;
use crate::protect::Purpose;
use crate::registry::{Defined, Registry};
use crate::wal::frame::Frame;
use crate::wal::payload::{Deletion, encode};
use crate::wal::{Sequence, Ticket, Wal};

/// The memory that the memtables may take for each metric there is: bytes.
const METRIC_BUDGET_BYTES: usize = 300;

impl Db {
    /// The metric's handle; the metric is made where it does not exist, with the default window,
    /// no unit and level 4. A metric of another kind is an error that names both.
    pub fn metric(&self, metric: Metric, kind: Kind) -> Result<MetricId, WriteError> {
        match self.find_metric(&metric) {
            Some(id) if id.kind() == kind => Ok(id),
            Some(id) => Err(WriteError::Redefined {
                metric: metric.to_string(),
                expected: id.kind(),
                found: kind,
            }),
            None => {
                let window_ns = self.inner.options.default_window_ns;
                self.define(Definition::new(metric, kind).window_ns(window_ns))
            }
        }
    }

    /// Makes a metric, or amends the unit, level, place or metadata of one that exists. The
    /// window is fixed for ever, and the level may only become stricter. What is said of a new metric
    /// goes through [`crate::Options::rules`].
    pub fn define(&self, definition: Definition) -> Result<MetricId, WriteError> {
        let wal = self.inner.log()?;
        let mut registry = self.inner.registry.write();
        let definition = match &self.inner.options.rules {
            Some(rules) if registry.find(&definition.metric).is_none() => rules(definition),
            _ => definition,
        };
        let number = match registry.check(&definition, &self.inner.options.limits)? {
            Some(number) => number,
            None => {
                let unchanged = registry.find(&definition.metric);
                return unchanged.ok_or(WriteError::TooManyMetrics(registry.len()));
            }
        };
        let id = MetricId::new(number, definition.kind);
        let defined = Defined { metric: number, definition: Arc::new(definition) };
        let frame = self.inner.frame(std::slice::from_ref(&defined), &[], &Batch::default());
        let told = wal.told(&[], &Batch::default());
        let sequence = wal.append(frame, told)?;
        registry.define(defined, sequence);
        drop(registry);
        wal.relieve()?;
        Ok(id)
    }

    /// Writes a batch, all of it or nothing, and returns when it is as durable as asked for.
    pub fn write(&self, batch: &Batch, durability: Durability) -> Result<Sequence, WriteError> {
        let wal = self.inner.log()?;
        let sequence = self.inner.apply(wal, batch)?;
        match durability {
            Durability::Synced => wal.sync_to(sequence)?,
            Durability::Within(time) => self.inner.background.sync_within(&self.inner, time),
            Durability::Buffered => self.inner.background.hand_over_soon(&self.inner),
        }
        Inner::make_room(&self.inner);
        Ok(sequence)
    }

    /// Writes a batch without waiting: it is visible at once, and the ticket says when it is on
    /// stable storage. Tickets that are waited for share syncs.
    pub fn submit(&self, batch: &Batch) -> Result<Ticket, WriteError> {
        let wal = self.inner.log()?;
        let sequence = self.inner.apply(wal, batch)?;
        Inner::make_room(&self.inner);
        Ok(Ticket::new(Arc::clone(wal), sequence))
    }

    /// Returns when everything written so far is on stable storage.
    pub fn sync(&self) -> Result<(), WriteError> {
        let wal = self.inner.log()?;
        wal.sync_to(wal.last())
    }

    /// The log, for those who follow it.
    pub(crate) fn log(&self) -> Result<Arc<Wal>, WriteError> {
        self.inner.log().cloned()
    }

    /// Calls `then` from another thread when the batch of a ticket is on stable storage, or with
    /// the reason why it will not be.
    pub fn when_durable(
        &self,
        ticket: &Ticket,
        then: impl FnOnce(Result<(), WriteError>) + Send + 'static,
    ) {
        self.inner.background.when_durable(&self.inner, ticket.sequence(), Box::new(then));
    }
}

impl Inner {
    pub(crate) fn log(&self) -> Result<&Arc<Wal>, WriteError> {
        self.wal.as_ref().ok_or(WriteError::ReadOnly)
    }

    /// A frame of the log, protected.
    pub(crate) fn frame(
        &self,
        definitions: &[Defined],
        deletions: &[Deletion],
        batch: &Batch,
    ) -> Frame {
        let mut bytes = Frame::room(64 + batch.len() * 20 + batch.data.len());
        encode(definitions, deletions, batch, &mut bytes);
        Frame::new(bytes, |payload| self.options.protect.protect(Purpose::Wal, payload))
    }

    /// Checks a batch, puts it into the log's buffer and makes it visible.
    fn apply(&self, wal: &Wal, batch: &Batch) -> Result<Sequence, WriteError> {
        let limit = self.options.limits.batch_bytes;
        if batch.size_bytes() > limit {
            return Err(WriteError::BatchTooLarge { size: batch.size_bytes(), limit });
        }
        // With the positions that the writer knows.
        let held = self.hold_blobs(batch)?;
        let batch = match self.deidentified(batch) {
            Ok(batch) => batch,
            Err(error) => {
                held.are_used_in_part();
                return Err(error);
            }
        };
        let is_whole = matches!(batch, Cow::Borrowed(_)) || batch.blobs().len() == held.len();
        let sequence = match batch.deletions.is_empty() {
            true => self.append(wal, &batch)?,
            false => self.apply_with_deletions(&batch)?,
        };
        if is_whole {
            held.are_used();
        } else {
            held.are_used_in_part();
        }
        Ok(sequence)
    }

    /// Puts a batch without deletions into the log's buffer and makes it visible.
    fn append(&self, wal: &Wal, batch: &Batch) -> Result<Sequence, WriteError> {
        let frame = self.frame(&[], &[], batch);
        let told = wal.told(&[], batch);
        let registry = self.registry.read();
        check_kinds(&registry, batch)?;
        let view = self.view.read();
        // From here on the order of the log is the order in the memtable and in the state.
        let mut shards = view.active.lock(&batch.metrics);
        let mut state = (!batch.state.is_empty()).then(|| self.state.lock());
        state.as_ref().map_or(Ok(()), |state| state.check(&batch.state))?;
        let sequence = wal.append(frame, told)?;
        shards.apply(batch, |metric| registry.shape(metric));
        if let Some(state) = &mut state {
            batch.state.iter().for_each(|change| state.apply(change, sequence));
        }
        Ok(sequence)
    }

    /// Hands a full buffer of the log to the operating system, and flushes a memtable that is over
    /// its budget, here where the background does not. The batch that filled them is written
    /// whatever becomes of that: a failure refuses the next one.
    fn make_room(inner: &Arc<Self>) {
        if let Some(wal) = &inner.wal {
            // A failure poisons the log.
            let _ = wal.relieve();
        }
        let size = inner.view.read().memtable_bytes();
        let budget = inner.memtable_budget_bytes();
        if size <= budget || (size <= 2 * budget && inner.background.flush_soon(inner)) {
            return;
        }
        inner.flush_over_budget();
    }

    /// How much memory the memtables may take: what the options say, or what some records of each
    /// metric take where that is more. Runs of one record a metric would be slow to write and read.
    fn memtable_budget_bytes(&self) -> usize {
        self.options.memtable_bytes.max(self.registry.read().len() * METRIC_BUDGET_BYTES)
    }

    /// Flushes where the memtables are over their budget.
    pub(crate) fn flush_over_budget(&self) {
        let budget = self.memtable_budget_bytes();
        let flushed = self.flush_if(|inner| inner.view.read().memtable_bytes() > budget);
        self.refuse_after(flushed);
    }

    /// Without a flush the memory would grow for ever: the next writer is told why it failed.
    pub(super) fn refuse_after(&self, flushed: Maintained<()>) {
        if let (Err(error), Some(wal)) = (flushed, &self.wal) {
            wal.poison(&error.to_string());
        }
    }
}

/// Checks that the records of a batch have the kinds of their metrics.
pub(super) fn check_kinds(registry: &Registry, batch: &Batch) -> Result<(), WriteError> {
    let kinds = registry.kinds();
    let fits = |(metric, kind): (&u32, &Kind)| kinds.get(*metric as usize) == Some(kind);
    match batch.metrics.iter().zip(&batch.kinds).position(|pair| !fits(pair)) {
        Some(position) => Err(misfit(registry, batch, position)),
        None => Ok(()),
    }
}

/// Why the record at a position does not fit its metric.
fn misfit(registry: &Registry, batch: &Batch, position: usize) -> WriteError {
    let metric = batch.metrics[position];
    let Some(definition) = registry.get(metric) else {
        return WriteError::UnknownMetric { position, metric };
    };
    WriteError::Kind {
        position,
        metric: definition.metric.to_string(),
        expected: definition.kind,
        found: batch.kinds[position],
    }
}
