//! What is simulated.

use std::fmt;
use std::str::FromStr;

/// What the Byzantine validators of a run do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorKind {
    /// Signs two proposals and two votes where it may sign one, each for another half.
    Equivocator,
    /// Keeps proposals, blocks, votes and answers from some or from all, and claims what it has not.
    Withholder,
    /// Proposes blocks that break a rule, and votes for them.
    BadProposer,
    /// Votes nil for everything, in all rounds ahead.
    NilSpammer,
    /// Is put back to an earlier copy of all its files, sign guard included, and signs again.
    Amnesiac,
    /// Runs twice with one key; the two do not know of each other.
    Twins,
    /// Says again what was said long ago, by whomever, and what was said on another chain.
    Replayer,
}

impl ActorKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Equivocator,
        Self::Withholder,
        Self::BadProposer,
        Self::NilSpammer,
        Self::Amnesiac,
        Self::Twins,
        Self::Replayer,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equivocator => "equivocator",
            Self::Withholder => "withholder",
            Self::BadProposer => "bad-proposer",
            Self::NilSpammer => "nil-spammer",
            Self::Amnesiac => "amnesiac",
            Self::Twins => "twins",
            Self::Replayer => "replayer",
        }
    }
}

impl fmt::Display for ActorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no actor {found:?}; there are equivocator, withholder, bad-proposer, nil-spammer, \
     amnesiac, twins and replayer"
)]
pub struct UnknownActor {
    /// What was asked for.
    pub found: String,
}

impl FromStr for ActorKind {
    type Err = UnknownActor;

    fn from_str(name: &str) -> Result<Self, UnknownActor> {
        let found = Self::ALL.into_iter().find(|actor| actor.name() == name);
        found.ok_or_else(|| UnknownActor { found: name.to_owned() })
    }
}

/// What is simulated. Everything else of a run follows from its seed.
///
/// A run begins with a time of trouble, in which messages are lost and late, the network is split
/// and validators crash. Then it heals, and the run goes on until every honest validator has
/// committed `heights` blocks, two of them since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many validators there are, of equal power; from 1 to [`Config::MOST_VALIDATORS`].
    pub validators: usize,
    /// What the Byzantine ones do; none for no Byzantine validators.
    pub byzantine: Option<ActorKind>,
    /// How many of the validators are Byzantine.
    pub byzantine_count: usize,
    /// How many messages are lost in the time of trouble, in basis points.
    pub loss: u16,
    /// How many messages arrive twice in the time of trouble, in basis points.
    pub duplicates: u16,
    /// The longest way of a message in the time of trouble, in milliseconds. Each takes a time of
    /// its own, so that messages overtake each other.
    pub delay_ms: u64,
    /// Whether the network is split in the time of trouble.
    pub partitions: bool,
    /// Whether validators lose power in the time of trouble, in the middle of what they write.
    pub crashes: bool,
    /// How long the time of trouble is at most, in milliseconds.
    pub trouble_ms: u64,
    /// How many heights every honest validator commits.
    pub heights: u64,
}

impl Config {
    /// The most validators of a simulation.
    pub const MOST_VALIDATORS: usize = 100;

    /// In how many rounds a new height must be committed after the network healed.
    pub const ROUNDS_TO_HEAL: u32 = 10;

    /// Validators, the most Byzantine ones that they bear, and trouble of all kinds.
    #[must_use]
    pub fn new(validators: usize, byzantine: Option<ActorKind>) -> Self {
        let byzantine_count = byzantine.map_or(0, |_| validators.saturating_sub(1) / 3);
        Self { validators, byzantine, byzantine_count, ..Self::default() }
    }

    /// The same without trouble: every message arrives soon, and nobody crashes.
    #[must_use]
    pub fn calm(self) -> Self {
        Self {
            loss: 0,
            duplicates: 0,
            delay_ms: 50,
            partitions: false,
            crashes: false,
            trouble_ms: 0,
            ..self
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            validators: 4,
            byzantine: None,
            byzantine_count: 0,
            loss: 1_000,
            duplicates: 200,
            delay_ms: 1_500,
            partitions: true,
            crashes: true,
            trouble_ms: 20_000,
            heights: 12,
        }
    }
}
