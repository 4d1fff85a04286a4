//! A signed wrong answer to an audit is a lie: it costs part of the bond and all leases at once, and
//! nobody but the peer itself can make it a liar.

use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::encoding::Bytes;
use chronolith_chain::hash::{ChainId, Hash, LeaseId};
use chronolith_chain::ledger::{
    Action, Answer, AssignBatch, Assigned, AssignedFragment, AttestAudits, CloseStorage, Fragments,
    Lease, LeaseKey, LeaseStatus, NewLease, OpenStorage, Peer, PeerKey, PlacePack, Question,
    Reassign, Refusal, Repair, ReportWrongAnswer, Sample, SupplyKey, Thing, batch_root, leases_of,
};
use chronolith_fragment::{BLOCK_BYTES, FragmentTree};

use crate::storage_rules::{consent_to, fragments, open, place};
use crate::world::{EPOCH_BLOCKS, VALIDATOR, World, account, epoch, epoch_end, key};

const OWNER: u8 = 1;
const PEER: u8 = 2;
const OTHER: u8 = 3;
const REPAIRER: u8 = 4;
const REPORTER: u8 = 5;
/// Blocks of a fragment.
const BLOCKS: u32 = 30;

/// The bytes that stand for every fragment.
fn bytes() -> Vec<u8> {
    (0..BLOCKS * BLOCK_BYTES as u32).map(|byte| (byte / 7) as u8).collect()
}

fn assigned_of(of: &Fragments) -> Vec<AssignedFragment> {
    let root = Hash(FragmentTree::of(&bytes()).root());
    let one = |fragment: &_| AssignedFragment { fragment: *fragment, root, blocks: BLOCKS };
    of.iter().map(one).collect()
}

fn lease_to(world: &World, person: u8, of: &Fragments) -> NewLease {
    let root = batch_root(&assigned_of(of)).unwrap().unwrap().hash;
    consent_to(world, person, OWNER, of, root, world.next() + 5)
}

/// Leases fragments of a placed pack to a person, who keeps them.
fn lease(world: &mut World, kept: &mut Assigned, person: u8, of: &[(u8, u8)]) -> LeaseId {
    let of = fragments(of);
    let lease = lease_to(world, person, &of);
    let batch = AssignBatch { lease, fragments: of.clone() };
    let id = LeaseId::made_by(world.done(OWNER, batch));
    kept.set(row(world, person, id).unwrap().slot.unwrap(), assigned_of(&of)).unwrap();
    id
}

fn row(world: &World, person: u8, lease: LeaseId) -> Option<Lease> {
    world.get(&LeaseKey { peer: account(person), lease })
}

fn peer(world: &World, person: u8) -> Option<Peer> {
    world.get(&PeerKey { peer: account(person) })
}

/// Two peers, of which the first keeps fragments of two packs until epoch 9 in two leases.
fn kept() -> (World, Assigned, [LeaseId; 2]) {
    let mut world = World::new();
    for person in [PEER, OTHER] {
        world.done(person, OpenStorage { capacity_bytes: 1 << 24, ..open(100) });
    }
    let mut kept = Assigned::new();
    for number in [1, 2] {
        world.done(OWNER, PlacePack { blocks: BLOCKS, ..place(number, 9) });
    }
    let leases = [[(1, 0), (1, 2)], [(2, 1), (2, 3)]];
    let leases = leases.map(|of| lease(&mut world, &mut kept, PEER, &of));
    (world, kept, leases)
}

fn question(world: &World, epoch: u64, person: u8) -> Question {
    Question::of(&world.state, world.chain, epoch, account(person)).unwrap().unwrap()
}

fn honest(question: &Question, kept: &Assigned, person: u8) -> Answer {
    let (bytes, tree) = (bytes(), FragmentTree::of(&bytes()));
    let block = |_: &AssignedFragment, row: u32| {
        let block = bytes.chunks(BLOCK_BYTES).nth(row as usize)?.try_into().ok()?;
        Some((block, tree.prove(&[row as usize]).ok()?))
    };
    Answer::make(question, kept, &key(person), block).unwrap()
}

/// The answer with another block in one sample, signed.
fn lie(question: &Question, kept: &Assigned, person: u8) -> ReportWrongAnswer {
    let mut samples: Vec<Sample> = honest(question, kept, person).samples.to_vec();
    samples[7].block[3] ^= 1;
    ReportWrongAnswer { answer: Answer::sign(question, samples, &key(person)).unwrap() }
}

#[test]
fn a_lie_costs_half_the_bond_and_all_leases() {
    let (mut world, kept, leases) = kept();
    world.run_to(epoch_end(1));
    let question = question(&world, 0, PEER);
    assert_eq!(question.assigned, kept.root().unwrap());
    assert_eq!(question.blocks.len(), 20);
    let report = lie(&question, &kept, PEER);
    let fee = world.body(REPORTER, report.clone().into()).fee;
    let (before, burnt) =
        (world.balance(REPORTER, Coin::Native), world.get(&SupplyKey {}).unwrap());
    world.done(REPORTER, report.clone());
    let found = peer(&world, PEER).unwrap();
    assert_eq!(
        (found.bond, found.lied_epoch, found.is_losing),
        (Amount::coins(50), Some(0), false)
    );
    // 5 % of what it lost.
    let reward = Amount::coins(5).share(1, 2).unwrap();
    let after = world.balance(REPORTER, Coin::Native).plus(fee).unwrap();
    assert_eq!(after, before.plus(reward).unwrap());
    let forfeited = Amount::coins(50).minus(reward).unwrap();
    let now = world.get(&SupplyKey {}).unwrap().burnt;
    assert!(now >= burnt.burnt.plus(forfeited).unwrap());
    assert_eq!((found.leased_bytes, found.leases, found.assignment.now.slots), (0, 2, 0));
    for lease in leases {
        let found = row(&world, PEER, lease).unwrap();
        assert_eq!((found.status, found.slot), (LeaseStatus::Lost, None));
    }
    assert_eq!(world.refused(REPORTER, report), Refusal::Exists(Thing::Evidence));
    // For what was asked it is still known what was assigned.
    assert_eq!(self::question(&world, 0, PEER), question);

    // The rest of the bond is no bond, until it is enough again.
    let of = fragments(&[(1, 1)]);
    let batch = AssignBatch { lease: lease_to(&world, PEER, &of), fragments: of };
    let (minimum, found) = (Amount::coins(100).0, Amount::coins(50).0);
    let short = Refusal::Bounds { minimum, maximum: u128::MAX, found };
    assert_eq!(world.refused(OWNER, batch.clone()), short);
    world.done(PEER, open(50));
    world.done(OWNER, batch);

    // What it lost is repaired at once.
    let of = fragments(&[(1, 0), (1, 2)]);
    let to = lease_to(&world, OTHER, &of);
    let repair = Repair { peer: account(PEER), lease: leases[0], fragments: of, to };
    world.done(REPAIRER, repair);
    // Nobody pays it for the lost one.
    let before = world.balance(OWNER, Coin::Native);
    world.run_to(epoch_end(2) + 30);
    assert!(world.balance(OWNER, Coin::Native) > before);
}

#[test]
fn only_what_the_peer_signed_to_this_question_is_a_lie() {
    let (mut world, kept, _) = kept();
    let report = |answer| ReportWrongAnswer { answer };
    // Epoch 0 is not over.
    let early = {
        let drawn = kept.root().unwrap();
        let asked = Question::new(world.chain, 0, Hash([1; 32]), account(PEER), drawn, 20);
        report(Answer::sign(&asked, Vec::new(), &key(PEER)).unwrap())
    };
    assert_eq!(world.refused(REPORTER, early.clone()), Refusal::Early { from: EPOCH_BLOCKS });
    let never = report(Answer { epoch: u64::MAX, ..early.answer.clone() });
    assert!(matches!(world.refused(REPORTER, never), Refusal::Early { .. }));
    world.run_to(epoch_end(1));
    // By another beacon than the ledger's.
    assert_eq!(world.refused(REPORTER, early), Refusal::Unsigned);
    let question = question(&world, 0, PEER);
    let right = honest(&question, &kept, PEER);
    assert_eq!(world.refused(REPORTER, report(right.clone())), Refusal::Honest);
    let samples = right.samples.to_vec();
    let by_another = Answer::sign(&question, samples[1..].to_vec(), &key(OTHER)).unwrap();
    assert_eq!(world.refused(REPORTER, report(by_another)), Refusal::Unsigned);
    let mut changed = right.clone();
    changed.samples.pop();
    assert_eq!(world.refused(REPORTER, report(changed)), Refusal::Unsigned);
    let elsewhere = Question { chain: ChainId([9; 32]), ..question.clone() };
    let elsewhere = Answer::sign(&elsewhere, Vec::new(), &key(PEER)).unwrap();
    assert_eq!(world.refused(REPORTER, report(elsewhere)), Refusal::Unsigned);
    let nobody = Answer { peer: account(7), ..right.clone() };
    assert_eq!(world.refused(REPORTER, report(nobody)), Refusal::Missing(Thing::Peer));
    let free = Answer { peer: account(OTHER), ..right.clone() };
    assert_eq!(world.refused(REPORTER, report(free)), Refusal::Missing(Thing::Audit));
    assert_eq!(peer(&world, PEER).unwrap().bond, Amount::coins(100));
    // Too few samples are a lie, too; but not after the next epoch.
    let few = report(Answer::sign(&question, samples[1..].to_vec(), &key(PEER)).unwrap());
    world.run_to(epoch_end(2) - 1);
    assert_eq!(world.refused(REPORTER, few), Refusal::Late { until: epoch_end(2) });
}

/// What is assigned changes after the question: it is judged by what was assigned when it was asked.
#[test]
fn leases_that_come_and_go_meanwhile_change_no_question() {
    let (mut world, mut kept, leases) = kept();
    world.run_to(epoch_end(1));
    let asked = question(&world, 0, PEER);
    let at_the_end = kept.clone();
    lease(&mut world, &mut kept, PEER, &[(1, 1)]);
    let of = fragments(&[(1, 0), (1, 2)]);
    let to = lease_to(&world, OTHER, &of);
    let moved = Reassign { peer: account(PEER), lease: leases[0], fragments: of, to };
    world.done(OWNER, moved);
    assert_eq!(kept.ledger_root(), peer(&world, PEER).unwrap().assignment.now);
    assert_ne!(kept.root(), at_the_end.root());
    assert_eq!(question(&world, 0, PEER), asked);
    let right = honest(&asked, &at_the_end, PEER);
    let right = ReportWrongAnswer { answer: right };
    assert_eq!(world.refused(REPORTER, right), Refusal::Honest);
    world.done(REPORTER, lie(&asked, &at_the_end, PEER));
}

#[test]
fn many_leases_are_lost_block_by_block() {
    let (mut world, mut kept, _) = kept();
    // 150 more, of packs with 100 fragments.
    for number in [3, 4] {
        let pack = PlacePack { needed: 50, fragments: 100, blocks: BLOCKS, ..place(number, 9) };
        world.done(OWNER, pack);
        let of: Vec<(u8, u8)> = (0..75).map(|index| (number, index)).collect();
        let all = of.iter().map(|one| {
            let of = fragments(&[*one]);
            AssignBatch { lease: lease_to(&world, PEER, &of), fragments: of }
        });
        let all: Vec<Action> = all.map(Into::into).collect();
        let made = world.all_done(OWNER, all);
        for (transaction, one) in made.into_iter().zip(&of) {
            let id = LeaseId::made_by(transaction);
            let slot = row(&world, PEER, id).unwrap().slot.unwrap();
            kept.set(slot, assigned_of(&fragments(&[*one]))).unwrap();
        }
    }
    world.run_to(epoch_end(1));
    assert_eq!(kept.ledger_root(), peer(&world, PEER).unwrap().assignment.now);
    let asked = question(&world, 0, PEER);
    world.done(REPORTER, lie(&asked, &kept, PEER));
    let lost = |world: &World| {
        let all = leases_of(&world.state, account(PEER), LeaseId::default(), 1_000).unwrap();
        all.iter().filter(|(_, lease)| lease.status == LeaseStatus::Lost).count()
    };
    assert_eq!(lost(&world), 64);
    let found = peer(&world, PEER).unwrap();
    assert!(found.is_losing && found.assignment.now.blocks > 0);
    // It takes nothing before all are lost, whatever its bond; what would be lost with them is not.
    let of = fragments(&[(1, 1)]);
    let batch = AssignBatch { lease: lease_to(&world, PEER, &of), fragments: of };
    assert_eq!(world.refused(OWNER, batch), Refusal::Status(Thing::Peer));
    assert_eq!(lost(&world), 128);
    world.run_to(world.next());
    assert_eq!(lost(&world), 152);
    let found = peer(&world, PEER).unwrap();
    assert_eq!((found.is_losing, found.leased_bytes, found.assignment.now.slots), (false, 0, 0));
}

#[test]
fn a_peer_that_lied_leaves_with_what_is_left_to_it() {
    let (mut world, kept, leases) = kept();
    world.run_to(epoch_end(1));
    let asked = question(&world, 0, PEER);
    world.done(REPORTER, lie(&asked, &kept, PEER));
    world.done(PEER, CloseStorage);
    let before = world.balance(PEER, Coin::Native);
    // Its last audit can be disputed until the next epoch ends.
    world.run_to(epoch_end(2) - 1);
    assert_eq!(peer(&world, PEER).unwrap().bond, Amount::coins(50));
    world.run_to(epoch_end(2));
    assert_eq!(world.balance(PEER, Coin::Native), before.plus(Amount::coins(50)).unwrap());
    // Its row stays while its lost leases wait for another peer.
    assert_eq!(peer(&world, PEER).unwrap().bond, Amount::ZERO);
    assert!(row(&world, PEER, leases[0]).is_some());
    world.run_to(epoch_end(11));
    assert!(peer(&world, PEER).is_none());
    assert!(row(&world, PEER, leases[0]).is_none());
}

/// Runs to the end of an epoch's audits, which the first peer passes.
fn pass(world: &mut World, epoch: u64) {
    world.run_to(epoch_end(epoch + 1));
    let passed = Bytes::new([0b11]).unwrap();
    world.done(VALIDATOR, AttestAudits { epoch, passed, answers: Hash::default() });
    world.run_to(epoch_end(epoch + 1) + 30);
}

#[test]
fn a_peer_that_leaves_keeps_and_is_paid_until_its_leases_are_moved() {
    let (mut world, kept, leases) = kept();
    pass(&mut world, 0);
    let of = [fragments(&[(1, 0), (1, 2)]), fragments(&[(2, 1), (2, 3)])];
    let repair = |world: &World, number: usize| {
        let (lease, fragments) = (leases[number], of[number].clone());
        let to = lease_to(world, OTHER, &fragments);
        Repair { peer: account(PEER), lease, fragments, to }
    };
    let not_leaving = repair(&world, 0);
    assert_eq!(world.refused(REPAIRER, not_leaving), Refusal::Status(Thing::Lease));
    world.done(PEER, CloseStorage);
    let at = epoch(world.next());
    // The owner moves one lease, a repairer the other while the owner is away.
    let to = lease_to(&world, OTHER, &of[1]);
    let moved = Reassign { peer: account(PEER), lease: leases[1], fragments: of[1].clone(), to };
    world.done(OWNER, moved);
    let first = repair(&world, 0);
    world.done(REPAIRER, first);
    // It goes on with both until the epoch ends, and is audited and paid for it.
    assert_eq!(peer(&world, PEER).unwrap().assignment.now, kept.ledger_root());
    let before = world.balance(PEER, Coin::Native);
    pass(&mut world, at);
    let paid = Amount(4 * 1_000 * 98 / 100);
    assert_eq!(world.balance(PEER, Coin::Native), before.plus(paid).unwrap());
    let found = peer(&world, PEER).unwrap();
    assert_eq!((found.leases, found.assignment.now.slots), (0, 0));
    assert_eq!(peer(&world, OTHER).unwrap().leases, 2);
    world.run_to(epoch_end(at + 2));
    assert!(peer(&world, PEER).is_none());
    let after = before.plus(paid).unwrap().plus(Amount::coins(100)).unwrap();
    assert_eq!(world.balance(PEER, Coin::Native), after);
}
