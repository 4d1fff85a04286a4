//! Bytes that are no transaction, proof, genesis or piece of a snapshot are refused with a reason,
//! whatever they are; and what decodes has no other encoding.

use chronolith_chain::encoding::{DecodeReason, encode};
use chronolith_chain::genesis::{Genesis, GenesisError};
use chronolith_chain::ledger::{Action, ParameterChange, ParameterName};
use chronolith_chain::state::{SnapshotChunk, StateProof};
use chronolith_chain::transaction::{MAX_TRANSACTION_BYTES, Transaction};
use proptest::prelude::*;

use crate::device_and_anchor_rules::{hand_over, register};
use crate::directory_rules::info;
use crate::governance_rules::parameter;
use crate::rights_rules::offer;
use crate::storage_rules::{fragments, lease_with, open, place};
use crate::validator_rules::bond;
use crate::world::{World, genesis, key};

/// A transaction of every shape that is worth mutating.
fn samples() -> Vec<Vec<u8>> {
    let world = World::new();
    let of = fragments(&[(1, 0), (1, 3)]);
    let lease = lease_with(&world, 2, 1, &of);
    let actions: Vec<Action> = vec![
        crate::coin_rules::transfer(2, chronolith_chain::coin::Coin::Native, 7).into(),
        bond(1, 5_000).into(),
        parameter(chronolith_chain::ledger::ParameterName::FeeBurn, 3).into(),
        register(&world, 1, 1, 2).into(),
        hand_over(&world, 1, 1, 2, 0).into(),
        offer(0).into(),
        place(1, 5).into(),
        open(100).into(),
        chronolith_chain::ledger::AssignBatch { fragments: of, lease }.into(),
        chronolith_chain::ledger::RegisterService { info: info("a service") }.into(),
    ];
    actions.into_iter().map(|action| encode(&world.body(1, action).sign(&key(1)))).collect()
}

#[test]
fn every_cut_and_every_tail_is_refused() {
    for bytes in samples() {
        assert!(Transaction::decode(&bytes).is_ok());
        for end in 0..bytes.len() {
            let refused = Transaction::decode(&bytes[..end]).unwrap_err();
            assert_eq!(refused.reason, DecodeReason::Truncated);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        let refused = Transaction::decode(&longer).unwrap_err();
        assert_eq!(refused.reason, DecodeReason::Trailing { count: 1 });
    }
    let large = vec![0; MAX_TRANSACTION_BYTES + 1];
    let refused = Transaction::decode(&large).unwrap_err();
    assert!(matches!(refused.reason, DecodeReason::TooLarge { .. }));
}

#[test]
fn numbers_of_no_action_are_refused() {
    let bytes = samples().swap_remove(0);
    // After version, chain, sender, nonce, height and fee.
    let tag = 2 + 32 + 32 + 8 + 8 + 16;
    let known: Vec<u8> = Action::KINDS.iter().map(|kind| kind.tag).collect();
    for number in (0..=255).filter(|number| !known.contains(number)) {
        let mut changed = bytes.clone();
        changed[tag] = number;
        let refused = Transaction::decode(&changed).unwrap_err();
        assert_eq!(refused.reason, DecodeReason::Invalid, "{number}");
    }
}

#[test]
fn a_genesis_that_makes_no_sense_is_refused() {
    let good = genesis();
    let bytes = encode(&good);
    assert_eq!(Genesis::decode(&bytes).unwrap(), good);
    for end in 0..bytes.len() {
        assert!(Genesis::decode(&bytes[..end]).is_err());
    }
    let first = good.validators[0];
    let with = |validators: Vec<_>| {
        let validators = chronolith_chain::encoding::Rising::new(validators).unwrap();
        Genesis { validators, ..good.clone() }.values().map(drop)
    };
    let mut powerless = first;
    powerless.power = 0;
    assert_eq!(with(vec![powerless]), Err(GenesisError::Validator));
    let mut unbonded = first;
    unbonded.bond = chronolith_chain::coin::Amount(0);
    assert_eq!(with(vec![unbonded]), Err(GenesisError::Validator));
    let mut twin = first;
    twin.validator = crate::world::account(5);
    assert_eq!(with(vec![first, twin]), Err(GenesisError::Validator));
    let mut rich = first;
    rich.bond = chronolith_chain::coin::Amount(u128::MAX);
    assert!(matches!(with(vec![rich]), Err(GenesisError::Coin(_))));
    let with = |changes: &[(ParameterName, u128)]| {
        let change =
            |(name, value): &(ParameterName, u128)| ParameterChange { name: *name, value: *value };
        let changes: Vec<_> = changes.iter().map(change).collect();
        let parameters = chronolith_chain::encoding::Rising::new(changes).unwrap();
        Genesis { parameters, ..good.clone() }.values().map(drop)
    };
    assert_eq!(with(&[(ParameterName::FeeBurn, 10_001)]), Err(GenesisError::Parameters));
    // An epoch is longer than the time to attest the one before.
    let epochs = |blocks, audit| {
        with(&[(ParameterName::EpochBlocks, blocks), (ParameterName::AuditBlocks, audit)])
    };
    assert_eq!(epochs(10, 9), Ok(()));
    assert_eq!(epochs(10, 10), Err(GenesisError::Parameters));
    assert_eq!(epochs(9, 1), Err(GenesisError::Parameters));
    assert_eq!(epochs(100_001, 30), Err(GenesisError::Parameters));
    let renamed = chronolith_chain::encoding::Text::new("another").unwrap();
    assert_ne!(Genesis { name: renamed, ..good.clone() }.chain_id(), good.chain_id());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(found) = Transaction::decode(&bytes) {
            prop_assert_eq!(encode(&found), bytes.clone());
        }
        if let Ok(found) = StateProof::decode(&bytes) {
            prop_assert_eq!(encode(&found), bytes.clone());
        }
        if let Ok(found) = Genesis::decode(&bytes) {
            prop_assert_eq!(encode(&found), bytes.clone());
        }
        if let Ok(found) = SnapshotChunk::decode(&bytes) {
            prop_assert_eq!(encode(&found), bytes);
        }
    }

    #[test]
    fn mutated_transactions_decode_to_themselves_or_are_refused(
        which: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let samples = samples();
        let mut bytes = which.get(&samples).clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(found) = Transaction::decode(&bytes) {
            prop_assert_eq!(encode(&found), bytes.clone());
            let is_untouched = samples.contains(&bytes);
            prop_assert_eq!(found.verify().is_ok(), is_untouched);
        }
    }
}
