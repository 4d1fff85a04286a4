//! Cells: the columns of a batch as values of Chronolith's kinds.

use std::borrow::Cow;

use chronolith_engine::Kind;
use chronolith_query::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, LargeBinaryArray,
    StringViewArray, UInt64Array,
};
use chronolith_query::arrow::compute::cast;
use chronolith_query::arrow::compute::kernels::length::length;
use chronolith_query::arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, UInt64Type};
use chronolith_query::arrow::error::ArrowError;

use crate::ingest::ValueError;
use crate::ingest::value::{self, Cell};

/// How the values of a type are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// The kind of metrics that are made of them.
    pub(super) kind: Kind,
    /// The type that the column is read as.
    read_as: DataType,
    /// The unit, where the type says one.
    pub(super) unit: &'static str,
    /// Whether values are decimals, which a float may not hold exactly.
    pub(super) is_decimal: bool,
}

const fn plain(kind: Kind, read_as: DataType) -> Shape {
    Shape { kind, read_as, unit: "", is_decimal: false }
}

/// How values of a type are kept; `None` for those that metrics cannot hold: lists, maps, unions.
pub(super) fn shape(data_type: &DataType) -> Option<Shape> {
    use DataType as D;
    let counted = |unit| Some(Shape { unit, ..plain(Kind::I64, D::Int64) });
    match data_type {
        D::Float16 | D::Float32 | D::Float64 => Some(plain(Kind::F64, D::Float64)),
        D::Int8 | D::Int16 | D::Int32 | D::Int64 => Some(plain(Kind::I64, D::Int64)),
        D::UInt8 | D::UInt16 | D::UInt32 | D::UInt64 => Some(plain(Kind::U64, D::UInt64)),
        D::Boolean => Some(plain(Kind::Bool, D::Boolean)),
        // All null: the kind is never asked for.
        D::Null | D::Utf8 | D::LargeUtf8 | D::Utf8View => Some(plain(Kind::Text, D::Utf8View)),
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => {
            Some(plain(Kind::Bytes, D::LargeBinary))
        }
        D::Decimal32(digits, scale)
        | D::Decimal64(digits, scale)
        | D::Decimal128(digits, scale)
        | D::Decimal256(digits, scale) => {
            // Digits stay as they are until the kind is known.
            let is_whole = *scale == 0 && *digits <= 18;
            let kind = if is_whole { Kind::I64 } else { Kind::F64 };
            Some(Shape { is_decimal: !is_whole, ..plain(kind, D::Utf8) })
        }
        // Counts of the type's own unit, exactly.
        D::Timestamp(unit, _) | D::Time32(unit) | D::Time64(unit) | D::Duration(unit) => {
            counted(match unit {
                TimeUnit::Second => "s",
                TimeUnit::Millisecond => "ms",
                TimeUnit::Microsecond => "us",
                TimeUnit::Nanosecond => "ns",
            })
        }
        D::Date32 => counted("d"),
        D::Date64 => counted("ms"),
        D::Dictionary(_, values) => shape(values),
        D::RunEndEncoded(_, values) => shape(values.data_type()),
        _ => None,
    }
}

/// How long the texts of a column are together, where several rows may have one: bytes.
pub(super) fn text_bytes(column: &ArrayRef) -> Result<u64, ArrowError> {
    use DataType as D;
    let of = match column.data_type() {
        D::Dictionary(_, values) => values,
        D::RunEndEncoded(_, values) => values.data_type(),
        own @ (D::Utf8View | D::BinaryView) => own,
        // Each row has its own bytes in the batch.
        _ => return Ok(0),
    };
    if !matches!(
        of,
        D::Utf8 | D::LargeUtf8 | D::Utf8View | D::Binary | D::LargeBinary | D::BinaryView
    ) {
        return Ok(0);
    }
    let lengths = cast(&length(column)?, &DataType::Int64)?;
    let lengths = lengths.as_primitive::<Int64Type>().iter().flatten();
    Ok(lengths.map(|length| u64::try_from(length).unwrap_or(0)).sum())
}

/// The cells of a column.
pub(super) enum Cells {
    F64(Float64Array),
    I64(Int64Array),
    U64(UInt64Array),
    Bool(BooleanArray),
    Text(StringViewArray),
    Bytes(LargeBinaryArray),
}

impl Cells {
    /// Reads a column of a shape.
    pub(super) fn new(column: &ArrayRef, shape: &Shape) -> Result<Self, ArrowError> {
        let column = match column.data_type() {
            DataType::Dictionary(_, values) => cast(column, values)?,
            DataType::RunEndEncoded(_, values) => cast(column, values.data_type())?,
            _ => ArrayRef::clone(column),
        };
        let column = match column.data_type() {
            DataType::Time32(_) => cast(&column, &DataType::Int32)?,
            _ => column,
        };
        let column = cast(&column, &shape.read_as)?;
        Ok(match shape.read_as {
            DataType::Float64 => Self::F64(column.as_primitive::<Float64Type>().clone()),
            DataType::Int64 => Self::I64(column.as_primitive::<Int64Type>().clone()),
            DataType::UInt64 => Self::U64(column.as_primitive::<UInt64Type>().clone()),
            DataType::Boolean => Self::Bool(column.as_boolean().clone()),
            DataType::LargeBinary => Self::Bytes(column.as_binary::<i64>().clone()),
            _ => Self::Text(cast(&column, &DataType::Utf8View)?.as_string_view().clone()),
        })
    }

    /// Whether a cell has no value.
    pub(super) fn is_empty(&self, row: usize) -> bool {
        match self {
            Self::F64(values) => values.is_null(row),
            Self::I64(values) => values.is_null(row),
            Self::U64(values) => values.is_null(row),
            Self::Bool(values) => values.is_null(row),
            Self::Text(values) => values.is_null(row),
            Self::Bytes(values) => values.is_null(row),
        }
    }

    /// A cell as CSV would write it; nothing where it is empty.
    pub(super) fn text(&self, row: usize) -> Cow<'_, str> {
        if self.is_empty(row) {
            return Cow::Borrowed("");
        }
        Cow::Owned(match self {
            Self::Text(values) => return Cow::Borrowed(values.value(row)),
            Self::F64(values) => format!("{:?}", values.value(row)),
            Self::I64(values) => values.value(row).to_string(),
            Self::U64(values) => values.value(row).to_string(),
            Self::Bool(values) => values.value(row).to_string(),
            Self::Bytes(values) => values.value(row).iter().map(|b| format!("{b:02x}")).collect(),
        })
    }

    /// The value of a cell that is not empty, as a kind; what would not be exact is an error.
    pub(super) fn value(&self, row: usize, kind: Kind) -> Result<Cell<'_>, ValueError> {
        Ok(match (self, kind) {
            (Self::F64(values), Kind::F64) => Cell::F64(values.value(row)),
            (Self::I64(values), Kind::I64) => Cell::I64(values.value(row)),
            (Self::U64(values), Kind::U64) => Cell::U64(values.value(row)),
            (Self::Bool(values), Kind::Bool) => Cell::Bool(values.value(row)),
            (Self::Text(values), Kind::Text) => Cell::Text(Cow::Borrowed(values.value(row))),
            (Self::Bytes(values), Kind::Bytes) => Cell::Bytes(values.value(row).to_vec()),
            (_, Kind::Text) => Cell::Text(self.text(row)),
            _ => match value::read(&self.text(row), kind)? {
                Cell::F64(value) => Cell::F64(value),
                Cell::I64(value) => Cell::I64(value),
                Cell::U64(value) => Cell::U64(value),
                Cell::Bool(value) => Cell::Bool(value),
                Cell::Bytes(value) => Cell::Bytes(value),
                Cell::Text(value) => Cell::Text(Cow::Owned(value.into_owned())),
            },
        })
    }
}
