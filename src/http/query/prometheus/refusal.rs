//! Why a request has no answer, in the form of Prometheus.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use chronolith_engine::{Db, ReadError};
use chronolith_query::promql::PromqlError;
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::http::query::admission::run;
use crate::http::state::HttpState;

const JSON: &str = "application/json";

/// Why, with Prometheus' word for its kind.
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        PromqlError::from(error).into()
    }
}

impl From<PromqlError> for Refusal {
    fn from(error: PromqlError) -> Self {
        let (status, kind) = match &error {
            PromqlError::Parse { .. }
            | PromqlError::TooManySteps { .. }
            | PromqlError::Range(_) => (StatusCode::BAD_REQUEST, "bad_data"),
            PromqlError::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            PromqlError::Read(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        };
        let message = match &error {
            PromqlError::Parse { .. } => format!("invalid parameter \"query\": {error}"),
            _ => error.to_string(),
        };
        Self { status, kind, message }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let kind = match problem.status {
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            StatusCode::INTERNAL_SERVER_ERROR => "internal",
            _ => "bad_data",
        };
        Self { status: problem.status, kind, message: problem.message }
    }
}

/// Answers a request from the database, on a thread that may wait.
pub(super) async fn answered(
    state: &HttpState,
    answer: impl FnOnce(&Db) -> Result<Value, Refusal> + Send + 'static,
) -> Response {
    let db = state.db().clone();
    let told = run(state, move || answer(&db).map(|value| value.to_string())).await;
    match told.map_err(Refusal::from).and_then(|told| told) {
        Ok(text) => ([(CONTENT_TYPE, JSON)], text).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

impl Refusal {
    fn body(&self) -> String {
        json!({"status": "error", "errorType": self.kind, "error": self.message}).to_string()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = self.body();
        (self.status, [(CONTENT_TYPE, JSON)], body).into_response()
    }
}

/// Routes whose problems, also those of who may come in, have Prometheus' form.
pub(super) fn form_of_problems(routes: MethodRouter<HttpState>) -> MethodRouter<HttpState> {
    routes.layer(map_response(|mut response: Response| async move {
        match response.extensions_mut().remove::<Problem>() {
            Some(problem) => {
                let body = Refusal::from(problem.clone()).body();
                problem.respond(JSON, body)
            }
            None => response,
        }
    }))
}
