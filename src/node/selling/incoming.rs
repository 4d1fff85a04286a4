//! Webhooks in: what others' programs tell of steps of deals, signed with a secret that they share with the node.
//!
//! Each message is taken once. What it says the node says on the ledger, in the name of its account, of deals that go
//! by contracts of its configuration.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::content::ContentId;
use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::{Advance, DealStatus, Verdict};
use chronolith_contract::webhook::{Headers, Receiver, WebhookError};
use parking_lot::Mutex;
use serde::Deserialize;

use super::calls::secret;
use super::{Desk, SellingSettings};
use crate::market::agreement::{AgreementError, check};
use crate::market::{MarketError, deal};
use crate::node::submit::Done;
use crate::node::{NodeError, NodeSettings};

/// The most ids of messages that are remembered of each sender.
const IDS: usize = 10_000;

/// A message of another's program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// What is said.
    #[serde(rename = "type")]
    kind: WordKind,
    /// When it was; the signature's time counts.
    #[serde(default, rename = "timestamp")]
    _timestamp: Option<String>,
    data: WordData,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum WordKind {
    #[serde(rename = "deal.done")]
    Done,
    #[serde(rename = "deal.objected")]
    Objected,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WordData {
    deal: DealId,
    step: u8,
    evidence: Option<ContentId>,
}

/// Why a word is not said on the ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WordError {
    /// Nobody of that name shares a secret with the node.
    #[error("[market.incoming] of the node names no {0:?}")]
    Unknown(String),
    /// It is not signed, or was taken before.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// It is no word.
    #[error("the body is no word of a deal: {0}")]
    Body(serde_json::Error),
    /// Its deal goes by no contract of the node's configuration.
    #[error(
        "the deal goes by the contract {0}, which [market] contracts of the node does not name"
    )]
    Contract(ContentId),
    /// Its deal does not go by its contract.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// The same message is being taken.
    #[error("the message is being taken: send it again in a while")]
    UnderWay,
    /// The account has no such word.
    #[error("the node's account has no such word on step {step} of the deal")]
    NotHis {
        /// Which step.
        step: u8,
    },
    /// The deal is not at that step.
    #[error("the deal is {status}, and not at step {step}")]
    Step {
        /// Where it is.
        status: String,
        /// Which step the word is of.
        step: u8,
    },
    /// It cannot be said.
    #[error(transparent)]
    Market(#[from] MarketError),
}

/// What became of a word.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Of which deal.
    pub deal: DealId,
    /// Of which step.
    pub step: u8,
    /// Its block; none where the account had said it before.
    pub done: Option<Done>,
}

/// Those who may send words, by their names.
#[derive(Default)]
pub(super) struct Incoming(BTreeMap<String, Known>);

/// Somebody who may send words.
struct Known {
    receiver: Mutex<Receiver>,
    /// The ids of messages that are being taken.
    under_way: Mutex<BTreeSet<String>>,
}

/// A message that is being taken; it ends when this is dropped.
struct UnderWay<'a>(&'a Known, String);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().remove(&self.1);
    }
}

impl Known {
    /// Begins to take a message: it counts as taken only when it could be used, and nobody takes it meanwhile.
    fn begin(
        &self,
        headers: Headers<'_>,
        body: &[u8],
        now_s: u64,
    ) -> Result<UnderWay<'_>, WordError> {
        let mut under_way = self.under_way.lock();
        self.receiver.lock().look(headers, body, now_s)?;
        match under_way.insert(headers.id.to_owned()) {
            true => Ok(UnderWay(self, headers.id.to_owned())),
            false => Err(WordError::UnderWay),
        }
    }
}

impl Incoming {
    /// Reads the secrets of the configuration.
    ///
    /// # Errors
    /// What is wrong with one.
    pub(super) fn read(settings: &SellingSettings, node: &NodeSettings) -> Result<Self, NodeError> {
        let receivers = settings.incoming.iter().map(|(name, file)| {
            let secret = secret(&node.path(file)).map_err(|reason| NodeError::Settings {
                place: node.place.clone(),
                reason: format!("market.incoming: {reason}"),
            })?;
            let receiver = Mutex::new(Receiver::new(vec![secret], IDS));
            Ok((name.clone(), Known { receiver, under_way: Mutex::default() }))
        });
        Ok(Self(receivers.collect::<Result<_, NodeError>>()?))
    }

    fn of(&self, name: &str) -> Result<&Known, WordError> {
        self.0.get(name).ok_or_else(|| WordError::Unknown(name.to_owned()))
    }
}

impl Desk {
    /// Takes a message of another's program, and says on the ledger what it says. One that fails is not remembered, so
    /// that it may be sent again.
    ///
    /// # Errors
    /// Where it is not signed, no word, of a deal that goes by no contract of the node, or the ledger refuses.
    pub fn hear(
        &self,
        name: &str,
        headers: Headers<'_>,
        body: &[u8],
        now_s: u64,
    ) -> Result<Heard, WordError> {
        let sender = self.trade().incoming.of(name)?;
        let _under_way = sender.begin(headers, body, now_s)?;
        let heard = self.say(serde_json::from_slice(body).map_err(WordError::Body)?)?;
        // One that does not fit into the memory of ids is seen from the ledger when it comes again.
        sender.receiver.lock().take(headers, body, now_s).unwrap_or_default();
        Ok(heard)
    }

    /// Whether a message is signed by another's program, and was not taken before.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn knows(
        &self,
        name: &str,
        headers: Headers<'_>,
        body: &[u8],
        now_s: u64,
    ) -> Result<(), WordError> {
        Ok(self.trade().incoming.of(name)?.receiver.lock().look(headers, body, now_s)?)
    }

    fn say(&self, Word { kind, data, .. }: Word) -> Result<Heard, WordError> {
        let WordData { deal, step, evidence } = data;
        let account = self.account();
        let found = self.deal(deal)?;
        let plan = &found.deal.plan;
        let contract = self.contracts().get(&plan.contract);
        check(contract.ok_or(WordError::Contract(plan.contract))?, plan)?;
        let objects = kind == WordKind::Objected;
        let said = found.said.iter().find(|(number, _)| *number == step);
        let is_his = said.is_some_and(|(_, said)| {
            said.by == Some(account) && objects == (said.verdict == Verdict::Objected)
        });
        if is_his {
            return Ok(Heard { deal, step, done: None });
        }
        // What the ledger would refuse would cost its fee.
        let party = plan.parties.iter().position(|party| party.account == account);
        let may = plan.steps.get(usize::from(step)).map(|step| match objects {
            true => step.objected_by,
            false => step.done_by,
        });
        if !party.zip(may).is_some_and(|(party, may)| may.has(party)) {
            return Err(WordError::NotHis { step });
        }
        if !matches!(found.deal.status, DealStatus::AtStep { step: at, .. } if at == step) {
            return Err(WordError::Step { status: deal::status(&found.deal.status), step });
        }
        let done = self.advance(Advance { deal, step, objects, evidence })?;
        Ok(Heard { deal, step, done: Some(done) })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_contract::webhook::Secret;

    use super::*;

    /// A message that was being taken was answered with 200 when it came again, and was lost where the first one failed
    /// then.
    #[test]
    fn a_message_counts_as_taken_only_when_it_could_be_used() {
        let secret = Secret::from([7; 32]);
        let receiver = Mutex::new(Receiver::new(vec![secret.clone()], 10));
        let known = Known { receiver, under_way: Mutex::default() };
        let signature = secret.sign("msg_1", 1_000, b"{}");
        let headers = Headers { id: "msg_1", timestamp: "1000", signature: &signature };
        let begin = || known.begin(headers, b"{}", 1_000);
        let first = begin().unwrap();
        assert!(matches!(begin(), Err(WordError::UnderWay)));
        drop(first);
        let second = begin().unwrap();
        known.receiver.lock().take(headers, b"{}", 1_000).unwrap();
        drop(second);
        assert!(matches!(begin(), Err(WordError::Webhook(WebhookError::Again))));
        assert!(known.under_way.lock().is_empty());
    }
}
