//! Writing over HTTP: by the protocols of Influx, Prometheus and OpenTelemetry, and as JSON lines.
//!
//! All of them end alike: records go to the log in batches, and a request is acknowledged when the
//! last of its batches is on stable storage. Requests that wait share syncs, so that many small ones
//! cost little more than one.
//!
//! | file | |
//! |---|---|
//! | `influx.rs` | `/write`, `/api/v2/write`, and what clients of Influx ask first |
//! | `rows.rs` | `/api/v1/write`: JSON lines and the other formats of files |
//! | `remote.rs`, `remote/` | Prometheus remote write |
//! | `otlp.rs`, `otlp/` | OTLP metrics |
//! | `sink.rs`, `samples.rs` | from parsed rows and labelled samples to batches |
//! | `weight.rs` | what a message takes in memory, found out before it is taken apart |

mod influx;
mod otlp;
mod remote;
mod rows;
mod samples;
mod sink;
mod weight;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use chronolith_engine::{Db, Ticket, WriteError};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::HttpSettings;
use super::problem::Problem;
use super::state::HttpState;
use crate::ingest::IngestError;
use samples::Samples;
use sink::Lines;

/// A request's records go to the log in batches of about so many.
const BATCH_RECORDS: usize = 20_000;
/// How much of text and bytes a batch holds: bytes.
const BATCH_BYTES: usize = 8 << 20;
/// What is remembered from one request to the next is at most so much, for each who writes: bytes.
const MEMORY_BYTES: usize = 64 << 20;

/// The routes of those who write.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .merge(influx::routes(state))
        .merge(rows::routes(state))
        .merge(remote::routes(state))
        .merge(otlp::routes(state))
}

/// Those who take bodies apart, and what they remember.
pub(super) struct Writers {
    permits: Arc<Semaphore>,
    lines: Mutex<Vec<Lines>>,
    samples: Mutex<Vec<Samples>>,
}

impl Writers {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        let permits = settings.writes().min(Semaphore::MAX_PERMITS);
        let (lines, samples) = Default::default();
        Self { permits: Arc::new(Semaphore::new(permits)), lines, samples }
    }

    async fn enter(&self, longest: Duration) -> Result<OwnedSemaphorePermit, Problem> {
        let permit = tokio::time::timeout(longest, Arc::clone(&self.permits).acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::unavailable("busy", "too many write; come again", 1)),
        }
    }
}

/// Runs what takes a body apart on a thread for that, and returns when the batch of its ticket, the
/// last, is on stable storage.
async fn write<T: Send + 'static>(
    state: &HttpState,
    work: impl FnOnce(&HttpState) -> Result<(T, Option<Ticket>), Problem> + Send + 'static,
) -> Result<T, Problem> {
    let permit = state.writers().enter(state.request_time() / 2).await?;
    let asked = state.clone();
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&asked)
    });
    let failed = |_| Problem::internal("the body could not be taken apart; report it");
    let handed_over = done.await.map_err(failed)?;
    let written = match handed_over {
        Ok((done, Some(ticket))) => durable(state.db(), &ticket).await.map(|()| done),
        // Nothing was written, so that nothing is known of the database.
        Ok((done, None)) => return Ok(done),
        Err(problem) => Err(problem),
    };
    match &written {
        Ok(_) => state.note_writing(None),
        Err(problem) if problem.code == DATABASE => state.note_writing(Some(&problem.message)),
        Err(_) => {}
    }
    written
}

/// The word for a database that takes no records.
const DATABASE: &str = "database";

/// Returns when a batch is on stable storage. The thread that syncs does so once for all who wait.
async fn durable(db: &Db, ticket: &Ticket) -> Result<(), Problem> {
    if ticket.is_durable() {
        return Ok(());
    }
    let (sender, synced) = oneshot::channel();
    // An error says that the client went away.
    db.when_durable(ticket, move |done| drop(sender.send(done)));
    match synced.await {
        Ok(done) => done.map_err(|error| refused(&error)),
        Err(_) => Err(Problem::unavailable("stopping", "the database is being closed", 5)),
    }
}

/// Why the database does not take records. Clients keep what they sent and come again, but for a batch
/// that it will never take.
fn refused(error: &WriteError) -> Problem {
    match error {
        WriteError::BatchTooLarge { .. } => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", error.to_string())
        }
        _ => Problem::unavailable(DATABASE, error.to_string(), 10),
    }
}

/// The same of what ended the reading of rows.
fn ended(error: &IngestError) -> Problem {
    match error {
        IngestError::Sink(error) => match error.downcast_ref() {
            Some(error) => refused(error),
            None => Problem::unavailable(DATABASE, error.to_string(), 10),
        },
        error => Problem::invalid(error.to_string()),
    }
}
