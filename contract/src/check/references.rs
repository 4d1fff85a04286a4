//! Names: each is there once, and whoever refers to one finds it.

use super::{Findings, PARTIES};
use crate::file::is_name;
use crate::model::{Contract, EventKind, Steps};
use crate::suggest::did_you_mean;

/// Words that CEL keeps for itself; a name that rules use is none of them.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

pub(super) fn check(contract: &Contract, found: &mut Findings) {
    names(contract, found);
    let parties: Vec<&str> = PARTIES
        .into_iter()
        .chain(contract.parties.iter().map(|party| party.name.as_str()))
        .collect();
    let steps = &contract.steps;
    let places = places(steps);
    let ends: Vec<&str> = steps.ends.iter().map(|end| end.name.as_str()).collect();
    let mut known = Known { found };
    let first: Vec<&str> = steps.steps.iter().map(|step| step.name.as_str()).collect();
    known.one_of("steps.begins".to_owned(), "step", &steps.begins, &first);
    if let Some(overall) = &steps.overall {
        known.one_of("steps.then".to_owned(), "end", &overall.then, &ends);
    }
    for (step, at) in steps.steps.iter().zip(0..) {
        known.one_of(format!("step.{at}.due"), "party", &step.due, &parties);
        known.one_of(format!("step.{at}.then"), "step or end", &step.deadline.then, &places);
        for (on, number) in step.on.iter().zip(0..) {
            let of = |name: &str| format!("step.{at}.on.{number}.{name}");
            known.one_of(of("by"), "party", &on.by, &parties);
            known.one_of(of("to"), "step or end", &on.to, &places);
            if let Some(draw) = &on.draw {
                known.one_of(of("draw.to"), "party", &draw.to, &parties);
                known.one_of(of("draw.spent"), "end", &draw.spent, &ends);
                if draw.amount.0 == 0 {
                    known.found.wrong(of("draw.amount"), "an amount that is drawn is above 0");
                }
            }
        }
    }
    for (end, at) in steps.ends.iter().zip(0..) {
        known.one_of(format!("end.{at}.rest"), "party", &end.rest, &parties);
        for (share, number) in end.pay.iter().zip(0..) {
            let path = format!("end.{at}.pay.{number}.to");
            known.one_of(path.clone(), "party", &share.to, &parties);
            if share.to == end.rest || end.pay.iter().take(number).any(|other| other.to == share.to)
            {
                known.found.wrong(path, format!("{} gets one share, or the rest", share.to));
            }
        }
    }
    let events = EventKind::ALL.into_iter().map(EventKind::name);
    let mut all: Vec<&str> = events.collect();
    all.extend(&places);
    for (hook, at) in contract.webhooks.iter().zip(0..) {
        for (name, number) in hook.on.iter().zip(0..) {
            let path = format!("webhook.{at}.on.{number}");
            known.one_of(path, "event, step or end", name, &all);
        }
        address(&hook.url, &format!("webhook.{at}.url"), known.found);
    }
}

/// All steps and ends.
fn places(steps: &Steps) -> Vec<&str> {
    let ends = steps.ends.iter().map(|end| end.name.as_str());
    steps.steps.iter().map(|step| step.name.as_str()).chain(ends).collect()
}

struct Known<'a> {
    found: &'a mut Findings,
}

impl Known<'_> {
    fn one_of(&mut self, path: String, what: &str, name: &str, there: &[&str]) {
        if there.contains(&name) {
            return;
        }
        let hint = match did_you_mean(name, there.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there is {}", there.join(", ")),
        };
        self.found.wrong(path, format!("there is no {what} {name:?}; {hint}"));
    }
}

/// Each name is of the form of names, and there once.
fn names(contract: &Contract, found: &mut Findings) {
    let parties = contract.parties.iter().map(|party| party.name.as_str());
    once(found, "party", "name", parties, &PARTIES);
    once(found, "grant", "name", contract.grants.iter().map(|grant| grant.name.as_str()), &[]);
    once(found, "webhook", "name", contract.webhooks.iter().map(|hook| hook.name.as_str()), &[]);
    let queries = contract.queries.iter().map(|query| query.name.as_str());
    once(found, "query", "name", queries.clone(), &RESERVED);
    let lists = contract.lists.iter().map(String::as_str);
    once(found, "lists", "", lists.clone(), &RESERVED);
    let steps = contract.steps.steps.iter().map(|step| step.name.as_str());
    once(found, "step", "name", steps.clone(), &[]);
    let steps: Vec<&str> = steps.collect();
    once(found, "end", "name", contract.steps.ends.iter().map(|end| end.name.as_str()), &steps);
    for (path, name) in queries
        .zip(0..)
        .map(|(name, at)| (format!("query.{at}.name"), name))
        .chain(lists.zip(0..).map(|(name, at)| (format!("lists.{at}"), name)))
    {
        if name.contains('-') {
            found.wrong(path, "rules would read - as a difference: write _");
        }
    }
}

fn once<'a>(
    found: &mut Findings,
    table: &str,
    field: &str,
    names: impl Iterator<Item = &'a str>,
    taken: &[&str],
) {
    let mut before: Vec<&str> = Vec::new();
    for (name, at) in names.zip(0..) {
        let path = match field {
            "" => format!("{table}.{at}"),
            field => format!("{table}.{at}.{field}"),
        };
        if !is_name(name) {
            found.wrong(path, "a name is 1 to 64 small letters, digits, - and _");
        } else if before.contains(&name) || taken.contains(&name) {
            found.wrong(path, format!("the name {name} is taken"));
        }
        before.push(name);
    }
}

/// An address that a node may call: https, a host, no user, nothing that no address has.
fn address(url: &str, path: &str, found: &mut Findings) {
    let rest = url.strip_prefix("https://").unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || host.contains('@') || !is_plain || url.len() > 512 {
        found.wrong(path, "an address is https://HOST/PATH, without a user");
    }
}
