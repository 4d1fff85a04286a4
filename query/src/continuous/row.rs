//! Rows and changes: what a continuous query answers, and how answers become others.

use chronolith_engine::{Aggregated, Kind, Value};

use super::bytes::{Bytes, put_bytes, put_i64, put_texts, put_u64, put_value};

/// The number of a change of one query; later changes have higher numbers, without gaps.
pub type Cursor = u64;

/// One answer: the aggregates of one group in one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The values of the keys, in the order of the statement.
    pub keys: Vec<String>,
    /// The window's first nanosecond since the epoch.
    pub start_ns: i64,
    /// The first nanosecond behind the window; of a session the time of its last record.
    pub end_ns: i64,
    /// The aggregates in the order of the statement; `None` where one has no value.
    pub values: Vec<Option<Value>>,
    /// Whether the watermark has passed the window: only late records can still change it.
    pub is_final: bool,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// There was none before.
    Insert,
    /// It has other values, or another end, than before.
    Update,
    /// It is no more: its records are gone, or belong to another session now.
    Delete,
}

/// One change of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The number of the change.
    pub cursor: Cursor,
    /// What became of the row.
    pub kind: ChangeKind,
    /// The row after the change; of a deletion as it was before.
    pub row: Row,
    /// The values before: those that the change takes back.
    pub before: Option<Vec<Option<Value>>>,
}

impl Change {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.cursor);
        out.push(match self.kind {
            ChangeKind::Insert => 0,
            ChangeKind::Update => 1,
            ChangeKind::Delete => 2,
        });
        let row = &self.row;
        out.push(u8::from(row.is_final));
        put_i64(out, row.start_ns);
        put_i64(out, row.end_ns);
        put_texts(out, &row.keys);
        out.push(row.values.len() as u8);
        row.values.iter().for_each(|value| put_value(out, value.as_ref()));
        match &self.before {
            None => out.push(0),
            Some(before) => {
                out.push(1);
                before.iter().for_each(|value| put_value(out, value.as_ref()));
            }
        }
    }

    pub(super) fn decode(bytes: &mut Bytes<'_>) -> Result<Self, String> {
        let cursor = bytes.u64()?;
        let kind = match bytes.u8()? {
            0 => ChangeKind::Insert,
            1 => ChangeKind::Update,
            2 => ChangeKind::Delete,
            _ => return Err("no such kind of change".to_owned()),
        };
        let is_final = bytes.u8()? != 0;
        let (start_ns, end_ns) = (bytes.i64()?, bytes.i64()?);
        let keys = bytes.texts()?;
        let count = bytes.u8()?;
        let values = (0..count).map(|_| bytes.value()).collect::<Result<_, _>>()?;
        let before = match bytes.u8()? {
            0 => None,
            _ => Some((0..count).map(|_| bytes.value()).collect::<Result<_, _>>()?),
        };
        let row = Row { keys, start_ns, end_ns, values, is_final };
        Ok(Self { cursor, kind, row, before })
    }
}

/// Changes of one commit, as they are kept.
pub(super) fn encode_changes(changes: &[std::sync::Arc<Change>]) -> Vec<u8> {
    let mut out = Vec::new();
    for change in changes {
        let mut one = Vec::new();
        change.encode(&mut one);
        put_bytes(&mut out, &one);
    }
    out
}

/// The changes that [`encode_changes`] wrote.
pub(super) fn decode_changes(bytes: &[u8]) -> Result<Vec<Change>, String> {
    let mut bytes = Bytes::new(bytes);
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let mut one = Bytes::new(bytes.sized()?);
        changes.push(Change::decode(&mut one)?);
        one.finish()?;
    }
    Ok(changes)
}

/// A value of an aggregate in the kind that its column has; `None` where that cannot hold it.
pub(super) fn as_kind(value: Aggregated, kind: Kind) -> Option<Value> {
    let integer = match value {
        Aggregated::Value(value) if value.as_ref().kind() == kind => return Some(value),
        Aggregated::Float(value) | Aggregated::Value(Value::F64(value)) => {
            return (kind == Kind::F64).then_some(Value::F64(value));
        }
        Aggregated::Integer(value) => value,
        Aggregated::Value(Value::I64(value)) => value.into(),
        Aggregated::Value(Value::U64(value)) => value.into(),
        Aggregated::Value(Value::Bool(value)) => value.into(),
        _ => return None,
    };
    match kind {
        Kind::F64 => Some(Value::F64(integer as f64)),
        Kind::I64 => i64::try_from(integer).ok().map(Value::I64),
        Kind::U64 => u64::try_from(integer).ok().map(Value::U64),
        Kind::Bool | Kind::Text | Kind::Bytes => None,
    }
}

/// How far two floats may be apart and still be the same answer: sums of the same values in another
/// order.
const SAME: f64 = 1e-13;

/// Whether two answers are the same but for the rounding of sums in another order.
pub(super) fn same_values(one: &[Option<Value>], other: &[Option<Value>]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|pair| match pair {
            (Some(Value::F64(one)), Some(Value::F64(other))) => {
                one.to_bits() == other.to_bits()
                    || (one.is_nan() && other.is_nan())
                    || (one - other).abs() <= SAME * one.abs().max(other.abs())
            }
            (one, other) => one == other,
        })
}
