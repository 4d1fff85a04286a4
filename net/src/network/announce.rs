//! When this node says again that it has something.
//!
//! Others forget an announcement after a day, and a node that has just begun knows nobody to tell.
//! So every key has a time at which it is due, and a second has a budget: a node that keeps many
//! things spreads its announcements over the day instead of flooding the network with them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often a key is announced: three times in the life of an announcement.
const PERIOD: Duration = Duration::from_secs(8 * 3_600);
/// How soon after new peers were found, where there were too few to tell.
const SOON: Duration = Duration::from_secs(1);
/// So many keys are announced in a second.
const A_SECOND: usize = 50;

/// The keys that are announced.
#[derive(Debug)]
pub(super) struct Announcements {
    keys: BTreeMap<Vec<u8>, Instant>,
    due: BTreeSet<(Instant, Vec<u8>)>,
    /// How many may be announced in the running second.
    left: usize,
}

impl Default for Announcements {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), due: BTreeSet::new(), left: A_SECOND }
    }
}

impl Announcements {
    /// A second begins.
    pub(super) fn begin_second(&mut self) {
        self.left = A_SECOND;
    }

    /// Announces a key from now on; one that is announced already keeps its time.
    pub(super) fn add(&mut self, key: Vec<u8>, now: Instant) {
        if !self.keys.contains_key(&key) {
            self.set(key, now);
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        if let Some((key, at)) = self.keys.remove_entry(key) {
            self.due.remove(&(at, key));
        }
    }

    /// The next key that is due, as long as the second's budget lasts; it is due again after a period.
    pub(super) fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (at, key) = self.due.first().cloned()?;
        if at > now || self.left == 0 {
            return None;
        }
        self.left -= 1;
        self.set(key.clone(), now + PERIOD);
        Some(key)
    }

    /// There are new peers, where there were too few before: what they were not told is due soon.
    pub(super) fn peers_were_found(&mut self, now: Instant) {
        let soon = now + SOON;
        self.due.clear();
        for (key, at) in &mut self.keys {
            *at = soon.min(*at);
            self.due.insert((*at, key.clone()));
        }
    }

    fn set(&mut self, key: Vec<u8>, at: Instant) {
        if let Some(before) = self.keys.insert(key.clone(), at) {
            self.due.remove(&(before, key.clone()));
        }
        self.due.insert((at, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_due_at_once_then_each_period_and_when_peers_are_found() {
        let (mut all, now) = (Announcements::default(), Instant::now());
        all.add(vec![1], now);
        all.add(vec![2], now);
        assert_eq!((all.take(now), all.take(now)), (Some(vec![1]), Some(vec![2])));
        assert_eq!(all.take(now + PERIOD / 2), None);
        assert_eq!(all.take(now + PERIOD), Some(vec![1]));
        all.peers_were_found(now);
        all.remove(&[2]);
        assert_eq!(all.take(now), None);
        assert_eq!(all.take(now + SOON), Some(vec![1]));
        assert_eq!(all.take(now + SOON), None);
    }

    #[test]
    fn many_keys_are_spread_over_seconds() {
        let (mut all, now) = (Announcements::default(), Instant::now());
        for key in 0..120_u8 {
            all.add(vec![key], now);
        }
        let mut in_seconds = Vec::new();
        for _ in 0..4 {
            in_seconds.push(std::iter::from_fn(|| all.take(now)).count());
            all.begin_second();
        }
        assert_eq!(in_seconds, [50, 50, 20, 0]);
    }
}
