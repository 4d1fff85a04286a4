//! `/api/v1/search`: metrics, devices, chunks and offers by text, labels, time and place.
//!
//! ```text
//! GET /api/v1/search?q=speed&kind=metric&label=site=north&from=…&to=…&box=48,11,49,12&counts=class
//! ```

use std::path::PathBuf;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use chronolith_query::search::remote::Trust;
use chronolith_query::search::{
    CatalogueSource, Facet, Followed, Origin, Request, SearchError, SearchIndex, Sort, Target,
};
use parking_lot::Mutex;
use serde_json::json;

use super::admission::{Admission, run};
use super::form::Form;
use crate::http::access::{Scope, guarded};
use crate::http::answer;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::moment;
use crate::rows::found;
use crate::search::{FOLDER, corners, follow};

/// The index of the database that is served; opened by the first search.
pub(in crate::http) struct Searching {
    directory: PathBuf,
    /// Searches take turns, and who waits for one keeps no other question from being answered: an index of
    /// very much takes long to be built.
    turn: Admission,
    index: Mutex<Option<SearchIndex>>,
}

impl Searching {
    pub(in crate::http) fn new(directory: PathBuf) -> Self {
        Self { directory, turn: Admission::new(1), index: Mutex::new(None) }
    }

    /// Runs `work` on an index that is up to date; whether it is.
    fn with<T>(
        &self,
        state: &HttpState,
        work: impl FnOnce(&SearchIndex) -> Result<T, SearchError>,
    ) -> Result<(T, bool), SearchError> {
        let mut held = self.index.lock();
        let index = match held.as_mut() {
            Some(index) => index,
            None => held.insert(SearchIndex::open(self.directory.join(FOLDER))?),
        };
        let source = CatalogueSource::new(state.db());
        let followed = follow(index, &self.directory, &source, &mut |what| state.tell(what))?;
        for (file, problem) in source.take_damaged() {
            state.tell(&format!("not all of {file} is searched until a repair: {problem}"));
        }
        Ok((work(index)?, followed != Followed::Behind))
    }
}

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let route = get(search).post(search);
    Router::new().route("/api/v1/search", guarded(state, Scope::Read, route))
}

async fn search(State(state): State<HttpState>, form: Form) -> Result<Response, Problem> {
    let request = request(&form).map_err(Problem::invalid)?;
    let turn = state.searching().turn.enter(state.request_time() / 2).await?;
    let asked = state.clone();
    let found = run(&state, move || {
        let _turn = turn;
        let (target, counts) = (request.target, !request.counts.is_empty());
        let searching = asked.searching();
        let (answer, is_current) =
            searching.with(&asked, |index| index.search(&request)).map_err(refused)?;
        let mut object = found::object(target, &answer, counts);
        if !is_current {
            object["behind"] = json!(true);
        }
        Ok::<_, Problem>(object)
    });
    let found = found.await??;
    Ok(answer::json(StatusCode::OK, &found))
}

fn refused(error: SearchError) -> Problem {
    match error {
        SearchError::Query { .. } | SearchError::Request(_) => Problem::invalid(error.to_string()),
        _ => Problem::internal(error.to_string()),
    }
}

/// One of several words, where a parameter is given.
fn one_of<T: Copy>(form: &Form, name: &str, all: &[(&str, T)]) -> Result<Option<T>, String> {
    let Some(text) = form.get(name) else { return Ok(None) };
    let found = all.iter().find(|(known, _)| *known == text).map(|(_, value)| *value);
    found.map(Some).ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|(known, _)| *known).collect();
        format!("{name}={text} is none of {}", known.join(", "))
    })
}

/// What is asked for.
fn request(form: &Form) -> Result<Request, String> {
    let kinds = [
        ("metric", Target::Metric),
        ("device", Target::Device),
        ("chunk", Target::Chunk),
        ("offer", Target::Offer),
    ];
    let orders = [
        ("relevance", Sort::Relevance),
        ("time", Sort::Time),
        ("freshness", Sort::Freshness),
        ("price", Sort::Price),
    ];
    let origins = [("any", Origin::Any), ("local", Origin::Local), ("remote", Origin::Remote)];
    let trusts = Trust::ALL.map(|trust| (trust.name(), trust));
    let facets = Facet::ALL.map(|facet| (facet.name(), facet));
    let mut labels = Vec::new();
    for key in ["class", "metric", "unit", "device"] {
        labels.extend(form.all(key).map(|value| (key.to_owned(), value.to_owned())));
    }
    for label in form.all("label") {
        let pair = label.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) = pair.ok_or_else(|| format!("label={label} is not KEY=VALUE"))?;
        labels.push((key.to_owned(), value.to_owned()));
    }
    let mut counts = Vec::new();
    for name in form.all("counts").flat_map(|names| names.split(',')) {
        let facet = facets.iter().find(|(known, _)| *known == name).map(|(_, facet)| *facet);
        counts.push(facet.ok_or_else(|| {
            let known: Vec<&str> = facets.iter().map(|(known, _)| *known).collect();
            format!("counts={name} is none of {}", known.join(", "))
        })?);
    }
    let time = |name| {
        let parse = |text| moment::parse(text).map_err(|reason| format!("{name}: {reason}"));
        form.get(name).map(parse).transpose()
    };
    let (from_ns, to_ns) = (time("from")?.unwrap_or(i64::MIN), time("to")?);
    if to_ns.is_some_and(|to_ns| to_ns <= from_ns) {
        return Err("to is not after from; it is the end, which is not included".to_owned());
    }
    let (least, most) = (form.number("min_price")?, form.number("max_price")?);
    let usual = Request::default();
    Ok(Request {
        text: form.get("q").unwrap_or_default().to_owned(),
        labels,
        origin: one_of(form, "origin", &origins)?.unwrap_or(Origin::Any),
        trust: one_of(form, "trust", &trusts)?.unwrap_or(usual.trust),
        target: one_of(form, "kind", &kinds)?.unwrap_or(Target::Metric),
        from_ns,
        to_ns: to_ns.map_or(i64::MAX, |to_ns| to_ns - 1),
        place: form
            .get("box")
            .map(corners)
            .transpose()
            .map_err(|reason| format!("box: {reason}"))?,
        price: match (least, most) {
            (None, None) => None,
            (least, most) => Some(least.unwrap_or(0)..=most.unwrap_or(u128::MAX)),
        },
        sort: one_of(form, "sort", &orders)?.unwrap_or(Sort::Relevance),
        offset: form.number("offset")?.unwrap_or(0),
        limit: form.number("limit")?.unwrap_or(20),
        counts,
    })
}
