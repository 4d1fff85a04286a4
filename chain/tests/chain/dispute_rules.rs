//! The rules of disputes: wrong keys give the payment back, right ones do not, and nobody's header but
//! the owner's is held against him.

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, Rising};
use chronolith_chain::hash::{Hash, OfferId, RequestId};
use chronolith_chain::ledger::{
    Anchor, ChunkTree, DeviceCatalogue, DeviceKey, Dispute, Grant, HiddenScope, Offer, Refusal,
    RegisterDevice, Request, Revoke, RightStatus, SellerKey, Subject, Thing, TreeName,
};
use chronolith_chain::list::{ListProof, ListRoot};
use chronolith_keys::{
    ChunkSlot, Grant as Keys, GrantContext, KeyTree, MetricIdentity, OneTimeSecret, Secret, TreeId,
};
use chronolith_merkle::HashFunction;
use ipld_core::ipld::Ipld;

use crate::device_and_anchor_rules::{device, hand_over, register};
use crate::random::Random;
use crate::rights_rules::{BUYER, HOUR, OWNER, gain, offer, request, right};
use crate::world::{World, account, key};

const STRANGER: u8 = 3;
const HOUR_NS: i64 = 3_600_000_000_000;
/// How many chunks a batch has here.
const CHUNKS: u32 = 5;

/// The tree of a metric under the device's first owner, with a secret.
fn tree_of(device: Address, name: &str, secret: u8) -> KeyTree {
    tree_in(device, 0, name, secret)
}

/// The same under one of its owners.
pub(crate) fn tree_in(device: Address, era: u32, name: &str, secret: u8) -> KeyTree {
    let metric = MetricIdentity { device: "car", name, tags: Vec::new() };
    KeyTree::new(TreeId::named(&device.0, era, 0, HOUR_NS, &metric), Secret::new([secret; 32]))
}

/// The same, of the device that is sold here. The owner encrypts with the secret 1.
pub(crate) fn tree(name: &str, secret: u8) -> KeyTree {
    tree_of(device(1), name, secret)
}

/// The keys of the hours that are bought.
pub(crate) fn ten_hours(secret: u8) -> KeyTree {
    tree("speed", secret).cover(0..=9).unwrap()
}

pub(crate) fn one_time() -> OneTimeSecret {
    OneTimeSecret::from_bytes([77; 32])
}

/// The header of an encrypted chunk, with the metric's name unless it hides.
pub(crate) fn header(name: Option<&str>, tree: &KeyTree, slot: ChunkSlot) -> Vec<u8> {
    let commitment = tree.body_key(slot).unwrap().commitment().to_vec();
    let map = |entries: Vec<(&str, Ipld)>| {
        Ipld::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let encryption = map(vec![
        ("scheme", Ipld::Integer(1)),
        ("tree", Ipld::Bytes(tree.id().0.to_vec())),
        ("commitment", Ipld::Bytes(commitment)),
    ]);
    let mut fields = vec![
        ("v", Ipld::Integer(1)),
        ("window_ns", Ipld::Integer(HOUR_NS.into())),
        ("window", Ipld::Integer(slot.window.into())),
        ("generation", Ipld::Integer(slot.generation.into())),
        ("part", Ipld::Integer(slot.part.into())),
        ("encryption", encryption),
    ];
    match name {
        Some(name) => fields.extend([
            ("device", Ipld::String("car".to_owned())),
            ("name", Ipld::String(name.to_owned())),
            ("tags", map(Vec::new())),
        ]),
        None => fields.push(("pseudonym", Ipld::Bytes(vec![9; 32]))),
    }
    serde_ipld_dagcbor::to_vec(&map(fields)).unwrap()
}

pub(crate) const fn slot(window: i64) -> ChunkSlot {
    ChunkSlot { window, generation: 0, part: 0 }
}

/// A batch with a header among others.
struct Batch {
    ids: Vec<ContentId>,
    index: u32,
}

impl Batch {
    fn with(header: &[u8], function: HashFunction) -> Self {
        let mut ids: Vec<ContentId> =
            (1..CHUNKS).map(|other| ContentId::of_raw(&other.to_le_bytes())).collect();
        ids.insert(2, ContentId::of_dag_cbor(function, header));
        Self { ids, index: 2 }
    }

    fn root(&self) -> Hash {
        ListRoot::of(&self.ids).root
    }

    /// Anchors it for the device that is sold here.
    fn anchor(&self, world: &mut World, producer: u8) {
        self.anchor_for(device(1), world, producer);
    }

    fn anchor_for(&self, device: Address, world: &mut World, producer: u8) {
        let before = world.get(&DeviceKey { device }).unwrap().catalogue;
        let after = HashFunction::Sha256.digest(&before.0);
        let entry = DeviceCatalogue { device, before, after: Hash(after) };
        let devices = Rising::new([entry]).unwrap();
        world.done(producer, Anchor { root: self.root(), chunks: CHUNKS, devices });
    }

    fn path(&self) -> ListProof {
        ListProof::new(&self.ids, self.index).unwrap()
    }
}

/// A chain with a device of which `speed` is offered and ten hours are requested.
pub(crate) struct Sale {
    pub(crate) world: World,
    pub(crate) offer: OfferId,
    pub(crate) request: RequestId,
}

impl Sale {
    pub(crate) fn of(offer: Offer) -> Self {
        Self::offered(World::new(), offer).requested()
    }

    /// On a chain that has the device already.
    fn on(mut world: World, offer: Offer) -> Self {
        let offer = OfferId::made_by(world.done(OWNER, offer));
        Self { world, offer, request: RequestId::default() }.requested()
    }

    /// A chain with the device and the offer, before anybody requests.
    pub(crate) fn offered(mut world: World, offer: Offer) -> Self {
        let registration = register(&world, 1, OWNER, OWNER);
        world.done(OWNER, registration);
        let offer = OfferId::made_by(world.done(OWNER, offer));
        Self { world, offer, request: RequestId::default() }
    }

    fn requested(mut self) -> Self {
        let wanted =
            Request { key: one_time().public(), ..request(&self.world, self.offer, 1_100) };
        self.request = RequestId::made_by(self.world.done(BUYER, wanted));
        self
    }

    /// With time for several disputes.
    fn new() -> Self {
        let mut offer = offer(0);
        offer.terms.check_blocks = 30;
        Self::of(offer)
    }

    fn context(&self) -> GrantContext {
        GrantContext { chain: self.world.chain.0, request: self.request.0 }
    }

    pub(crate) fn seal(&self, keys: KeyTree) -> Vec<u8> {
        let keys = Keys::new([keys]).unwrap();
        keys.seal(&one_time().public(), &self.context(), &mut Random(1)).unwrap()
    }

    fn grant(&mut self, wrapped: &[u8]) {
        let wrapped = Bytes::new(wrapped).unwrap();
        self.world.done(OWNER, Grant { request: self.request, wrapped });
    }

    /// A dispute about a header in a batch that `producer` anchored.
    fn dispute(&self, wrapped: &[u8], header: &[u8], batch: &Batch, producer: u8) -> Dispute {
        Dispute {
            request: self.request,
            secret: *one_time().bytes(),
            wrapped: Bytes::new(wrapped).unwrap(),
            header: Bytes::new(header).unwrap(),
            anchor: (account(producer), batch.root()),
            index: batch.index,
            path: batch.path(),
            tree: ChunkTree::Named { rotation: 0 },
        }
    }

    /// Anchors the chunk of `speed` in hour 5 under the owner's keys: what the buyer may say of it, if
    /// the grant is `wrapped`.
    pub(crate) fn anchored(&mut self, wrapped: &[u8]) -> Dispute {
        self.anchored_of(5, wrapped)
    }

    /// The same of another hour.
    pub(crate) fn anchored_of(&mut self, hour: i64, wrapped: &[u8]) -> Dispute {
        let header = header(Some("speed"), &tree("speed", 1), slot(hour));
        let batch = Batch::with(&header, HashFunction::Sha256);
        batch.anchor(&mut self.world, OWNER);
        self.dispute(wrapped, &header, &batch, OWNER)
    }

    /// What was anchored of an hour, once more.
    pub(crate) fn shown_before(&self, hour: i64) -> Dispute {
        let header = header(Some("speed"), &tree("speed", 1), slot(hour));
        self.dispute(&[], &header, &Batch::with(&header, HashFunction::Sha256), OWNER)
    }

    /// The same, and the grant.
    fn granted(&mut self, wrapped: &[u8]) -> Dispute {
        let dispute = self.anchored(wrapped);
        self.grant(wrapped);
        dispute
    }

    fn faulty(&self) -> u64 {
        let seller = self.world.get(&SellerKey { seller: account(OWNER) });
        seller.unwrap_or_default().faulty
    }

    /// The dispute gives the buyer all of it back, and counts against the owner.
    fn won(&mut self, dispute: Dispute) {
        let fee = self.world.body(BUYER, dispute.clone().into()).fee.0 as i128;
        let gained = gain(&mut self.world, BUYER, |world| {
            world.done(BUYER, dispute.clone());
        });
        assert_eq!(gained + fee, 1_100);
        let found = right(&self.world, self.request);
        assert_eq!((found.status, found.escrow), (RightStatus::Faulty, Amount::ZERO));
        assert_eq!(self.faulty(), 1);
        // It is over: no second refund, no payment, nothing to revoke.
        assert_eq!(self.world.refused(BUYER, dispute), Refusal::Status(Thing::Request));
        let revoke = Revoke { request: self.request };
        assert_eq!(self.world.refused(OWNER, revoke), Refusal::Status(Thing::Request));
        let next = self.world.next();
        assert_eq!(gain(&mut self.world, OWNER, |world| world.run_to(next + 50)), 0);
    }

    /// The dispute is refused, and the owner is paid.
    fn lost(&mut self, dispute: Dispute, expected: &Refusal) {
        assert_eq!(self.world.refused(BUYER, dispute), *expected);
        let next = self.world.next();
        assert_eq!(gain(&mut self.world, OWNER, |world| world.run_to(next + 50)), 1_100);
        assert_eq!(self.faulty(), 0);
    }
}

#[test]
fn keys_that_are_wrong_give_the_payment_back() {
    let mut sale = Sale::new();
    let wrapped = sale.seal(ten_hours(2));
    let dispute = sale.granted(&wrapped);
    sale.won(dispute);
}

#[test]
fn keys_that_are_right_do_not() {
    let mut sale = Sale::new();
    let wrapped = sale.seal(ten_hours(1));
    let dispute = sale.granted(&wrapped);
    sale.lost(dispute, &Refusal::KeysHold);
}

#[test]
fn a_message_that_gives_no_key_is_as_wrong_as_a_wrong_one() {
    fn seal(to: &OneTimeSecret, context: GrantContext) -> Vec<u8> {
        Keys::new([ten_hours(1)]).unwrap().seal(&to.public(), &context, &mut Random(1)).unwrap()
    }
    let messages: [fn(&Sale) -> Vec<u8>; 7] = [
        |_| vec![5; 100],
        |_| vec![5],
        |sale| seal(&OneTimeSecret::from_bytes([1; 32]), sale.context()),
        |sale| seal(&one_time(), GrantContext { request: [1; 32], ..sale.context() }),
        |sale| seal(&one_time(), GrantContext { chain: [1; 32], ..sale.context() }),
        |sale| sale.seal(tree("rpm", 1).cover(0..=9).unwrap()),
        |sale| sale.seal(tree("speed", 1).cover(6..=9).unwrap()),
    ];
    for message in messages {
        let mut sale = Sale::new();
        let wrapped = message(&sale);
        let dispute = sale.granted(&wrapped);
        sale.won(dispute);
    }
}

#[test]
fn later_generations_and_parts_and_other_hash_functions_are_judged_as_well() {
    for (function, secret) in [(HashFunction::Sha256, 1), (HashFunction::Blake3, 2)] {
        let mut sale = Sale::new();
        let wrapped = sale.seal(tree("speed", secret).cover(0..=9).unwrap());
        let slot = ChunkSlot { window: 9, generation: 3, part: 7 };
        let header = header(Some("speed"), &tree("speed", 1), slot);
        let batch = Batch::with(&header, function);
        batch.anchor(&mut sale.world, OWNER);
        sale.grant(&wrapped);
        let dispute = sale.dispute(&wrapped, &header, &batch, OWNER);
        if secret == 1 { sale.lost(dispute, &Refusal::KeysHold) } else { sale.won(dispute) }
    }
}

#[test]
fn a_dispute_shows_what_it_claims() {
    let mut sale = Sale::new();
    let wrapped = sale.seal(ten_hours(2));
    let good = sale.granted(&wrapped);
    let wrong = |change: &dyn Fn(&mut Dispute)| {
        let mut dispute = good.clone();
        change(&mut dispute);
        dispute
    };
    let cases: [(Dispute, Refusal); 12] = [
        (wrong(&|one| one.secret[5] ^= 1), Refusal::Secret),
        (wrong(&|one| one.wrapped = Bytes::new([1; 100]).unwrap()), Refusal::Sealed),
        (wrong(&|one| one.request = RequestId([1; 32])), Refusal::Missing(Thing::Request)),
        (wrong(&|one| one.header = Bytes::default()), Refusal::Header { offset: 0 }),
        (wrong(&|one| one.index = 1), Refusal::Path),
        (wrong(&|one| one.index = CHUNKS), Refusal::Path),
        (wrong(&|one| one.path = ListProof::default()), Refusal::Path),
        (wrong(&|one| one.anchor.1 = Hash([1; 32])), Refusal::Missing(Thing::Anchor)),
        (wrong(&|one| one.anchor.0 = account(STRANGER)), Refusal::Missing(Thing::Anchor)),
        (wrong(&|one| one.tree = ChunkTree::Named { rotation: 1 }), Refusal::Scope),
        (wrong(&|one| one.tree = ChunkTree::Hidden(hidden())), Refusal::Scope),
        (
            wrong(&|one| {
                let other = header(Some("speed"), &tree("speed", 2), slot(5));
                one.header = Bytes::new(other).unwrap();
            }),
            Refusal::Path,
        ),
    ];
    for (dispute, expected) in cases {
        assert_eq!(sale.world.refused(BUYER, dispute), expected);
    }
    let stranger = sale.world.refused(STRANGER, good.clone());
    assert_eq!(stranger, Refusal::NotAllowed(Thing::Request));
    sale.won(good);
}

#[test]
fn only_what_the_right_covers_is_disputed() {
    // Another metric, hours before and after, another device's tree, and a metric that hides.
    for (name, tree, window) in [
        (Some("rpm"), tree("rpm", 1), 5),
        (Some("speed"), tree("speed", 1), -1),
        (Some("speed"), tree("speed", 1), 10),
        (Some("speed"), tree_of(device(2), "speed", 1), 5),
        (None, tree("speed", 1), 5),
    ] {
        let header = header(name, &tree, slot(window));
        let mut sale = Sale::new();
        let batch = Batch::with(&header, HashFunction::Sha256);
        batch.anchor(&mut sale.world, OWNER);
        let wrapped = sale.seal(ten_hours(2));
        sale.grant(&wrapped);
        let dispute = sale.dispute(&wrapped, &header, &batch, OWNER);
        sale.lost(dispute, &Refusal::Scope);
    }
}

#[test]
fn a_request_for_part_of_an_hour_is_for_the_whole_hour() {
    let mut sale = Sale::new();
    let until_ms = 9 * HOUR + 1;
    let offer = right(&sale.world, sale.request).offer;
    let wanted =
        Request { until_ms, key: one_time().public(), ..request(&sale.world, offer, 1_100) };
    sale.request = RequestId::made_by(sale.world.done(BUYER, wanted));
    let header = header(Some("speed"), &tree("speed", 1), slot(9));
    let batch = Batch::with(&header, HashFunction::Sha256);
    batch.anchor(&mut sale.world, OWNER);
    let wrapped = sale.seal(tree("speed", 1).cover(0..=8).unwrap());
    sale.grant(&wrapped);
    let dispute = sale.dispute(&wrapped, &header, &batch, OWNER);
    sale.won(dispute);
}

/// A header that anybody could make says nothing about the owner: the buyer registers a device, anchors
/// a header of the owner's metric with a commitment of his own, and disputes a good grant.
#[test]
fn a_buyers_own_header_is_not_held_against_the_owner() {
    let mut sale = Sale::new();
    let registration = register(&sale.world, 2, BUYER, BUYER);
    sale.world.done(BUYER, registration);
    let forged = header(Some("speed"), &tree("speed", 2), slot(5));
    let batch = Batch::with(&forged, HashFunction::Sha256);
    batch.anchor_for(device(2), &mut sale.world, BUYER);
    let wrapped = sale.seal(ten_hours(1));
    sale.grant(&wrapped);
    let dispute = sale.dispute(&wrapped, &forged, &batch, BUYER);
    sale.lost(dispute, &Refusal::Anchorer);
}

/// Who bought the car speaks for it from then on, and not for what it did before.
#[test]
fn a_new_owner_cannot_make_headers_of_the_old_owners_time() {
    let mut sale = Sale::new();
    let transfer = hand_over(&sale.world, 1, OWNER, STRANGER, 0);
    sale.world.done(OWNER, transfer);
    let wrapped = sale.seal(ten_hours(1));
    let forged = header(Some("speed"), &tree("speed", 2), slot(5));
    let batch = Batch::with(&forged, HashFunction::Sha256);
    batch.anchor(&mut sale.world, STRANGER);
    sale.grant(&wrapped);
    let dispute = sale.dispute(&wrapped, &forged, &batch, STRANGER);
    sale.lost(dispute, &Refusal::Anchorer);
}

#[test]
fn what_was_anchored_before_a_sale_of_the_device_counts_after_it() {
    let mut sale = Sale::new();
    let header = header(Some("speed"), &tree("speed", 1), slot(5));
    let batch = Batch::with(&header, HashFunction::Sha256);
    batch.anchor(&mut sale.world, OWNER);
    let transfer = hand_over(&sale.world, 1, OWNER, STRANGER, 0);
    sale.world.done(OWNER, transfer);
    let wrapped = sale.seal(ten_hours(2));
    sale.grant(&wrapped);
    let dispute = sale.dispute(&wrapped, &header, &batch, OWNER);
    sale.won(dispute);
}

fn hidden() -> HiddenScope {
    let trees = Rising::new([TreeName(Hash([40; 32])), TreeName(Hash([41; 32]))]).unwrap();
    HiddenScope { salt: [8; 32], device: device(1), tree: 0, trees }
}

#[test]
fn hidden_data_is_disputed_by_showing_what_the_offer_is_of() {
    let random_tree = |id: u8, secret| KeyTree::new(TreeId([id; 32]), Secret::new([secret; 32]));
    let sell = |granted: KeyTree, shown: HiddenScope, of: u8| {
        let mut offer = offer(0);
        offer.scope.subject = hidden().subject();
        let mut sale = Sale::of(offer);
        let header = header(None, &random_tree(of, 1), slot(5));
        let batch = Batch::with(&header, HashFunction::Sha256);
        batch.anchor(&mut sale.world, OWNER);
        let wrapped = sale.seal(granted.cover(0..=9).unwrap());
        sale.grant(&wrapped);
        let dispute = sale.dispute(&wrapped, &header, &batch, OWNER);
        let named = dispute.clone();
        (sale, Dispute { tree: ChunkTree::Hidden(shown), ..dispute }, named)
    };
    let (mut sale, dispute, named) = sell(random_tree(40, 2), hidden(), 40);
    assert_eq!(sale.world.refused(BUYER, named), Refusal::Scope);
    sale.won(dispute);
    let (mut sale, dispute, _) = sell(random_tree(40, 1), hidden(), 40);
    sale.lost(dispute, &Refusal::KeysHold);
    let (mut sale, dispute, _) = sell(random_tree(40, 2), hidden(), 42);
    sale.lost(dispute, &Refusal::Scope);
    let other = HiddenScope { salt: [9; 32], ..hidden() };
    let (mut sale, dispute, _) = sell(random_tree(40, 2), other, 40);
    sale.lost(dispute, &Refusal::Scope);
}

#[test]
fn the_last_block_to_dispute_in_is_the_one_that_pays() {
    let wrong = |sale: &Sale| sale.seal(ten_hours(2));
    let mut early = Sale::new();
    let good = {
        let wrapped = wrong(&early);
        let header = header(Some("speed"), &tree("speed", 1), slot(5));
        let batch = Batch::with(&header, HashFunction::Sha256);
        early.dispute(&wrapped, &header, &batch, OWNER)
    };
    let open = early.world.refused(BUYER, good);
    assert_eq!(open, Refusal::Status(Thing::Request), "nothing is granted yet");

    let mut last = Sale::new();
    let wrapped = wrong(&last);
    let dispute = last.granted(&wrapped);
    let RightStatus::Granted { settles, .. } = right(&last.world, last.request).status else {
        panic!()
    };
    last.world.run_to(settles - 1);
    last.won(dispute);

    let mut late = Sale::new();
    let wrapped = wrong(&late);
    let dispute = late.granted(&wrapped);
    late.world.run_to(settles);
    assert_eq!(late.world.refused(BUYER, dispute), Refusal::Status(Thing::Request));
    assert!(matches!(right(&late.world, late.request).status, RightStatus::Settled { .. }));
    assert_eq!(late.faulty(), 0);
}

/// Settlements wait where more is due at a height than a block does; the time to check does not.
#[test]
fn a_late_settlement_gives_no_more_time_to_dispute() {
    let mut sale = Sale::new();
    let offer = right(&sale.world, sale.request).offer;
    let wrapped = sale.seal(ten_hours(2));
    let header = header(Some("speed"), &tree("speed", 1), slot(5));
    let batch = Batch::with(&header, HashFunction::Sha256);
    batch.anchor(&mut sale.world, OWNER);
    // 1,000 grants before this one fill the block in which it would be settled.
    let wanted = request(&sale.world, offer, 1_100);
    let requests = sale.world.all_done(BUYER, (0..1_000).map(|_| wanted.clone().into()).collect());
    let of = |request| Grant { request, wrapped: Bytes::new([1; 64]).unwrap() }.into();
    let mut grants: Vec<_> = requests.into_iter().map(|id| of(RequestId::made_by(id))).collect();
    let last = Bytes::new(wrapped.clone()).unwrap();
    grants.push(Grant { request: sale.request, wrapped: last }.into());
    sale.world.all_done(OWNER, grants);
    let RightStatus::Granted { settles, .. } = right(&sale.world, sale.request).status else {
        panic!()
    };
    sale.world.run_to(settles);
    let found = right(&sale.world, sale.request).status;
    assert!(matches!(found, RightStatus::Granted { .. }), "it is not settled yet");
    let dispute = sale.dispute(&wrapped, &header, &batch, OWNER);
    assert_eq!(sale.world.refused(BUYER, dispute), Refusal::Late { until: settles + 1 });
    assert!(matches!(right(&sale.world, sale.request).status, RightStatus::Settled { .. }));
}

#[test]
fn what_the_device_itself_anchored_counts() {
    const DEVICE: u8 = 4;
    let (mut world, device) = (World::new(), account(DEVICE));
    let message = RegisterDevice::consent(world.chain, device, account(OWNER));
    let consent = key(DEVICE).sign(&message);
    world.done(OWNER, RegisterDevice { device, producer: account(OWNER), consent });
    let mut offer = offer(0);
    offer.scope.subject = Subject::Metrics { device, tree: 0, metrics: Rising::default() };
    let mut sale = Sale::on(world, offer);
    let header = header(Some("any metric"), &tree_of(device, "any metric", 1), slot(5));
    let batch = Batch::with(&header, HashFunction::Sha256);
    batch.anchor_for(device, &mut sale.world, DEVICE);
    let wrapped = sale.seal(tree_of(device, "any metric", 2).cover(0..=9).unwrap());
    sale.grant(&wrapped);
    let dispute = sale.dispute(&wrapped, &header, &batch, DEVICE);
    sale.won(dispute);
}
