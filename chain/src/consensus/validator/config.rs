//! How a node takes part.

use crate::mempool::Limits;
use crate::state::Options;

/// How long each step of a round is waited for, in milliseconds. All nodes of a chain should have
/// the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a proposal.
    pub propose_ms: u64,
    /// For more votes, after two thirds for different things; prevotes and precommits alike.
    pub vote_ms: u64,
    /// What each round adds to both.
    pub round_ms: u64,
    /// Before what was said in a round is said again.
    pub repeat_ms: u64,
    /// The longest of all.
    pub longest_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            propose_ms: 3_000,
            vote_ms: 1_000,
            round_ms: 500,
            repeat_ms: 1_000,
            longest_ms: 60_000,
        }
    }
}

/// How a node takes part.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How long steps are waited for.
    pub timeouts: Timeouts,
    /// The least time between two blocks, in milliseconds. 0 makes a block as soon as there is
    /// something to commit.
    pub interval_ms: u64,
    /// After how long a block is made although there is nothing to commit, in milliseconds; none
    /// for never.
    pub heartbeat_ms: Option<u64>,
    /// How far the clocks of honest nodes are apart at most, in milliseconds.
    pub precision_ms: u64,
    /// How long a proposal travels at most, in milliseconds; grows with the rounds.
    pub delay_ms: u64,
    /// How long an answer to a question is waited for, in milliseconds.
    pub answer_ms: u64,
    /// What the mempool may hold.
    pub mempool: Limits,
    /// How the state is kept.
    pub state: Options,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            interval_ms: 1_000,
            heartbeat_ms: Some(60_000),
            precision_ms: 500,
            delay_ms: 2_000,
            answer_ms: 5_000,
            mempool: Limits::default(),
            state: Options::default(),
        }
    }
}

impl Config {
    /// For one validator that is a whole chain: a block as soon as there is something to commit,
    /// and none otherwise.
    #[must_use]
    pub fn development() -> Self {
        Self { interval_ms: 0, heartbeat_ms: None, ..Self::default() }
    }
}

pub(super) const fn ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}
