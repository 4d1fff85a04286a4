//! Which series and labels there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use axum::extract::{Path, State};
use axum::response::Response;
use chronolith_engine::{Db, Selector};
use chronolith_query::promql::{DatabaseSource, Labels, PromqlError, parse_selector};
use serde_json::{Value, json};

use super::limits::Wanted;
use super::refusal::{Refusal, answered};
use super::success;
use super::time::time;
use crate::http::query::form::Form;
use crate::http::state::HttpState;

pub(super) async fn series(State(state): State<HttpState>, form: Form) -> Response {
    let wanted = Wanted::new(&state);
    answered(&state, move |db| {
        if form.all("match[]").next().is_none() {
            return Err("no match[] parameter provided".to_owned().into());
        }
        let object = |labels: &Labels| -> Value {
            labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
        };
        let found = found(db, &form, &wanted)?;
        listed(&form, found.iter().map(object))
    })
    .await
}

/// The names of the labels of the series that fit.
pub(super) async fn labels(State(state): State<HttpState>, form: Form) -> Response {
    let wanted = Wanted::new(&state);
    answered(&state, move |db| {
        let found = found(db, &form, &wanted)?;
        let names = found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name));
        let names: BTreeSet<&str> = names.collect();
        listed(&form, names.into_iter().map(|name| json!(name)))
    })
    .await
}

/// The values of one label in the series that fit.
pub(super) async fn values(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    form: Form,
) -> Response {
    let wanted = Wanted::new(&state);
    answered(&state, move |db| {
        let found = found(db, &form, &wanted)?;
        let values: BTreeSet<&str> = found
            .iter()
            .map(|labels| labels.get(&name))
            .filter(|value| !value.is_empty())
            .collect();
        listed(&form, values.into_iter().map(|value| json!(value)))
    })
    .await
}

/// What is known of each metric name: its unit.
pub(super) async fn metadata(State(state): State<HttpState>, form: Form) -> Response {
    answered(&state, move |db| {
        let mut selector = Selector::all();
        if let Some(name) = form.get("metric") {
            selector = selector.name(name);
        }
        let mut units: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for id in db.select(&selector)? {
            let Some(definition) = db.definition(id) else { continue };
            let of_name = units.entry(definition.metric.name().to_owned()).or_default();
            of_name.insert(definition.unit.clone());
        }
        let most = most(&form)?.unwrap_or(usize::MAX);
        let told = units.into_iter().take(most).map(|(name, units)| {
            let told =
                units.iter().map(|unit| json!({"type": "unknown", "help": "", "unit": unit}));
            (name, told.collect())
        });
        Ok(success(Value::Object(told.collect())))
    })
    .await
}

/// The series that fit one of the selectors, or all; each once, in order.
fn found(db: &Db, form: &Form, wanted: &Wanted) -> Result<BTreeSet<Labels>, Refusal> {
    // Each selector is held against all series, and a form has room for many.
    let deadline = wanted.limits(form)?.deadline;
    let source = DatabaseSource::new(db);
    let bound = |name| form.get(name).map(|text| time(name, text)).transpose();
    let (start, end) = (bound("start")?, bound("end")?);
    let mut found = BTreeSet::new();
    let mut texts: Vec<&str> = form.all("match[]").collect();
    if texts.is_empty() {
        // Every series has a name.
        texts.push("{__name__!=\"\"}");
    }
    for text in texts {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(PromqlError::Timeout.into());
        }
        let matchers = parse_selector(text)?;
        found.extend(match (start, end) {
            (None, None) => source.series(&matchers)?,
            _ => source.series_within(
                &matchers,
                start.unwrap_or(i64::MIN),
                end.unwrap_or(i64::MAX),
            )?,
        });
    }
    Ok(found)
}

/// The most that are listed; 0 is no bound.
fn most(form: &Form) -> Result<Option<usize>, Refusal> {
    Ok(form.number::<usize>("limit")?.filter(|limit| *limit > 0))
}

fn listed(form: &Form, all: impl Iterator<Item = Value>) -> Result<Value, Refusal> {
    let most = most(form)?;
    let mut all = all;
    let data: Vec<Value> = all.by_ref().take(most.unwrap_or(usize::MAX)).collect();
    let mut told = success(Value::Array(data));
    if all.next().is_some() {
        told["warnings"] = json!(["results truncated due to limit"]);
    }
    Ok(told)
}
