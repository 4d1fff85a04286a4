//! Finding chunks.

use std::collections::BinaryHeap;

use tantivy::columnar::Column;
use tantivy::schema::Value;
use tantivy::{DocAddress, SegmentReader, TantivyDocument};

use super::listing::provenance;
use super::metrics::known;
use super::{Rank, Search, rank};
use crate::search::chunks::{Chunks, Passed, Visitor};
use crate::search::error::SearchError;
use crate::search::facets::counts;
use crate::search::place::Places;
use crate::search::request::{Answer, ChunkHit, Hit, Sort};
use crate::search::schema::{FIRST_SUBJECT, column, is_remote};
use crate::search::subjects::{SubjectHit, Subjects};

/// What orders chunks: their rank, then subject, window, generation and part.
type Key = (Rank, u64, i64, u64);

/// Keeps the best chunks and counts all.
struct Best<'a> {
    subjects: Option<&'a Subjects>,
    places: Option<&'a Places>,
    sort: Sort,
    reach: usize,
    total: u64,
    /// How many chunks each subject has.
    counts: Vec<u64>,
    heap: BinaryHeap<(Key, DocAddress, usize)>,
    segment: Option<Segment>,
}

/// The columns of a segment that order its chunks.
struct Segment {
    ordinal: u32,
    subject: Column<u64>,
    window: Column<i64>,
    revision: Column<u64>,
}

impl Visitor for Best<'_> {
    fn segment(&mut self, ordinal: u32, reader: &SegmentReader) -> Result<(), SearchError> {
        let columns = reader.fast_fields();
        self.segment = Some(Segment {
            ordinal,
            subject: columns.u64(column::SUBJECT)?,
            window: columns.i64(column::WINDOW)?,
            revision: columns.u64(column::REVISION)?,
        });
        Ok(())
    }

    fn chunk(&mut self, chunk: Passed) {
        let Passed { doc, slot, first_ns, last_ns } = chunk;
        if self.places.is_some_and(|places| !places.holds(slot, first_ns, last_ns)) {
            return;
        }
        self.total += 1;
        if let Some(count) = self.counts.get_mut(slot) {
            *count += 1;
        }
        let hit = self.subjects.map(|subjects| &subjects.hits[slot]);
        let (score, price) = hit.map_or((0.0, 0), |hit| (hit.score, hit.price));
        let rank = rank(self.sort, score, price, Some((first_ns, last_ns)));
        let is_full = self.heap.len() >= self.reach;
        if is_full && self.heap.peek().is_none_or(|((worst, ..), ..)| rank > *worst) {
            return;
        }
        let Some(segment) = &self.segment else { return };
        let subject = segment.subject.first(doc).unwrap_or(0);
        let window = segment.window.first(doc).unwrap_or(0);
        let key = (rank, subject, window, segment.revision.first(doc).unwrap_or(0));
        if is_full && self.heap.peek().is_none_or(|(worst, ..)| key > *worst) {
            return;
        }
        self.heap.push((key, DocAddress::new(segment.ordinal, doc), slot));
        if self.heap.len() > self.reach {
            self.heap.pop();
        }
    }
}

impl Search<'_> {
    pub(super) fn chunks(&self) -> Result<Answer, SearchError> {
        let request = self.request;
        let needs_subjects = self.has_conditions()
            || request.sort == Sort::Price
            || request.place.is_some()
            || !request.counts.is_empty();
        let subjects = if needs_subjects { Some(self.subjects()?) } else { None };
        let places = match (request.place, &subjects) {
            (Some(geo), Some(subjects)) => {
                Some(Places::find(self.fields, &self.searcher, subjects, geo, self.range())?)
            }
            _ => None,
        };
        let counted = if request.counts.is_empty() { None } else { subjects.as_ref() };
        let mut best = Best {
            subjects: subjects.as_ref(),
            places: places.as_ref(),
            sort: request.sort,
            reach: request.offset + request.limit,
            total: 0,
            counts: vec![0; counted.map_or(0, |subjects| subjects.hits.len())],
            heap: BinaryHeap::new(),
            segment: None,
        };
        let range = self.range();
        let (fields, searcher) = (self.fields, &self.searcher);
        let (of, trust) = (subjects.as_ref(), request.trust);
        Chunks { fields, searcher, subjects: of, range, trust, degrees: None }.visit(&mut best)?;
        let mut answer = Answer { total: best.total, ..Answer::default() };
        for facet in &request.counts {
            let hits = counted.iter().flat_map(|subjects| &subjects.hits);
            let of = hits.map(|hit| hit.address).zip(best.counts.iter().copied());
            answer.counts.push(counts(searcher, *facet, of)?);
        }
        let found = best.heap.into_sorted_vec();
        for (_, address, slot) in found.into_iter().skip(request.offset) {
            let subject = subjects.as_ref().map(|subjects| subjects.hits[slot]);
            answer.hits.push(self.chunk_hit(address, subject)?);
        }
        Ok(answer)
    }

    fn chunk_hit(
        &self,
        address: DocAddress,
        subject: Option<SubjectHit>,
    ) -> Result<Hit, SearchError> {
        let reader = self.searcher.segment_reader(address.segment_ord);
        let columns = reader.fast_fields();
        let number = |name| {
            let column = columns.u64(name);
            column.map(|column| column.first(address.doc_id).unwrap_or(0))
        };
        let time = |name| {
            let column = columns.i64(name);
            column.map(|column| column.first(address.doc_id).unwrap_or(0))
        };
        let owner = number(column::SUBJECT)?;
        let is_hidden = owner < FIRST_SUBJECT;
        let subject = match (is_hidden, subject) {
            (false, None) => self.subject_of(owner)?,
            _ => subject,
        };
        let mut hit = match subject.filter(|_| !is_hidden) {
            Some(subject) => self.described(subject.address)?,
            None => Hit::default(),
        };
        let document: TantivyDocument = self.searcher.doc(address)?;
        let cid = document.get_first(self.fields.cid).and_then(|value| value.as_bytes());
        let cid = cid.and_then(|bytes| cid::Cid::try_from(bytes).ok());
        let revision = number(column::REVISION)?;
        hit.is_remote = is_remote(owner);
        hit.provenance = provenance(self.fields, &document);
        hit.metrics = u64::from(!is_hidden);
        hit.chunks = 1;
        hit.records = number(column::RECORDS)?;
        hit.size_bytes = number(column::SIZE)?;
        hit.span_ns = Some((time(column::FIRST)?, time(column::LAST)?));
        hit.score = subject.map_or(0.0, |subject| subject.score);
        hit.price = subject.and_then(|subject| known(subject.price));
        hit.chunk = Some(ChunkHit {
            window: time(column::WINDOW)?,
            generation: (revision >> 32) as u32,
            part: revision as u32,
            cid: cid.map(|cid| cid.to_string()).unwrap_or_default(),
            is_hidden,
        });
        Ok(hit)
    }
}
