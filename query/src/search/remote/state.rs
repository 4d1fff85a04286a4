//! What is kept, as the operations of a log leave it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::codec::{HeaderEntry, MetricKey, Of, Operation, Place, ShortCid};
use super::entry::{Provenance, Trust};
use super::offer::{Offer, OfferId};

/// A header that is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) place: Place,
    pub(super) metric: Option<u32>,
    pub(super) teller: u32,
    pub(super) trust: Trust,
    /// Where its operation stands in the log, and how long that is: bytes.
    pub(super) at: u64,
    pub(super) len: u32,
}

/// A metric that headers are of.
#[derive(Debug)]
pub(super) struct MetricEntry {
    pub(super) key: MetricKey,
    /// Its headers; the last one describes it.
    pub(super) members: BTreeMap<Place, ShortCid>,
}

/// An offer that is open.
#[derive(Debug)]
pub(super) struct OfferEntry {
    pub(super) number: u32,
    pub(super) teller: u32,
    pub(super) provenance: Provenance,
    pub(super) offer: Offer,
    len: u32,
}

/// Somebody who told something, and how much of it is kept.
#[derive(Debug, Default)]
pub(super) struct Teller {
    pub(super) name: String,
    pub(super) headers: usize,
    pub(super) offers: usize,
}

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) headers: HashMap<ShortCid, Kept>,
    by_sequence: HashMap<u64, ShortCid>,
    pub(super) metrics: BTreeMap<u32, MetricEntry>,
    pub(super) by_key: HashMap<MetricKey, u32>,
    pub(super) offers: HashMap<OfferId, OfferEntry>,
    /// Offers that were closed, the oldest first.
    pub(super) closed: VecDeque<OfferId>,
    closed_ids: HashSet<OfferId>,
    pub(super) tellers: Vec<Teller>,
    by_name: HashMap<String, u32>,
    pub(super) next_sequence: u64,
    pub(super) next_number: u32,
    /// The length of the operations that made what is kept: bytes.
    pub(super) live_bytes: u64,
}

/// How long a close is: bytes.
const CLOSE_BYTES: u64 = 34;

impl State {
    pub(super) fn is_closed(&self, id: OfferId) -> bool {
        self.closed_ids.contains(&id)
    }

    pub(super) fn teller(&self, name: &str) -> Option<&Teller> {
        self.tellers.get(*self.by_name.get(name)? as usize)
    }

    pub(super) fn teller_number(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    fn learn_teller(&mut self, name: &str) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = self.tellers.len() as u32;
        self.tellers.push(Teller { name: name.to_owned(), ..Teller::default() });
        self.by_name.insert(name.to_owned(), number);
        number
    }

    fn of_teller(&mut self, number: u32) -> Result<&mut Teller, String> {
        self.tellers.get_mut(number as usize).ok_or_else(|| "an unknown teller".to_owned())
    }

    /// Whose records a header is of that is put in a place, by what is kept of the metric.
    pub(super) fn of(&self, key: MetricKey, place: Place, replaces: Option<Place>) -> Of {
        let known = self.by_key.get(&key).copied();
        let metric = known.unwrap_or(self.next_number);
        let members = self.metrics.get(&metric).filter(|_| known.is_some());
        let mut others = members.into_iter().flat_map(|metric| metric.members.keys().rev());
        let greatest = others.find(|other| Some(**other) != replaces);
        Of {
            metric,
            key,
            is_first: known.is_none(),
            describes: greatest.is_none_or(|greatest| *greatest < place),
        }
    }

    /// Carries out an operation that stands at an offset of the log and is so long.
    pub(super) fn apply(
        &mut self,
        operation: &Operation<'_>,
        at: u64,
        len: u32,
    ) -> Result<(), String> {
        match operation {
            Operation::Header(entry) => self.header(entry, at, len),
            Operation::Forget { sequence } => self.forget(*sequence),
            Operation::Describe { metric, sequence, .. } => {
                let last = self.metrics.get(metric).and_then(|m| m.members.last_key_value());
                match last.is_some_and(|(place, _)| place.sequence == *sequence) {
                    true => Ok(()),
                    false => Err("a metric is described by another header".to_owned()),
                }
            }
            Operation::Undescribe { metric } => {
                match self.metrics.remove(metric).filter(|metric| metric.members.is_empty()) {
                    Some(metric) => drop(self.by_key.remove(&metric.key)),
                    None => return Err("a metric with headers is taken out".to_owned()),
                }
                Ok(())
            }
            Operation::Offer { number, is_new, provenance, offer } => {
                if *is_new && *number != self.next_number {
                    return Err("a new offer is not numbered in order".to_owned());
                }
                self.next_number = self.next_number.max(number.saturating_add(1));
                self.forget_close(offer.id);
                let before = self.remove_offer(offer.id)?;
                if before.is_some_and(|before| before != *number) || before.is_none() != *is_new {
                    return Err("an offer has another number".to_owned());
                }
                let teller = self.learn_teller(&provenance.from);
                self.of_teller(teller)?.offers += 1;
                self.live_bytes += u64::from(len);
                let (number, provenance, offer) = (*number, provenance.clone(), offer.clone());
                let entry = OfferEntry { number, teller, provenance, offer, len };
                self.offers.insert(entry.offer.id, entry);
                Ok(())
            }
            Operation::Close { id, was } => {
                if self.remove_offer(*id)? != *was {
                    return Err("an offer that is closed has another number".to_owned());
                }
                if self.closed_ids.insert(*id) {
                    self.closed.push_back(*id);
                    self.live_bytes += CLOSE_BYTES;
                }
                Ok(())
            }
            Operation::Withdraw { id, was } => match self.remove_offer(*id)? == Some(*was) {
                true => Ok(()),
                false => Err("an offer that is withdrawn has another number".to_owned()),
            },
        }
    }

    fn header(&mut self, entry: &HeaderEntry<'_>, at: u64, len: u32) -> Result<(), String> {
        if entry.place.sequence != self.next_sequence || entry.place.sequence == u64::MAX {
            return Err("a header is not numbered in order".to_owned());
        }
        let before = self.headers.get(&entry.cid).map(|kept| kept.place);
        if before.map(|place| place.sequence) != entry.replaces {
            return Err("a header replaces another than is kept".to_owned());
        }
        if entry.of.is_some_and(|of| of != self.of(of.key, entry.place, before)) {
            return Err("a header is of another metric".to_owned());
        }
        if let Some(sequence) = entry.replaces {
            self.forget(sequence)?;
        }
        let teller = self.learn_teller(&entry.provenance.from);
        self.of_teller(teller)?.headers += 1;
        let (place, trust) = (entry.place, entry.provenance.trust);
        self.next_sequence = place.sequence + 1;
        let metric = entry.of.map(|of| of.metric);
        if let Some(Of { metric, key, .. }) = entry.of {
            self.next_number = self.next_number.max(metric.saturating_add(1));
            self.by_key.insert(key, metric);
            let new = || MetricEntry { key, members: BTreeMap::new() };
            self.metrics.entry(metric).or_insert_with(new).members.insert(place, entry.cid);
        }
        self.headers.insert(entry.cid, Kept { place, metric, teller, trust, at, len });
        self.by_sequence.insert(place.sequence, entry.cid);
        self.live_bytes += u64::from(len);
        Ok(())
    }

    fn forget(&mut self, sequence: u64) -> Result<(), String> {
        let cid = self.by_sequence.remove(&sequence);
        let kept = cid.and_then(|cid| self.headers.remove(&cid));
        let kept = kept.ok_or_else(|| "a header is taken out that is not there".to_owned())?;
        if let Some(metric) = kept.metric.and_then(|metric| self.metrics.get_mut(&metric)) {
            metric.members.remove(&kept.place);
        }
        self.of_teller(kept.teller)?.headers -= 1;
        self.live_bytes -= u64::from(kept.len);
        Ok(())
    }

    /// Takes an offer out; its number.
    fn remove_offer(&mut self, id: OfferId) -> Result<Option<u32>, String> {
        let Some(entry) = self.offers.remove(&id) else { return Ok(None) };
        self.of_teller(entry.teller)?.offers -= 1;
        self.live_bytes -= u64::from(entry.len);
        Ok(Some(entry.number))
    }

    /// An offer whose close was forgotten may be open again.
    fn forget_close(&mut self, id: OfferId) {
        if self.closed_ids.remove(&id) {
            self.closed.retain(|closed| *closed != id);
            self.live_bytes -= CLOSE_BYTES;
        }
    }

    /// Forgets the oldest closed offers above a number.
    pub(super) fn forget_closed(&mut self, most: usize) {
        while self.closed.len() > most {
            if let Some(id) = self.closed.pop_front() {
                self.closed_ids.remove(&id);
                self.live_bytes -= CLOSE_BYTES;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{header, offer};
    use super::*;

    /// Symptom: a rewrite of a log whose checksums hold dropped headers. Cause: two headers with one
    /// number were both read, and a rewrite knows them by number. Fix: numbers are read only in order.
    #[test]
    fn headers_are_numbered_in_order() {
        let bytes = header().to_bytes();
        let mut state = State::default();
        let mut take = |sequence, digest| {
            let place = Place { window: 1, generation: 0, part: 0, sequence };
            let provenance = Provenance::told("file");
            let (cid, of, replaces) = ([digest; 36], None, None);
            let entry = HeaderEntry { place, cid, of, replaces, provenance, bytes: &bytes };
            state.apply(&Operation::Header(entry), 0, 9).is_ok()
        };
        assert!(!take(1, 1), "none before it");
        assert!(take(0, 1));
        assert!(!take(0, 2), "the same once more");
        assert!(take(1, 2));
        assert!(!take(u64::MAX, 3));
        assert_eq!((state.headers.len(), state.live_bytes), (2, 18));
    }

    /// Symptom: a log could not be rewritten. Cause: its offer was closed, the close was forgotten for
    /// want of room, and the offer told again; with more room the log has it closed and open. Fix: what is
    /// told later counts.
    #[test]
    fn an_offer_that_comes_after_its_close_is_open() {
        let mut state = State::default();
        let (id, provenance) = (offer().id, Provenance::told("file"));
        assert_eq!(state.apply(&Operation::Close { id, was: None }, 0, 34), Ok(()));
        let again = Operation::Offer { number: 0, is_new: true, provenance, offer: offer() };
        assert_eq!(state.apply(&again, 34, 200), Ok(()));
        assert_eq!((state.offers.len(), state.closed.len(), state.live_bytes), (1, 0, 200));
        assert!(!state.is_closed(id));
    }
}
