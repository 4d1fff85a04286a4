//! Values of facets, and how often they are found.

use std::collections::HashMap;

use tantivy::columnar::StrColumn;
use tantivy::{DocAddress, Searcher};

use super::error::SearchError;
use super::request::{Facet, FacetCounts};

/// The most values that are counted out.
const VALUES_MAX: usize = 100;

/// The values that subjects have of a facet, numbered as they are asked for.
pub(super) struct Values<'a> {
    searcher: &'a Searcher,
    facet: Facet,
    /// The column of each segment, and which number each of its terms has.
    segments: Vec<Option<(Option<StrColumn>, Vec<u32>)>>,
    numbers: HashMap<String, u32>,
    pub(super) names: Vec<String>,
}

impl<'a> Values<'a> {
    pub(super) fn new(searcher: &'a Searcher, facet: Facet) -> Self {
        let segments = searcher.segment_readers().iter().map(|_| None).collect();
        Self { searcher, facet, segments, numbers: HashMap::new(), names: Vec::new() }
    }

    /// The number of a subject's value; `None` where it has none.
    pub(super) fn of(&mut self, address: DocAddress) -> Result<Option<u32>, SearchError> {
        let slot = &mut self.segments[address.segment_ord as usize];
        let (column, known) = match slot {
            Some(segment) => segment,
            None => {
                let reader = self.searcher.segment_reader(address.segment_ord);
                let column = reader.fast_fields().str(self.facet.name())?;
                let terms = column.as_ref().map_or(0, |column| column.num_terms());
                slot.insert((column, vec![u32::MAX; terms]))
            }
        };
        let Some(column) = column else { return Ok(None) };
        let Some(ordinal) = column.ords().first(address.doc_id) else { return Ok(None) };
        let Some(known) = known.get_mut(ordinal as usize) else { return Ok(None) };
        if *known == u32::MAX {
            let mut name = String::new();
            column.ord_to_str(ordinal, &mut name).map_err(tantivy::TantivyError::from)?;
            *known = match self.numbers.get(&name) {
                Some(number) => *number,
                None => {
                    let number = self.names.len() as u32;
                    self.names.push(name.clone());
                    self.numbers.insert(name, number);
                    number
                }
            };
        }
        Ok(Some(*known))
    }
}

/// Counts from how often each subject counts.
pub(super) fn counts(
    searcher: &Searcher,
    facet: Facet,
    subjects: impl Iterator<Item = (DocAddress, u64)>,
) -> Result<FacetCounts, SearchError> {
    let mut values = Values::new(searcher, facet);
    let mut counts: Vec<u64> = Vec::new();
    for (address, count) in subjects.filter(|(_, count)| *count > 0) {
        if let Some(number) = values.of(address)? {
            counts.resize(values.names.len().max(counts.len()), 0);
            counts[number as usize] += count;
        }
    }
    Ok(ranked(facet, values.names.into_iter().zip(counts).collect()))
}

/// Counts in their order.
pub(super) fn ranked(facet: Facet, mut values: Vec<(String, u64)>) -> FacetCounts {
    values.retain(|(_, count)| *count > 0);
    values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    values.truncate(VALUES_MAX);
    FacetCounts { facet, values }
}
