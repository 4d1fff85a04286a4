//! The encodings of the group of deals are for ever: `testdata/deals.txt` has one of each action and of each
//! value of the state, and today's program writes the same bytes and reads them back.
//!
//! A new kind gets a new line; a line that is there never changes.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, List, Rising, Text, decode, encode};
use chronolith_chain::hash::{BountyId, CoinId, DealId, Hash, OfferId, RequestId, SubscriptionId};
use chronolith_chain::ledger::{
    Action, Advance, Advanced, AnswerRequest, Answered, Arbitrate, Award, AwardBounty, Batch,
    Bounty, Deal, DealOutcome, DealStatus, Decided, Delivery, DisputeAnswer, DisputePeriod,
    DrawSubscription, EndSubscription, Extension, JoinDeal, Leftover, MetricName, Next, Offer,
    OfferExtended, OpenDeal, Ownership, Parties, Party, Period, PeriodStatus, Plan, PostBounty,
    Refusal, Royalty, Scope, Share, Source, Step, Subject, Submission, SubmitToBounty,
    SubmittedRight, Subscribe, Subscription, SubscriptionStatus, Task, Terms, Thing,
    TopUpSubscription, Verdict,
};
use chronolith_chain::list::ListProof;

const KEY: [u8; 32] = [7; 32];
const COIN: Coin = Coin::Issued(CoinId([2; 32]));
const BOUNTY: BountyId = BountyId([3; 32]);
const DEAL: DealId = DealId([4; 32]);
const SUBSCRIPTION: SubscriptionId = SubscriptionId([5; 32]);
const REQUEST: RequestId = RequestId([6; 32]);
const OFFER: OfferId = OfferId([8; 32]);

fn cid(text: &str) -> ContentId {
    ContentId::of_raw(text.as_bytes())
}

fn batches() -> Rising<Batch, 64> {
    Rising::new([Batch { producer: Address([1; 32]), root: Hash([2; 32]) }]).unwrap()
}

fn sources() -> Rising<Source, 8> {
    Rising::new([Source { offer: OFFER, content: Some(cid("chunks")) }]).unwrap()
}

fn share() -> List<Share, 64> {
    List::new([Share { of: 0, to: 1, share: BasisPoints(10_000) }]).unwrap()
}

fn plan() -> Plan {
    let party = |number, amount| Party {
        account: Address([number; 32]),
        coin: COIN,
        amount: Amount(amount),
    };
    let step = Step {
        done_by: Parties(2),
        objected_by: Parties(1),
        blocks: 5,
        on_done: Next::Step(1),
        on_timeout: Next::Outcome(0),
        on_objection: Next::Arbiter { blocks: 6, otherwise: 0 },
    };
    let last = Step { on_done: Next::Outcome(0), ..step };
    Plan {
        contract: cid("contract"),
        parties: List::new([party(1, 1_000), party(2, 0)]).unwrap(),
        arbiter: Some(Address([3; 32])),
        join_until: 9,
        steps: List::new([step, last]).unwrap(),
        outcomes: List::new([DealOutcome { shares: share() }]).unwrap(),
    }
}

fn offer() -> Offer {
    let metrics = Rising::new([MetricName(Text::new("speed").unwrap())]).unwrap();
    Offer {
        scope: Scope {
            subject: Subject::Metrics { device: Address([1; 32]), tree: 1, metrics },
            from_ms: 10,
            until_ms: None,
        },
        coin: COIN,
        fixed: Amount(1_000),
        per_hour: Amount(10),
        terms: Terms {
            level: 3,
            check_blocks: 5,
            is_revocable: true,
            revocation_fee: BasisPoints(500),
            auto_grant: None,
        },
    }
}

fn actions() -> Vec<Action> {
    let right = Some(SubmittedRight { offer: OFFER, from_ms: 1, until_ms: 2 });
    let awards = [
        Award { number: 0, share: BasisPoints(4_000), key: None },
        Award { number: 1, share: BasisPoints(6_000), key: Some(KEY) },
    ];
    let wrapped = Bytes::new([9; 3]).unwrap();
    let (header, path) = (Bytes::new([8; 2]).unwrap(), ListProof::default());
    let anchor = (Address([1; 32]), Hash([2; 32]));
    vec![
        OfferExtended {
            offer: offer(),
            delivery: Delivery::Answers { query: cid("query") },
            royalty: BasisPoints(250),
            sources: sources(),
        }
        .into(),
        AnswerRequest {
            request: REQUEST,
            answer: cid("answer"),
            wrapped: wrapped.clone(),
            batches: batches(),
        }
        .into(),
        DisputeAnswer { request: REQUEST, secret: KEY, wrapped: wrapped.clone() }.into(),
        PostBounty {
            text: cid("text"),
            coin: COIN,
            reward: Amount(1_000),
            submit_until: 10,
            award_until: 20,
            leftover: Leftover::Submitters,
            ownership: Ownership::Both,
        }
        .into(),
        SubmitToBounty { bounty: BOUNTY, content: cid("data"), right }.into(),
        AwardBounty { bounty: BOUNTY, awards: Rising::new(awards).unwrap(), grant_blocks: 5 }
            .into(),
        OpenDeal { plan: plan() }.into(),
        JoinDeal { deal: DEAL }.into(),
        Advance { deal: DEAL, step: 1, objects: true, evidence: Some(cid("evidence")) }.into(),
        Arbitrate { deal: DEAL, shares: share(), reasons: Some(cid("reasons")) }.into(),
        Subscribe {
            offer: OFFER,
            from_ms: 10,
            hours: 24,
            key: KEY,
            periods: 3,
            payment: Amount(1_720),
            patience: 100,
        }
        .into(),
        TopUpSubscription { subscription: SUBSCRIPTION, periods: 2, payment: Amount(480) }.into(),
        DrawSubscription {
            subscription: SUBSCRIPTION,
            period: 4,
            wrapped: wrapped.clone(),
            header: header.clone(),
            anchor,
            index: 2,
            path: path.clone(),
            rotation: 1,
        }
        .into(),
        DisputePeriod {
            subscription: SUBSCRIPTION,
            period: 4,
            secret: KEY,
            wrapped,
            header,
            anchor,
            index: 2,
            path,
            rotation: 1,
        }
        .into(),
        EndSubscription { subscription: SUBSCRIPTION }.into(),
    ]
}

/// Values of the state, planned tasks and refusals: each with its name.
fn values(all: &mut Lines) {
    let (coin, key) = (COIN, KEY);
    let bounty = Bounty {
        poster: Address([1; 32]),
        text: cid("text"),
        coin,
        reward: Amount(1_000),
        escrow: Amount(400),
        awarded: BasisPoints(6_000),
        submit_until: 10,
        award_until: 20,
        leftover: Leftover::Poster,
        ownership: Ownership::Submitter,
        submissions: 2,
        is_open: true,
    };
    let submission = Submission {
        submitter: Address([2; 32]),
        content: cid("data"),
        right: None,
        awarded: Some(BasisPoints(6_000)),
        request: Some(REQUEST),
    };
    let deal = Deal {
        plan: plan(),
        escrows: List::new([Amount(1_000), Amount(0)]).unwrap(),
        joined: Parties(3),
        status: DealStatus::Disputed { step: 1, until: 30, otherwise: 0 },
    };
    let advanced = Advanced {
        height: 7,
        by: Some(Address([1; 32])),
        verdict: Verdict::Objected,
        evidence: None,
    };
    let subscription = Subscription {
        offer: OFFER,
        owner: Address([1; 32]),
        subscriber: Address([2; 32]),
        from_ms: 10,
        hours: 24,
        key,
        coin,
        price: Amount(240),
        fixed: Amount(1_000),
        escrow: Amount(480),
        next: 3,
        drawn: 2,
        patience: 100,
        status: SubscriptionStatus::Ending { from: 50 },
    };
    let status = PeriodStatus::Drawn { settles: 60 };
    let period = Period { wrapped: Hash([9; 32]), price: Amount(240), escrow: Amount(240), status };
    let royalty = Royalty { offer: OFFER, owner: Address([1; 32]), share: BasisPoints(100) };
    let extension = Extension {
        delivery: Delivery::Keys,
        royalty: BasisPoints(250),
        sources: sources(),
        royalties: Rising::new([royalty]).unwrap(),
    };
    all.add("bounty", &bounty);
    all.add("submission", &submission);
    all.add("deal", &deal);
    all.add("advanced", &advanced);
    all.add("decided", &Decided { height: 8, shares: share(), reasons: None });
    all.add("subscription", &subscription);
    all.add("period", &period);
    all.add("extension", &extension);
    all.add("answered", &Answered { answer: cid("answer"), batches: batches() });
    let tasks = [
        Task::EndBounty(BOUNTY),
        Task::EndJoining(DEAL),
        Task::EndStep { deal: DEAL, step: 2 },
        Task::EndArbitration(DEAL),
        Task::EndSubscription { subscription: SUBSCRIPTION, drawn: 3 },
        Task::SettlePeriod { subscription: SUBSCRIPTION, period: 3 },
    ];
    all.add("tasks", &tasks);
    let things = [
        Thing::Answer,
        Thing::Bounty,
        Thing::Submission,
        Thing::Deal,
        Thing::Step,
        Thing::Arbiter,
        Thing::Subscription,
        Thing::Period,
    ];
    all.add("things", &things);
    let refusals = [
        Refusal::Delivery,
        Refusal::AnswerHolds,
        Refusal::AwardKey { number: 1 },
        Refusal::Order { expected: 1, found: 2 },
        Refusal::Unfinished { until_ms: 3 },
    ];
    all.add("refusals", &refusals);
}

/// Names with encodings as digits.
#[derive(Default)]
struct Lines(BTreeMap<String, String>);

impl Lines {
    fn add<T>(&mut self, name: &str, value: &T)
    where
        T: BorshSerialize + BorshDeserialize + PartialEq + std::fmt::Debug,
    {
        let bytes = encode(value);
        assert_eq!(decode::<T>("a value", &bytes, usize::MAX).as_ref(), Ok(value));
        let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.insert(name.to_owned(), digits);
    }
}

#[test]
fn encodings_of_deals_are_for_ever() {
    let mut found = Lines::default();
    let actions = actions();
    for action in &actions {
        found.add(action.kind().name, action);
    }
    let of_version_2 = Action::KINDS.iter().filter(|kind| kind.since == 2).map(|kind| kind.name);
    let names: BTreeSet<_> = actions.iter().map(|action| action.kind().name).collect();
    assert_eq!(names, of_version_2.collect(), "every action has its line");
    values(&mut found);
    let text: String = found.0.iter().map(|(name, digits)| format!("{name} {digits}\n")).collect();
    assert!(text == include_str!("../../testdata/deals.txt"), "drifted, or new lines:\n{text}");
}
