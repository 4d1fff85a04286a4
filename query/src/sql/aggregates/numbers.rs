//! `sum` and `avg`: exact over integers, compensated over floats.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Float64Array,
    PrimitiveArray, UInt64Array,
};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::one::One;
use super::sliding::SlidingNumbers;
use crate::ways::Total;

/// `sum(value)`.
pub(super) fn sum() -> AggregateUDF {
    AggregateUDF::new_from_impl(Numbers::new(Output::Sum))
}

/// `avg(value)`, also `mean(value)`.
pub(super) fn avg() -> AggregateUDF {
    AggregateUDF::new_from_impl(Numbers::new(Output::Avg))
}

/// What is asked of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Output {
    Sum,
    Avg,
}

/// The type of exact sums: as many digits as a sum of integers can have.
pub(super) const EXACT: DataType = DataType::Decimal128(38, 0);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Numbers {
    output: Output,
    signature: Signature,
    aliases: Vec<String>,
}

impl Numbers {
    fn new(output: Output) -> Self {
        let aliases = if output == Output::Avg { vec!["mean".to_owned()] } else { Vec::new() };
        Self { output, signature: Signature::user_defined(Volatility::Immutable), aliases }
    }

    /// The type that values are added as.
    fn argument(&self, given: &DataType) -> Result<DataType> {
        match given {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
                Ok(DataType::Int64)
            }
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                Ok(DataType::UInt64)
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Null => {
                Ok(DataType::Float64)
            }
            DataType::Decimal128(_, 0) if self.output == Output::Sum => Ok(EXACT),
            given if given.is_decimal() => Ok(DataType::Float64),
            other => plan_err!("{} wants numbers, not {other}", self.name()),
        }
    }
}

impl AggregateUDFImpl for Numbers {
    fn name(&self) -> &str {
        match self.output {
            Output::Sum => "sum",
            Output::Avg => "avg",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [given] = given else {
            return plan_err!("{} wants one argument, not {}", self.name(), given.len());
        };
        Ok(vec![self.argument(given)?])
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match (self.output, given) {
            (Output::Avg, _) | (Output::Sum, [DataType::Float64]) => Ok(DataType::Float64),
            (Output::Sum, _) => Ok(EXACT),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let input = args.input_fields.first().map_or(&DataType::Null, |field| field.data_type());
        let field = |part: &str, data_type: DataType| -> FieldRef {
            Arc::new(Field::new(format!("{}[{part}]", args.name), data_type, true))
        };
        if args.is_distinct {
            return Ok(vec![field("values", DataType::new_list(input.clone(), true))]);
        }
        let count = field("count", DataType::UInt64);
        Ok(if *input == DataType::Float64 {
            let compensation = field("compensation", DataType::Float64);
            vec![field("sum", DataType::Float64), compensation, count]
        } else {
            vec![field("sum", EXACT), count]
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            let groups = groups(self.output, &args)?;
            return Ok(Box::new(Distinct::new(groups, input_type(&args))));
        }
        let mut one = groups(self.output, &args)?;
        one.resize(1);
        Ok(Box::new(One(one)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(groups(self.output, &args)?))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return exec_err!("{}(DISTINCT) cannot slide over a window", self.name());
        }
        Ok(Box::new(SlidingNumbers::new(self.output, input_type(&args))))
    }
}

fn input_type(args: &AccumulatorArgs) -> DataType {
    args.expr_fields.first().map_or(DataType::Null, |field| field.data_type().clone())
}

fn groups(output: Output, args: &AccumulatorArgs) -> Result<Groups> {
    let totals = match input_type(args) {
        DataType::Float64 => Totals::Float(Vec::new()),
        DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..) => Totals::Exact(Vec::new()),
        other => return exec_err!("numbers of type {other} cannot be added"),
    };
    Ok(Groups { output, totals, counts: Vec::new() })
}

/// Sums of groups.
#[derive(Debug, Clone)]
enum Totals {
    Float(Vec<Total>),
    Exact(Vec<i128>),
}

/// Sums and counts of groups.
#[derive(Debug, Clone)]
struct Groups {
    output: Output,
    totals: Totals,
    counts: Vec<u64>,
}

/// Calls `take` with the group and the value of each row that counts.
fn for_each<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    groups: &[usize],
    filter: Option<&BooleanArray>,
    mut take: impl FnMut(usize, T::Native),
) {
    for (row, (group, value)) in groups.iter().zip(values.values()).enumerate() {
        let passes = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        if passes && values.is_valid(row) {
            take(*group, *value);
        }
    }
}

impl Groups {
    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        match &mut self.totals {
            Totals::Float(totals) => totals.resize(groups, Total::default()),
            Totals::Exact(totals) => totals.resize(groups, 0),
        }
    }

    fn add(&mut self, values: &ArrayRef, groups: &[usize], filter: Option<&BooleanArray>) {
        let counts = &mut self.counts;
        match &mut self.totals {
            Totals::Float(totals) => {
                let Some(values) = values.as_primitive_opt::<Float64Type>() else { return };
                for_each(values, groups, filter, |group, value| {
                    totals[group].add(value);
                    counts[group] += 1;
                });
            }
            Totals::Exact(totals) => {
                let mut add = |group: usize, value: i128| {
                    totals[group] = totals[group].saturating_add(value);
                    counts[group] += 1;
                };
                if let Some(values) = values.as_primitive_opt::<Int64Type>() {
                    for_each(values, groups, filter, |group, value| add(group, value.into()));
                } else if let Some(values) = values.as_primitive_opt::<UInt64Type>() {
                    for_each(values, groups, filter, |group, value| add(group, value.into()));
                } else if let Some(values) = values.as_primitive_opt::<Decimal128Type>() {
                    for_each(values, groups, filter, add);
                }
            }
        }
    }

    fn state_of(totals: Totals, counts: Vec<u64>) -> Result<Vec<ArrayRef>> {
        let counts: ArrayRef = Arc::new(UInt64Array::from(counts));
        Ok(match totals {
            Totals::Float(totals) => {
                let sums = totals.iter().map(|total| total.sum);
                let parts = totals.iter().map(|total| total.compensation);
                vec![
                    Arc::new(Float64Array::from_iter_values(sums)),
                    Arc::new(Float64Array::from_iter_values(parts)),
                    counts,
                ]
            }
            Totals::Exact(sums) => {
                let sums = Decimal128Array::from(sums).with_precision_and_scale(38, 0)?;
                vec![Arc::new(sums), counts]
            }
        })
    }

    fn take(&mut self, emit_to: EmitTo) -> (Totals, Vec<u64>) {
        let totals = match &mut self.totals {
            Totals::Float(totals) => Totals::Float(emit_to.take_needed(totals)),
            Totals::Exact(totals) => Totals::Exact(emit_to.take_needed(totals)),
        };
        (totals, emit_to.take_needed(&mut self.counts))
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups);
        if let [values] = values {
            self.add(values, group_indices, opt_filter);
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let output = self.output;
        let (totals, counts) = self.take(emit_to);
        let some = |count: u64, value: f64| (count > 0).then_some(value);
        Ok(match (totals, output) {
            (Totals::Float(totals), output) => {
                let value = |(total, count): (&Total, &u64)| {
                    let divisor = if output == Output::Avg { *count as f64 } else { 1.0 };
                    some(*count, total.value() / divisor)
                };
                Arc::new(totals.iter().zip(&counts).map(value).collect::<Float64Array>())
            }
            (Totals::Exact(totals), Output::Avg) => {
                let value =
                    |(total, count): (&i128, &u64)| some(*count, *total as f64 / *count as f64);
                Arc::new(totals.iter().zip(&counts).map(value).collect::<Float64Array>())
            }
            (Totals::Exact(totals), Output::Sum) => {
                let value = |(total, count): (&i128, &u64)| (*count > 0).then_some(*total);
                let sums: Decimal128Array = totals.iter().zip(&counts).map(value).collect();
                Arc::new(sums.with_precision_and_scale(38, 0)?)
            }
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (totals, counts) = self.take(emit_to);
        Self::state_of(totals, counts)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups);
        let counts = &mut self.counts;
        match (&mut self.totals, values) {
            (Totals::Float(totals), [sums, parts, added]) => {
                let (sums, parts) =
                    (sums.as_primitive::<Float64Type>(), parts.as_primitive::<Float64Type>());
                let added = added.as_primitive::<UInt64Type>();
                for (row, group) in group_indices.iter().enumerate() {
                    let (sum, compensation) = (sums.value(row), parts.value(row));
                    totals[*group].merge(Total { sum, compensation });
                    counts[*group] += added.value(row);
                }
            }
            (Totals::Exact(totals), [sums, added]) => {
                let sums = sums.as_primitive::<Decimal128Type>();
                let added = added.as_primitive::<UInt64Type>();
                for (row, group) in group_indices.iter().enumerate() {
                    totals[*group] = totals[*group].saturating_add(sums.value(row));
                    counts[*group] += added.value(row);
                }
            }
            _ => return exec_err!("partial sums of another shape"),
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let totals = match &self.totals {
            Totals::Float(_) => Totals::Float(Vec::new()),
            Totals::Exact(_) => Totals::Exact(Vec::new()),
        };
        let mut each = Self { output: self.output, totals, counts: Vec::new() };
        let groups: Vec<usize> = (0..rows).collect();
        each.update_batch(values, &groups, opt_filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        let totals = match &self.totals {
            Totals::Float(totals) => totals.capacity() * size_of::<Total>(),
            Totals::Exact(totals) => totals.capacity() * size_of::<i128>(),
        };
        totals + self.counts.capacity() * size_of::<u64>()
    }
}

/// The sum of every value once: DataFusion plans most of them away, not those beside others.
#[derive(Debug)]
struct Distinct {
    seen: HashSet<ScalarValue>,
    groups: Groups,
    input: DataType,
}

impl Distinct {
    fn new(groups: Groups, input: DataType) -> Self {
        Self { seen: HashSet::new(), groups, input }
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else { return Ok(()) };
        let fresh = (0..values.len()).map(|row| {
            let value = ScalarValue::try_from_array(values, row)?;
            Ok(self.seen.insert(value))
        });
        let fresh = fresh.collect::<Result<Vec<bool>>>()?;
        let filter = BooleanArray::from(fresh);
        let rows = vec![0; values.len()];
        self.groups.update_batch(&[Arc::clone(values)], &rows, Some(&filter), 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.groups.resize(1);
        ScalarValue::try_from_array(&self.groups.clone().evaluate(EmitTo::All)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.seen.capacity() * size_of::<ScalarValue>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> = self.seen.iter().cloned().collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&values, &self.input))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [lists] = states else { return exec_err!("partial sums of another shape") };
        for values in lists.as_list::<i32>().iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }
}
