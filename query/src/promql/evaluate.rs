//! Walks the tree of a query. Each part is evaluated for all times at once, series by series, so
//! that labels are worked out once for each series and windows slide over their samples.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use super::ast::{Expr, Node, Span};
use super::error::{PromqlError, Result, execution};
use super::query::Limits;
use super::source::{Budget, Matcher, Series, Source, Summarized, Summary, Tiles};
use super::value::{Annotations, Grid, Row, Value};
use super::{aggregate, ast, binary, functions, selector};

/// What all parts of a query share.
pub(crate) struct Evaluator<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) limits: &'a Limits,
    /// The times of the whole query, which `@ start()` and `step()` speak of.
    pub(crate) query: Grid,
    /// How many samples are held: those of the series that is being read, and all that were made.
    held: Cell<u64>,
    notes: RefCell<Annotations>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(source: &'a dyn Source, limits: &'a Limits, query: Grid) -> Self {
        let notes = RefCell::default();
        Self { source, limits, query, held: Cell::new(0), notes }
    }

    /// What a part of the query gives at the times of a grid.
    pub(crate) fn evaluate(&self, node: &Node, grid: &Grid) -> Result<Value> {
        self.tick()?;
        match &node.expr {
            Expr::Number(value) => Ok(Value::Scalar(vec![*value; grid.count])),
            Expr::Text(text) => Ok(Value::Text(text.clone())),
            Expr::Paren(inner) => self.evaluate(inner, grid),
            Expr::Selector(selector) => Ok(Value::Vector(selector::rows(self, selector, grid)?)),
            Expr::Negate(inner) => Ok(match self.evaluate(inner, grid)? {
                Value::Scalar(values) => Value::Scalar(values.iter().map(|value| -value).collect()),
                Value::Vector(rows) => Value::Vector(
                    rows.into_iter().map(|row| row.map(|_, value| -value).nameless()).collect(),
                ),
                text @ Value::Text(_) => text,
            }),
            Expr::Binary(binary) => binary::evaluate(self, binary, grid),
            Expr::Aggregate(aggregate) => {
                Ok(Value::Vector(aggregate::evaluate(self, aggregate, grid)?))
            }
            Expr::Call { function, arguments } => functions::call(self, *function, arguments, grid),
            Expr::Range { .. } | Expr::Subquery { .. } => {
                execution("a range vector can only be the argument of a function")
            }
        }
    }

    pub(crate) fn scalar(&self, node: &Node, grid: &Grid) -> Result<Vec<f64>> {
        match self.evaluate(node, grid)? {
            Value::Scalar(values) => Ok(values),
            _ => execution("expected a scalar"),
        }
    }

    pub(crate) fn vector(&self, node: &Node, grid: &Grid) -> Result<Vec<Row>> {
        match self.evaluate(node, grid)? {
            Value::Vector(rows) => Ok(rows),
            _ => execution("expected an instant vector"),
        }
    }

    pub(crate) fn text(&self, node: &Node, grid: &Grid) -> Result<String> {
        match self.evaluate(node, grid)? {
            Value::Text(text) => Ok(text),
            _ => execution("expected a string"),
        }
    }

    /// A length of time in nanoseconds.
    pub(crate) fn span_ns(&self, span: &Span) -> Result<i64> {
        let nanoseconds = (self.span_seconds(span)? * 1e3).round() * 1e6;
        if nanoseconds.is_nan() || nanoseconds.abs() >= i64::MAX as f64 {
            return execution("duration out of range; it must be shorter than 292 years");
        }
        Ok(nanoseconds as i64)
    }

    fn span_seconds(&self, span: &Span) -> Result<f64> {
        let pair = |left: &Span, right: &Span| -> Result<(f64, f64)> {
            Ok((self.span_seconds(left)?, self.span_seconds(right)?))
        };
        let query = &self.query;
        Ok(match span {
            Span::Seconds(seconds) => *seconds,
            Span::Step => super::value::seconds(query.step_ns),
            Span::Range => super::value::seconds(query.end_ns().saturating_sub(query.start_ns)),
            Span::Negate(inner) => -self.span_seconds(inner)?,
            Span::Least(left, right) => pair(left, right).map(|(left, right)| left.min(right))?,
            Span::Most(left, right) => pair(left, right).map(|(left, right)| left.max(right))?,
            Span::Binary(operator, left, right) => {
                let (left, right) = pair(left, right)?;
                let divides = matches!(operator, ast::Operator::Divide | ast::Operator::Modulo);
                if divides && right == 0.0 {
                    return execution("division by zero in a duration");
                }
                binary::arithmetic(*operator, left, right)
            }
        })
    }

    /// Whether the time of the query is over.
    pub(crate) fn tick(&self) -> Result<()> {
        match self.limits.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(PromqlError::Timeout),
            _ => Ok(()),
        }
    }

    /// Takes values that are about to be kept off what the query may hold.
    pub(crate) fn reserve(&self, series: usize, points: usize) -> Result<()> {
        let samples = (series as u64).saturating_mul(points as u64);
        let held = self.held.get().saturating_add(samples);
        if held > self.limits.samples {
            return Err(PromqlError::TooManySamples { limit: self.limits.samples });
        }
        self.held.set(held);
        self.tick()
    }

    /// Gives back values that are no longer kept.
    pub(crate) fn release(&self, samples: usize) {
        self.held.set(self.held.get().saturating_sub(samples as u64));
    }

    /// Reads series one at a time; what is held of one is given back after `each`.
    pub(crate) fn read(
        &self,
        matchers: &[Matcher],
        first_ns: i64,
        last_ns: i64,
        mut each: impl FnMut(Series) -> Result<()>,
    ) -> Result<()> {
        self.source.select(matchers, first_ns, last_ns, &mut Charge(self), &mut |series| {
            let samples = series.times.len();
            each(series)?;
            self.release(samples);
            Ok(())
        })
    }

    /// The same of what the source knows of windows; whether it knows anything.
    pub(crate) fn summarize(
        &self,
        matchers: &[Matcher],
        tiles: &Tiles,
        summary: Summary,
        mut each: impl FnMut(Summarized) -> Result<()>,
    ) -> Result<bool> {
        self.source.summarize(matchers, tiles, summary, &mut Charge(self), &mut |summarized| {
            let samples = match &summarized {
                Summarized::Windows(..) => 0,
                Summarized::Samples(series) => series.times.len(),
            };
            each(summarized)?;
            self.release(samples);
            Ok(())
        })
    }

    pub(crate) fn warn(&self, note: impl Into<String>) {
        self.notes.borrow_mut().warnings.insert(format!("PromQL warning: {}", note.into()));
    }

    pub(crate) fn inform(&self, note: impl Into<String>) {
        self.notes.borrow_mut().infos.insert(format!("PromQL info: {}", note.into()));
    }

    /// What was noticed.
    pub(crate) fn into_notes(self) -> Annotations {
        self.notes.into_inner()
    }
}

/// Charges what a source reads to a query.
struct Charge<'a, 'b>(&'a Evaluator<'b>);

impl Budget for Charge<'_, '_> {
    fn spend(&mut self, samples: usize) -> Result<()> {
        self.0.reserve(1, samples)
    }
}
