//! What is shown of a subject.

use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{DocAddress, TantivyDocument, Term};

use super::Search;
use crate::bytes::Bytes;
use crate::search::error::SearchError;
use crate::search::remote::{Provenance, read_provenance};
use crate::search::request::{Facet, Hit};
use crate::search::schema::{Fields, column, is_remote};
use crate::search::subjects::{SubjectHit, Subjects};

impl Search<'_> {
    /// The subject of a number.
    pub(super) fn subject_of(&self, number: u64) -> Result<Option<SubjectHit>, SearchError> {
        let term = Term::from_field_u64(self.fields.number, number);
        let query = TermQuery::new(term, IndexRecordOption::Basic);
        let found = Subjects::find(&self.searcher, &query, false)?;
        Ok(found.hits.first().copied())
    }

    /// A subject as it is listed.
    pub(super) fn described(&self, address: DocAddress) -> Result<Hit, SearchError> {
        let document: TantivyDocument = self.searcher.doc(address)?;
        let text = |facet: Facet| {
            let value = document.get_first(self.fields.facet(facet));
            value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let pair = |pair: &str| {
            pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
        };
        let tags = document.get_all(self.fields.tag);
        Ok(Hit {
            device: text(Facet::Device),
            metric: text(Facet::Metric),
            unit: text(Facet::Unit),
            tags: tags.filter_map(|value| value.as_str().and_then(pair)).collect(),
            metrics: 1,
            producer: text(Facet::Producer),
            is_remote: self.is_remote(address)?,
            ..Hit::default()
        })
    }

    /// Whether a subject is of others.
    fn is_remote(&self, address: DocAddress) -> Result<bool, SearchError> {
        let reader = self.searcher.segment_reader(address.segment_ord);
        let number = reader.fast_fields().u64(column::SUBJECT)?.first(address.doc_id);
        Ok(number.is_some_and(is_remote))
    }
}

/// Where a document comes from; `None` where it is of this database.
pub(super) fn provenance(fields: &Fields, document: &TantivyDocument) -> Option<Provenance> {
    let bytes = document.get_first(fields.provenance)?.as_bytes()?;
    read_provenance(&mut Bytes::new(bytes)).ok()
}
