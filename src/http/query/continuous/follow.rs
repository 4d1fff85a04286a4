//! Changes as server-sent events, or as messages of a WebSocket.
//!
//! The id of a change is its cursor: a client that comes back with `Last-Event-ID`, as browsers do by
//! themselves, goes on behind it. Each change is told at least once, in order. The rows of a snapshot
//! have no id, and behind them comes `snapshot` with one: who lost the connection among them begins
//! again.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chronolith_query::continuous::{ChangeStream, Cursor, From, Snapshot};
use futures::future::{Either, select};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::refused;
use crate::http::problem::Problem;
use crate::http::query::admission::run;
use crate::http::query::form::Form;
use crate::http::state::HttpState;
use crate::http::ticket::Ticket;
use crate::rows::changes;

/// Where a client begins.
enum Begin {
    Now,
    Snapshot,
    Cursor(Cursor),
}

fn begin(form: &Form, headers: &HeaderMap) -> Result<Begin, Problem> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let cursor = |text: &str| {
        let problem = |_| Problem::invalid(format!("from={text} is not now, snapshot or a cursor"));
        text.parse().map(Begin::Cursor).map_err(problem)
    };
    match (last, form.get("from")) {
        // Who comes back goes on, whatever the address says.
        (Some(last), _) if !last.is_empty() => cursor(last),
        (_, Some("now")) => Ok(Begin::Now),
        (_, Some("snapshot") | None) => Ok(Begin::Snapshot),
        (_, Some(text)) => cursor(text),
    }
}

/// `GET /api/v1/continuous/{name}/changes?from=now|snapshot|CURSOR`: server-sent events.
pub(super) async fn follow(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Problem> {
    let begin = begin(&form, &headers)?;
    let (events, place) = begun(&state, name, begin).await?;
    let events = events.map(move |told| {
        // The place of one who follows is free when the stream is dropped.
        let _ = &place;
        Ok::<_, Infallible>(told.into_event())
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// `GET /api/v1/continuous/{name}/socket?from=now|snapshot|CURSOR`: the same by a WebSocket, each a
/// message `{"event": "insert", "id": CURSOR, "data": {...}}`.
pub(super) async fn socket(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
    Extension(ticket): Extension<Ticket>,
    form: Form,
) -> Result<Response, Problem> {
    let begin = begin(&form, &headers)?;
    let (events, place) = begun(&state, name, begin).await?;
    let events = Box::pin(events.take_until(Box::pin(ticket.ended(state))));
    let upgrade = upgrade.max_message_size(SAID_MOST).max_frame_size(SAID_MOST);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _place = place;
        tell(socket, events).await;
    }))
}

/// Who follows has nothing to say; a message is at most so long: bytes.
const SAID_MOST: usize = 4_096;
/// So often it is looked whether who follows by a socket is still there.
const PING: Duration = Duration::from_secs(15);

/// Tells events until they end, or nobody listens.
async fn tell(mut socket: WebSocket, mut events: Events) {
    let mut is_answered = true;
    loop {
        let next = tokio::time::timeout(PING, async {
            match select(events.next(), std::pin::pin!(socket.recv())).await {
                Either::Left((told, _)) => Either::Left(told),
                Either::Right((said, _)) => Either::Right(said),
            }
        });
        let sent = match next.await {
            Ok(Either::Left(Some(told))) => {
                socket.send(Message::Text(told.into_message().into())).await
            }
            // What is said is not looked at; that something is said shows that somebody is there.
            Ok(Either::Right(Some(Ok(said)))) if !matches!(said, Message::Close(_)) => {
                is_answered = true;
                continue;
            }
            Ok(Either::Left(None)) => {
                drop(socket.send(Message::Close(None)).await);
                return;
            }
            Ok(Either::Right(_)) => return,
            Err(_) if is_answered => {
                is_answered = false;
                socket.send(Message::Ping(Vec::new().into())).await
            }
            Err(_) => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Begins to follow: what is told, until the server stops, and the place among those who do.
async fn begun(
    state: &HttpState,
    name: String,
    begin: Begin,
) -> Result<(Events, OwnedSemaphorePermit), Problem> {
    let place = state.follow()?;
    let asked = state.clone();
    let (names, snapshot, changes) = run(state, move || {
        let queries = asked.continuous()?;
        let names = changes::names(&queries.columns(&name).map_err(refused)?);
        let (snapshot, from) = match begin {
            Begin::Now => (None, From::Now),
            Begin::Cursor(cursor) => (None, From::Cursor(cursor)),
            Begin::Snapshot => {
                let snapshot = queries.snapshot(&name).map_err(refused)?;
                let cursor = snapshot.cursor;
                (Some(snapshot), From::Cursor(cursor))
            }
        };
        let changes = queries.subscribe(&name, from).map_err(refused)?.into_stream();
        Ok::<_, Problem>((names, snapshot, changes))
    })
    .await??;
    let state = state.clone();
    let until = Box::pin(async move {
        state.stopping().await;
        drop(state);
    });
    Ok((Box::pin(events(names, snapshot, changes).take_until(until)), place))
}

/// What who follows is told.
struct Told {
    id: Option<Cursor>,
    event: &'static str,
    data: Value,
}

impl Told {
    fn into_event(self) -> Event {
        let event = Event::default().event(self.event).data(self.data.to_string());
        match self.id {
            Some(id) => event.id(id.to_string()),
            None => event,
        }
    }

    fn into_message(self) -> String {
        json!({"event": self.event, "id": self.id, "data": self.data}).to_string()
    }
}

type Events = Pin<Box<dyn Stream<Item = Told> + Send>>;

/// The rows of a snapshot, then changes. An error ends them behind an event that says it.
fn events(names: Vec<String>, snapshot: Option<Snapshot>, changes: ChangeStream) -> Events {
    let (rows, behind) = match snapshot {
        Some(Snapshot { rows, cursor }) => {
            let data = json!({"cursor": cursor, "rows": rows.len()});
            (rows, Some(Told { id: Some(cursor), event: "snapshot", data }))
        }
        None => (Vec::new(), None),
    };
    let of_rows = {
        let names = names.clone();
        stream::iter(rows).map(move |row| {
            // A row is no change: without the cursor and the kind that changes begin with.
            let data = changes::object(&names[2..], &changes::cells(0, "row", &row)[2..]);
            Told { id: None, event: "row", data }
        })
    };
    let of_changes = changes.map(move |change| match change {
        Ok(change) => {
            let event = changes::kind(change.kind);
            let cells = changes::cells(change.cursor, event, &change.row);
            Told { id: Some(change.cursor), event, data: changes::object(&names, &cells) }
        }
        Err(error) => Told { id: None, event: "error", data: refused(error).to_json() },
    });
    Box::pin(of_rows.chain(stream::iter(behind)).chain(of_changes))
}
