//! The rules of proposals and votes.

use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::encoding::{Rising, Text};
use chronolith_chain::ledger::{
    Choice, Delegate, Outcome, ParameterChange, ParameterName, ParametersKey, Proposal,
    ProposalKey, Propose, ProposedChange, ProtocolKey, Refusal, Retract, SupplyKey, Thing, Vote,
};

use crate::bounty_rules::post;
use crate::world::{EPOCH_BLOCKS, VALIDATOR, World, account};

pub(crate) fn parameter(name: ParameterName, value: u128) -> Propose {
    let changes = Rising::new([ParameterChange { name, value }]).unwrap();
    Propose { change: ProposedChange::Parameters(changes), reason: Text::default() }
}

fn proposal(world: &World, number: u64) -> Proposal {
    world.get(&ProposalKey { number }).unwrap()
}

fn fee_per_byte(world: &World) -> u128 {
    world.get(&ParametersKey {}).unwrap().get(ParameterName::FeePerByte)
}

#[test]
fn what_most_stake_wants_is_done() {
    let mut world = World::new();
    let before = world.balance(1, Coin::Native);
    let propose = parameter(ParameterName::FeePerByte, 7);
    let fee = world.body(1, propose.clone().into()).fee;
    world.done(1, propose);
    let ends = proposal(&world, 0).ends;
    assert_eq!(ends, world.next() - 1 + 10);
    world.done(VALIDATOR, Vote { proposal: 0, choice: Choice::Yes });
    world.run_to(ends - 1);
    assert_ne!(fee_per_byte(&world), 7);
    world.run_to(ends);
    assert_eq!(fee_per_byte(&world), 7);
    assert_eq!(proposal(&world, 0).outcome, Outcome::Passed);
    assert_eq!(world.balance(1, Coin::Native).plus(fee).unwrap(), before, "the deposit is back");
    let late = Vote { proposal: 0, choice: Choice::No };
    assert_eq!(world.refused(VALIDATOR, late), Refusal::Late { until: ends });
}

#[test]
fn without_a_quorum_the_deposit_is_burnt() {
    let mut world = World::new();
    world.done(1, Delegate { validator: account(VALIDATOR), amount: Amount::coins(100) });
    world.done(2, parameter(ParameterName::FeePerByte, 7));
    world.done(1, Vote { proposal: 0, choice: Choice::Yes });
    let ends = proposal(&world, 0).ends;
    world.run_to(ends - 1);
    let burnt = world.get(&SupplyKey {}).unwrap().burnt;
    world.run_to(ends);
    let found = proposal(&world, 0);
    assert_eq!((found.outcome, found.deposit), (Outcome::NoQuorum, Amount::ZERO));
    // And the proposer's part of the block's issuance, who did not reveal his beacon.
    let all = burnt.plus(Amount::coins(100)).unwrap().plus(Amount(50_000)).unwrap();
    assert_eq!(world.get(&SupplyKey {}).unwrap().burnt, all);
    assert_ne!(fee_per_byte(&world), 7);
}

#[test]
fn votes_weigh_as_much_as_stake_and_can_be_changed() {
    let mut world = World::new();
    world.done(1, Delegate { validator: account(VALIDATOR), amount: Amount::coins(9_000) });
    world.done(2, parameter(ParameterName::FeePerByte, 7));
    let vote = |choice| Vote { proposal: 0, choice };
    assert_eq!(world.refused(2, vote(Choice::Yes)), Refusal::Missing(Thing::Delegation));
    world.done(1, vote(Choice::Yes));
    world.done(VALIDATOR, vote(Choice::No));
    world.done(1, vote(Choice::Abstain));
    let found = proposal(&world, 0);
    assert_eq!(found.yes, Amount::ZERO);
    assert!(found.abstain > found.no && found.no >= Amount::coins(5_000));
    world.done(1, Retract { validator: account(VALIDATOR), amount: None });
    assert_eq!(world.refused(1, vote(Choice::Yes)), Refusal::Missing(Thing::Delegation));
    world.run_to(found.ends);
    assert_eq!(proposal(&world, 0).outcome, Outcome::Failed);
    let missing = Vote { proposal: 5, choice: Choice::Yes };
    assert_eq!(world.refused(1, missing), Refusal::Missing(Thing::Proposal));
}

#[test]
fn a_version_of_the_protocol_begins_at_its_height() {
    let mut world = World::of_protocol(1);
    let since = Refusal::Protocol { since: 2 };
    assert_eq!(world.refused(1, post(&world, 10)), since, "deals are of version 2");
    let upgrade = |version, height| Propose {
        change: ProposedChange::Protocol { version, height },
        reason: Text::default(),
    };
    assert_eq!(world.refused(1, upgrade(1, 100)), Refusal::NoChange);
    assert_eq!(world.refused(1, upgrade(2, 5)), Refusal::Early { from: 14 });
    world.done(1, upgrade(2, 30));
    world.done(VALIDATOR, Vote { proposal: 0, choice: Choice::Yes });
    world.run_to(29);
    assert_eq!(world.get(&ProtocolKey {}), Some(1));
    // The version begins at the end of its block.
    assert_eq!(world.refused(1, post(&world, 10)), since);
    assert_eq!(world.get(&ProtocolKey {}), Some(2));
    world.done(1, post(&world, 10));
}

#[test]
fn parameters_keep_their_bounds_and_agree() {
    let mut world = World::new();
    let outside = parameter(ParameterName::FeeBurn, 10_001);
    let bounds = Refusal::Bounds { minimum: 0, maximum: 10_000, found: 10_001 };
    assert_eq!(world.refused(1, outside), bounds);
    let same = parameter(ParameterName::FeeBurn, 5_000);
    assert_eq!(world.refused(1, same), Refusal::NoChange);
    let longer_than_unbonding = parameter(ParameterName::VotingBlocks, 30);
    assert_eq!(world.refused(1, longer_than_unbonding), Refusal::Range);
    let longer_than_an_epoch = parameter(ParameterName::AuditBlocks, EPOCH_BLOCKS.into());
    assert_eq!(world.refused(1, longer_than_an_epoch), Refusal::Range);
    let name = ParameterName::EpochBlocks;
    assert_eq!(world.refused(1, parameter(name, 200)), Refusal::Fixed { name });
    let nothing = ProposedChange::Parameters(Rising::default());
    let nothing = Propose { change: nothing, reason: Text::default() };
    assert_eq!(world.refused(1, nothing), Refusal::Zero);
    // Each alone agrees with what is; both together do not: the second fails when it is counted.
    world.done(1, parameter(ParameterName::VotingBlocks, 29));
    world.done(1, parameter(ParameterName::UnbondingBlocks, 15));
    for proposal in 0..2 {
        world.done(VALIDATOR, Vote { proposal, choice: Choice::Yes });
    }
    let ends = proposal(&world, 1).ends;
    world.run_to(ends);
    assert_eq!(proposal(&world, 0).outcome, Outcome::Passed);
    assert_eq!(proposal(&world, 1).outcome, Outcome::Failed);
}
