//! Outputs: the metrics that a query's answers are kept in.
//!
//! Each group has one metric per aggregate: its device is the group's where the query groups by
//! device, its tags are the other keys and `query`, which names the query. A record's time is the
//! beginning of the window. Of sessions one more metric keeps the time of the last record; so does one
//! of a class that counts nothing, where no aggregate of a row may have a value.
//!
//! An aggregate without a value is NaN where the column is of floats and the function has no NaN of
//! its own, so that the row is there; elsewhere it has no record.

use std::collections::BTreeMap;

use chronolith_engine::{
    Batch, Db, Definition, Function, Kind, Metric, MetricId, Value, WriteError,
};

use super::error::ContinuousError;
use super::recompute::first_time;
use super::statement::{Aggregate, Query};

/// The tag that names the query.
pub(super) const QUERY_TAG: &str = "query";
/// The column that keeps the last time of a session, or of another window.
pub(super) const END: &str = "window_end";
/// Windows of outputs hold about so many answers.
const ANSWERS_PER_WINDOW: i64 = 1_000;

/// One column of a group.
#[derive(Debug, Clone)]
pub(super) struct Output {
    metric: Metric,
    pub(super) kind: Kind,
    /// Whether the kind may still be another: no metric of the column is there yet.
    is_open: bool,
    id: Option<MetricId>,
}

/// An answer as it is kept: the values, and the last time of its window where that is kept.
pub(super) type Stored = (Vec<Option<Value>>, Option<i64>);

/// The device, or the tag, that a key of groups becomes.
fn keyed(metric: Metric, label: &str, value: &str) -> Metric {
    match label {
        "device" => metric,
        "tag_device" => metric.tag("device", value),
        label => metric.tag(label, value),
    }
}

/// The columns of a group, whose metrics have these names and kinds.
pub(super) fn outputs(
    db: &Db,
    query: &Query,
    keys: &[String],
    members: &[(String, Kind)],
) -> Vec<Output> {
    let pairs = || query.keys.iter().map(|key| key.label.as_str()).zip(keys);
    let device = pairs().find(|(label, _)| *label == "device").map_or("", |(_, value)| value);
    let single = query.columns.len() == 1 && query.windows.gap_ns().is_none();
    let metric = |name: String| {
        let metric = Metric::new(device, name).tag(QUERY_TAG, &query.name);
        pairs().fold(metric, |metric, (label, value)| keyed(metric, label, value))
    };
    let several = |alias: &str| format!("{}_{alias}", query.into);
    let mut outputs: Vec<Output> = Vec::new();
    for column in &query.columns {
        let of_column = members
            .iter()
            .filter(|(name, _)| column.metric.as_ref().is_none_or(|wanted| wanted == name));
        let kinds: Vec<Kind> = of_column.map(|(_, kind)| *kind).collect();
        let name = if single { query.into.clone() } else { several(&column.alias) };
        let kind = column_kind(column.aggregate, &kinds);
        let is_open = kinds.is_empty() && takes_kind(column.aggregate);
        outputs.push(Output { metric: metric(name), kind, is_open, id: None });
    }
    if query.keeps_end() {
        let metric = metric(several(END));
        outputs.push(Output { metric, kind: Kind::I64, is_open: false, id: None });
    }
    for output in &mut outputs {
        output.id = db.find_metric(&output.metric);
        // The kind that it has is the kind that it has.
        output.kind = output.id.map_or(output.kind, MetricId::kind);
    }
    outputs
}

fn column_kind(aggregate: Aggregate, kinds: &[Kind]) -> Kind {
    let Aggregate::Plain(function) = aggregate else { return Kind::F64 };
    let common = kinds.first().copied().filter(|first| kinds.iter().all(|kind| kind == first));
    match function {
        Function::Count => Kind::U64,
        Function::Min | Function::Max | Function::First | Function::Last => {
            common.unwrap_or(Kind::F64)
        }
        Function::Sum => match common {
            Some(Kind::U64) => Kind::U64,
            _ if kinds.iter().all(|kind| matches!(kind, Kind::I64 | Kind::U64 | Kind::Bool)) => {
                Kind::I64
            }
            _ => Kind::F64,
        },
        _ => Kind::F64,
    }
}

/// Whether a column has the kind of what it is made of.
const fn takes_kind(aggregate: Aggregate) -> bool {
    matches!(
        aggregate,
        Aggregate::Plain(
            Function::Min | Function::Max | Function::First | Function::Last | Function::Sum
        )
    )
}

/// Whether NaN in a column of floats says that there is no value.
pub(super) const fn nan_is_none(aggregate: Aggregate) -> bool {
    matches!(
        aggregate,
        Aggregate::Plain(Function::Stddev | Function::Min | Function::Max)
            | Aggregate::Rate
            | Aggregate::Increase
            | Aggregate::Delta
    )
}

/// Makes the metrics that are not there yet, but for those of which there is no value yet either.
pub(super) fn define(db: &Db, query: &Query, outputs: &mut [Output]) -> Result<(), WriteError> {
    for output in outputs.iter_mut().filter(|output| output.id.is_none() && !output.is_open) {
        let span = query.windows.at(0);
        let length = span.last_ns.saturating_sub(span.start_ns).max(1);
        let shortest = Definition::DEFAULT_WINDOW_NS;
        let window_ns = length.saturating_mul(ANSWERS_PER_WINDOW);
        let window_ns = window_ns.clamp(shortest, Definition::MAX_WINDOW_NS);
        let definition = Definition::new(output.metric.clone(), output.kind).window_ns(window_ns);
        output.id = Some(db.define(definition)?);
    }
    Ok(())
}

/// Replaces the answer of a window in a batch; `None` deletes it.
pub(super) fn put(
    batch: &mut Batch,
    query: &Query,
    outputs: &[Output],
    start_ns: i64,
    before: Option<&Stored>,
    after: Option<&Stored>,
) -> Result<(), WriteError> {
    for (index, output) in outputs.iter().enumerate() {
        let Some(id) = output.id else { continue };
        let value = after.and_then(|stored| kept_value(query, output, index, stored));
        let had = before.and_then(|stored| kept_value(query, output, index, stored));
        match (value, had) {
            (Some(value), _) => batch.push(id, start_ns, value.as_ref())?,
            (None, Some(_)) => batch.delete(id, start_ns, start_ns),
            (None, None) => {}
        }
    }
    Ok(())
}

/// The value of a column as its record has it.
fn kept_value(query: &Query, output: &Output, index: usize, stored: &Stored) -> Option<Value> {
    let (values, end_ns) = stored;
    let Some(column) = query.columns.get(index) else { return end_ns.map(Value::I64) };
    match values.get(index).cloned().flatten() {
        None if output.kind == Kind::F64 && nan_is_none(column.aggregate) => {
            Some(Value::F64(f64::NAN))
        }
        value => value,
    }
}

/// The answers of a group whose windows begin in a range of time.
pub(super) fn read(
    db: &Db,
    query: &Query,
    outputs: &[Output],
    from_ns: i64,
    to_ns: i64,
) -> Result<BTreeMap<i64, Stored>, ContinuousError> {
    let mut rows: BTreeMap<i64, Stored> = BTreeMap::new();
    for (index, output) in outputs.iter().enumerate() {
        let Some(id) = output.id else { continue };
        for block in db.scan(id, from_ns..=to_ns)? {
            for (start_ns, value) in block?.iter() {
                let row =
                    rows.entry(start_ns).or_insert_with(|| (vec![None; query.columns.len()], None));
                let Some(column) = query.columns.get(index) else {
                    row.1 = match value {
                        chronolith_engine::ValueRef::I64(end_ns) => Some(end_ns),
                        _ => None,
                    };
                    continue;
                };
                let value = value.to_value();
                let is_none = nan_is_none(column.aggregate)
                    && matches!(value, Value::F64(value) if value.is_nan());
                row.0[index] = Some(value).filter(|_| !is_none);
            }
        }
    }
    Ok(rows)
}

/// The beginnings of the first and the last window that a group has answers of.
pub(super) fn span(db: &Db, outputs: &[Output]) -> Result<Option<(i64, i64)>, ContinuousError> {
    let metrics = || outputs.iter().filter_map(|output| output.id);
    let Some(first_ns) = first_time(db, metrics(), (i64::MIN, i64::MAX))? else { return Ok(None) };
    let mut last_ns = first_ns;
    for metric in metrics() {
        last_ns = db.latest(metric)?.map_or(last_ns, |(time_ns, _)| last_ns.max(time_ns));
    }
    Ok(Some((first_ns, last_ns)))
}

/// The metrics that a query's answers are in.
pub(super) fn all_metrics(db: &Db, name: &str) -> Result<Vec<MetricId>, ContinuousError> {
    use chronolith_engine::{Match, Selector};
    let selector = Selector::all().label(QUERY_TAG, Match::Equal(name.to_owned()));
    Ok(db.select(&selector)?)
}

/// The keys of the group that an output belongs to.
pub(super) fn keys_of(query: &Query, metric: &Metric) -> Vec<String> {
    let value = |label: &str| match label {
        "device" => metric.device(),
        "tag_device" => metric.tag_value("device").unwrap_or_default(),
        label => metric.tag_value(label).unwrap_or_default(),
    };
    query.keys.iter().map(|key| value(&key.label).to_owned()).collect()
}
