//! Parameters of a request: those of the address, and those of a form in the body.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;

use crate::http::body::{Taking, read_most};
use crate::http::parameters::pairs;
use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// Names and values in the order in which they came; a name may come more than once.
#[derive(Debug)]
pub(super) struct Form {
    pairs: Vec<(String, String)>,
    /// The room of the body that they came in.
    #[cfg_attr(not(feature = "sql"), expect(dead_code, reason = "it is held"))]
    room: Option<Taking>,
}

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";
/// The longest text of a question: bytes. It is kept while the question waits for its turn, and what it
/// is parsed into is many times as large.
const TEXT_MOST: usize = 1 << 20;

impl Form {
    /// Those of the address alone.
    pub(super) fn of_address(request: &Request) -> Self {
        let pairs = pairs(request.uri().query().unwrap_or_default());
        Self { pairs, room: None }
    }

    /// What keeps the room of the body, for whoever keeps a part of it.
    #[cfg(feature = "sql")]
    pub(super) const fn take_room(&mut self) -> Option<Taking> {
        self.room.take()
    }

    /// The last value of a name; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A number, or what is wrong with it.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let parse = |text: &str| text.parse().map_err(|_| format!("{name}={text} is no number"));
        self.get(name).map(parse).transpose()
    }
}

/// The media type of a request, without its parameters.
pub(super) fn media_type(request: &Request) -> String {
    let value = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = value.unwrap_or_default().split(';').next().unwrap_or_default();
    media.trim().to_ascii_lowercase()
}

/// A body as text, within the bounds of all bodies, and what keeps its room as long as it is there.
pub(super) async fn text(
    state: &HttpState,
    request: Request<Body>,
) -> Result<(String, Taking), Problem> {
    let (bytes, room) = read_most(state, request, TEXT_MOST).await?.into_parts();
    let text = String::from_utf8(bytes).map_err(|_| Problem::invalid("the body is not UTF-8"))?;
    Ok((text, room))
}

impl FromRequest<HttpState> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let mut form = Self::of_address(&request);
        if media_type(&request) == FORM {
            let mut taken = read_most(state, request, TEXT_MOST).await?;
            // A pair of nothing is one byte of a body.
            let count = memchr::memchr_iter(b'&', taken.bytes()).count() + 1;
            taken.take_more(state.room(), count * size_of::<(String, String)>())?;
            let text = std::str::from_utf8(taken.bytes());
            form.pairs.extend(pairs(text.map_err(|_| Problem::invalid("the body is not UTF-8"))?));
            form.room = Some(taken.into_parts().1);
        }
        Ok(form)
    }
}
