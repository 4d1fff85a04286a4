//! What somebody was let in by, and how long it is good.

use std::future::Future as _;
use std::io;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures::{StreamExt as _, stream};

use super::access::Scope;
use super::callers::FRESH;
use super::state::HttpState;
use super::tokens::Known;
use crate::identity::certificate::PeerCertificate;

/// So often it is looked whether a long answer may go on.
const LOOK: Duration = FRESH;

/// What somebody was let in by.
#[derive(Debug, Clone)]
pub(super) enum Pass {
    /// The server lets everybody in.
    Nothing,
    /// A token.
    Token(Arc<str>),
    /// A certificate, and what the ledger says of it.
    Certificate(Arc<PeerCertificate>),
}

/// What somebody was let in by, and for what; it is with his request.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) pass: Pass,
    pub(super) scope: Scope,
}

impl Ticket {
    /// Returns when it is good no more. A node that cannot say it twice in a row counts as one that says no.
    pub(super) async fn ended(self, state: HttpState) {
        let mut was_unsure = false;
        loop {
            if matches!(self.pass, Pass::Nothing) {
                return std::future::pending().await;
            }
            tokio::time::sleep(LOOK).await;
            let is_good = match (&self.pass, state.tokens(), state.callers()) {
                (Pass::Token(text), Some(tokens), _) => match tokens.look_up(text) {
                    Known::Good(scopes) => {
                        Some(scopes.contains(&self.scope) || scopes.contains(&Scope::Admin))
                    }
                    Known::Unreadable(_) => None,
                    _ => Some(false),
                },
                (Pass::Certificate(caller), _, Some(callers)) => {
                    let verdict = callers.verdict(&state, caller).await;
                    verdict.ok().map(|verdict| verdict.allows(self.scope))
                }
                _ => Some(false),
            };
            match is_good {
                Some(true) => was_unsure = false,
                None if !was_unsure => was_unsure = true,
                _ => return,
            }
        }
    }

    /// The same answer, which ends before its end when the ticket does: only one that has no length yet goes
    /// on for long. Events end; whatever else is cut off does not look whole.
    pub(super) fn bound(self, response: Response, state: HttpState) -> Response {
        let is_short = response.body().size_hint().exact().is_some();
        if is_short || matches!(self.pass, Pass::Nothing) {
            return response;
        }
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let has_end = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
        let (mut ended, mut is_cut) = (Box::pin(self.ended(state)), false);
        response.map(|body| {
            let mut pieces = body.into_data_stream();
            Body::from_stream(stream::poll_fn(move |context| {
                if is_cut {
                    return Poll::Ready(None);
                }
                if ended.as_mut().poll(context).is_ready() {
                    is_cut = true;
                    let error = io::Error::other("the token or the certificate is good no more");
                    return Poll::Ready((!has_end).then_some(Err(error)));
                }
                let piece = ready!(pieces.poll_next_unpin(context));
                Poll::Ready(piece.map(|piece| piece.map_err(io::Error::other)))
            }))
        })
    }
}
