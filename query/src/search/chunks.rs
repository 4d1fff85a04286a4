//! Passing over the chunks that fit: those of some subjects in a range of time.
//!
//! Candidates come from whichever costs least, the postings of the subjects, of the cells of time, or
//! of the cells of degrees where coordinates in a box are wanted; times and subjects are then checked
//! on each candidate's columns, bounds by who asked for them.

use tantivy::columnar::Column;
use tantivy::query::{AllQuery, BooleanQuery, EnableScoring, Occur, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Searcher, SegmentReader, Term};

use super::cells;
use super::error::SearchError;
use super::remote::Trust;
use super::schema::{Fields, column, mark};
use super::subjects::Subjects;

/// What looking up one term in one segment costs, counted in candidates.
const LOOKUP_COST: u64 = 20;

/// Which chunks are passed over.
pub(super) struct Chunks<'a> {
    pub(super) fields: &'a Fields,
    pub(super) searcher: &'a Searcher,
    /// `None`: those of all subjects.
    pub(super) subjects: Option<&'a Subjects>,
    pub(super) range: (i64, i64),
    /// Of others only what is so sure.
    pub(super) trust: Trust,
    /// Cells of degrees of which all that is wanted has one; `None` where that may be anything.
    pub(super) degrees: Option<Vec<u64>>,
}

/// A chunk that fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    pub(super) doc: u32,
    /// The place of its subject among the hits; 0 where all subjects are passed over.
    pub(super) slot: usize,
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
}

/// Takes the chunks that fit.
pub(super) trait Visitor {
    /// The next chunks are of this segment.
    fn segment(&mut self, ordinal: u32, reader: &SegmentReader) -> Result<(), SearchError>;

    fn chunk(&mut self, chunk: Passed);
}

/// How candidates are found.
enum Drive {
    Subjects,
    Query(Box<dyn Query>),
}

impl Chunks<'_> {
    fn drive(&self) -> Result<Drive, SearchError> {
        let all = self.searcher.num_docs();
        let mut best = (all, Drive::Query(Box::new(AllQuery)));
        let segments = self.searcher.segment_readers().len() as u64;
        let times = cells::terms_of_range(self.range.0, self.range.1);
        let of_field = [(self.fields.cell, &times), (self.fields.degrees, &self.degrees)];
        for (field, terms) in of_field {
            let Some(terms) = terms else { continue };
            let (mut cost, mut clauses) = (0, Vec::new());
            for term in terms.iter().map(|cell| Term::from_field_u64(field, *cell)) {
                let found = self.searcher.doc_freq(&term)?;
                if found > 0 {
                    // A union costs more for each candidate than a list.
                    cost += LOOKUP_COST * segments + 2 * found;
                    let query: Box<dyn Query> =
                        Box::new(TermQuery::new(term, IndexRecordOption::Basic));
                    clauses.push((Occur::Should, query));
                }
            }
            if cost < best.0 {
                best = (cost, Drive::Query(Box::new(BooleanQuery::new(clauses))));
            }
        }
        if let Some(subjects) = self.subjects {
            // The subjects have about as many chunks as others.
            let term = |mark| Term::from_field_text(self.fields.mark, mark);
            let count = self.searcher.doc_freq(&term(mark::SUBJECT))?
                + self.searcher.doc_freq(&term(mark::REMOTE))?;
            let count = count.max(1);
            let hits = subjects.hits.len() as u64;
            let cost = hits * (LOOKUP_COST * segments + all / count);
            if cost < best.0 {
                best = (cost, Drive::Subjects);
            }
        }
        Ok(best.1)
    }

    /// Hands each chunk that fits to a visitor once.
    pub(super) fn visit(&self, visitor: &mut dyn Visitor) -> Result<(), SearchError> {
        match self.drive()? {
            Drive::Subjects => {
                for (ordinal, reader) in self.searcher.segment_readers().iter().enumerate() {
                    visitor.segment(ordinal as u32, reader)?;
                    self.by_subject(reader, visitor)?;
                }
            }
            Drive::Query(query) => {
                let weight = query.weight(EnableScoring::disabled_from_searcher(self.searcher))?;
                for (ordinal, reader) in self.searcher.segment_readers().iter().enumerate() {
                    visitor.segment(ordinal as u32, reader)?;
                    let columns = Columns::new(reader, self.trust)?;
                    weight.for_each_no_score(reader, &mut |docs| {
                        for doc in docs {
                            self.check(reader, &columns, *doc, visitor);
                        }
                    })?;
                }
            }
        }
        Ok(())
    }

    fn by_subject(
        &self,
        reader: &SegmentReader,
        visitor: &mut dyn Visitor,
    ) -> Result<(), SearchError> {
        let columns = Columns::new(reader, self.trust)?;
        let index = reader.inverted_index(self.fields.subject)?;
        for hit in self.subjects.iter().flat_map(|subjects| &subjects.hits) {
            let term = Term::from_field_u64(self.fields.subject, hit.number);
            let postings = index.read_postings(&term, IndexRecordOption::Basic);
            let Some(mut postings) = postings.map_err(tantivy::TantivyError::from)? else {
                continue;
            };
            while postings.doc() != tantivy::TERMINATED {
                self.check(reader, &columns, postings.doc(), visitor);
                postings.advance();
            }
        }
        Ok(())
    }

    fn check(
        &self,
        reader: &SegmentReader,
        columns: &Columns,
        doc: u32,
        visitor: &mut dyn Visitor,
    ) {
        let (Some(first_ns), Some(last_ns)) = (columns.first.first(doc), columns.last.first(doc))
        else {
            return;
        };
        // What ends before it begins is no chunk.
        if first_ns > last_ns || first_ns > self.range.1 || last_ns < self.range.0 {
            return;
        }
        if let Some(trust) = &columns.trust
            && trust.first(doc).is_some_and(|found| found < self.trust as u64)
        {
            return;
        }
        let slot = match self.subjects {
            None => 0,
            Some(subjects) => {
                let slot = columns.subject.first(doc).and_then(|number| subjects.slot(number));
                let Some(slot) = slot else { return };
                slot
            }
        };
        if !reader.is_deleted(doc) {
            visitor.chunk(Passed { doc, slot, first_ns, last_ns });
        }
    }
}

struct Columns {
    first: Column<i64>,
    last: Column<i64>,
    subject: Column<u64>,
    /// Only where it matters; what is of this database has none.
    trust: Option<Column<u64>>,
}

impl Columns {
    fn new(reader: &SegmentReader, trust: Trust) -> Result<Self, SearchError> {
        let columns = reader.fast_fields();
        Ok(Self {
            first: columns.i64(column::FIRST)?,
            last: columns.i64(column::LAST)?,
            subject: columns.u64(column::SUBJECT)?,
            trust: match trust {
                Trust::Told => None,
                _ => columns.column_opt(column::TRUST)?,
            },
        })
    }
}
