//! What is on the chain as JSON, for the command line and HTTP.

use std::collections::BTreeSet;

use chronolith_chain::address::Address;
use chronolith_chain::consensus::message::Decided;
use chronolith_chain::hash::{BountyId, DealId, OfferId, RequestId, ServiceId, SubscriptionId};
use chronolith_chain::header::Header;
use chronolith_chain::ledger::{
    AccountKey, Bounty, Contribution, Deal, DelegationKey, HoldingKey, Leftover, Offer, OpenOffer,
    Ownership, Parameters, ParametersKey, Peer, PeerKey, Receipt, Right, RightStatus, ScheduleKey,
    Service, Subject, Submission, Subscription, ValidatorKey, Validators, contribution,
};
use chronolith_chain::state::{Overlay, State, StateError, View};
use chronolith_net::exchange::NodeStatus;
use serde_json::{Value, json};

use super::{Settled, coins};
use crate::buyer::answer::Opened;
use crate::market::deal;
use crate::market::queue::status as status_of;
use crate::rows::rfc3339;

/// A time as people read it; one that no calendar has stays a number.
pub(crate) fn time(time_ns: u64) -> String {
    i64::try_from(time_ns).map_or_else(|_| time_ns.to_string(), rfc3339)
}

/// A subscription as one of its parties sees it.
pub(crate) fn subscription(id: SubscriptionId, found: &Subscription, account: Address) -> Value {
    let is_sold = found.owner == account;
    json!({
        "subscription": id,
        "side": if is_sold { "sold" } else { "bought" },
        "with": if is_sold { found.subscriber } else { found.owner },
        "offer": found.offer,
        "from": milliseconds(found.from_ms),
        "hours": found.hours,
        "coin": found.coin,
        "price": coins(found.price),
        "escrow": coins(found.escrow),
        "drawn": found.drawn,
        "next": found.next,
        "status": crate::market::subscription::status(found),
    })
}

/// A bounty.
pub(crate) fn bounty(id: BountyId, found: &Bounty) -> Value {
    json!({
        "bounty": id,
        "poster": found.poster,
        "text": found.text,
        "coin": found.coin,
        "reward": coins(found.reward),
        "escrow": coins(found.escrow),
        "awarded_bp": found.awarded,
        "submissions": found.submissions,
        "submit_until": found.submit_until,
        "award_until": found.award_until,
        "leftover": match found.leftover {
            Leftover::Poster => "poster",
            Leftover::Submitters => "submitters",
        },
        "ownership": match found.ownership {
            Ownership::Submitter => "submitter",
            Ownership::Poster => "poster",
            Ownership::Both => "both",
        },
        "open": found.is_open,
    })
}

/// What was submitted to a bounty.
pub(crate) fn submission(number: u32, found: &Submission) -> Value {
    let right = found.right;
    json!({
        "number": number,
        "submitter": found.submitter,
        "content": found.content,
        "offer": right.map(|right| right.offer),
        "from": right.map(|right| milliseconds(right.from_ms)),
        "until": right.map(|right| milliseconds(right.until_ms)),
        "awarded_bp": found.awarded,
        "request": found.request,
    })
}

/// A deal as a line of a list: one of its parties, or its arbiter, sees it.
pub(crate) fn deal_line(id: DealId, found: &Deal, account: Address) -> Value {
    json!({
        "deal": id,
        "as": deal::part(found, account),
        "contract": found.plan.contract,
        "parties": found.plan.parties.len(),
        "status": deal::status(&found.status),
    })
}

/// A deal: its plan, where it is, who said what.
pub(crate) fn deal(id: DealId, found: &deal::Found) -> Value {
    let deal::Found { deal: Deal { plan, escrows, status, .. }, said, verdict } = found;
    let said = said.iter().map(|(step, advanced)| json!({"step": step, "said": advanced}));
    let set_aside: Vec<String> = escrows.iter().map(|amount| coins(*amount)).collect();
    json!({
        "deal": id,
        "status": deal::status(status),
        "contract": plan.contract,
        "parties": plan.parties.len(),
        "set_aside": set_aside.join(" "),
        "steps": said.collect::<Vec<_>>(),
        "plan": plan,
        "verdict": verdict,
    })
}

/// An answer that was bought and opened: as the JSON that it is, or as text where its owner signed something else;
/// nothing where it is not what he signed.
pub(crate) fn answer(opened: &Opened) -> Value {
    let bytes = opened.bytes.as_deref().filter(|_| opened.holds());
    let answer = bytes.map(|bytes| {
        let text = || Value::String(String::from_utf8_lossy(bytes).into_owned());
        serde_json::from_slice(bytes).unwrap_or_else(|_| text())
    });
    let batches = opened.answered.batches.iter();
    let batches = batches.map(|one| json!({"producer": one.producer, "root": one.root}));
    json!({
        "holds": opened.holds(),
        "answer": answer,
        "id": opened.id(),
        "batches": batches.collect::<Vec<_>>(),
    })
}

/// A service that an account announces; none where it has ended.
pub(crate) fn service(id: ServiceId, service: &Service) -> Option<Value> {
    let info = service.info.as_ref()?;
    Some(json!({
        "service": id,
        "owner": service.owner,
        "name": &*info.name,
        "kind": &*info.kind,
        "endpoint": &*info.endpoint,
        "description": info.description,
    }))
}

fn header(header: &Header) -> Value {
    json!({
        "height": header.height,
        "block": header.id(),
        "time": time(header.time_ns),
        "previous": header.previous,
        "proposer": header.proposer,
        "state_root": header.state_root,
        "transactions_root": header.transactions.root,
        "receipts_root": header.receipts.root,
        "history_root": header.history_root,
        "validators_hash": header.validators,
        "next_validators_hash": header.next_validators,
    })
}

/// A block with a line for each transaction.
pub(crate) fn block(decided: &Decided) -> Value {
    let transactions = decided.block.transactions.iter().map(|transaction| {
        json!({
            "id": transaction.body.id(),
            "action": transaction.body.action.kind().name,
            "sender": transaction.body.sender,
            "nonce": transaction.body.nonce,
            "fee": coins(transaction.body.fee),
        })
    });
    let mut shown = header(&decided.block.header);
    shown["transactions"] = transactions.collect();
    shown["round"] = json!(decided.certificate.round());
    shown["signatures"] = json!(decided.certificate.signatures().len());
    shown["evidence"] = json!(decided.block.evidence.len());
    shown
}

/// Where a node is.
pub(crate) fn status(status: &NodeStatus) -> Value {
    json!({
        "chain": status.chain,
        "height": status.height,
        "block": status.block,
        "state_root": status.state_root,
        "waiting": status.waiting,
        "round": status.round,
        "is_voting": status.is_voting,
    })
}

/// What became of a transaction.
pub(crate) fn settled(settled: &Settled) -> Value {
    let mut shown = receipt(settled.height, &settled.receipt);
    shown["index"] = json!(settled.index);
    shown
}

/// A receipt in the block of a height.
pub(crate) fn receipt(height: u64, receipt: &Receipt) -> Value {
    json!({
        "id": receipt.transaction,
        "height": height,
        "fee": coins(receipt.fee),
        "refusal": receipt.refusal,
        "reason": receipt.refusal.as_ref().map(ToString::to_string),
    })
}

/// What an account has after a block.
///
/// # Errors
/// Where the state cannot be read.
pub(crate) fn account(
    state: &dyn View,
    address: Address,
    height: u64,
) -> Result<Value, StateError> {
    let state = Overlay::new(state);
    let account = state.get(&AccountKey { address })?;
    let exists = account.is_some();
    let account = account.unwrap_or_default();
    let mut holdings = Vec::new();
    for (HoldingKey { coin, .. }, amount) in state.scan::<HoldingKey>(&address.0, usize::MAX)? {
        holdings.push(json!({"coin": coin, "amount": amount}));
    }
    let mut delegations = Vec::new();
    for (key, shares) in state.scan::<DelegationKey>(&address.0, usize::MAX)? {
        delegations.push(json!({"validator": key.validator, "shares": shares.to_string()}));
    }
    Ok(json!({
        "account": address,
        "exists": exists,
        "height": height,
        "balance": coins(account.balance),
        "motes": account.balance,
        "nonce": account.nonce,
        "fees_burnt": coins(account.fees_burnt),
        "issued_coin": holdings,
        "delegations": delegations,
    }))
}

/// All candidates for a seat, and who has one.
///
/// # Errors
/// Where the state cannot be read.
pub(crate) fn validators(
    state: &dyn View,
    height: u64,
) -> Result<(Value, Vec<ValidatorKey>), StateError> {
    let seats = Validators::of(state)?.next;
    let (mut shown, mut keys) = (Vec::new(), Vec::new());
    for (key, entry) in Overlay::new(state).scan::<ValidatorKey>(&[], usize::MAX)? {
        let seat = seats.iter().find(|seat| seat.validator == key.validator);
        shown.push(json!({
            "validator": key.validator,
            "consensus_key": entry.consensus_key,
            "stake": coins(entry.stake),
            "commission": entry.commission,
            "power": seat.map(|seat| seat.power),
            "is_seated": seat.is_some(),
        }));
        keys.push(key);
    }
    Ok((json!({"height": height, "validators": shown}), keys))
}

/// The running lot and term.
///
/// # Errors
/// Where the state cannot be read.
pub(crate) fn lot(state: &dyn View, height: u64) -> Result<Value, StateError> {
    let schedule = Overlay::new(state).get(&ScheduleKey {})?.unwrap_or_default();
    let mut shown = serde_json::to_value(schedule).unwrap_or_default();
    shown["height"] = json!(height);
    Ok(shown)
}

/// The scores of a node or of all, and what they are made of; and whose they are.
///
/// # Errors
/// Where the state cannot be read.
pub(crate) fn contributions(
    state: &State,
    only: Option<Address>,
    height: u64,
) -> Result<(Value, BTreeSet<Address>), StateError> {
    let mut nodes: BTreeSet<Address> = only.into_iter().collect();
    if only.is_none() {
        let view = Overlay::new(state);
        let validators = view.scan::<ValidatorKey>(&[], usize::MAX)?;
        let peers = view.scan::<PeerKey>(&[], usize::MAX)?;
        nodes.extend(validators.into_iter().map(|(key, _)| key.validator));
        nodes.extend(peers.into_iter().map(|(key, _)| key.peer));
    }
    let mut shown = Vec::new();
    for address in &nodes {
        let found: Contribution = contribution(state, *address)?;
        shown.push(json!({
            "account": address,
            "score": found.score().to_string(),
            "fees_burnt": coins(found.fees_burnt),
            "fee_points": found.fee_points.to_string(),
            "audits_passed": found.audits_passed,
            "audit_points": found.audit_points.to_string(),
            "stake_blocks": found.stake_blocks.to_string(),
            "bond_points": found.bond_points.to_string(),
        }));
    }
    Ok((json!({"height": height, "nodes": shown}), nodes))
}

/// What the ledger has of a storage peer; nothing where it is none.
///
/// # Errors
/// Where the state cannot be read.
pub(crate) fn storage(
    state: &dyn View,
    account: Address,
    height: u64,
) -> Result<Option<Value>, StateError> {
    let state = Overlay::new(state);
    let Some(peer): Option<Peer> = state.get(&PeerKey { peer: account })? else { return Ok(None) };
    let parameters: Parameters = state.get(&ParametersKey {})?.unwrap_or_default();
    let balance = state.get(&AccountKey { address: account })?.unwrap_or_default().balance;
    Ok(Some(json!({
        "account": account,
        "height": height,
        "epoch": parameters.epoch(height),
        "address": peer.address.to_string(),
        "region": peer.region.to_string(),
        "capacity_bytes": peer.capacity_bytes,
        "leased_bytes": peer.leased_bytes,
        "leases": peer.leases,
        "price_per_gib": coins(peer.price_per_gib),
        "audits_passed": peer.audits_passed,
        "audits_missed": peer.audits_missed,
        "bond": coins(peer.bond),
        "earned": coins(peer.earned),
        "balance": coins(balance),
        "closing_since": peer.closing_since,
    })))
}

/// An offer.
pub(crate) fn offer(id: OfferId, open: &OpenOffer) -> Value {
    let Offer { scope, coin, fixed, per_hour, terms } = &open.offer;
    let (device, metrics) = match &scope.subject {
        Subject::Hidden(_) => (Value::Null, Value::Null),
        Subject::Metrics { device, metrics, .. } => {
            let names: Vec<_> = metrics.iter().map(|one| one.0.to_string()).collect();
            (json!(device), json!(names))
        }
    };
    json!({
        "offer": id.to_string(),
        "owner": open.owner,
        "device": device,
        "metrics": metrics,
        "level": terms.level,
        "from": milliseconds(scope.from_ms),
        "until": scope.until_ms.map(milliseconds),
        "coin": coin,
        "fixed": coins(*fixed),
        "per_hour": coins(*per_hour),
        "check_blocks": terms.check_blocks,
        "revocable": terms.is_revocable,
        "revocation_fee_bp": terms.revocation_fee,
        "auto_grant": terms.auto_grant,
    })
}

/// A right, as the account on one side of it sees it. While it can be disputed, `settles` is the last height for that.
pub(crate) fn right(request: RequestId, right: &Right, side: &str) -> Value {
    let with = if side == "sold" { right.buyer } else { right.owner };
    let settles = match right.status {
        RightStatus::Granted { settles, .. } => Some(settles),
        _ => None,
    };
    json!({
        "request": request.to_string(),
        "side": side,
        "with": with,
        "offer": right.offer.to_string(),
        "from": milliseconds(right.from_ms),
        "until": milliseconds(right.until_ms),
        "coin": right.coin,
        "price": coins(right.price),
        "escrow": coins(right.escrow),
        "deadline": right.deadline,
        "settles": settles,
        "status": status_of(right),
    })
}

/// A time of the ledger.
pub(crate) fn milliseconds(time_ms: u64) -> String {
    rfc3339(i64::try_from(time_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}
