//! When a known peer is dialled again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

use super::reachable::is_relayed;
use super::settings::KnownPeer;

/// After the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The pause doubles up to this: known peers are few, and a chain waits for them.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// For one that is known behind a relay alone, which carries a connection for a short time and serves
/// thirty of one peer in an hour.
const LONGEST_PAUSE_THROUGH_RELAY: Duration = Duration::from_secs(120);

#[derive(Debug)]
struct Plan {
    addresses: Vec<Multiaddr>,
    pause: Duration,
    /// When to dial; none while it is connected or being dialled.
    due: Option<Instant>,
}

/// Known peers, and when to dial them.
#[derive(Debug, Default)]
pub(super) struct Redial {
    plans: HashMap<PeerId, Plan>,
}

impl Redial {
    pub(super) fn new(known: &[KnownPeer], now: Instant) -> Self {
        let mut plans = Self::default();
        for KnownPeer { peer, address } in known {
            plans.add(*peer, address.clone(), now);
        }
        plans
    }

    pub(super) fn add(&mut self, peer: PeerId, address: Multiaddr, now: Instant) {
        let fresh = || Plan { addresses: Vec::new(), pause: FIRST_PAUSE, due: Some(now) };
        let plan = self.plans.entry(peer).or_insert_with(fresh);
        if !plan.addresses.contains(&address) {
            plan.addresses.push(address);
        }
    }

    /// Where a known peer is, without a relay.
    pub(super) fn direct_address(&self, peer: &PeerId) -> Option<&Multiaddr> {
        self.plans.get(peer)?.addresses.iter().find(|address| !is_relayed(address))
    }

    /// Who is to be dialled now, and where; it counts as being dialled from now on.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let is_due = |plan: &&mut Plan| plan.due.is_some_and(|due| due <= now);
        let mut dialled = Vec::new();
        for (peer, plan) in &mut self.plans {
            if let Some(plan) = Some(plan).filter(is_due) {
                plan.due = None;
                dialled.push((*peer, plan.addresses.clone()));
            }
        }
        dialled
    }

    /// The next time that somebody is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.plans.values().filter_map(|plan| plan.due).min()
    }

    pub(super) fn connected(&mut self, peer: &PeerId) {
        if let Some(plan) = self.plans.get_mut(peer) {
            (plan.pause, plan.due) = (FIRST_PAUSE, None);
        }
    }

    /// The last connection with a peer ended, or dialling it failed. `jitter`, below 256, spreads
    /// the dialling of many nodes that lost the same peer: it adds up to half of the pause.
    pub(super) fn lost(&mut self, peer: &PeerId, jitter: u8, now: Instant) {
        if let Some(plan) = self.plans.get_mut(peer) {
            plan.due = Some(now + plan.pause + plan.pause * u32::from(jitter) / 512);
            let longest = match plan.addresses.iter().all(is_relayed) {
                true => LONGEST_PAUSE_THROUGH_RELAY,
                false => LONGEST_PAUSE,
            };
            plan.pause = (plan.pause * 2).min(longest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn pauses_grow_and_a_connection_resets_them() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        let mut redial = Redial::new(&[KnownPeer { peer, address: address.clone() }], now);
        assert_eq!(redial.due(now), [(peer, vec![address])]);
        assert_eq!(redial.due(now), [], "it is being dialled");
        let pauses: Vec<_> = (0..8)
            .map(|_| {
                redial.lost(&peer, 0, now);
                redial.next().unwrap() - now
            })
            .collect();
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[7]), (FIRST_PAUSE, LONGEST_PAUSE));
        redial.connected(&peer);
        assert_eq!(redial.next(), None);
        redial.lost(&peer, 255, now);
        let pause = redial.next().unwrap() - now;
        assert!(pause > FIRST_PAUSE && pause < FIRST_PAUSE * 3 / 2, "{pause:?}");
        redial.lost(&PeerId::random(), 0, now);
        assert_eq!(redial.plans.len(), 1, "strangers are not dialled");
    }

    #[test]
    fn who_is_behind_a_relay_is_dialled_as_seldom_as_the_relay_serves() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let address = format!("/ip4/192.0.2.1/tcp/1/p2p/{peer}/p2p-circuit").parse().unwrap();
        let mut redial = Redial::new(&[KnownPeer { peer, address }], now);
        (0..20).for_each(|_| redial.lost(&peer, 0, now));
        assert_eq!(redial.next(), Some(now + LONGEST_PAUSE_THROUGH_RELAY));
        assert_eq!(redial.direct_address(&peer), None);
    }
}
