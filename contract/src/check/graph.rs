//! The steps as a graph: every step is reached, every way ends.

use std::collections::BTreeSet;

use super::Findings;
use crate::model::{Step, Steps};

pub(super) fn check(steps: &Steps, found: &mut Findings) {
    if steps.steps.is_empty() {
        found.wrong("step", "a deal has a step at least");
    }
    if steps.ends.is_empty() {
        found.wrong("end", "a deal has an end at least");
    }
    let deadlines = steps.steps.iter().map(|step| &step.deadline).zip(0..);
    for (deadline, at) in deadlines {
        if deadline.within == 0 {
            found.wrong(format!("step.{at}.within"), "a deadline is above 0");
        }
    }
    if steps.overall.as_ref().is_some_and(|overall| overall.within == 0) {
        found.wrong("steps.within", "a deadline is above 0");
    }
    let mut reached = BTreeSet::new();
    let mut left = vec![steps.begins.as_str()];
    left.extend(steps.overall.as_ref().map(|overall| overall.then.as_str()));
    while let Some(name) = left.pop() {
        if reached.insert(name)
            && let Some(step) = steps.step(name)
        {
            left.extend(step.next());
        }
    }
    for (step, at) in steps.steps.iter().zip(0..) {
        if !reached.contains(step.name.as_str()) {
            found.wrong(format!("step.{at}.name"), format!("nothing leads to {}", step.name));
        }
    }
    for (end, at) in steps.ends.iter().zip(0..) {
        if !reached.contains(end.name.as_str()) {
            found.wrong(format!("end.{at}.name"), format!("nothing leads to {}", end.name));
        }
    }
    let deadlines = |step: &'_ Step| vec![step.deadline.then.clone()];
    if let Some(name) = comes_again(steps, deadlines) {
        found.wrong("step", format!("deadlines alone lead from {name} to {name}: let one lead on"));
    }
    let all = |step: &'_ Step| step.next().map(str::to_owned).collect();
    if steps.overall.is_none()
        && let Some(name) = comes_again(steps, all)
    {
        found.wrong(
            "steps",
            format!("{name} can come again and again: say within and then, when a deal ends at the latest"),
        );
    }
}

/// A step that a way leads back to, if there is one: what is left when steps without a way on are taken
/// away again and again (Kahn, Communications of the ACM 5(11), 1962).
fn comes_again(steps: &Steps, next: impl Fn(&Step) -> Vec<String>) -> Option<&str> {
    let mut left: Vec<&Step> = steps.steps.iter().collect();
    loop {
        let names: BTreeSet<&str> = left.iter().map(|step| step.name.as_str()).collect();
        let before = left.len();
        left.retain(|step| next(step).iter().any(|name| names.contains(name.as_str())));
        if left.len() == before {
            return left.first().map(|step| step.name.as_str());
        }
    }
}
