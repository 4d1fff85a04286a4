//! Which chunks a metric's part of a proof has to have: the rules that who makes a proof and who checks it
//! share.

use std::collections::BTreeMap;

use chronolith_engine::chunk::ChunkHeader;
use chronolith_engine::{CatalogueEntry, CatalogueSpan, Definition, Kind, Metric, floor_to_window};

/// The spans of windows that a metric's part is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spans {
    /// Those of the range; none where it holds no time.
    pub(super) range: Option<CatalogueSpan>,
    /// That of the witness.
    pub(super) witness: Option<CatalogueSpan>,
}

impl Spans {
    /// The spans of a metric by the length of its windows, which is none where it has no chunk: then all
    /// windows there can be are the range.
    pub(super) fn of(
        metric: [u8; 32],
        (from_ns, to_ns): (i64, i64),
        window_ns: Option<i64>,
        witness: Option<i64>,
    ) -> Self {
        let span = |first, last| CatalogueSpan { metric, first, last };
        let Some(window_ns) = window_ns.filter(|window_ns| *window_ns > 0) else {
            return Self { range: Some(span(i64::MIN, i64::MAX)), witness: None };
        };
        let windows = (floor_to_window(from_ns, window_ns), floor_to_window(to_ns, window_ns));
        let range = (from_ns <= to_ns).then(|| span(windows.0, windows.1));
        Self { range, witness: witness.map(|window| span(window, window)) }
    }

    pub(super) fn all(self) -> impl Iterator<Item = CatalogueSpan> {
        self.range.into_iter().chain(self.witness)
    }
}

/// The last generation that is replaced in each window, by what the chunks there say.
pub(super) fn replaced(chunks: impl IntoIterator<Item = (i64, Option<u32>)>) -> BTreeMap<i64, u32> {
    let mut last: BTreeMap<i64, u32> = BTreeMap::new();
    for (window, supersedes) in chunks {
        if let Some(generation) = supersedes {
            let known = last.entry(window).or_insert(generation);
            *known = generation.max(*known);
        }
    }
    last
}

/// Whether a later chunk replaces the one of an entry.
pub(super) fn is_replaced(entry: &CatalogueEntry, replaced: &BTreeMap<i64, u32>) -> bool {
    replaced.get(&entry.window).is_some_and(|generation| entry.generation <= *generation)
}

/// The definition of a metric by the header of its last chunk; one without any is of floats and has no unit.
pub(super) fn definition(metric: Metric, header: Option<&ChunkHeader>) -> Definition {
    let Some(header) = header else { return Definition::new(metric, Kind::F64) };
    let unit = header.shown.as_ref().map(|shown| shown.unit.clone()).unwrap_or_default();
    Definition::new(metric, header.kind).window_ns(header.window_ns).unit(unit)
}

/// The metric that a header names; `None` where it hides it.
pub(super) fn named(header: &ChunkHeader) -> Option<Metric> {
    let shown = header.shown.as_ref()?;
    let metric = Metric::new(&*shown.device, &*shown.name);
    Some(shown.tags.iter().fold(metric, |metric, (key, value)| metric.tag(key, value)))
}
