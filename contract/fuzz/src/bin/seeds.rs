//! Writes a seed corpus of real encodings: `seeds FOLDER` makes `FOLDER/TARGET/NUMBER`.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use chronolith_contract::price::{History, Offered, Sold};
use chronolith_contract::rule::Value;
use chronolith_contract::template::{BUILTIN, Template};
use chronolith_contract::webhook::Secret;
use chronolith_contract::{Amount, ShareOf};
use chronolith_contract_fuzz::{example, examples};
// Everything here is built with coverage counters; this brings what they are registered with.
use libfuzzer_sys as _;

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: seeds FOLDER"))?;
    let folder = PathBuf::from(folder);
    let mut numbers = HashMap::new();
    for (target, bytes) in seeds() {
        let number = numbers.entry(target).and_modify(|number| *number += 1).or_insert(0);
        std::fs::create_dir_all(folder.join(target))?;
        std::fs::write(folder.join(target).join(format!("{number:03}")), bytes)?;
    }
    Ok(())
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, text) in BUILTIN {
        let template = Template::read(text).expect("a template");
        let filled = template.fill(&examples(&template)).expect("its examples");
        // The reader of contracts knows no parameters.
        let plain = filled.split("\n\n").filter(|part| !part.starts_with("[[parameter]]"));
        let contract = example(name);
        seeds.push(("template", text.as_bytes().to_vec()));
        seeds.push(("contract_file", plain.collect::<Vec<_>>().join("\n\n").into_bytes()));
        seeds.push(("canonical_contract", contract.to_bytes()));
        let contract = contract.contract();
        let on = contract.steps.steps.iter().flat_map(|step| &step.on).map(|on| on.when.clone());
        let shares = contract.steps.ends.iter().flat_map(|end| &end.pay).filter_map(|share| {
            match &share.share {
                ShareOf::Rule(rule) => Some(rule.clone()),
                ShareOf::Bp(_) => None,
            }
        });
        let grants = contract.grants.iter().map(|grant| grant.when.clone());
        let rules = on.chain(shares).chain(grants).filter(|rule| !rule.is_empty());
        seeds.extend(rules.map(|rule| ("rule", rule.into_bytes())));
    }
    let request = Value::record([("request", Value::record([("paid", Amount(5).into())]))]);
    let grant = example("usage-insurance").decide(&request).expect("a decision");
    seeds.extend(grant.decisions.into_iter().map(|(_, inputs)| ("evaluation", inputs)));
    for count in [0, 3, 40] {
        seeds.push(("price_history", history(count).to_bytes()));
    }
    let secret = Secret::from_bytes(&[7; 32]).expect("a secret");
    let signature = secret.sign("msg_1", 1_700_000_000, b"{}");
    seeds.push(("webhook", format!("msg_1\n1700000000\n{signature}\n{{}}").into_bytes()));
    seeds
}

fn history(count: u64) -> History {
    let sold = |number: u64| Sold {
        at_ms: 1_000 + number,
        owner: format!("o{}", number % 5),
        buyer: format!("b{}", number % 7),
        paid: Amount(u128::from(1_000 + number * 37 % 100)),
        hours: 1 + number % 3,
        age_hours: number % 11,
        volume: 3_600,
    };
    let offered = Offered { from_ms: 5, until_ms: Some(9_000), owner: "o1".to_owned() };
    let circulation = vec![(0, Amount(1_000_000))];
    History::new("m", (0..count).map(sold).collect(), vec![offered], circulation)
        .expect("a history")
}
