//! A light client with one trusted header believes what is proved, and nothing else.

use std::collections::BTreeMap;
use std::convert::Infallible;

use chronolith_chain::certificate::{Certificate, CertificateError};
use chronolith_chain::coin::Coin;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::{BlockId, ChainId, Hash, RequestId};
use chronolith_chain::header::Header;
use chronolith_chain::history::{History, HistoryProof, Nodes, Position};
use chronolith_chain::ledger::{
    AbsenceKey, AccountKey, Anchor, AnchorKey, DeviceCatalogue, LeaseKey, PeerKey, RegisterDevice,
    RequestKey, empty_catalogue,
};
use chronolith_chain::light::{
    Ancestor, BUNDLE_VERSION, Bundle, Fact, FactError, Options, Refused, Step, StepError, Trusted,
};
use chronolith_chain::list::ListProof;
use chronolith_chain::state::Key;
use chronolith_chain::validator_set::ValidatorSet;
use chronolith_merkle::{leaf_hash, node_hash};

use crate::coin_rules::transfer;
use crate::committee::{Committee, genesis, precommits};
use crate::world::{account, consensus_key, key};

const FOREVER: Options = Options { trusting_period_ns: None, clock_drift_ns: 0 };

fn step(committee: &Committee, height: u64) -> Step {
    Step {
        header: committee.header(height).clone(),
        validators: committee.sets[height as usize - 1].clone(),
        certificate: committee.certificate_of(height).clone(),
    }
}

fn bundle(committee: &Committee, heights: &[u64], facts: Vec<Fact>) -> Bundle {
    let steps: Vec<Step> = heights.iter().map(|height| step(committee, *height)).collect();
    Bundle {
        version: BUNDLE_VERSION,
        chain: committee.tip.chain,
        steps: List::new(steps).unwrap(),
        ancestor: None,
        facts: List::new(facts).unwrap(),
    }
}

fn state_fact<K: Key>(committee: &Committee, height: u64, key: &K) -> Fact {
    let (value, proof) = committee.state.prove(height, &key.to_bytes()).unwrap();
    Fact::state(key, value, proof).unwrap()
}

fn ancestor(committee: &Committee, of: u64, height: u64) -> Ancestor {
    let proof = HistoryProof::new(&committee.nodes, of, height).unwrap();
    Ancestor { header: committee.header(height).clone(), proof }
}

/// Twelve blocks of four validators, with transfers, and an anchor in the third.
fn committee() -> (Committee, AnchorKey) {
    let mut committee = Committee::new(genesis(4, 8, &[]), 8);
    let device = key(50);
    let owner = account(1);
    let address = device.public().into();
    let consent = device.sign(&RegisterDevice::consent(committee.tip.chain, address, owner));
    let register = RegisterDevice { device: address, producer: owner, consent };
    let anchor = Anchor {
        root: Hash([7; 32]),
        chunks: 5,
        devices: chronolith_chain::encoding::Rising::new([DeviceCatalogue {
            device: address,
            before: empty_catalogue(),
            after: Hash([8; 32]),
        }])
        .unwrap(),
    };
    for height in 1..=12 {
        let transactions = match height {
            2 => vec![committee.sign(1, 0, register.clone())],
            3 => vec![committee.sign(1, 0, anchor.clone())],
            _ => (2..5)
                .map(|person| committee.sign(person, 0, transfer(7, Coin::Native, 9)))
                .collect(),
        };
        let receipts = committee.block(transactions);
        assert!(receipts.iter().all(|receipt| receipt.refusal.is_none()));
    }
    (committee, AnchorKey { producer: owner, root: [7; 32] })
}

#[test]
fn from_genesis_alone_every_kind_of_fact_is_believed() {
    let (committee, anchor) = committee();
    let trusted = Trusted::genesis(&committee.genesis).unwrap();
    let now = committee.tip.time_ns;
    let account_key = AccountKey { address: account(2) };
    let absent = RequestKey { request: RequestId([1; 32]) };
    let lease = LeaseKey { peer: account(2), lease: chronolith_chain::hash::LeaseId([1; 32]) };
    let facts = vec![
        state_fact(&committee, 12, &account_key),
        state_fact(&committee, 12, &anchor),
        state_fact(&committee, 12, &absent),
        state_fact(&committee, 12, &lease),
        state_fact(&committee, 12, &PeerKey { peer: account(2) }),
        state_fact(&committee, 12, &AbsenceKey { validator: account(2) }),
    ];
    let bundle = self::bundle(&committee, &[12], facts);
    let proved = bundle.verify(&trusted, now, &Options::default()).unwrap();
    assert_eq!(proved.header, *committee.header(12));
    let anchored = bundle.facts[1].value(&anchor).unwrap().unwrap();
    assert_eq!((anchored.height, anchored.chunks), (3, 5));
    assert_eq!(bundle.facts[2].value(&absent), Ok(None));
    assert_eq!(bundle.facts[0].value(&account_key).unwrap(), committee.get(&account_key));
    assert_eq!(bundle.facts[0].value(&anchor), Err(FactError::Other));

    // The transaction and its receipt, of an old block, by the history of the last.
    let block = &committee.blocks[2];
    let transaction = block.transactions[0].clone();
    let proof = ListProof::new([transaction.body.id()], 0).unwrap();
    let mut old = self::bundle(&committee, &[12], Vec::new());
    old.ancestor = Some(ancestor(&committee, 12, 3));
    old.facts
        .push(Fact::Transaction { index: 0, transaction: Box::new(transaction), proof })
        .unwrap();
    let proved = old.verify(&trusted, now, &Options::default()).unwrap();
    assert_eq!(proved.header.height, 3);
}

#[test]
fn whatever_byte_is_changed_the_bundle_is_refused() {
    let (committee, anchor) = committee();
    let trusted = Trusted::genesis(&committee.genesis).unwrap();
    let now = committee.tip.time_ns;
    let block = &committee.blocks[4];
    let ids = || block.transactions.iter().map(|transaction| transaction.body.id());
    let transaction = Box::new(block.transactions[1].clone());
    let absent = RequestKey { request: RequestId::default() };
    let facts = vec![
        state_fact(&committee, 5, &anchor),
        state_fact(&committee, 5, &absent),
        Fact::Transaction { index: 1, transaction, proof: ListProof::new(ids(), 1).unwrap() },
    ];
    let mut good = bundle(&committee, &[9, 12], facts);
    good.ancestor = Some(ancestor(&committee, 12, 5));
    let bytes = good.encode();
    assert_eq!(Bundle::decode(&bytes).unwrap(), good);
    good.verify(&trusted, now, &FOREVER).unwrap();
    let mut decoded = 0;
    for at in 0..bytes.len() {
        for bit in [0x01, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= bit;
            let Ok(found) = Bundle::decode(&changed) else { continue };
            decoded += 1;
            if found.verify(&trusted, now, &FOREVER).is_err() {
                continue;
            }
            // Only another key that is as absent can stand there; who asks for his key sees it.
            assert_eq!((&found.steps, &found.ancestor), (&good.steps, &good.ancestor), "{at}");
            assert_eq!((&found.facts[0], &found.facts[2]), (&good.facts[0], &good.facts[2]));
            assert_eq!(found.facts[1].value(&absent), Err(FactError::Other), "byte {at}");
        }
    }
    assert!(decoded > bytes.len(), "most changes decode, and are refused all the same");
    for end in 0..bytes.len() {
        assert!(Bundle::decode(&bytes[..end]).is_err());
    }
}

#[test]
fn every_refusal_has_its_reason() {
    let (committee, _) = committee();
    let now = committee.tip.time_ns;
    let set = committee.sets[0].clone();
    let trusted = Trusted::header(committee.header(4).clone(), set.clone()).unwrap();
    let advance = |step: &Step| trusted.advance(step, now, &FOREVER).map(|to| to.height());
    assert_eq!(advance(&step(&committee, 5)), Ok(5));
    assert_eq!(advance(&step(&committee, 12)), Ok(12));
    let back = advance(&step(&committee, 4));
    assert_eq!(back, Err(StepError::Height { trusted: 4, found: 4 }));
    let options = Options { trusting_period_ns: Some(5), clock_drift_ns: 0 };
    let expired = trusted.advance(&step(&committee, 12), now, &options);
    assert!(matches!(expired, Err(StepError::Expired { .. })));
    let early = trusted.advance(&step(&committee, 12), now - 1, &FOREVER);
    assert!(matches!(early, Err(StepError::Time { .. })));
    let with = |change: &dyn Fn(&mut Step)| {
        let mut changed = step(&committee, 5);
        change(&mut changed);
        advance(&changed).unwrap_err()
    };
    let other_chain = with(&|step| step.header.chain = ChainId([1; 32]));
    assert_eq!(other_chain, StepError::Chain { found: ChainId([1; 32]) });
    let version = with(&|step| step.header.version = 9);
    assert_eq!(version, StepError::Version { found: 9 });
    let fewer = ValidatorSet::new(&set.members()[..3]).unwrap();
    let other_set = with(&|step| step.validators = fewer.clone());
    assert!(matches!(other_set, StepError::Set { .. }));
    let named = with(&|step| {
        step.validators = fewer.clone();
        step.header.validators = fewer.hash();
        let keys = (0..4).map(consensus_key);
        let votes = precommits(&step.header, 0, keys);
        let known = votes.into_iter().filter(|(key, _)| fewer.index_of_key(key).is_some());
        step.certificate = Certificate::new(5, 0, step.header.id(), &fewer, known).unwrap();
    });
    assert!(matches!(named, StepError::NextSet { .. }));
    let certificate = with(&|step| step.header.state_root = Hash([1; 32]));
    assert!(matches!(certificate, StepError::OtherBlock { height: 5, .. }));
    let signed = |step: &mut Step, people: std::ops::Range<u8>| {
        let votes = precommits(&step.header, 0, people.map(consensus_key));
        step.certificate = Certificate::new(5, 0, step.header.id(), &set, votes).unwrap();
    };
    let previous = with(&|step| {
        step.header.previous = BlockId([1; 32]);
        signed(step, 0..4);
    });
    assert_eq!(previous, StepError::Previous { found: BlockId([1; 32]) });
    let few = with(&|step| signed(step, 0..2));
    assert!(matches!(few, StepError::Certificate(CertificateError::Power { .. })));

    let mut other = bundle(&committee, &[5], Vec::new());
    other.version = 2;
    let refused = |bundle: &Bundle| bundle.verify(&trusted, now, &FOREVER).unwrap_err();
    assert_eq!(refused(&other), Refused::Version { found: 2 });
    other.version = 1;
    other.chain = ChainId([1; 32]);
    assert!(matches!(refused(&other), Refused::Chain { .. }));
    let empty = bundle(&committee, &[], Vec::new());
    let genesis = Trusted::genesis(&committee.genesis).unwrap();
    assert_eq!(empty.verify(&genesis, now, &FOREVER).unwrap_err(), Refused::NoHeader);
    assert_eq!(empty.verify(&trusted, now, &FOREVER).unwrap().header.height, 4);
    let mut history = bundle(&committee, &[12], Vec::new());
    history.ancestor = Some(ancestor(&committee, 11, 3));
    assert!(matches!(refused(&history), Refused::History { height: 3, of: 12, .. }));
    let fact = state_fact(&committee, 11, &AccountKey { address: account(2) });
    let stale = bundle(&committee, &[12], vec![fact]);
    assert!(matches!(refused(&stale), Refused::Fact { index: 0, .. }));
}

/// A skip over sets that share nothing is not believed, one by one they are.
#[test]
fn strangers_cannot_be_skipped_to() {
    let (committee, _) = committee();
    let set = committee.sets[0].clone();
    let trusted = Trusted::header(committee.header(4).clone(), set).unwrap();
    let strangers = (20..24).map(|person| chronolith_chain::ledger::Seat {
        validator: account(person),
        consensus_key: consensus_key(person).public(),
        power: 10,
    });
    let strangers = ValidatorSet::new(strangers.collect::<Vec<_>>()).unwrap();
    let header = Header { validators: strangers.hash(), ..committee.header(9).clone() };
    let votes = precommits(&header, 0, (20..24).map(consensus_key));
    let certificate = Certificate::new(9, 0, header.id(), &strangers, votes).unwrap();
    let forged = Step { header, validators: strangers, certificate };
    let refused = trusted.advance(&forged, committee.tip.time_ns, &FOREVER).unwrap_err();
    assert!(matches!(refused, StepError::Certificate(CertificateError::Power { found: 0, .. })));
}

/// A history of which only the way to one block is kept: all other blocks have one id.
struct Sparse {
    known: BTreeMap<Position, Hash>,
    same: Vec<Hash>,
}

impl Nodes for Sparse {
    type Error = Infallible;

    fn node(&self, position: Position) -> Result<Option<Hash>, Infallible> {
        let known = self.known.get(&position).copied();
        Ok(known.or_else(|| self.same.get(usize::from(position.level)).copied()))
    }
}

#[test]
fn a_year_old_anchor_is_small_and_quick_to_verify() {
    const YEAR: u64 = 31_536_000;
    let (committee, anchor) = committee();
    let old = committee.header(3).clone();
    let fact = state_fact(&committee, 3, &anchor);
    // A year of other blocks.
    let filler = Hash(leaf_hash(&[9; 32]));
    let mut same = vec![filler];
    for level in 0..40 {
        same.push(Hash(node_hash(&same[level].0, &same[level].0)));
    }
    let mut nodes = Sparse { known: BTreeMap::new(), same };
    let mut history = History::genesis(committee.tip.chain);
    let genesis = Hash(leaf_hash(&committee.tip.chain.0));
    nodes.known.insert(Position { level: 0, index: 0 }, genesis);
    for height in 1..=YEAR {
        let id = if height == 3 { old.id() } else { BlockId([9; 32]) };
        // Only the subtrees over the first blocks differ from all others of their size.
        if height < 4 || (height + 1).is_power_of_two() {
            let made = history.push(id).into_iter().filter(|node| node.position.index < 4);
            nodes.known.extend(made.map(|node| (node.position, node.hash)));
        } else {
            history.push(id);
        }
    }
    // The last term's header: 22 validators, of whom 15 signed.
    let seats = (0..22).map(|person| chronolith_chain::ledger::Seat {
        validator: account(person),
        consensus_key: consensus_key(person).public(),
        power: 1_000,
    });
    let set = ValidatorSet::new(seats.collect::<Vec<_>>()).unwrap();
    let sign = |height: u64, history: &History| {
        let header = Header {
            height,
            time_ns: committee.tip.time_ns + height * 1_000_000_000,
            validators: set.hash(),
            next_validators: set.hash(),
            history_root: history.root(),
            ..committee.header(12).clone()
        };
        let votes = precommits(&header, 0, (0..22).map(consensus_key));
        let certificate = Certificate::new(height, 0, header.id(), &set, votes).unwrap();
        Step { header, validators: set.clone(), certificate }
    };
    let trusted = sign(YEAR - 300, &history);
    let last = sign(YEAR + 1, &history);
    let proof = HistoryProof::new(&nodes, YEAR + 1, 3).unwrap();
    let bundle = Bundle {
        version: BUNDLE_VERSION,
        chain: committee.tip.chain,
        steps: List::new([last.clone()]).unwrap(),
        ancestor: Some(Ancestor { header: old, proof }),
        facts: List::new([fact]).unwrap(),
    };
    let trusted = Trusted::header(trusted.header, trusted.validators).unwrap();
    let bytes = bundle.encode();
    let begin = cpu_time::ProcessTime::now();
    let rounds = 20;
    for _ in 0..rounds {
        let found = Bundle::decode(&bytes).unwrap();
        let proved = found.verify(&trusted, last.header.time_ns, &Options::default()).unwrap();
        assert_eq!(proved.header.height, 3);
        assert_eq!(found.facts[0].value(&anchor).unwrap().unwrap().chunks, 5);
    }
    println!(
        "a year-old anchor: {} bytes, {:.2} ms of processor time to decode and verify",
        bytes.len(),
        begin.elapsed().as_secs_f64() * 1_000.0 / f64::from(rounds)
    );
    assert!(bytes.len() < 100 << 10);
    assert_eq!(bundle.ancestor.unwrap().proof.path.len(), 25);
}
