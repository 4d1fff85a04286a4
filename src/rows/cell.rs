//! Cells: values as text and as JSON.

use std::io::{self, Write};

use chronolith_engine::{Aggregated, ValueRef};
use serde_json::json;

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Text(String),
    Value(serde_json::Value, String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Value(json!(number), number.to_string())
    }
}

impl From<Option<u64>> for Cell {
    fn from(number: Option<u64>) -> Self {
        number.map_or_else(|| Self::Value(serde_json::Value::Null, String::new()), Self::from)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Value(json!(number), number.to_string())
    }
}

impl From<&serde_json::Value> for Cell {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Value(value.clone(), String::new()),
            serde_json::Value::String(text) => Self::Text(text.clone()),
            other => Self::Value(other.clone(), other.to_string()),
        }
    }
}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Self {
        Self::Value(json_value(value), plain_value(value))
    }
}

impl From<Option<Aggregated>> for Cell {
    fn from(value: Option<Aggregated>) -> Self {
        match value {
            None => Self::Value(serde_json::Value::Null, String::new()),
            Some(Aggregated::Float(value)) => ValueRef::F64(value).into(),
            Some(Aggregated::Value(value)) => Self::from(value.as_ref()),
            Some(Aggregated::Integer(value)) => {
                let text = value.to_string();
                // Beyond 64 bits a JSON number would be rounded: text keeps every digit.
                let number = match (i64::try_from(value), u64::try_from(value)) {
                    (Ok(number), _) => json!(number),
                    (_, Ok(number)) => json!(number),
                    _ => json!(text),
                };
                Self::Value(number, text)
            }
            Some(_) => Self::Text(String::new()),
        }
    }
}

impl Cell {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Value(_, text) => text,
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Value(value, _) => value.clone(),
        }
    }
}

/// A float in the shortest form that reads back to the same bits.
pub(crate) fn float(value: f64) -> String {
    if value.is_finite() {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        return text.strip_suffix(".0").unwrap_or(text).to_owned();
    }
    let is_usual = value.is_infinite() || value.to_bits() == f64::NAN.to_bits();
    match is_usual {
        true if value.is_nan() => "NaN".to_owned(),
        true if value > 0.0 => "inf".to_owned(),
        true => "-inf".to_owned(),
        false => format!("NaN:{:016x}", value.to_bits()),
    }
}

/// A value as text, as CSV has it: bytes as `0x` and hexadecimal digits.
pub(crate) fn plain_value(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::F64(value) => float(value),
        ValueRef::I64(value) => value.to_string(),
        ValueRef::U64(value) => value.to_string(),
        ValueRef::Bool(value) => value.to_string(),
        ValueRef::Text(value) => value.to_owned(),
        ValueRef::Bytes(value) => {
            let mut text = String::with_capacity(2 + value.len() * 2);
            text.push_str("0x");
            value.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
            text
        }
        ValueRef::Blob(blob) => format!("blob:{}", blob.cid),
    }
}

/// A value as JSON; floats that JSON does not have are texts.
pub(crate) fn json_value(value: ValueRef<'_>) -> serde_json::Value {
    match value {
        ValueRef::F64(number) if number.is_finite() => json!(number),
        ValueRef::I64(value) => json!(value),
        ValueRef::U64(value) => json!(value),
        ValueRef::Bool(value) => json!(value),
        other => json!(plain_value(other)),
    }
}

/// Writes a cell of CSV, quoted where it must be (RFC 4180), and where blanks at its ends would be
/// taken for none of it.
pub(crate) fn put_csv_cell(out: &mut impl Write, cell: &str) -> io::Result<()> {
    if cell.contains(['"', ',', '\n', '\r']) || cell.trim() != cell {
        return write!(out, "\"{}\"", cell.replace('"', "\"\""));
    }
    out.write_all(cell.as_bytes())
}

/// A time for people and programs: RFC 3339 in UTC.
pub(crate) fn rfc3339(time_ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(time_ns.into()) {
        Ok(timestamp) => timestamp.to_string(),
        Err(_) => time_ns.to_string(),
    }
}
