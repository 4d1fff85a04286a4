//! Where devices were: from the chunks of their coordinates.
//!
//! A chunk was recorded in a box where its device has, at some time of the chunk that is in the
//! range asked for, a chunk of latitudes and a chunk of longitudes whose values reach into the box.
//! Since chunks are short, their least and greatest values are coarse cells that follow the device;
//! they are found by the cells of degrees that the box has on each axis.

use std::collections::HashMap;

use tantivy::columnar::Column;
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::{Searcher, SegmentReader, Term};

use super::cells;
use super::chunks::{Chunks, Passed, Visitor};
use super::document::{Axis, GeoBox};
use super::error::SearchError;
use super::facets::Values;
use super::remote::Trust;
use super::request::Facet;
use super::schema::{Fields, column, is_remote, mark};
use super::subjects::{SubjectHit, Subjects};

/// Spans of time, rising and apart.
type Spans = Vec<(i64, i64)>;

/// Where the subjects of a search are.
pub(super) struct Places {
    /// Of each subject that fits.
    of: Vec<Place>,
    /// When each device was in the box.
    spans: HashMap<u32, Spans>,
}

/// Where one subject is.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// It stands in the box.
    Inside,
    /// Where its device is.
    Device(u32),
}

impl Places {
    /// Where subjects are, in a range of time.
    pub(super) fn find(
        fields: &Fields,
        searcher: &Searcher,
        subjects: &Subjects,
        geo: GeoBox,
        range: (i64, i64),
    ) -> Result<Self, SearchError> {
        let mut devices = Values::new(searcher, Facet::Device);
        let mut of_axis = |axis: Axis| {
            let name = match axis {
                Axis::Latitude => mark::LATITUDE,
                Axis::Longitude => mark::LONGITUDE,
            };
            let term = Term::from_field_text(fields.mark, name);
            let query = TermQuery::new(term, IndexRecordOption::Basic);
            let subjects = Subjects::find(searcher, &query, false)?;
            devices.learn(subjects.hits.iter().map(|hit| hit.address))?;
            let device = |hit: &SubjectHit| devices.of(hit.address);
            let devices = subjects.hits.iter().map(device).collect::<Result<Vec<_>, _>>()?;
            let (low, high, spans) = (None, None, HashMap::new());
            let mut reach = Reach { axis, geo, range, devices, low, high, spans };
            let degrees = cells::terms_of_box(axis, geo);
            let (subjects, trust) = (Some(&subjects), Trust::Told);
            let chunks = Chunks { fields, searcher, subjects, range, trust, degrees };
            chunks.visit(&mut reach)?;
            Ok::<_, SearchError>(reach.spans)
        };
        let (latitudes, mut longitudes) = (of_axis(Axis::Latitude)?, of_axis(Axis::Longitude)?);
        let mut spans = HashMap::new();
        for (device, latitudes) in latitudes {
            if let Some(longitudes) = longitudes.remove(&device) {
                spans.insert(device, both(&joined(latitudes), &joined(longitudes)));
            }
        }
        let mut fixed = Vec::new();
        for reader in searcher.segment_readers() {
            let columns = reader.fast_fields();
            let column = |name| columns.column_opt::<f64>(name);
            fixed.push((column(column::LATITUDE)?, column(column::LONGITUDE)?));
        }
        let own = subjects.hits.iter().filter(|hit| !is_remote(hit.number));
        devices.learn(own.map(|hit| hit.address))?;
        let place = |hit: &SubjectHit| {
            let (latitude, longitude) = &fixed[hit.address.segment_ord as usize];
            let of = |column: &Option<Column<f64>>| column.as_ref()?.first(hit.address.doc_id);
            let point = of(latitude).zip(of(longitude));
            if point.is_some_and(|point| geo.holds(point)) {
                return Ok(Place::Inside);
            }
            // Where the device of this name of somebody else was, nobody says.
            if is_remote(hit.number) {
                return Ok(Place::Device(u32::MAX));
            }
            // What hides its device is nowhere.
            Ok(Place::Device(devices.of(hit.address)?.unwrap_or(u32::MAX)))
        };
        let of = subjects.hits.iter().map(place).collect::<Result<_, SearchError>>()?;
        Ok(Self { of, spans })
    }

    /// Whether a subject is in the box at some time of a span.
    pub(super) fn holds(&self, slot: usize, first_ns: i64, last_ns: i64) -> bool {
        match self.of[slot] {
            Place::Inside => true,
            Place::Device(device) => self.spans.get(&device).is_some_and(|spans| {
                let after = spans.partition_point(|(_, last)| *last < first_ns);
                spans.get(after).is_some_and(|(first, _)| *first <= last_ns)
            }),
        }
    }

    /// Whether a subject stands in the box by itself.
    pub(super) fn is_fixed_inside(&self, slot: usize) -> bool {
        matches!(self.of[slot], Place::Inside)
    }
}

/// Gathers when one coordinate of each device was in the box.
struct Reach {
    axis: Axis,
    geo: GeoBox,
    range: (i64, i64),
    devices: Vec<Option<u32>>,
    low: Option<Column<f64>>,
    high: Option<Column<f64>>,
    spans: HashMap<u32, Spans>,
}

impl Visitor for Reach {
    fn segment(&mut self, _: u32, reader: &SegmentReader) -> Result<(), SearchError> {
        self.low = reader.fast_fields().column_opt(column::LOW)?;
        self.high = reader.fast_fields().column_opt(column::HIGH)?;
        Ok(())
    }

    fn chunk(&mut self, chunk: Passed) {
        let of = |column: &Option<Column<f64>>| column.as_ref()?.first(chunk.doc);
        let bounds = of(&self.low).zip(of(&self.high));
        if let Some((low, high)) = bounds
            && let Some(device) = self.devices[chunk.slot]
            && self.geo.meets(self.axis, low, high)
        {
            let span = (chunk.first_ns.max(self.range.0), chunk.last_ns.min(self.range.1));
            self.spans.entry(device).or_default().push(span);
        }
    }
}

/// The times that are in any of the spans.
fn joined(mut spans: Spans) -> Spans {
    spans.sort_unstable();
    let mut joined: Spans = Vec::with_capacity(spans.len());
    for (first, last) in spans {
        match joined.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// The times that are in both.
fn both(left: &[(i64, i64)], right: &[(i64, i64)]) -> Spans {
    let (mut spans, mut i, mut j) = (Vec::new(), 0, 0);
    while let (Some(a), Some(b)) = (left.get(i), right.get(j)) {
        let (first, last) = (a.0.max(b.0), a.1.min(b.1));
        if first <= last {
            spans.push((first, last));
        }
        if a.1 < b.1 { i += 1 } else { j += 1 }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_joined_and_intersected() {
        assert_eq!(joined(vec![(5, 9), (1, 2), (2, 3), (6, 7)]), vec![(1, 3), (5, 9)]);
        assert_eq!(both(&[(1, 3), (5, 9)], &[(3, 6), (8, 8)]), vec![(3, 3), (5, 6), (8, 8)]);
        assert!(both(&[], &[(1, 2)]).is_empty());
    }
}
