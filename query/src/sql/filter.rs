//! Filters: what of a condition times, labels and statistics can decide before any record is
//! decoded.
//!
//! Conditions on `time` become one range. Conditions on labels alone are decided once for each
//! metric: the label index narrows the candidates, then DataFusion's own expression is evaluated
//! on their labels, so that the answer is SQL's to the letter. Both are exact: nothing is checked
//! again for each record. Bounds on integers skip chunks and are checked again.

use arrow::array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use chronolith_engine::{Match, ValueRef};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use std::sync::Arc;

use super::columns::{Layout, Series, Source};

/// What filters say.
#[derive(Debug, Clone)]
pub(crate) struct Conditions {
    /// The first nanosecond.
    pub(crate) from_ns: i64,
    /// The last nanosecond; before the first where no time fits.
    pub(crate) to_ns: i64,
    /// Conditions for the label index; they let through at least what fits.
    pub(crate) labels: Vec<(String, Match)>,
    /// Conditions on labels, exactly.
    exact: Vec<Expr>,
    /// Bounds that an integer value must lie in.
    pub(crate) bounds: Option<(i128, i128)>,
}

/// What one filter can be used for.
enum Use {
    Time(i64, i64),
    Labels(Option<(String, Match)>),
    Bounds(i128, i128),
    Nothing,
}

impl Conditions {
    pub(crate) fn new(layout: &Layout, filters: &[Expr]) -> Self {
        let (from_ns, to_ns) = (i64::MIN, i64::MAX);
        let (labels, exact) = (Vec::new(), Vec::new());
        let mut all = Self { from_ns, to_ns, labels, exact, bounds: None };
        for filter in filters {
            match usage(layout, filter) {
                Use::Time(from_ns, to_ns) => {
                    all.from_ns = all.from_ns.max(from_ns);
                    all.to_ns = all.to_ns.min(to_ns);
                }
                Use::Labels(condition) => {
                    all.labels.extend(condition);
                    all.exact.push(filter.clone());
                }
                Use::Bounds(low, high) => {
                    let (old_low, old_high) = all.bounds.unwrap_or((i128::MIN, i128::MAX));
                    all.bounds = Some((old_low.max(low), old_high.min(high)));
                }
                Use::Nothing => {}
            }
        }
        all
    }

    /// Keeps the metrics whose labels fit.
    pub(crate) fn retain(
        &self,
        session: &dyn Session,
        layout: &Layout,
        series: Vec<Series>,
    ) -> Result<Vec<Series>> {
        if self.exact.is_empty() || series.is_empty() {
            return Ok(series);
        }
        let labels = layout.schema.fields().iter().zip(&layout.sources);
        let labels: Vec<_> = labels.filter(|(_, source)| source.is_label()).collect();
        let schema =
            Schema::new(labels.iter().map(|(field, _)| Arc::clone(field)).collect::<Vec<_>>());
        let columns = labels.iter().map(|(_, source)| {
            let values = series.iter().map(|one| source.label(&one.definition));
            Arc::new(values.collect::<arrow::array::StringViewArray>()) as arrow::array::ArrayRef
        });
        let schema = Arc::new(schema);
        let options = RecordBatchOptions::new().with_row_count(Some(series.len()));
        let batch =
            RecordBatch::try_new_with_options(Arc::clone(&schema), columns.collect(), &options)?;
        let schema = DFSchema::try_from(schema)?;
        let mut keep = vec![true; series.len()];
        for filter in &self.exact {
            let expression = session.create_physical_expr(filter.clone(), &schema)?;
            let fits = expression.evaluate(&batch)?.into_array(series.len())?;
            let fits = fits.as_any().downcast_ref::<BooleanArray>();
            for (index, keep) in keep.iter_mut().enumerate() {
                *keep &= fits.is_some_and(|fits| fits.is_valid(index) && fits.value(index));
            }
        }
        Ok(series.into_iter().zip(keep).filter_map(|(one, keep)| keep.then_some(one)).collect())
    }

    /// Whether a chunk whose values lie between two bounds may hold one that fits.
    pub(crate) fn may_hold(&self, low: ValueRef<'_>, high: ValueRef<'_>) -> bool {
        let integer = |value: ValueRef<'_>| match value {
            ValueRef::I64(value) => Some(i128::from(value)),
            ValueRef::U64(value) => Some(i128::from(value)),
            _ => None,
        };
        match (self.bounds, integer(low), integer(high)) {
            (Some((least, greatest)), Some(low), Some(high)) => low <= greatest && high >= least,
            _ => true,
        }
    }
}

/// How far a filter is decided before records are decoded.
pub(crate) fn support(layout: &Layout, filter: &Expr) -> TableProviderFilterPushDown {
    match usage(layout, filter) {
        Use::Time(..) | Use::Labels(_) => TableProviderFilterPushDown::Exact,
        Use::Bounds(..) => TableProviderFilterPushDown::Inexact,
        Use::Nothing => TableProviderFilterPushDown::Unsupported,
    }
}

fn usage(layout: &Layout, filter: &Expr) -> Use {
    let columns = filter.column_refs();
    let sources = columns.iter().map(|column| layout.source(&column.name));
    let sources: Option<Vec<&Source>> = sources.collect();
    let Some(sources) = sources.filter(|sources| !sources.is_empty()) else { return Use::Nothing };
    if sources.iter().all(|source| source.is_label()) && !filter.is_volatile() {
        return Use::Labels(index_condition(layout, filter));
    }
    match sources[..] {
        [Source::Time] => time_range(filter).map_or(Use::Nothing, |(from, to)| Use::Time(from, to)),
        [Source::Value(_)] => match integer_bounds(filter) {
            Some((low, high)) => Use::Bounds(low, high),
            None => Use::Nothing,
        },
        _ => Use::Nothing,
    }
}

/// A comparison of a column with a literal, the column on the left.
fn comparison(filter: &Expr) -> Option<(&str, Operator, &ScalarValue)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    match (&**left, &**right) {
        (Expr::Column(column), Expr::Literal(value, _)) => Some((&column.name, *op, value)),
        (Expr::Literal(value, _), Expr::Column(column)) => Some((&column.name, op.swap()?, value)),
        _ => None,
    }
}

const NO_TIME: (i64, i64) = (i64::MAX, i64::MIN);

/// The times, first and last, that a condition on `time` lets through.
fn time_range(filter: &Expr) -> Option<(i64, i64)> {
    if let Expr::Between(Between { expr, negated: false, low, high }) = filter
        && let (Expr::Column(_), Expr::Literal(low, _), Expr::Literal(high, _)) =
            (&**expr, &**low, &**high)
    {
        let (Some(low), Some(high)) = (nanoseconds(low)?, nanoseconds(high)?) else {
            return Some(NO_TIME);
        };
        return Some((low, high));
    }
    if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) = filter {
        let ((from, to), (from2, to2)) = (time_range(left)?, time_range(right)?);
        return Some((from.max(from2), to.min(to2)));
    }
    let (_, operator, value) = comparison(filter)?;
    // A comparison with null is never true.
    let Some(time_ns) = nanoseconds(value)? else { return Some(NO_TIME) };
    Some(match operator {
        Operator::Eq => (time_ns, time_ns),
        Operator::GtEq => (time_ns, i64::MAX),
        Operator::LtEq => (i64::MIN, time_ns),
        Operator::Gt => time_ns.checked_add(1).map_or(NO_TIME, |from| (from, i64::MAX)),
        Operator::Lt => time_ns.checked_sub(1).map_or(NO_TIME, |to| (i64::MIN, to)),
        _ => return None,
    })
}

/// A literal of the type of times; `Some(None)` is null.
fn nanoseconds(value: &ScalarValue) -> Option<Option<i64>> {
    match value {
        ScalarValue::TimestampNanosecond(value, _) => Some(*value),
        value if value.is_null() => Some(None),
        _ => None,
    }
}

/// The least and greatest integer that a comparison of `value` lets through.
fn integer_bounds(filter: &Expr) -> Option<(i128, i128)> {
    let (_, operator, value) = comparison(filter)?;
    let limit = match value {
        ScalarValue::Int64(Some(value)) => i128::from(*value),
        ScalarValue::UInt64(Some(value)) => i128::from(*value),
        _ => return None,
    };
    Some(match operator {
        Operator::Eq => (limit, limit),
        Operator::GtEq => (limit, i128::MAX),
        Operator::LtEq => (i128::MIN, limit),
        Operator::Gt => (limit + 1, i128::MAX),
        Operator::Lt => (i128::MIN, limit - 1),
        _ => return None,
    })
}

/// The label index's condition for a filter: it lets through at least what the filter does.
fn index_condition(layout: &Layout, filter: &Expr) -> Option<(String, Match)> {
    let label = |name: &str| match layout.source(name)? {
        Source::Device => Some("device".to_owned()),
        Source::Name => Some("name".to_owned()),
        // Keys that the index takes for something else are left to the exact check.
        Source::Tag(key) if key == "device" || key == "name" || key.starts_with("tag_") => None,
        Source::Tag(key) => Some(key.clone()),
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => {
            let mut values = Vec::new();
            let name = alternatives(filter, &mut values)?;
            Some((label(name)?, Match::OneOf(values)))
        }
        Expr::BinaryExpr(_) => {
            let (name, operator, value) = comparison(filter)?;
            let value = text(value)?;
            let condition = match operator {
                Operator::Eq => Match::Equal(value.to_owned()),
                Operator::NotEq => Match::NotEqual(value.to_owned()),
                Operator::RegexMatch => Match::Pattern(unanchored(value)?),
                _ => return None,
            };
            Some((label(name)?, condition))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let Expr::Column(column) = &**expr else { return None };
            let value = |value: &Expr| match value {
                Expr::Literal(value, _) => text(value).map(str::to_owned),
                _ => None,
            };
            let values = list.iter().map(value).collect::<Option<Vec<_>>>()?;
            Some((label(&column.name)?, Match::OneOf(values)))
        }
        Expr::Like(Like {
            negated: false,
            expr,
            pattern,
            escape_char: None,
            case_insensitive: false,
        }) => {
            let (Expr::Column(column), Expr::Literal(pattern, _)) = (&**expr, &**pattern) else {
                return None;
            };
            let pattern = text(pattern)?;
            let end = pattern.find(['%', '_', '\\']).unwrap_or(pattern.len());
            Some((label(&column.name)?, Match::Prefix(pattern.get(..end)?.to_owned())))
        }
        _ => None,
    }
}

/// The values of a chain `a = 'x' OR a = 'y' ...`, and its column.
fn alternatives<'a>(filter: &'a Expr, values: &mut Vec<String>) -> Option<&'a str> {
    if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) = filter {
        let name = alternatives(left, values)?;
        return (alternatives(right, values)? == name).then_some(name);
    }
    let (name, operator, value) = comparison(filter)?;
    values.push(text(value)?.to_owned());
    (operator == Operator::Eq).then_some(name)
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str()?
}

/// SQL's `~` finds its pattern anywhere; the index wants all of the label.
fn unanchored(pattern: &str) -> Option<String> {
    // A pattern that is none is left to DataFusion, which says so.
    regex::Regex::new(pattern).ok()?;
    Some(format!("(?s:.*)(?:{pattern})(?s:.*)"))
}
