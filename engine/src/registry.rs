//! The metrics of a database: definitions, their numbers, and the labels they are found by.
//!
//! Metrics are numbered densely in the order of their creation. A definition may be amended
//! (unit, level, place, metadata); every version stays known, because sealed headers were made
//! from the version of their day and must be rebuilt byte for byte.

pub(crate) mod codec;
mod labels;
pub(crate) mod log;
mod selector;

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet, HashTable};
use roaring::RoaringBitmap;

use crate::error::{ReadError, WriteError};
use crate::model::{Definition, Kind, Limits, Metric, MetricId, Tags};
use crate::wal::Sequence;

use labels::LabelIndex;
pub(crate) use labels::whole_pattern;
pub use selector::{Match, Selector};

/// One version of one metric's definition, as logs record it.
#[derive(Debug, Clone)]
pub(crate) struct Defined {
    pub(crate) metric: u32,
    pub(crate) definition: Arc<Definition>,
}

/// What is fixed of a metric and asked for with every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetricShape {
    pub(crate) kind: Kind,
    pub(crate) window_ns: i64,
}

/// All metrics of a database.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// The newest version of each metric's definition.
    newest: Vec<Arc<Definition>>,
    /// The versions before it of those few that have any, oldest first.
    older: HashMap<u32, Vec<Arc<Definition>>>,
    shared: Shared,
    /// The kind of each metric, side by side for the check of every record.
    kinds: Vec<Kind>,
    /// The length of each metric's windows in nanoseconds, in the same way.
    windows_ns: Vec<i64>,
    /// Those whose records are changed as they are written.
    with_policies: RoaringBitmap,
    by_metric: HashTable<u32>,
    labels: LabelIndex,
    /// What has been defined since the definitions' file was last written, by the sequence of the
    /// frame that says it.
    unsaved: Vec<(Sequence, Defined)>,
}

/// Names and tags that many metrics have, kept once.
#[derive(Debug, Default)]
struct Shared {
    names: HashSet<Arc<str>, FixedState>,
    tags: HashSet<Arc<Tags>, FixedState>,
}

impl Shared {
    fn share(&mut self, definition: &mut Arc<Definition>) {
        // One that others hold already is as good as shared.
        let Some(definition) = Arc::get_mut(definition) else { return };
        let (device, name, tags) = definition.metric.parts_mut();
        for text in [device, name] {
            *text = Arc::clone(self.names.get_or_insert_with(text, Arc::clone));
        }
        *tags = Arc::clone(self.tags.get_or_insert_with(tags, Arc::clone));
    }
}

fn hash(metric: &Metric) -> u64 {
    FixedState::default().hash_one(metric)
}

impl Registry {
    pub(crate) fn len(&self) -> usize {
        self.newest.len()
    }

    /// The newest definition of a metric.
    pub(crate) fn get(&self, metric: u32) -> Option<&Arc<Definition>> {
        self.newest.get(metric as usize)
    }

    /// One version of a metric's definition.
    pub(crate) fn version(&self, metric: u32, version: u32) -> Option<&Arc<Definition>> {
        let older = self.older.get(&metric).map_or(&[][..], Vec::as_slice);
        match older.get(version as usize) {
            Some(definition) => Some(definition),
            None if version as usize == older.len() => self.get(metric),
            None => None,
        }
    }

    /// The number of the newest version of a metric's definition.
    pub(crate) fn newest_version(&self, metric: u32) -> u32 {
        self.older.get(&metric).map_or(0, Vec::len) as u32
    }

    /// The numbers of the metrics whose definitions were amended.
    pub(crate) fn amended(&self) -> impl Iterator<Item = u32> {
        self.older.keys().copied()
    }

    pub(crate) fn find(&self, metric: &Metric) -> Option<MetricId> {
        let number = *self.by_metric.find(hash(metric), |number| {
            self.get(*number).is_some_and(|definition| definition.metric == *metric)
        })?;
        self.id(number)
    }

    /// The handle of a metric's number.
    pub(crate) fn id(&self, metric: u32) -> Option<MetricId> {
        Some(MetricId::new(metric, *self.kinds.get(metric as usize)?))
    }

    /// The kinds of all metrics, by number.
    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The metrics whose records are changed as they are written.
    pub(crate) const fn with_policies(&self) -> &RoaringBitmap {
        &self.with_policies
    }

    /// What is fixed of a metric.
    pub(crate) fn shape(&self, metric: u32) -> Option<MetricShape> {
        let kind = *self.kinds.get(metric as usize)?;
        let window_ns = *self.windows_ns.get(metric as usize)?;
        Some(MetricShape { kind, window_ns })
    }

    /// Checks a definition against the limits and against what exists. `Ok(None)`: the metric
    /// exists and nothing changes.
    pub(crate) fn check(
        &self,
        definition: &Definition,
        limits: &Limits,
    ) -> Result<Option<u32>, WriteError> {
        definition.check(limits)?;
        let (size, limit) = (codec::defined_bytes(definition), log::DEFINITION_BYTES_MAX);
        if size > limit {
            let metric = &definition.metric;
            let what = format!("metric {metric}: a definition of {size} bytes, more than {limit}");
            return Err(WriteError::Refused(what));
        }
        let Some(id) = self.find(&definition.metric) else {
            if self.newest.len() >= limits.metrics {
                return Err(WriteError::TooManyMetrics(limits.metrics));
            }
            return Ok(Some(self.newest.len() as u32));
        };
        let Some(existing) = self.get(id.index()) else { return Ok(None) };
        if existing.kind != definition.kind {
            return Err(WriteError::Redefined {
                metric: definition.metric.to_string(),
                expected: existing.kind,
                found: definition.kind,
            });
        }
        let refuse = |what: String| {
            Err(WriteError::Refused(format!("metric {}: {what}", definition.metric)))
        };
        if existing.window_ns != definition.window_ns {
            return refuse(format!(
                "windows are {} ns long and cannot become {} ns",
                existing.window_ns, definition.window_ns
            ));
        }
        if existing.policies != definition.policies {
            return refuse(format!(
                "what is done to its records is {:?} and cannot become {:?}: records that are there were \
                 written by the one",
                existing.policies.to_string(),
                definition.policies.to_string()
            ));
        }
        if definition.level > existing.level {
            return refuse(format!(
                "privacy level {} cannot be lowered to {}",
                existing.level.number(),
                definition.level.number()
            ));
        }
        Ok((**existing != *definition).then_some(id.index()))
    }

    /// Records a definition that was checked, or that the log confirmed in frame `sequence`.
    pub(crate) fn define(&mut self, mut defined: Defined, sequence: Sequence) {
        let number = defined.metric as usize;
        self.shared.share(&mut defined.definition);
        if number == self.newest.len() {
            let metric = &defined.definition.metric;
            self.labels.insert(defined.metric, metric);
            self.newest.push(Arc::clone(&defined.definition));
            self.kinds.push(defined.definition.kind);
            self.windows_ns.push(defined.definition.window_ns);
            if !defined.definition.policies.as_slice().is_empty() {
                self.with_policies.insert(defined.metric);
            }
            let newest = &self.newest;
            self.by_metric.insert_unique(hash(metric), defined.metric, |number| {
                newest.get(*number as usize).map_or(0, |definition| hash(&definition.metric))
            });
        } else if let Some(newest) = self.newest.get_mut(number) {
            if *newest == defined.definition {
                return;
            }
            let before = std::mem::replace(newest, Arc::clone(&defined.definition));
            self.older.entry(defined.metric).or_default().push(before);
        } else {
            return;
        }
        self.unsaved.push((sequence, defined));
    }

    /// What was defined up to a sequence and since the last [`Registry::saved`], oldest first.
    /// Later definitions stay in the log: replayed on top of a file that has them already, they
    /// would be versions of their own.
    pub(crate) fn unsaved_until(&self, last: Sequence) -> Vec<Defined> {
        let before = self.unsaved.iter().take_while(|(sequence, _)| *sequence <= last);
        before.map(|(_, defined)| defined.clone()).collect()
    }

    /// The first `count` unsaved definitions are in the definitions' file now.
    pub(crate) fn saved(&mut self, count: usize) {
        self.unsaved.drain(..count.min(self.unsaved.len()));
        self.unsaved.shrink_to(64);
    }

    /// How many versions all definitions have together; every change makes it more.
    pub(crate) fn versions(&self) -> u64 {
        (self.newest.len() + self.older.values().map(Vec::len).sum::<usize>()) as u64
    }

    /// The numbers of the metrics that a selector chooses, rising.
    pub(crate) fn select(&self, selector: &Selector) -> Result<RoaringBitmap, ReadError> {
        self.labels.select(selector, self.newest.len() as u32)
    }

    /// All values of a label with the number of metrics that carry each.
    pub(crate) fn label_values(&self, label: &str) -> Vec<(String, u64)> {
        self.labels.values(label)
    }

    /// The keys of all tags.
    pub(crate) fn tag_keys(&self) -> Vec<String> {
        self.labels.tag_keys()
    }
}
