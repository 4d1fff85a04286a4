//! The shapes of values, and the names that rules know.

use std::collections::BTreeMap;
use std::fmt;

use super::value::{LIST_BYTES_MAX, LIST_MAX, TEXT_BYTES_MAX, Value};
use crate::model::{AnswerKind, Contract, Query};

/// What kind of value something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Yes or no.
    Boolean,
    /// A whole number.
    Integer,
    /// A text.
    Text,
    /// An amount of coin.
    Amount,
    /// Values of one shape.
    List(Box<Shape>),
    /// Values by name. Those that may be missing are asked for with `has`.
    Record(Fields),
}

/// The fields of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(BTreeMap<String, Field>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    shape: Shape,
    may_be_missing: bool,
}

/// Why a value is not of a shape: the way to it, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ShapeError {
    /// The way to the value.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Fields {
    fn of<'a>(fields: impl IntoIterator<Item = (&'a str, Shape)>) -> Self {
        let field = |shape| Field { shape, may_be_missing: false };
        Self(fields.into_iter().map(|(name, shape)| (name.to_owned(), field(shape))).collect())
    }

    /// A field's shape.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Shape> {
        self.0.get(name).map(|field| &field.shape)
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("a condition"),
            Self::Integer => f.write_str("a whole number"),
            Self::Text => f.write_str("a text"),
            Self::Amount => f.write_str("an amount"),
            Self::List(_) => f.write_str("a list"),
            Self::Record(_) => f.write_str("a record"),
        }
    }
}

impl Shape {
    fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Shape)>) -> Self {
        Self::Record(Fields::of(fields))
    }

    fn texts() -> Self {
        Self::List(Box::new(Self::Text))
    }

    /// Whether a value is of this shape, within the bounds of inputs.
    ///
    /// # Errors
    /// [`ShapeError`] with the first place where it is not.
    pub fn check(&self, value: &Value, place: &str) -> Result<(), ShapeError> {
        let fail = |problem: String| Err(ShapeError { place: place.to_owned(), problem });
        match (self, value) {
            (Self::Boolean, Value::Boolean(_))
            | (Self::Integer, Value::Integer(_))
            | (Self::Amount, Value::Amount(_)) => Ok(()),
            (Self::Text, Value::Text(text)) if text.len() > TEXT_BYTES_MAX => {
                fail(format!("{} bytes where a text has at most {TEXT_BYTES_MAX}", text.len()))
            }
            (Self::Text, Value::Text(_)) => Ok(()),
            (Self::List(_), Value::List(values)) if values.len() > LIST_MAX => {
                fail(format!("{} elements where a list has at most {LIST_MAX}", values.len()))
            }
            (Self::List(shape), Value::List(values)) => {
                let bytes: usize = values.iter().map(text_bytes).sum();
                if bytes > LIST_BYTES_MAX {
                    return fail(format!("{bytes} bytes where a list has {LIST_BYTES_MAX}"));
                }
                let mut places = values.iter().zip(0..);
                places.try_for_each(|(value, at)| shape.check(value, &format!("{place}[{at}]")))
            }
            (Self::Record(fields), Value::Record(values)) => fields.check(values, place),
            _ => fail(format!("it is not {self}")),
        }
    }
}

/// How many bytes of text are in a value.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::List(values) => values.iter().map(text_bytes).sum(),
        Value::Record(fields) => fields.values().map(text_bytes).sum(),
        _ => 0,
    }
}

impl Fields {
    fn check(&self, values: &BTreeMap<String, Value>, place: &str) -> Result<(), ShapeError> {
        let below = |name: &str| match place {
            "" => name.to_owned(),
            place => format!("{place}.{name}"),
        };
        let fail = |name: &str, problem: &str| {
            Err(ShapeError { place: below(name), problem: problem.to_owned() })
        };
        for (name, field) in &self.0 {
            match values.get(name) {
                Some(value) => field.shape.check(value, &below(name))?,
                None if field.may_be_missing => {}
                None => return fail(name, "it is missing"),
            }
        }
        match values.keys().find(|name| !self.0.contains_key(*name)) {
            Some(name) => fail(name, "no rule knows it"),
            None => Ok(()),
        }
    }
}

/// What the rules of grants know.
#[must_use]
pub fn of_request(contract: &Contract) -> Fields {
    let certificate = Shape::record([
        ("issuer", Shape::Text),
        ("role", Shape::Text),
        ("subject", Shape::Text),
        ("until_s", Shape::Integer),
    ]);
    let request = Shape::record([
        ("buyer", Shape::Text),
        ("certificates", Shape::List(Box::new(certificate))),
        ("from_s", Shape::Integer),
        ("until_s", Shape::Integer),
        ("hours", Shape::Integer),
        ("level", Shape::Integer),
        ("metrics", Shape::texts()),
        ("paid", Shape::Amount),
        ("purpose", Shape::Text),
    ]);
    let lists = contract.lists.iter().map(|name| (name.as_str(), Shape::texts()));
    let budget = Shape::record([("limit", Shape::Integer), ("used", Shape::Integer)]);
    Fields::of([
        ("request", request),
        ("lists", Shape::record(lists)),
        ("budget", budget),
        ("now", now()),
    ])
}

/// What the rules of steps and ends know.
#[must_use]
pub fn of_deal(contract: &Contract) -> Fields {
    let event = Shape::record([
        ("by", Shape::Text),
        ("kind", Shape::Text),
        ("ruling", Shape::Text),
        ("ruling_bp", Shape::Integer),
        ("units", Shape::Integer),
    ]);
    let deal = Shape::record([
        ("escrow", Shape::Amount),
        ("left", Shape::Amount),
        ("opened", Shape::Integer),
        ("entered", Shape::Integer),
        ("step", Shape::Text),
    ]);
    let answer = |query: &Query| {
        let shape = match query.answer {
            AnswerKind::Boolean => Shape::Boolean,
            AnswerKind::Integer => Shape::Integer,
            AnswerKind::Text => Shape::Text,
        };
        (query.name.clone(), Field { shape, may_be_missing: true })
    };
    let answers = Fields(contract.queries.iter().map(answer).collect());
    Fields::of([
        ("answers", Shape::Record(answers)),
        ("deal", deal),
        ("event", event),
        ("now", now()),
    ])
}

fn now() -> Shape {
    Shape::record([("height", Shape::Integer), ("time_s", Shape::Integer)])
}
