//! Sums over a window that slides: values leave as well as come.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;

use super::numbers::{EXACT, Output};
use crate::ways::Total;

/// A sum that forgets. What is no finite number is counted, not added, since infinity minus
/// infinity would never leave again.
#[derive(Debug)]
pub(super) struct SlidingNumbers {
    output: Output,
    is_float: bool,
    count: i64,
    exact: i128,
    finite: Total,
    nans: i64,
    infinities: [i64; 2],
}

impl SlidingNumbers {
    pub(super) fn new(output: Output, input: DataType) -> Self {
        let is_float = input == DataType::Float64;
        let (count, exact, nans) = (0, 0, 0);
        let finite = Total::default();
        Self { output, is_float, count, exact, finite, nans, infinities: [0; 2] }
    }

    fn change(&mut self, values: &[ArrayRef], sign: i64) -> Result<()> {
        let [values] = values else { return Ok(()) };
        self.count += sign * (values.len() - values.null_count()) as i64;
        if !self.is_float {
            let exact = cast(values, &EXACT)?;
            let sum: i128 = exact.as_primitive::<Decimal128Type>().iter().flatten().sum();
            self.exact += sum * i128::from(sign);
            return Ok(());
        }
        let Some(values) = values.as_primitive_opt::<Float64Type>() else { return Ok(()) };
        for value in values.iter().flatten() {
            if value.is_finite() {
                self.finite.add(value * sign as f64);
            } else if value.is_nan() {
                self.nans += sign;
            } else {
                self.infinities[usize::from(value > 0.0)] += sign;
            }
        }
        if self.count == 0 {
            self.finite = Total::default();
        }
        Ok(())
    }

    fn float(&self) -> f64 {
        match (self.nans, self.infinities) {
            (0, [0, 0]) => self.finite.value(),
            (0, [_, 0]) => f64::NEG_INFINITY,
            (0, [0, _]) => f64::INFINITY,
            _ => f64::NAN,
        }
    }
}

impl Accumulator for SlidingNumbers {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.change(values, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.change(values, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let some = self.count > 0;
        let sum = if self.is_float { self.float() } else { self.exact as f64 };
        Ok(match self.output {
            Output::Avg => ScalarValue::Float64(some.then(|| sum / self.count as f64)),
            Output::Sum if self.is_float => ScalarValue::Float64(some.then_some(sum)),
            Output::Sum => ScalarValue::Decimal128(some.then_some(self.exact), 38, 0),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        exec_err!("a sum that slides has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        exec_err!("a sum that slides has no partial state")
    }
}
