//! Finding offers.

use tantivy::columnar::Column;
use tantivy::schema::Value;
use tantivy::{DocAddress, TantivyDocument};

use super::listing::provenance;
use super::metrics::known;
use super::{Search, rank};
use crate::bytes::Bytes;
use crate::search::error::SearchError;
use crate::search::facets::counts;
use crate::search::remote::read_offer;
use crate::search::request::{Answer, Hit};
use crate::search::schema::column;
use crate::search::subjects::SubjectHit;

/// The columns of offers in a segment; none where it has no offers.
struct Columns {
    first: Option<Column<i64>>,
    last: Option<Column<i64>>,
    trust: Option<Column<u64>>,
}

/// An offer that fits.
#[derive(Clone, Copy)]
struct Found {
    hit: SubjectHit,
    span_ns: (i64, i64),
}

impl Search<'_> {
    pub(super) fn offers(&self) -> Result<Answer, SearchError> {
        let request = self.request;
        let mut found = self.offers_that_fit()?;
        let mut answer = Answer { total: found.len() as u64, ..Answer::default() };
        for facet in &request.counts {
            let addresses = found.iter().map(|found| (found.hit.address, 1));
            answer.counts.push(counts(&self.searcher, *facet, addresses)?);
        }
        found.sort_by_cached_key(|Found { hit, span_ns }| {
            (rank(request.sort, hit.score, hit.price, Some(*span_ns)), hit.number)
        });
        for Found { hit, span_ns } in found.into_iter().skip(request.offset).take(request.limit) {
            let listed = self.offer_hit(hit.address)?;
            let (span_ns, price) = (Some(span_ns), known(hit.price));
            answer.hits.push(Hit { span_ns, price, score: hit.score, ..listed });
        }
        Ok(answer)
    }

    /// The offers that fit, also by time and trust.
    fn offers_that_fit(&self) -> Result<Vec<Found>, SearchError> {
        let mut columns = Vec::new();
        for reader in self.searcher.segment_readers() {
            let fast = reader.fast_fields();
            let [first, last] = column::OFFER.map(|end| fast.column_opt(end));
            let trust = fast.column_opt(column::TRUST)?;
            columns.push(Columns { first: first?, last: last?, trust });
        }
        let (from_ns, to_ns) = self.range();
        let fits = |hit: SubjectHit| {
            let columns = columns.get(hit.address.segment_ord as usize)?;
            let doc = hit.address.doc_id;
            let span_ns = (columns.first.as_ref()?.first(doc)?, columns.last.as_ref()?.first(doc)?);
            let trust = columns.trust.as_ref()?.first(doc)?;
            let is_in_range = span_ns.0 <= to_ns && span_ns.1 >= from_ns;
            let is_sure = trust >= self.request.trust as u64;
            (is_in_range && is_sure).then_some(Found { hit, span_ns })
        };
        Ok(self.subjects()?.hits.into_iter().filter_map(fits).collect())
    }

    fn offer_hit(&self, address: DocAddress) -> Result<Hit, SearchError> {
        let document: TantivyDocument = self.searcher.doc(address)?;
        let bytes = document.get_first(self.fields.offer).and_then(|value| value.as_bytes());
        let offer = bytes.and_then(|bytes| read_offer(&mut Bytes::new(bytes)).ok());
        let device = offer
            .as_ref()
            .and_then(|offer| offer.listing.devices.first().or(Some(&offer.device)).cloned());
        Ok(Hit {
            device: device.unwrap_or_default(),
            is_remote: true,
            provenance: provenance(self.fields, &document),
            offer,
            ..Hit::default()
        })
    }
}
