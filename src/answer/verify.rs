//! Checking an answer: offline, from one header that is trusted.
//!
//! The order is that of trust: first the ledger's facts by the light client, then the catalogues by the
//! facts, the headers by the catalogues, the batches by the facts, the bodies by the headers, and the answer
//! by the bodies. Nothing is believed before what it follows from.

mod batches;
mod compute;
mod metrics;

use std::collections::BTreeMap;

use chronolith_chain::address::Address;
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::{BlockId, ChainId};
use chronolith_chain::keys::verify as signed;
use chronolith_chain::ledger::AnchorKey;
use chronolith_chain::light::{Options, Proved};
use chronolith_engine::{ChunkKeys, Metric};
use chronolith_query::Limits;
use cid::Cid;

use super::bundle::{AnswerBundle, BatchPath};
use super::facts::{self, DeviceFacts};
use super::refused::AnswerRefused;
use super::replay::Replay;

use metrics::Checked;

/// What is trusted.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The genesis.
    Genesis(Box<Genesis>),
    /// The genesis with this hash, which must be in the bundle.
    Chain(ChainId),
    /// The block with this id, at which the bundle's proof must begin.
    Block(BlockId),
}

/// What the verifier wants of the answer. Where he says nothing of something, it is told him.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The question that was asked.
    pub sql: Option<String>,
    /// The nonce that was chosen; an answer that has one must be asked for with it.
    pub nonce: Option<Vec<u8>>,
    /// The lowest height that the answer may be of.
    pub at_least: Option<u64>,
    /// The earliest time of the block that it may be of, nanoseconds since the epoch.
    pub not_before_ns: Option<i64>,
    /// Whose the data must have been.
    pub owner: Option<Address>,
    /// The devices on the ledger that names must stand for.
    pub devices: BTreeMap<String, Address>,
}

/// What the verifier has beside the bundle.
pub struct Supplies<'a> {
    /// The time, nanoseconds since the epoch.
    pub now_ns: u64,
    /// How far trust reaches.
    pub options: Options,
    /// Finds the bodies of chunks that are not in the bundle.
    pub bodies: &'a dyn Fn(&Cid) -> Option<Vec<u8>>,
    /// Opens those that are encrypted.
    pub keys: Option<&'a ChunkKeys>,
    /// Bounds on computing the answer.
    pub limits: Limits,
}

/// Whether the answer was computed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Computed {
    /// It was, and is the same.
    Same,
    /// It was not: the bodies of so many chunks are not here.
    NoBodies {
        /// How many.
        missing: usize,
    },
    /// It was not: the keys of so many chunks are not here.
    NoKeys {
        /// How many.
        missing: usize,
    },
}

/// What is proved of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedMetric {
    /// The metric.
    pub metric: Metric,
    /// Its device on the ledger.
    pub device: Address,
    /// The times that the answer depends on: nanoseconds since the epoch.
    pub from_ns: i64,
    /// The last of them.
    pub to_ns: i64,
    /// The chunks of these times.
    pub chunks: Vec<Cid>,
    /// How many more the catalogue lists that these replace.
    pub replaced: usize,
}

/// What is proved of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedDevice {
    /// What the ledger says of it.
    pub facts: DeviceFacts,
    /// How many metrics it has that the answer does not depend on; `None` where it is not proved that it has
    /// no others that belong to it.
    pub other_metrics: Option<usize>,
    /// How many of them are hidden by their privacy level, so that nobody can say whether they belong to it.
    pub hidden_metrics: usize,
}

/// When chunks were anchored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchoredChunks {
    /// By whom.
    pub producer: Address,
    /// The root of their seal batch.
    pub root: [u8; 32],
    /// In which block.
    pub height: u64,
    /// At which time, milliseconds since the epoch.
    pub time_ms: u64,
    /// How many of the answer's chunks are of this batch.
    pub chunks: usize,
}

/// What is proved.
pub struct VerifiedAnswer {
    /// The block that all of it is of, and what is trusted now.
    pub proved: Proved,
    /// The metrics.
    pub metrics: Vec<VerifiedMetric>,
    /// Their devices.
    pub devices: Vec<VerifiedDevice>,
    /// When the chunks were anchored; empty where it is only proved that they were by then.
    pub anchored: Vec<AnchoredChunks>,
    /// Whether the rows were computed again.
    pub computed: Computed,
    /// Who gives his word for all of it.
    pub word: Option<Address>,
    /// The database of just these chunks, where it was computed.
    pub replay: Option<Replay>,
}

/// Checks an answer.
///
/// # Errors
/// The first thing that does not hold; [`AnswerRefused::reason`] says in one word what that means.
pub fn verify(
    bundle: &AnswerBundle,
    trust: &Trust,
    expected: &Expected,
    supplies: &Supplies<'_>,
) -> Result<VerifiedAnswer, AnswerRefused> {
    let proved = chain(bundle, trust, supplies)?;
    fresh(&proved, expected)?;
    asked(bundle, expected)?;
    let addresses: Vec<Address> = bundle.devices.iter().map(|device| device.device).collect();
    let anchors: Vec<AnchorKey> = bundle.batches.iter().map(BatchPath::key).collect();
    let rises = addresses.is_sorted_by(|a, b| a < b)
        && anchors.is_sorted_by(|a, b| (a.producer, a.root) < (b.producer, b.root));
    if !rises {
        return Err(AnswerRefused::Form("the devices or batches are not in order"));
    }
    let (devices, anchored) = facts::read(&bundle.proof.bundle.facts, &addresses, &anchors)?;
    let checked = metrics::check(bundle, &devices, expected)?;
    let anchored = batches::check(bundle, &devices, &checked, &anchored)?;
    owned(&devices, &checked, expected)?;
    let word = word(bundle)?;
    let (computed, replay) = compute::check(bundle, &checked, supplies)?;
    let Checked { metrics, devices: others } = checked;
    let metrics = metrics.into_iter().map(|metric| metric.verified).collect();
    let devices = devices.into_iter().zip(others);
    let devices = devices.map(|(facts, others)| VerifiedDevice {
        facts,
        other_metrics: others.map(|others| others.all),
        hidden_metrics: others.map_or(0, |others| others.hidden),
    });
    let devices = devices.collect();
    Ok(VerifiedAnswer { proved, metrics, devices, anchored, computed, word, replay })
}

/// The ledger's facts by the light client.
fn chain(
    bundle: &AnswerBundle,
    trust: &Trust,
    supplies: &Supplies<'_>,
) -> Result<Proved, AnswerRefused> {
    let (proof, now_ns, options) = (&bundle.proof, supplies.now_ns, &supplies.options);
    // What the verifier does not need is not there, and what is there holds.
    if proof.chunk.is_some() || proof.bundle.ancestor.is_some() {
        return Err(AnswerRefused::Form("the ledger's part proves something else as well"));
    }
    if proof.start.is_some() && proof.genesis.is_some() {
        return Err(AnswerRefused::Form("the ledger's part begins in two places"));
    }
    if proof.start.is_some() && !matches!(trust, Trust::Block(_)) {
        return Err(AnswerRefused::Start);
    }
    let proved = match trust {
        Trust::Block(block) => proof.verify_since(*block, now_ns, options)?,
        Trust::Chain(chain) => proof.verify(proof.genesis_of(*chain)?, now_ns, options)?,
        Trust::Genesis(genesis) => {
            if proof.genesis.is_some() {
                proof.genesis_of(genesis.chain_id())?;
            }
            proof.verify(genesis, now_ns, options)?
        }
    };
    Ok(proved)
}

fn fresh(proved: &Proved, expected: &Expected) -> Result<(), AnswerRefused> {
    let header = &proved.header;
    if let Some(wanted) = expected.at_least
        && header.height < wanted
    {
        return Err(AnswerRefused::Low { wanted, found: header.height });
    }
    let found_ns = i64::try_from(header.time_ns).unwrap_or(i64::MAX);
    match expected.not_before_ns {
        Some(wanted_ns) if found_ns < wanted_ns => Err(AnswerRefused::Old { wanted_ns, found_ns }),
        _ => Ok(()),
    }
}

fn asked(bundle: &AnswerBundle, expected: &Expected) -> Result<(), AnswerRefused> {
    let sql = bundle.sql().ok_or(AnswerRefused::Form("the question is no text"))?;
    if expected.sql.as_deref().is_some_and(|wanted| wanted != sql) {
        return Err(AnswerRefused::Question { found: sql.to_owned() });
    }
    match (&expected.nonce, &bundle.question.nonce) {
        (None, None) => Ok(()),
        (Some(wanted), Some(found)) if wanted[..] == found[..] => Ok(()),
        (Some(_), found) => Err(AnswerRefused::Nonce { has_one: found.is_some() }),
        (None, Some(_)) => Err(AnswerRefused::UnaskedNonce),
    }
}

/// Whether the data were whose they should.
fn owned(
    devices: &[DeviceFacts],
    checked: &Checked,
    expected: &Expected,
) -> Result<(), AnswerRefused> {
    let Some(wanted) = expected.owner else { return Ok(()) };
    for metric in &checked.metrics {
        let VerifiedMetric { device, from_ns, to_ns, .. } = metric.verified;
        let of_device = devices.iter().filter(|facts| facts.device == device);
        for era in of_device.flat_map(|facts| facts.eras_of(from_ns, to_ns)) {
            if era.owner != wanted {
                return Err(AnswerRefused::Owner { device, wanted, found: era.owner });
            }
        }
    }
    Ok(())
}

fn word(bundle: &AnswerBundle) -> Result<Option<Address>, AnswerRefused> {
    let Some(word) = &bundle.word else { return Ok(None) };
    let account = word.account;
    if !signed(&account.key(), &bundle.statement(), &word.signature) {
        return Err(AnswerRefused::Word { account });
    }
    Ok(Some(account))
}

impl BatchPath {
    pub(super) const fn key(&self) -> AnchorKey {
        AnchorKey { producer: self.producer, root: self.root.0 }
    }
}
