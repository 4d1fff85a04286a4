//! `/api/v1/sql`: a query, and its rows as they come.

mod accepted;
mod proved;
mod question;
mod stream;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use chronolith_query::{Canceller, Limits, QueryError};

use super::admission::{enter, longest};
use crate::http::HttpSettings;
use crate::http::access::{Scope, guarded};
use crate::http::problem::{Position, Problem};
use crate::http::state::HttpState;
use crate::rows::write_answer;
use question::Question;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let routes = get(answer).post(answer);
    Router::new().route("/api/v1/sql", guarded(state, Scope::Read, routes))
}

/// Answers a query. What goes wrong before the first rows are sent is a refusal; what goes wrong
/// later ends the connection, so that no half of an answer is taken for a whole one.
async fn answer(
    State(state): State<HttpState>,
    headers: HeaderMap,
    question: Question,
) -> Result<Response, Problem> {
    if question.proving.is_some() {
        return proved::answer(state, question).await;
    }
    let format = accepted::format(question.format.as_deref(), &headers)?;
    let limits = Limits {
        rows: question.rows,
        time: Some(longest(&state, question.time)),
        memory_bytes: state.settings().query_memory_bytes,
    };
    let permit = enter(&state).await?;
    let patience = HttpSettings::time(state.settings().stall_time_s);
    let canceller = Canceller::default();
    let cancel = canceller.clone();
    stream::answered(accepted::media_type(format), patience, cancel, move |out| {
        let _held = (permit, question.room);
        let sql = state.sql();
        let answer = sql.cancellable_query(&question.sql, &limits, &canceller).map_err(refused)?;
        write_answer(answer, format, out).map(drop).map_err(|error| {
            match error.downcast::<QueryError>() {
                Ok(error) => refused(error),
                Err(error) => Problem::internal(error.to_string()),
            }
        })
    })
    .await
}

/// Why a query has no answer.
fn refused(error: QueryError) -> Problem {
    let message = error.to_string();
    match error {
        QueryError::Sql(problem) => {
            let refusal = Problem::invalid(message);
            match problem.place() {
                Some(place) => {
                    let (line, column) = (place.line as u64, place.column as u64);
                    refusal.at(Position { line, column })
                }
                None => refusal,
            }
        }
        QueryError::TooManyRows(_) | QueryError::TooMuchMemory { .. } => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "limit", message)
        }
        QueryError::TooSlow(_) | QueryError::Cancelled => {
            Problem::unavailable("too_slow", message, 1)
        }
        QueryError::NotRepeatable { .. } => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unprovable", message)
        }
        _ => Problem::internal(message),
    }
}
