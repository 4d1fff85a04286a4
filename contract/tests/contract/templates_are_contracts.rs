//! Every template that comes with the program is a contract; parameters have kinds and bounds, and bring
//! nothing of their own with them.

use std::collections::BTreeMap;

use chronolith_contract::template::{BUILTIN, ParameterKind, Template, TemplateError, builtin};
use proptest::prelude::*;

fn given(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    parameters.iter().map(owned).collect()
}

fn sale() -> Template {
    builtin("sale").unwrap().unwrap()
}

#[test]
fn every_template_is_read() {
    for (name, text) in BUILTIN {
        let template =
            Template::read(text).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        assert!(!template.parameters().is_empty(), "{name}");
        assert!(builtin(name).unwrap().is_ok());
    }
    assert!(builtin("nothing").is_none());
}

#[test]
fn parameters_are_put_in() {
    let contract = sale().instantiate(&given(&[("metric", "engine.rpm"), ("check_blocks", "90")]));
    let contract = contract.unwrap();
    assert_eq!(contract.contract().metrics[0].name, "engine.rpm");
    assert_eq!(contract.contract().terms.check_blocks, 90);
    let checking = contract.contract().steps.step("checking").unwrap();
    assert_eq!(checking.deadline.within, 90);
    let other = sale().instantiate(&given(&[("metric", "engine.rpm"), ("check_blocks", "91")]));
    assert_ne!(contract.cid(), other.unwrap().cid());
}

#[test]
fn all_that_is_wrong_with_parameters_is_told_at_once() {
    let wrong = given(&[("check_blocks", "0"), ("per_hour", "a lot"), ("metrik", "speed")]);
    let TemplateError::Parameters(told) = sale().instantiate(&wrong).unwrap_err() else { panic!() };
    let told = told.join("\n");
    for hint in [
        "metric is missing: the metric that is sold. For example speed_mph",
        "check_blocks is at least 1",
        "per_hour is a number of coins: 2.5",
        "there is no parameter \"metrik\"; did you mean metric?",
    ] {
        assert!(told.contains(hint), "{hint} is not in\n{told}");
    }
}

#[test]
fn a_template_that_is_wrong_says_where() {
    let read = |from: &str, to: &str| {
        let text = BUILTIN.iter().find(|(name, _)| *name == "sale").unwrap().1;
        assert!(text.contains(from), "{from}");
        Template::read(&text.replace(from, to)).unwrap_err().to_string()
    };
    for (from, to, hint) in [
        ("fixed = \"${fixed}\"", "fixed = \"${fixt}\"", "did you mean fixed?"),
        ("fixed = \"${fixed}\"", "fixed = \"1\"", "the parameter fixed is used nowhere"),
        ("kind = \"amount\"", "kind = \"money\"", "is one of integer, boolean, amount"),
        ("default = 120\nmin = 1", "default = 120\nmin = 121", "check_blocks is at least 121"),
        ("default = 120\nmin = 1", "default = 120\nleast = 1", "there is no field \"least\""),
        ("example = \"speed_mph\"", "", "needs a default, or an example"),
        ("then = \"settled\"", "then = \"setled\"", "did you mean settled?"),
        ("name = \"unit\"", "name = \"metric\"", "the name metric is taken"),
    ] {
        let told = read(from, to);
        assert!(told.contains(hint), "{to}: {told}");
        assert!(told.starts_with("line "), "{told}");
    }
}

#[test]
fn parameters_bring_nothing_with_them() {
    for hostile in [
        "x\"\nlevel = 4\n#",
        "x' || true || '",
        "x\"; DROP TABLE speed; --",
        "${per_hour}",
        "x\\u0022",
        "",
        "é",
        "a\tb",
    ] {
        let error = sale().instantiate(&given(&[("metric", hostile)])).unwrap_err();
        assert!(matches!(error, TemplateError::Parameters(_)), "{hostile:?}: {error}");
    }
}

proptest! {
    /// Whatever passes the check of a word stands in the contract as it is, in one place, and nothing else
    /// changes.
    #[test]
    fn a_word_stays_a_word(word in "\\PC{1,20}|[a-zA-Z0-9 .,_:/*-]{1,40}") {
        if let Ok(contract) = sale().instantiate(&given(&[("metric", &word)])) {
            let mut plain = sale().instantiate(&given(&[("metric", "plain")])).unwrap().contract().clone();
            prop_assert_eq!(&contract.contract().metrics[0].name, &word);
            plain.metrics[0].name = word.clone();
            plain.about = format!("Records of {word}, sold once for a time range");
            prop_assert_eq!(contract.contract(), &plain);
        }
    }

    #[test]
    fn parameters_of_every_template_keep_their_bounds(which: prop::sample::Index, of: prop::sample::Index, number: i64) {
        let (name, _) = which.get(&BUILTIN);
        let template = builtin(name).unwrap().unwrap();
        let mut values: BTreeMap<_, _> =
            template.parameters().iter().map(|one| (one.name.clone(), one.example.clone())).collect();
        let parameter = of.get(template.parameters());
        values.insert(parameter.name.clone(), number.to_string());
        let is_within = |bound: &Option<String>, is_right: fn(i64, i64) -> bool| {
            bound.as_ref().is_none_or(|bound| is_right(number, bound.parse().unwrap()))
        };
        match template.instantiate(&values) {
            Ok(_) if parameter.kind == ParameterKind::Integer => {
                prop_assert!(is_within(&parameter.min, |number, least| number >= least));
                prop_assert!(is_within(&parameter.max, |number, most| number <= most));
            }
            Ok(_) => {}
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn the_file_that_a_template_writes_is_its_contract_without_parameters() {
    for (name, _) in chronolith_contract::template::BUILTIN {
        let template = chronolith_contract::template::builtin(name).unwrap().unwrap();
        let given = template
            .parameters()
            .iter()
            .map(|parameter| (parameter.name.clone(), parameter.example.clone()))
            .collect();
        let text = template.fill(&given).unwrap();
        assert!(!text.contains("[[parameter]]") && !text.contains("${"), "{name}");
        let read = chronolith_contract::Compiled::read(&text).unwrap();
        assert_eq!(read.cid(), template.instantiate(&given).unwrap().cid(), "{name}");
    }
}
