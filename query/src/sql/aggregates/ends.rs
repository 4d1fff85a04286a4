//! `first(value, time)` and `last(value, time)`: the value with the first and the last time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampNanosecondType};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

use super::latest::{LATEST, LATEST_TIME};
use super::time_argument;
use crate::sql::columns::time_type;

pub(super) fn first() -> AggregateUDF {
    AggregateUDF::new_from_impl(Ends::new(End::First))
}

pub(super) fn last() -> AggregateUDF {
    AggregateUDF::new_from_impl(Ends::new(End::Last))
}

pub(super) fn latest() -> AggregateUDF {
    AggregateUDF::new_from_impl(Ends::new(End::Latest))
}

pub(super) fn latest_time() -> AggregateUDF {
    AggregateUDF::new_from_impl(Ends::new(End::LatestTime))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    First,
    Last,
    Latest,
    LatestTime,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ends {
    end: End,
    signature: Signature,
}

impl Ends {
    fn new(end: End) -> Self {
        Self { end, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Ends {
    fn name(&self) -> &str {
        match self.end {
            End::First => "first",
            End::Last => "last",
            End::Latest => LATEST,
            End::LatestTime => LATEST_TIME,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if let ([value], End::Latest | End::LatestTime) = (given, self.end) {
            return Ok(vec![value.clone()]);
        }
        let [value, time] = given else {
            return plan_err!("{0} wants a value and a time: {0}(value, time)", self.name());
        };
        Ok(vec![value.clone(), time_argument(self.name(), time)?])
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        if self.end == End::LatestTime {
            return Ok(given.get(1).cloned().unwrap_or_else(time_type));
        }
        Ok(given.first().cloned().unwrap_or(DataType::Null))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value = args.input_fields.first().map_or(DataType::Null, |f| f.data_type().clone());
        let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let field = |part: &str, data_type| -> FieldRef {
            Arc::new(Field::new(format!("{}[{part}]", args.name), data_type, true))
        };
        Ok(vec![field("value", value), field("time", time)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.exprs.len() != 2 {
            return plan_err!("{0} wants a value and a time: {0}(value, time)", self.name());
        }
        let none = ScalarValue::try_from(&args.exprs[0].data_type(args.schema)?)?;
        let zone = match args.return_field.data_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        Ok(Box::new(Kept { end: self.end, value: none, time_ns: None, zone }))
    }
}

/// The value kept so far, with its time.
#[derive(Debug)]
struct Kept {
    end: End,
    value: ScalarValue,
    time_ns: Option<i64>,
    /// The zone that times of the answer have.
    zone: Option<Arc<str>>,
}

impl Kept {
    /// Whether a record of a time takes the place of the one that is kept. Of equal times the
    /// first stays first, and the last becomes last.
    fn yields_to(&self, kept: Option<i64>, time_ns: i64) -> bool {
        match (kept, self.end) {
            (None, _) => true,
            (Some(kept), End::First) => time_ns < kept,
            (Some(kept), _) => time_ns >= kept,
        }
    }
}

impl Accumulator for Kept {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values, times] = values else { return Ok(()) };
        let Some(times) = times.as_primitive_opt::<TimestampNanosecondType>() else {
            return Ok(());
        };
        let (mut best, mut row) = (self.time_ns, None);
        for (index, time_ns) in times.values().iter().enumerate() {
            let counts = times.is_valid(index) && values.is_valid(index);
            if counts && self.yields_to(best, *time_ns) {
                (best, row) = (Some(*time_ns), Some(index));
            }
        }
        if let Some(row) = row {
            self.value = ScalarValue::try_from_array(values, row)?;
            self.value.compact();
            self.time_ns = best;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.end {
            End::LatestTime => ScalarValue::TimestampNanosecond(self.time_ns, self.zone.clone()),
            _ => self.value.clone(),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size() - size_of_val(&self.value)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::TimestampNanosecond(self.time_ns, None)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
