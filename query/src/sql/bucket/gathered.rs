//! What the metrics of a group have in some buckets.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::ArrayRef;
use chronolith_engine::{Aggregated, Bucket, combine};
use datafusion::common::Result;

use super::call::{Ask, Call};
use super::cut::Cut;
use super::walk::Walked;
use crate::ways::Shares;

/// What the metrics of a slot have in buckets: of the engine and of walks, each for all buckets that
/// hold records of them.
#[derive(Default)]
struct OfSlot {
    buckets: Vec<Bucket>,
    walked: BTreeMap<i64, Vec<Shares>>,
}

/// What all slots have, and which buckets there are.
pub(super) struct Gathered {
    slots: Vec<OfSlot>,
    /// How many rows of a class each bucket has, where that is asked for.
    rows: BTreeMap<i64, i64>,
    /// The beginnings of the buckets that hold records of any metric.
    starts: BTreeSet<i64>,
}

impl Gathered {
    pub(super) fn new(slots: usize) -> Self {
        let slots = (0..slots).map(|_| OfSlot::default()).collect();
        Self { slots, rows: BTreeMap::new(), starts: BTreeSet::new() }
    }

    /// Adds the buckets of a metric that a slot looks at.
    pub(super) fn add_buckets(&mut self, slot: usize, buckets: &[Bucket]) {
        let Some(slot) = self.slots.get_mut(slot) else { return };
        self.starts.extend(buckets.iter().map(|bucket| bucket.start_ns));
        slot.buckets = match slot.buckets.is_empty() {
            true => buckets.to_vec(),
            false => combine(&[std::mem::take(&mut slot.buckets), buckets.to_vec()]),
        };
    }

    /// Adds the ways of a metric that a slot looks at.
    pub(super) fn add_walked(&mut self, slot: usize, walked: Walked) {
        let Some(slot) = self.slots.get_mut(slot) else { return };
        for (start_ns, ways) in walked {
            self.starts.insert(start_ns);
            let all = slot.walked.entry(start_ns);
            let all = all.or_insert_with(|| vec![Shares::default(); ways.len()]);
            all.iter_mut().zip(ways).for_each(|(all, share)| all.extend(share));
        }
    }

    /// Adds rows of a class.
    pub(super) fn add_rows(&mut self, start_ns: i64, rows: i64) {
        self.starts.insert(start_ns);
        *self.rows.entry(start_ns).or_default() += rows;
    }

    /// Adds a bucket that holds a record which no call looks at.
    pub(super) fn add_start(&mut self, start_ns: i64) {
        self.starts.insert(start_ns);
    }

    /// Whether all buckets between two times are there already.
    pub(super) fn covers(&self, cut: &Cut, from_ns: i64, to_ns: i64) -> bool {
        let mut at_ns = from_ns;
        loop {
            let (start_ns, last_ns) = cut.bucket(at_ns);
            if !self.starts.contains(&start_ns) {
                return false;
            }
            if last_ns >= to_ns {
                return true;
            }
            at_ns = last_ns + 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn starts(&self) -> impl Iterator<Item = i64> {
        self.starts.iter().copied()
    }

    /// About how much it holds: bytes.
    pub(super) fn bytes(&self) -> usize {
        let of_slot = |slot: &OfSlot| {
            let ways = slot.walked.first_key_value().map_or(0, |(_, ways)| ways.len());
            let walked = slot.walked.len() * (64 + ways * size_of::<Shares>());
            slot.buckets.len() * size_of::<Bucket>() + walked
        };
        self.slots.iter().map(of_slot).sum::<usize>() + (self.starts.len() + self.rows.len()) * 32
    }

    /// A call's values, one for each bucket.
    pub(super) fn column(&self, call: &Call) -> Result<ArrayRef> {
        let starts = self.starts.iter().collect::<Vec<_>>();
        let nothing = OfSlot::default();
        let slot = self.slots.get(call.slot).unwrap_or(&nothing);
        match call.ask {
            Ask::Rows => call.column(starts.into_iter().map(|start_ns| {
                let rows = self.rows.get(start_ns).copied().unwrap_or(0);
                Some(Aggregated::Integer(rows.into()))
            })),
            Ask::Function(function) => {
                let mut buckets = slot.buckets.iter().peekable();
                call.column(starts.into_iter().map(|start_ns| {
                    let bucket = buckets.next_if(|bucket| bucket.start_ns == *start_ns);
                    bucket.map_or_else(|| call.of_none(), |bucket| bucket.get(function))
                }))
            }
            Ask::Way(..) => {
                let mut walked = slot.walked.iter().peekable();
                call.column(starts.into_iter().map(|start_ns| {
                    let (_, ways) = walked.next_if(|(walked_ns, _)| *walked_ns == start_ns)?;
                    ways.get(call.at)?.value().map(Aggregated::Float)
                }))
            }
        }
    }
}
