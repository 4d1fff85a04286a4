//! Who is who: the caller himself, and the services of the ledger.
//!
//! ```text
//! GET /api/v1/identity      who asks, by what he was let in, and what is open to him
//! GET /api/v1/services      the services that accounts announce on the ledger
//! ```

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use chronolith_chain::ledger::ServiceKey;
use chronolith_chain::state::Overlay;
use serde_json::{Value, json};

use super::access::{Scope, guarded};
use super::answer::json as answer;
use super::chain::look;
use super::problem::Problem;
use super::state::HttpState;
use super::ticket::{Pass, Ticket};
use super::tokens::Known;
use crate::chain::shown;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route("/api/v1/identity", guarded(state, Scope::Read, get(identity)))
        .route("/api/v1/services", guarded(state, Scope::Read, get(services)))
}

async fn identity(
    State(state): State<HttpState>,
    Extension(ticket): Extension<Ticket>,
) -> Result<Response, Problem> {
    let words = |scopes: &[Scope]| scopes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let shown = match (&ticket.pass, state.tokens(), state.callers()) {
        (Pass::Token(text), Some(tokens), _) => {
            let scopes = match tokens.look_up(text) {
                Known::Good(scopes) => scopes,
                _ => Vec::new(),
            };
            json!({"by": "token", "scopes": words(&scopes)})
        }
        (Pass::Certificate(caller), _, Some(callers)) => {
            let verdict = callers.verdict(&state, caller).await?;
            json!({
                "by": "certificate",
                "account": caller.account,
                "issuer": caller.issuer,
                "name": caller.name,
                "fingerprint": caller.hash,
                "certificate": verdict.standing.certificate(),
                "until": shown::milliseconds(caller.valid_until_ms),
                "scopes": words(&verdict.scopes),
            })
        }
        _ => json!({"by": "nothing", "scopes": words(&[Scope::Admin])}),
    };
    Ok(answer(StatusCode::OK, &shown))
}

async fn services(State(state): State<HttpState>) -> Result<Response, Problem> {
    look(&state, |state, _| {
        let mut found: Vec<Value> = Vec::new();
        Overlay::new(state).each(&[], |key: ServiceKey, service| {
            found.extend(shown::service(key.service, &service));
            Ok::<_, chronolith_chain::state::StateError>(())
        })?;
        Ok(Value::Array(found))
    })
    .await
}
