//! `min` and `max` that skip NaN; of other types than floats they are DataFusion's.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF,
    Signature, StatisticsArgs,
};

use super::one::One;

/// The same function, skipping NaN.
pub(super) fn skipping_nan(inner: Arc<AggregateUDF>) -> AggregateUDF {
    AggregateUDF::new_from_impl(Bound { inner })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bound {
    inner: Arc<AggregateUDF>,
}

/// Which of two floats stays.
#[derive(Debug, Clone, Copy)]
enum Side {
    Least,
    Greatest,
}

impl Side {
    /// The one that stays; NaN stands for nothing yet.
    fn choose(self, old: f64, new: f64) -> f64 {
        // `min` and `max` prefer the number where one side is NaN.
        match self {
            Self::Least => old.min(new),
            Self::Greatest => old.max(new),
        }
    }
}

impl Bound {
    fn side(&self) -> Side {
        if self.inner.name() == "min" { Side::Least } else { Side::Greatest }
    }
}

fn is_float(args: &AccumulatorArgs) -> bool {
    args.expr_fields.first().is_some_and(|field| *field.data_type() == DataType::Float64)
}

impl AggregateUDFImpl for Bound {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if !is_float(&args) {
            return self.inner.accumulator(args);
        }
        Ok(Box::new(One(Groups { side: self.side(), bounds: Vec::new() })))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        is_float(&args) || self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if !is_float(&args) {
            return self.inner.create_groups_accumulator(args);
        }
        Ok(Box::new(Groups { side: self.side(), bounds: Vec::new() }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if !is_float(&args) {
            return self.inner.create_sliding_accumulator(args);
        }
        Ok(Box::new(Sliding { side: self.side(), kept: VecDeque::new(), next: 0, gone: 0 }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(args)
    }
}

/// A bound of each group; NaN where it has no number.
#[derive(Debug, Clone)]
struct Groups {
    side: Side,
    bounds: Vec<f64>,
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.bounds.resize(total_num_groups, f64::NAN);
        let Some(values) = values.first().and_then(|v| v.as_primitive_opt::<Float64Type>()) else {
            return Ok(());
        };
        for (row, (group, value)) in group_indices.iter().zip(values.values()).enumerate() {
            let passes = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if passes && values.is_valid(row) {
                self.bounds[*group] = self.side.choose(self.bounds[*group], *value);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let bounds = emit_to.take_needed(&mut self.bounds);
        let some = bounds.into_iter().map(|bound| (!bound.is_nan()).then_some(bound));
        Ok(Arc::new(some.collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let mut each = Self { side: self.side, bounds: Vec::new() };
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), opt_filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.bounds.capacity() * size_of::<f64>()
    }
}

/// The bound of a window that slides: those that may still become it, in the order they came.
#[derive(Debug)]
struct Sliding {
    side: Side,
    kept: VecDeque<(u64, f64)>,
    next: u64,
    gone: u64,
}

impl Accumulator for Sliding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first().and_then(|v| v.as_primitive_opt::<Float64Type>()) else {
            return Ok(());
        };
        for value in values.iter() {
            let place = self.next;
            self.next += 1;
            let Some(value) = value.filter(|value| !value.is_nan()) else { continue };
            let beaten = |kept: f64| match self.side {
                Side::Least => value <= kept,
                Side::Greatest => value >= kept,
            };
            while self.kept.back().is_some_and(|(_, kept)| beaten(*kept)) {
                self.kept.pop_back();
            }
            self.kept.push_back((place, value));
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.gone += values.first().map_or(0, |values| values.len()) as u64;
        while self.kept.front().is_some_and(|(place, _)| *place < self.gone) {
            self.kept.pop_front();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.kept.front().map(|(_, value)| *value)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.kept.capacity() * size_of::<(u64, f64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
