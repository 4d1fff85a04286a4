//! Checks an expression before it is ever evaluated: the names it knows, the shapes of values, no
//! fractions, and a bound of its steps.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators as op,
};

use super::bound::{Bound, NODE_STEPS};
use super::shape::{Fields, Shape};
use crate::amount::Amount;
use crate::suggest::did_you_mean;

/// How deep expressions lie in each other.
const DEPTH_MAX: usize = 48;

/// What is wrong, and with which node.
pub(super) struct Wrong {
    pub(super) node: u64,
    pub(super) problem: String,
}

type Checked = Result<Bound, Wrong>;

/// Checks one expression.
pub(super) struct Checker<'a> {
    names: &'a Fields,
    decimals: u8,
    /// The variables of macros, innermost last.
    scopes: Vec<(String, Bound)>,
    /// The amounts that are written in the rule, by the names that stand for them.
    pub(super) amounts: Vec<(String, Amount)>,
    /// The bound of the steps.
    pub(super) steps: u64,
    depth: usize,
}

fn wrong<T>(node: u64, problem: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { node, problem: problem.into() })
}

impl<'a> Checker<'a> {
    pub(super) fn new(names: &'a Fields, decimals: u8) -> Self {
        Self { names, decimals, scopes: Vec::new(), amounts: Vec::new(), steps: 0, depth: 0 }
    }

    fn cost(&mut self, steps: u64) {
        self.steps = self.steps.saturating_add(steps);
    }

    /// What a part of an expression costs by itself.
    fn apart<T>(&mut self, check: impl FnOnce(&mut Self) -> T) -> (T, u64) {
        let before = std::mem::take(&mut self.steps);
        let checked = check(self);
        (checked, std::mem::replace(&mut self.steps, before))
    }

    /// Checks an expression, and puts a name in the place of each amount that is written in it.
    pub(super) fn check(&mut self, node: &mut IdedExpr) -> Checked {
        if self.depth >= DEPTH_MAX {
            return wrong(node.id, format!("it is nested more than {DEPTH_MAX} deep: split it"));
        }
        self.depth += 1;
        self.cost(NODE_STEPS);
        let id = node.id;
        // What is named or written down is borrowed; everything else is made.
        let is_made = !matches!(node.expr, Expr::Ident(_) | Expr::Select(_) | Expr::Literal(_));
        let checked = match &mut node.expr {
            Expr::Literal(literal) => literal_bound(id, literal),
            Expr::Ident(name) => self.name(id, name),
            Expr::Select(select) => {
                let (field, is_test) = (select.field.clone(), select.test);
                self.check(&mut select.operand).and_then(|of| self.field(id, &of, &field, is_test))
            }
            Expr::Call(call) if call.func_name == "coin" => match self.coin(id, call) {
                Ok(name) => {
                    node.expr = Expr::Ident(name);
                    Ok(Bound::amount())
                }
                Err(wrong) => Err(wrong),
            },
            Expr::Call(call) => self.call(id, call),
            Expr::List(list) if !list.optional_indices.is_empty() => {
                wrong(id, "elements that may be missing are not known")
            }
            Expr::List(list) => self.list(id, &mut list.elements),
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension),
            Expr::Map(_) | Expr::Struct(_) => {
                wrong(id, "there are no maps and structures in rules; use lists")
            }
            Expr::Unspecified => wrong(id, "an expression is missing"),
        };
        self.depth -= 1;
        if let (Ok(bound), true) = (&checked, is_made) {
            self.cost(bound.weight);
        }
        checked
    }

    fn name(&self, id: u64, name: &str) -> Checked {
        if let Some((_, bound)) = self.scopes.iter().rev().find(|(scope, _)| scope == name) {
            return Ok(bound.clone());
        }
        match self.names.get(name) {
            // A record is not copied when it is named.
            Some(shape @ Shape::Record(_)) => Ok(Bound { weight: 1, ..Bound::of(shape) }),
            Some(shape) => Ok(Bound::of(shape)),
            None => wrong(id, format!("{name} is not known here{}", self.hint(name, self.names))),
        }
    }

    fn hint(&self, name: &str, names: &Fields) -> String {
        let all: Vec<_> = names.names().collect();
        match did_you_mean(name, all.iter().copied()) {
            Some(near) => format!("; did you mean {near}?"),
            None if all.is_empty() => "; there is nothing".to_owned(),
            None => format!("; there is {}", all.join(", ")),
        }
    }

    fn field(&self, id: u64, of: &Bound, field: &str, is_test: bool) -> Checked {
        let Shape::Record(fields) = &of.shape else {
            return wrong(id, format!("{} has no field {field}", of.shape));
        };
        match fields.get(field) {
            Some(_) if is_test => Ok(Bound::boolean()),
            // A record is not copied when it is named.
            Some(shape @ Shape::Record(_)) => Ok(Bound { weight: 1, ..of.field(shape) }),
            Some(shape) => Ok(of.field(shape)),
            None => wrong(id, format!("there is no field {field}{}", self.hint(field, fields))),
        }
    }

    /// `coin("2.5")`: an amount that is written down.
    fn coin(&mut self, id: u64, call: &CallExpr) -> Result<String, Wrong> {
        let text = match (call.args.as_slice(), &call.target) {
            ([argument], None) => match &argument.expr {
                Expr::Literal(LiteralValue::String(text)) => text.inner(),
                _ => return wrong(id, "coin takes a text that is written there: coin(\"2.5\")"),
            },
            _ => return wrong(id, "coin takes one text: coin(\"2.5\")"),
        };
        match Amount::parse(text, self.decimals) {
            Ok(amount) => {
                // No name that is written in a rule has such a sign in it.
                let name = format!("@amount{}", self.amounts.len());
                self.amounts.push((name.clone(), amount));
                Ok(name)
            }
            Err(error) => wrong(id, format!("{text:?} is no amount: {error}")),
        }
    }

    fn list(&mut self, id: u64, elements: &mut [IdedExpr]) -> Checked {
        let count = elements.len() as u64;
        let (mut bound, mut weight): (Option<Bound>, u64) = (None, 0);
        for element in elements {
            let next = self.check(element)?;
            weight = next.weight.saturating_add(weight);
            bound = Some(match bound {
                Some(before) if before.shape != next.shape => {
                    return wrong(id, "all elements of a list are of one kind");
                }
                Some(before) => before.either(next),
                None => next,
            });
        }
        match bound {
            Some(element) => Ok(Bound::list(count, weight, element)),
            None => wrong(id, "an empty list is good for nothing here"),
        }
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) -> Checked {
        let target = match &mut call.target {
            Some(target) => vec![self.check(target)?],
            None => Vec::new(),
        };
        let is_member = !target.is_empty();
        let mut bounds = target;
        for argument in &mut call.args {
            bounds.push(self.check(argument)?);
        }
        let weight = bounds.iter().map(|bound| bound.weight).fold(1, u64::saturating_add);
        self.cost(weight);
        let shapes: Vec<&Shape> = bounds.iter().map(|bound| &bound.shape).collect();
        match (call.func_name.as_str(), is_member, shapes.as_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR, false, [Shape::Boolean, Shape::Boolean])
            | (op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, false, [Shape::Boolean])
            | ("startsWith" | "endsWith" | "contains", true, [Shape::Text, Shape::Text]) => {
                Ok(Bound::boolean())
            }
            (op::EQUALS | op::NOT_EQUALS, false, [one, other])
                if one == other && !matches!(one, Shape::Record(_)) =>
            {
                Ok(Bound::boolean())
            }
            (
                op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS,
                false,
                [one, other],
            ) if one == other && !matches!(one, Shape::Record(_) | Shape::List(_)) => {
                Ok(Bound::boolean())
            }
            (
                op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO,
                false,
                [Shape::Integer, Shape::Integer],
            )
            | (op::NEGATE, false, [Shape::Integer])
            | ("size", _, [Shape::Text | Shape::List(_)]) => Ok(Bound::integer()),
            (op::ADD | op::SUBSTRACT, false, [Shape::Amount, Shape::Amount])
            | (op::MULTIPLY, false, [Shape::Amount, Shape::Integer])
            | ("share", false, [Shape::Amount, Shape::Integer]) => Ok(Bound::amount()),
            (op::ADD, false, [Shape::Text, Shape::Text]) => Ok(Bound::text(weight)),
            (op::ADD, false, [one @ Shape::List(_), other]) if one == other => {
                let mut bounds = bounds.into_iter();
                match (bounds.next(), bounds.next()) {
                    (Some(one), Some(other)) => Ok(one.both(other)),
                    _ => wrong(id, "a part of + is missing"),
                }
            }
            (op::CONDITIONAL, false, [Shape::Boolean, one, other]) if one == other => {
                let mut bounds = bounds.into_iter().skip(1);
                match (bounds.next(), bounds.next()) {
                    (Some(one), Some(other)) => Ok(one.either(other)),
                    _ => wrong(id, "a part of ? : is missing"),
                }
            }
            // Each element is compared no further than it is long.
            (op::IN, false, [one, Shape::List(element)]) if *one == element.as_ref() => {
                Ok(Bound::boolean())
            }
            (op::INDEX, false, [Shape::List(element), Shape::Integer]) => {
                let otherwise = Bound::of(element);
                let found = bounds.into_iter().next().and_then(|bound| bound.elements);
                Ok(found.map_or(otherwise, |(_, element)| *element))
            }
            (name, ..) => wrong(id, no_such_call(name, &shapes)),
        }
    }

    /// A macro: `list.all(x, ...)`, `exists`, `exists_one`, `map`, `filter`.
    fn comprehension(&mut self, id: u64, loops: &mut ComprehensionExpr) -> Checked {
        if loops.iter_var2.is_some() {
            return wrong(id, "macros have one variable");
        }
        if self.names.get(&loops.iter_var).is_some() || loops.iter_var.starts_with('@') {
            return wrong(id, format!("{} has a meaning here: name it otherwise", loops.iter_var));
        }
        let range = self.check(&mut loops.iter_range)?;
        let shape = range.shape.clone();
        let Some((count, element)) = range.each() else {
            return wrong(id, format!("{shape} has no elements"));
        };
        // What a step copies to name the element.
        let copied = element.weight;
        let is_collected =
            matches!(&loops.accu_init.expr, Expr::List(list) if list.elements.is_empty());
        let depth = self.scopes.len();
        self.scopes.push((loops.iter_var.clone(), element));
        let checked =
            if is_collected { self.collected(id, loops, count) } else { self.folded(id, loops) };
        let checked = match checked {
            Ok((accumulated, steps)) => {
                self.cost(steps.saturating_add(copied).saturating_mul(count));
                self.scopes.truncate(depth);
                self.scopes.push((loops.accu_var.clone(), accumulated));
                self.check(&mut loops.result)
            }
            Err(wrong) => Err(wrong),
        };
        self.scopes.truncate(depth);
        checked
    }

    /// A loop that keeps one value: what it keeps, and the steps of one round.
    fn folded(&mut self, id: u64, loops: &mut ComprehensionExpr) -> Result<(Bound, u64), Wrong> {
        let first = self.check(&mut loops.accu_init)?;
        if !matches!(first.shape, Shape::Boolean | Shape::Integer) {
            return wrong(id, "macros are all, exists, exists_one, map and filter");
        }
        self.scopes.push((loops.accu_var.clone(), first.clone()));
        let (checked, steps) = self.apart(|checker| {
            let goes_on = checker.check(&mut loops.loop_cond)?;
            let next = checker.check(&mut loops.loop_step)?;
            Ok((goes_on.shape, next.shape))
        });
        let (goes_on, next) = checked?;
        if goes_on != Shape::Boolean || next != first.shape {
            return wrong(id, "the macro needs a condition");
        }
        Ok((first, steps))
    }

    /// A loop that collects a list: the list, and the steps of one round.
    fn collected(
        &mut self,
        id: u64,
        loops: &mut ComprehensionExpr,
        count: u64,
    ) -> Result<(Bound, u64), Wrong> {
        let (checked, steps) = self.apart(|checker| {
            // `@result + [element]`, or `condition ? @result + [element] : @result`.
            let Expr::Call(step) = &mut loops.loop_step.expr else { return None };
            let collects = match step.args.as_mut_slice() {
                [condition, collects, _] if step.func_name == op::CONDITIONAL => {
                    match checker.check(condition) {
                        Ok(bound) if bound.shape == Shape::Boolean => collects,
                        Ok(_) => return Some(wrong(id, "the macro needs a condition")),
                        Err(wrong) => return Some(Err(wrong)),
                    }
                }
                _ => &mut loops.loop_step,
            };
            let Expr::Call(add) = &mut collects.expr else { return None };
            match add.args.as_mut_slice() {
                [_, added] if add.func_name == op::ADD => match &mut added.expr {
                    Expr::List(list) => Some(checker.list(id, &mut list.elements)),
                    _ => None,
                },
                _ => None,
            }
        });
        match checked {
            Some(added) => {
                let added = added?;
                let element = added.elements.map_or(Bound::boolean(), |(_, element)| *element);
                let weight = element.weight.saturating_mul(count);
                Ok((Bound::list(count, weight, element), steps))
            }
            None => wrong(id, "macros are all, exists, exists_one, map and filter"),
        }
    }
}

fn literal_bound(id: u64, literal: &LiteralValue) -> Checked {
    match literal {
        LiteralValue::Boolean(_) => Ok(Bound::boolean()),
        LiteralValue::Int(_) => Ok(Bound::integer()),
        LiteralValue::String(text) => Ok(Bound::text(1 + text.inner().len() as u64)),
        LiteralValue::Double(_) => wrong(
            id,
            "fractions are not exact, and rules decide about money: write whole numbers of a smaller unit, \
             or coin(\"2.5\") for an amount",
        ),
        LiteralValue::UInt(_) => wrong(id, "there is one kind of whole numbers: leave out the u"),
        LiteralValue::Bytes(_) => wrong(id, "there are no bytes in rules"),
        LiteralValue::Null => wrong(id, "there is no null: ask with has(...) what may be missing"),
    }
}

fn no_such_call(name: &str, shapes: &[&Shape]) -> String {
    const KNOWN: [&str; 13] = [
        "size",
        "startsWith",
        "endsWith",
        "contains",
        "coin",
        "share",
        "has",
        "all",
        "exists",
        "exists_one",
        "map",
        "filter",
        "in",
    ];
    let of: Vec<_> = shapes.iter().map(|shape| shape.to_string()).collect();
    let sign = name.trim_matches(|sign| "_@".contains(sign)).replace("_", " ");
    if name.contains('_') && name.starts_with(|first| "_!-".contains(first))
        || KNOWN.contains(&name)
    {
        return format!("{sign} is not for {}", of.join(" and "));
    }
    match did_you_mean(name, KNOWN) {
        Some(near) => format!("there is no function {name}; did you mean {near}?"),
        None => format!("there is no function {name}; there is {}", KNOWN.join(", ")),
    }
}
