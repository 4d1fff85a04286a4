//! Cells: the values of Arrow columns as text and as JSON.

use chronolith_engine::ValueRef;
use chronolith_query::arrow::array::{Array, ArrayRef, AsArray};
use chronolith_query::arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use chronolith_query::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{Cell, rfc3339};

/// The cells of a column.
pub(crate) fn cells(column: &ArrayRef) -> anyhow::Result<Vec<Cell>> {
    let rows = 0..column.len();
    let null = || Cell::Value(serde_json::Value::Null, String::new());
    let some = |row: usize, cell: &dyn Fn(usize) -> Cell| {
        if column.is_null(row) { null() } else { cell(row) }
    };
    let all = |cell: &dyn Fn(usize) -> Cell| rows.clone().map(|row| some(row, cell)).collect();
    Ok(match column.data_type() {
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            all(&|row| ValueRef::F64(values.value(row)).into())
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            all(&|row| values.value(row).into())
        }
        DataType::UInt64 => {
            let values = column.as_primitive::<UInt64Type>();
            all(&|row| values.value(row).into())
        }
        DataType::Boolean => {
            let values = column.as_boolean();
            all(&|row| ValueRef::Bool(values.value(row)).into())
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            all(&|row| values.value(row).into())
        }
        DataType::Utf8View => {
            let values = column.as_string_view();
            all(&|row| values.value(row).into())
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            all(&|row| ValueRef::Bytes(values.value(row)).into())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = column.as_primitive::<TimestampNanosecondType>();
            all(&|row| rfc3339(values.value(row)).into())
        }
        DataType::Decimal128(_, 0) => {
            let values = column.as_primitive::<Decimal128Type>();
            all(&|row| {
                let text = values.value(row).to_string();
                let number = serde_json::from_str(&text).unwrap_or(serde_json::Value::Null);
                Cell::Value(number, text)
            })
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let list = |row: usize| -> anyhow::Result<Cell> {
                let members = cells(&lists.value(row))?;
                let texts: Vec<&str> = members.iter().map(Cell::text).collect();
                let json = members.iter().map(Cell::json).collect();
                Ok(Cell::Value(serde_json::Value::Array(json), format!("[{}]", texts.join(", "))))
            };
            let listed = rows.map(|row| if lists.is_null(row) { Ok(null()) } else { list(row) });
            listed.collect::<anyhow::Result<_>>()?
        }
        other => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column, &options)?;
            let is_number = other.is_numeric();
            all(&|row| {
                let text = formatter.value(row).to_string();
                let number = is_number.then(|| serde_json::from_str(&text).ok()).flatten();
                match number {
                    Some(number) => Cell::Value(number, text),
                    None => Cell::Text(text),
                }
            })
        }
    })
}
