//! Rules in CEL, the Common Expression Language, that decide about money and rights.
//!
//! A rule is a function of its inputs: no clock, no randomness, no fractions, and no order of a map. It is
//! checked when it is read: names, shapes and an upper bound of its steps ([`STEPS_MAX`]), since the
//! interpreter has no limit of its own. What went into a decision is kept in canonical bytes, so that an
//! arbiter can run it again ([`Evaluation`]).

mod bind;
mod bound;
mod check;
mod decision;
mod money;
mod shape;
mod value;

use cel::parser::Parser;
use cel::{Context, ExecutionError, IdedExpr};

use crate::amount::{Amount, WHOLE_BP};

pub use bound::STEPS_MAX;
pub use decision::{Decision, EVALUATION_BYTES_MAX, Evaluation, EvaluationError};
pub use shape::{Fields, Shape, ShapeError, of_deal, of_request};
pub use value::{LIST_BYTES_MAX, LIST_MAX, TEXT_BYTES_MAX, Value};

/// The longest rule: bytes.
pub const RULE_BYTES_MAX: usize = 2_000;
/// How deep brackets lie in each other: the parser needs stack for each.
const BRACKETS_MAX: u16 = 32;
/// After so many errors the parser stops.
const ERRORS_MAX: u32 = 4;

/// What a rule is to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// Yes or no.
    Condition,
    /// Basis points, from 0 to 10000.
    Share,
}

/// A rule that was checked.
#[derive(Debug, Clone)]
pub struct Rule {
    expression: IdedExpr,
    amounts: Vec<(String, Amount)>,
    gives: Gives,
    names: Fields,
    steps: u64,
}

/// What a rule gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The condition holds.
    Yes,
    /// It does not.
    No,
    /// Basis points.
    Share(u16),
    /// It could not be evaluated. Nothing is granted, and no share is paid.
    Failed(Failure),
}

/// Why a rule could not be evaluated.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// Something that it asks for is not there.
    #[error("something that the rule asks for is not there")]
    Missing,
    /// A result is larger than numbers or amounts are, or an amount below 0.
    #[error("a number is out of its range")]
    Range,
    /// A division by zero.
    #[error("a division by zero")]
    Zero,
    /// A share that is not from 0 to 10000 basis points.
    #[error("the share is not from 0 to 10000 basis points")]
    Share,
    /// The inputs are not of the shape that the rule was checked for.
    #[error("the inputs are not what the rule was checked for")]
    Inputs,
    /// Something else, which the check should have refused.
    #[error("the rule cannot be evaluated")]
    Other,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("in the rule, line {line}, column {column}: {problem}")]
pub struct RuleError {
    /// Where in the rule: its line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Rule {
    /// Reads and checks a rule. `decimals` is how many digits behind the point amounts have.
    ///
    /// # Errors
    /// [`RuleError`] with the place, where it is no CEL, asks for what is not there, has fractions, gives
    /// something else, or could take too many steps.
    pub fn compile(
        text: &str,
        names: &Fields,
        gives: Gives,
        decimals: u8,
    ) -> Result<Self, RuleError> {
        let fail = |problem| Err(RuleError { line: 1, column: 1, problem });
        if text.len() > RULE_BYTES_MAX {
            return fail(format!("{} bytes where a rule has {RULE_BYTES_MAX}", text.len()));
        }
        let parser =
            Parser::new().max_recursion_depth(BRACKETS_MAX).error_recovery_limit(ERRORS_MAX);
        let (mut expression, source) =
            parser.parse_with_source_info(text).map_err(|errors| syntax(&errors))?;
        let mut checker = check::Checker::new(names, decimals);
        let checked = checker.check(&mut expression).map_err(|wrong| {
            let offset = source.offset_for(wrong.node).map_or(0, |(start, _)| start as usize);
            let (line, column) = place(text, offset);
            RuleError { line, column, problem: wrong.problem }
        })?;
        let (steps, amounts) = (checker.steps, checker.amounts);
        let wanted = match gives {
            Gives::Condition => Shape::Boolean,
            Gives::Share => Shape::Integer,
        };
        if checked.shape != wanted {
            return fail(format!("it gives {} and should give {wanted}", checked.shape));
        }
        if steps > STEPS_MAX {
            return fail(format!(
                "it could take {steps} steps where {STEPS_MAX} are allowed: loop over less, or not in loops"
            ));
        }
        Ok(Self { expression, amounts, gives, names: names.clone(), steps })
    }

    /// How many steps it takes at most.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Evaluates it. Same inputs, same outcome, on every machine.
    #[must_use]
    pub fn evaluate(&self, inputs: &Value) -> Outcome {
        let Value::Record(fields) = inputs else { return Outcome::Failed(Failure::Inputs) };
        if Shape::Record(self.names.clone()).check(inputs, "").is_err() {
            return Outcome::Failed(Failure::Inputs);
        }
        let mut context = Context::with_env(std::sync::Arc::clone(&money::ENVIRONMENT));
        for (name, value) in fields {
            context.add_variable_as_val(name, bind::bind(value));
        }
        for (name, amount) in &self.amounts {
            context.add_variable_as_val(name, bind::bind(&Value::Amount(*amount)));
        }
        match (cel::Value::resolve(&self.expression, &context), self.gives) {
            (Ok(cel::Value::Bool(true)), Gives::Condition) => Outcome::Yes,
            (Ok(cel::Value::Bool(false)), Gives::Condition) => Outcome::No,
            (Ok(cel::Value::Int(points)), Gives::Share) => match u16::try_from(points) {
                Ok(points) if points <= WHOLE_BP => Outcome::Share(points),
                _ => Outcome::Failed(Failure::Share),
            },
            (Ok(_), _) => Outcome::Failed(Failure::Other),
            (Err(error), _) => Outcome::Failed(failure(&error)),
        }
    }
}

fn failure(error: &ExecutionError) -> Failure {
    match error {
        ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) => Failure::Missing,
        ExecutionError::Overflow(..) | ExecutionError::FunctionError { .. } => Failure::Range,
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => Failure::Zero,
        _ => Failure::Other,
    }
}

/// The first error of a parser, in words of one line.
fn syntax(errors: &cel::ParseErrors) -> RuleError {
    // One of too many brackets says it most clearly, and has no place.
    let is_deep = |error: &&cel::ParseError| error.msg.contains("Recursion");
    let first = errors.errors.iter().find(is_deep).or(errors.errors.first());
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    let problem = match first {
        Some(error) if is_deep(&error) => {
            return RuleError {
                line: 1,
                column: 1,
                problem: format!("brackets lie more than {BRACKETS_MAX} deep: split it"),
            };
        }
        Some(error) => error.msg.lines().next().unwrap_or_default().replace("Syntax error: ", ""),
        None => String::new(),
    };
    let positive = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
    RuleError {
        line: positive(line),
        column: positive(column),
        problem: format!("no CEL: {problem}"),
    }
}

/// Line and column of an offset in characters.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.chars().take(offset);
    before.fold((1, 1), |(line, column), character| match character {
        '\n' => (line + 1, 1),
        _ => (line, column + 1),
    })
}
