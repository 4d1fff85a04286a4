//! Columns: what a table of records shows, and how blocks become Arrow arrays.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray,
    StringViewArray, TimestampNanosecondArray, UInt64Array, make_view, new_null_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use chronolith_engine::{
    Aggregated, Aggregation, Column, Definition, Every, Function, Kind, MetricId, Value, VarColumn,
};
use datafusion::common::{Result, exec_datafusion_err};

use super::catalog::{Lookup, read_error};

/// The key of a column's metadata that says which tag it shows, where it could not be called so
/// because another column has that name.
pub const TAG_METADATA: &str = "chronolith.tag";

/// The key of a column's metadata that says that it tells metrics apart.
pub(crate) const KEY_METADATA: &str = "chronolith.key";

/// A metric that a table shows.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) id: MetricId,
    pub(crate) definition: Arc<Definition>,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Time,
    Device,
    Name,
    Tag(String),
    Unit,
    Value(Shape),
    /// The content id of a value that is too large for a chunk.
    Blob,
    /// The number of the metric: no query names it, functions that follow metrics are given it.
    Metric,
}

/// What a column of values holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Values of one kind; those of other kinds are null.
    Kind(Kind),
    /// Numbers of any kind, as floats.
    Float,
}

/// The columns of a table of records.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) schema: SchemaRef,
    pub(crate) sources: Vec<Source>,
}

/// The type of times.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// The Arrow type of values of a kind.
pub(crate) fn kind_type(kind: Kind) -> DataType {
    match kind {
        Kind::F64 => DataType::Float64,
        Kind::I64 => DataType::Int64,
        Kind::U64 => DataType::UInt64,
        Kind::Bool => DataType::Boolean,
        Kind::Text => DataType::Utf8,
        Kind::Bytes => DataType::Binary,
    }
}

impl Shape {
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Kind(kind) => kind_type(kind),
            Self::Float => DataType::Float64,
        }
    }

    /// The columns that show metrics of some kinds, each with the end of its name: one where it can
    /// be, else one for each kind.
    pub(crate) fn of(kinds: &BTreeSet<Kind>, is_exact: impl FnOnce() -> Result<bool>) -> Shapes {
        let mut listed = kinds.iter().copied();
        if let (Some(kind), None) = (listed.next(), listed.next()) {
            return Ok(vec![(String::new(), Self::Kind(kind))]);
        }
        if kinds.iter().all(|kind| kind.is_number()) && is_exact()? {
            return Ok(vec![(String::new(), Self::Float)]);
        }
        Ok(kinds.iter().map(|kind| (format!("_{kind}"), Self::Kind(*kind))).collect())
    }
}

type Shapes = Result<Vec<(String, Shape)>>;

/// The kinds of some metrics.
pub(crate) fn kinds<'a>(series: impl IntoIterator<Item = &'a Series>) -> BTreeSet<Kind> {
    series.into_iter().map(|series| series.definition.kind).collect()
}

/// Whether every integer of some metrics is the same number as a float: from statistics.
pub(crate) fn are_exact<'a>(
    lookup: &Lookup,
    series: impl IntoIterator<Item = &'a Series>,
) -> Result<bool> {
    const LIMIT: u64 = 1 << 53;
    let functions = vec![Function::Min, Function::Max];
    let aggregation = Aggregation {
        from_ns: i64::MIN,
        to_ns: i64::MAX,
        every: Every::Everything,
        functions: functions.clone(),
    };
    let is_small = |value: Option<Aggregated>| match value {
        Some(Aggregated::Value(Value::I64(value))) => value.unsigned_abs() <= LIMIT,
        Some(Aggregated::Value(Value::U64(value))) => value <= LIMIT,
        _ => true,
    };
    for one in series.into_iter().filter(|one| one.definition.kind != Kind::F64) {
        let mut report = chronolith_engine::ReadReport::default();
        let buckets = lookup.snapshot.aggregate_one(one.id, &aggregation, &mut report);
        let buckets = buckets.map_err(read_error)?;
        let fits = |bucket: &chronolith_engine::Bucket| {
            functions.iter().all(|function| is_small(bucket.get(*function)))
        };
        if !buckets.iter().all(fits) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Names of columns that no two columns share: a tag gets `tag_` before it until it is alone.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    pub(crate) fn take(&mut self, name: &str) -> String {
        self.taken.insert(name.to_owned());
        name.to_owned()
    }

    /// A name, with a prefix before it as often as it takes.
    pub(crate) fn prefixed(&mut self, prefix: &str, name: &str) -> String {
        let mut name = name.to_owned();
        while self.taken.contains(&name) {
            name.insert_str(0, prefix);
        }
        self.take(&name)
    }
}

impl Layout {
    /// The columns of the metrics of one name, or with `names` of any.
    pub(crate) fn new(lookup: &Lookup, series: &[Series], names: bool) -> Result<Self> {
        let kinds = kinds(series);
        let shapes =
            Shape::of(&kinds, || if names { Ok(false) } else { are_exact(lookup, series) })?;
        let mut tags: BTreeMap<&str, bool> = BTreeMap::new();
        for one in series {
            for (key, _) in one.definition.metric.tags() {
                tags.entry(key).or_insert(true);
            }
        }
        let mut fixed = vec![("time", Source::Time), ("device", Source::Device)];
        if names {
            fixed.push(("name", Source::Name));
        }
        let mut taken = Names::default();
        for name in ["time", "device", "unit"].into_iter().chain(names.then_some("name")) {
            taken.take(name);
        }
        let mut behind = vec![("unit".to_owned(), Source::Unit)];
        for (end, shape) in shapes {
            behind.push((taken.take(&format!("value{end}")), Source::Value(shape)));
        }
        if kinds.contains(&Kind::Bytes) {
            behind.push((taken.take("blob"), Source::Blob));
        }
        let mut columns: Vec<(String, Source)> =
            fixed.into_iter().map(|(name, source)| (name.to_owned(), source)).collect();
        columns.extend(
            tags.keys().map(|key| (taken.prefixed("tag_", key), Source::Tag((*key).to_owned()))),
        );
        columns.append(&mut behind);
        Ok(Self::from_columns(columns))
    }

    fn from_columns(columns: Vec<(String, Source)>) -> Self {
        let field = |(name, source): &(String, Source)| -> FieldRef {
            let (data_type, nullable) = match source {
                Source::Time => (time_type(), false),
                Source::Device | Source::Name | Source::Unit => (DataType::Utf8View, false),
                Source::Tag(_) | Source::Blob => (DataType::Utf8View, true),
                Source::Value(shape) => (shape.data_type(), true),
                Source::Metric => (DataType::UInt64, false),
            };
            let field = Field::new(name, data_type, nullable);
            Arc::new(match source {
                Source::Tag(key) if key != name => {
                    field.with_metadata(HashMap::from([(TAG_METADATA.to_owned(), key.clone())]))
                }
                _ => field,
            })
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Self { schema, sources: columns.into_iter().map(|(_, source)| source).collect() }
    }

    /// The same with a column of the metrics' numbers at the end.
    pub(crate) fn with_metric_column(&self, name: &str) -> Self {
        let column = Field::new(name, DataType::UInt64, false);
        let fields = self.schema.fields().iter().map(Arc::clone).chain([Arc::new(column)]);
        let metadata = self.schema.metadata().clone();
        let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata);
        let mut sources = self.sources.clone();
        sources.push(Source::Metric);
        Self { schema: Arc::new(schema), sources }
    }

    pub(crate) fn source(&self, name: &str) -> Option<&Source> {
        self.sources.get(self.schema.index_of(name).ok()?)
    }
}

impl Source {
    /// Whether the column is the same for all records of a metric.
    pub(crate) const fn is_label(&self) -> bool {
        matches!(self, Self::Device | Self::Name | Self::Tag(_) | Self::Unit)
    }

    /// The label of a metric; `None` is null.
    pub(crate) fn label<'a>(&self, definition: &'a Definition) -> Option<&'a str> {
        match self {
            Self::Device => Some(definition.metric.device()),
            Self::Name => Some(definition.metric.name()),
            Self::Tag(key) => definition.metric.tag_value(key),
            Self::Unit => Some(&definition.unit),
            Self::Time | Self::Value(_) | Self::Blob | Self::Metric => None,
        }
    }
}

/// The same text, or null, `rows` times: one copy of the text, however many rows.
pub(crate) fn repeated(text: Option<&str>, rows: usize) -> Result<ArrayRef> {
    let Some(text) = text else { return Ok(new_null_array(&DataType::Utf8View, rows)) };
    let view = make_view(text.as_bytes(), 0, 0);
    let views = ScalarBuffer::from(vec![view; rows]);
    let array = StringViewArray::try_new(views, vec![Buffer::from(text.as_bytes())], None)?;
    Ok(Arc::new(array))
}

/// The same number `rows` times.
pub(crate) fn repeated_number(number: u64, rows: usize) -> ArrayRef {
    Arc::new(UInt64Array::from_value(number, rows))
}

/// Times as an array.
pub(crate) fn time_array(times: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC"))
}

/// The values of a block as an array of a shape.
pub(crate) fn value_array(shape: Shape, values: &Column) -> Result<ArrayRef> {
    let floats = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
    Ok(match (shape, values) {
        (Shape::Float | Shape::Kind(Kind::F64), Column::F64(values)) => floats(values.clone()),
        (Shape::Float, Column::I64(values)) => floats(values.iter().map(|v| *v as f64).collect()),
        (Shape::Float, Column::U64(values)) => floats(values.iter().map(|v| *v as f64).collect()),
        (Shape::Kind(Kind::I64), Column::I64(values)) => Arc::new(Int64Array::from(values.clone())),
        (Shape::Kind(Kind::U64), Column::U64(values)) => {
            Arc::new(UInt64Array::from(values.clone()))
        }
        (Shape::Kind(Kind::Bool), Column::Bool(values)) => {
            Arc::new(BooleanArray::from(values.clone()))
        }
        (Shape::Kind(Kind::Text), Column::Text(values)) => {
            let data = Buffer::from(values.data());
            Arc::new(StringArray::try_new(offsets(values)?, data, None)?)
        }
        (Shape::Kind(Kind::Bytes), Column::Bytes(values)) => {
            let nulls = (!values.blobs().is_empty()).then(|| {
                NullBuffer::from_iter((0..values.len()).map(|index| values.blob(index).is_none()))
            });
            Arc::new(BinaryArray::try_new(offsets(values)?, Buffer::from(values.data()), nulls)?)
        }
        _ => new_null_array(&shape.data_type(), values.len()),
    })
}

/// The content ids of the values that are blobs; null where a value is none.
pub(crate) fn blob_array(values: &Column) -> ArrayRef {
    let Column::Bytes(bytes) = values else {
        return new_null_array(&DataType::Utf8View, values.len());
    };
    let ids = (0..bytes.len()).map(|index| bytes.blob(index).map(|blob| blob.cid.to_string()));
    Arc::new(ids.collect::<StringViewArray>())
}

fn offsets(values: &VarColumn) -> Result<OffsetBuffer<i32>> {
    let too_long = || exec_datafusion_err!("the values of one window have more than 2 GiB");
    i32::try_from(values.data().len()).map_err(|_| too_long())?;
    let ends = values.ends().iter().map(|end| *end as i32);
    Ok(OffsetBuffer::new(std::iter::once(0).chain(ends).collect()))
}

/// The length of arrays in memory: bytes.
pub(crate) fn array_bytes(arrays: &[ArrayRef]) -> usize {
    arrays.iter().map(|array| array.get_array_memory_size()).sum()
}
