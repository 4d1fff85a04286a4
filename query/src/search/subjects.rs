//! The subjects that fit.

use tantivy::columnar::Column;
use tantivy::query::{EnableScoring, Query};
use tantivy::{DocAddress, Searcher};

use super::error::SearchError;
use super::schema::{NO_PRICE, column};

/// A subject that fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct SubjectHit {
    /// Its number in the index.
    pub(super) number: u64,
    pub(super) address: DocAddress,
    pub(super) score: f32,
    /// [`NO_PRICE`] where there is none that is known.
    pub(super) price: u128,
}

/// The subjects that fit, found by their numbers.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    pub(super) hits: Vec<SubjectHit>,
    /// The place of each number's hit in `hits`.
    slots: Vec<u32>,
}

impl Subjects {
    pub(super) fn new(hits: Vec<SubjectHit>) -> Self {
        let len = hits.iter().map(|hit| hit.number as usize + 1).max().unwrap_or(0);
        let mut slots = vec![u32::MAX; len];
        for (slot, hit) in hits.iter().enumerate() {
            slots[hit.number as usize] = slot as u32;
        }
        Self { hits, slots }
    }

    /// All subjects that a query fits.
    pub(super) fn find(
        searcher: &Searcher,
        query: &dyn Query,
        with_scores: bool,
    ) -> Result<Self, SearchError> {
        let scoring = match with_scores {
            true => EnableScoring::enabled_from_searcher(searcher),
            false => EnableScoring::disabled_from_searcher(searcher),
        };
        let weight = query.weight(scoring)?;
        let mut hits = Vec::new();
        for (ordinal, reader) in searcher.segment_readers().iter().enumerate() {
            let numbers = reader.fast_fields().u64(column::SUBJECT)?;
            let [upper, lower] =
                column::PRICE.map(|half| reader.fast_fields().column_opt::<u64>(half));
            let (upper, lower) = (upper?, lower?);
            let mut take = |doc: u32, score: f32| {
                if !reader.is_deleted(doc) {
                    let half = |column: &Option<Column<u64>>| column.as_ref()?.first(doc);
                    let price = half(&upper).zip(half(&lower));
                    let price = price.map(|(up, low)| u128::from(up) << 64 | u128::from(low));
                    hits.push(SubjectHit {
                        number: numbers.first(doc).unwrap_or(0),
                        address: DocAddress::new(ordinal as u32, doc),
                        score,
                        price: price.unwrap_or(NO_PRICE),
                    });
                }
            };
            match with_scores {
                true => weight.for_each(reader, &mut take)?,
                false => weight.for_each_no_score(reader, &mut |docs| {
                    docs.iter().for_each(|doc| take(*doc, 0.0));
                })?,
            }
        }
        Ok(Self::new(hits))
    }

    /// The place of a number's hit in `hits`.
    pub(super) fn slot(&self, number: u64) -> Option<usize> {
        let slot = *self.slots.get(usize::try_from(number).ok()?)?;
        (slot != u32::MAX).then_some(slot as usize)
    }
}
