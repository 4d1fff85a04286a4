//! From points to samples.

use super::message::{
    CUMULATIVE, Data, HistogramPoint, KeyValue, Metric, NO_VALUE, Number, NumberPoint, Request,
    Resource, Scope, SummaryPoint,
};
use super::names::{label_name, metric_name, text_of};
use crate::http::problem::Problem;
use crate::http::write::samples::{
    DEVICE, LABELS_BYTES_MOST, LABELS_MOST, Left, NAME, NoSeries, Samples,
};

/// The bits of the value that says that a series ends.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;
/// Attributes of a resource that name what it is of, the first first.
const DEVICES: [&str; 4] = ["device", "device.id", "vehicle", "host.name"];

/// Takes the points of a request.
pub(super) struct Points {
    samples: Samples,
    accepted: u64,
    left: Left,
}

/// The longest name of a metric, and the longest unit: bytes. Both are taken apart into words.
const NAME_BYTES_MOST: usize = 1 << 10;

/// Names and values, as many as a series may have.
#[derive(Debug, Clone, Default)]
struct Labels {
    all: Vec<(String, String)>,
    bytes: usize,
    /// Whether there are more: what has these labels is refused.
    is_cut: bool,
}

/// A metric with what all its points share.
struct Of<'a> {
    name: String,
    unit: &'a str,
    shared: &'a Labels,
}

/// A series of a point: what its name ends with, a label of its own, and its value.
type Part<'a> = (&'a str, Option<(&'a str, String)>, f64);

impl Points {
    pub(super) fn new(samples: Samples) -> Self {
        Self { samples, accepted: 0, left: Left::default() }
    }

    /// What takes samples, how many points were taken, and what was not.
    pub(super) fn end(self) -> (Samples, u64, Left) {
        (self.samples, self.accepted, self.left)
    }

    /// Takes all points. One that is refused costs no other.
    ///
    /// # Errors
    /// Where the database takes none now.
    pub(super) fn take(&mut self, request: &Request) -> Result<(), Problem> {
        for resource in &request.resource_metrics {
            let (of_resource, info) = of_resource(resource.resource.as_ref());
            let mut newest_ns = None;
            for scope in &resource.scope_metrics {
                let mut shared = of_resource.clone();
                of_scope(scope.scope.as_ref(), &mut shared);
                for metric in &scope.metrics {
                    newest_ns = newest_ns.max(self.metric(metric, &shared)?);
                }
            }
            if let (Some(time_ns), Some(info)) = (newest_ns, info) {
                match self.samples.series(&info.texts(), "") {
                    Ok(series) => self.samples.push(series, time_ns, 1.0)?,
                    // It says more of series that are there; nobody counts it.
                    Err(NoSeries::Refused(_)) => {}
                    Err(NoSeries::NotNow(problem)) => return Err(problem),
                }
            }
        }
        Ok(())
    }

    /// The points of one metric; the newest of their times.
    fn metric(&mut self, metric: &Metric, shared: &Labels) -> Result<Option<i64>, Problem> {
        let unit = metric.unit.as_str();
        if metric.name.len().max(unit.len()) > NAME_BYTES_MOST {
            let reason = || format!("a name or unit of more than {NAME_BYTES_MOST} bytes");
            self.left.add(count(metric), reason);
            return Ok(None);
        }
        let of = |grows, is_gauge| Of {
            name: metric_name(&metric.name, unit, grows, is_gauge),
            unit,
            shared,
        };
        let differences =
            |kind: &str| format!("{}: {kind} of differences are not kept", metric.name);
        let mut newest_ns = None;
        match &metric.data {
            None => {}
            Some(Data::Gauge(gauge)) => {
                let of = of(false, true);
                for point in &gauge.data_points {
                    newest_ns = newest_ns.max(self.number(&of, point)?);
                }
            }
            Some(Data::Sum(sum)) if sum.aggregation_temporality == CUMULATIVE => {
                let of = of(sum.is_monotonic, false);
                for point in &sum.data_points {
                    newest_ns = newest_ns.max(self.number(&of, point)?);
                }
            }
            Some(Data::Sum(sum)) => {
                self.left.add(sum.data_points.len() as u64, || differences("sums"));
            }
            Some(Data::Histogram(histogram)) if histogram.aggregation_temporality == CUMULATIVE => {
                let of = of(false, false);
                for point in &histogram.data_points {
                    newest_ns = newest_ns.max(self.histogram(&of, point)?);
                }
            }
            Some(Data::Histogram(histogram)) => {
                self.left.add(histogram.data_points.len() as u64, || differences("histograms"));
            }
            Some(Data::Exponential(histogram)) => {
                let reason = || format!("{}: exponential histograms are not kept", metric.name);
                self.left.add(histogram.data_points.len() as u64, reason);
            }
            Some(Data::Summary(summary)) => {
                let of = of(false, false);
                for point in &summary.data_points {
                    newest_ns = newest_ns.max(self.summary(&of, point)?);
                }
            }
        }
        Ok(newest_ns)
    }

    fn number(&mut self, of: &Of<'_>, point: &NumberPoint) -> Result<Option<i64>, Problem> {
        let value = match point.value {
            _ if point.flags & NO_VALUE != 0 => f64::from_bits(STALE_BITS),
            Some(Number::Float(value)) => value,
            Some(Number::Integer(value)) => value as f64,
            None => {
                self.left.add(1, || format!("{}: a point without a value", of.name));
                return Ok(None);
            }
        };
        self.point(of, &point.attributes, point.time_unix_nano, &[("", None, value)])
    }

    fn histogram(&mut self, of: &Of<'_>, point: &HistogramPoint) -> Result<Option<i64>, Problem> {
        let stale = (point.flags & NO_VALUE != 0).then_some(f64::from_bits(STALE_BITS));
        let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
        if !counts.is_empty() && counts.len() != bounds.len() + 1 {
            self.left.add(1, || {
                format!("{}: {} buckets and {} bounds", of.name, counts.len(), bounds.len())
            });
            return Ok(None);
        }
        let mut values = Vec::with_capacity(counts.len() + 3);
        if let Some(sum) = point.sum {
            values.push(("_sum", None, stale.unwrap_or(sum)));
        }
        let count = stale.unwrap_or(point.count as f64);
        values.push(("_count", None, count));
        let mut below = 0_u64;
        for (bound, in_bucket) in bounds.iter().zip(counts) {
            below = below.saturating_add(*in_bucket);
            let bound = Some(("le", bound.to_string()));
            values.push(("_bucket", bound, stale.unwrap_or(below as f64)));
        }
        values.push(("_bucket", Some(("le", "+Inf".to_owned())), count));
        self.point(of, &point.attributes, point.time_unix_nano, &values)
    }

    fn summary(&mut self, of: &Of<'_>, point: &SummaryPoint) -> Result<Option<i64>, Problem> {
        let stale = (point.flags & NO_VALUE != 0).then_some(f64::from_bits(STALE_BITS));
        let mut values = vec![
            ("_sum", None, stale.unwrap_or(point.sum)),
            ("_count", None, stale.unwrap_or(point.count as f64)),
        ];
        for quantile in &point.quantile_values {
            let label = Some(("quantile", quantile.quantile.to_string()));
            values.push(("", label, stale.unwrap_or(quantile.value)));
        }
        self.point(of, &point.attributes, point.time_unix_nano, &values)
    }

    /// Writes the series of one point; its time where it was taken.
    fn point(
        &mut self,
        of: &Of<'_>,
        attributes: &[KeyValue],
        time_unix_ns: u64,
        values: &[Part<'_>],
    ) -> Result<Option<i64>, Problem> {
        let Ok(time_ns) = i64::try_from(time_unix_ns) else {
            self.left.add(1, || format!("{}: a time beyond the year 2262", of.name));
            return Ok(None);
        };
        let mut labels = of.shared.clone();
        attributes.iter().for_each(|attribute| labels.put(attribute));
        if labels.is_cut {
            self.left.add(1, || {
                let most = format!("{LABELS_MOST} labels or {LABELS_BYTES_MOST} bytes of them");
                format!("{}: a series has at most {most}", of.name)
            });
            return Ok(None);
        }
        for (suffix, label, value) in values {
            let name = format!("{}{suffix}", of.name);
            let mut all = labels.texts();
            all.insert(0, (NAME, &name));
            if let Some((name, value)) = label {
                all.retain(|(other, _)| other != name);
                all.push((name, value));
            }
            match self.samples.series(&all, of.unit) {
                Ok(series) => self.samples.push(series, time_ns, *value)?,
                Err(NoSeries::Refused(reason)) => {
                    self.left.add(1, || format!("{name}: {reason}"));
                    return Ok(None);
                }
                Err(NoSeries::NotNow(problem)) => return Err(problem),
            }
        }
        self.accepted += 1;
        Ok(Some(time_ns))
    }
}

impl Labels {
    /// Takes one that has no name of its own among them.
    fn push(&mut self, name: impl Into<String>, value: String) {
        let name = name.into();
        self.bytes += name.len() + value.len();
        self.is_cut |= self.all.len() >= LABELS_MOST || self.bytes > LABELS_BYTES_MOST;
        if !self.is_cut {
            self.all.push((name, value));
        }
    }

    /// Puts an attribute among them. Two whose names become the same are one with both values, as
    /// Prometheus has it.
    fn put(&mut self, attribute: &KeyValue) {
        if self.is_cut {
            return;
        }
        let (name, value) = (label_name(&attribute.key), text_of(attribute.value.as_ref()));
        match self.all.iter_mut().find(|(other, _)| *other == name) {
            Some((_, known)) if *known == value => {}
            Some((_, known)) => {
                self.bytes += 1 + value.len();
                self.is_cut |= self.bytes > LABELS_BYTES_MOST;
                if !self.is_cut {
                    known.push(';');
                    known.push_str(&value);
                }
            }
            None => self.push(name, value),
        }
    }

    fn texts(&self) -> Vec<(&str, &str)> {
        self.all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// How many points a metric has.
fn count(metric: &Metric) -> u64 {
    let points = match &metric.data {
        None => 0,
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::Exponential(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
    };
    points as u64
}

/// The labels that a resource gives all its series, and those of its `target_info` where it has any.
fn of_resource(resource: Option<&Resource>) -> (Labels, Option<Labels>) {
    let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
    let value = |key: &str| {
        let found = attributes.iter().find(|attribute| attribute.key == key);
        found.map(|attribute| text_of(attribute.value.as_ref())).filter(|text| !text.is_empty())
    };
    let mut labels = Labels::default();
    if let Some(service) = value("service.name") {
        let job = match value("service.namespace") {
            Some(namespace) => format!("{namespace}/{service}"),
            None => service,
        };
        labels.push("job", job);
    }
    if let Some(instance) = value("service.instance.id") {
        labels.push("instance", instance);
    }
    if let Some(device) = DEVICES.iter().find_map(|key| value(key)) {
        labels.push(DEVICE, device);
    }
    let is_told =
        |key: &str| key.starts_with("service.") && key != "service.version" || key == DEVICE;
    let rest: Vec<&KeyValue> = attributes.iter().filter(|pair| !is_told(&pair.key)).collect();
    let has_target = labels.all.iter().any(|(name, _)| name == "job" || name == "instance");
    let info = (has_target && !rest.is_empty()).then(|| {
        let mut info = labels.clone();
        info.push(NAME, "target_info".to_owned());
        rest.into_iter().for_each(|attribute| info.put(attribute));
        info
    });
    (labels, info.filter(|info| !info.is_cut))
}

fn of_scope(scope: Option<&Scope>, labels: &mut Labels) {
    let Some(scope) = scope else { return };
    for (name, value) in [("otel_scope_name", &scope.name), ("otel_scope_version", &scope.version)]
    {
        if !value.is_empty() {
            labels.push(name, value.clone());
        }
    }
    for attribute in &scope.attributes {
        let key = format!("otel_scope_{}", attribute.key);
        labels.put(&KeyValue { key, value: attribute.value.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{AnyValue, OneValue};
    use super::*;

    fn attribute(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue { value: Some(OneValue::Text(value.to_owned())) });
        KeyValue { key: key.to_owned(), value }
    }

    /// Each attribute was looked for among all before it, and all were copied for each point: a body of
    /// nothing but attributes kept a thread for hours.
    #[test]
    fn labels_are_cut_where_no_series_may_have_more() {
        let mut labels = Labels::default();
        (0..100_000).for_each(|number| labels.put(&attribute(&number.to_string(), "v")));
        assert!(labels.is_cut);
        assert_eq!(labels.all.len(), LABELS_MOST);
        let mut labels = Labels::default();
        labels.put(&attribute("a", "x"));
        labels.put(&attribute("a", "x"));
        labels.put(&attribute("a", "y"));
        assert_eq!(labels.texts(), [("a", "x;y")]);
        labels.put(&attribute("a", &"z".repeat(LABELS_BYTES_MOST)));
        assert!(labels.is_cut);
        assert_eq!(labels.texts(), [("a", "x;y")]);
    }
}
