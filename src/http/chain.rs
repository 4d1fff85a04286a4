//! The chain that the node follows: what is on it, and transactions onto it.
//!
//! ```text
//! GET  /api/v1/chain                          where it is
//! GET  /api/v1/chain/blocks/{height}          a block; `last` for the last one
//! GET  /api/v1/chain/accounts/{address}       what an account has
//! GET  /api/v1/chain/validators               who may be seated, and who is
//! GET  /api/v1/chain/lot                      the running lot and term
//! GET  /api/v1/chain/contributions            what each node did for the network
//! GET  /api/v1/chain/transactions/{id}        what became of a transaction, in blocks from ?since= on
//! POST /api/v1/chain/transactions             hands in a signed transaction
//! GET  /api/v1/peers                          whom the node is connected with
//! GET  /api/v1/storage                        what the ledger has of the node's storage role
//! GET  /api/v1/producer                       how the node's producer role is doing
//! ```
//!
//! Who asks here trusts the node; who does not asks `chronolith chain ... --prove` for proofs.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use chronolith_chain::address::Address;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::TransactionId;
use chronolith_chain::state::{State as ChainState, StateError};
use chronolith_chain::transaction::Transaction;
use chronolith_net::exchange::{Question, Reply, Submitted};
use serde_json::{Value, json};

use super::access::{Scope, guarded};
use super::answer::json as answer;
use super::body::read_most;
use super::parameters::last;
use super::problem::Problem;
use super::query::Admission;
use super::state::HttpState;
use crate::chain::shown;
use crate::node::NodeLink;
use crate::wallet::secret_of;

/// The longest JSON of a transaction: bytes, as on the command line.
const JSON_MOST: usize = 1 << 20;
/// How many ask the node at a time. Each waits on a thread for what consensus has no time for now.
pub(super) const ASKING: usize = 4;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let read = |route: MethodRouter<HttpState>| guarded(state, Scope::Read, route);
    Router::new()
        .route("/api/v1/chain", read(get(status)))
        .route("/api/v1/chain/blocks/{height}", read(get(block)))
        .route("/api/v1/chain/accounts/{address}", read(get(account)))
        .route("/api/v1/chain/validators", read(get(validators)))
        .route("/api/v1/chain/lot", read(get(lot)))
        .route("/api/v1/chain/contributions", read(get(contributions)))
        .route("/api/v1/chain/transactions/{id}", read(get(transaction)))
        .route("/api/v1/chain/transactions", guarded(state, Scope::Write, post(submit)))
        .route("/api/v1/peers", read(get(peers)))
        .route("/api/v1/storage", read(get(storage)))
        .route("/api/v1/producer", read(get(producer)))
}

/// Asks the node on a thread that may wait: it answers between two of its steps.
pub(super) async fn ask<T: Send + 'static>(
    state: &HttpState,
    work: impl FnOnce(&NodeLink) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    ask_in(state.asking_node(), state, work).await
}

/// The same in a room of one's own, which those who ask for long do not fill.
pub(super) async fn ask_in<T: Send + 'static>(
    room: &Admission,
    state: &HttpState,
    work: impl FnOnce(&NodeLink) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let link = state.node().map(|node| node.link.clone());
    let link = link.ok_or_else(|| match state.expects_node() {
        true => ending(),
        false => {
            Problem::not_found("this server follows no chain; its configuration has no [chain]")
        }
    })?;
    let permit = room.enter(state.request_time() / 2).await?;
    let asked = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&link)
    });
    asked.await.map_err(|_| Problem::internal("the node did not answer"))?
}

pub(super) fn ending() -> Problem {
    Problem::unavailable("ending", "the node is beginning or ending; come again", 2)
}

/// What the node's state shows after its last block.
pub(super) async fn look(
    state: &HttpState,
    show: impl FnOnce(&ChainState, u64) -> Result<Value, StateError> + Send + 'static,
) -> Result<Response, Problem> {
    let shown = ask(state, move |link| {
        let looked = link.chain().look(move |validator| {
            let state = validator.state();
            show(state, state.head().version)
        });
        looked.ok_or_else(ending)?.map_err(|error| Problem::internal(error.to_string()))
    });
    Ok(answer(StatusCode::OK, &shown.await?))
}

async fn status(State(state): State<HttpState>) -> Result<Response, Problem> {
    let shown = ask(&state, |link| match link.answer(Question::Status) {
        Reply::Status(status) => Ok(shown::status(&status)),
        _ => Err(ending()),
    });
    Ok(answer(StatusCode::OK, &shown.await?))
}

async fn block(
    State(state): State<HttpState>,
    Path(height): Path<String>,
) -> Result<Response, Problem> {
    let wanted = match height.as_str() {
        "last" => None,
        text => Some(text.parse::<u64>().map_err(|_| {
            Problem::invalid(format!("{text:?} is no height; write a number, or last"))
        })?),
    };
    let shown = ask(&state, move |link| {
        let looked = link.chain().look(move |validator| {
            let blocks = validator.blocks();
            let height = wanted.unwrap_or_else(|| blocks.tip().height);
            blocks.block(height).map(|found| (height, found))
        });
        let (height, found) =
            looked.ok_or_else(ending)?.map_err(|error| Problem::internal(error.to_string()))?;
        let missing = || Problem::not_found(format!("the node has no block of height {height}"));
        Ok(shown::block(&found.ok_or_else(missing)?))
    });
    Ok(answer(StatusCode::OK, &shown.await?))
}

async fn account(
    State(state): State<HttpState>,
    Path(address): Path<String>,
) -> Result<Response, Problem> {
    let address: Address = address
        .parse()
        .map_err(|error| Problem::invalid(format!("{address:?} is no address: {error}")))?;
    look(&state, move |state, height| shown::account(state, address, height)).await
}

async fn validators(State(state): State<HttpState>) -> Result<Response, Problem> {
    look(&state, |state, height| shown::validators(state, height).map(|(shown, _)| shown)).await
}

async fn lot(State(state): State<HttpState>) -> Result<Response, Problem> {
    look(&state, |state, height| shown::lot(state, height)).await
}

async fn contributions(State(state): State<HttpState>) -> Result<Response, Problem> {
    look(&state, |state, height| shown::contributions(state, None, height).map(|(shown, _)| shown))
        .await
}

async fn transaction(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let transaction = secret_of(&id).map(TransactionId).map_err(|_| {
        Problem::invalid(format!("{id:?} is no id: write its 64 hexadecimal digits"))
    })?;
    let since = last(request.uri().query().unwrap_or_default(), "since");
    let since = since.map(|text| text.parse::<u64>()).transpose();
    let since = since.map_err(|_| Problem::invalid("since is no height"))?;
    let shown = ask(&state, move |link| {
        match link.answer(Question::Receipt { transaction, since: since.unwrap_or(0) }) {
            Reply::Receipt { found: Some((height, receipt)), .. } => {
                Ok((StatusCode::OK, shown::receipt(height, &receipt)))
            }
            // Not in the blocks that were looked at: who asks goes on from the next.
            Reply::Receipt { found: None, next } => {
                Ok((StatusCode::ACCEPTED, json!({"id": transaction, "next": next})))
            }
            Reply::Refused(reason) => Err(Problem::internal(reason.to_string())),
            _ => Err(ending()),
        }
    });
    let (status, shown) = shown.await?;
    Ok(answer(status, &shown))
}

async fn submit(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let taken = read_most(&state, request, JSON_MOST).await?;
    let mut input = serde_json::Deserializer::from_slice(taken.bytes());
    let wrong = |error: &dyn std::fmt::Display| {
        Problem::invalid(format!("the body is not the JSON of a transaction: {error}"))
    };
    let transaction: Transaction =
        serde_path_to_error::deserialize(&mut input).map_err(|error| wrong(&error))?;
    input.end().map_err(|error| wrong(&error))?;
    let shown = ask(&state, move |link| {
        let one = List::new(vec![transaction]).map_err(|_| ending())?;
        let Reply::Submitted(told) = link.answer(Question::Submit(one)) else {
            return Err(ending());
        };
        match told.first() {
            Some(Submitted::Waits(id)) => Ok(json!({"id": id})),
            Some(Submitted::Refused(reason)) => {
                Err(not_taken(StatusCode::UNPROCESSABLE_ENTITY, "refused", reason))
            }
            Some(Submitted::NonceTaken(reason)) => {
                let reason = format!(
                    "{}; it may be this one that was handed in before: look at transactions/ID before it is signed anew",
                    &**reason
                );
                Err(not_taken(StatusCode::CONFLICT, "nonce_taken", &reason))
            }
            None => Err(ending()),
        }
    });
    Ok(answer(StatusCode::ACCEPTED, &shown.await?))
}

fn not_taken(status: StatusCode, code: &'static str, reason: &str) -> Problem {
    Problem::new(status, code, format!("the node does not take the transaction: {reason}"))
}

async fn peers(State(state): State<HttpState>) -> Result<Response, Problem> {
    let shown = ask(&state, |link| match link.answer(Question::Neighbours) {
        Reply::Neighbours(all) => Ok(all
            .iter()
            .map(|one| {
                json!({
                    "peer": *one.peer,
                    "address": *one.address,
                    "agent": *one.agent,
                    "round_trip_us": one.round_trip_us,
                    "points": one.points,
                })
            })
            .collect()),
        _ => Err(ending()),
    });
    Ok(answer(StatusCode::OK, &shown.await?))
}

async fn storage(State(state): State<HttpState>) -> Result<Response, Problem> {
    let shown = ask(&state, |link| {
        let missing = |reason: &str| Problem::not_found(reason);
        let account = link
            .storage()
            .ok_or_else(|| missing("the node has no [storage] in its configuration"))?;
        let looked = link.chain().look(move |validator| {
            let state = validator.state();
            shown::storage(state, account, state.head().version)
        });
        let found = looked.ok_or_else(ending)?;
        let found = found.map_err(|error| Problem::internal(error.to_string()))?;
        found
            .ok_or_else(|| missing("the ledger has no storage peer of this account: open it first"))
    });
    Ok(answer(StatusCode::OK, &shown.await?))
}

async fn producer(State(state): State<HttpState>) -> Result<Response, Problem> {
    let missing = || match state.expects_node() {
        true => ending(),
        false => Problem::not_found("the node has no [producer] in its configuration"),
    };
    let status = state.node().and_then(|node| node.producing.as_ref()).ok_or_else(missing)?();
    let shown = json!({
        "anchored": status.anchored,
        "packed": status.packed,
        "placed": status.placed,
        "moved": status.moved,
        "waiting": status.waiting,
        "unplaced": status.unplaced,
        "seconds_since_whole": status.whole_at.map(|at| at.elapsed().as_secs()),
        "refused": status.refused,
        "failure": status.failure,
    });
    Ok(answer(StatusCode::OK, &shown))
}
