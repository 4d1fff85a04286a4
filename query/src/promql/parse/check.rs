//! What the grammar alone does not say: types and numbers of arguments.

use super::super::ast::{Binary, Cardinality, Expr, Node, Type};
use super::super::functions::Function;
use super::{Failure, Parsed};

/// That a node gives a type.
pub(super) fn expect(node: &Node, wanted: Type, place: &str) -> Parsed<()> {
    if node.kind() == wanted {
        return Ok(());
    }
    let (wanted, found) = (wanted.name(), node.kind().name());
    Err(Failure::new(node.offset, format!("expected type {wanted} in {place}, got {found}")))
}

/// That an expression may be evaluated over a range.
pub(super) fn subquery(node: &Node, offset: usize) -> Parsed<()> {
    if node.kind() == Type::Vector {
        return Ok(());
    }
    let found = node.kind().name();
    let problem = format!("subquery is only allowed on instant vector, got {found} instead");
    Err(Failure::new(offset, problem))
}

/// That an operator fits what stands beside it; `matched` says whether it has `on` or `ignoring`.
pub(super) fn binary(binary: &Binary, matched: bool, offset: usize) -> Parsed<()> {
    let fail = |problem: String| Err(Failure::new(offset, problem));
    let (left, right) = (binary.left.kind(), binary.right.kind());
    for (node, kind) in [(&binary.left, left), (&binary.right, right)] {
        if !matches!(kind, Type::Scalar | Type::Vector) {
            let problem = "binary expression must contain only scalar and instant vector types";
            return Err(Failure::new(node.offset, problem));
        }
    }
    let operator = binary.operator;
    let scalars = [left, right].iter().filter(|kind| **kind == Type::Scalar).count();
    if binary.returns_bool && !operator.is_comparison() {
        return fail("bool modifier can only be used on comparison operators".into());
    }
    if operator.is_comparison() && scalars == 2 && !binary.returns_bool {
        return fail("comparisons between scalars must use BOOL modifier".into());
    }
    if operator.is_set() && scalars > 0 {
        let name = operator.text();
        return fail(format!("set operator {name:?} not allowed in binary scalar expression"));
    }
    let matching = &binary.matching;
    if operator.is_set() && matching.cardinality != Cardinality::OneToOne {
        return fail(format!("no grouping allowed for {:?} operation", operator.text()));
    }
    let fills = matching.fill.0.is_some() || matching.fill.1.is_some();
    if fills && operator.is_set() {
        return fail("filling in missing series not allowed for set operators".into());
    }
    if scalars > 0 && (matched || fills) {
        return fail("vector matching only allowed between instant vectors".into());
    }
    if matching.on
        && let Some(label) = matching.include.iter().find(|label| matching.labels.contains(label))
    {
        return fail(format!("label {label:?} must not occur in ON and GROUP clause at once"));
    }
    Ok(())
}

/// That the arguments of a call are as many and of the types that the function takes.
pub(super) fn call(function: Function, arguments: &[Node], offset: usize) -> Parsed<()> {
    let name = function.name();
    let (least, most) = function.argument_counts();
    let count = arguments.len();
    if count < least || most.is_some_and(|most| count > most) {
        let problem = match most {
            Some(most) if most == least => {
                format!("expected {least} argument(s) in call to {name:?}, got {count}")
            }
            Some(most) if count > most => {
                format!("expected at most {most} argument(s) in call to {name:?}, got {count}")
            }
            _ => format!("expected at least {least} argument(s) in call to {name:?}, got {count}"),
        };
        return Err(Failure::new(offset, problem));
    }
    for (index, argument) in arguments.iter().enumerate() {
        expect(argument, function.argument(index), &format!("call to function {name:?}"))?;
    }
    if function == Function::Info
        && let Some(labels) = arguments.get(1)
        && !matches!(labels.bare().expr, Expr::Selector(_))
    {
        let problem = "expected label selectors as the second argument to info function";
        return Err(Failure::new(labels.offset, problem));
    }
    Ok(())
}
