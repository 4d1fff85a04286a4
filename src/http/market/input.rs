//! What requests to the market's role say: bodies, ids, times, amounts, questions.
//!
//! What is wrong in a body is refused with the field, its line and its column.

use std::fmt;

use axum::extract::Request;
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::CoinId;
use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::chain::amount;
use crate::http::body::{Taken, read_most};
use crate::http::problem::{Position, Problem};
use crate::http::state::HttpState;
use crate::market::MarketError;
use crate::market::question::{Question, Questions};
use crate::moment;
use crate::wallet::secret_of;

/// The longest JSON: bytes. The plan of a deal with as many steps and shares as there can be fits.
const JSON_MOST: usize = 256 << 10;

/// The JSON of a request.
pub(super) async fn body<T: DeserializeOwned>(
    state: &HttpState,
    request: Request,
) -> Result<T, Problem> {
    parse(&read_most(state, request, JSON_MOST).await?)
}

/// The same where nothing may be said.
pub(super) async fn body_or_nothing<T: DeserializeOwned + Default>(
    state: &HttpState,
    request: Request,
) -> Result<T, Problem> {
    let taken = read_most(state, request, JSON_MOST).await?;
    if taken.bytes().is_empty() { Ok(T::default()) } else { parse(&taken) }
}

fn parse<T: DeserializeOwned>(taken: &Taken) -> Result<T, Problem> {
    let mut input = serde_json::Deserializer::from_slice(taken.bytes());
    let read = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let problem = wrong(&error, error.inner());
        let field = error.path().to_string();
        // The whole is a single dot.
        if field == "." { problem } else { problem.with("field", field) }
    })?;
    input.end().map_err(|error| wrong(&error, &error))?;
    Ok(read)
}

fn wrong(told: &dyn std::fmt::Display, error: &serde_json::Error) -> Problem {
    let position = Position { line: error.line() as u64, column: error.column() as u64 };
    Problem::invalid(format!("the body: {told}")).at(position)
}

/// An id of the address: 64 hexadecimal digits.
pub(super) fn id<T>(text: &str, of: impl FnOnce([u8; 32]) -> T) -> Result<T, Problem> {
    let bytes = secret_of(text);
    let bytes = bytes.map_err(|_| {
        Problem::invalid(format!("{text:?} is no id: write its 64 hexadecimal digits"))
    })?;
    Ok(of(bytes))
}

/// A time as people write it: in milliseconds since the epoch.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Time(pub(super) u64);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        moment::parse_ms(&text).map(Self)
    }
}

/// An amount as people write it, in coin or in the smallest unit; nothing where it is not said.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Coins(pub(super) Amount);

impl TryFrom<String> for Coins {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        amount(&text).map(Self)
    }
}

/// A coin: in the form that it is shown, `"Native"` or `{"Issued": ID}`, or the id of an issued one alone.
#[derive(Clone, Copy)]
pub(super) struct CoinSaid(pub(super) Coin);

impl<'de> Deserialize<'de> for CoinSaid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CoinVisitor)
    }
}

struct CoinVisitor;

impl<'de> Visitor<'de> for CoinVisitor {
    type Value = CoinSaid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a coin: the id of an issued one, 64 hexadecimal digits, {\"Issued\": ID} or \"Native\"",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CoinSaid, E> {
        if text == "Native" {
            return Ok(CoinSaid(Coin::Native));
        }
        let id = secret_of(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
        Ok(CoinSaid(Coin::Issued(CoinId(id))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CoinSaid, A::Error> {
        let wrong = || A::Error::invalid_value(Unexpected::Map, &self);
        let (name, id) = map.next_entry::<String, CoinId>()?.ok_or_else(wrong)?;
        match name == "Issued" && map.next_key::<IgnoredAny>()?.is_none() {
            true => Ok(CoinSaid(Coin::Issued(id))),
            false => Err(wrong()),
        }
    }
}

/// A question: the content id of one of the node's configuration, or the text of the file of another.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Asked {
    /// One of the configuration.
    Known(ContentId),
    /// Another.
    Told(Box<Question>),
}

impl TryFrom<String> for Asked {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse() {
            Ok(id) => Ok(Self::Known(id)),
            Err(_) => Ok(Self::Told(Box::new(Question::parse(text.as_bytes())?))),
        }
    }
}

impl Asked {
    /// The question.
    pub(super) fn among<'a>(&'a self, known: &'a Questions) -> Result<&'a Question, MarketError> {
        match self {
            Self::Known(id) => known.get(*id),
            Self::Told(question) => Ok(question),
        }
    }
}
