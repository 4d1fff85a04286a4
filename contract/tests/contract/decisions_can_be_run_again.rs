//! An arbiter who has the contract and the recorded inputs finds the same decision, and notices any change.

use chronolith_contract::Compiled;
use chronolith_contract::rule::{Decision, Evaluation, EvaluationError, Outcome};
use proptest::prelude::*;

use crate::example::{contract, request, with};

#[test]
fn a_decision_is_found_again() {
    let compiled = contract();
    let grant = compiled.decide(&request("alice", 3_000_000_000_000_000_000, "")).unwrap();
    for (decision, inputs) in &grant.decisions {
        // As somebody else does it: from bytes alone.
        let again = Compiled::from_bytes(&compiled.to_bytes()).unwrap();
        decision.replay(inputs, &again).unwrap();
        let evaluation = Evaluation::from_bytes(inputs).unwrap();
        assert_eq!(evaluation.cid(), decision.inputs_cid);
        assert_eq!(&evaluation.run(&again).unwrap(), decision);
    }
}

#[test]
fn another_outcome_another_input_and_another_contract_are_noticed() {
    let compiled = contract();
    let grant = compiled.decide(&request("alice", 3_000_000_000_000_000_000, "")).unwrap();
    let (decision, inputs) = &grant.decisions[1];
    assert_eq!(decision.outcome, Outcome::Yes);
    let lie = Decision { outcome: Outcome::No, ..decision.clone() };
    assert!(matches!(lie.replay(inputs, &compiled), Err(EvaluationError::Outcome { .. })));
    let other = &grant.decisions[0].1;
    assert!(matches!(decision.replay(other, &compiled), Err(EvaluationError::Inputs { .. })));
    let changed = Compiled::read(&with("coin('2.5')", "coin('2.6')")).unwrap();
    assert!(matches!(decision.replay(inputs, &changed), Err(EvaluationError::Contract { .. })));
}

proptest! {
    #[test]
    fn every_flipped_bit_is_refused(bit: prop::sample::Index) {
        let compiled = contract();
        let grant = compiled.decide(&request("alice", 1, "x")).unwrap();
        let (decision, inputs) = &grant.decisions[0];
        let mut inputs = inputs.clone();
        let bit = bit.index(inputs.len() * 8);
        inputs[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(decision.replay(&inputs, &compiled).is_err());
    }

    #[test]
    fn bytes_that_are_read_are_the_canonical_ones(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(evaluation) = Evaluation::from_bytes(&bytes) {
            prop_assert_eq!(evaluation.to_bytes(), bytes);
        }
    }
}
