//! `locf(aggregate)` and `interpolate(aggregate)`: how empty buckets are filled.
//!
//! They only mark a column of a query with `time_bucket_gapfill`, whose rule takes them away; where
//! they are left over, nothing was to be filled, and that is an error.

use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(crate) const LOCF: &str = "locf";
pub(crate) const INTERPOLATE: &str = "interpolate";

/// The last value before stays (last observation carried forward).
pub(crate) fn locf() -> ScalarUDF {
    ScalarUDF::new_from_impl(Mark::named(LOCF))
}

/// Values go straight from the one before to the one behind.
pub(crate) fn interpolate() -> ScalarUDF {
    ScalarUDF::new_from_impl(Mark::named(INTERPOLATE))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    name: &'static str,
    signature: Signature,
}

impl Mark {
    fn named(name: &'static str) -> Self {
        Self { name, signature: Signature::user_defined(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [value] if self.name == INTERPOLATE && !value.is_null() && !value.is_numeric() => {
                plan_err!("interpolate wants numbers, not {value}")
            }
            [value] => Ok(vec![value.clone()]),
            _ => plan_err!("{0} wants one aggregate: {0}(avg(value))", self.name),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [_] if self.name == INTERPOLATE => Ok(DataType::Float64),
            [value] => Ok(value.clone()),
            _ => plan_err!("{0} wants one aggregate: {0}(avg(value))", self.name),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!(
            "{0} fills an aggregate of a query that is grouped by time_bucket_gapfill: \
             SELECT time_bucket_gapfill('5m', time) AS bucket, {0}(avg(value)) ... GROUP BY bucket",
            self.name
        )
    }
}
