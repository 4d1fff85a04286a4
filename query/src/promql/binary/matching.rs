//! Operators between two vectors whose series find each other by labels.

use std::collections::{BTreeMap, HashMap};

use super::{arithmetic, compare, drops_name};
use crate::promql::ast::{Binary, Cardinality, Matching};
use crate::promql::error::{Result, execution};
use crate::promql::evaluate::Evaluator;
use crate::promql::labels::{Labels, NAME};
use crate::promql::value::{ABSENT, Grid, Row, is_absent};

/// The labels by which a series finds its counterparts.
pub(super) fn signature(matching: &Matching, row: &Row) -> Labels {
    if matching.on {
        row.labels.only(&matching.labels)
    } else {
        row.labels.filter(|name| name != NAME && matching.labels.iter().all(|other| other != name))
    }
}

/// The rows of both sides with one signature, by index.
#[derive(Debug, Default)]
struct Group {
    many: Vec<usize>,
    one: Vec<usize>,
}

pub(super) fn evaluate(
    evaluator: &Evaluator<'_>,
    binary: &Binary,
    left: Vec<Row>,
    right: Vec<Row>,
    grid: &Grid,
) -> Result<Vec<Row>> {
    let swapped = binary.matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let mut groups: BTreeMap<Labels, Group> = BTreeMap::new();
    for (index, row) in many.iter().enumerate() {
        groups.entry(signature(&binary.matching, row)).or_default().many.push(index);
    }
    for (index, row) in one.iter().enumerate() {
        groups.entry(signature(&binary.matching, row)).or_default().one.push(index);
    }
    let mut operation = Operation {
        binary,
        swapped,
        many: &many,
        one: &one,
        results: Vec::new(),
        places: HashMap::new(),
        count: grid.count,
    };
    for (key, group) in &groups {
        evaluator.tick()?;
        operation.group(key, group)?;
    }
    let mut results = operation.results;
    results.retain(|row| !row.is_empty());
    Ok(results)
}

/// One operator over all groups; `many` is the left side unless the sides are swapped.
struct Operation<'a> {
    binary: &'a Binary,
    swapped: bool,
    many: &'a [Row],
    one: &'a [Row],
    results: Vec<Row>,
    places: HashMap<(Option<usize>, Option<usize>), usize>,
    count: usize,
}

impl Operation<'_> {
    /// The results of one group of series that belong together.
    fn group(&mut self, key: &Labels, group: &Group) -> Result<()> {
        let (fill_many, fill_one) = match (self.swapped, self.binary.matching.fill) {
            (false, fill) => fill,
            (true, (left, right)) => (right, left),
        };
        for step in 0..self.count {
            let partner = self.partner(key, group, step)?;
            let mut matched = Vec::new();
            for index in &group.many {
                let value = self.many[*index].values[step];
                if is_absent(value) {
                    continue;
                }
                let other = partner.map(|partner| self.one[partner].values[step]).or(fill_one);
                let Some(other) = other else { continue };
                let result = self.apply(value, other);
                // A comparison with `bool` or arithmetic gives a value for every pair.
                if !is_absent(result) {
                    self.put(Some(*index), partner, step, result, key, &mut matched)?;
                }
            }
            let alone = group.many.iter().all(|index| is_absent(self.many[*index].values[step]));
            if let (true, Some(partner), Some(fill)) = (alone, partner, fill_many) {
                let result = self.apply(fill, self.one[partner].values[step]);
                if !is_absent(result) {
                    self.put(None, Some(partner), step, result, key, &mut matched)?;
                }
            }
        }
        Ok(())
    }

    /// The only row of the one side that has a value at a step.
    fn partner(&self, key: &Labels, group: &Group, step: usize) -> Result<Option<usize>> {
        let mut present =
            group.one.iter().filter(|index| !is_absent(self.one[**index].values[step]));
        let first = present.next().copied();
        if let (Some(first), Some(second)) = (first, present.next()) {
            let side = if self.swapped { "left" } else { "right" };
            return execution(format!(
                "found duplicate series for the match group {} on the {side} hand-side of the \
                 operation: [{}, {}];many-to-many matching not allowed: matching labels must be \
                 unique on one side",
                braced(key),
                braced(&self.one[*second].labels),
                braced(&self.one[first].labels),
            ));
        }
        Ok(first)
    }

    fn apply(&self, many: f64, one: f64) -> f64 {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let operator = self.binary.operator;
        if !operator.is_comparison() {
            return arithmetic(operator, left, right);
        }
        match (self.binary.returns_bool, compare(operator, left, right)) {
            (true, holds) => f64::from(u8::from(holds)),
            (false, true) => left,
            (false, false) => ABSENT,
        }
    }

    /// Puts a result where it belongs; no two of a step may have the same labels.
    fn put(
        &mut self,
        many: Option<usize>,
        one: Option<usize>,
        step: usize,
        value: f64,
        key: &Labels,
        matched: &mut Vec<usize>,
    ) -> Result<()> {
        let one_to_one = self.binary.matching.cardinality == Cardinality::OneToOne;
        if one_to_one && !matched.is_empty() {
            return execution(
                "multiple matches for labels: many-to-one matching must be explicit \
                 (group_left/group_right)",
            );
        }
        let place = match self.places.get(&(many, one)) {
            Some(place) => *place,
            None => {
                let labels = self.labels(many, one, key);
                let mut row = Row::new(labels, vec![ABSENT; self.count]);
                row.drops_name = drops_name(self.binary);
                self.results.push(row);
                let place = self.results.len() - 1;
                self.places.insert((many, one), place);
                place
            }
        };
        let labels = &self.results[place].labels;
        if matched.iter().any(|other| self.results[*other].labels == *labels) {
            return execution(
                "multiple matches for labels: grouping labels must ensure unique matches",
            );
        }
        matched.push(place);
        self.results[place].values[step] = value;
        Ok(())
    }

    /// The labels of a result.
    fn labels(&self, many: Option<usize>, one: Option<usize>, key: &Labels) -> Labels {
        let matching = &self.binary.matching;
        let Some(many) = many else {
            return key.clone();
        };
        let mut labels = self.many[many].labels.clone();
        if self.many[many].drops_name {
            labels = labels.without_name();
        }
        if matching.cardinality == Cardinality::OneToOne {
            labels = if matching.on {
                labels.only(&matching.labels)
            } else {
                labels.without(&matching.labels)
            };
        }
        for label in &matching.include {
            let value = one.map_or("", |one| self.one[one].labels.get(label));
            labels = labels.with(label, value);
        }
        labels
    }
}

/// Labels as messages of Prometheus show them.
fn braced(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
