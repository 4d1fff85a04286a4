//! Functions that make texts, with a bound on what one call may make.
//!
//! DataFusion accounts for what sorts, joins and aggregations hold, not for what an expression
//! makes of a batch: `repeat(device, 1000000000)` would be made before anybody is asked. The bound
//! is checked before the function is called. Its texts are views, so that rows that share a text
//! share its bytes as well.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, resources_datafusion_err};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr as PhysicalBinary, Column};

/// The functions that make more than they are given.
const GROWING: [&str; 8] =
    ["repeat", "lpad", "rpad", "replace", "concat", "concat_ws", "overlay", "to_char"];
/// Literals that are longer become views: bytes.
const LITERAL_BYTES_MAX: usize = 1_024;
/// The most bytes that a conversion of a time makes of two letters of its format (`%+`, `%c`).
const FORMATTED_BYTES: u64 = 40;

/// Bounds the functions of a session: bytes that one call may make.
pub(crate) fn bound(state: &mut SessionState, bytes_max: usize) -> Result<()> {
    let growing: Vec<Arc<ScalarUDF>> =
        GROWING.iter().filter_map(|name| state.scalar_functions().get(*name).cloned()).collect();
    for inner in growing {
        let bounded = Bounded { inner, bytes_max };
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(bounded)))?;
    }
    let joined = Joined { bytes_max, signature: Signature::user_defined(Volatility::Immutable) };
    let joined = Arc::new(ScalarUDF::new_from_impl(joined));
    state.register_function_rewrite(Arc::new(Texts { joined }))
}

/// Puts bounded functions in place of what is no function: `a || b`, and long literals.
#[derive(Debug)]
struct Texts {
    joined: Arc<ScalarUDF>,
}

impl FunctionRewrite for Texts {
    fn name(&self) -> &str {
        "bound_texts"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
                let call = ScalarFunction::new_udf(Arc::clone(&self.joined), vec![*left, *right]);
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            Expr::Literal(ScalarValue::Utf8(Some(text)), metadata)
                if text.len() > LITERAL_BYTES_MAX =>
            {
                let view = ScalarValue::Utf8View(Some(text));
                Ok(Transformed::yes(Expr::Literal(view, metadata)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

/// A text as a view, so that it is not copied for each row.
fn view(data_type: DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        other => other,
    }
}

fn as_view(value: ColumnarValue) -> Result<ColumnarValue> {
    let wanted = view(value.data_type());
    if wanted == value.data_type() {
        return Ok(value);
    }
    Ok(match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(cast(&array, &wanted)?),
        ColumnarValue::Scalar(ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text)) => {
            ColumnarValue::Scalar(ScalarValue::Utf8View(text))
        }
        ColumnarValue::Scalar(scalar) => ColumnarValue::Scalar(scalar.cast_to(&wanted)?),
    })
}

fn check(name: &str, bytes: u64, bytes_max: usize) -> Result<()> {
    if bytes > bytes_max as u64 {
        return Err(resources_datafusion_err!(
            "{name} would make {bytes} bytes of text of one batch of rows, more than {bytes_max}"
        ));
    }
    Ok(())
}

/// A function of DataFusion's with a bound.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    bytes_max: usize,
}

impl Bounded {
    /// The most bytes that the function makes of its arguments.
    fn bytes(&self, args: &ScalarFunctionArgs) -> Result<u64> {
        // Where all are constant, the function makes but one text.
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arguments = args
            .args
            .iter()
            .map(|argument| Argument::new(argument, rows))
            .collect::<Result<Vec<_>>>()?;
        let length = |at: usize, row: usize| arguments.get(at).map_or(0, |a| a.length(row));
        let number = |at: usize, row: usize| arguments.get(at).map_or(0, |a| a.number(row));
        let one = |row: usize| -> u64 {
            match self.inner.name() {
                "repeat" => length(0, row).saturating_mul(number(1, row)),
                // Padding is counted in characters of up to four bytes.
                "lpad" | "rpad" => number(1, row).saturating_mul(4),
                "replace" => {
                    let (text, from) = (length(0, row), length(1, row));
                    let places = text.checked_div(from).unwrap_or(text + 1);
                    text.saturating_add(places.saturating_mul(length(2, row)))
                }
                "to_char" => length(1, row).saturating_mul(FORMATTED_BYTES / 2),
                _ => (0..arguments.len()).map(|at| length(at, row)).sum(),
            }
        };
        Ok((0..rows).map(one).fold(0, u64::saturating_add))
    }
}

/// The lengths or numbers of an argument, row by row.
enum Argument {
    Same(u64, u64),
    Lengths(Vec<u64>),
    Numbers(ArrayRef),
    Other,
}

impl Argument {
    fn new(value: &ColumnarValue, rows: usize) -> Result<Self> {
        let array = match value {
            ColumnarValue::Scalar(scalar) => {
                let length = scalar.try_as_str().flatten().map_or(0, str::len) as u64;
                let number = match scalar.cast_to(&DataType::Int64) {
                    Ok(ScalarValue::Int64(Some(number))) if scalar.data_type().is_integer() => {
                        u64::try_from(number).unwrap_or(0)
                    }
                    _ => 0,
                };
                return Ok(Self::Same(length, number));
            }
            ColumnarValue::Array(array) => array,
        };
        debug_assert_eq!(array.len(), rows);
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Lengths(lengths(array.as_string::<i32>().iter())),
            DataType::LargeUtf8 => Self::Lengths(lengths(array.as_string::<i64>().iter())),
            DataType::Utf8View => Self::Lengths(lengths(array.as_string_view().iter())),
            integer if integer.is_integer() => Self::Numbers(cast(array, &DataType::Int64)?),
            _ => Self::Other,
        })
    }

    fn length(&self, row: usize) -> u64 {
        match self {
            Self::Same(length, _) => *length,
            Self::Lengths(lengths) => lengths.get(row).copied().unwrap_or(0),
            Self::Numbers(_) | Self::Other => 0,
        }
    }

    fn number(&self, row: usize) -> u64 {
        match self {
            Self::Same(_, number) => *number,
            Self::Numbers(numbers) if row < numbers.len() && numbers.is_valid(row) => {
                u64::try_from(numbers.as_primitive::<Int64Type>().value(row)).unwrap_or(0)
            }
            _ => 0,
        }
    }
}

fn lengths<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Vec<u64> {
    texts.map(|text| text.map_or(0, str::len) as u64).collect()
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(view(self.inner.return_type(given)?))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<Arc<Field>> {
        let field = self.inner.return_field_from_args(args)?;
        let wanted = view(field.data_type().clone());
        Ok(Arc::new(field.as_ref().clone().with_data_type(wanted)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), self.bytes(&args)?, self.bytes_max)?;
        let fields: Vec<Arc<Field>> = args.arg_fields.clone();
        let scalars: Vec<Option<&ScalarValue>> = args
            .args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Scalar(scalar) => Some(scalar),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let returned = ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &scalars };
        args.return_field = self.inner.return_field_from_args(returned)?;
        as_view(self.inner.invoke_with_args(args)?)
    }
}

/// `a || b`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    bytes_max: usize,
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        "__concat"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = given else {
            return datafusion::common::plan_err!("|| has two sides");
        };
        let coercer = BinaryTypeCoercer::new(left, &Operator::StringConcat, right);
        let (left, right) = coercer.get_input_types()?;
        Ok(vec![left, right])
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let [left, right] = given else {
            return datafusion::common::plan_err!("|| has two sides");
        };
        Ok(view(BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type()?))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let mut bytes = 0_u64;
        for argument in &args.args {
            let argument = Argument::new(argument, rows)?;
            bytes = (0..rows).map(|row| argument.length(row)).fold(bytes, u64::saturating_add);
        }
        check("||", bytes, self.bytes_max)?;
        let arrays = args.args.iter().map(|argument| argument.to_array(rows));
        let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
        let fields: Vec<Field> = arrays
            .iter()
            .zip(["left", "right"])
            .map(|(array, name)| Field::new(name, array.data_type().clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let side = |name: &str, at| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(name, at)) };
        let joined = PhysicalBinary::new(side("left", 0), Operator::StringConcat, side("right", 1));
        let joined = joined.evaluate(&RecordBatch::try_new(schema, arrays)?)?;
        as_view(match joined {
            ColumnarValue::Array(array) if is_constant => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
            }
            other => other,
        })
    }
}
