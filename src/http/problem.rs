//! Refusals: what is wrong with a request, in a form for programs and for people.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A place in a text that was sent, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// Why a request is refused. It is also an extension of the response, so that routes can put it into
/// the form that their clients expect.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    /// The status.
    pub(super) status: StatusCode,
    /// One word for programs.
    pub(super) code: &'static str,
    /// A sentence for people.
    pub(super) message: String,
    position: Option<Position>,
    retry_after_s: Option<u64>,
    more: Vec<(&'static str, Value)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, code, message, position: None, retry_after_s: None, more: Vec::new() }
    }

    /// A request that cannot be understood.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// There is no such thing.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// It is there, and not for this client.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// Not at present: worth another try after some seconds.
    pub(super) fn unavailable(
        code: &'static str,
        message: impl Into<String>,
        retry_after_s: u64,
    ) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        Self { retry_after_s: Some(retry_after_s), ..problem }
    }

    /// A fault of the server.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// A body that is longer than it may be.
    pub(super) fn too_large(limit_bytes: usize) -> Self {
        let message = format!("the body is longer than {limit_bytes} bytes; send it in parts");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// The same at a place in what was sent.
    pub(super) const fn at(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    /// The same with one more thing for programs.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    /// The body of the response.
    pub(super) fn to_json(&self) -> Value {
        self.put_into(json!({"error": self.code, "message": self.message}))
    }

    /// The place and what else there is, put into a body.
    pub(super) fn put_into(&self, mut body: Value) -> Value {
        if let Some(Position { line, column }) = self.position {
            body["line"] = line.into();
            body["column"] = column.into();
        }
        for (name, value) in &self.more {
            body[*name] = value.clone();
        }
        body
    }

    /// The response with another body.
    pub(super) fn respond(self, content_type: &'static str, body: String) -> Response {
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let ways = HeaderValue::from_static("Bearer realm=\"chronolith\"");
            headers.append(WWW_AUTHENTICATE, ways);
            let ways = HeaderValue::from_static("Basic realm=\"chronolith\"");
            headers.append(WWW_AUTHENTICATE, ways);
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.to_json().to_string();
        self.respond("application/json", body)
    }
}
