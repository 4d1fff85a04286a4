//! Answers to PromQL in the shape of Prometheus' HTTP API.

use chronolith_query::promql::{Answer, Data, Labels};
use serde_json::{Value, json};

/// The answer in the shape of Prometheus' HTTP API.
pub(crate) fn response(answer: &Answer) -> Value {
    let pair = |time_ns: i64, value: &str| json!([time_ns as f64 / 1e9, value]);
    let metric = |labels: &Labels| -> Value {
        labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
    };
    let (kind, result) = match &answer.data {
        Data::Scalar { time_ns, value } => ("scalar", pair(*time_ns, &number(*value))),
        Data::Text { time_ns, text } => ("string", pair(*time_ns, text)),
        Data::Vector(samples) => {
            let samples = samples.iter().map(|sample| {
                let value = pair(sample.time_ns, &number(sample.value));
                json!({"metric": metric(&sample.labels), "value": value})
            });
            ("vector", samples.collect())
        }
        Data::Matrix(series) => {
            let series = series.iter().map(|series| {
                let samples = series.times.iter().zip(&series.values);
                let values: Vec<Value> =
                    samples.map(|(time, value)| pair(*time, &number(*value))).collect();
                json!({"metric": metric(&series.labels), "values": values})
            });
            ("matrix", series.collect())
        }
        _ => ("vector", json!([])),
    };
    let mut response = json!({"status": "success", "data": {"resultType": kind, "result": result}});
    for (name, notes) in [("warnings", &answer.warnings), ("infos", &answer.infos)] {
        if !notes.is_empty() {
            response[name] = json!(notes);
        }
    }
    response
}

pub(crate) fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}
