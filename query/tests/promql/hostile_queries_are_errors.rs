//! Texts that are made to break a parser end in an error, at once and with a place in them.

use chronolith_query::promql::{Labels, Limits, MemorySource, PromqlError, Query, parse_selector};
use proptest::prelude::*;

/// Parses and, where that succeeds, evaluates; whatever comes of it, it comes back.
fn survive(text: &str) -> Result<(), PromqlError> {
    let mut source = MemorySource::new();
    for second in 0..20 {
        source.push(&Labels::new([("__name__", "a"), ("b", "c")]), second, second as f64);
    }
    let limits = Limits { samples: 100_000, ..Limits::default() };
    let query = Query::parse(text)?;
    drop(query.range(&source, 0, 10, 1, &limits));
    query.instant(&source, 10, &limits).map(drop)
}

fn is_placed(text: &str) {
    match survive(text) {
        Err(PromqlError::Parse { line, column, offset, problem }) => {
            assert!(line >= 1 && column >= 1 && offset <= text.len() && !problem.is_empty());
        }
        other => panic!("{}…: {other:?}", text.chars().take(40).collect::<String>()),
    }
}

#[test]
fn nesting_of_every_kind_is_bounded() {
    const DEPTH: usize = 100_000;
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("-", "a", ""),
        ("abs(", "a", ")"),
        ("sum(", "a", ")"),
        ("1+", "1", ""),
        ("2^", "2", ""),
        ("a and ", "a", ""),
        ("sum by (b) (", "a", ")"),
        ("a offset -(", "1", ")"),
        ("[", "", ""),
        ("{", "", "}"),
        ("a[", "1m", ":]"),
        ("a == bool ", "a", ""),
        ("label_replace(", "a", ",\"\",\"\",\"\",\"\")"),
    ] {
        is_placed(&format!("{}{middle}{}", open.repeat(DEPTH), close.repeat(DEPTH)));
    }
    is_placed(&format!("sum_over_time(a{})", "[1m:1m]".repeat(DEPTH)));
    is_placed(&format!("a[{}1m{}]", "(".repeat(DEPTH), ")".repeat(DEPTH)));
    is_placed(&format!("a[{}1m]", "-".repeat(DEPTH)));
    is_placed(&format!("a[1m{}]", "*1".repeat(DEPTH)));
}

#[test]
fn numbers_and_durations_beyond_all_bounds_are_errors() {
    let nines = "9".repeat(400);
    for text in [
        &format!("a[{nines}s]"),
        "a[99999999999999999y]",
        "a[1y:99999999999999999999y]",
        "a offset 99999999999999999999y",
        "a[0s]",
        "a[]",
        "a[5m",
        "a @ 1e300",
        "a @ NaN",
        "1h1h",
        "1m1h",
        "0x",
        "1__0",
        "1e",
        "a{b=~\"(((((a{1000}){1000}){1000}){1000}){1000})\"}",
        "a{b=~\"[\"}",
        "\"\\ud800\"",
        "\"\\xz\"",
        "\"",
        "'a\nb'",
        "a{b",
        "a{=}",
        "a{b=1}",
        "a[1m][1m]",
        "a[1m] offset 1m offset 1m",
        "a @ 1 @ 2",
        "sum(a, a)",
        "topk(a)",
        "sum by (a",
        "a + on() group_left() group_left() a",
        "time(1)",
        "$",
        "a;b",
        "\0",
        "\u{202e}a",
        "#",
    ] {
        is_placed(text);
    }
    for text in [
        "a[292y]",
        "a offset 292y",
        "a offset -292y",
        "a @ 9223372036",
        "sum_over_time(a[290y:1ms])",
        "count_over_time(a[1ms:290y])",
        "sum_over_time(sum_over_time(sum_over_time(a[100y:1h])[100y:1h])[100y:1h])",
        "a[1e300]",
        "a[1s/0]",
        "a[2^9999]",
        "a offset (0/0)",
        "topk(1e300, a)",
        "topk(-1e300, a)",
        "quantile(NaN, a)",
        "round(a, 0)",
        "clamp(a, 1, 0)",
        "month(vector(1e300))",
        "label_replace(a, \"c\", \"$9999999999\", \"b\", \"(.*)\")",
        "label_join(a, \"c\", \"\", \"b\")",
        "count_values(\"c\", a)",
        "histogram_quantile(NaN, a)",
        "double_exponential_smoothing(a[1m], 0.5, 0.5)",
        &nines,
        &format!("a{{b=\"{}\"}}", "x".repeat(100_000)),
    ] {
        drop(survive(text));
    }
    assert!(parse_selector("a[1m]").is_err() && parse_selector("a offset 1m").is_err());
}

/// Words of the language in any order: far more of it parses than of random letters.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "{b=\"c\"}",
        "{b=~\".+\"}",
        "(",
        ")",
        "[",
        "]",
        "[1m]",
        "[5m:1m]",
        ":",
        ",",
        "+",
        "-",
        "*",
        "/",
        "^",
        "%",
        "==",
        "bool",
        "and",
        "or",
        "unless",
        "on",
        "ignoring",
        "(b)",
        "group_left",
        "offset",
        "1m",
        "-1m",
        "@",
        "0",
        "1",
        "1e3",
        "NaN",
        "Inf",
        "start()",
        "end()",
        "sum",
        "by",
        "without",
        "topk(1,",
        "rate(",
        "max_over_time(",
        "abs(",
        "quantile_over_time(0.5,",
        "absent(",
        "time()",
        "vector(",
        "scalar(",
        "step()",
        "\"s\"",
        "count_values(\"v\",",
        "label_join(",
        "histogram_quantile(0.9,",
        "info(",
        "fill(0)",
    ]);
    prop::collection::vec(word, 0..14).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn words_in_any_order_come_back(text in words()) {
        drop(survive(&text));
    }

    #[test]
    fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        drop(survive(&String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn what_is_cut_off_anywhere_comes_back(cut in 0_usize..200, other in ".{0,3}") {
        let text = "sum by (b) (rate(a{b=~\"c|d\", e!='f'}[5m] offset 1m)) / on (b) group_left () \
                    max_over_time(a[1h:1m] @ end()) > bool 0.5e-3 # \u{1f697}";
        let at = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        drop(survive(&format!("{}{other}", &text[..at])));
        drop(survive(&format!("{}{other}{}", &text[..at], &text[at..])));
    }
}
