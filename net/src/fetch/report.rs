//! Who gave what.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use libp2p::PeerId;

use super::error::{Failure, FetchLie};

/// What happens while something is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchEvent {
    /// The DHT named so many peers that were not known.
    Found {
        /// How many.
        peers: usize,
    },
    /// The pack's header is here.
    Header {
        /// Who sent it.
        peer: PeerId,
    },
    /// A peer said what it keeps of the pack.
    Holds {
        /// Who.
        peer: PeerId,
        /// How many fragments.
        fragments: usize,
        /// How long it took to answer.
        took: Duration,
    },
    /// A fragment was there from before.
    Resumed {
        /// Which.
        fragment: u8,
    },
    /// A fragment arrived and holds.
    Arrived {
        /// Who sent it.
        peer: PeerId,
        /// Which.
        fragment: u8,
        /// Its size with its head and proof.
        bytes: usize,
        /// How long it took.
        took: Duration,
        /// How many are here now.
        found: usize,
        /// How many are wanted.
        wanted: usize,
    },
    /// Blocks of a fragment arrived and hold.
    Read {
        /// Who sent them.
        peer: PeerId,
        /// Of which fragment.
        fragment: u8,
        /// Their size with their proof.
        bytes: usize,
    },
    /// A peer is late, so another is asked in addition.
    Hedged {
        /// Who is late.
        late: PeerId,
        /// With which fragment.
        fragment: u8,
        /// Who is asked; nobody yet where other fragments are decoded instead.
        asked: Option<PeerId>,
        /// For which fragment.
        instead: u8,
    },
    /// A peer said that it keeps a fragment and did not give it.
    Withheld {
        /// Who.
        peer: PeerId,
        /// Which.
        fragment: u8,
    },
    /// A peer lied; it is not asked any more.
    Liar {
        /// Who.
        peer: PeerId,
        /// What it sent.
        lie: FetchLie,
    },
    /// A peer gives no answers; it is not asked any more.
    Failed {
        /// Who.
        peer: PeerId,
        /// Why.
        failure: Failure,
    },
}

/// What one peer did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerReport {
    /// The fragments that it gave, or whose blocks it gave, in the order in which they came.
    pub gave: Vec<u8>,
    /// The fragments that it said it keeps and did not give.
    pub withheld: Vec<u8>,
    /// The bytes of its answers.
    pub bytes: u64,
    /// What it sent that does not hold.
    pub lie: Option<FetchLie>,
    /// Why it was not asked any more.
    pub failure: Option<Failure>,
    /// How many of its answers were late and never came.
    pub unanswered: u32,
}

impl PeerReport {
    /// Whether an answer never came in time.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        use crate::network::RequestError::TimedOut;

        self.unanswered > 0 || matches!(self.failure, Some(Failure::Request(TimedOut(_))))
    }
}

impl fmt::Display for PeerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let list = |numbers: &[u8]| {
            let texts: Vec<String> = numbers.iter().map(u8::to_string).collect();
            texts.join(", ")
        };
        if !self.gave.is_empty() {
            parts.push(format!("gave {}", list(&self.gave)));
        }
        if !self.withheld.is_empty() {
            parts.push(format!("withheld {}", list(&self.withheld)));
        }
        if let Some(lie) = &self.lie {
            parts.push(format!("lied ({lie})"));
        }
        if let Some(failure) = &self.failure {
            parts.push(failure.to_string());
        }
        if self.unanswered > 0 {
            parts.push("is silent".to_owned());
        }
        match parts.is_empty() {
            true => f.write_str("has nothing of it"),
            false => f.write_str(&parts.join(", ")),
        }
    }
}

/// What all peers did that were asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By peer.
    pub peers: BTreeMap<PeerId, PeerReport>,
    /// The fragments that were there from before.
    pub resumed: Vec<u8>,
}

impl Report {
    /// Who lied, and how.
    pub fn liars(&self) -> impl Iterator<Item = (&PeerId, &FetchLie)> {
        self.peers.iter().filter_map(|(peer, done)| Some((peer, done.lie.as_ref()?)))
    }

    /// The bytes of all answers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.peers.values().map(|done| done.bytes).sum()
    }

    pub(super) fn of(&mut self, peer: PeerId) -> &mut PeerReport {
        self.peers.entry(peer).or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.peers.is_empty() {
            return f.write_str("there was nobody to ask");
        }
        for (number, (peer, done)) in self.peers.iter().enumerate() {
            let between = if number == 0 { "" } else { "; " };
            write!(f, "{between}{peer} {done}")?;
        }
        Ok(())
    }
}
