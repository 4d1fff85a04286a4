//! How much one peer may send: two leaky buckets.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

use super::settings::NetworkLimits;

/// For so many seconds of silence a peer may save up.
const SAVED_SECONDS: u64 = 10;

/// What has been taken of what may be taken.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// How much is used up, in units × nanoseconds.
    level: u128,
    at: Instant,
}

impl Bucket {
    fn takes(&mut self, units: u64, per_second: u64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_nanos();
        self.at = now;
        self.level = self.level.saturating_sub(passed.saturating_mul(per_second.into()));
        let second = Duration::from_secs(1).as_nanos();
        let wanted = self.level.saturating_add(u128::from(units).saturating_mul(second));
        let most = u128::from(per_second.saturating_mul(SAVED_SECONDS)).saturating_mul(second);
        let fits = wanted <= most;
        if fits {
            self.level = wanted;
        }
        fits
    }
}

/// What the peers that are connected have used up.
#[derive(Debug)]
pub(super) struct Quotas {
    bytes_per_second: u64,
    messages_per_second: u64,
    peers: HashMap<PeerId, (Bucket, Bucket)>,
}

impl Quotas {
    pub(super) fn new(limits: &NetworkLimits) -> Self {
        Self {
            bytes_per_second: limits.peer_bytes_per_second,
            messages_per_second: limits.peer_messages_per_second,
            peers: HashMap::new(),
        }
    }

    /// Whether a message of this size is within what its sender may send.
    pub(super) fn takes(&mut self, peer: PeerId, bytes: usize, now: Instant) -> bool {
        let fresh = Bucket { level: 0, at: now };
        let (by_bytes, by_count) = self.peers.entry(peer).or_insert((fresh, fresh));
        by_count.takes(1, self.messages_per_second, now)
            && by_bytes.takes(bytes as u64, self.bytes_per_second, now)
    }

    /// Forgets a peer. That does not give it a new allowance for nothing: handshakes cost it more.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_may_save_up_and_then_keeps_to_the_rate() {
        let limits = NetworkLimits {
            peer_bytes_per_second: 100,
            peer_messages_per_second: 1_000,
            ..NetworkLimits::default()
        };
        let mut quotas = Quotas::new(&limits);
        let (peer, start) = (PeerId::random(), Instant::now());
        assert!(quotas.takes(peer, 1_000, start));
        assert!(!quotas.takes(peer, 1, start));
        assert!(quotas.takes(PeerId::random(), 1_000, start), "others have their own");
        let later = start + Duration::from_secs(2);
        assert!(!quotas.takes(peer, 201, later));
        assert!(quotas.takes(peer, 200, later));
        assert!(!quotas.takes(peer, usize::MAX, later + Duration::from_secs(1_000)));
    }

    #[test]
    fn small_messages_are_counted_too() {
        let limits = NetworkLimits { peer_messages_per_second: 3, ..NetworkLimits::default() };
        let mut quotas = Quotas::new(&limits);
        let (peer, now) = (PeerId::random(), Instant::now());
        assert_eq!((0..100).filter(|_| quotas.takes(peer, 0, now)).count(), 30);
    }
}
