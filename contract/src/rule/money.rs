//! Amounts as values of CEL: they can be compared, added, subtracted, multiplied by whole numbers, and
//! shared by basis points, and mixed with nothing else.

use std::any::Any;
use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use cel::common::traits::{Adder, Comparer, Multiplier, Subtractor};
use cel::common::types::{CelInt, INT_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};

use crate::amount::{Amount, WHOLE_BP};

const AMOUNT: Type = Type::new_unspecified_type("amount");
static AMOUNT_TYPE: Type = AMOUNT;

/// The standard library of CEL and `share`. There are no macros in it: the parser has the standard ones.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    // The name is taken by nothing else.
    let added = env.add_overload("share", "share_amount_int", vec![AMOUNT, INT_TYPE], share);
    debug_assert!(added.is_ok());
    Arc::new(env)
});

/// An amount among the values of CEL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Money(pub(super) Amount);

fn wrong() -> ExecutionError {
    ExecutionError::UnexpectedType { got: "another value".to_owned(), want: "amount".to_owned() }
}

fn overflow() -> ExecutionError {
    ExecutionError::function_error("amount", "the result is no amount")
}

/// `share(amount, basis points)`, rounded down.
fn share<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let amount = args.first().and_then(|arg| arg.downcast_ref::<Money>()).ok_or_else(wrong)?;
    let points = args.get(1).and_then(|arg| arg.downcast_ref::<CelInt>()).ok_or_else(wrong)?;
    match u16::try_from(*points.inner()) {
        Ok(points) if points <= WHOLE_BP => Ok(CowVal::owned(Money(amount.0.share(points)))),
        _ => Err(ExecutionError::function_error("share", "basis points are from 0 to 10000")),
    }
}

impl Val for Money {
    fn get_type(&self) -> &Type {
        &AMOUNT_TYPE
    }

    fn cel_type() -> &'static Type {
        &AMOUNT_TYPE
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_multiplier<'b, 'v>(&'b self) -> Option<&'b (dyn Multiplier + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| other.0 == self.0)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Money {}

impl Adder for Money {
    fn add<'b, 'v>(&'b self, rhs: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let rhs = rhs.downcast_ref::<Self>().ok_or_else(wrong)?;
        let sum = self.0.0.checked_add(rhs.0.0).ok_or_else(overflow)?;
        Ok(CowVal::owned(Self(Amount(sum))))
    }
}

impl Subtractor for Money {
    fn sub<'b, 'v>(&'b self, rhs: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let rhs = rhs.downcast_ref::<Self>().ok_or_else(wrong)?;
        let difference = self.0.0.checked_sub(rhs.0.0).ok_or_else(overflow)?;
        Ok(CowVal::owned(Self(Amount(difference))))
    }
}

impl Multiplier for Money {
    fn mul<'b, 'v>(&'b self, rhs: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let times = rhs.downcast_ref::<CelInt>().ok_or_else(wrong)?;
        let times = u128::try_from(*times.inner()).map_err(|_| overflow())?;
        let product = self.0.0.checked_mul(times).ok_or_else(overflow)?;
        Ok(CowVal::owned(Self(Amount(product))))
    }
}

impl Comparer for Money {
    fn compare(&self, rhs: &dyn Val) -> Result<Ordering, ExecutionError> {
        Ok(self.0.cmp(&rhs.downcast_ref::<Self>().ok_or_else(wrong)?.0))
    }
}
