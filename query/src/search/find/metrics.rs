//! Finding metrics, and the devices they are of.

use std::collections::{HashMap, HashSet};

use tantivy::SegmentReader;
use tantivy::columnar::Column;

use super::{Search, rank};
use crate::search::chunks::{Chunks, Passed, Visitor};
use crate::search::error::SearchError;
use crate::search::facets::{Values, counts, ranked};
use crate::search::place::Places;
use crate::search::request::{Answer, Facet, Hit, Sort};
use crate::search::schema::{NO_PRICE, column, is_remote};
use crate::search::subjects::Subjects;

/// What the chunks of a subject that fit hold together.
#[derive(Debug, Clone, Copy, Default)]
struct Sealed {
    chunks: u64,
    records: u64,
    size_bytes: u64,
    span_ns: Option<(i64, i64)>,
}

impl Sealed {
    fn add(&mut self, other: &Self) {
        self.chunks += other.chunks;
        self.records += other.records;
        self.size_bytes += other.size_bytes;
        self.span_ns = match (self.span_ns, other.span_ns) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
}

/// Sums up the chunks of each subject.
struct Sums<'a> {
    places: Option<&'a Places>,
    sums: Vec<Sealed>,
    records: Option<Column<u64>>,
    size: Option<Column<u64>>,
}

impl Visitor for Sums<'_> {
    fn segment(&mut self, _: u32, reader: &SegmentReader) -> Result<(), SearchError> {
        self.records = Some(reader.fast_fields().u64(column::RECORDS)?);
        self.size = Some(reader.fast_fields().u64(column::SIZE)?);
        Ok(())
    }

    fn chunk(&mut self, chunk: Passed) {
        let Passed { doc, slot, first_ns, last_ns } = chunk;
        if self.places.is_some_and(|places| !places.holds(slot, first_ns, last_ns)) {
            return;
        }
        let number = |column: &Option<Column<u64>>| {
            column.as_ref().and_then(|column| column.first(doc)).unwrap_or(0)
        };
        let (records, size_bytes) = (number(&self.records), number(&self.size));
        let span_ns = Some((first_ns, last_ns));
        self.sums[slot].add(&Sealed { chunks: 1, records, size_bytes, span_ns });
    }
}

/// A device: whether it is of others, the number of its name, and that of who made its data.
type Device = (bool, Option<u32>, Option<u32>);

/// Subjects that fit with what they hold.
struct Found {
    subjects: Subjects,
    /// `None` where that did not have to be known to find them.
    sums: Option<Vec<Sealed>>,
    /// The places of those that fit, in `subjects`.
    slots: Vec<usize>,
}

impl Found {
    fn sealed(&self, slot: usize) -> Sealed {
        self.sums.as_ref().map_or_else(Sealed::default, |sums| sums[slot])
    }
}

impl Search<'_> {
    fn found(&self) -> Result<Found, SearchError> {
        let request = self.request;
        let subjects = self.subjects()?;
        let places = match request.place {
            Some(geo) => {
                Some(Places::find(self.fields, &self.searcher, &subjects, geo, self.range())?)
            }
            None => None,
        };
        let is_by_time = matches!(request.sort, Sort::Time | Sort::Freshness);
        let mut found = Found { slots: Vec::new(), sums: None, subjects };
        if !self.needs_no_chunks() || places.is_some() || is_by_time {
            found.sums = Some(self.sums(&found.subjects, places.as_ref())?);
        }
        let fits = |slot: &usize| {
            if self.needs_no_chunks() && places.is_none() {
                return true;
            }
            let stands_inside =
                || places.as_ref().is_some_and(|places| places.is_fixed_inside(*slot));
            found.sealed(*slot).chunks > 0 || (self.needs_no_chunks() && stands_inside())
        };
        found.slots = (0..found.subjects.hits.len()).filter(fits).collect();
        Ok(found)
    }

    fn sums(
        &self,
        subjects: &Subjects,
        places: Option<&Places>,
    ) -> Result<Vec<Sealed>, SearchError> {
        let sums = vec![Sealed::default(); subjects.hits.len()];
        let mut sums = Sums { places, sums, records: None, size: None };
        let (fields, searcher, range) = (self.fields, &self.searcher, self.range());
        let (subjects, trust) = (Some(subjects), self.request.trust);
        let chunks = Chunks { fields, searcher, subjects, range, trust, degrees: None };
        chunks.visit(&mut sums)?;
        Ok(sums.sums)
    }

    pub(super) fn metrics(&self) -> Result<Answer, SearchError> {
        let request = self.request;
        let mut found = self.found()?;
        let mut answer = Answer { total: found.slots.len() as u64, ..Answer::default() };
        for facet in &request.counts {
            let addresses = found.slots.iter().map(|slot| (found.subjects.hits[*slot].address, 1));
            answer.counts.push(counts(&self.searcher, *facet, addresses)?);
        }
        let mut slots = std::mem::take(&mut found.slots);
        slots.sort_by_cached_key(|slot| {
            let hit = &found.subjects.hits[*slot];
            let span_ns = found.sealed(*slot).span_ns;
            (rank(request.sort, hit.score, hit.price, span_ns), hit.number)
        });
        let page: Vec<usize> = slots.into_iter().skip(request.offset).take(request.limit).collect();
        // Where the chunks were not looked at, those of the page are.
        let listed = page.iter().map(|slot| found.subjects.hits[*slot]).collect();
        let listed = Subjects::new(listed);
        let sums = match found.sums {
            Some(_) => page.iter().map(|slot| found.sealed(*slot)).collect(),
            None => self.sums(&listed, None)?,
        };
        for (hit, sealed) in listed.hits.iter().zip(sums) {
            let described = self.described(hit.address)?;
            let price = known(hit.price);
            answer.hits.push(with(Hit { score: hit.score, price, ..described }, &sealed));
        }
        Ok(answer)
    }

    pub(super) fn devices(&self) -> Result<Answer, SearchError> {
        let request = self.request;
        let mut found = self.found()?;
        if found.sums.is_none() {
            found.sums = Some(self.sums(&found.subjects, None)?);
        }
        let mut values = Values::new(&self.searcher, Facet::Device);
        values.learn(found.slots.iter().map(|slot| found.subjects.hits[*slot].address))?;
        // Devices of one name are others where somebody else made their data.
        let mut producers = Values::new(&self.searcher, Facet::Producer);
        let mut devices: HashMap<Device, Vec<usize>> = HashMap::new();
        for slot in &found.slots {
            let hit = &found.subjects.hits[*slot];
            let producer = match is_remote(hit.number) {
                true => producers.of(hit.address)?,
                false => None,
            };
            let device = (is_remote(hit.number), values.of(hit.address)?, producer);
            devices.entry(device).or_default().push(*slot);
        }
        let name = |values: &Values<'_>, number: Option<u32>| {
            number.map(|number| values.names[number as usize].clone()).unwrap_or_default()
        };
        let mut answer = Answer { total: devices.len() as u64, ..Answer::default() };
        for facet in &request.counts {
            answer.counts.push(self.device_counts(*facet, &found, &devices)?);
        }
        let mut hits = Vec::with_capacity(devices.len());
        for (device, slots) in &devices {
            let (mut sealed, mut score, mut price) = (Sealed::default(), 0.0_f32, NO_PRICE);
            for slot in slots {
                let hit = &found.subjects.hits[*slot];
                sealed.add(&found.sealed(*slot));
                (score, price) = (score.max(hit.score), price.min(hit.price));
            }
            let (is_remote, device, producer) = *device;
            let hit = Hit {
                device: name(&values, device),
                producer: name(&producers, producer),
                is_remote,
                metrics: slots.len() as u64,
                score,
                price: known(price),
                ..Hit::default()
            };
            let hit = with(hit, &sealed);
            hits.push((rank(request.sort, score, price, sealed.span_ns), hit));
        }
        hits.sort_by(|(a_rank, a), (b_rank, b)| {
            let place = |hit: &Hit| (hit.device.clone(), hit.is_remote, hit.producer.clone());
            a_rank.cmp(b_rank).then_with(|| place(a).cmp(&place(b)))
        });
        let page = hits.into_iter().skip(request.offset).take(request.limit);
        answer.hits = page.map(|(_, hit)| hit).collect();
        Ok(answer)
    }

    /// How many devices have a metric with each value.
    fn device_counts(
        &self,
        facet: Facet,
        found: &Found,
        devices: &HashMap<Device, Vec<usize>>,
    ) -> Result<crate::search::request::FacetCounts, SearchError> {
        let mut values = Values::new(&self.searcher, facet);
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for slots in devices.values() {
            let mut seen = HashSet::new();
            for slot in slots {
                let value = values.of(found.subjects.hits[*slot].address)?;
                if let Some(value) = value.filter(|value| seen.insert(*value)) {
                    *counts.entry(value).or_default() += 1;
                }
            }
        }
        let named = |(value, count): (u32, u64)| (values.names[value as usize].clone(), count);
        Ok(ranked(facet, counts.into_iter().map(named).collect()))
    }
}

/// A price that is one.
pub(super) fn known(price: u128) -> Option<u128> {
    (price != NO_PRICE).then_some(price)
}

fn with(hit: Hit, sealed: &Sealed) -> Hit {
    let Sealed { chunks, records, size_bytes, span_ns } = *sealed;
    Hit { chunks, records, size_bytes, span_ns, ..hit }
}
