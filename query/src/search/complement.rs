//! Everything that a query does not fit.
//!
//! tantivy's own exclusion asks the excluded documents for targets behind their first one, which
//! scorers of phrases do not answer; so these are gathered first.

use tantivy::query::{
    BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::{BitSet, DocId, Score, SegmentReader, TantivyError};

/// The documents that another query does not fit; each has the score 0.
#[derive(Debug)]
pub(super) struct Complement(pub(super) Box<dyn Query>);

impl Clone for Complement {
    fn clone(&self) -> Self {
        Self(self.0.box_clone())
    }
}

impl Query for Complement {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        // Deletions have no searcher, and no scores are needed here.
        let scoring = EnableScoring::disabled_from_schema(scoring.schema());
        Ok(Box::new(ComplementWeight(self.0.weight(scoring)?)))
    }
}

struct ComplementWeight(Box<dyn Weight>);

impl Weight for ComplementWeight {
    fn scorer(&self, reader: &SegmentReader, _: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut rest = BitSet::with_max_value_and_full(reader.max_doc());
        self.0.for_each_no_score(reader, &mut |docs| {
            docs.iter().for_each(|doc| rest.remove(*doc));
        })?;
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(rest), 0.0)))
    }

    fn explain(&self, _: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument(format!("document {doc} is not explained")))
    }
}
