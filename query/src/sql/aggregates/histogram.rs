//! `histogram(value, low, high, buckets)`: how many values fall into each of some equal ranges.
//!
//! The list has two more members than buckets: the first counts what is below, the last what is
//! not below the end. NaN is counted nowhere.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;

/// The most buckets.
const BUCKETS_MAX: i64 = 10_000;

pub(super) fn histogram() -> AggregateUDF {
    AggregateUDF::new_from_impl(Histogram {
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Histogram {
    signature: Signature,
}

fn list_type() -> DataType {
    DataType::new_list(DataType::UInt64, true)
}

impl AggregateUDFImpl for Histogram {
    fn name(&self) -> &str {
        "histogram"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given.len() != 4 || !given.iter().all(|given| given.is_numeric() || given.is_null()) {
            return plan_err!("histogram wants four numbers: histogram(value, low, high, buckets)");
        }
        let float = DataType::Float64;
        Ok(vec![float.clone(), float.clone(), float, DataType::Int64])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(list_type())
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[counts]", args.name), list_type(), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let literal = |index: usize| {
            let literal = args.exprs.get(index)?.downcast_ref::<Literal>()?;
            Some(literal.value().clone())
        };
        let (low, high, buckets) = (literal(1), literal(2), literal(3));
        let (
            Some(ScalarValue::Float64(Some(low))),
            Some(ScalarValue::Float64(Some(high))),
            Some(ScalarValue::Int64(Some(buckets))),
        ) = (low, high, buckets)
        else {
            return plan_err!("low, high and buckets of histogram must be plain numbers");
        };
        if !(1..=BUCKETS_MAX).contains(&buckets) || low >= high || !(high - low).is_finite() {
            return plan_err!(
                "histogram wants low below high and 1 to {BUCKETS_MAX} buckets, \
                 not {low} to {high} in {buckets}"
            );
        }
        Ok(Box::new(Counts { low, high, counts: vec![0; buckets as usize + 2] }))
    }
}

#[derive(Debug)]
struct Counts {
    low: f64,
    high: f64,
    counts: Vec<u64>,
}

impl Counts {
    fn place(&self, value: f64) -> usize {
        let buckets = self.counts.len() - 2;
        if value < self.low {
            return 0;
        }
        if value >= self.high {
            return buckets + 1;
        }
        let part = (value - self.low) / (self.high - self.low);
        // Rounding may reach the end, which the value itself is below.
        ((part * buckets as f64) as usize).min(buckets - 1) + 1
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        for value in values.as_primitive::<Float64Type>().iter().flatten() {
            if !value.is_nan() {
                let place = self.place(value);
                self.counts[place] += 1;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let counts = self.counts.iter().map(|count| ScalarValue::from(*count));
        let list = ScalarValue::new_list_from_iter(counts, &DataType::UInt64, true);
        Ok(ScalarValue::List(list))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * size_of::<u64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first() else { return Ok(()) };
        for list in states.as_list::<i32>().iter().flatten() {
            let added = list.as_primitive::<UInt64Type>();
            for (count, added) in self.counts.iter_mut().zip(added.values()) {
                *count += added;
            }
        }
        Ok(())
    }
}
