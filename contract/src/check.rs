//! What a contract must be beyond its form: names that are known, rules and policies that can be applied,
//! ways that end, shares that fit. The same check for files and for canonical bytes.

mod graph;
mod references;

use std::collections::BTreeMap;

use chronolith_keys::policy::{Policies, ValueKind};

use crate::amount::{DECIMALS_MAX, WHOLE_BP};
use crate::compiled::Compiled;
use crate::file::is_name;
use crate::model::{BUYER, Contract, Kind, OWNER, ShareOf, VERSION};
use crate::rule::{Fields, Gives, Rule, of_deal, of_request};

/// The most steps and ends together, and the most that leads on from one step.
const STEPS_MAX: usize = 64;
/// The longest text of any kind: bytes.
const TEXT_BYTES_MAX: usize = 4_096;
/// Level 1 wants the owner's yes each time.
const LEVEL_ASKED: u8 = 1;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The way to it, by the names of the file.
    pub(crate) path: String,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
    /// Line and column inside of a text.
    pub(crate) inside: Option<(usize, usize)>,
}

/// Everything that is wrong, and the rules that are right.
#[derive(Default)]
struct Findings {
    findings: Vec<Finding>,
    rules: BTreeMap<String, Rule>,
}

impl Findings {
    fn wrong(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding { path: path.into(), message: message.into(), inside: None });
    }

    fn rule(&mut self, path: String, name: String, text: &str, names: &Fields, gives: (Gives, u8)) {
        match Rule::compile(text, names, gives.0, gives.1) {
            Ok(rule) => {
                self.rules.insert(name, rule);
            }
            Err(error) => {
                let inside = Some((error.line, error.column));
                self.findings.push(Finding { path, message: error.problem, inside });
            }
        }
    }
}

/// Checks a contract and brings it into its order.
pub(crate) fn check(mut contract: Contract) -> Result<Compiled, Vec<Finding>> {
    let mut found = Findings::default();
    form(&contract, &mut found);
    metrics(&contract, &mut found);
    money(&contract, &mut found);
    references::check(&contract, &mut found);
    rules(&contract, &mut found);
    graph::check(&contract.steps, &mut found);
    if found.findings.is_empty() {
        contract.sort();
        Ok(Compiled::new(contract, found.rules))
    } else {
        Err(found.findings)
    }
}

/// What a file's fields already bound, for contracts that come as bytes.
fn form(contract: &Contract, found: &mut Findings) {
    if contract.contract != VERSION {
        found.wrong("contract", format!("this program reads version {VERSION}"));
    }
    if !is_name(&contract.name) {
        found.wrong("name", "a name is small letters, digits, - and _");
    }
    let counts = [
        ("party", contract.parties.len()),
        ("metric", contract.metrics.len()),
        ("grant", contract.grants.len()),
        ("query", contract.queries.len()),
        ("webhook", contract.webhooks.len()),
        ("lists", contract.lists.len()),
        ("step", contract.steps.steps.len() + contract.steps.ends.len()),
    ];
    for (path, count) in counts {
        if count > STEPS_MAX {
            found.wrong(path, format!("{count} where at most {STEPS_MAX} are read"));
        }
    }
    for (path, text) in texts(contract) {
        if text.len() > TEXT_BYTES_MAX || text.contains('\0') {
            found.wrong(path, format!("a text has at most {TEXT_BYTES_MAX} bytes, none of them 0"));
        }
    }
}

/// All texts that are no names.
fn texts(contract: &Contract) -> Vec<(String, &str)> {
    let mut texts = vec![("about".to_owned(), contract.about.as_str())];
    for (metric, at) in contract.metrics.iter().zip(0..) {
        let of = |name: &str| format!("metric.{at}.{name}");
        texts.extend([
            (of("device"), metric.device.as_str()),
            (of("name"), &metric.name),
            (of("unit"), &metric.unit),
            (of("processing"), &metric.processing),
        ]);
        let tags = metric.tags.iter().flat_map(|(key, value)| [key, value]);
        texts.extend(tags.map(|text| (of("tags"), text.as_str())));
    }
    for (query, at) in contract.queries.iter().zip(0..) {
        let of = |name: &str| format!("query.{at}.{name}");
        texts.extend([
            (of("sql"), query.sql.as_str()),
            (of("unit"), &query.unit),
            (of("about"), &query.about),
        ]);
    }
    let party = contract.parties.iter().map(|party| &party.about);
    let step = contract.steps.steps.iter().map(|step| &step.about);
    let end = contract.steps.ends.iter().map(|end| &end.about);
    texts.extend(party.chain(step).chain(end).map(|about| ("about".to_owned(), about.as_str())));
    texts
}

fn metrics(contract: &Contract, found: &mut Findings) {
    for (metric, at) in contract.metrics.iter().zip(0..) {
        let of = |name: &str| format!("metric.{at}.{name}");
        if metric.name.is_empty() || metric.device.is_empty() {
            found.wrong(of("name"), "a metric has a device and a name");
        }
        if !(1..=4).contains(&metric.level) {
            found.wrong(of("level"), "a level is from 1 to 4");
        }
        if metric.every_ms == Some(0) {
            found.wrong(of("every"), "a time is above 0");
        }
        match metric.policy.parse::<Policies>() {
            Ok(policies) => {
                if let Err(error) = policies.check(value_kind(metric.kind)) {
                    found.wrong(of("policy"), format!("{error}; it is of {}", metric.kind.name()));
                }
            }
            Err(error) => {
                found.wrong(of("policy"), format!("{error}; write \"time:60000000000;round:0.5\""));
            }
        }
        let same = |other: &&crate::model::Metric| {
            (&other.device, &other.name, &other.tags)
                == (&metric.device, &metric.name, &metric.tags)
        };
        if contract.metrics.iter().take(at).any(|other| same(&other)) {
            found.wrong(format!("metric.{at}"), "the same metric stands there before");
        }
        let is_asked = metric.level == LEVEL_ASKED && !contract.terms.answers_only;
        if is_asked && !contract.grants.is_empty() {
            found.wrong(
                of("level"),
                "level 1 needs the owner's yes each time: leave out [[grant]], or sell answers only",
            );
        }
    }
}

const fn value_kind(kind: Kind) -> ValueKind {
    match kind {
        Kind::F64 => ValueKind::F64,
        Kind::I64 => ValueKind::I64,
        Kind::U64 => ValueKind::U64,
        Kind::Bool => ValueKind::Bool,
        Kind::Text => ValueKind::Text,
        Kind::Bytes => ValueKind::Bytes,
    }
}

fn money(contract: &Contract, found: &mut Findings) {
    let coin = &contract.price.coin;
    let is_id = coin.len() == 64
        && coin.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if coin != "native" && !is_id {
        found
            .wrong("price.coin", "a coin is native, or the 64 hexadecimal digits of an issued one");
    }
    if contract.price.decimals > DECIMALS_MAX {
        found.wrong("price.decimals", format!("a coin has at most {DECIMALS_MAX} digits"));
    }
    if coin == "native" && contract.price.decimals != 18 {
        found.wrong("price.decimals", "the native coin has 18 digits behind the point");
    }
    for (path, points) in [
        ("terms.revocation_fee_bp", contract.terms.revocation_fee_bp),
        ("terms.royalty_bp", contract.terms.royalty_bp),
    ] {
        if points > WHOLE_BP {
            found.wrong(path, "basis points are from 0 to 10000");
        }
    }
    if let Some(placement) = &contract.placement {
        if placement.data == 0 || u16::from(placement.data) + u16::from(placement.parity) > 128 {
            found.wrong("placement.data", "data is above 0, and data and parity are at most 128");
        }
        if placement.replicas == 0 || placement.replicas > 16 {
            found.wrong("placement.replicas", "there are from 1 to 16 replicas");
        }
        for (region, at) in placement.regions.iter().zip(0..) {
            // A peer's region on the ledger has so many bytes.
            if region.is_empty() || region.len() > 16 {
                found.wrong(format!("placement.regions.{at}"), "a region has 1 to 16 bytes");
            }
        }
    }
    for (end, at) in contract.steps.ends.iter().zip(0..) {
        let fixed = end.pay.iter().map(|share| match &share.share {
            ShareOf::Bp(points) => u64::from(*points),
            ShareOf::Rule(_) => 0,
        });
        let sum: u64 = fixed.sum();
        if sum > WHOLE_BP.into() {
            found.wrong(
                format!("end.{at}.pay"),
                format!("the shares are {sum} of 10000 basis points"),
            );
        }
    }
}

fn rules(contract: &Contract, found: &mut Findings) {
    let decimals = contract.price.decimals.min(DECIMALS_MAX);
    let (request, deal) = (of_request(contract), of_deal(contract));
    let condition = (Gives::Condition, decimals);
    for (rule, at) in contract.grants.iter().zip(0..) {
        let name = format!("grants/{}", rule.name);
        found.rule(format!("grant.{at}.when"), name, &rule.when, &request, condition);
    }
    for (step, at) in contract.steps.steps.iter().zip(0..) {
        for (on, number) in step.on.iter().zip(0..).filter(|(on, _)| !on.when.is_empty()) {
            let name = format!("steps/{}/{number}", step.name);
            let path = format!("step.{at}.on.{number}.when");
            found.rule(path, name, &on.when, &deal, condition);
        }
    }
    for (end, at) in contract.steps.ends.iter().zip(0..) {
        for (share, number) in end.pay.iter().zip(0..) {
            if let ShareOf::Rule(rule) = &share.share {
                let name = format!("ends/{}/{}", end.name, share.to);
                let path = format!("end.{at}.pay.{number}.rule");
                found.rule(path, name, rule, &deal, (Gives::Share, decimals));
            }
        }
    }
}

/// The parties that every contract has.
const PARTIES: [&str; 2] = [OWNER, BUYER];
