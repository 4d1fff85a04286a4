//! Audits of a cheater among honest peers, epoch by epoch.
//!
//! Six peers keep the fragments of some packs, and each is asked in every epoch what the chain would ask.
//! One of them cheats; the others are honest and have a bad network. Everything is checked as a
//! validator does it.

mod cheater;
mod store;

use chronolith_chain::hash::{Domain, Hash};
use chronolith_chain::ledger::AUDIT_SAMPLES;
use chronolith_chain::simulate::Random;
use chronolith_fragment::CodeError;

use crate::audit::{Answer, AssignedError, Question};
use crate::pack::PackError;

pub use cheater::{CheaterKind, UnknownCheater};
use store::World;

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What the cheater does.
    pub cheater: CheaterKind,
    /// How many audits of it.
    pub epochs: u64,
    /// How many blocks an audit asks for.
    pub samples: usize,
    /// How many packs the peers keep; each peer has a fragment of 1,024 blocks of each.
    pub packs: usize,
    /// How many answers of honest peers get lost, in basis points; as many again are late.
    pub loss: u16,
    /// What everything follows from.
    pub seed: u64,
}

impl Config {
    /// A usual simulation of a cheater.
    #[must_use]
    pub const fn new(cheater: CheaterKind, epochs: u64) -> Self {
        Self { cheater, epochs, samples: AUDIT_SAMPLES, packs: 16, loss: 100, seed: 0 }
    }
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// How many audits of the cheater there were.
    pub audits: u64,
    /// How many it did not pass.
    pub detected: u64,
    /// In how many of these it had signed something false.
    pub lies: u64,
    /// The chance that it does not pass, by the formula.
    pub expected_rate: f64,
    /// How many audits of honest peers there were.
    pub honest_audits: u64,
    /// How many of these had no answer in time.
    pub honest_missed: u64,
    /// How many answers of honest peers were refused.
    pub honest_accused: u64,
}

impl Report {
    /// The part of its audits that the cheater did not pass.
    #[must_use]
    pub fn detection_rate(&self) -> f64 {
        self.detected as f64 / self.audits.max(1) as f64
    }

    /// Between which rates 99.9 % of simulations of these many audits lie, if the formula holds: the
    /// normal approximation of the binomial distribution, with half an audit for its steps.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        // The quantile of the normal distribution at 0.9995.
        const QUANTILE: f64 = 3.290_527;
        let (rate, audits) = (self.expected_rate, self.audits.max(1) as f64);
        let half = if rate == 0.0 || rate == 1.0 {
            0.0
        } else {
            QUANTILE * (rate * (1.0 - rate) / audits).sqrt() + 0.5 / audits
        };
        ((rate - half).max(0.0), (rate + half).min(1.0))
    }
}

/// What cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A number is outside its bounds.
    #[error("{name} is {found}; give 1 to {most}")]
    Bounds {
        /// Which.
        name: &'static str,
        /// What it is.
        found: u64,
        /// The most.
        most: u64,
    },
    /// The packs cannot be made.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The fragments cannot be made.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The fragments cannot be assigned.
    #[error(transparent)]
    Assigned(#[from] AssignedError),
}

/// How an audit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// No answer, or nothing that counts as one.
    Missed,
    /// A signed answer that is wrong.
    Lied,
}

fn verdict(question: &Question, sent: Option<&[u8]>) -> Verdict {
    let Some(sent) = sent else { return Verdict::Missed };
    let Ok(answer) = Answer::from_bytes(sent) else { return Verdict::Missed };
    match answer.check(question) {
        Ok(()) => Verdict::Passed,
        Err(fault) if fault.is_lie() => Verdict::Lied,
        Err(_) => Verdict::Missed,
    }
}

/// Simulates audits.
///
/// # Errors
/// Numbers outside their bounds.
pub fn simulate(config: &Config) -> Result<Report, AuditError> {
    let within = |name, found: u64, most: u64| {
        if (1..=most).contains(&found) {
            return Ok(());
        }
        Err(AuditError::Bounds { name, found, most })
    };
    within("samples", config.samples as u64, 64)?;
    within("packs", config.packs as u64, 256)?;
    within("epochs", config.epochs, 100_000_000)?;
    let world = World::new(config.packs, config.seed)?;
    let mut random = Random::new(config.seed ^ 0x6175_6469_7473);
    let mut cheater = cheater::make(config.cheater, &world, &mut random)?;
    let mut report = Report {
        audits: 0,
        detected: 0,
        lies: 0,
        expected_rate: config.cheater.expected_rate(config.samples),
        honest_audits: 0,
        honest_missed: 0,
        honest_accused: 0,
    };
    // Epoch 0 comes before the audits that are counted: who replays needs something to replay.
    for epoch in 0..=config.epochs {
        let beacon = Domain::Seed.hash_of(&(config.seed, epoch));
        let questions = world.questions(epoch, beacon, config.samples);
        let mut questions = questions.iter();
        let Some(to_cheater) = questions.next() else { break };
        let sent = cheater.answer(&world, to_cheater, &mut random);
        if epoch == 0 {
            continue;
        }
        let found = verdict(to_cheater, sent.as_deref());
        report.audits += 1;
        report.detected += u64::from(found != Verdict::Passed);
        report.lies += u64::from(found == Verdict::Lied);
        for (question, peer) in questions.zip(world.honest()) {
            report.honest_audits += 1;
            let sent = peer.answer(question).map(|answer| answer.to_bytes());
            let is_lost = random.happens(config.loss) || random.happens(config.loss);
            match verdict(question, sent.as_deref().filter(|_| !is_lost)) {
                Verdict::Passed => {}
                Verdict::Missed if is_lost => report.honest_missed += 1,
                Verdict::Missed | Verdict::Lied => report.honest_accused += 1,
            }
        }
    }
    Ok(report)
}

/// Random bytes of a seed.
fn bytes(random: &mut Random, count: usize) -> Vec<u8> {
    let words = std::iter::repeat_with(|| random.next().to_le_bytes());
    words.take(count.div_ceil(8)).flatten().take(count).collect()
}

/// 32 random bytes of a seed.
fn digest(random: &mut Random) -> Hash {
    let mut digest = [0; 32];
    digest.copy_from_slice(&bytes(random, 32));
    Hash(digest)
}
