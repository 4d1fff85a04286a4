//! The answers of continuous queries as tables: what is kept and what is not kept yet.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chronolith_engine::{Db, Value};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{DataFusionError, Result};

use super::columns::KEY_METADATA;
use crate::continuous::{Continuous, Row};

/// Whether a continuous query has this name.
pub(crate) fn is_query(db: &Db, name: &str) -> bool {
    crate::continuous::is_query(db, name)
}

/// The answer of the continuous query of a name, where there is one.
pub(crate) fn table(db: &Db, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    if !is_query(db, name) {
        return Ok(None);
    }
    let external = |error| DataFusionError::External(Box::new(error));
    let queries = Continuous::reading(db.clone()).map_err(external)?;
    let columns = queries.columns(name).map_err(external)?;
    let rows = queries.rows(name, i64::MIN..=i64::MAX).map_err(external)?;
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    let utc: Arc<str> = "UTC".into();
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::clone(&utc)));
    let times = |values: Vec<i64>| -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from(values).with_timezone(Arc::clone(&utc)))
    };
    fields.extend([
        Field::new(&columns.window, time(), false),
        Field::new("window_end", time(), false),
    ]);
    arrays.push(times(rows.iter().map(|row| row.start_ns).collect()));
    arrays.push(times(rows.iter().map(|row| row.end_ns).collect()));
    for (index, key) in columns.keys.iter().enumerate() {
        let marks = HashMap::from([(KEY_METADATA.to_owned(), String::new())]);
        fields.push(Field::new(key, DataType::Utf8, true).with_metadata(marks));
        let values = rows.iter().map(|row| row.keys.get(index));
        arrays.push(Arc::new(values.collect::<StringArray>()));
    }
    for (index, name) in columns.values.iter().enumerate() {
        let array = values(&rows, index);
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    fields.push(Field::new("final", DataType::Boolean, false));
    let finals: Vec<bool> = rows.iter().map(|row| row.is_final).collect();
    arrays.push(Arc::new(BooleanArray::from(finals)));
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    Ok(Some(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?)))
}

/// One aggregate of all rows, in the kind of its values. Floats where groups differ in it.
fn values(rows: &[Row], index: usize) -> ArrayRef {
    let value = |row: &Row| row.values.get(index).cloned().flatten();
    let all = || rows.iter().map(value);
    let only = |is: fn(&Value) -> bool| all().flatten().all(|value| is(&value));
    if all().flatten().next().is_none() {
        return Arc::new(Float64Array::from(vec![None; rows.len()]));
    }
    if only(|value| matches!(value, Value::U64(_))) {
        let integer = |value| if let Value::U64(value) = value { Some(value) } else { None };
        return Arc::new(all().map(|v| v.and_then(integer)).collect::<UInt64Array>());
    }
    if only(|value| matches!(value, Value::I64(_))) {
        let integer = |value| if let Value::I64(value) = value { Some(value) } else { None };
        return Arc::new(all().map(|v| v.and_then(integer)).collect::<Int64Array>());
    }
    if only(|value| matches!(value, Value::Bool(_))) {
        let flag = |value| if let Value::Bool(value) = value { Some(value) } else { None };
        return Arc::new(all().map(|v| v.and_then(flag)).collect::<BooleanArray>());
    }
    if only(|value| matches!(value, Value::Text(_))) {
        let text = |value| if let Value::Text(value) = value { Some(value) } else { None };
        return Arc::new(all().map(|v| v.and_then(text)).collect::<StringArray>());
    }
    if only(|value| matches!(value, Value::Bytes(_) | Value::Blob(_))) {
        let bytes = |value| if let Value::Bytes(value) = value { Some(value) } else { None };
        return Arc::new(all().map(|v| v.and_then(bytes)).collect::<BinaryArray>());
    }
    let float = |value| match value {
        Value::F64(value) => Some(value),
        Value::I64(value) => Some(value as f64),
        Value::U64(value) => Some(value as f64),
        _ => None,
    };
    Arc::new(all().map(|value| value.and_then(float)).collect::<Float64Array>())
}
