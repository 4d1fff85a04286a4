//! An answer with its proof, by the chain that the node follows.

use std::io::Write as _;

use axum::http::StatusCode;
use axum::response::Response;
use chronolith_query::{Canceller, Limits};

use super::question::Question;
use super::{refused, stream};
use crate::answer::{Made, MakeError, MakeSettings, NodeLedger, ReplayError, RowsError, make};
use crate::chain::prove::Since;
use crate::http::HttpSettings;
use crate::http::problem::Problem;
use crate::http::query::admission::{enter, longest};
use crate::http::state::HttpState;

/// What a proved answer is.
const MEDIA_TYPE: &str = "application/vnd.chronolith.answer";

/// Answers a query from what is anchored, with its proof.
pub(super) async fn answer(state: HttpState, question: Question) -> Result<Response, Problem> {
    let Some(node) = state.node().map(|node| node.link.clone()) else {
        return Err(match state.expects_node() {
            true => {
                Problem::unavailable("ending", "the node is beginning or ending; come again", 2)
            }
            false => Problem::not_found(
                "this server follows no chain, so that it can prove nothing; its configuration has no \
                 [chain]",
            ),
        });
    };
    let limits = Limits {
        rows: question.rows,
        time: Some(longest(&state, question.time)),
        memory_bytes: state.settings().query_memory_bytes,
    };
    let permit = enter(&state).await?;
    let patience = HttpSettings::time(state.settings().stall_time_s);
    stream::answered(MEDIA_TYPE, patience, Canceller::default(), move |out| {
        let _held = (permit, question.room);
        let proving = question.proving.unwrap_or_default();
        let settings = MakeSettings {
            since: Since(proving.since),
            nonce: proving.nonce,
            bodies: !proving.without_bodies,
            limits,
            ..MakeSettings::default()
        };
        let made = make(state.sql(), &NodeLedger(&node), &question.sql, &settings);
        let Made { bundle, .. } = made.map_err(unproved)?;
        let bytes = bundle.to_bytes().map_err(|error| unprovable(error.to_string()))?;
        out.write_all(&bytes).map_err(|error| Problem::internal(error.to_string()))
    })
    .await
}

fn unprovable(message: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unprovable", message)
}

/// Why an answer cannot be proved.
fn unproved(error: MakeError) -> Problem {
    match error {
        MakeError::Query(error) | MakeError::Replay(ReplayError::Query(error)) => refused(error),
        MakeError::Replay(ReplayError::Rows(RowsError::Query(error))) => refused(error),
        MakeError::Read(error) => Problem::internal(error.to_string()),
        MakeError::Chain(error) => Problem::unavailable("ledger", error.to_string(), 2),
        MakeError::LedgerWentOn => Problem::unavailable("ledger", error.to_string(), 2),
        other => unprovable(other.to_string()),
    }
}
