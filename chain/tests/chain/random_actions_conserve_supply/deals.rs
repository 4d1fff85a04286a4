//! Random actions of bounties, deals, subscriptions and answers.

use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, List, Rising, decode};
use chronolith_chain::hash::{BountyId, DealId, Hash, RequestId, SubscriptionId};
use chronolith_chain::ledger::{
    Action, Advance, AnswerRequest, Arbitrate, Award, AwardBounty, Batch, Bounty, BountyKey, Deal,
    DealKey, DealOutcome, DealStatus, Delivery, DeviceKey, DisputeAnswer, DisputePeriod,
    DrawSubscription, EndSubscription, ExtensionKey, JoinDeal, Leftover, Next, Offer,
    OfferExtended, OfferKey, OpenDeal, Ownership, Parties, Party, Period, PeriodKey, PeriodStatus,
    Plan, PostBounty, Request, RequestKey, Right, RightStatus, Share, Source, Step, Subject,
    SubmissionKey, SubmitToBounty, SubmittedRight, Subscribe, Subscription, SubscriptionKey,
    SubscriptionStatus, TopUpSubscription,
};
use chronolith_chain::list::{ListProof, ListRoot};
use chronolith_chain::state::{Key as _, State};
use chronolith_merkle::HashFunction;

use super::{Generator, Keyed};
use crate::device_and_anchor_rules::device;
use crate::dispute_rules::{header, one_time, slot, tree_in};
use crate::rights_rules::{HOUR, offer, request};
use crate::world::{World, account};

/// What is in every sealed message here: nothing that opens.
const SEALED: [u8; 40] = [9; 40];

fn content(number: u64) -> ContentId {
    ContentId::of_raw(&number.to_le_bytes())
}

fn sealed() -> Bytes<16384> {
    Bytes::new(SEALED).unwrap()
}

impl Generator {
    pub(super) fn deals_action(&mut self, world: &World, sender: &mut u8) -> Action {
        match self.random.below(8) {
            0 | 1 => self.bounty_action(world, sender),
            2..5 => self.deal_action(world, sender),
            5 | 6 => self.subscription_action(world, sender),
            _ => self.answer_action(world, sender),
        }
    }

    /// A batch of one chunk of this hour, which can be shown later.
    pub(super) fn keyed_batch(&mut self, world: &World, number: u8, era: u32) -> Hash {
        let hour = (world.time_ms / HOUR) as i64 - self.random.below(2) as i64;
        let tree = tree_in(device(number), era, "speed", 1);
        let header = header(Some("speed"), &tree, slot(hour));
        let root = ListRoot::of([ContentId::of_dag_cbor(HashFunction::Sha256, &header)]).root;
        let keyed = Keyed { device: device(number), era, hour, header, anchor: (account(0), root) };
        super::keep(&mut self.made.planned, keyed);
        root
    }

    fn bounty_action(&mut self, world: &World, sender: &mut u8) -> Action {
        let get = |bounty: &BountyId| world.get(&BountyKey { bounty: *bounty });
        let is_open = |found: Bounty| found.is_open && found.award_until > world.next();
        let open = |bounty: &&BountyId| get(bounty).is_some_and(is_open);
        let all: Vec<BountyId> = self.made.bounties.iter().filter(open).copied().collect();
        let bounty = if all.is_empty() { BountyId::default() } else { *self.random.pick(&all) };
        match (get(&bounty), self.random.below(8)) {
            (None, _) | (_, 0) => {
                let submit_until = world.next() + 5 + self.random.below(15);
                let leftover = [Leftover::Poster, Leftover::Submitters];
                PostBounty {
                    text: content(self.random.below(10)),
                    coin: self.likely_coin(),
                    reward: Amount(self.amount().0 / 1_000),
                    submit_until,
                    award_until: submit_until + self.random.below(21),
                    leftover: *self.random.pick(&leftover),
                    ownership: Ownership::Both,
                }
                .into()
            }
            (Some(found), 1..5) if found.submissions < 4 => {
                self.submission(world, sender, bounty).into()
            }
            (Some(found), _) => {
                self.mostly(sender, Some(found.poster));
                let number = self.random.below(u64::from(found.submissions) + 1) as u32;
                let submission = world.get(&SubmissionKey { bounty, number });
                let is_hidden = submission.is_some_and(|one| one.right.is_some());
                let share = BasisPoints(self.random.below(6_000) as u16);
                let award = Award { number, share, key: is_hidden.then(|| one_time().public()) };
                let grant_blocks = self.random.below(20) as u32;
                AwardBounty { bounty, awards: Rising::new([award]).unwrap(), grant_blocks }.into()
            }
        }
    }

    fn submission(&mut self, world: &World, sender: &mut u8, bounty: BountyId) -> SubmitToBounty {
        let offer = self.one_of(|made| &made.offers);
        let owner = world.get(&OfferKey { offer }).map(|found| found.owner);
        let right = (self.random.below(2) == 0).then(|| {
            self.mostly(sender, owner);
            SubmittedRight { offer, from_ms: 0, until_ms: HOUR }
        });
        SubmitToBounty { bounty, content: content(self.random.below(9)), right }
    }

    /// Shares of what each party sets aside, mostly all of it.
    fn shares(&mut self, parties: u8) -> List<Share, 64> {
        let mut shares = Vec::new();
        for of in 0..parties {
            let part = self.random.below(10_001) as u16;
            let rest = 10_000 - part + u16::from(self.random.below(40) == 0);
            for (to, share) in [(0, part), (parties - 1, rest)] {
                if share > 0 {
                    shares.push(Share { of, to, share: BasisPoints(share) });
                }
            }
        }
        List::new(shares).unwrap()
    }

    fn next(&mut self, from: u8, steps: u8) -> Next {
        match self.random.below(4) {
            0 => Next::Outcome(self.random.below(2) as u8),
            1 => {
                let blocks = 1 + self.random.below(8) as u32;
                Next::Arbiter { blocks, otherwise: self.random.below(2) as u8 }
            }
            _ if from + 1 < steps => Next::Step(from + 1),
            _ => Next::Outcome(0),
        }
    }

    fn plan(&mut self, world: &World, sender: u8) -> Plan {
        let (other, steps) = (self.person(), 1 + self.random.below(4) as u8);
        let mut party = |person| Party {
            account: account(person),
            coin: self.likely_coin(),
            amount: Amount(1 + self.amount().0 / 1_000),
        };
        let parties = List::new([party(sender), party(other)]).unwrap();
        let mut all = Vec::new();
        for from in 0..steps {
            // On time-out it goes to the next step, so that every step is reached.
            let later = if from + 1 < steps { Next::Step(from + 1) } else { Next::Outcome(1) };
            all.push(Step {
                done_by: Parties(1 + self.random.below(2) as u8),
                objected_by: Parties(self.random.below(3) as u8),
                blocks: 1 + self.random.below(15) as u32,
                on_done: self.next(from, steps),
                on_timeout: later,
                on_objection: self.next(from, steps),
            });
        }
        let outcomes = [self.shares(2), self.shares(2)].map(|shares| DealOutcome { shares });
        Plan {
            contract: content(self.random.below(10)),
            parties,
            arbiter: Some(account(self.person())),
            join_until: world.next() + self.random.below(20),
            steps: List::new(all).unwrap(),
            outcomes: List::new(outcomes).unwrap(),
        }
    }

    /// Mostly the native one, which everybody has.
    fn likely_coin(&mut self) -> Coin {
        if self.random.below(4) > 0 { Coin::Native } else { self.coin() }
    }

    fn deal_action(&mut self, world: &World, sender: &mut u8) -> Action {
        let get = |deal: &DealId| world.get(&DealKey { deal: *deal });
        let open = |deal: &&DealId| get(deal).is_some_and(|found| !found.escrows.is_empty());
        let all: Vec<DealId> = self.made.deals.iter().filter(open).copied().collect();
        let deal =
            if all.is_empty() { self.one_of(|made| &made.deals) } else { *self.random.pick(&all) };
        let found: Option<Deal> = get(&deal);
        let choice = self.random.below(8);
        let Some(found) = found.filter(|_| choice > 0) else {
            return OpenDeal { plan: self.plan(world, *sender) }.into();
        };
        let party = found.plan.parties[self.random.below(2) as usize].account;
        match found.status {
            DealStatus::Joining => {
                self.mostly(sender, Some(found.plan.parties[1].account));
                JoinDeal { deal }.into()
            }
            DealStatus::Disputed { .. } => {
                self.mostly(sender, found.plan.arbiter);
                Arbitrate { deal, shares: self.shares(2), reasons: None }.into()
            }
            status => {
                self.mostly(sender, Some(party));
                let step = match status {
                    DealStatus::AtStep { step, .. } => step,
                    _ => self.random.below(3) as u8,
                };
                let objects = self.random.below(2) == 0;
                Advance { deal, step, objects, evidence: Some(content(1)) }.into()
            }
        }
    }

    /// An offer that says more than others; of what is still to come, or of answers.
    fn extended(&mut self, world: &World, sender: &mut u8) -> OfferExtended {
        let number = self.random.below(6) as u8;
        let found = world.get(&DeviceKey { device: device(number) });
        self.mostly(sender, found.as_ref().map(|found| found.owner));
        let era = found.map_or(0, |found| found.tree);
        let mut made: Offer = offer(era);
        if let Subject::Metrics { device: of, .. } = &mut made.scope.subject {
            *of = device(number);
        }
        // From now on, where the device changed hands; answers are asked about the first hours.
        let is_new = era > 0 || self.random.below(2) == 0;
        made.scope.from_ms = if is_new { world.time_ms / HOUR * HOUR } else { 0 };
        made.scope.until_ms = None;
        made.fixed = Amount(self.amount().0 / 1_000);
        made.coin = self.likely_coin();
        let source = self.one_of(|made| &made.offers);
        let sources =
            (self.random.below(3) == 0).then_some(Source { offer: source, content: None });
        let delivery = match self.random.below(3) {
            0 => Delivery::Answers { query: content(3) },
            _ => Delivery::Keys,
        };
        let royalty = BasisPoints(self.random.below(2_000) as u16);
        let sources = Rising::new(sources.into_iter().collect::<Vec<_>>()).unwrap();
        OfferExtended { offer: made, delivery, royalty, sources }
    }

    fn subscribe(&mut self, world: &World) -> Subscribe {
        let offer = self.one_of(|made| &made.extended);
        let found = world.get(&OfferKey { offer });
        let terms = found.map(|found| (found.offer.fixed.0, found.offer.per_hour.0));
        let (fixed, price) = terms.unwrap_or_default();
        let periods = 1 + self.random.below(5) as u32;
        Subscribe {
            offer,
            from_ms: (world.time_ms / HOUR + self.random.below(2)) * HOUR,
            hours: 1,
            key: one_time().public(),
            periods,
            payment: Amount(fixed + price * u128::from(periods)),
            patience: 41 - self.random.below(10) as u32 * self.random.below(5) as u32,
        }
    }

    fn subscription_action(&mut self, world: &World, sender: &mut u8) -> Action {
        let subscription = self.one_of(|made| &made.subscriptions);
        let subscriptions = self.made.subscriptions.iter();
        let active = |id: &&SubscriptionId| {
            let found = world.get(&SubscriptionKey { subscription: **id });
            found.is_some_and(|found| found.status == SubscriptionStatus::Active)
        };
        let active: Vec<SubscriptionId> = subscriptions.filter(active).copied().collect();
        let subscription =
            if active.is_empty() { subscription } else { *self.random.pick(&active) };
        let found: Option<Subscription> = world.get(&SubscriptionKey { subscription });
        let choice = self.random.below(16);
        let Some(found) = found.filter(|_| choice > 5) else {
            return match choice {
                0..3 => self.extended(world, sender).into(),
                _ => self.subscribe(world).into(),
            };
        };
        match choice {
            6 => {
                self.mostly(sender, Some(found.subscriber));
                let payment = Amount(found.price.0 * 2);
                TopUpSubscription { subscription, periods: 2, payment }.into()
            }
            7 if self.random.below(3) == 0 => {
                let who = [found.subscriber, found.owner];
                let who = *self.random.pick(&who);
                self.mostly(sender, Some(who));
                EndSubscription { subscription }.into()
            }
            _ => self.period_action(world, sender, found),
        }
    }

    /// Draws a period of any subscription of which a chunk was anchored, or disputes one.
    fn period_action(&mut self, world: &World, sender: &mut u8, any: Subscription) -> Action {
        let mut candidates = Vec::new();
        for id in &self.made.subscriptions {
            let Some(found) = world.get(&SubscriptionKey { subscription: *id }) else { continue };
            let has_ended = found.status == SubscriptionStatus::Ended;
            let of = world.get(&OfferKey { offer: found.offer }).map(|one| one.offer.scope.subject);
            for keyed in &self.made.keyed {
                let is_of = matches!(of, Some(Subject::Metrics { device, tree, .. })
                    if device == keyed.device && tree == keyed.era);
                let period = keyed.hour - (found.from_ms / HOUR) as i64;
                let drawn = PeriodKey { subscription: *id, period: period as u32 };
                let is_drawn = world.get(&drawn).is_some();
                let is_over = found.range(period as u32).1 <= world.time_ms;
                if is_of && period >= 0 && is_over && (is_drawn || !has_ended) {
                    candidates.push((*id, found.clone(), period as u32, keyed.clone()));
                }
            }
        }
        if candidates.is_empty() {
            self.mostly(sender, Some(any.owner));
            return self.subscribe(world).into();
        }
        let (subscription, found, period, keyed) = self.random.pick(&candidates).clone();
        let header = Bytes::new(keyed.header.clone()).unwrap();
        let (anchor, path) = (keyed.anchor, ListProof::default());
        let drawn = world.get(&PeriodKey { subscription, period }).map(|found| found.status);
        if matches!(drawn, Some(PeriodStatus::Drawn { .. })) && self.random.below(2) == 0 {
            self.mostly(sender, Some(found.subscriber));
            let (secret, wrapped) = (*one_time().bytes(), sealed());
            return DisputePeriod {
                subscription,
                period,
                secret,
                wrapped,
                header,
                anchor,
                index: 0,
                path,
                rotation: 0,
            }
            .into();
        }
        self.mostly(sender, Some(found.owner));
        let wrapped = sealed();
        DrawSubscription {
            subscription,
            period,
            wrapped,
            header,
            anchor,
            index: 0,
            path,
            rotation: 0,
        }
        .into()
    }

    /// Asks for answers, gives and disputes them.
    fn answer_action(&mut self, world: &World, sender: &mut u8) -> Action {
        let is_answered = |request: RequestId| {
            let right = world.get(&RequestKey { request })?;
            let extension = world.get(&ExtensionKey { offer: right.offer })?;
            (extension.delivery != Delivery::Keys).then_some((request, right))
        };
        let asked: Vec<_> =
            self.made.requests.iter().filter_map(|request| is_answered(*request)).collect();
        if asked.is_empty() || self.random.below(3) == 0 {
            let offer = self.one_of(|made| &made.extended);
            let found = world.get(&OfferKey { offer });
            let price = found.and_then(|found| found.offer.price(0, 10 * HOUR).ok());
            let wanted = request(world, offer, price.unwrap_or_default().0);
            return Request { key: one_time().public(), ..wanted }.into();
        }
        let (request, right) = self.random.pick(&asked).clone();
        if matches!(right.status, RightStatus::Granted { .. }) && self.random.below(2) == 0 {
            self.mostly(sender, Some(right.buyer));
            let (secret, wrapped) = (*one_time().bytes(), sealed());
            return DisputeAnswer { request, secret, wrapped }.into();
        }
        self.mostly(sender, Some(right.owner));
        let of = world.get(&OfferKey { offer: right.offer }).map(|one| one.offer.scope.subject);
        let fits = |keyed: &&Keyed| {
            matches!(of, Some(Subject::Metrics { device, tree, .. })
                if device == keyed.device && tree == keyed.era)
        };
        let batches: Vec<Batch> = self
            .made
            .keyed
            .iter()
            .filter(fits)
            .take(1)
            .map(|keyed| Batch { producer: keyed.anchor.0, root: keyed.anchor.1 })
            .collect();
        let batches = Rising::new(batches).unwrap();
        AnswerRequest { request, answer: content(5), wrapped: sealed(), batches }.into()
    }
}

/// Of what was sold, posted, agreed and subscribed nothing is set aside any more: all deadlines are over.
pub(super) fn nothing_is_set_aside(state: &State) {
    let mut kept = Vec::new();
    let mut seen = [0_u32; 5];
    state
        .for_each_at(state.head().version, &mut |key, value| {
            let found: Option<(usize, Amount)> = if RequestKey::from_bytes(key).is_some() {
                Some((0, decode::<Right>("a right", value, usize::MAX).unwrap().escrow))
            } else if BountyKey::from_bytes(key).is_some() {
                Some((1, decode::<Bounty>("a bounty", value, usize::MAX).unwrap().escrow))
            } else if DealKey::from_bytes(key).is_some() {
                let deal = decode::<Deal>("a deal", value, usize::MAX).unwrap();
                Some((2, Amount(deal.escrows.iter().map(|escrow| escrow.0).sum())))
            } else if SubscriptionKey::from_bytes(key).is_some() {
                let found = decode::<Subscription>("a subscription", value, usize::MAX).unwrap();
                Some((3, found.escrow))
            } else if PeriodKey::from_bytes(key).is_some() {
                Some((4, decode::<Period>("a period", value, usize::MAX).unwrap().escrow))
            } else {
                None
            };
            let Some((kind, escrow)) = found else { return };
            seen[kind] += 1;
            if !escrow.is_zero() {
                kept.push((kind, key.to_vec(), escrow));
            }
        })
        .unwrap();
    println!("{seen:?} requests, bounties, deals, subscriptions and periods came to their ends");
    assert!(kept.is_empty(), "set aside for ever: {kept:?}");
}
