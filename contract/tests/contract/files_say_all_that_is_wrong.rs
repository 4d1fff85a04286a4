//! A file that is wrong is told everything at once: where, what, and what would be right.

use chronolith_contract::{Compiled, schema};
use proptest::prelude::*;
use serde_json::Value;

use crate::example::{CONTRACT, with};

fn problems(text: &str) -> Vec<String> {
    let problems = Compiled::read(text).unwrap_err();
    problems.0.iter().map(ToString::to_string).collect()
}

/// Where a text begins in the changed example: `line L, column C`.
fn place(text: &str, what: &str) -> String {
    let before = &text[..text.find(what).unwrap()];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|sign| *sign != '\n').count() + 1;
    format!("line {line}, column {column}")
}

#[test]
fn everything_is_told_at_once_in_the_order_of_the_file() {
    let text = with("name = \"example\"", "name = \"Example!\"")
        .replace("level = 4", "level = 5\ncolour = \"red\"")
        .replace("round:0.5", "round:0.50")
        .replace("then = \"settled\"", "then = \"setled\"")
        .replace("request.paid >= coin('2.5')", "request.paid >= 2.5")
        .replace("https://office", "http://office")
        .replace("replicas = 2", "replica = 2");
    let told = problems(&text);
    for (at, hint) in [
        ("\"Example!\"", "small letters"),
        ("colour", "there is no field \"colour\""),
        ("5\ncolour", "a whole number from 1 to 4"),
        ("\"time:1000000000;round:0.50\"", "policy 2 is none"),
        ("\"setled\"", "did you mean settled?"),
        ("2.5\"\n\n[[grant]]", "fractions are not exact"),
        ("\"http://office", "https"),
        ("replica = 2", "did you mean replicas?"),
    ] {
        let place = place(&text, at);
        let is_told =
            told.iter().any(|one| one.starts_with(&format!("{place}:")) && one.contains(hint));
        assert!(is_told, "{place} {hint} is not in\n{}", told.join("\n"));
    }
    let lines: Vec<usize> =
        Compiled::read(&text).unwrap_err().0.iter().map(|one| one.line).collect();
    assert!(lines.is_sorted());
}

#[test]
fn each_wrong_thing_has_its_sentence() {
    for (from, to, hint) in [
        ("contract = 1", "contract = 2", "a whole number from 1 to 1"),
        ("contract = 1\n", "", "it is missing"),
        ("SELECT count(*)", "SELEC count(*)", "no SQL"),
        ("SELECT count(*) FROM speed", "DELETE FROM speed", "only asks"),
        ("SELECT count(*) FROM speed", "SELECT 1; SELECT 2", "2 statements"),
        (
            "SELECT count(*) FROM speed",
            "SELECT 1 UNION (TABLE a.doors)",
            "it reads \"TABLE a.doors",
        ),
        ("SELECT count(*) FROM speed", "SELECT * FROM speed, LATERAL doors(1)", "LATERAL doors(1)"),
        ("fixed = \"2.5\"", "fixed = 2.5", "a number of coins as a text"),
        ("fixed = \"2.5\"", "fixed = \"2.50\"", "no zeros at the end"),
        ("fixed = \"2.5\"", "decimals = 6\nfixed = \"2.5\"", "the native coin has 18"),
        ("fixed = \"2.5\"", "coin = \"gold\"\nfixed = \"2.5\"", "64 hexadecimal digits"),
        ("kind = \"bool\"", "kind = \"boolean\"", "did you mean bool?"),
        ("policy = \"time", "policy = \"pseudonym;time", "text and bytes have pseudonyms"),
        ("every = \"1s\"", "every = \"1 second\"", "500ms"),
        ("within = \"60 blocks\"", "within = \"2h\"", "all in blocks or all in time"),
        ("due = \"buyer\"", "due = \"bayer\"", "did you mean buyer?"),
        ("begins = \"requested\"", "begins = \"settled\"", "there is no step"),
        (", bp = 100 }", ", bp = 100, rule = \"1\" }", "either bp or rule"),
        ("{ to = \"arbiter\", bp = 100 }", "{ to = \"owner\", bp = 1 }", "one share, or the rest"),
        (
            "{ to = \"arbiter\", bp = 100 }",
            "{ to = \"arbiter\", bp = 9999 }, { to = \"buyer\", bp = 2 }",
            "10001 of 10000",
        ),
        ("on = [\"granted\", \"settled\"]", "on = [\"grant\"]", "did you mean granted?"),
        (
            "lists = [\"known\", \"banned\"]",
            "lists = [\"known\", \"banned\", \"so-so\"]",
            "write _",
        ),
        ("name = \"records\"", "name = \"in\"", "is taken"),
        ("name = \"arbiter\"", "name = \"owner\"", "is taken"),
        ("data = 4", "data = 0", "a whole number from 1 to 64"),
        ("eu-west", "a region that is too long", "1 to 16 bytes"),
        ("level = 3", "level = 1", "yes each time"),
        ("then = \"refunded\"", "then = \"requested\"", "deadlines alone lead"),
        (
            "when = \"answers.records < 10\"\nto = \"refunded\"",
            "to = \"requested\"",
            "again and again",
        ),
        ("revocation_fee_bp = 500", "revocation_fee_bp = 10001", "from 0 to 10000"),
        (
            "name = \"refunded\"",
            "name = \"refunded\"\nrest = \"buyer\"\n[[end]]\nname = \"unused\"",
            "nothing leads to unused",
        ),
        (
            "device = \"van-7\"\nname = \"speed\"\ntags = { axle = \"1\", side = \"left\" }",
            "name = \"door\"",
            "stands there before",
        ),
    ] {
        let told = problems(&with(from, to)).join("\n");
        assert!(told.contains(hint), "{to}: {told}");
        assert!(told.starts_with("line "), "{told}");
    }
}

#[test]
fn toml_that_is_broken_is_told_with_its_place() {
    let told = problems("contract = 1\nname = \"a\nb = 2\n");
    assert!(told[0].starts_with("line 2, column "), "{told:?}");
    assert!(told[0].contains("no TOML"));
    assert!(problems(&"#".repeat(200_000))[0].contains("at most 131072"));
}

#[test]
fn statements_that_are_nested_deep_are_refused_without_a_stack() {
    let hostile = [
        format!("SELECT {}1{}", "(".repeat(1_900), ")".repeat(1_900)),
        format!("SELECT {}1", "- ".repeat(1_900)),
        format!("SELECT {}1", "NOT ".repeat(900)),
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(200), ")".repeat(200)),
        format!("SELECT 1{}", " + 1".repeat(900)),
        format!("SELECT {}", "CASE WHEN ".repeat(380)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(240)),
        format!("SELECT a{}", "[1]".repeat(1_200)),
        "(".repeat(4_000),
    ];
    let small = std::thread::Builder::new().stack_size(1 << 21).spawn(move || {
        for sql in hostile {
            // Chains are no nesting to the parser; all else is refused.
            let _ = Compiled::read(&with("SELECT count(*) FROM speed", &sql));
        }
    });
    small.unwrap().join().unwrap();
}

#[test]
fn places_in_rules_of_several_lines_are_those_of_the_file() {
    let text = with(
        "when = \"request.buyer in lists.known && request.paid >= coin('2.5')\"",
        "when = \"\"\"\nrequest.buyer in lists.known\n  && request.paid >= coin('2.55555555555555555555')\"\"\"",
    );
    let told = problems(&text).join("\n");
    let line = text[..text.find("&& request.paid").unwrap()].matches('\n').count() + 1;
    assert!(told.contains(&format!("line {line}, ")), "{told}");
    assert!(told.contains("18 digits"), "{told}");
}

/// The published schema, as it stands in the repository.
fn published() -> Value {
    serde_json::from_str(include_str!("../../schema.json")).unwrap()
}

#[test]
fn the_published_schema_is_the_one_of_the_reader() {
    if std::env::var_os("CHRONOLITH_WRITE_DOCUMENTS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");
        let text = serde_json::to_string_pretty(&schema()).unwrap();
        std::fs::write(path, text + "\n").unwrap();
        return;
    }
    assert_eq!(published(), schema());
}

/// Every table of the schema: the way to it, and what it says.
fn tables(schema: &Value, path: Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    let at = if schema["type"] == "array" { &schema["items"] } else { schema };
    let Some(properties) = at["properties"].as_object() else { return };
    found.push((path.clone(), at.clone()));
    for (name, below) in properties {
        let path = path.iter().cloned().chain([name.clone()]).collect();
        tables(below, path, found);
    }
}

/// A table of the example; of lists the first element that has it.
fn at<'a>(value: &'a mut toml::Value, path: &[String]) -> Option<&'a mut toml::Table> {
    match (value, path) {
        (toml::Value::Array(values), path) => values.iter_mut().find_map(|value| at(value, path)),
        (toml::Value::Table(table), []) => Some(table),
        (toml::Value::Table(table), [name, rest @ ..]) => at(table.get_mut(name)?, rest),
        _ => None,
    }
}

#[test]
fn the_reader_does_what_the_published_schema_says() {
    let mut found = Vec::new();
    tables(&published(), Vec::new(), &mut found);
    assert!(found.len() > 12);
    let whole: toml::Value = toml::from_str(&with(
        "to = \"refunded\"\n\n[[step.on]]",
        "to = \"refunded\"\ndraw = { to = \"owner\", amount = \"1\", spent = \"settled\" }\n\n[[step.on]]",
    ))
    .unwrap();
    let changed = |path: &[String], change: &dyn Fn(&mut toml::Table)| {
        let mut value = whole.clone();
        change(at(&mut value, path).unwrap_or_else(|| panic!("{path:?} is not in the example")));
        Compiled::read(&toml::to_string(&value).unwrap()).map_err(|problems| problems.to_string())
    };
    assert!(changed(&[], &|_| ()).is_ok());
    for (path, table) in &found {
        let unknown = changed(path, &|table| {
            table.insert("unheard_of".into(), toml::Value::Integer(1));
        });
        assert!(unknown.unwrap_err().contains("there is no field \"unheard_of\""), "{path:?}");
        for name in table["required"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let missing = changed(path, &|table| drop(table.remove(name)));
            assert!(missing.unwrap_err().contains("it is missing"), "{path:?} {name}");
        }
        for (name, field) in table["properties"].as_object().unwrap() {
            let wrong = |value: toml::Value| {
                let told = changed(path, &|table| drop(table.insert(name.clone(), value.clone())));
                assert!(told.is_err(), "{path:?} {name} = {value}");
            };
            wrong(toml::Value::Float(0.5));
            match field["type"].as_str() {
                Some("integer") => {
                    wrong(toml::Value::Integer(field["minimum"].as_i64().unwrap() - 1));
                    wrong(toml::Value::Integer(field["maximum"].as_i64().unwrap() + 1));
                    wrong("1".into());
                }
                Some("string") if field.get("pattern").is_some() => wrong("~".into()),
                Some("string") => {
                    let most = field["maxLength"].as_u64().unwrap() as usize;
                    wrong("x".repeat(most + 1).into());
                }
                Some(_) => wrong("x".into()),
                None => wrong("no such word".into()),
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,300}") {
        let _ = Compiled::read(&text);
    }

    #[test]
    fn no_damage_panics(at: prop::sample::Index, length in 0..40_usize, with in "[ -~\n]{0,6}") {
        let at = at.index(CONTRACT.len());
        let end = (at + length).min(CONTRACT.len());
        let text = format!("{}{with}{}", &CONTRACT[..at], &CONTRACT[end..]);
        match Compiled::read(&text) {
            Ok(read) => prop_assert_eq!(Compiled::from_bytes(&read.to_bytes()).unwrap(), read),
            Err(problems) => prop_assert!(!problems.0.is_empty() && problems.0.iter().all(|one| one.line > 0)),
        }
    }
}

#[test]
fn the_page_shows_what_is_read_and_told() {
    let page = include_str!("../../../docs/contracts.md");
    let block = |begin: &str| {
        let rest = page.split_once(begin).unwrap().1;
        rest.split_once("\n```").unwrap().0.to_owned()
    };
    let example = block("```toml\n");
    Compiled::read(&example).unwrap();
    let wrong =
        example.replace("kind = \"f64\"", "kind = \"boolean\"").replace("\"2.5\"", "\"2.50\"");
    assert_eq!(
        problems(&wrong).join("\n"),
        block("at\nonce, with line, column and what would be right:\n\n```\n")
    );
}
