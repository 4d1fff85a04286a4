//! What policies make of values, and the one text that says it.

use chronolith_keys::EncodingProblem;
use chronolith_keys::Secret;
use chronolith_keys::policy::{
    Budget, BudgetError, Decimal, Policies, Policy, PolicyError, Scale, ValueKind, discrete_laplace,
};
use proptest::prelude::*;

use crate::random::Random;

fn policies(text: &str) -> Policies {
    text.parse().unwrap()
}

fn f64(text: &str, value: f64) -> f64 {
    policies(text).f64(value, &mut Random(1))
}

fn i64(text: &str, value: i64) -> i64 {
    policies(text).i64(value, &mut Random(1))
}

fn u64(text: &str, value: u64) -> u64 {
    policies(text).u64(value, &mut Random(1))
}

#[test]
fn numbers_become_multiples_of_the_step() {
    for (value, expected) in
        [(61.3, 61.5), (61.2, 61.0), (-61.3, -61.5), (0.0, 0.0), (1e300, 1e300)]
    {
        assert_eq!(f64("round:0.5", value), expected);
    }
    // As people write it, not 0.30000000000000004.
    assert_eq!(f64("round:0.1", 0.31), 0.3);
    assert!(f64("round:0.5", -0.1).is_sign_positive(), "a sign is a digit, too");
    assert!(f64("round:0.5", f64::NAN).is_nan());
    assert_eq!(f64("round:0.5", f64::INFINITY), f64::INFINITY);
    for (value, expected) in [(14, 10), (15, 20), (-15, -10), (-16, -20), (0, 0)] {
        assert_eq!(i64("round:10", value), expected);
    }
    assert_eq!(i64("round:10", i64::MAX), i64::MAX - 7);
    assert_eq!(i64("round:10", i64::MIN), i64::MIN + 8);
    assert_eq!(u64("round:10", u64::MAX), u64::MAX - 5);
    assert_eq!(u64("round:10", 4), 0);
}

#[test]
fn a_position_becomes_the_middle_of_its_cell() {
    assert_eq!(f64("grid:0.01", 48.137_154), 48.135);
    assert_eq!(f64("grid:0.01", -11.576_124), -11.575);
    assert_eq!(f64("grid:10", -0.5), -5.0);
    assert_eq!(f64("grid:10", 0.0), 5.0);
    assert!(f64("grid:10", f64::NAN).is_nan());
}

#[test]
fn a_number_becomes_the_lower_bound_of_its_band() {
    for (value, expected) in [(-3, 0), (0, 0), (17, 0), (18, 18), (64, 18), (65, 65), (99, 65)] {
        assert_eq!(i64("band:0,18,65", value), expected);
        assert_eq!(f64("band:0,18,65", value as f64 + 0.5), expected as f64);
        assert_eq!(u64("band:0,18,65", value.max(0) as u64), expected as u64);
    }
    assert_eq!(f64("band:-1.5,2.25", 2.25), 2.25);
    assert_eq!(f64("band:-1.5,2.25", f64::NEG_INFINITY), -1.5);
    assert!(f64("band:-1.5,2.25", f64::NAN).is_nan());
}

#[test]
fn texts_and_bytes_become_names_that_only_the_key_links() {
    let [one, other] = [5, 6].map(|key| Secret::new([key; 32]));
    let pseudonym = policies("pseudonym");
    // By the second implementation that derivations_do_not_drift.rs tells of.
    assert_eq!(pseudonym.text("WVWZZZ1JZXW000001", &one), "4894041abefcfb3090478d114a7ff45b");
    assert_ne!(pseudonym.text("WVWZZZ1JZXW000001", &other), "4894041abefcfb3090478d114a7ff45b");
    assert_ne!(pseudonym.text("WVWZZZ1JZXW000002", &one), "4894041abefcfb3090478d114a7ff45b");
    let bytes = pseudonym.bytes(b"WVWZZZ1JZXW000001", &one);
    assert_eq!(
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "4894041abefcfb3090478d114a7ff45b"
    );
    assert_eq!(policies("time:5").text("plain", &one), "plain");
}

#[test]
fn times_lose_what_is_below_the_unit() {
    let minute = policies("time:60000000000");
    assert_eq!(minute.time(60_000_000_001), 60_000_000_000);
    assert_eq!(minute.time(-1), -60_000_000_000);
    assert_eq!(minute.time(i64::MIN), i64::MIN);
    assert_eq!(policies("round:5").time(7), 7);
}

#[test]
fn several_policies_are_applied_in_their_order() {
    assert_eq!(i64("round:10;band:0,18", 16), 18);
    assert_eq!(i64("band:0,18;round:10", 18), 20);
    assert!(policies("drop").is_dropped() && !policies("round:10").is_dropped());
}

proptest! {
    #[test]
    fn what_was_rounded_stays_and_is_near(value: i64, step in 1_i64..1 << 50, at in -1e9..1e9, fine in 0_u8..6) {
        let by = Policies::new(vec![Policy::Round { step: Decimal::new(step, 0).unwrap() }]).unwrap();
        let rounded = by.i64(value, &mut Random(1));
        prop_assert_eq!(rounded % step, 0);
        let is_near = i128::from(rounded).abs_diff(value.into()) <= step.unsigned_abs() as u128 / 2;
        let is_at_edge = value.unsigned_abs() > i64::MAX.unsigned_abs() - step.unsigned_abs();
        prop_assert!(is_near || is_at_edge);
        prop_assert_eq!(by.i64(rounded, &mut Random(1)), rounded);

        let step = Decimal::new(5, fine).unwrap();
        for policy in [Policy::Round { step }, Policy::Grid { cell: step }] {
            let by = Policies::new(vec![policy]).unwrap();
            let coarse = by.f64(at, &mut Random(1));
            // Half a step, and the last digit of such a number.
            let bound = step.to_f64() / 2.0 + at.abs() * 2.0 * f64::EPSILON;
            prop_assert!((coarse - at).abs() <= bound, "{} of {}", coarse, at);
            prop_assert_eq!(by.f64(coarse, &mut Random(1)), coarse);
        }
    }

    #[test]
    fn noise_stays_in_its_kind_and_on_its_steps(value: i64, unsigned: u64, at: f64, seed: u64) {
        let noise = policies("local-laplace:10,100000000/1");
        prop_assert_eq!(noise.i64(value, &mut Random(seed)) % 10, 0);
        prop_assert_eq!(noise.u64(unsigned, &mut Random(seed)) % 10, 0);
        let noisy = noise.f64(at, &mut Random(seed));
        prop_assert!(noisy.is_nan() == at.is_nan() && !noisy.is_infinite());
        // Above that, f64 itself has not every multiple of 10.
        prop_assert!(at.abs() > 1e12 || noisy.is_nan() || noisy % 10.0 == 0.0);
    }

    #[test]
    fn policies_have_one_text(
        digits in 1_i64..1 << 53, scale in 0_u8..16, unit_ns in 1_i64.., n in 1_u32.., d in 1_u32..,
    ) {
        let step = Decimal::new(digits, scale).unwrap();
        let scale = Scale::new(n, d).unwrap();
        let lower = Decimal::new(-digits, 3).unwrap();
        let all = vec![
            Policy::Time { unit_ns },
            Policy::Round { step },
            Policy::Grid { cell: step },
            Policy::Band { bounds: vec![lower, step] },
            Policy::Noise { step, scale },
            Policy::Pseudonym,
        ];
        let all = Policies::new(all).unwrap();
        prop_assert_eq!(all.to_string().parse::<Policies>(), Ok(all));
    }
}

#[test]
fn a_text_that_is_not_the_one_form_is_refused_by_its_place() {
    let problem = |text: &str| text.parse::<Policies>().unwrap_err();
    for text in [
        "noise:1",
        "Drop",
        "drop:",
        "round",
        "round:",
        "round:1.0",
        "round:01",
        "round:+1",
        "round:1e3",
        "round:.5",
        "round:1.",
        "round:-0",
        "round:0.0000000000000001",
        "round:9007199254740992",
        "round:99999999999999999999",
        "time:060",
        "time:+5",
        "time:1.5",
        "band:",
        "band:1,,2",
        "local-laplace:1",
        "local-laplace:1,2/4",
        "local-laplace:1,0/1",
        "local-laplace:1,1/0",
        "local-laplace:1,3",
        "grid:ä",
        " drop",
        "drop\n",
    ] {
        assert!(matches!(problem(text), PolicyError::Text { position: 1, .. }), "{text}");
        let second = problem(&format!("time:5;{text}"));
        assert!(matches!(second, PolicyError::Text { position: 2, .. }), "{text}");
    }
    for text in [
        "round:0",
        "round:-5",
        "grid:0",
        "time:0",
        "time:-5",
        "band:2,1",
        "band:1,1",
        "local-laplace:0,1/1",
    ] {
        assert!(matches!(problem(text), PolicyError::Number { position: 1, .. }), "{text}");
    }
    assert!(matches!(problem("round:5;"), PolicyError::Text { position: 2, .. }));
    assert_eq!(problem("drop;round:5"), PolicyError::Together);
    assert_eq!(problem(&["time:5"; 9].join(";")), PolicyError::Many { found: 9 });
    let bounds: Vec<_> = (0..65).map(|at| at.to_string()).collect();
    assert!(matches!(problem(&format!("band:{}", bounds.join(","))), PolicyError::Text { .. }));
    assert!(matches!(problem(&"x".repeat(5000)), PolicyError::Text { .. }));
    assert_eq!(policies(""), Policies::default());
}

#[test]
fn a_policy_is_for_the_kinds_that_it_can_change() {
    use ValueKind::{Bool, Bytes, F64, I64, Text, U64};
    for (text, kinds) in [
        ("drop", &[F64, I64, U64, Bool, Text, Bytes][..]),
        ("time:5", &[F64, I64, U64, Bool, Text, Bytes]),
        ("pseudonym", &[Text, Bytes]),
        ("round:5", &[F64, I64, U64]),
        ("round:0.5", &[F64]),
        ("grid:5", &[F64]),
        ("band:0,5", &[F64, I64, U64]),
        ("band:-5,5", &[F64, I64]),
        ("band:0,0.5", &[F64]),
        ("local-laplace:1,1/2", &[F64, I64, U64]),
        ("local-laplace:0.1,1/2", &[F64]),
    ] {
        for kind in [F64, I64, U64, Bool, Text, Bytes] {
            let found =
                policies(&format!("time:1;{text}").replace("time:1;drop", "drop")).check(kind);
            assert_eq!(found.is_ok(), kinds.contains(&kind), "{text} of {kind:?}: {found:?}");
        }
    }
    // What was not asked first is left as it is.
    assert_eq!(i64("round:0.5", 3), 3);
    assert_eq!(i64("pseudonym", 3), 3);
}

/// The frequencies of 200,000 draws against the definition, by Pearson's chi-square: 39.3 is what 16
/// degrees of freedom exceed once in a thousand.
#[test]
fn noise_has_the_distribution_that_it_claims() {
    const DRAWS: usize = 200_000;
    const FAR: i64 = 7;
    for (n, d, seed) in [(3, 2, 1), (1, 1, 2), (5, 1, 3), (7, 3, 4)] {
        let scale = Scale::new(n, d).unwrap();
        let random = &mut Random(seed);
        // All beyond 7 to either side count as one each.
        let mut counts = [0_usize; 17];
        for _ in 0..DRAWS {
            let drawn = discrete_laplace(scale, random).clamp(-FAR - 1, FAR + 1);
            counts[(drawn + FAR + 1) as usize] += 1;
        }
        let decay = (-f64::from(d) / f64::from(n)).exp();
        let chance = |z: i64| (1.0 - decay) / (1.0 + decay) * decay.powi(z.abs() as i32);
        let tail = decay.powi(FAR as i32 + 1) / (1.0 + decay);
        let chi: f64 = counts
            .iter()
            .zip(-FAR - 1..)
            .map(|(count, z)| {
                let expected = DRAWS as f64 * if z.abs() > FAR { tail } else { chance(z) };
                (*count as f64 - expected).powi(2) / expected
            })
            .sum();
        assert!(chi < 39.3, "{n}/{d}: {chi}");
    }
}

#[test]
fn a_scale_says_what_an_answer_costs() {
    assert_eq!(Scale::new(1, 1).unwrap().epsilon_micro(1), 1_000_000);
    assert_eq!(Scale::new(10, 1).unwrap().epsilon_micro(1), 100_000);
    assert_eq!(Scale::new(3, 1).unwrap().epsilon_micro(1), 333_334, "rounded up");
    assert_eq!(Scale::new(1, 2).unwrap().epsilon_micro(5), 10_000_000);
    assert_eq!(Scale::new(1, u32::MAX).unwrap().epsilon_micro(u32::MAX), u64::MAX);
    assert!(Scale::new(0, 1).is_none() && Scale::new(1, 0).is_none());
}

#[test]
fn a_budget_is_spent_once_and_remembers_it() {
    let mut budget = Budget::new(1_000);
    budget.spend(600).unwrap();
    let exhausted = BudgetError::Exhausted { asked_micro: 401, left_micro: 400 };
    assert_eq!(budget.spend(401), Err(exhausted));
    assert_eq!((budget.spent_micro(), budget.left_micro()), (600, 400), "a refusal costs nothing");
    let bytes = budget.to_bytes();
    let golden = [1, 0xE8, 3, 0, 0, 0, 0, 0, 0, 0x58, 2, 0, 0, 0, 0, 0, 0];
    assert_eq!(bytes, golden);
    let mut again = Budget::from_bytes(&bytes).unwrap();
    assert_eq!(again, budget);
    again.spend(400).unwrap();
    assert!(again.spend(1).is_err() && again.spend(0).is_ok() && again.spend(u64::MAX).is_err());
    let problem = |at: usize, byte| {
        let mut other = bytes;
        other[at] = byte;
        match Budget::from_bytes(&other).unwrap_err() {
            BudgetError::Malformed { offset, problem } => (offset, problem),
            other => panic!("{other}"),
        }
    };
    assert_eq!(problem(0, 2), (0, EncodingProblem::Version { found: 2, known: 1 }));
    assert_eq!(problem(10, 9), (9, EncodingProblem::Range), "more is spent than there was");
}
