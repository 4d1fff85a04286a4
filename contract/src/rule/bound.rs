//! How large a value can be at most, and what it costs to make it: found before anything is evaluated.
//!
//! The interpreter has no limit of steps, so each expression is given an upper bound of its steps, as
//! cel-go's cost estimation does: loops by the bounds of their lists, everything that copies by the bytes
//! it copies. What is bounded too high is refused.

use super::shape::Shape;
use super::value::{LIST_BYTES_MAX, LIST_MAX, TEXT_BYTES_MAX};

/// The most steps that a rule takes: one for each byte that is copied or compared, and 16 for each node that
/// is evaluated.
pub const STEPS_MAX: u64 = 32_000_000;
/// What evaluating a node costs beside what it copies.
pub(super) const NODE_STEPS: u64 = 16;

/// The shape of a value, and how large it is at most.
///
/// What a loop costs is a sum over elements, each part of it in proportion to the element's weight, as
/// nothing here costs a product of weights. So within a loop an element weighs what elements weigh on
/// average, and outside of one ([`super::check::Checker`], `list[0]`) what one weighs at most. For the
/// same reason two alternatives weigh their sum and not the larger one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) shape: Shape,
    /// Bytes of text, and one for each value in it.
    pub(super) weight: u64,
    /// What a text in it weighs.
    pub(super) text: u64,
    /// Of a list: how many elements it has, and how large one of them is.
    pub(super) elements: Option<(u64, Box<Bound>)>,
}

impl Bound {
    /// Any input of a shape.
    pub(super) fn of(shape: &Shape) -> Self {
        Self::with(shape, 1 + TEXT_BYTES_MAX as u64)
    }

    /// A value of a shape whose texts weigh so much.
    fn with(shape: &Shape, text: u64) -> Self {
        let (weight, elements) = match shape {
            Shape::Boolean | Shape::Integer | Shape::Amount => (1, None),
            Shape::Text => (text, None),
            Shape::List(shape) => {
                let count = LIST_MAX as u64;
                let nodes = count.saturating_mul(nodes(shape));
                let weight = (LIST_BYTES_MAX as u64).saturating_add(nodes);
                (weight, Some((count, Box::new(Self::with(shape, text)))))
            }
            Shape::Record(fields) => {
                let shapes = fields.names().filter_map(|name| fields.get(name));
                let weights = shapes.map(|shape| Self::with(shape, text).weight);
                (weights.fold(1, u64::saturating_add), None)
            }
        };
        Self { shape: shape.clone(), weight, text, elements }
    }

    /// A field of this record.
    pub(super) fn field(&self, shape: &Shape) -> Self {
        Self::with(shape, self.text)
    }

    fn small(shape: Shape) -> Self {
        Self { shape, weight: 1, text: 0, elements: None }
    }

    pub(super) fn boolean() -> Self {
        Self::small(Shape::Boolean)
    }

    pub(super) fn integer() -> Self {
        Self::small(Shape::Integer)
    }

    pub(super) fn amount() -> Self {
        Self::small(Shape::Amount)
    }

    pub(super) fn text(weight: u64) -> Self {
        Self { shape: Shape::Text, weight, text: weight, elements: None }
    }

    /// A list of so many elements that weigh so much together, of which one is as large as `element`.
    pub(super) fn list(count: u64, weight: u64, element: Self) -> Self {
        Self {
            shape: Shape::List(Box::new(element.shape.clone())),
            weight: weight.saturating_add(1),
            text: element.text,
            elements: Some((count, Box::new(element))),
        }
    }

    /// An element within a loop over this list, and how many there are.
    pub(super) fn each(self) -> Option<(u64, Self)> {
        let (count, element) = self.elements?;
        let mean = self.weight.div_ceil(count.max(1));
        Some((count, Self { weight: mean, text: mean, ..*element }))
    }

    /// One of two values of the same shape.
    pub(super) fn either(self, other: Self) -> Self {
        let elements = match (self.elements, other.elements) {
            (Some((count, one)), Some((more, another))) => {
                Some((count.max(more), Box::new(one.either(*another))))
            }
            (one, another) => one.or(another),
        };
        Self {
            shape: self.shape,
            weight: self.weight.saturating_add(other.weight),
            text: self.text.saturating_add(other.text),
            elements,
        }
    }

    /// Both lists of the same shape, one after the other.
    pub(super) fn both(self, other: Self) -> Self {
        let (one, another) = (self.elements.clone(), other.elements.clone());
        let counts = [one, another].map(|elements| elements.map_or(0, |(count, _)| count));
        let mut both = self.either(other);
        if let Some((count, _)) = &mut both.elements {
            *count = counts.into_iter().fold(0, u64::saturating_add);
        }
        both
    }
}

/// How many values are in one of a shape, lists in lists counted as full.
fn nodes(shape: &Shape) -> u64 {
    match shape {
        Shape::List(shape) => (LIST_MAX as u64).saturating_mul(nodes(shape)).saturating_add(1),
        Shape::Record(fields) => {
            let shapes = fields.names().filter_map(|name| fields.get(name));
            shapes.map(nodes).fold(1, u64::saturating_add)
        }
        _ => 1,
    }
}
