//! Inputs as values of CEL.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelBool, CelInt, CelList, CelString, Type};
use cel::common::value::{CowVal, StaticVal, Val};

use super::money::Money;
use super::value::Value;

static RECORD_TYPE: Type = Type::new_unspecified_type("record");

/// Fields by name. It cannot be iterated over, so that the order of a map never decides anything.
#[derive(Debug, Clone)]
struct Record(Arc<BTreeMap<String, Box<dyn Val>>>);

/// A value for the interpreter.
pub(super) fn bind(value: &Value) -> Box<dyn Val> {
    match value {
        Value::Boolean(value) => Box::new(CelBool::from(*value)),
        Value::Integer(value) => Box::new(CelInt::from(*value)),
        Value::Text(text) => Box::new(CelString::from(text.clone())),
        Value::Amount(amount) => Box::new(Money(*amount)),
        Value::List(values) => Box::new(CelList::from(values.iter().map(bind).collect::<Vec<_>>())),
        Value::Record(fields) => {
            let bound = fields.iter().map(|(name, value)| (name.clone(), bind(value)));
            Box::new(Record(Arc::new(bound.collect())))
        }
    }
}

impl Val for Record {
    fn get_type(&self) -> &Type {
        &RECORD_TYPE
    }

    fn cel_type() -> &'static Type {
        &RECORD_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Record {}

impl Indexer for Record {
    fn get<'b, 'v>(&'b self, field: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = field.downcast_ref::<CelString<'_>>().map(CelString::inner).unwrap_or_default();
        let value = self.0.get(name).ok_or_else(|| ExecutionError::no_such_key(name))?;
        Ok(CowVal::Borrowed(value.as_ref()))
    }

    fn steal<'v>(self: Box<Self>, field: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(field).map(CowVal::into_owned)
    }
}
