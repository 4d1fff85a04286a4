//! Lines of metrics: their records, or buckets of them.

use anyhow::{Result, bail};
use chronolith_engine::{
    Aggregated, Aggregation, Column, Db, Every, Function, Kind, MetricId, Value, ValueRef,
};

use super::names::of_metric;
use super::{Drawn, LINES_MAX, PlotCommand, left_out, usual_gap};
use crate::cli::aggregate::function;
use crate::cli::usage::Usage;
use crate::plot::{Gap, Line, LineBuilder};

fn number(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::F64(value) => Some(value),
        ValueRef::I64(value) => Some(value as f64),
        ValueRef::U64(value) => Some(value as f64),
        ValueRef::Bool(value) => Some(f64::from(u8::from(value))),
        _ => None,
    }
}

fn aggregated(value: Option<Aggregated>) -> Option<f64> {
    match value? {
        Aggregated::Float(value) => Some(value),
        Aggregated::Integer(value) => Some(value as f64),
        Aggregated::Value(value) => number(Value::as_ref(&value)),
        _ => None,
    }
}

impl PlotCommand {
    pub(super) fn of_metrics(&self, db: &Db, columns: u32) -> Result<Drawn> {
        if self.selector.is_empty() {
            bail!(Usage("say what to draw: --metric, --device, --sql or --promql".to_owned()));
        }
        let functions = self.functions.iter().map(|name| function(name)).collect::<Result<_>>()?;
        let chosen = self.selector.metrics(db)?;
        let is_numeric = |id: &MetricId| !matches!(id.kind(), Kind::Text | Kind::Bytes);
        let metrics: Vec<MetricId> = chosen.iter().copied().filter(is_numeric).collect();
        if metrics.is_empty() && !chosen.is_empty() {
            bail!("these metrics have texts or bytes, of which no line can be drawn");
        }
        let mut notes: Vec<String> = left_out(metrics.len()).into_iter().collect();
        if metrics.len() < chosen.len() {
            let count = chosen.len() - metrics.len();
            notes.push(format!("{count} metrics of texts or bytes are not drawn"));
        }
        let metrics = &metrics[..metrics.len().min(LINES_MAX)];
        let mut data: Option<(i64, i64)> = None;
        for id in metrics {
            let statistics = db.metric_statistics(*id)?;
            if let Some((first, last)) = statistics.first_ns.zip(statistics.last_ns) {
                data = Some(data.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
            }
        }
        let span_ns = self.span(data)?;
        let lines = match (data, self.every) {
            (None, _) => Vec::new(),
            (Some(_), Some(every)) => {
                let (from_ns, to_ns) = span_ns;
                let aggregation = Aggregation { from_ns, to_ns, every, functions };
                self.buckets(db, metrics, &aggregation, columns)?
            }
            (Some(_), None) => metrics
                .iter()
                .map(|id| self.records(db, *id, span_ns, columns))
                .collect::<Result<_>>()?,
        };
        let title = match (&self.selector.metric, &self.selector.device) {
            (Some(metric), Some(device)) => format!("{metric} of {device}"),
            (Some(name), None) | (None, Some(name)) => name.clone(),
            (None, None) => "metrics".to_owned(),
        };
        Ok(Drawn { title, lines, span_ns, notes })
    }

    /// All records of a metric; they are never held together.
    fn records(&self, db: &Db, id: MetricId, span_ns: (i64, i64), columns: u32) -> Result<Line> {
        let name = db.definition(id).map(|definition| of_metric(&definition, None));
        let name = name.unwrap_or_default();
        let mut builder: Option<LineBuilder> = None;
        for block in db.scan(id, span_ns.0..=span_ns.1)? {
            let block = block?;
            let builder = builder.get_or_insert_with(|| {
                let gap = self.gap.unwrap_or_else(|| usual_gap(block.times().iter().copied()));
                LineBuilder::new(name.as_str(), span_ns, columns, gap)
            });
            if let Column::F64(values) = block.values() {
                block
                    .times()
                    .iter()
                    .zip(values)
                    .for_each(|(time, value)| builder.push(*time, *value));
                continue;
            }
            for (time_ns, value) in block.iter() {
                builder.push(time_ns, number(value).unwrap_or(f64::NAN));
            }
        }
        let empty = || Line { name: name.clone(), ..Line::default() };
        Ok(builder.map_or_else(empty, LineBuilder::finish))
    }

    fn buckets(
        &self,
        db: &Db,
        metrics: &[MetricId],
        aggregation: &Aggregation,
        columns: u32,
    ) -> Result<Vec<Line>> {
        let length_ns = match aggregation.every {
            Every::Nanoseconds(length_ns) | Every::NanosecondsFrom { length_ns, .. } => length_ns,
            Every::Months(months) => i64::from(months).saturating_mul(31 * 86_400_000_000_000),
            _ => bail!(Usage("one bucket for everything is no line; say --every 5m".to_owned())),
        };
        let gap = self.gap.unwrap_or(Gap::Above(length_ns.saturating_add(length_ns / 2)));
        let (from_ns, to_ns) = (aggregation.from_ns, aggregation.to_ns);
        let series = db.aggregate(metrics, aggregation)?;
        let mut lines = Vec::new();
        for (id, buckets) in metrics.iter().zip(&series) {
            let Some(definition) = db.definition(*id) else { continue };
            for function in &aggregation.functions {
                let name = of_metric(&definition, Some(Function::name(*function)));
                let mut builder = LineBuilder::new(name, (from_ns, to_ns), columns, gap);
                for bucket in buckets {
                    // The first bucket may begin before what is shown.
                    let value = aggregated(bucket.get(*function)).unwrap_or(f64::NAN);
                    builder.push(bucket.start_ns.max(from_ns), value);
                }
                lines.push(builder.finish());
            }
        }
        Ok(lines)
    }
}
