//! The files beside this one, in Prometheus' format of tests.

use chronolith_query::promql::promqltest::run;

#[test]
fn every_evaluation_of_our_own_files_passes() {
    for (name, text) in [
        ("operators.test", include_str!("operators.test")),
        ("functions.test", include_str!("functions.test")),
        ("histograms.test", include_str!("histograms.test")),
        ("info.test", include_str!("info.test")),
        ("fills.test", include_str!("fills.test")),
    ] {
        let report = run(text);
        let failed: Vec<String> = report
            .failed
            .iter()
            .chain(&report.unsupported)
            .map(|line| format!("{name}:{}: {}", line.line, line.problem))
            .collect();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        assert!(report.passed > 9, "{name} has only {}", report.passed);
    }
}

#[test]
fn a_wrong_expectation_and_a_native_histogram_are_told_apart() {
    let report = run("load 1m\n  a 1\n  h {{count:1}}\n\neval instant at 0 a\n  a 2\n\n\
                      eval instant at 0 h\n  expect no_warn\n\neval instant at 0 a\n  a 1\n");
    assert_eq!((report.passed, report.failed.len(), report.unsupported.len()), (1, 1, 1));
    assert_eq!((report.failed[0].line, report.unsupported[0].line), (5, 8));
}
