//! What is asked: SQL and limits, from the address, a form, JSON or a body of plain text.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use serde::Deserialize;

use crate::answer::Question as Asked;
use crate::http::body::Taking;
use crate::http::problem::{Position, Problem};
use crate::http::query::form::{Form, media_type, text};
use crate::http::state::HttpState;

/// A query and what it may take.
#[derive(Debug)]
pub(super) struct Question {
    /// The query.
    pub(super) sql: String,
    /// The format that is named.
    pub(super) format: Option<String>,
    /// The most rows.
    pub(super) rows: Option<u64>,
    /// The longest time.
    pub(super) time: Option<Duration>,
    /// How the answer is to be proved, where it is.
    pub(super) proving: Option<Proving>,
    /// The room of the body that it came in.
    pub(super) room: Option<Taking>,
}

/// How an answer is to be proved.
#[derive(Debug, Default)]
pub(super) struct Proving {
    /// What who asks has chosen.
    pub(super) nonce: Option<Vec<u8>>,
    /// The height that the proof begins at; 0 is the genesis.
    pub(super) since: u64,
    /// Whether the bodies of the chunks are left out.
    pub(super) without_bodies: bool,
}

impl Proving {
    fn new(
        prove: bool,
        nonce: Option<&str>,
        since: Option<u64>,
        without_bodies: bool,
    ) -> Result<Option<Self>, Problem> {
        let is_said = nonce.is_some() || since.is_some() || without_bodies;
        if !prove {
            return match is_said {
                false => Ok(None),
                true => Err(Problem::invalid(
                    "nonce, since and without_bodies say how an answer is proved: add prove=true",
                )),
            };
        }
        let wrong = |text: &str| {
            Problem::invalid(format!("nonce={text:?} is not 1 to 64 bytes in hexadecimal"))
        };
        let nonce =
            nonce.map(|text| Asked::nonce_of(text).ok_or_else(|| wrong(text))).transpose()?;
        Ok(Some(Self { nonce, since: since.unwrap_or(0), without_bodies }))
    }
}

fn is_yes(form: &Form, name: &str) -> Result<bool, Problem> {
    match form.get(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Problem::invalid(format!("{name}={other:?} is neither true nor false"))),
    }
}

/// The same as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    sql: String,
    format: Option<String>,
    max_rows: Option<u64>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    prove: bool,
    nonce: Option<String>,
    since: Option<u64>,
    #[serde(default)]
    without_bodies: bool,
}

impl FromRequest<HttpState> for Question {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        match media_type(&request).as_str() {
            "application/json" => {
                let address = Form::of_address(&request);
                let (body, room) = text(state, request).await?;
                let told: Told = serde_json::from_str(&body).map_err(|error| {
                    let position =
                        Position { line: error.line() as u64, column: error.column() as u64 };
                    Problem::invalid(format!("the body is no question: {error}")).at(position)
                })?;
                let Told { prove, since, without_bodies, .. } = told;
                checked(Self {
                    proving: Proving::new(prove, told.nonce.as_deref(), since, without_bodies)?,
                    sql: told.sql,
                    format: told.format.or_else(|| address.get("format").map(str::to_owned)),
                    rows: told.max_rows,
                    time: told.timeout_ms.map(Duration::from_millis),
                    room: Some(room),
                })
            }
            "text/plain" | "application/sql" => {
                let address = Form::of_address(&request);
                let (sql, room) = text(state, request).await?;
                Self::new(sql, &address, Some(room))
            }
            _ => {
                let mut form = Form::from_request(request, state).await?;
                let room = form.take_room();
                let sql = form.get("q").or_else(|| form.get("sql")).unwrap_or_default();
                Self::new(sql.to_owned(), &form, room)
            }
        }
    }
}

impl Question {
    fn new(sql: String, form: &Form, room: Option<Taking>) -> Result<Self, Problem> {
        let number = |name| form.number::<u64>(name).map_err(Problem::invalid);
        let (prove, without) = (is_yes(form, "prove")?, is_yes(form, "without_bodies")?);
        checked(Self {
            sql,
            proving: Proving::new(prove, form.get("nonce"), number("since")?, without)?,
            format: form.get("format").map(str::to_owned),
            rows: number("max_rows")?,
            time: number("timeout_ms")?.map(Duration::from_millis),
            room,
        })
    }
}

fn checked(question: Question) -> Result<Question, Problem> {
    if question.sql.trim().is_empty() {
        return Err(Problem::invalid(
            "there is no query: give it as q= in the address or a form, as {\"sql\": ...} in JSON, or \
             as a body of text/plain",
        ));
    }
    Ok(question)
}
