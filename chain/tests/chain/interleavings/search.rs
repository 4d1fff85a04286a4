//! The search, on the real ledger with real keys.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem::{Discriminant, discriminant};

use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::encoding::{Bytes, decode, encode};
use chronolith_chain::hash::{Domain, Hash, OfferId, RequestId};
use chronolith_chain::ledger::{
    Account, AccountKey, Action, AgendaKey, Cancel, CloseOffer, CountersKey, Decline, Dispute,
    Executed, Grant, Input, OfferKey, ParameterName, Request, Revoke, RightStatus, audit, execute,
};
use chronolith_chain::state::{Changes, Key as _, Options, State};
use chronolith_chain::transaction::{Body, Transaction};
use chronolith_disk::{CrashMode, SimDisk};
use chronolith_keys::{Grant as Keys, GrantContext, HeaderView};

use super::model::{CANCEL, CHECK, DEADLINE, Move, PRICE, Phase, Sale, UNTIL_MS};
use crate::dispute_rules::{Sale as Dealt, one_time, tree};
use crate::random::Random;
use crate::rights_rules::{BUYER, OWNER, offer, right};
use crate::world::{VALIDATOR, World, account, key};

const OPTIONS: Options = Options { keep_versions: 2, cache_bytes: 1 << 20 };
const PATH: &str = "state.redb";

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A sale with what only the two know.
#[derive(Debug, Clone)]
struct Known {
    request: RequestId,
    right_keys: Vec<u8>,
    wrong_keys: Vec<u8>,
    sale: Sale,
}

/// A state that was reached.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pairs: Map,
    height: u64,
    time_ms: u64,
    known: Vec<Known>,
    is_offered: bool,
    way: Vec<Move>,
}

/// An offer, and an anchored chunk of it.
pub(super) struct Shop {
    world: World,
    offer: OfferId,
    dispute: Dispute,
}

fn pairs(state: &State) -> Map {
    let mut all = Map::new();
    let head = state.head().version;
    state.for_each_at(head, &mut |key, value| drop(all.insert(key.into(), value.into()))).unwrap();
    all
}

fn changes(pairs: &Map) -> Changes {
    pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
}

/// Puts names that do not depend on the way in the place of those that do.
fn rename(bytes: &[u8], names: &[([u8; 32], u8)]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for (name, number) in names {
        while let Some(at) = out.windows(32).position(|part| part == name) {
            out[at..at + 32].fill(*number);
        }
    }
    out
}

impl Shop {
    pub(super) fn new() -> Self {
        let free =
            [ParameterName::FeePerByte, ParameterName::FeePerWeight, ParameterName::Issuance];
        let mut parameters: Vec<_> = free.into_iter().map(|name| (name, 0)).collect();
        parameters.push((ParameterName::CheckBlocksLeast, CHECK.into()));
        parameters.push((ParameterName::CancelBlocks, CANCEL.into()));
        let world = World::with(&parameters);
        let mut offer = offer(0);
        offer.terms.check_blocks = CHECK as u32;
        let mut dealt = Dealt::offered(world, offer);
        let dispute = dealt.anchored_of(0, &[]);
        Self { offer: dealt.offer, world: dealt.world, dispute }
    }

    pub(super) fn begin(&self) -> Node {
        Node {
            pairs: pairs(&self.world.state),
            height: self.world.next() - 1,
            time_ms: self.world.time_ms,
            known: Vec::new(),
            is_offered: true,
            way: Vec::new(),
        }
    }

    fn world(&self, node: &Node) -> World {
        let state = State::in_memory(node.height, changes(&node.pairs), OPTIONS).unwrap();
        self.world.at(state, node.time_ms)
    }

    fn context(&self, request: RequestId) -> GrantContext {
        GrantContext { chain: self.world.chain.0, request: request.0 }
    }

    fn seal(&self, request: RequestId, secret: u8) -> Vec<u8> {
        let keys = Keys::new([tree("speed", secret).cover(0..=0).unwrap()]).unwrap();
        keys.seal(&one_time().public(), &self.context(request), &mut Random(1)).unwrap()
    }

    /// The body of what a move does on the ledger, if it does anything there.
    fn body(&self, world: &World, node: &Node, next: Move) -> Option<Body> {
        let known = |sale: usize| &node.known[sale];
        let grant = |request, keys: &[u8]| Grant { request, wrapped: Bytes::new(keys).unwrap() };
        let action: Action = match next {
            Move::Wait | Move::Fetch(_) => return None,
            Move::Buy => Request {
                offer: self.offer,
                from_ms: 0,
                until_ms: UNTIL_MS,
                key: one_time().public(),
                payment: Amount(PRICE),
                deadline: world.next() + DEADLINE,
            }
            .into(),
            Move::CloseOffer => CloseOffer { offer: self.offer }.into(),
            Move::GrantRight(sale) => grant(known(sale).request, &known(sale).right_keys).into(),
            Move::GrantWrong(sale) => grant(known(sale).request, &known(sale).wrong_keys).into(),
            Move::Decline(sale) => Decline { request: known(sale).request }.into(),
            Move::Cancel(sale) => Cancel { request: known(sale).request }.into(),
            Move::Revoke(sale) => Revoke { request: known(sale).request }.into(),
            Move::Dispute(sale) => {
                let Known { request, right_keys, wrong_keys, sale } = known(sale);
                let keys = if sale.given == Some(true) { right_keys } else { wrong_keys };
                let wrapped = Bytes::new(keys.as_slice()).unwrap();
                Dispute { request: *request, wrapped, ..self.dispute.clone() }.into()
            }
        };
        Some(world.body(if next.is_owners() { OWNER } else { BUYER }, action))
    }

    fn execute(world: &World, bodies: Vec<Body>) -> (Vec<bool>, Executed) {
        let sign = |body: Body| {
            let person = if body.sender == account(OWNER) { OWNER } else { BUYER };
            body.sign(&key(person))
        };
        let executed = world.try_block(bodies.into_iter().map(sign).collect()).unwrap();
        let done = executed.receipts.iter().map(|receipt| receipt.refusal.is_none()).collect();
        (done, executed)
    }

    /// Makes a move, in the ledger and in the model; whether it was allowed.
    pub(super) fn step(&self, node: &mut Node, next: Move) -> bool {
        let world = self.world(node);
        self.step_in(&world, node, next)
    }

    fn step_in(&self, world: &World, node: &mut Node, next: Move) -> bool {
        let body = self.body(world, node, next);
        let transaction = body.as_ref().map(Body::id);
        let (done, executed) = Self::execute(world, body.into_iter().collect());
        let done = done.first().copied().unwrap_or(true);
        node.way.push(next);
        node.height += 1;
        node.time_ms += 1_000;
        for (key, value) in executed.prepared.changes() {
            match value {
                Some(value) => node.pairs.insert(key.clone(), value.clone()),
                None => node.pairs.remove(key),
            };
        }
        let is_expected = self.step_model(node, next, transaction.map(RequestId::made_by));
        assert_eq!(done, is_expected, "{:?}", node.way);
        done
    }

    fn step_model(&self, node: &mut Node, next: Move, request: Option<RequestId>) -> bool {
        let (height, time_ms, is_offered) = (node.height, node.time_ms, node.is_offered);
        let may = match (next, request) {
            (Move::Wait, _) => true,
            (Move::Buy, Some(request)) if is_offered => {
                let (right_keys, wrong_keys) = (self.seal(request, 1), self.seal(request, 2));
                let sale = Sale::new(height);
                node.known.push(Known { request, right_keys, wrong_keys, sale });
                true
            }
            (Move::Buy, _) => false,
            (Move::CloseOffer, _) => std::mem::take(&mut node.is_offered),
            (Move::Fetch(sale), _) => {
                let has_opened = self.opens(&node.known[sale]);
                node.known[sale].sale.has_opened |= has_opened;
                true
            }
            (
                Move::GrantRight(sale)
                | Move::GrantWrong(sale)
                | Move::Decline(sale)
                | Move::Cancel(sale)
                | Move::Revoke(sale)
                | Move::Dispute(sale),
                _,
            ) => {
                let known = &mut node.known[sale].sale;
                let (escrow, given) = (known.escrow(), known.given);
                let done = known.step(next, height, time_ms);
                if known.given != given {
                    assert_eq!(escrow, PRICE, "a key without the payment set aside");
                }
                done
            }
        };
        node.known.iter_mut().for_each(|known| known.sale.end_block(height));
        may
    }

    /// Whether what the buyer was given opens the window that he fetched.
    fn opens(&self, known: &Known) -> bool {
        let Some(is_right) = known.sale.given else { return false };
        let sealed = if is_right { &known.right_keys } else { &known.wrong_keys };
        let keys = Keys::open(sealed, &one_time(), &self.context(known.request)).unwrap();
        let header = HeaderView::from_bytes(&self.dispute.header).unwrap();
        let found = keys.body_key(&header.encryption.tree, header.slot);
        let opens = found.is_some_and(|found| header.is_key(&found));
        assert_eq!(opens, is_right);
        opens
    }

    /// What must be true of every state.
    pub(super) fn check(&self, node: &Node) -> World {
        let (world, way) = (self.world(node), &node.way);
        audit(&world.state).unwrap_or_else(|error| panic!("{way:?}: {error}"));
        let (mut earned, mut spent) = (0, 0);
        for Known { request, right_keys, wrong_keys, sale } in &node.known {
            let found = right(&world, *request);
            let hash =
                |is_right| Domain::Grant.hash(if is_right { right_keys } else { wrong_keys });
            let expected = match sale.phase {
                Phase::Open => RightStatus::Open,
                Phase::Cancelling { from } => RightStatus::Cancelling { from },
                Phase::Granted { is_right, settles } => {
                    RightStatus::Granted { wrapped: hash(is_right), settles }
                }
                Phase::Settled { is_right } => RightStatus::Settled { wrapped: hash(is_right) },
                Phase::Declined => RightStatus::Declined,
                Phase::Refunded => RightStatus::Refunded,
                Phase::Revoked { .. } => RightStatus::Revoked,
                Phase::Faulty => RightStatus::Faulty,
            };
            assert_eq!(found.status, expected, "{way:?}");
            assert_eq!(found.escrow.0, sale.escrow(), "{way:?}");
            let is_kept = sale.escrow() + sale.earned() > 0;
            assert!(
                is_kept || sale.given != Some(true) || sale.phase != Phase::Refunded,
                "{way:?}"
            );
            // Past the deadline for granting nothing is kept from a buyer who has no key.
            let is_late = node.height > found.deadline;
            assert!(!is_late || sale.given.is_some() || !is_kept, "{way:?}");
            assert!(sale.earned() == 0 || sale.given.is_some(), "paid without a key: {way:?}");
            assert!(!sale.has_opened || sale.given == Some(true), "{way:?}");
            earned += sale.earned();
            spent += sale.earned() + sale.escrow();
        }
        let began = |person| self.world.balance(person, Coin::Native).0;
        assert_eq!(world.balance(OWNER, Coin::Native).0, began(OWNER) + earned, "{way:?}");
        assert_eq!(world.balance(BUYER, Coin::Native).0, began(BUYER) - spent, "{way:?}");
        let offered = world.get(&OfferKey { offer: self.offer }).unwrap().is_open;
        assert_eq!(offered, node.is_offered, "{way:?}");
        world
    }

    /// What else the other side can do in the same block cannot take away what one is sure of.
    fn check_blocks_of_two(&self, world: &World, node: &Node) {
        for (number, Known { sale, .. }) in node.known.iter().enumerate() {
            let two = |first, second| {
                let bodies = [first, second].map(|next| self.body(world, node, next).unwrap());
                Self::execute(world, bodies.into()).0
            };
            // An owner who sees an open request and grants it in time has granted it.
            if sale.phase == Phase::Open && node.height < sale.deadline {
                let done = two(Move::Cancel(number), Move::GrantRight(number));
                assert_eq!(done, [true, true], "{:?}", node.way);
            }
            // A buyer who disputes wrong keys in time has his payment back, however it is.
            if matches!(sale.phase, Phase::Granted { is_right: false, .. }) {
                let done = two(Move::Revoke(number), Move::Dispute(number));
                assert_eq!(done, [true, false], "{:?}", node.way);
            }
        }
    }

    /// The last step once more, from a store whose power is cut after it: the state is the same.
    fn check_restart(&self, before: &Node, after: &Node) {
        let next = *after.way.last().unwrap();
        let body = self.body(&self.world(before), before, next);
        let disk = SimDisk::new();
        drop(State::create(&disk, PATH, before.height, changes(&before.pairs), OPTIONS).unwrap());
        let mut state = State::open(&disk, PATH, OPTIONS).unwrap();
        let person = if next.is_owners() { OWNER } else { BUYER };
        let signed = body.map(|body| body.sign(&key(person)));
        let transactions = Transaction::verify_all(signed.into_iter().collect()).unwrap();
        let input = Input {
            chain: self.world.chain,
            height: after.height,
            time_ms: after.time_ms,
            proposer: Some(account(VALIDATOR)),
            beacon: None,
            voters: &[account(VALIDATOR)],
            evidence: &[],
            transactions: &transactions,
        };
        let executed = execute(&state, &input).unwrap();
        let head = state.commit(executed.prepared).unwrap();
        let cut = disk.crash(CrashMode::DropUnsynced, 1);
        let again = State::open(&cut, PATH, OPTIONS).unwrap();
        assert_eq!((again.head(), pairs(&again)), (head, after.pairs.clone()), "{:?}", after.way);
    }

    /// A state without the names that depend on the way to it.
    fn digest(node: &Node) -> Hash {
        let mut names = Vec::new();
        for (number, known) in (0_u8..).zip(&node.known) {
            names.push((known.request.0, 0xF0 + number));
            names.push((Domain::Grant.hash(&known.right_keys).0, 0xE0 + number));
            names.push((Domain::Grant.hash(&known.wrong_keys).0, 0xD0 + number));
        }
        let mut tasks = BTreeSet::new();
        let mut rest = BTreeSet::new();
        for (key, value) in &node.pairs {
            let value = rename(value, &names);
            if let Some(AgendaKey { height, .. }) = AgendaKey::from_bytes(key) {
                tasks.insert((height, value));
            } else if AccountKey::from_bytes(key).is_some() {
                let found: Account = decode("an account", &value, usize::MAX).unwrap();
                let same = Account { nonce: 0, counted_to: 0, ..found };
                rest.insert((key.clone(), encode(&same)));
            } else if CountersKey::from_bytes(key).is_none() {
                rest.insert((rename(key, &names), value));
            }
        }
        let sales: Vec<_> = node.known.iter().map(|known| format!("{:?}", known.sale)).collect();
        Domain::StateValue.hash_of(&(node.height, tasks, rest, sales))
    }

    /// Lets blocks pass until nothing can be pending.
    fn drain(&self, node: &Node) {
        let mut node = node.clone();
        for _ in 0..DEADLINE + CANCEL + CHECK + 2 {
            self.step(&mut node, Move::Wait);
        }
        let world = self.check(&node);
        let is_pending = |key: &Vec<u8>| AgendaKey::from_bytes(key).is_some();
        assert!(!node.pairs.keys().any(is_pending), "{:?}: something is due for ever", node.way);
        for Known { request, .. } in &node.known {
            assert_eq!(right(&world, *request).escrow, Amount::ZERO, "{:?}", node.way);
        }
    }

    /// What the model knows nothing of.
    pub(super) fn give_a_mote(&self, node: &mut Node) {
        let world = self.world(node);
        for (person, up) in [(BUYER, true), (OWNER, false)] {
            let key = AccountKey { address: account(person) };
            let mut found: Account = world.get(&key).unwrap();
            found.balance.0 = if up { found.balance.0 + 1 } else { found.balance.0 - 1 };
            node.pairs.insert(key.to_bytes(), encode(&found));
        }
    }
}

/// What a search saw.
#[derive(Default)]
pub(super) struct Search {
    pub(super) states: usize,
    steps: usize,
    ways: f64,
    pub(super) ends: HashSet<Discriminant<Phase>>,
}

impl Search {
    /// Tries everything, so many steps deep, with at most so many sales.
    pub(super) fn run(shop: &Shop, depth: usize, sales: usize) -> Self {
        let mut search = Self::default();
        // Each state with the number of ways that lead to it.
        let mut layer = vec![(shop.begin(), 1.0)];
        for level in 0..=depth {
            let mut reached: BTreeMap<[u8; 32], usize> = BTreeMap::new();
            let mut next_layer: Vec<(Node, f64)> = Vec::new();
            for (node, ways) in &layer {
                let world = shop.check(node);
                shop.check_blocks_of_two(&world, node);
                search.states += 1;
                search.ends.extend(node.known.iter().map(|known| discriminant(&known.sale.phase)));
                if level == depth {
                    shop.drain(node);
                    search.ways += ways;
                    continue;
                }
                for next in Move::all(node.known.len()) {
                    if next == Move::Buy && node.known.len() == sales {
                        continue;
                    }
                    let mut after = node.clone();
                    shop.step_in(&world, &mut after, next);
                    search.steps += 1;
                    let at = *reached.entry(Shop::digest(&after).0).or_insert_with(|| {
                        if sales == 1 {
                            shop.check_restart(node, &after);
                        }
                        next_layer.push((after, 0.0));
                        next_layer.len() - 1
                    });
                    next_layer[at].1 += ways;
                }
            }
            if level < depth {
                layer = next_layer;
            }
        }
        search
    }

    pub(super) fn report(&self) -> String {
        let Self { states, steps, ways, .. } = self;
        format!("{ways:.3e} interleavings: {states} states, {steps} steps from one to another")
    }
}
