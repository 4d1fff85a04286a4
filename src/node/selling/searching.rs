//! Asking the blocks what happened to sales whose status does not show all of it: one pass for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chronolith_chain::address::Address;
use chronolith_chain::consensus::{BlockStore, StoreError};
use chronolith_chain::ledger::{Action, AnswerRequest, Cancel, EndSubscription, Grant, Revoke};

use super::Runner;
use crate::market::MarketError;
use crate::market::events::SaleId;

/// How many blocks back is looked.
const BLOCKS_MOST: u64 = 10_000;
/// How many blocks are read at once, and for how long: the validator does nothing else meanwhile.
const LOOK_BLOCKS: u64 = 128;
const LOOK_TIME: Duration = Duration::from_millis(20);

/// What the blocks say of a sale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Trace {
    /// Whether its buyer cancelled it.
    pub(super) is_cancelled: bool,
    /// When its keys or its answer were given.
    pub(super) given: Option<u64>,
    /// When its owner took it back.
    pub(super) revoked: Option<u64>,
    /// Who ended it, of a subscription.
    pub(super) ended_by: Option<Address>,
}

/// What the blocks say of the sales that were asked for.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// The first height from which on all blocks were looked at.
    pub(super) from: u64,
    of: BTreeMap<SaleId, Trace>,
}

impl Traces {
    /// As if a pass had found this.
    #[cfg(test)]
    pub(super) fn one(from: u64, sale: SaleId, trace: Trace) -> Self {
        Self { from, of: [(sale, trace)].into() }
    }

    pub(super) fn of(&self, sale: SaleId) -> Trace {
        self.of.get(&sale).copied().unwrap_or_default()
    }
}

/// What a transaction did.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Cancelled,
    Given,
    Revoked,
    Ended(Address),
}

/// What was done in a block to a sale.
#[derive(Debug, Clone, Copy)]
struct Done {
    height: u64,
    sale: SaleId,
    deed: Deed,
}

/// The sale that an action is about, where its status may not show it, and what it does.
fn deed(sender: Address, action: &Action) -> Option<(SaleId, Deed)> {
    Some(match action {
        Action::Cancel(Cancel { request }) => (SaleId::Request(*request), Deed::Cancelled),
        Action::Grant(Grant { request, .. })
        | Action::AnswerRequest(AnswerRequest { request, .. }) => {
            (SaleId::Request(*request), Deed::Given)
        }
        Action::Revoke(Revoke { request }) => (SaleId::Request(*request), Deed::Revoked),
        Action::EndSubscription(EndSubscription { subscription }) => {
            (SaleId::Subscription(*subscription), Deed::Ended(sender))
        }
        _ => return None,
    })
}

/// A part of the blocks that was read.
struct Read {
    /// The first height from which on there were all blocks.
    from: u64,
    /// The first height that was not read.
    next: u64,
    done: Vec<Done>,
}

/// Reads blocks until the time is over, at least one.
fn read(
    blocks: &BlockStore,
    heights: RangeInclusive<u64>,
    wanted: &BTreeSet<SaleId>,
) -> Result<Read, StoreError> {
    let (begin, mut done) = (Instant::now(), Vec::new());
    let (mut from, mut next) = (*heights.start(), *heights.start());
    for height in heights {
        next = height.saturating_add(1);
        let Some(decided) = blocks.block(height)? else {
            // It is kept no more.
            from = next;
            continue;
        };
        let transactions = decided.block.transactions.iter().zip(0_usize..);
        let named = transactions.filter_map(|(transaction, place)| {
            let (sale, deed) = deed(transaction.body.sender, &transaction.body.action)?;
            wanted.contains(&sale).then_some((place, Done { height, sale, deed }))
        });
        let named: Vec<(usize, Done)> = named.collect();
        // Only where there is something to be found are the receipts read.
        if !named.is_empty() {
            let receipts = blocks.receipts(height)?.unwrap_or_default();
            let is_done =
                |place: usize| receipts.get(place).is_some_and(|receipt| receipt.refusal.is_none());
            done.extend(named.into_iter().filter(|(place, _)| is_done(*place)).map(|(_, one)| one));
        }
        if begin.elapsed() >= LOOK_TIME {
            break;
        }
    }
    Ok(Read { from, next, done })
}

/// Goes once through heights in bounded parts.
fn pass(
    heights: RangeInclusive<u64>,
    mut look: impl FnMut(RangeInclusive<u64>) -> Result<Read, MarketError>,
) -> Result<Traces, MarketError> {
    let (mut next, last) = heights.into_inner();
    let mut traces = Traces { from: next, of: BTreeMap::new() };
    while next <= last {
        let part = look(next..=last.min(next.saturating_add(LOOK_BLOCKS - 1)))?;
        for Done { height, sale, deed } in part.done {
            let trace = traces.of.entry(sale).or_default();
            match deed {
                Deed::Cancelled => trace.is_cancelled = true,
                Deed::Given => trace.given = Some(height),
                Deed::Revoked => trace.revoked = Some(height),
                Deed::Ended(by) => trace.ended_by = Some(by),
            }
        }
        if part.from > next {
            traces.from = part.from;
        }
        next = part.next.max(next.saturating_add(1));
    }
    Ok(traces)
}

impl Runner {
    /// Asks the blocks up to a height for some sales, each from its own height on, as far back as blocks are
    /// kept and looked at.
    pub(super) fn search(
        &self,
        wanted: &BTreeMap<SaleId, u64>,
        until: u64,
    ) -> Result<Traces, MarketError> {
        let Some(from) = wanted.values().min() else { return Ok(Traces::default()) };
        let ids: Arc<BTreeSet<SaleId>> = Arc::new(wanted.keys().copied().collect());
        let chain = self.link.chain();
        let oldest = chain.look(|validator| validator.blocks().oldest());
        let oldest = oldest.ok_or(MarketError::Stopped)?;
        let from = (*from).max(until.saturating_sub(BLOCKS_MOST)).max(oldest).max(1);
        pass(from..=until, |heights| {
            if self.stop.is_told() {
                return Err(MarketError::Stopped);
            }
            let ids = Arc::clone(&ids);
            let read = chain.look(move |validator| read(validator.blocks(), heights, &ids));
            let read = read.ok_or(MarketError::Stopped)?;
            read.map_err(|error| MarketError::Blocks(Box::new(error)))
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::hash::{RequestId, SubscriptionId};

    use super::*;

    fn request(number: u64) -> SaleId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        SaleId::Request(RequestId(id))
    }

    /// Each sale that had ended was looked for by itself, one block a look: with some hundred of them the
    /// market's thread did nothing else for hours.
    #[test]
    fn all_sales_are_found_in_one_pass_of_bounded_parts() {
        let (mut seen, mut parts) = (Vec::<u64>::new(), 0);
        let traces = pass(11..=2_010, |heights| {
            parts += 1;
            assert!(heights.clone().count() as u64 <= LOOK_BLOCKS);
            // The time is over after a hundred blocks.
            let heights: Vec<u64> = heights.take(100).collect();
            let done = |height: &u64| {
                let (height, deed) = (*height, Deed::Cancelled);
                height.is_multiple_of(4).then(|| Done { height, sale: request(height), deed })
            };
            let done = heights.iter().filter_map(done).collect();
            seen.extend(&heights);
            Ok(Read { from: heights[0], next: heights.last().unwrap() + 1, done })
        });
        let traces = traces.unwrap();
        assert_eq!(seen, (11..=2_010).collect::<Vec<u64>>(), "each height once");
        assert_eq!((parts, traces.from, traces.of.len()), (20, 11, 500));
        assert!(traces.of(request(2_008)).is_cancelled);
        assert_eq!(traces.of(request(2_009)), Trace::default());
    }

    #[test]
    fn a_pass_ends_where_nothing_can_be_read_and_goes_on_where_nothing_was() {
        let mut looks = 0;
        let stuck = pass(1..=3, |heights| {
            looks += 1;
            Ok(Read { from: *heights.start(), next: *heights.start(), done: Vec::new() })
        });
        assert!(stuck.is_ok());
        assert_eq!(looks, 3);
        assert!(pass(1..=3, |_| Err(MarketError::Stopped)).is_err());
        // Blocks that are gone are not taken for blocks in which nothing was done.
        let some = pass(1..=9, |_| Ok(Read { from: 4, next: 10, done: Vec::new() })).unwrap();
        assert_eq!(some.from, 4);
        let none = pass(RangeInclusive::new(5, 4), |_| Err(MarketError::Stopped)).unwrap();
        assert_eq!(none.from, 5, "there is no height to look at");
    }

    #[test]
    fn the_blocks_say_when_a_right_was_given_and_taken_back_and_who_ended_a_subscription() {
        let by = Address([3; 32]);
        let sale = SaleId::Subscription(SubscriptionId([8; 32]));
        let revoke = Action::Revoke(Revoke { request: RequestId([9; 32]) });
        let end =
            Action::EndSubscription(EndSubscription { subscription: SubscriptionId([8; 32]) });
        let (revoked, ended) = (deed(by, &revoke).unwrap(), deed(by, &end).unwrap());
        let all = [(4, (revoked.0, Deed::Given)), (7, revoked), (9, ended)];
        let done = all.map(|(height, (sale, deed))| Done { height, sale, deed });
        let traces = pass(1..=9, |_| Ok(Read { from: 1, next: 10, done: done.to_vec() })).unwrap();
        let of_right = traces.of(SaleId::Request(RequestId([9; 32])));
        assert_eq!((of_right.given, of_right.revoked), (Some(4), Some(7)));
        assert_eq!(traces.of(sale).ended_by, Some(by));
    }
}
