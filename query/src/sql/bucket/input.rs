//! What the operators read: the metrics of a table, and which of them each call is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_engine::{Definition, Function, Kind, MetricId};

use super::call::{About, Ask, Call};
use super::operator::Key;
use crate::sql::aggregates::points::Way;
use crate::sql::catalog::Lookup;
use crate::sql::columns::{Shape, Source};
use crate::sql::filter::Conditions;
use crate::sql::scan::RecordScan;
use crate::sql::wide::WideScan;

/// The scan below an aggregation.
#[derive(Clone, Copy)]
pub(super) enum Scan<'a> {
    /// One row for each record.
    Records(&'a RecordScan),
    /// One row for each time of a device.
    Class(&'a WideScan),
}

/// A column of a scan: its place in the table, and where its values come from.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) place: usize,
    pub(super) source: Source,
}

impl Scan<'_> {
    pub(super) const fn is_limited(self) -> bool {
        match self {
            Self::Records(scan) => scan.is_limited(),
            Self::Class(scan) => scan.is_limited(),
        }
    }

    pub(super) fn column(self, index: usize) -> Option<Found> {
        let place = match self {
            Self::Records(scan) => scan.place(index)?,
            Self::Class(scan) => scan.place(index)?,
        };
        let source = match self {
            Self::Records(scan) => scan.input().layout.sources.get(place)?,
            Self::Class(scan) => scan.input().columns.layout.sources.get(place)?,
        };
        Some(Found { place, source: source.clone() })
    }

    fn lookup(self) -> (Lookup, Conditions) {
        match self {
            Self::Records(scan) => (scan.input().lookup.clone(), scan.input().conditions.clone()),
            Self::Class(scan) => (scan.input().lookup.clone(), scan.input().conditions.clone()),
        }
    }

    fn members(self) -> Vec<Member> {
        let member = |id, labels: &Arc<Definition>, kind, place| Member {
            id,
            labels: Arc::clone(labels),
            kind,
            place,
            slots: Vec::new(),
        };
        match self {
            Self::Records(scan) => {
                let series = scan.input().series.iter();
                let records = series.map(|series| {
                    member(series.id, &series.definition, series.definition.kind, None)
                });
                records.collect()
            }
            Self::Class(scan) => {
                let sets = scan.input().sets.iter().enumerate();
                let metrics = sets.flat_map(|(number, set)| {
                    set.members.iter().map(move |(name, series)| {
                        let (labels, kind) = (&set.labels.definition, series.definition.kind);
                        member(series.id, labels, kind, Some((number, *name)))
                    })
                });
                metrics.collect()
            }
        }
    }

    /// Whether a column shows the values of a metric; where it does not, it is null.
    fn shows(self, member: &Member, place: usize, shape: Shape) -> bool {
        let is_named = match self {
            Self::Records(_) => true,
            Self::Class(scan) => {
                let name = member.place.map(|(_, name)| name);
                scan.input().columns.names.get(place).is_some_and(|shown| *shown == name)
            }
        };
        is_named && shape == Shape::Kind(member.kind)
    }

    /// Whether a row may be records of several metrics.
    fn joins_rows(self) -> bool {
        match self {
            Self::Records(_) => false,
            Self::Class(scan) => scan.input().sets.iter().any(|set| set.members.len() > 1),
        }
    }
}

/// A metric below an aggregation.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MetricId,
    /// What has the labels that the table shows.
    labels: Arc<Definition>,
    kind: Kind,
    /// In a class, the set of metrics whose records make rows with its own, and the number of its
    /// name.
    place: Option<(usize, usize)>,
    /// The slots whose calls look at it. Where there are none it still makes rows.
    pub(super) slots: Vec<usize>,
}

/// What is asked of the same metrics.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    pub(super) functions: Vec<Function>,
    /// Ways at their beginning.
    pub(super) ways: Vec<Way>,
}

/// The metrics below an aggregation, and what is asked of them.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) lookup: Lookup,
    pub(super) conditions: Conditions,
    pub(super) members: Vec<Member>,
    pub(super) slots: Vec<Slot>,
    /// Whether the rows of a class are to be counted.
    pub(super) counts_rows: bool,
}

impl Input {
    /// What calls ask of the metrics of a scan; each call learns its slot.
    pub(super) fn new(scan: Scan<'_>, calls: &mut [Call]) -> Self {
        let mut counts_rows = false;
        let (lookup, conditions) = scan.lookup();
        let mut members = scan.members();
        let mut slots: Vec<(Vec<bool>, Slot)> = Vec::new();
        for call in calls {
            let looked_at: Vec<bool> = match call.about {
                About::Rows if scan.joins_rows() => {
                    (call.ask, counts_rows) = (Ask::Rows, true);
                    continue;
                }
                About::Rows => vec![true; members.len()],
                About::Values(place, shape) => {
                    members.iter().map(|member| scan.shows(member, place, shape)).collect()
                }
            };
            let known = slots.iter().position(|(known, _)| *known == looked_at);
            call.slot = known.unwrap_or(slots.len());
            if known.is_none() {
                slots.push((looked_at, Slot::default()));
            }
            let slot = &mut slots[call.slot].1;
            match call.ask {
                Ask::Function(function) => {
                    call.at = slot.functions.len();
                    slot.functions.push(function);
                }
                Ask::Way(path, method) => {
                    call.at = slot.ways.len();
                    slot.ways.push(Way::new(path, method));
                }
                Ask::Rows => {}
            }
        }
        for (number, (looked_at, _)) in slots.iter().enumerate() {
            let looked_at = members.iter_mut().zip(looked_at).filter(|(_, looked_at)| **looked_at);
            looked_at.for_each(|(member, _)| member.slots.push(number));
        }
        let slots = slots.into_iter().map(|(_, slot)| slot).collect();
        Self { lookup, conditions, members, slots, counts_rows }
    }

    /// The metrics of a scan for calls that look at the values of all of them.
    pub(super) fn of_all(scan: Scan<'_>) -> Self {
        let (lookup, conditions) = scan.lookup();
        let members = scan.members();
        Self { lookup, conditions, members, slots: Vec::new(), counts_rows: false }
    }

    /// The metrics of a group of a class, those together whose records make rows together.
    pub(super) fn sets(&self, group: &Group) -> Vec<Vec<MetricId>> {
        let mut sets: BTreeMap<usize, Vec<MetricId>> = BTreeMap::new();
        for member in group.members.iter().filter_map(|member| self.members.get(*member)) {
            if let Some((set, _)) = member.place {
                sets.entry(set).or_default().push(member.id);
            }
        }
        sets.into_values().collect()
    }

    /// The metrics by their labels. Without any key there is one group, even of nothing.
    pub(super) fn groups(&self, keys: &[Key]) -> Vec<Group> {
        let mut found: BTreeMap<Vec<Option<String>>, Vec<usize>> = BTreeMap::new();
        for (place, member) in self.members.iter().enumerate() {
            let label = |key: &Key| match key {
                Key::Label(source) => Some(source.label(&member.labels).map(str::to_owned)),
                Key::Bucket => None,
            };
            found.entry(keys.iter().filter_map(label).collect()).or_default().push(place);
        }
        if keys.is_empty() && found.is_empty() {
            found.insert(Vec::new(), Vec::new());
        }
        found.into_iter().map(|(keys, members)| Group { keys, members }).collect()
    }
}

/// The metrics that share all keys: their places among the members.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) keys: Vec<Option<String>>,
    pub(super) members: Vec<usize>,
}
