//! Marks: functions that stand for the words of an as-of join in the plan of an ordinary one.
//!
//! Their names begin with two underscores, so that nobody writes them by chance.

use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Where it is the condition of a join's right side, the join is an as-of join.
pub(super) const ASOF: &str = "__asof";
/// Its argument is how far apart two times may be.
pub(super) const TOLERANCE: &str = "__asof_tolerance";

pub(super) fn asof() -> ScalarUDF {
    mark(ASOF, Signature::nullary(Volatility::Stable))
}

pub(super) fn tolerance() -> ScalarUDF {
    mark(TOLERANCE, Signature::any(1, Volatility::Stable))
}

fn mark(name: &'static str, signature: Signature) -> ScalarUDF {
    ScalarUDF::new_from_impl(Mark { name, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!("{} is a part of ASOF JOIN and no function of its own", self.name)
    }
}
