//! What is thought of a peer, and for how long.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

/// So many points send a peer away.
const MOST_POINTS: u32 = 100;
/// A point is forgiven in this time.
const FORGIVEN: Duration = Duration::from_secs(6);
/// How long a peer is sent away for.
const BANISHED: Duration = Duration::from_secs(600);
/// Of so many peers something is remembered; with more, those with the fewest points are forgotten.
const MOST_PEERS: usize = 4_096;

/// What a peer did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offence {
    /// Sent what no honest node sends: a false signature, bytes that decode to nothing.
    Lie,
    /// Sent more than it may.
    Flood,
    /// Broke off, or let somebody wait.
    Silence,
}

impl Offence {
    fn points(self) -> u32 {
        match self {
            // Three within a minute or two: the first may come of a version that differs.
            Self::Lie => 40,
            Self::Flood => 10,
            Self::Silence => 2,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    points: u32,
    since: Instant,
    banished_until: Option<Instant>,
}

impl Standing {
    fn points_at(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.since).as_millis();
        let forgiven = u32::try_from(passed / FORGIVEN.as_millis()).unwrap_or(u32::MAX);
        self.points.saturating_sub(forgiven)
    }
}

/// What is thought of whom.
#[derive(Debug, Default)]
pub(super) struct Standings {
    peers: HashMap<PeerId, Standing>,
}

impl Standings {
    /// Notes an offence; whether the peer is to be sent away now.
    pub(super) fn note(&mut self, peer: PeerId, offence: Offence, now: Instant) -> bool {
        if self.peers.len() >= MOST_PEERS && !self.peers.contains_key(&peer) {
            self.forget_the_best(now);
        }
        let fresh = Standing { points: 0, since: now, banished_until: None };
        let known = self.peers.entry(peer).or_insert(fresh);
        let points = known.points_at(now).saturating_add(offence.points());
        (known.points, known.since) = (points, now);
        let is_enough = points >= MOST_POINTS;
        if is_enough {
            *known = Standing { banished_until: Some(now + BANISHED), ..fresh };
        }
        is_enough
    }

    /// Whether a peer is sent away at present.
    pub(super) fn is_banished(&self, peer: &PeerId, now: Instant) -> bool {
        let until = self.peers.get(peer).and_then(|known| known.banished_until);
        until.is_some_and(|until| now < until)
    }

    /// The points of a peer.
    pub(super) fn points(&self, peer: &PeerId, now: Instant) -> u32 {
        self.peers.get(peer).map_or(0, |known| known.points_at(now))
    }

    /// Makes room: first what has lost its meaning, then half of those with the fewest points. Who is
    /// banished is remembered as long as there is anybody else.
    fn forget_the_best(&mut self, now: Instant) {
        let is_banished = |known: &Standing| known.banished_until.is_some_and(|until| now < until);
        self.peers.retain(|_, known| is_banished(known) || known.points_at(now) > 0);
        if self.peers.len() < MOST_PEERS {
            return;
        }
        let mut ranked: Vec<_> = self
            .peers
            .iter()
            .map(|(peer, known)| (is_banished(known), known.points_at(now), *peer))
            .collect();
        ranked.sort_unstable();
        for (_, _, peer) in ranked.into_iter().take(MOST_PEERS / 2) {
            self.peers.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn liars_are_sent_away_and_may_come_back() {
        let (mut standings, now) = (Standings::default(), Instant::now());
        let peer = PeerId::random();
        assert!(!standings.note(peer, Offence::Lie, now));
        assert!(!standings.note(peer, Offence::Lie, now));
        assert!(standings.note(peer, Offence::Lie, now));
        assert!(standings.is_banished(&peer, now));
        let later = now + BANISHED;
        assert!(!standings.is_banished(&peer, later));
        assert!(!standings.note(peer, Offence::Lie, later));
    }

    #[test]
    fn rare_offences_are_forgiven() {
        let (mut standings, start) = (Standings::default(), Instant::now());
        let peer = PeerId::random();
        for hour in 0..100 {
            let now = start + Duration::from_secs(3_600) * hour;
            assert!(!standings.note(peer, Offence::Lie, now));
        }
    }

    #[test]
    fn many_strangers_do_not_wash_a_liar_clean() {
        let (mut standings, now) = (Standings::default(), Instant::now());
        let liar = PeerId::random();
        for _ in 0..3 {
            standings.note(liar, Offence::Lie, now);
        }
        for _ in 0..3 * MOST_PEERS {
            standings.note(PeerId::random(), Offence::Silence, now);
        }
        assert!(standings.is_banished(&liar, now));
        assert!(standings.peers.len() <= MOST_PEERS);
    }
}
