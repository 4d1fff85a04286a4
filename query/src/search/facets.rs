//! Values of facets, and how often they are found.

use std::collections::HashMap;

use tantivy::columnar::StrColumn;
use tantivy::{DocAddress, Searcher};

use super::error::SearchError;
use super::request::{Facet, FacetCounts};

/// The most values that are counted out.
const VALUES_MAX: usize = 100;

/// The column of a segment, and which number each of its terms has; `u32::MAX` where it is not known.
type Segment = (Option<StrColumn>, Vec<u32>);

/// The values that subjects have of a facet, numbered as they are asked for.
pub(super) struct Values<'a> {
    searcher: &'a Searcher,
    facet: Facet,
    segments: Vec<Option<Segment>>,
    numbers: HashMap<String, u32>,
    pub(super) names: Vec<String>,
}

impl<'a> Values<'a> {
    pub(super) fn new(searcher: &'a Searcher, facet: Facet) -> Self {
        let segments = searcher.segment_readers().iter().map(|_| None).collect();
        Self { searcher, facet, segments, numbers: HashMap::new(), names: Vec::new() }
    }

    /// Looks up the values of subjects together: one by one, each costs reading a block of names.
    pub(super) fn learn(
        &mut self,
        subjects: impl Iterator<Item = DocAddress>,
    ) -> Result<(), SearchError> {
        let mut wanted: Vec<Vec<u64>> = vec![Vec::new(); self.segments.len()];
        for address in subjects {
            let (column, known) = self.segment(address.segment_ord)?;
            let ordinal = column.as_ref().and_then(|column| column.ords().first(address.doc_id));
            if let Some(ordinal) = ordinal
                && known.get(ordinal as usize).is_some_and(|number| *number == u32::MAX)
            {
                wanted[address.segment_ord as usize].push(ordinal);
            }
        }
        for (segment, ordinals) in wanted.into_iter().enumerate() {
            self.learn_ordinals(segment, ordinals)?;
        }
        Ok(())
    }

    fn learn_ordinals(
        &mut self,
        segment: usize,
        mut ordinals: Vec<u64>,
    ) -> Result<(), SearchError> {
        ordinals.sort_unstable();
        ordinals.dedup();
        let Some((Some(column), known)) = &mut self.segments[segment] else { return Ok(()) };
        let (names, numbers) = (&mut self.names, &mut self.numbers);
        let mut next = ordinals.iter();
        let found = column.dictionary().sorted_ords_to_term_cb(&ordinals, |term| {
            let name = String::from_utf8_lossy(term).into_owned();
            if let Some(slot) = next.next().and_then(|at| known.get_mut(*at as usize)) {
                *slot = number(name, names, numbers);
            }
        });
        found.map_err(tantivy::TantivyError::from)?;
        Ok(())
    }

    /// The column of a segment, and which numbers its terms have.
    fn segment(&mut self, ordinal: u32) -> Result<&mut Segment, SearchError> {
        let slot = &mut self.segments[ordinal as usize];
        Ok(match slot {
            Some(segment) => segment,
            None => {
                let reader = self.searcher.segment_reader(ordinal);
                let column = reader.fast_fields().str(self.facet.name())?;
                let terms = column.as_ref().map_or(0, |column| column.num_terms());
                slot.insert((column, vec![u32::MAX; terms]))
            }
        })
    }

    /// Takes the numbers of all values of a subject; offers have several.
    fn all_of(&mut self, address: DocAddress, numbers: &mut Vec<u32>) -> Result<(), SearchError> {
        numbers.clear();
        let (column, known) = self.segment(address.segment_ord)?;
        let Some(column) = column else { return Ok(()) };
        if !column.ords().get_cardinality().is_multivalue() {
            numbers.extend(self.of(address)?);
            return Ok(());
        }
        let ordinals: Vec<u64> = column.ords().values_for_doc(address.doc_id).collect();
        let is_unknown = |at: &&u64| known.get(**at as usize).is_none_or(|n| *n == u32::MAX);
        let unknown: Vec<u64> = ordinals.iter().filter(is_unknown).copied().collect();
        if !unknown.is_empty() {
            self.learn_ordinals(address.segment_ord as usize, unknown)?;
        }
        let (_, known) = self.segment(address.segment_ord)?;
        let found = ordinals.into_iter().filter_map(|at| known.get(at as usize).copied());
        numbers.extend(found.filter(|number| *number != u32::MAX));
        Ok(())
    }

    /// The number of a subject's first value; `None` where it has none.
    pub(super) fn of(&mut self, address: DocAddress) -> Result<Option<u32>, SearchError> {
        let (column, known) = self.segment(address.segment_ord)?;
        let Some(column) = column else { return Ok(None) };
        let Some(ordinal) = column.ords().first(address.doc_id) else { return Ok(None) };
        let found = known.get(ordinal as usize).copied();
        if found != Some(u32::MAX) {
            return Ok(found);
        }
        self.learn(std::iter::once(address))?;
        let (_, known) = self.segment(address.segment_ord)?;
        Ok(known.get(ordinal as usize).copied().filter(|number| *number != u32::MAX))
    }
}

/// The number of a name, a new one where it has none.
fn number(name: String, names: &mut Vec<String>, numbers: &mut HashMap<String, u32>) -> u32 {
    *numbers.entry(name).or_insert_with_key(|name| {
        names.push(name.clone());
        names.len() as u32 - 1
    })
}

/// Counts from how often each subject counts.
pub(super) fn counts(
    searcher: &Searcher,
    facet: Facet,
    subjects: impl Iterator<Item = (DocAddress, u64)>,
) -> Result<FacetCounts, SearchError> {
    let mut values = Values::new(searcher, facet);
    let mut counts: Vec<u64> = Vec::new();
    let mut numbers = Vec::new();
    for (address, count) in subjects.filter(|(_, count)| *count > 0) {
        values.all_of(address, &mut numbers)?;
        counts.resize(values.names.len().max(counts.len()), 0);
        for number in &numbers {
            counts[*number as usize] += count;
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
