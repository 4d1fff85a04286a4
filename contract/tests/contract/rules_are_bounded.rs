//! No rule can take long: what could take too many steps is refused before it is ever evaluated.

use chronolith_contract::Amount;
use chronolith_contract::rule::{Gives, LIST_MAX, Outcome, Rule, STEPS_MAX, Value, of_request};
use cpu_time::ProcessTime;

use crate::example::contract;

fn compile(text: &str) -> Result<Rule, String> {
    let names = of_request(contract().contract());
    Rule::compile(text, &names, Gives::Condition, 18).map_err(|error| error.to_string())
}

/// The largest inputs that are taken.
fn full() -> Value {
    let long = |number: usize| format!("{number:064}");
    let texts = || Value::List((0..LIST_MAX).map(|n| Value::Text(long(n)[..63].into())).collect());
    let certificate = |n: usize| {
        Value::record([
            ("issuer", "i".into()),
            ("role", format!("{n:<40}").as_str().into()),
            ("subject", "s".into()),
            ("until_s", 1.into()),
        ])
    };
    let request = Value::record([
        ("buyer", "b".repeat(512).as_str().into()),
        ("certificates", Value::List((0..LIST_MAX).map(certificate).collect())),
        ("from_s", 0.into()),
        ("until_s", 1.into()),
        ("hours", 1.into()),
        ("level", 3.into()),
        ("metrics", texts()),
        ("paid", Amount(1).into()),
        ("purpose", "p".repeat(512).as_str().into()),
    ]);
    Value::record([
        ("request", request),
        ("lists", Value::record([("known", texts()), ("banned", texts())])),
        ("budget", Value::record([("limit", 1.into()), ("used", 0.into())])),
        ("now", Value::record([("height", 1.into()), ("time_s", 1.into())])),
    ])
}

#[test]
fn loops_in_loops_in_loops_are_refused() {
    let three = "request.metrics.all(a, lists.known.all(b, lists.banned.all(c, a != b)))";
    assert!(compile(three).unwrap_err().contains("steps"), "{:?}", compile(three));
    // Each of a chain doubles what it was given.
    let doubled = ".map(x, x + x)".repeat(24);
    let chain = format!("request.metrics{doubled}.size() > 0");
    assert!(compile(&chain).unwrap_err().contains("steps"));
    let lists = (0..20).fold("request.metrics".to_owned(), |list, _| format!("({list} + {list})"));
    assert!(compile(&format!("{lists}.size() > 0")).is_err());
}

#[test]
fn texts_that_are_nested_deep_or_long_are_refused_without_a_stack() {
    let hostile = [
        format!("{}true{}", "(".repeat(900), ")".repeat(900)),
        format!("{}1{} == 1", "[".repeat(900), "]".repeat(900)),
        "[".repeat(1_900),
        "{".repeat(1_900),
        format!("{}true", "true ? true : ".repeat(140)),
        format!("{} == 1", vec!["1"; 900].join(" + ")),
        vec!["1"; 900].join("<"),
        format!("request{}", ".buyer".repeat(300)),
        format!("{}true{}", "request.metrics.all(x, ".repeat(80), ")".repeat(80)),
        format!("{}1{}", "f(".repeat(600), ")".repeat(600)),
        format!("request.buyer{} == ''", "[0]".repeat(600)),
        "a".repeat(2_001),
        "?:".repeat(900),
        "\u{0}".repeat(50),
        "\u{1F600}".repeat(400),
        "'".repeat(1_999),
        "\\".repeat(1_999),
    ];
    // A thread has less stack than a program.
    let small = std::thread::Builder::new().stack_size(1 << 21);
    let checked = small.spawn(move || {
        for text in hostile {
            let error = compile(&text).map(|_| text.clone()).unwrap_err();
            assert!(error.len() < 1_000, "{error}");
        }
    });
    checked.unwrap().join().unwrap();
    // Signs that cancel each other are no nesting.
    assert!(compile(&format!("{}true", "!".repeat(1_996))).is_ok());
    assert!(compile(&vec!["true"; 300].join("&&")).is_ok());
}

#[test]
fn what_is_allowed_ends_with_the_largest_inputs() {
    let inputs = full();
    let rules = [
        "request.metrics.all(m, m in lists.known)".to_owned(),
        "request.metrics.all(a, lists.known.exists(b, a != b))".to_owned(),
        "request.certificates.map(c, c.role + c.role).all(t, t.contains('9'))".to_owned(),
        "request.metrics.filter(a, lists.known.exists_one(b, a == b)).size() >= 0".to_owned(),
    ];
    for text in rules {
        let rule = compile(&text).unwrap();
        assert!(rule.steps() <= STEPS_MAX);
        let began = ProcessTime::now();
        let outcome = rule.evaluate(&inputs);
        let shown: String = text.chars().take(90).collect();
        println!("{:>9} steps at most, {:?}: {shown}", rule.steps(), began.elapsed());
        assert!(matches!(outcome, Outcome::Yes | Outcome::No), "{outcome:?}");
    }
}

#[test]
fn inputs_that_are_larger_are_not_evaluated() {
    let rule = compile("request.buyer != ''").unwrap();
    let Value::Record(mut inputs) = full() else { panic!("no record") };
    assert_eq!(rule.evaluate(&Value::Record(inputs.clone())), Outcome::Yes);
    let many = Value::List(vec!["x".into(); LIST_MAX + 1]);
    inputs.insert("lists".into(), Value::record([("known", many), ("banned", Value::texts([]))]));
    assert!(matches!(rule.evaluate(&Value::Record(inputs)), Outcome::Failed(_)));
}
