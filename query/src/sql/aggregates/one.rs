//! One group by itself: aggregations without keys, and windows that grow.

use std::fmt::Debug;

use arrow::array::{Array, ArrayRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// An accumulator of groups that has but one. Asking for its value does not take it, since a window
/// that grows is asked for each row.
#[derive(Debug)]
pub(super) struct One<G>(pub(super) G);

impl<G: GroupsAccumulator + Clone + Debug + Sync> Accumulator for One<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values, &rows(values), None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        first(&self.0.clone().evaluate(EmitTo::All)?)
    }

    fn size(&self) -> usize {
        size_of_val(self) + GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.clone().state(EmitTo::All)?.iter().map(first).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states, &rows(states), 1)
    }
}

fn rows(values: &[ArrayRef]) -> Vec<usize> {
    vec![0; values.first().map_or(0, |values| values.len())]
}

/// The only value; null where no row came.
fn first(values: &ArrayRef) -> Result<ScalarValue> {
    match values.is_empty() {
        true => ScalarValue::try_from(values.data_type()),
        false => ScalarValue::try_from_array(values, 0),
    }
}
