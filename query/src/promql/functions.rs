//! The functions of the language: names, arguments, and where they are evaluated.

mod absent;
mod call;
mod date;
mod histogram;
mod info;
mod labels;
mod math;
mod over_time;
mod rate;
mod sort;

use super::ast::Type;
pub(crate) use call::{Arguments, call};

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
pub(crate) enum Function {
    Abs, Absent, AbsentOverTime, Acos, Acosh, Asin, Asinh, Atan, Atanh, AvgOverTime, Ceil, Changes,
    Clamp, ClampMax, ClampMin, Cos, Cosh, CountOverTime, DayOfMonth, DayOfWeek, DayOfYear,
    DaysInMonth, Deg, Delta, Deriv, DoubleExponentialSmoothing, End, Exp, FirstOverTime, Floor,
    HistogramAvg, HistogramCount, HistogramFraction, HistogramQuantile, HistogramQuantiles,
    HistogramStddev, HistogramStdvar, HistogramSum, Hour, Idelta, Increase, Info, Irate, LabelJoin,
    LabelReplace, LastOverTime, Ln, Log10, Log2, MadOverTime, MaxOf, MaxOverTime, MinOf,
    MinOverTime, Minute, Month, Pi, PredictLinear, PresentOverTime, QuantileOverTime, Rad, Range,
    Rate, Resets, Round, Scalar, Sgn, Sin, Sinh, Sort, SortByLabel, SortByLabelDesc, SortDesc, Sqrt,
    Start, StddevOverTime, StdvarOverTime, Step, SumOverTime, Tan, Tanh, Time, Timestamp,
    TsOfFirstOverTime, TsOfLastOverTime, TsOfMaxOverTime, TsOfMinOverTime, Vector, Year,
}

/// A function's place in the language: its name, what it takes (the last of it may be left out
/// `optional` times, or be repeated), and what it gives.
struct Signature {
    name: &'static str,
    function: Function,
    takes: &'static [Type],
    optional: usize,
    repeats: bool,
    gives: Type,
}

const fn signature(
    name: &'static str,
    function: Function,
    takes: &'static [Type],
    gives: Type,
) -> Signature {
    Signature { name, function, takes, optional: 0, repeats: false, gives }
}

const fn optional(mut signature: Signature) -> Signature {
    signature.optional = 1;
    signature
}

const fn repeated(mut signature: Signature) -> Signature {
    signature.optional = 1;
    signature.repeats = true;
    signature
}

const S: Type = Type::Scalar;
const V: Type = Type::Vector;
const R: Type = Type::Range;
const T: Type = Type::Text;

#[rustfmt::skip]
static SIGNATURES: [Signature; 89] = [
    signature("abs", Function::Abs, &[V], V),
    signature("absent", Function::Absent, &[V], V),
    signature("absent_over_time", Function::AbsentOverTime, &[R], V),
    signature("acos", Function::Acos, &[V], V),
    signature("acosh", Function::Acosh, &[V], V),
    signature("asin", Function::Asin, &[V], V),
    signature("asinh", Function::Asinh, &[V], V),
    signature("atan", Function::Atan, &[V], V),
    signature("atanh", Function::Atanh, &[V], V),
    signature("avg_over_time", Function::AvgOverTime, &[R], V),
    signature("ceil", Function::Ceil, &[V], V),
    signature("changes", Function::Changes, &[R], V),
    signature("clamp", Function::Clamp, &[V, S, S], V),
    signature("clamp_max", Function::ClampMax, &[V, S], V),
    signature("clamp_min", Function::ClampMin, &[V, S], V),
    signature("cos", Function::Cos, &[V], V),
    signature("cosh", Function::Cosh, &[V], V),
    signature("count_over_time", Function::CountOverTime, &[R], V),
    optional(signature("day_of_month", Function::DayOfMonth, &[V], V)),
    optional(signature("day_of_week", Function::DayOfWeek, &[V], V)),
    optional(signature("day_of_year", Function::DayOfYear, &[V], V)),
    optional(signature("days_in_month", Function::DaysInMonth, &[V], V)),
    signature("deg", Function::Deg, &[V], V),
    signature("delta", Function::Delta, &[R], V),
    signature("deriv", Function::Deriv, &[R], V),
    signature("double_exponential_smoothing", Function::DoubleExponentialSmoothing, &[R, S, S], V),
    signature("end", Function::End, &[], S),
    signature("exp", Function::Exp, &[V], V),
    signature("first_over_time", Function::FirstOverTime, &[R], V),
    signature("floor", Function::Floor, &[V], V),
    signature("histogram_avg", Function::HistogramAvg, &[V], V),
    signature("histogram_count", Function::HistogramCount, &[V], V),
    signature("histogram_fraction", Function::HistogramFraction, &[S, S, V], V),
    signature("histogram_quantile", Function::HistogramQuantile, &[S, V], V),
    repeated(signature("histogram_quantiles", Function::HistogramQuantiles, &[V, T, S, S], V)),
    signature("histogram_stddev", Function::HistogramStddev, &[V], V),
    signature("histogram_stdvar", Function::HistogramStdvar, &[V], V),
    signature("histogram_sum", Function::HistogramSum, &[V], V),
    optional(signature("hour", Function::Hour, &[V], V)),
    signature("idelta", Function::Idelta, &[R], V),
    signature("increase", Function::Increase, &[R], V),
    optional(signature("info", Function::Info, &[V, V], V)),
    signature("irate", Function::Irate, &[R], V),
    repeated(signature("label_join", Function::LabelJoin, &[V, T, T, T], V)),
    signature("label_replace", Function::LabelReplace, &[V, T, T, T, T], V),
    signature("last_over_time", Function::LastOverTime, &[R], V),
    signature("ln", Function::Ln, &[V], V),
    signature("log10", Function::Log10, &[V], V),
    signature("log2", Function::Log2, &[V], V),
    signature("mad_over_time", Function::MadOverTime, &[R], V),
    signature("max_of", Function::MaxOf, &[S, S], S),
    signature("max_over_time", Function::MaxOverTime, &[R], V),
    signature("min_of", Function::MinOf, &[S, S], S),
    signature("min_over_time", Function::MinOverTime, &[R], V),
    optional(signature("minute", Function::Minute, &[V], V)),
    optional(signature("month", Function::Month, &[V], V)),
    signature("pi", Function::Pi, &[], S),
    signature("predict_linear", Function::PredictLinear, &[R, S], V),
    signature("present_over_time", Function::PresentOverTime, &[R], V),
    signature("quantile_over_time", Function::QuantileOverTime, &[S, R], V),
    signature("rad", Function::Rad, &[V], V),
    signature("range", Function::Range, &[], S),
    signature("rate", Function::Rate, &[R], V),
    signature("resets", Function::Resets, &[R], V),
    optional(signature("round", Function::Round, &[V, S], V)),
    signature("scalar", Function::Scalar, &[V], S),
    signature("sgn", Function::Sgn, &[V], V),
    signature("sin", Function::Sin, &[V], V),
    signature("sinh", Function::Sinh, &[V], V),
    signature("sort", Function::Sort, &[V], V),
    repeated(signature("sort_by_label", Function::SortByLabel, &[V, T], V)),
    repeated(signature("sort_by_label_desc", Function::SortByLabelDesc, &[V, T], V)),
    signature("sort_desc", Function::SortDesc, &[V], V),
    signature("sqrt", Function::Sqrt, &[V], V),
    signature("start", Function::Start, &[], S),
    signature("stddev_over_time", Function::StddevOverTime, &[R], V),
    signature("stdvar_over_time", Function::StdvarOverTime, &[R], V),
    signature("step", Function::Step, &[], S),
    signature("sum_over_time", Function::SumOverTime, &[R], V),
    signature("tan", Function::Tan, &[V], V),
    signature("tanh", Function::Tanh, &[V], V),
    signature("time", Function::Time, &[], S),
    signature("timestamp", Function::Timestamp, &[V], V),
    signature("ts_of_first_over_time", Function::TsOfFirstOverTime, &[R], V),
    signature("ts_of_last_over_time", Function::TsOfLastOverTime, &[R], V),
    signature("ts_of_max_over_time", Function::TsOfMaxOverTime, &[R], V),
    signature("ts_of_min_over_time", Function::TsOfMinOverTime, &[R], V),
    signature("vector", Function::Vector, &[S], V),
    optional(signature("year", Function::Year, &[V], V)),
];

impl Function {
    /// The function of a name; names are in lower case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let index = SIGNATURES.binary_search_by_key(&name, |signature| signature.name).ok()?;
        Some(SIGNATURES[index].function)
    }

    fn signature(self) -> &'static Signature {
        // The table has the functions in the order of the enumeration; a test keeps it so.
        &SIGNATURES[self as usize]
    }

    pub(crate) fn name(self) -> &'static str {
        self.signature().name
    }

    pub(crate) fn gives(self) -> Type {
        self.signature().gives
    }

    /// The least and the greatest number of arguments; `None` for any.
    pub(crate) fn argument_counts(self) -> (usize, Option<usize>) {
        let signature = self.signature();
        let most = signature.takes.len();
        (most - signature.optional, (!signature.repeats).then_some(most))
    }

    /// What an argument is.
    pub(crate) fn argument(self, index: usize) -> Type {
        let takes = self.signature().takes;
        takes.get(index).or(takes.last()).copied().unwrap_or(Type::Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_complete() {
        assert!(SIGNATURES.is_sorted_by(|left, right| left.name < right.name));
        for (index, signature) in SIGNATURES.iter().enumerate() {
            assert_eq!(signature.function as usize, index, "{}", signature.name);
            assert_eq!(Function::named(signature.name), Some(signature.function));
        }
        assert_eq!(SIGNATURES.len(), Function::Year as usize + 1);
    }
}
