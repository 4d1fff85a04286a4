//! Which fragment of a pack is asked of whom next. No I/O: the time is passed in.
//!
//! - As many different fragments are on their way as are missing; data fragments first, since joining
//!   them decodes nothing, and of those who have one, whoever has least to do and was fastest.
//! - A fragment is late once it takes [twice what the middle one took](super::pace). It does not count any
//!   more then, so that another one is asked for in addition: from another peer, and another fragment
//!   where there is one. Whichever comes first is taken.
//! - While nothing has arrived there is nothing to compare with, and it may be our own line that is
//!   slow: then one is asked for in addition at a time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use libp2p::PeerId;

use super::pace::Pace;
use super::roster::Roster;
use super::settings::FetchSettings;

/// A fragment on its way.
#[derive(Debug, Clone, Copy)]
struct Flight {
    peer: PeerId,
    fragment: u8,
    sent: Instant,
    /// Whether another was asked for in its place.
    is_hedged: bool,
}

/// What is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) peer: PeerId,
    pub(super) fragment: u8,
    /// Who is late with which fragment, where that is why.
    pub(super) late: Option<(PeerId, u8)>,
}

/// The fragments of a pack that are here, on their way and missing.
#[derive(Debug)]
pub(super) struct Plan {
    needed: u8,
    fragments: u8,
    wanted: usize,
    here: BTreeSet<u8>,
    flights: Vec<Flight>,
    pace: Pace,
    /// When the last was asked for in addition.
    hedged: Option<Instant>,
    most: usize,
    hedges: usize,
    at_first: Duration,
}

impl Plan {
    pub(super) fn new(needed: u8, fragments: u8, settings: &FetchSettings) -> Self {
        let wanted = needed.saturating_add(settings.extra).min(fragments);
        Self {
            needed,
            fragments,
            wanted: wanted.into(),
            here: BTreeSet::new(),
            flights: Vec::new(),
            pace: Pace::new(settings),
            hedged: None,
            most: settings.in_flight.max(1),
            hedges: settings.hedges,
            at_first: settings.late_at_first,
        }
    }

    pub(super) const fn wanted(&self) -> usize {
        self.wanted
    }

    pub(super) fn found(&self) -> usize {
        self.here.len()
    }

    pub(super) fn is_enough(&self) -> bool {
        self.here.len() >= self.wanted
    }

    /// A fragment is here that was not asked for.
    pub(super) fn resumed(&mut self, fragment: u8) {
        self.here.insert(fragment);
    }

    /// An answer is there, whatever it is.
    pub(super) fn landed(&mut self, peer: &PeerId, fragment: u8) {
        self.flights.retain(|flight| flight.fragment != fragment || flight.peer != *peer);
    }

    /// It was the fragment.
    pub(super) fn arrived(&mut self, fragment: u8, took: Duration) {
        self.here.insert(fragment);
        self.pace.note(took);
    }

    fn late_at(&self, flight: &Flight) -> Option<Instant> {
        flight.sent.checked_add(self.pace.patience())
    }

    fn is_late(&self, flight: &Flight, now: Instant) -> bool {
        self.late_at(flight).is_some_and(|at| at <= now)
    }

    /// How many that are on their way are late.
    pub(super) fn late(&self, now: Instant) -> Vec<PeerId> {
        let late = self.flights.iter().filter(|flight| self.is_late(flight, now));
        late.map(|flight| flight.peer).collect()
    }

    /// When it is to be looked again although nothing arrived.
    pub(super) fn wake(&self, now: Instant) -> Option<Instant> {
        let late = self.flights.iter().filter_map(|flight| self.late_at(flight));
        late.chain(self.hedge_at()).filter(|at| *at > now).min()
    }

    /// While nothing arrived, the next may be asked for in addition then.
    fn hedge_at(&self) -> Option<Instant> {
        self.hedged.filter(|_| !self.pace.is_known())?.checked_add(self.at_first)
    }

    /// What is to be asked now; it counts as being on its way. As long as not everybody said what he
    /// keeps, `is_asking`, only data fragments are asked for.
    pub(super) fn next(&mut self, roster: &Roster, is_asking: bool, now: Instant) -> Option<Next> {
        let missing = self.wanted.saturating_sub(self.here.len());
        let of = |flights: Vec<&Flight>| -> BTreeSet<u8> {
            let all = flights.into_iter().map(|flight| flight.fragment);
            all.filter(|fragment| !self.here.contains(fragment)).collect()
        };
        // Who lied or broke off gives nothing any more.
        let live = self.flights.iter().filter(|flight| !roster.is_out(&flight.peer));
        let (late, coming): (Vec<_>, Vec<_>) = live.partition(|flight| self.is_late(flight, now));
        let coming = of(coming);
        if coming.len() >= missing || self.flights.len() >= self.most {
            return None;
        }
        let oldest = late.iter().min_by_key(|flight| (flight.is_hedged, flight.sent)).copied();
        let oldest = oldest.map(|flight| (flight.peer, flight.fragment));
        let slow: BTreeSet<PeerId> = late.iter().map(|flight| flight.peer).collect();
        let late = of(late);
        let asked: BTreeSet<u8> = coming.union(&late).copied().collect();
        let is_hedge = asked.len() >= missing;
        if is_hedge {
            let is_early = self.hedge_at().is_some_and(|at| at > now);
            if is_early || self.flights.len() >= missing.saturating_add(self.hedges) {
                return None;
            }
        }
        let is_new = |fragment: &u8| !self.here.contains(fragment) && !asked.contains(fragment);
        let fresh = (0..self.fragments).filter(is_new);
        let chosen = self.choose(roster, &slow, fresh).or_else(|| {
            // Another peer may have the same fragment.
            self.choose(roster, &slow, late.into_iter())
        });
        let (peer, fragment) = chosen?;
        if is_asking && fragment >= self.needed && !is_hedge {
            return None;
        }
        let late = oldest.filter(|_| is_hedge);
        if let Some((late_peer, late_fragment)) = late {
            self.hedged = Some(now);
            let is_it =
                |flight: &&mut Flight| flight.peer == late_peer && flight.fragment == late_fragment;
            if let Some(flight) = self.flights.iter_mut().find(is_it) {
                flight.is_hedged = true;
            }
        }
        self.flights.push(Flight { peer, fragment, sent: now, is_hedged: false });
        Some(Next { peer, fragment, late })
    }

    /// The best of some fragments, and of whom.
    fn choose(
        &self,
        roster: &Roster,
        slow: &BTreeSet<PeerId>,
        fragments: impl Iterator<Item = u8>,
    ) -> Option<(PeerId, u8)> {
        let asks = |peer: &PeerId, fragment: u8| {
            self.flights.iter().any(|one| one.fragment == fragment && one.peer == *peer)
        };
        let pairs = fragments.flat_map(|fragment| {
            let able = roster.holders(fragment).filter(|peer| roster.has_room(peer));
            able.map(move |peer| (peer, fragment))
        });
        pairs.filter(|(peer, fragment)| !asks(peer, *fragment)).min_by_key(|(peer, fragment)| {
            let decodes = *fragment >= self.needed;
            (slow.contains(peer), decodes, roster.rank(peer), *fragment)
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// So many peers, each of which keeps one fragment.
    fn peers(count: u8) -> (Vec<PeerId>, Roster) {
        let mut roster = Roster::new(2);
        let ids: Vec<_> = (0..count).map(|_| PeerId::random()).collect();
        for (id, fragment) in ids.iter().zip(0..) {
            roster.add((*id).into());
            roster.holds(id, BTreeSet::from([fragment]));
        }
        (ids, roster)
    }

    fn plan() -> (Plan, FetchSettings) {
        let settings = FetchSettings::default();
        (Plan::new(4, 6, &settings), settings)
    }

    fn all(plan: &mut Plan, roster: &mut Roster, now: Instant) -> Vec<Next> {
        std::iter::from_fn(|| {
            let next = plan.next(roster, false, now)?;
            roster.sent(&next.peer);
            Some(next)
        })
        .collect()
    }

    fn lands(plan: &mut Plan, roster: &mut Roster, next: &Next) {
        plan.landed(&next.peer, next.fragment);
        roster.landed(&next.peer);
    }

    #[test]
    fn data_fragments_are_asked_for_and_no_more_than_are_missing() {
        let ((ids, mut roster), (mut plan, _), now) = (peers(6), plan(), Instant::now());
        let asked = all(&mut plan, &mut roster, now);
        let expected = (0..4_u8).zip(&ids);
        for (next, (fragment, peer)) in asked.iter().zip(expected) {
            assert_eq!((next.fragment, next.peer, next.late), (fragment, *peer, None));
        }
        assert_eq!(asked.len(), 4);
        // One peer is gone: another fragment takes its place at once, and is no hedge.
        lands(&mut plan, &mut roster, &asked[1]);
        roster.give_up(&ids[1]);
        let more = all(&mut plan, &mut roster, now);
        assert_eq!(more, [Next { peer: ids[4], fragment: 4, late: None }]);
    }

    #[test]
    fn others_are_decoded_only_once_all_said_what_they_keep() {
        let ((ids, mut roster), (mut plan, _), now) = (peers(6), plan(), Instant::now());
        roster.give_up(&ids[0]);
        let mut asked = 0;
        while let Some(next) = plan.next(&roster, true, now) {
            assert!(next.fragment < 4);
            roster.sent(&next.peer);
            asked += 1;
        }
        assert_eq!(asked, 3);
        assert_eq!(plan.next(&roster, false, now).unwrap().fragment, 4);
    }

    #[test]
    fn what_is_late_is_replaced_by_another_fragment_and_taken_all_the_same() {
        let ((ids, mut roster), (mut plan, settings), start) = (peers(6), plan(), Instant::now());
        let asked = all(&mut plan, &mut roster, start);
        let took = Duration::from_millis(100);
        for next in &asked[..3] {
            lands(&mut plan, &mut roster, next);
            plan.arrived(next.fragment, took);
        }
        let late_at = start + took * settings.late_factor;
        assert_eq!(plan.wake(start + took), Some(late_at));
        assert_eq!(all(&mut plan, &mut roster, late_at - took), []);
        let hedged = all(&mut plan, &mut roster, late_at);
        let late = Some((ids[3], 3));
        assert_eq!(hedged, [Next { peer: ids[4], fragment: 4, late }]);
        // The second is late too: the last one is asked for; then there is nobody left, and no reason
        // to look again.
        let later = late_at + took * 2;
        let hedged = all(&mut plan, &mut roster, later);
        assert_eq!(hedged, [Next { peer: ids[5], fragment: 5, late: Some((ids[4], 4)) }]);
        let last = later + took * 2;
        assert_eq!((all(&mut plan, &mut roster, last), plan.wake(last)), (vec![], None));
        assert_eq!(plan.late(last).len(), 3);
        plan.landed(&ids[3], 3);
        plan.arrived(3, took * 9);
        assert!(plan.is_enough() && all(&mut plan, &mut roster, last).is_empty());
    }

    #[test]
    fn while_nothing_arrived_one_is_added_at_a_time() {
        let ((_, mut roster), (mut plan, settings), start) = (peers(6), plan(), Instant::now());
        all(&mut plan, &mut roster, start);
        let first = start + settings.late_at_first;
        assert_eq!(all(&mut plan, &mut roster, first).len(), 1);
        let second = first + settings.late_at_first;
        assert_eq!(plan.wake(first), Some(second));
        assert_eq!(all(&mut plan, &mut roster, second).len(), 1);
    }

    #[test]
    fn additions_are_bounded() {
        let (_, mut roster) = peers(100);
        let settings = FetchSettings { hedges: 3, ..FetchSettings::default() };
        let (mut plan, start) = (Plan::new(10, 100, &settings), Instant::now());
        let asked = all(&mut plan, &mut roster, start);
        lands(&mut plan, &mut roster, &asked[0]);
        plan.arrived(0, Duration::from_millis(1));
        for second in 1..50 {
            all(&mut plan, &mut roster, start + Duration::from_secs(second));
            assert!(plan.flights.len() <= 9 + 3);
        }
        assert_eq!(plan.flights.len(), 9 + 3);
    }

    #[test]
    fn the_same_fragment_is_asked_of_another_peer_where_there_is_no_other() {
        let ((ids, mut roster), (mut plan, settings), start) = (peers(4), plan(), Instant::now());
        let copy = PeerId::random();
        roster.add(copy.into());
        roster.holds(&copy, BTreeSet::from([2]));
        let asked = all(&mut plan, &mut roster, start);
        let of_two: Vec<_> = asked.iter().filter(|next| next.fragment == 2).collect();
        assert_eq!((asked.len(), of_two.len()), (4, 1));
        let hedged = all(&mut plan, &mut roster, start + settings.late_at_first);
        assert!(hedged.iter().all(|next| next.fragment == 2 && next.peer != of_two[0].peer));
        assert!(hedged.len() == 1 && (hedged[0].peer == copy || hedged[0].peer == ids[2]));
    }
}
