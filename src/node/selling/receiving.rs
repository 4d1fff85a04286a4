//! Receiving what the node's account bought into its database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::{Delivery, PeriodStatus, RightStatus};
use chronolith_engine::Durability;

use super::look::Look;
use super::{NotTaken, Runner, SellingEvent};
use crate::buyer::{BuyerError, LOOK_TIME_MOST, Received, Refused, keys};
use crate::market::bought::Bought;
use crate::market::queue::Side;
use crate::market::subscription::{self, Period};
use crate::market::{MarketError, VenueError, offer};

/// Where the database remembers what it received: the request, and how many chunks.
const NAMESPACE: &str = "market-received";

/// What is said of something that has a wrong key, where that was seen before.
const WRONG_KEY: &str = "a key of it is wrong, and what shows it is kept";

/// What the account has keys of.
struct Granted {
    bought: Bought,
    /// The last height at which it can be disputed; none where its owner was paid.
    settles: Option<u64>,
}

/// What came of a look for something that was bought.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Looked {
    /// It is not received here: it was asked for elsewhere, or is an answer.
    Elsewhere,
    /// There was nothing new, and all that there is was taken before.
    Same,
    /// All of it was taken now.
    Taken,
    /// It is not here, or not all of it.
    Missing {
        /// How many chunks were refused.
        chunks: usize,
        /// Why.
        reason: String,
        /// Whether that is a wrong key.
        is_of_key: bool,
    },
}

impl Looked {
    fn missing(reason: String) -> Self {
        Self::Missing { chunks: 0, reason, is_of_key: false }
    }

    /// Of what was fetched.
    fn of(received: &Received) -> Self {
        let refused = &received.refused;
        let of_key = refused.iter().find(|one| one.fault.is_of_key());
        let shown: Option<&Refused> = of_key.or_else(|| refused.first());
        shown.map_or(Self::Taken, |shown| Self::Missing {
            chunks: refused.len(),
            reason: shown.fault.to_string(),
            is_of_key: of_key.is_some(),
        })
    }

    /// How many chunks were refused, and why it is not here; nothing where it is. A wrong key that was seen before is
    /// told whatever its owner has his note say now.
    fn told(self, is_disputable: bool) -> Option<(usize, String)> {
        match self {
            Self::Missing { chunks, reason, is_of_key } if is_of_key || !is_disputable => {
                Some((chunks, reason))
            }
            Self::Missing { chunks, reason, .. } => {
                Some((chunks, format!("{WRONG_KEY}; now: {reason}")))
            }
            _ => is_disputable.then(|| (0, WRONG_KEY.to_owned())),
        }
    }
}

impl Runner {
    /// Receives what was granted and is not here yet, or not all of it. One that fails keeps no other.
    pub(super) fn receive(&mut self) -> Result<(), BuyerError> {
        let (granted, height) = self.granted()?;
        let settle: BTreeMap<RequestId, Option<u64>> =
            granted.iter().map(|one| (one.bought.request(), one.settles)).collect();
        self.looks.retain(|request, _| settle.contains_key(request));
        self.failing.retain(|request, _| settle.contains_key(request));
        let kept_up = self.keep_up(&settle, height);
        for Granted { bought, settles } in granted {
            let request = bought.request();
            let is_time = self.looks.get(&request).is_none_or(Look::is_time);
            if !is_time || self.stop.is_told() {
                continue;
            }
            let looked = self.receive_one(bought);
            match &looked {
                Ok(Looked::Taken) => drop(self.looks.remove(&request)),
                // Whether it fails or is not there yet, it is tried again less and less often.
                _ => self.looks.entry(request).or_insert_with(Look::first).put_off(),
            }
            let looked = match looked {
                Ok(looked) => {
                    self.failing.remove(&request);
                    looked
                }
                Err(error) => {
                    self.failing.insert(request, error.to_string());
                    Looked::missing(error.to_string())
                }
            };
            self.show(bought, (settles, height), looked);
        }
        kept_up
    }

    /// What the account has keys of: granted requests, and periods of subscriptions; and the height of the state.
    fn granted(&self) -> Result<(Vec<Granted>, u64), BuyerError> {
        let height = self
            .desk
            .with_venue(|venue| Ok(venue.look(|_, height| Ok::<_, VenueError>(height))?))?;
        let rights = self.desk.rights(Side::Bought)?.into_iter();
        let rights = rights.filter_map(|entry| {
            let settles = match entry.right.status {
                RightStatus::Granted { settles, .. } => Some(settles),
                RightStatus::Settled { .. } => None,
                _ => return None,
            };
            Some(Granted { bought: Bought::Request(entry.request), settles })
        });
        let mut found: Vec<Granted> = rights.collect();
        let account = self.desk.account();
        self.desk.with_venue(|venue| {
            for (subscription, one) in subscription::all_of(venue, account)? {
                if one.subscriber != account {
                    continue;
                }
                for (number, period) in subscription::drawn(venue, subscription)? {
                    let settles = match period.status {
                        PeriodStatus::Drawn { settles } => Some(settles),
                        PeriodStatus::Paid => None,
                        PeriodStatus::Faulty => continue,
                    };
                    let bought = Bought::Period(Period { subscription, number });
                    found.push(Granted { bought, settles });
                }
            }
            Ok(())
        })?;
        Ok((found, height))
    }

    /// Shows of what is not here until when it can be disputed, and forgets what shows the ledger what it judges no
    /// more.
    fn keep_up(
        &self,
        settle: &BTreeMap<RequestId, Option<u64>>,
        height: u64,
    ) -> Result<(), BuyerError> {
        let settles = |request: &RequestId| settle.get(request).copied().flatten();
        let is_open = |request: &RequestId| settles(request).is_some_and(|last| height <= last);
        self.desk.status_mut().not_taken.retain(|request, _| settle.contains_key(request));
        let kept: BTreeSet<RequestId> = self.kept()?;
        for (request, one) in &mut self.desk.status_mut().not_taken {
            one.settles = settles(request);
            one.is_disputable = is_open(request) && kept.contains(request);
        }
        let over = kept.into_iter().filter(|request| !is_open(request));
        Ok(self.desk.forget_disputes(over)?)
    }

    /// Of what something is kept that shows the ledger a wrong key.
    fn kept(&self) -> Result<BTreeSet<RequestId>, BuyerError> {
        let kept = self.desk.trade().purse.disputes().map_err(MarketError::from)?;
        Ok(kept.into_iter().collect())
    }

    /// Looks for something that was bought, and takes what there is.
    fn receive_one(&self, bought: Bought) -> Result<Looked, BuyerError> {
        let (trade, request) = (self.desk.trade(), bought.request());
        let known = bought.known(&trade.purse).map_err(MarketError::from)?;
        // What was asked for elsewhere is received there, where the secret is.
        let Some(requested) = known else { return Ok(Looked::Elsewhere) };
        let delivery =
            self.desk.with_venue(|venue| Ok(offer::delivery(venue, requested.offer)?))?;
        if delivery != Delivery::Keys {
            return Ok(Looked::Elsewhere);
        }
        let before = trade.db.state(NAMESPACE, &request.0);
        let before = before.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        let Some(note) = self.desk.note_of(bought, &requested, Instant::now() + LOOK_TIME_MOST)
        else {
            return Ok(match before {
                Some(_) => Looked::Same,
                None => Looked::missing(BuyerError::NoNote { bought }.to_string()),
            });
        };
        let all = note.chunks.len() as u64;
        let in_packs = note.chunks.iter().filter(|told| told.pack.is_some()).count() as u64;
        if in_packs == 0 || before.is_some_and(|before| before >= in_packs) {
            return Ok(match (before, all) {
                (None, 0) => Looked::missing(BuyerError::Nothing { bought }.to_string()),
                (before, _) if in_packs < all && before.is_none_or(|before| before < all) => {
                    Looked::missing(unpacked(all - in_packs, all))
                }
                _ => Looked::Same,
            });
        }
        // Peers may take their time, and deals by hand need not wait for them.
        let venue = self.desk.connect()?;
        let keys = keys(&venue, bought, &requested)?;
        let received = self.desk.fetch(&venue, &keys, &requested, &note)?;
        let Received { chunks, records, refused, .. } = &received;
        if refused.is_empty() {
            let mut batch = trade.db.batch();
            batch.put_state(NAMESPACE, &request.0, &(*chunks as u64).to_le_bytes());
            trade.db.write(&batch, Durability::Synced)?;
        }
        let (chunks, records, refused) = (*chunks, *records, refused.len());
        (self.tell)(SellingEvent::Received { request, chunks, records, refused });
        Ok(Looked::of(&received))
    }

    /// Shows what came of a look, at a height.
    fn show(&self, bought: Bought, (settles, height): (Option<u64>, u64), looked: Looked) {
        let request = bought.request();
        let is_open = settles.is_some_and(|settles| height <= settles);
        let is_disputable = is_open && self.desk.trade().purse.has_dispute(request);
        let is_taken = looked == Looked::Taken;
        let told = looked.told(is_disputable);
        let mut status = self.desk.status_mut();
        status.received += u64::from(is_taken);
        match told {
            Some((chunks, reason)) => {
                let one = NotTaken { bought, chunks, reason, settles, is_disputable };
                status.not_taken.insert(request, one);
            }
            None => {
                status.not_taken.remove(&request);
            }
        }
    }
}

fn unpacked(missing: u64, all: u64) -> String {
    format!(
        "{missing} of the {all} chunks that its note names are in no pack that peers keep: its owner has to place them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buyer::check::Fault;

    /// An owner who took his note back, or named other chunks in it, after a wrong key was seen made it look as if there
    /// were none.
    #[test]
    fn a_wrong_key_that_was_seen_is_told_whatever_the_owner_says_then() {
        let missing = |is_of_key| Looked::Missing { chunks: 2, reason: "no".to_owned(), is_of_key };
        assert_eq!(missing(true).told(true), Some((2, "no".to_owned())));
        assert_eq!(missing(false).told(false), Some((2, "no".to_owned())));
        let withheld = missing(false).told(true).map(|(_, reason)| reason);
        assert_eq!(withheld, Some(format!("{WRONG_KEY}; now: no")));
        for looked in [Looked::Taken, Looked::Same] {
            assert_eq!(looked.clone().told(true), Some((0, WRONG_KEY.to_owned())));
            assert_eq!(looked.told(false), None);
        }
        assert_eq!(Looked::Elsewhere.told(false), None);
    }

    #[test]
    fn what_is_fetched_whole_is_taken_and_of_the_rest_a_wrong_key_is_told_first() {
        let refused = |at, fault| Refused { at, fault };
        let received = |refused| Received { refused, ..Received::default() };
        assert_eq!(Looked::of(&received(Vec::new())), Looked::Taken);
        let scope = Fault::Scope("it is another's");
        let looked = Looked::of(&received(vec![refused(0, Fault::Path), refused(1, scope)]));
        let told = looked.told(false);
        assert!(told.is_some_and(|(chunks, why)| chunks == 2 && why == Fault::Path.to_string()));
    }
}
