//! `+`, `-` and `*` of integers: what does not fit its type is an error.
//!
//! DataFusion's wrap around (`9223372036854775807 + 1` is negative there), and its planner has no
//! switch for the checked kernels of arrow. So a rewrite puts a function with these in place of
//! the operator, before types are settled; the names of columns stay.

use std::sync::Arc;

use arrow::compute::kernels::numeric::{add, mul, neg, sub};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, exec_datafusion_err, internal_err};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

/// No more of an expression is kept: bytes. It is its name as well.
const TEXT_BYTES_MAX: usize = 4_096;
/// No more of it is shown in an error: characters.
const SHOWN_MAX: usize = 120;

/// Puts checked functions in place of operators of integers.
pub(super) fn install(state: &mut SessionState) -> Result<()> {
    state.register_function_rewrite(Arc::new(CheckIntegers))
}

#[derive(Debug)]
struct CheckIntegers;

impl FunctionRewrite for CheckIntegers {
    fn name(&self) -> &str {
        "check_integers"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let rewritten = match expr {
            Expr::BinaryExpr(binary) => match Checked::of_binary(&binary, schema) {
                Some((checked, goes_on)) => checked.call(sides(binary, goes_on)),
                None => return Ok(Transformed::no(Expr::BinaryExpr(binary))),
            },
            Expr::Negative(operand) => match Checked::of_negation(&operand, schema) {
                Some(checked) => checked.call(vec![*operand]),
                None => return Ok(Transformed::no(Expr::Negative(operand))),
            },
            other => return Ok(Transformed::no(other)),
        };
        Ok(Transformed::yes(rewritten))
    }
}

/// The sides of an operation. Where the left one is itself a chain of operations that goes on with
/// this, those of the chain and the right one: `a + b - c` is one call, however long it is, since
/// DataFusion asks for the types of arguments at each step into the depth.
fn sides(BinaryExpr { left, right, .. }: BinaryExpr, goes_on: bool) -> Vec<Expr> {
    match (*left, goes_on) {
        (Expr::ScalarFunction(mut chain), true) => {
            chain.args.push(*right);
            chain.args
        }
        (left, _) => vec![left, *right],
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

impl Operation {
    const fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            _ => None,
        }
    }

    const fn operator(self) -> Operator {
        match self {
            Self::Add => Operator::Plus,
            Self::Subtract | Self::Negate => Operator::Minus,
            Self::Multiply => Operator::Multiply,
        }
    }
}

/// Operations on integers, one after the other from the left, that fail where a result does not fit.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operations: Vec<Operation>,
    /// The expression as a query would write it.
    text: String,
    data_type: DataType,
    signature: Signature,
}

impl Checked {
    fn new(operations: Vec<Operation>, mut text: String, data_type: DataType) -> Self {
        let is_end = |end: &usize| text.is_char_boundary(*end);
        if let Some(end) = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(is_end) {
            text.truncate(end);
        }
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { operations, text, data_type, signature }
    }

    /// The checked function for an operation, where it is one on integers, and whether it is the
    /// chain of its left side that goes on.
    fn of_binary(
        BinaryExpr { left, op, right }: &BinaryExpr,
        schema: &DFSchema,
    ) -> Option<(Self, bool)> {
        let operation = Operation::of(*op)?;
        let (one, other) = (data_type(left, schema)?, data_type(right, schema)?);
        if !one.is_integer() || !other.is_integer() {
            return None;
        }
        let coercer = BinaryTypeCoercer::new(&one, op, &other);
        let result = coercer.get_result_type().ok().filter(DataType::is_integer)?;
        let inputs = coercer.get_input_types().ok()?;
        let chain = checked(left)
            .filter(|chain| !chain.operations.contains(&Operation::Negate))
            .filter(|_| inputs.0 == one && inputs.1 == one && result == one);
        let (mut operations, left) = match chain {
            None => (Vec::new(), text(left)),
            // As a query writes it: sums are bound less tightly than products.
            Some(chain) => match operation == Operation::Multiply && !chain.is_product() {
                true => (chain.operations.clone(), format!("({})", chain.text)),
                false => (chain.operations.clone(), chain.text.clone()),
            },
        };
        operations.push(operation);
        let text = format!("{left} {op} {}", text(right));
        Some((Self::new(operations, text, result), chain.is_some()))
    }

    fn of_negation(operand: &Expr, schema: &DFSchema) -> Option<Self> {
        let data_type = data_type(operand, schema).filter(DataType::is_signed_integer)?;
        let text = format!("-{}", text(operand));
        Some(Self::new(vec![Operation::Negate], text, data_type))
    }

    fn is_product(&self) -> bool {
        self.operations.iter().all(|operation| *operation == Operation::Multiply)
    }

    fn call(self, arguments: Vec<Expr>) -> Expr {
        let function = Arc::new(ScalarUDF::new_from_impl(self));
        Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
    }

    fn overflow(&self, error: DataFusionError) -> DataFusionError {
        match error.find_root() {
            DataFusionError::ArrowError(arrow, _) => match &**arrow {
                ArrowError::ArithmeticOverflow(what) => {
                    let what = what.trim_start_matches("Overflow happened on: ");
                    let shown: String = self.text.chars().take(SHOWN_MAX).collect();
                    let rest = if shown.len() < self.text.len() { "…" } else { "" };
                    exec_datafusion_err!(
                        "{shown}{rest} does not fit {}: {what}; take a side as a decimal or as a \
                         float, as in CAST(x AS DECIMAL(38, 0)) or CAST(x AS DOUBLE)",
                        self.data_type
                    )
                }
                _ => error,
            },
            _ => error,
        }
    }
}

/// The checked function that an expression calls.
fn checked(expression: &Expr) -> Option<&Checked> {
    match expression {
        Expr::ScalarFunction(call) => call.func.inner().downcast_ref(),
        _ => None,
    }
}

fn data_type(expression: &Expr, schema: &DFSchema) -> Option<DataType> {
    match checked(expression) {
        // Nothing is to be found out twice.
        Some(checked) => Some(checked.data_type.clone()),
        None => expression.get_type(schema).ok(),
    }
}

/// A part of an expression as a query would write it.
fn text(expression: &Expr) -> String {
    match (checked(expression), expression) {
        (Some(checked), _) => format!("({})", checked.text),
        (None, Expr::Literal(value, _)) => value.to_string(),
        (None, other) => other.to_string(),
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        "checked"
    }

    fn schema_name(&self, _: &[Expr]) -> Result<String> {
        // Short, since it is asked for at each step: columns that a query shows keep their names.
        Ok(self.text.clone())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match (given, &self.operations[..]) {
            ([left, right], [operation]) => {
                let operator = operation.operator();
                let coercer = BinaryTypeCoercer::new(left, &operator, right);
                let (left, right) = coercer.get_input_types()?;
                Ok(vec![left, right])
            }
            // A chain goes on only where its type stays what it is.
            _ => Ok(vec![self.data_type.clone(); given.len()]),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut arguments = args.args.into_iter();
        let Some(mut result) = arguments.next() else {
            return internal_err!("{} is an operation without sides", self.text);
        };
        for operation in &self.operations {
            result = match (operation, result) {
                (Operation::Negate, ColumnarValue::Array(operand)) => {
                    neg(&operand).map(ColumnarValue::Array).map_err(DataFusionError::from)
                }
                (Operation::Negate, ColumnarValue::Scalar(operand)) => {
                    operand.arithmetic_negate().map(ColumnarValue::Scalar)
                }
                (operation, left) => {
                    let Some(right) = arguments.next() else {
                        return internal_err!("{} is an operation without a side", self.text);
                    };
                    match operation {
                        Operation::Add => apply(&left, &right, add),
                        Operation::Multiply => apply(&left, &right, mul),
                        _ => apply(&left, &right, sub),
                    }
                }
            }
            .map_err(|error| self.overflow(error))?;
        }
        Ok(result)
    }
}
