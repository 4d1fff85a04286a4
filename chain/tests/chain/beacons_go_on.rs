//! A validator that goes on with another beacon chain reveals it from the lot on in which it counts.
//!
//! Symptom: a validator that had changed its beacon chain never revealed an element again, so that
//! it lost the proposer's part of every later reward. Cause: what it revealed followed from what was
//! revealed last, which is of the old chain until an element of the new one is revealed.

use chronolith_chain::coin::{Amount, BasisPoints};
use chronolith_chain::consensus::{BeaconChain, Config, Identity};
use chronolith_chain::encoding::Rising;
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{
    Account, AccountKey, Bond, ParameterChange, ParameterName, Parameters, Schedule, ScheduleKey,
    least_fee,
};
use chronolith_chain::state::Overlay;
use chronolith_chain::transaction::Body;
use chronolith_disk::SimDisk;

use crate::network::{Network, config, genesis, identity, sign};
use crate::world::{account, consensus_key};

/// How many blocks a term has; with nobody drawn, a lot is one term.
const TERM: u64 = 10;

fn lone_validator_of_short_lots() -> Network {
    let change = |(name, value)| ParameterChange { name, value };
    let parameters =
        [(ParameterName::TermBlocks, TERM.into()), (ParameterName::ReadyBlocks, 6)].map(change);
    let genesis = Genesis { parameters: Rising::new(parameters).unwrap(), ..genesis(1) };
    let config = Config { heartbeat_ms: Some(1_000), ..config() };
    Network::of(genesis, 1, 0, config, |_| (SimDisk::new(), SimDisk::new()))
}

fn other_chain() -> BeaconChain {
    BeaconChain::new(&[77; 32], 200)
}

/// Commits to the other beacon chain.
fn bond(network: &Network) -> chronolith_chain::transaction::Transaction {
    let node = network.nodes[0].validator.as_ref().unwrap();
    let state = Overlay::new(node.state());
    let Account { nonce, .. } = state.get(&AccountKey { address: account(0) }).unwrap().unwrap();
    let bond = Bond {
        amount: Amount::ZERO,
        consensus_key: consensus_key(0).public(),
        beacon: other_chain().end(),
        commission: BasisPoints(0),
        puzzle: None,
    };
    let mut body = Body {
        version: 1,
        chain: network.genesis.chain_id(),
        sender: account(0),
        nonce,
        valid_until: node.position().height + 5,
        fee: Amount::ZERO,
        action: bond.into(),
    };
    body.fee = least_fee(&Parameters::default(), 400, body.action.weight());
    sign(body, 0)
}

fn lot(network: &Network) -> u64 {
    let node = network.nodes[0].validator.as_ref().unwrap();
    let schedule: Option<Schedule> = Overlay::new(node.state()).get(&ScheduleKey {}).unwrap();
    schedule.unwrap_or_default().lot
}

/// What the block of a height revealed.
fn revealed(network: &Network, height: u64) -> Option<Hash> {
    network.nodes[0].committed[&height].block.header.beacon
}

#[test]
fn another_chain_is_revealed_from_the_next_lot_on() {
    let mut network = lone_validator_of_short_lots();
    network.run_to(2);
    assert_eq!(lot(&network), 0);
    let mut own = identity(0).beacon.end();
    for height in 1..=2 {
        own = identity(0).beacon.after(&own).unwrap();
        assert_eq!(revealed(&network, height), Some(own));
    }
    let transaction = bond(&network);
    network.submit(0, transaction);
    network.run_to(3);
    assert_eq!(network.nodes[0].committed[&3].block.transactions.len(), 1);

    // In the running lot the old chain counts: who has only the new one has nothing to reveal.
    network.stop(0);
    let secrets = || Identity { beacon: other_chain(), ..identity(0) };
    network.restart_as(0, Some(secrets())).unwrap();
    network.run_to(4);
    assert_eq!((lot(&network), revealed(&network, 4)), (0, None));

    // In all later ones each block reveals the next of the new one.
    network.run_to(4 * TERM);
    assert!(lot(&network) >= 3);
    let first = (5..=4 * TERM).find(|height| revealed(&network, *height).is_some()).unwrap();
    assert!(first <= TERM + 1, "the first block of the next lot, and not {first}");
    let mut expected = other_chain().end();
    for height in first..=4 * TERM {
        expected = other_chain().after(&expected).unwrap();
        assert_eq!(revealed(&network, height), Some(expected), "height {height}");
    }
}

#[test]
fn who_has_only_the_old_chain_goes_on_without_revealing() {
    let mut network = lone_validator_of_short_lots();
    network.run_to(1);
    let transaction = bond(&network);
    network.submit(0, transaction);
    network.run_to(3 * TERM);
    assert!(lot(&network) >= 2);
    for height in 1..TERM {
        assert!(revealed(&network, height).is_some(), "height {height}");
    }
    for height in TERM + 1..=3 * TERM {
        assert_eq!(revealed(&network, height), None, "height {height}");
    }
}
