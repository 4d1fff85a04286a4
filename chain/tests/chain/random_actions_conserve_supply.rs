//! Random actions, sensible and not, in random order: nothing panics, no coin is lost or invented,
//! and whoever executes the same blocks, from the beginning or from a snapshot, has the same root.
//!
//! `CHRONOLITH_ACTIONS` (20,000) says how many, `CHRONOLITH_SEED` (1) which. All coin is counted after
//! every block of the first 20,000 actions, then after every 25th, because counting reads all of a state that
//! grows: what is lost stays lost. `CHRONOLITH_COUNT_EVERY` (25) says otherwise.

mod deals;

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, Rising, Text, decode, encode};
use chronolith_chain::hash::{
    BlockId, BountyId, CertificateId, CoinId, DealId, Hash, LeaseId, OfferId, RequestId, ServiceId,
    SubscriptionId,
};
use chronolith_chain::ledger::{
    Account, AccountKey, Action, Anchor, Answer, AssignedRoot, AttestAudits, BLOCK_BYTES, BurnCoin,
    Cancel, Certify, Choice, CloseOffer, CloseStorage, Decline, Delegate, DeviceCatalogue,
    DeviceKey, Discard, Evidence, Fragments, Grant, Input, IssueCoin, IssuedCoinKey, Lease,
    LeaseKey, LeaseStatus, LockCoin, MintCoin, Misdeed, PackKey, ParameterName, Peak, Peer,
    PeerKey, Question, Ready, Reassign, RegisterService, Renew, Repair, ReportWrongAnswer,
    RequestKey, RetireDevice, Retract, Revoke, RevokeCertificate, ServiceKey, Unbond,
    UpdateService, Vote, audit, execute,
};
use chronolith_chain::state::{Key as _, Options, Restore, State};
use chronolith_chain::transaction::{Body, Transaction, Verified};
use chronolith_chain::vote::{self, Signed, Step};

use crate::coin_rules::transfer;
use crate::device_and_anchor_rules::{device, hand_over, register};
use crate::directory_rules::info;
use crate::governance_rules::parameter;
use crate::random::Random;
use crate::rights_rules::{offer, request};
use crate::storage_rules::{fragments, lease_with, open, place};
use crate::validator_rules::bond;
use crate::world::{PEOPLE, VALIDATOR, World, account, consensus_key, epoch, key};

/// Things that were made, to be acted on.
#[derive(Default)]
struct Made {
    /// Leases of the last block, slots that leases were in, and how often one was taken again.
    new_leases: Vec<(Address, LeaseId, Fragments)>,
    slots: BTreeSet<(Address, u32)>,
    slots_again: u64,
    coins: Vec<CoinId>,
    offers: Vec<OfferId>,
    requests: Vec<RequestId>,
    leases: Vec<(Address, LeaseId, Fragments)>,
    services: Vec<ServiceId>,
    certificates: Vec<CertificateId>,
    proposals: u64,
    roots: u64,
    bounties: Vec<BountyId>,
    deals: Vec<DealId>,
    subscriptions: Vec<SubscriptionId>,
    /// Offers that say more than others.
    extended: Vec<OfferId>,
    /// Batches of one chunk that can be shown, before and after they were anchored.
    planned: Vec<Keyed>,
    keyed: Vec<Keyed>,
}

/// An encrypted chunk that is alone in its batch.
#[derive(Clone)]
struct Keyed {
    device: Address,
    era: u32,
    hour: i64,
    header: Vec<u8>,
    anchor: (Address, Hash),
}

/// Keeps the last things of a kind.
fn keep<T>(all: &mut Vec<T>, one: T) {
    if all.len() >= 40 {
        all.remove(0);
    }
    all.push(one);
}

struct Generator {
    random: Random,
    made: Made,
}

impl Generator {
    fn person(&mut self) -> u8 {
        self.random.below(u64::from(PEOPLE)) as u8
    }

    /// Mostly sensible amounts, sometimes one that cannot be.
    fn amount(&mut self) -> Amount {
        match self.random.below(20) {
            0 => Amount(u128::MAX - u128::from(self.random.below(3))),
            1 => Amount(0),
            2..8 => Amount(u128::from(self.random.next())),
            _ => Amount::coins(self.random.below(2_000)),
        }
    }

    fn one_of<T: Clone + Default>(&mut self, from: impl Fn(&Made) -> &Vec<T>) -> T {
        let known = from(&self.made);
        if known.is_empty() { T::default() } else { self.random.pick(known).clone() }
    }

    fn coin(&mut self) -> Coin {
        let coin = self.one_of(|made| &made.coins);
        if self.random.below(3) == 0 { Coin::Issued(coin) } else { Coin::Native }
    }

    /// Mostly who may do it, sometimes somebody else.
    fn mostly(&mut self, sender: &mut u8, may: Option<Address>) {
        let person = (0..PEOPLE).find(|person| Some(account(*person)) == may);
        if self.random.below(5) > 0 {
            *sender = person.unwrap_or(*sender);
        }
    }

    fn action(&mut self, world: &World, sender: &mut u8) -> Action {
        match self.random.below(10) {
            0 => self.coin_action(world, sender),
            1 => self.stake_action(world, *sender),
            2 => self.governance_action(),
            3 => self.device_action(world, sender),
            4 => self.rights_action(world, sender),
            5 => self.pack_action(world, sender),
            6 => self.lease_action(world, sender),
            7 | 8 => self.deals_action(world, sender),
            _ => self.directory_action(world, sender),
        }
    }

    fn coin_action(&mut self, world: &World, sender: &mut u8) -> Action {
        let (coin, amount, to) = (self.coin(), self.amount(), self.person());
        let issued = self.one_of(|made| &made.coins);
        let issuer = world.get(&IssuedCoinKey { coin: issued }).map(|found| found.issuer);
        self.mostly(sender, issuer);
        match self.random.below(8) {
            0 => {
                let cap = (self.random.below(2) == 0).then(|| self.amount());
                let symbol = Text::new("CAR").unwrap();
                IssueCoin { symbol, decimals: 2, cap, supply: amount }.into()
            }
            1 | 2 => MintCoin { coin: issued, amount, to: account(to) }.into(),
            3 => BurnCoin { coin, amount: Amount(amount.0 / 1_000) }.into(),
            4 if self.random.below(10) == 0 => LockCoin { coin: issued }.into(),
            _ => transfer(to, coin, amount.0).into(),
        }
    }

    fn stake_action(&mut self, world: &World, sender: u8) -> Action {
        let (validator, amount) = (account(self.random.below(4) as u8), self.amount());
        let part = (self.random.below(4) > 0).then_some(amount);
        match self.random.below(10) {
            0 => bond(sender, self.random.below(3_000)).into(),
            1 => Ready.into(),
            2 => Unbond { amount: part }.into(),
            3 | 4 => Retract { validator, amount: part }.into(),
            5 if self.random.below(30) == 0 => self.evidence(world).into(),
            _ => Delegate { validator, amount }.into(),
        }
    }

    fn evidence(&mut self, world: &World) -> Evidence {
        let person = 1 + self.random.below(3) as u8;
        let height = world.next().saturating_sub(self.random.below(40));
        let mut signed = |block| {
            let block = Some(BlockId([block; 32]));
            let (chain, round) = (world.chain, self.random.below(2) as u32);
            let message = vote::Vote { chain, height, round, step: Step::Prevote, block };
            Signed::new(message, &consensus_key(person))
        };
        let misdeed = Misdeed::Votes(signed(1), signed(2));
        Evidence { key: consensus_key(person).public(), misdeed }
    }

    fn governance_action(&mut self) -> Action {
        if self.random.below(6) == 0 {
            let names = [
                (ParameterName::FeeBurn, 10_001),
                (ParameterName::Issuance, 5_000_000),
                (ParameterName::ProposerShare, 5_000),
                (ParameterName::LeaseBurn, 5_000),
                (ParameterName::UnbondingBlocks, 60),
                (ParameterName::AuditMisses, 4),
            ];
            let (name, most) = *self.random.pick(&names);
            return parameter(name, u128::from(self.random.below(most))).into();
        }
        let choice = *self.random.pick(&[Choice::Yes, Choice::Yes, Choice::No, Choice::Abstain]);
        let latest = self.made.proposals;
        Vote { proposal: latest.saturating_sub(self.random.below(3)), choice }.into()
    }

    fn device_action(&mut self, world: &World, sender: &mut u8) -> Action {
        let number = self.random.below(6) as u8;
        let found = world.get(&DeviceKey { device: device(number) });
        self.mostly(sender, found.as_ref().map(|found| found.owner));
        let sender = *sender;
        match (found, self.random.below(12)) {
            (None, _) => register(world, number, sender, sender).into(),
            (Some(found), 0) => hand_over(world, number, sender, self.person(), found.tree).into(),
            (Some(_), 1) if self.random.below(100) == 0 => {
                RetireDevice { device: device(number) }.into()
            }
            (Some(found), _) => {
                self.made.roots += 1;
                let after = Hash(self.random.bytes());
                let before = if self.random.below(9) == 0 { after } else { found.catalogue };
                let entry = DeviceCatalogue { device: device(number), before, after };
                let devices = Rising::new([entry]).unwrap();
                if self.random.below(2) == 0 {
                    let root = self.keyed_batch(world, number, found.tree);
                    return Anchor { root, chunks: 1, devices }.into();
                }
                let chunks = self.random.below(4) as u32;
                Anchor { root: Hash(self.random.bytes()), chunks, devices }.into()
            }
        }
    }

    fn rights_action(&mut self, world: &World, sender: &mut u8) -> Action {
        let request_id = self.one_of(|made| &made.requests);
        let right = world.get(&RequestKey { request: request_id });
        let choice = self.random.below(12);
        match choice {
            6.. if choice == 9 => self.mostly(sender, right.map(|right| right.buyer)),
            6.. => self.mostly(sender, right.map(|right| right.owner)),
            _ => {}
        }
        let sender = *sender;
        match choice {
            0 | 1 => {
                let mut made = offer(0);
                if let chronolith_chain::ledger::Subject::Metrics { device: of, .. } =
                    &mut made.scope.subject
                {
                    *of = device(self.random.below(6) as u8);
                }
                if self.random.below(2) == 0 {
                    let hidden = Hash(self.random.bytes());
                    made.scope.subject = chronolith_chain::ledger::Subject::Hidden(hidden);
                }
                made.fixed = Amount(self.amount().0 / 1_000);
                made.per_hour = Amount(3);
                made.coin = self.coin();
                made.into()
            }
            2 if self.random.below(4) == 0 => {
                CloseOffer { offer: self.one_of(|made| &made.offers) }.into()
            }
            3..6 => {
                let offer = self.one_of(|made| &made.offers);
                let key = chronolith_chain::ledger::OfferKey { offer };
                let price = world.get(&key).and_then(|found| found.offer.price(0, 36_000_000).ok());
                request(world, offer, price.unwrap_or_default().0).into()
            }
            6 | 7 => {
                let wrapped = Bytes::new([sender; 40]).unwrap();
                Grant { request: request_id, wrapped }.into()
            }
            8 => Decline { request: request_id }.into(),
            9 => Cancel { request: request_id }.into(),
            _ => Revoke { request: request_id }.into(),
        }
    }

    fn pack_action(&mut self, world: &World, sender: &mut u8) -> Action {
        let number = self.random.below(30) as u8;
        let id = ContentId::of_raw(&[number]);
        let owners = (0..PEOPLE).map(account);
        let placed: Vec<Address> = owners
            .filter(|owner| world.get(&PackKey { pack: id, owner: *owner }).is_some())
            .collect();
        let owner = (!placed.is_empty()).then(|| *self.random.pick(&placed));
        let choice = self.random.below(9);
        match choice {
            3 => self.mostly(sender, Some(account(VALIDATOR))),
            2 | 6.. => self.mostly(sender, owner),
            _ => {}
        }
        let sender = *sender;
        match choice {
            0 => open(self.random.below(300)).into(),
            1 if self.random.below(20) == 0 => CloseStorage.into(),
            1 if self.random.below(3) == 0 => self.wrong_answer(world).into(),
            2 => Discard { pack: ContentId::of_raw(&[number]) }.into(),
            3 => {
                let last = epoch(world.next()).saturating_sub(1);
                let passed = Bytes::new([1 + self.random.below(250) as u8]).unwrap();
                let answers = Hash::default();
                AttestAudits { epoch: last, passed, answers }.into()
            }
            4 | 5 => {
                let until = epoch(world.next()) + 1 + self.random.below(5);
                place(number, until).into()
            }
            _ => {
                let mut all = BTreeSet::new();
                for _ in 0..=self.random.below(3) {
                    all.insert((number, self.random.below(5) as u8));
                }
                let of = fragments(&all.into_iter().collect::<Vec<_>>());
                let lease = lease_with(world, self.person(), sender, &of);
                chronolith_chain::ledger::AssignBatch { fragments: of, lease }.into()
            }
        }
    }

    /// Mostly an answer without samples to the audit of the last epoch, which is a lie.
    fn wrong_answer(&mut self, world: &World) -> ReportWrongAnswer {
        let person = self.person();
        let last = epoch(world.next()).saturating_sub(1);
        let asked = Question::of(&world.state, world.chain, last, account(person)).unwrap();
        let root = Peak { hash: Hash([9; 32]), blocks: 5 };
        let asked = asked.unwrap_or_else(|| {
            Question::new(world.chain, last, Hash::default(), account(person), root, 20)
        });
        let signer = if self.random.below(5) == 0 { self.person() } else { person };
        let answer = Answer::sign(&asked, Vec::new(), &key(signer)).unwrap();
        ReportWrongAnswer { answer }
    }

    fn lease_action(&mut self, world: &World, sender: &mut u8) -> Action {
        if self.made.leases.is_empty() {
            return self.pack_action(world, sender);
        }
        let (peer, lease, of) = self.random.pick(&self.made.leases).clone();
        let found = world.get(&LeaseKey { peer, lease });
        let owner = found.map(|found| found.owner);
        let person = (0..PEOPLE).find(|person| Some(account(*person)) == owner).unwrap_or(*sender);
        let to = lease_with(world, self.person(), person, &of);
        let is_lost = found.is_some_and(|found| found.status == LeaseStatus::Lost);
        let choice = if is_lost { self.random.below(2) } else { self.random.below(3) };
        self.mostly(sender, if choice == 1 { Some(account(4)) } else { owner });
        match choice {
            0 => Reassign { peer, lease, fragments: of, to }.into(),
            1 => Repair { peer, lease, fragments: of, to }.into(),
            _ => {
                let until_epoch = epoch(world.next()) + self.random.below(7);
                Renew { peer, lease, fragments: of, until_epoch }.into()
            }
        }
    }

    fn directory_action(&mut self, world: &World, sender: &mut u8) -> Action {
        let service = self.one_of(|made| &made.services);
        let found = world.get(&ServiceKey { service });
        self.mostly(sender, found.map(|found| found.owner));
        match self.random.below(4) {
            0 => RegisterService { info: info("a service") }.into(),
            1 => UpdateService {
                service,
                info: (self.random.below(2) == 0).then(|| info("another")),
            }
            .into(),
            2 => Certify {
                subject: account(self.person()),
                purpose: Text::new("tls").unwrap(),
                certificate: Hash(self.random.bytes()),
                valid_until_ms: self.random.next(),
            }
            .into(),
            _ => RevokeCertificate { certificate: self.one_of(|made| &made.certificates) }.into(),
        }
    }

    /// Remembers what a transaction made.
    fn learn(&mut self, transaction: &Verified) {
        let id = transaction.id();
        let made = &mut self.made;
        match &transaction.body().action {
            Action::IssueCoin(_) => keep(&mut made.coins, CoinId::made_by(id)),
            Action::Offer(_) => keep(&mut made.offers, OfferId::made_by(id)),
            Action::OfferExtended(_) => {
                keep(&mut made.offers, OfferId::made_by(id));
                keep(&mut made.extended, OfferId::made_by(id));
            }
            Action::PostBounty(_) => keep(&mut made.bounties, BountyId::made_by(id)),
            Action::OpenDeal(_) => keep(&mut made.deals, DealId::made_by(id)),
            Action::Subscribe(_) => keep(&mut made.subscriptions, SubscriptionId::made_by(id)),
            Action::Anchor(anchor) => {
                let sender = transaction.body().sender;
                let planned = made.planned.iter().find(|keyed| keyed.anchor.1 == anchor.root);
                if let Some(keyed) = planned.cloned() {
                    keep(&mut made.keyed, Keyed { anchor: (sender, anchor.root), ..keyed });
                }
            }
            Action::Request(_) => keep(&mut made.requests, RequestId::made_by(id)),
            Action::RegisterService(_) => keep(&mut made.services, ServiceId::made_by(id)),
            Action::Certify(_) => keep(&mut made.certificates, CertificateId::made_by(id)),
            Action::Propose(_) => made.proposals += 1,
            Action::AssignBatch(action) => {
                let lease = (action.lease.peer, LeaseId::made_by(id), action.fragments.clone());
                made.new_leases.push(lease.clone());
                keep(&mut made.leases, lease);
            }
            Action::Reassign(Reassign { to, fragments, .. })
            | Action::Repair(Repair { to, fragments, .. }) => {
                let lease = (to.peer, LeaseId::made_by(id), fragments.clone());
                made.new_leases.push(lease.clone());
                keep(&mut made.leases, lease);
            }
            _ => {}
        }
    }
}

impl Generator {
    /// Counts the new leases whose slot had a lease before.
    fn learn_slots(&mut self, world: &World) {
        for (peer, lease, _) in std::mem::take(&mut self.made.new_leases) {
            let slot = world.get(&LeaseKey { peer, lease }).and_then(|lease| lease.slot);
            let Some(slot) = slot else { continue };
            self.made.slots_again += u64::from(!self.made.slots.insert((peer, slot)));
        }
    }
}

/// Every peer's row says what its leases are, and its tree is the one of their slots.
fn trees_are_right(state: &State) {
    let mut peers: BTreeMap<Address, Peer> = BTreeMap::new();
    let mut leases: BTreeMap<Address, Vec<Lease>> = BTreeMap::new();
    state
        .for_each_at(state.head().version, &mut |key, value| {
            if let Some(key) = PeerKey::from_bytes(key) {
                peers.insert(key.peer, decode("a peer", value, usize::MAX).unwrap());
            } else if let Some(key) = LeaseKey::from_bytes(key) {
                let lease = decode("a lease", value, usize::MAX).unwrap();
                leases.entry(key.peer).or_default().push(lease);
            }
        })
        .unwrap();
    for (address, peer) in peers {
        let leases = leases.remove(&address).unwrap_or_default();
        let running = leases.iter().filter(|lease| lease.status == LeaseStatus::Running);
        let leased: u64 = running.clone().map(|lease| lease.bytes).sum();
        assert_eq!((peer.leases, peer.leased_bytes), (leases.len() as u64, leased));
        let slots = running.map(|lease| {
            (lease.slot.unwrap(), Peak { hash: lease.root, blocks: lease.bytes / BLOCK_BYTES })
        });
        assert_eq!(AssignedRoot::of(slots).unwrap(), peer.assignment.now);
    }
    assert!(leases.is_empty(), "no lease without its peer");
}

/// The transactions of one block.
fn block(generator: &mut Generator, world: &World, count: u64) -> Vec<Transaction> {
    let mut accounts: BTreeMap<u8, Account> = BTreeMap::new();
    let mut transactions = Vec::new();
    let fee = Amount::coins(1).0 / 100_000;
    for _ in 0..count {
        let mut person = generator.person();
        let action = generator.action(world, &mut person);
        let key_of = AccountKey { address: account(person) };
        let sender =
            accounts.entry(person).or_insert_with(|| world.get(&key_of).unwrap_or_default());
        let body = Body {
            version: 1,
            chain: world.chain,
            sender: account(person),
            nonce: sender.nonce,
            valid_until: world.next() + generator.random.below(5),
            fee: Amount(fee),
            action,
        };
        sender.nonce += 1;
        transactions.push(body.sign(&key(person)));
    }
    transactions
}

fn run(state: &mut State, world: &World, height: u64, time_ms: u64, block: &[Verified]) {
    let voters = [account(VALIDATOR), account(1)];
    let input = Input {
        chain: world.chain,
        height,
        time_ms,
        proposer: Some(account(VALIDATOR)),
        beacon: None,
        voters: &voters,
        evidence: &[],
        transactions: block,
    };
    let executed =
        execute(state, &input).unwrap_or_else(|error| panic!("height {height}: {error}"));
    state.commit(executed.prepared).unwrap();
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn random_actions_conserve_supply_and_replay() {
    let (actions, seed) = (number("CHRONOLITH_ACTIONS", 20_000), number("CHRONOLITH_SEED", 1));
    let count_every = number("CHRONOLITH_COUNT_EVERY", 25).max(1);
    let mut world = World::new();
    let mut replayed = World::new().state;
    let mut from_snapshot: Option<State> = None;
    let mut generator = Generator { random: Random(seed), made: Made::default() };
    let (mut done, mut refused) = (0_u64, 0_u64);
    let mut kinds: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut pause = 0;
    while done + refused < actions {
        let height = world.next();
        // Now and then nothing happens for a while, so that epochs and terms go by.
        pause = if pause == 0 && generator.random.below(25) == 0 { 100 } else { pause.max(1) - 1 };
        let count = if pause > 0 { 0 } else { generator.random.below(45) };
        let signed = block(&mut generator, &world, count);
        let block = Transaction::verify_all(signed).unwrap();
        // Hours go by, so that what is paid by the hour is.
        world.time_ms += 1_000 + generator.random.below(400_000);
        let voters = [account(VALIDATOR), account(1)];
        let input = Input {
            chain: world.chain,
            height,
            time_ms: world.time_ms,
            proposer: Some(account(VALIDATOR)),
            beacon: None,
            voters: &voters,
            evidence: &[],
            transactions: &block,
        };
        let executed = execute(&world.state, &input);
        let executed =
            executed.unwrap_or_else(|error| panic!("seed {seed}, height {height}: {error}"));
        for (transaction, receipt) in block.iter().zip(&executed.receipts) {
            let is_refused = receipt.refusal.is_some();
            *(if is_refused { &mut refused } else { &mut done }) += 1;
            if done + refused < 20_000 {
                json_comes_back(transaction.transaction());
                json_comes_back(receipt);
            }
            let kind = transaction.body().action.kind().name;
            kinds.entry(kind).or_default()[usize::from(is_refused)] += 1;
            if !is_refused {
                generator.learn(transaction);
            }
        }
        world.state.commit(executed.prepared).unwrap();
        generator.learn_slots(&world);
        let every = if done + refused < 20_000 { 1 } else { count_every };
        if height.is_multiple_of(every) {
            audit(&world.state)
                .unwrap_or_else(|error| panic!("seed {seed}, height {height}: {error}"));
        }
        if height.is_multiple_of(every * 20) {
            trees_are_right(&world.state);
        }

        run(&mut replayed, &world, height, world.time_ms, &block);
        assert_eq!(replayed.head(), world.state.head(), "seed {seed}");
        if let Some(state) = &mut from_snapshot {
            run(state, &world, height, world.time_ms, &block);
            assert_eq!(state.head(), world.state.head(), "seed {seed}");
        } else if (done + refused) * 2 > actions {
            from_snapshot = Some(carry(&world.state));
        }
    }
    println!("{done} done and {refused} refused in {} blocks, seed {seed}", world.next() - 1);
    for (kind, [done, refused]) in &kinds {
        println!("{kind}: {done} done, {refused} refused");
    }
    assert!(from_snapshot.is_some());
    audit(&world.state).unwrap_or_else(|error| panic!("seed {seed}, at the end: {error}"));
    trees_are_right(&world.state);
    world.run_to(world.next() + 300);
    deals::nothing_is_set_aside(&world.state);
    println!("{} slots were taken again", generator.made.slots_again);
    assert!(actions < 20_000 || generator.made.slots_again > 0);
    let never: Vec<_> = kinds.iter().filter(|(_, [done, _])| *done == 0).collect();
    let expected_never = if actions >= 20_000 { 0 } else { usize::MAX };
    assert!(never.len() <= expected_never, "never done: {never:?}");
}

/// What is written as JSON is read as the same value, and an unknown field is no part of one.
fn json_comes_back<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let mut json = serde_json::to_value(value).unwrap();
    assert_eq!(serde_json::from_value::<T>(json.clone()).as_ref().ok(), Some(value), "{json}");
    json["another"] = serde_json::Value::Null;
    assert!(serde_json::from_value::<T>(json).is_err());
}

/// The state as another node has it from a snapshot.
fn carry(state: &State) -> State {
    let snapshot = state.snapshot(state.head().version).unwrap();
    let mut restore = Restore::new(snapshot.head(), snapshot.bits()).unwrap();
    for index in 0..snapshot.count() {
        let bytes = encode(&snapshot.chunk(index).unwrap());
        let chunk = chronolith_chain::state::SnapshotChunk::decode(&bytes).unwrap();
        restore.add(chunk).unwrap();
    }
    restore.finish_in_memory(Options { keep_versions: 2, ..Options::default() }).unwrap()
}

/// The checks above see what they are there for.
#[test]
fn a_lost_mote_is_seen() {
    let world = World::new();
    let mut state = world.state;
    let mut values = chronolith_chain::state::Changes::new();
    let short = Account { balance: Amount::coins(999_999), ..Account::default() };
    let key = chronolith_chain::state::Key::to_bytes(&AccountKey { address: account(1) });
    values.insert(key, Some(encode(&short)));
    let prepared = state.prepare(1, values).unwrap();
    state.commit(prepared).unwrap();
    let found = audit(&state);
    assert!(matches!(found, Err(chronolith_chain::ledger::Imbalance::Supply { .. })));
}
