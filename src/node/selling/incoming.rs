//! Webhooks in: what others' programs tell of steps of deals, signed with a secret that they share with the node.
//!
//! Each message is taken once. What it says the node says on the ledger, in the name of its account, of deals that go
//! by contracts of its configuration.

use std::collections::BTreeMap;

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
pub(super) struct Incoming(BTreeMap<String, Mutex<Receiver>>);

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
            Ok((name.clone(), Mutex::new(Receiver::new(vec![secret], IDS))))
        });
        Ok(Self(receivers.collect::<Result<_, NodeError>>()?))
    }

    fn of(&self, name: &str) -> Result<&Mutex<Receiver>, WordError> {
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
        let receiver = self.trade().incoming.of(name)?;
        receiver.lock().take(headers, body, now_s)?;
        let word = serde_json::from_slice(body).map_err(WordError::Body);
        let heard = word.and_then(|word| self.say(word));
        if heard.is_err() {
            receiver.lock().give_back(headers.id);
        }
        heard
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
        if !matches!(found.deal.status, DealStatus::AtStep { step: at, .. } if at == step) {
            return Err(WordError::Step { status: deal::status(&found.deal.status), step });
        }
        let done = self.advance(Advance { deal, step, objects, evidence })?;
        Ok(Heard { deal, step, done: Some(done) })
    }
}
