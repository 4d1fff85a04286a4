//! What a peer is assigned: the ledger's tree over slots, the peer's own, and one made at once are the
//! same after any history of leases, and the end of the last epoch is known for as long as it is asked
//! about.

use std::collections::BTreeMap;

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, Rising};
use chronolith_chain::hash::{Hash, LeaseId};
use chronolith_chain::ledger::{
    AssignBatch, Assigned, AssignedError, AssignedFragment, AssignedRoot, AttestAudits, Fragment,
    Fragments, Lease, LeaseKey, LeaseStatus, NewLease, OpenStorage, ParameterName, Peer, PeerKey,
    PlacePack, Question, Reassign, SlotNodeKey, batch_root, leases_of,
};
use chronolith_chain::state::{Key, State};
use proptest::prelude::*;

use crate::storage_rules::{consent_to, open, place};
use crate::world::{VALIDATOR, World, account};

const OWNER: u8 = 1;
const PEERS: [u8; 2] = [2, 3];
const EPOCH: u64 = 10;

/// A chain of short epochs with two peers of much room.
fn world() -> World {
    let mut world = World::with(&[
        (ParameterName::EpochBlocks, EPOCH.into()),
        (ParameterName::AuditBlocks, 2),
        (ParameterName::AuditMisses, 3),
    ]);
    for person in PEERS {
        world.done(person, OpenStorage { capacity_bytes: 1 << 40, ..open(100) });
    }
    world
}

fn assigned_of(of: &Fragments) -> Vec<AssignedFragment> {
    let root = Hash([9; 32]);
    of.iter().map(|fragment| AssignedFragment { fragment: *fragment, root, blocks: 5 }).collect()
}

/// A lease of fragments to a person, with the root that they have.
fn lease_to(world: &World, person: u8, of: &Fragments) -> NewLease {
    let root = batch_root(&assigned_of(of)).unwrap().unwrap().hash;
    consent_to(world, person, OWNER, of, root, world.next())
}

fn peer(world: &World, person: u8) -> Peer {
    world.get(&PeerKey { peer: account(person) }).unwrap()
}

/// All rows of the nodes of a peer's tree.
fn nodes(state: &State, of: Address) -> usize {
    let mut count = 0;
    state
        .for_each_at(state.head().version, &mut |key, _| {
            count += usize::from(SlotNodeKey::from_bytes(key).is_some_and(|key| key.peer == of));
        })
        .unwrap();
    count
}

/// What a peer knows of its leases, and the versions of its tree.
#[derive(Default)]
struct Kept {
    fragments: BTreeMap<LeaseId, Fragments>,
    slots: BTreeMap<u32, LeaseId>,
    tree: Assigned,
    /// As it was at the end of the last epoch.
    before: Assigned,
}

impl Kept {
    /// Follows the chain by its rows: new leases come, ended and lost ones go.
    fn follow(&mut self, world: &World, person: u8) {
        let rows = leases_of(&world.state, account(person), LeaseId::default(), 10_000).unwrap();
        let now: BTreeMap<u32, (LeaseId, Lease)> =
            rows.iter().filter_map(|(id, lease)| Some((lease.slot?, (*id, *lease)))).collect();
        for (_, lease) in &rows {
            assert_eq!(lease.slot.is_some(), lease.status == LeaseStatus::Running);
        }
        let gone: Vec<u32> =
            self.slots.keys().copied().filter(|slot| !now.contains_key(slot)).collect();
        for slot in gone {
            assert!(self.tree.clear(slot).unwrap());
            assert!(!self.tree.clear(slot).unwrap());
        }
        for (slot, (id, lease)) in &now {
            let of = assigned_of(&self.fragments[id]);
            assert_eq!(lease.root, batch_root(&of).unwrap().unwrap().hash);
            if self.slots.get(slot) != Some(id) {
                self.tree.set(*slot, of).unwrap();
            }
        }
        self.slots = now.iter().map(|(slot, (id, _))| (*slot, *id)).collect();
        let ledger = peer(world, person).assignment.now;
        assert_eq!(self.tree.ledger_root(), ledger);
        let leaves = now.iter().map(|(slot, (id, _))| {
            (*slot, batch_root(&assigned_of(&self.fragments[id])).unwrap().unwrap())
        });
        assert_eq!(AssignedRoot::of(leaves).unwrap(), ledger, "made at once");
        let kept: Vec<u32> = self.tree.slots().iter().map(|(slot, _)| *slot).collect();
        assert_eq!(kept, self.slots.keys().copied().collect::<Vec<_>>());
        assert!(nodes(&world.state, account(person)) <= self.slots.len() * 10);
    }

    /// The peer can show every block that it is asked for, as of the end of the last epoch.
    fn answers(&self, world: &World, person: u8) {
        let height = world.next() - 1;
        let Some(last) = (height / EPOCH).checked_sub(1) else { return };
        let question = Question::of(&world.state, world.chain, last, account(person)).unwrap();
        assert_eq!(question.as_ref().map(|question| question.assigned), self.before.root());
        // The same tree by its roots alone, with those leases set that are asked for.
        let mut sparse = Assigned::new();
        for (slot, of) in self.before.slots() {
            sparse.set_root(slot, batch_root(of).unwrap().unwrap()).unwrap();
        }
        assert_eq!(sparse.ledger_root(), self.before.ledger_root());
        for number in question.iter().flat_map(|question| &question.blocks) {
            let located = self.before.locate(*number).unwrap();
            let slot = sparse.slot_of(*number).unwrap();
            if sparse.get(slot).is_none() {
                assert_eq!(sparse.locate(*number), Err(AssignedError::Unknown { slot }));
                sparse.set(slot, self.before.get(slot).unwrap().to_vec()).unwrap();
            }
            assert_eq!(sparse.locate(*number).as_ref(), Ok(&located));
            let (root, first) = located.place.root(&located.fragment.leaf()).unwrap();
            assert_eq!(Some(root), self.before.root());
            assert_eq!(first + u64::from(located.row), *number);
        }
        let running = Question::of(&world.state, world.chain, last + 1, account(person));
        assert_eq!(running.unwrap(), None, "the epoch is not over");
    }
}

/// What happens in a block.
#[derive(Debug, Clone)]
enum Step {
    /// A pack of so many fragments is leased, for so many epochs.
    Lease { person: u8, fragments: u8, epochs: u64 },
    /// A lease moves to the other peer.
    Move(usize),
    /// Nothing, for so many blocks.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop::sample::select(PEERS.to_vec()), 3..9_u8, 2..9_u64).prop_map(
            |(person, fragments, epochs)| Step::Lease { person, fragments, epochs }
        ),
        2 => any::<usize>().prop_map(Step::Move),
        2 => (1..8_u64).prop_map(Step::Wait),
    ]
}

/// Two peers with what they know.
struct Run {
    world: World,
    kept: BTreeMap<u8, Kept>,
    made: Vec<(u8, LeaseId)>,
    packs: u8,
}

impl Run {
    fn take(&mut self, step: Step) {
        match step {
            Step::Lease { person, fragments, epochs } => {
                self.packs += 1;
                let until = (self.world.next() + 1) / EPOCH + 1 + epochs;
                let pack = PlacePack { fragments, blocks: 5, ..place(self.packs, until) };
                let id = pack.pack;
                self.world.done(OWNER, pack);
                self.follow();
                let of = (0..fragments).map(|index| Fragment { pack: id, index });
                let of: Fragments = Rising::new(of.collect::<Vec<_>>()).unwrap();
                let batch = AssignBatch {
                    lease: lease_to(&self.world, person, &of),
                    fragments: of.clone(),
                };
                let made = LeaseId::made_by(self.world.done(OWNER, batch));
                self.know(person, made, of);
            }
            Step::Move(which) => {
                let Some((person, lease)) = self.made.get(which % self.made.len().max(1)) else {
                    return;
                };
                let (person, lease) = (*person, *lease);
                let of = self.kept[&person].fragments[&lease].clone();
                let other = if person == PEERS[0] { PEERS[1] } else { PEERS[0] };
                let found = self.world.get(&LeaseKey { peer: account(person), lease });
                let next = self.world.next() / EPOCH + 1;
                if found.is_none_or(|found| found.until_epoch <= next.max(found.next_epoch)) {
                    return;
                }
                let to = lease_to(&self.world, other, &of);
                let moved = Reassign { peer: account(person), lease, fragments: of.clone(), to };
                let made = LeaseId::made_by(self.world.done(OWNER, moved));
                self.know(other, made, of);
            }
            Step::Wait(blocks) => {
                for _ in 0..blocks {
                    self.world.run_to(self.world.next());
                    self.follow();
                }
            }
        }
    }

    fn know(&mut self, person: u8, lease: LeaseId, of: Fragments) {
        self.made.push((person, lease));
        self.kept.get_mut(&person).unwrap().fragments.insert(lease, of);
        self.follow();
    }

    /// After every block.
    fn follow(&mut self) {
        for (person, kept) in &mut self.kept {
            kept.follow(&self.world, *person);
            if self.world.next().is_multiple_of(EPOCH) {
                kept.before = kept.tree.clone();
            } else {
                kept.answers(&self.world, *person);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Nobody attests, so that leases are lost, too.
    #[test]
    fn every_history_of_leases_gives_the_peers_tree(steps in prop::collection::vec(step(), 1..60)) {
        let kept = PEERS.map(|person| (person, Kept::default())).into();
        let mut run = Run { world: world(), kept, made: Vec::new(), packs: 0 };
        run.follow();
        for step in steps {
            run.take(step);
        }
    }
}

/// A tree with everything gone is the empty one, and slots are used again from below.
#[test]
fn slots_are_used_again_and_nodes_go() {
    let mut world = world();
    let mut leases = Vec::new();
    for number in 1..=5_u8 {
        // The third and the last one end early.
        let until = if number == 3 || number == 5 { 4 } else { 8 };
        world.done(OWNER, PlacePack { blocks: 5, ..place(number, until) });
        let of = Rising::new([Fragment { pack: ContentId::of_raw(&[number]), index: 0 }]).unwrap();
        let batch = AssignBatch { lease: lease_to(&world, 2, &of), fragments: of };
        leases.push(LeaseId::made_by(world.done(OWNER, batch)));
    }
    let slot = |world: &World, lease: LeaseId| {
        world.get(&LeaseKey { peer: account(2), lease }).and_then(|lease| lease.slot)
    };
    let found: Vec<_> = leases.iter().map(|lease| slot(&world, *lease)).collect();
    assert_eq!(found, (0..5).map(Some).collect::<Vec<_>>());
    assert_eq!(peer(&world, 2).assignment.now.slots, 8);
    // Audits are passed until the end of epoch 3 is settled, in epoch 4.
    pass_until(&mut world, 4 * EPOCH + 3);
    let assignment = peer(&world, 2).assignment;
    assert_eq!((assignment.now.slots, assignment.now.blocks), (4, 15));
    assert_eq!((assignment.before.slots, assignment.before.blocks), (8, 25));
    assert_eq!(assignment.at_end_of(3), Some(assignment.before));
    assert_eq!(assignment.at_end_of(4), Some(assignment.now));
    assert_eq!(assignment.at_end_of(2), None, "nobody asks about it any more");
    world.done(OWNER, PlacePack { blocks: 5, price: Amount(1), ..place(9, 8) });
    let of = Rising::new([Fragment { pack: ContentId::of_raw(&[9]), index: 0 }]).unwrap();
    let batch = AssignBatch { lease: lease_to(&world, 2, &of), fragments: of };
    let again = LeaseId::made_by(world.done(OWNER, batch));
    assert_eq!(slot(&world, again), Some(2));
    world.run_to(9 * EPOCH);
    assert_eq!(peer(&world, 2).assignment.now, AssignedRoot::default());
    assert_eq!(nodes(&world.state, account(2)), 0);
}

/// Runs to a height; every peer passes every audit.
fn pass_until(world: &mut World, height: u64) {
    while world.next() <= height {
        match world.next() {
            next if next.is_multiple_of(EPOCH) => {
                let (epoch, passed) = (next / EPOCH - 1, Bytes::new([0xff]).unwrap());
                let attested = AttestAudits { epoch, passed, answers: Hash::default() };
                world.done(VALIDATOR, attested);
            }
            next => world.run_to(next),
        }
    }
}
