//! `chronolith promqltest` says what of a file passes, fails and is not supported.

use std::fs;

use crate::run::{chronolith, expect};

const FILE: &str = "\
# A comment.
load 1m
  up{job=\"a\"} 1 2 3
  h {{count:1 sum:2}}

eval instant at 1m up
  up{job=\"a\"} 2

eval instant at 1m up
  up{job=\"a\"} 3

eval range from 0 to 2m step 1m sum(up)
  expect no_warn
  {} 1 2 3

eval instant at 1m h
  expect no_info

eval instant at 1m up +
  expect fail

clear
";

#[test]
fn each_file_has_its_counts_and_failures_their_lines() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("all.test"), FILE).unwrap();
    fs::write(directory.join("good.test"), "eval instant at 0 1 + 1\n  2\n").unwrap();
    let good = expect(directory, 0, &["promqltest", "good.test"]);
    assert_eq!(good, "good.test: 1 passed, 0 failed, 0 unsupported\n");
    let both = expect(directory, 1, &["promqltest", "--unsupported", "all.test", "good.test"]);
    assert!(both.contains("all.test: 3 passed, 1 failed, 1 unsupported\n"), "{both}");
    assert!(both.contains("  line 9: "), "{both}");
    assert!(both.contains("  line 16: unsupported: the native histogram h"), "{both}");
    assert!(both.ends_with("all files: 4 passed, 1 failed, 1 unsupported\n"), "{both}");
    let report: serde_json::Value =
        serde_json::from_str(&expect(directory, 1, &["promqltest", "--json", "all.test"])).unwrap();
    assert_eq!(report[0]["passed"], 3);
    assert_eq!(report[0]["failed"][0]["line"], 9);
}

#[test]
fn what_is_no_test_is_a_failure_and_not_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let missing = chronolith(directory, &["promqltest", "none.test"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot read none.test"));
    for text in [
        "load\n",
        "load 1m\n  a 1+1x99999999999\n",
        "load 1m\n  a{ 1\n",
        "load 99999999999999999999y\n  a 1\n",
        "eval instant\n",
        "eval range from 0 to 1 step\n",
        "eval instant at soon 1\n",
        "eval_nothing instant at 0 1\n",
        "nonsense\n",
        "eval instant at 0 1\n  expect miracles\n",
        "eval instant at 0 1\n  expect fail regex: (\n",
        "eval range from 0 to 99999999 step 1ms 1\n",
        "\u{feff}clear\n",
        "eval instant at 0 {{{{{{\n",
    ] {
        fs::write(directory.join("bad.test"), text).unwrap();
        let output = chronolith(directory, &["promqltest", "bad.test"]);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text:?}: {shown}");
        assert!(shown.contains("0 passed, 1 failed") && shown.contains("line "), "{shown}");
    }
}
