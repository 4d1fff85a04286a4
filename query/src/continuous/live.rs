//! A query at work: its groups, their open windows, and how far it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chronolith_engine::{Db, Kind, MetricId};

use super::cell::{Cell, aggregate};
use super::error::ContinuousError;
use super::outputs::{self, Output, QUERY_TAG, Stored, nan_is_none};
use super::row::{Row, as_kind};
use super::state::{Kept, Pending, Progress};
use super::statement::{Query, Source};

/// A query at work.
pub(super) struct Live {
    pub(super) query: Query,
    pub(super) progress: Progress,
    pub(super) groups: Vec<Group>,
    by_keys: HashMap<Vec<String>, usize>,
    pub(super) by_metric: Arc<Memberships>,
    /// How many metrics the database had when they were last looked at.
    metrics_known: usize,
    /// When open windows close: the watermark, group and beginning. Windows that have grown since
    /// are there more than once; the last counts.
    pub(super) closing: BTreeSet<(i64, usize, i64)>,
    /// How many windows are read at a time.
    pub(super) slice: usize,
    /// The position that is on disk.
    pub(super) position_stored: u64,
    /// The latest event time that may move the watermark.
    pub(super) allowed_ns: i64,
}

/// The group of each metric, by its number: every record of the database asks here.
#[derive(Debug, Clone, Default)]
pub(super) struct Memberships(Vec<u32>);

impl Memberships {
    /// What stands for metrics that are not of the query.
    const NONE: u32 = u32::MAX;

    /// Whether a metric is of the query.
    pub(super) fn has(&self, metric: u32) -> bool {
        self.0.get(metric as usize).is_some_and(|group| *group != Self::NONE)
    }

    /// The group of a metric, where it is of the query.
    pub(super) fn group(&self, metric: u32) -> Option<usize> {
        let group = *self.0.get(metric as usize)?;
        (group != Self::NONE).then_some(group as usize)
    }

    fn insert(&mut self, metric: u32, group: usize) {
        let index = metric as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, Self::NONE);
        }
        self.0[index] = group as u32;
    }
}

/// Records that are aggregated together.
pub(super) struct Group {
    pub(super) keys: Vec<String>,
    /// By number.
    pub(super) members: Vec<Member>,
    pub(super) outputs: Vec<Output>,
    pub(super) open: BTreeMap<i64, Open>,
    /// Rising, without overlap.
    pub(super) pending: Vec<Pending>,
}

/// A metric of a group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: MetricId,
    pub(super) name: String,
    /// Whether some aggregate looks at its values.
    pub(super) is_aggregated: bool,
}

/// A window that still changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Open {
    /// The last nanosecond of the window; of a session the time of its last record.
    pub(super) last_ns: i64,
    pub(super) cells: BTreeMap<u32, Cell>,
    /// What its row is in the output; the outer `None` where that is not known.
    pub(super) shown: Option<Option<Stored>>,
    /// Whether the watermark has passed it. Sessions stay for one gap more, since until then a
    /// record that is not late may belong to them.
    pub(super) is_closed: bool,
    /// Whether its state is not needed any more.
    pub(super) is_over: bool,
}

impl Live {
    /// The query as it was left.
    pub(super) fn load(db: &Db, query: Query, kept: Kept) -> Result<Self, ContinuousError> {
        let position_stored = kept.progress.position;
        let mut live = Self {
            query,
            progress: kept.progress,
            groups: Vec::new(),
            by_keys: HashMap::new(),
            by_metric: Arc::default(),
            metrics_known: 0,
            closing: BTreeSet::new(),
            slice: 64,
            position_stored,
            allowed_ns: i64::MIN,
        };
        live.find_metrics(db)?;
        live.find_outputs(db)?;
        for (start_ns, metric, cell) in kept.cells {
            // Of a metric that the statement chooses, since the statement never changes.
            let Some(group) = live.by_metric.group(metric) else { continue };
            let last_ns = match live.query.windows.gap_ns() {
                Some(_) => cell.last_ns().unwrap_or(start_ns),
                None => live.query.windows.at(start_ns).last_ns,
            };
            let open = live.groups[group].open.entry(start_ns).or_default();
            open.last_ns = open.last_ns.max(last_ns);
            if open.cells.is_empty() {
                open.last_ns = last_ns;
            }
            open.cells.insert(metric, cell);
        }
        let watermark = live.watermark_ns();
        for (index, group) in live.groups.iter_mut().enumerate() {
            for (start_ns, open) in &mut group.open {
                let closes_ns = closes_ns(&live.query, open.last_ns);
                open.is_closed = watermark.is_some_and(|watermark| closes_ns <= watermark);
                live.closing.insert((closes_ns, index, *start_ns));
            }
        }
        for (keys, pending) in std::mem::take(&mut live.progress.pending) {
            let group = live.group_of(db, keys);
            live.groups[group].pending.push(pending);
        }
        Ok(live)
    }

    /// Looks at the metrics that came since the last time.
    pub(super) fn find_metrics(&mut self, db: &Db) -> Result<(), ContinuousError> {
        let count = db.metric_count();
        if count == self.metrics_known {
            return Ok(());
        }
        for id in db.select(&self.query.selector)? {
            if self.by_metric.has(id.index()) {
                continue;
            }
            let Some(definition) = db.definition(id) else { continue };
            let metric = &definition.metric;
            // What queries wrote is read by those that name it.
            let is_output = metric.tag_value(QUERY_TAG).is_some();
            if is_output && !matches!(self.query.source, Source::Metric(_)) {
                continue;
            }
            let key = |label: &str| match label {
                "device" => metric.device(),
                "name" => metric.name(),
                "tag_device" => metric.tag_value("device").unwrap_or_default(),
                "tag_name" => metric.tag_value("name").unwrap_or_default(),
                label => metric.tag_value(label).unwrap_or_default(),
            };
            let keys = self.query.keys.iter().map(|k| key(&k.label).to_owned()).collect();
            let (name, is_aggregated) =
                (metric.name().to_owned(), self.query.aggregates(metric.name()));
            let member = Member { id, name, is_aggregated };
            let index = self.group_of(db, keys);
            let group = &mut self.groups[index];
            group.members.push(member);
            group.members.sort_by_key(|member| member.id.index());
            group.find_outputs(db, &self.query);
            Arc::make_mut(&mut self.by_metric).insert(id.index(), index);
        }
        self.metrics_known = count;
        Ok(())
    }

    /// Groups that have only answers: their metrics are there, their records may be gone.
    fn find_outputs(&mut self, db: &Db) -> Result<(), ContinuousError> {
        for id in outputs::all_metrics(db, &self.query.name)? {
            let Some(definition) = db.definition(id) else { continue };
            let keys = outputs::keys_of(&self.query, &definition.metric);
            self.group_of(db, keys);
        }
        Ok(())
    }

    fn group_of(&mut self, db: &Db, keys: Vec<String>) -> usize {
        if let Some(index) = self.by_keys.get(&keys) {
            return *index;
        }
        let index = self.groups.len();
        self.by_keys.insert(keys.clone(), index);
        let (members, open, pending) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut group = Group { keys, members, outputs: Vec::new(), open, pending };
        group.find_outputs(db, &self.query);
        self.groups.push(group);
        index
    }

    /// The group of a metric, where the query reads it.
    pub(super) fn group_of_metric(
        &mut self,
        db: &Db,
        metric: u32,
    ) -> Result<Option<usize>, ContinuousError> {
        self.find_metrics(db)?;
        Ok(self.by_metric.group(metric))
    }

    /// The row of a window, where its records have one.
    pub(super) fn row(&self, group: usize, start_ns: i64) -> Option<Row> {
        let group = self.groups.get(group)?;
        let open = group.open.get(&start_ns)?;
        let (values, _) = group.values(&self.query, &open.cells)?;
        Some(Row {
            keys: group.keys.clone(),
            start_ns,
            end_ns: end_ns(&self.query, open.last_ns),
            values,
            is_final: open.is_closed,
        })
    }

    /// The times at which the windows of all that is known begin and end.
    pub(super) fn remember_pending(&mut self) {
        let pending = self
            .groups
            .iter()
            .flat_map(|group| group.pending.iter().map(|pending| (group.keys.clone(), *pending)));
        self.progress.pending = pending.collect();
    }
}

/// The watermark at which a window is over.
pub(super) fn closes_ns(query: &Query, last_ns: i64) -> i64 {
    last_ns.saturating_add(query.windows.gap_ns().unwrap_or(1))
}

/// The watermark at which no record can belong to a window that is not late for it.
pub(super) fn over_ns(query: &Query, last_ns: i64) -> i64 {
    match query.windows.gap_ns() {
        // A record that is not late is less than a gap before the watermark, and belongs to a session
        // whose last record is less than a gap before it.
        Some(gap_ns) => last_ns.saturating_add(gap_ns.saturating_mul(2)),
        None => closes_ns(query, last_ns),
    }
}

/// The end of a window as rows say it.
pub(super) fn end_ns(query: &Query, last_ns: i64) -> i64 {
    match query.windows.gap_ns() {
        Some(_) => last_ns,
        None => last_ns.saturating_add(1),
    }
}

impl Group {
    fn find_outputs(&mut self, db: &Db, query: &Query) {
        let members: Vec<(String, Kind)> =
            self.members.iter().map(|member| (member.name.clone(), member.id.kind())).collect();
        self.outputs = outputs::outputs(db, query, &self.keys, &members);
    }

    /// The aggregates of some cells in the kinds of their columns, and how many do not fit; `None`
    /// where there are no records.
    pub(super) fn values(
        &self,
        query: &Query,
        cells: &BTreeMap<u32, Cell>,
    ) -> Option<(Vec<Option<chronolith_engine::Value>>, u64)> {
        if cells.values().all(|cell| cell.partial.count() == 0) {
            return None;
        }
        let mut unfit = 0;
        let values = query.columns.iter().zip(&self.outputs).map(|(column, output)| {
            let name_of = |metric: u32| {
                let at = self.members.binary_search_by_key(&metric, |member| member.id.index());
                at.ok().and_then(|at| self.members.get(at)).map(|member| member.name.as_str())
            };
            let of_column = cells.iter().filter(|(metric, _)| match &column.metric {
                None => true,
                Some(wanted) => name_of(**metric) == Some(wanted),
            });
            let value = aggregate(of_column.map(|(_, cell)| cell), column.aggregate)?;
            let value = as_kind(value, output.kind);
            unfit += u64::from(value.is_none());
            let is_none = nan_is_none(column.aggregate)
                && matches!(value, Some(chronolith_engine::Value::F64(value)) if value.is_nan());
            value.filter(|_| !is_none)
        });
        let mut values: Vec<_> = values.collect();
        // In a class a device may have nothing of a column: a count of nothing is 0.
        for (value, column) in values.iter_mut().zip(&query.columns) {
            let is_count = matches!(
                column.aggregate,
                super::statement::Aggregate::Plain(chronolith_engine::Function::Count)
            );
            if is_count && value.is_none() {
                *value = Some(chronolith_engine::Value::U64(0));
            }
        }
        Some((values, unfit))
    }

    /// Notes that windows, or the records of sessions, must be computed from the store. Spans that
    /// are no further apart than `near_ns` become one.
    pub(super) fn note(&mut self, from_ns: i64, to_ns: i64, near_ns: i64) {
        if from_ns > to_ns {
            return;
        }
        let mut added = Pending { origin_ns: from_ns, from_ns, to_ns };
        let before = |other: &Pending| other.to_ns.saturating_add(near_ns) < from_ns;
        let first = self.pending.partition_point(before);
        let rest = &self.pending[first..];
        let near = rest.partition_point(|other| other.from_ns <= to_ns.saturating_add(near_ns));
        for other in &rest[..near] {
            added.from_ns = added.from_ns.min(other.from_ns);
            added.to_ns = added.to_ns.max(other.to_ns);
            added.origin_ns = added.origin_ns.min(other.origin_ns);
        }
        self.pending.splice(first..first + near, [added]);
    }

    /// Whether the window that begins at a time will be computed from the store anyway.
    pub(super) fn is_pending(&self, start_ns: i64) -> bool {
        let at = self.pending.partition_point(|pending| pending.to_ns < start_ns);
        self.pending.get(at).is_some_and(|pending| pending.from_ns <= start_ns)
    }
}
