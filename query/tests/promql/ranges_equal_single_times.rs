//! Windows that slide over a range give what each of them gives alone.

use chronolith_query::promql::{Data, Labels, Limits, MemorySource, Query};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

const QUERIES: [&str; 18] = [
    "rate(x[1m])",
    "increase(x[45s])",
    "delta(x[1m] offset 20s)",
    "irate(x[1m])",
    "idelta(x[1m])",
    "deriv(x[2m])",
    "predict_linear(x[2m], 60)",
    "resets(x[1m])",
    "changes(x[1m])",
    "sum_over_time(x[1m])",
    "avg_over_time(x[1m])",
    "stddev_over_time(x[1m])",
    "max_over_time(x[1m])",
    "ts_of_min_over_time(x[1m])",
    "quantile_over_time(0.3, x[1m])",
    "mad_over_time(x[1m])",
    "sum_over_time(rate(x[1m])[2m:15s])",
    "x",
];

fn close(left: f64, right: f64) -> bool {
    left == right
        || (left.is_nan() && right.is_nan())
        || (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_range_equals_its_times(
        samples in prop::collection::vec((1_i64..40, -100_i32..100), 1..80),
        step in 1_i64..50,
    ) {
        let mut source = MemorySource::new();
        let labels = Labels::new([("__name__", "x"), ("device", "car-17")]);
        let mut time = 0;
        for (gap, value) in samples {
            time += gap * SECOND;
            source.push(&labels, time, f64::from(value) / 4.0);
        }
        let limits = Limits::default();
        for text in QUERIES {
            let query = Query::parse(text).unwrap();
            let answer = query.range(&source, 0, 1_500 * SECOND, step * SECOND, &limits).unwrap();
            let Data::Matrix(series) = answer.data else { panic!("{text}") };
            let mut expected = Vec::new();
            for time_ns in (0..=1_500 * SECOND).step_by((step * SECOND) as usize) {
                let answer = query.instant(&source, time_ns, &limits).unwrap();
                let Data::Vector(samples) = answer.data else { panic!("{text}") };
                expected.extend(samples.into_iter().map(|sample| (time_ns, sample.value)));
            }
            let found: Vec<(i64, f64)> = series
                .into_iter()
                .flat_map(|series| series.times.into_iter().zip(series.values))
                .collect();
            prop_assert_eq!(found.len(), expected.len(), "{}", text);
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!(
                    found.0 == expected.0 && close(found.1, expected.1),
                    "{text}: {found:?} {expected:?}"
                );
            }
        }
    }
}
