//! The catalogue of a local database as a source.
//!
//! Only what public headers show goes into the index: of metrics whose level hides them there is
//! no subject, and of their chunks the window, the level and the kind.

use std::cell::RefCell;
use std::collections::HashMap;

use chronolith_engine::chunk::ChunkKey;
use chronolith_engine::{Db, Definition, ReadError, SealedChunk, SegmentInfo};

use super::document::{Axis, Chunk, ChunkId, Source, Subject, Update};
use super::error::SearchError;
use super::position::{Position, SegmentMark};

/// The sealed chunks and the metrics of a database.
pub struct CatalogueSource<'a> {
    db: &'a Db,
    damaged: RefCell<Vec<(String, ReadError)>>,
}

impl<'a> CatalogueSource<'a> {
    /// The catalogue of an open database, also of one that is open for reading only.
    #[must_use]
    pub const fn new(db: &'a Db) -> Self {
        Self { db, damaged: RefCell::new(Vec::new()) }
    }

    /// The files that could not be read whole when the source was last followed, and why: what
    /// they hold behind the damage is not found.
    pub fn take_damaged(&self) -> Vec<(String, ReadError)> {
        self.damaged.take()
    }

    /// The metric's newest definition, as far as search may tell of it.
    fn now(&self, metric: u32) -> Now {
        let id = self.db.metric_by_number(metric);
        let Some(definition) = id.and_then(|id| self.db.definition(id)) else {
            return Now { metric, is_hidden: true, axis: None };
        };
        let axis = axis(definition.metric.name());
        Now { metric, is_hidden: definition.level.hides_metric(), axis }
    }
}

/// What counts of a metric's newest definition for its chunks.
#[derive(Clone, Copy)]
struct Now {
    metric: u32,
    is_hidden: bool,
    axis: Option<Axis>,
}

/// Which coordinate a metric is, by the last part of its name.
fn axis(name: &str) -> Option<Axis> {
    let last = name.rsplit(['.', '_', '/', ' ', ':']).next().unwrap_or(name);
    match last.to_ascii_lowercase().as_str() {
        "latitude" | "lat" => Some(Axis::Latitude),
        "longitude" | "lon" | "lng" | "long" => Some(Axis::Longitude),
        _ => None,
    }
}

/// A metric as search shows it.
fn subject(number: u32, definition: &Definition) -> Subject {
    let metric = &definition.metric;
    let degrees = |centidegrees: i32| f64::from(centidegrees) / 100.0;
    Subject {
        number,
        device: metric.device().to_owned(),
        metric: metric.name().to_owned(),
        tags: metric.tags().iter().cloned().collect(),
        metadata: definition.metadata.clone(),
        unit: definition.unit.clone(),
        kind: definition.kind,
        level: definition.level,
        place: definition.place.map(|place| {
            (degrees(place.latitude_centidegrees), degrees(place.longitude_centidegrees))
        }),
        axis: axis(metric.name()),
        producer: String::new(),
    }
}

/// A chunk as its public header shows it; `None` where its body was dropped.
fn chunk(sealed: &SealedChunk<'_>, now: Now) -> Option<Chunk> {
    let body = sealed.body?;
    let definition = sealed.definition;
    let ChunkKey { metric, window, generation, part } = sealed.key;
    let shown = Chunk {
        id: ChunkId { metric, window, generation, part },
        subject: Some(metric),
        kind: definition.kind,
        level: definition.level,
        first_ns: body.first_ns,
        last_ns: body.last_ns,
        records: body.count,
        size_bytes: body.size_bytes,
        cid: sealed.cid,
        bounds: now.axis.and_then(|axis| Some((axis, body.float_bounds(definition.kind)?))),
    };
    if !definition.level.hides_metric() && !now.is_hidden {
        return Some(shown);
    }
    let start_ns = window.saturating_mul(definition.window_ns);
    let last_ns = start_ns.saturating_add(definition.window_ns - 1);
    Some(Chunk {
        subject: None,
        // A metric that was hidden later is counted among the hidden.
        level: if definition.level.hides_metric() { definition.level } else { HIDDEN_LATER },
        first_ns: start_ns,
        last_ns,
        records: 0,
        bounds: None,
        ..shown
    })
}

/// The level that chunks count as whose headers are open and whose metric was hidden since.
const HIDDEN_LATER: chronolith_engine::Level = chronolith_engine::Level::Personal;

impl Source for CatalogueSource<'_> {
    fn changes(
        &self,
        since: Option<&Position>,
        update: &mut dyn Update,
    ) -> Result<Option<Position>, SearchError> {
        let source = self.db.database_id();
        if since.is_some_and(|since| since.source != source) {
            return Ok(None);
        }
        let known = |segment: &SegmentInfo| {
            let mark = since?.segments.get(&segment.file)?;
            (mark.size_bytes == segment.size_bytes).then_some(*mark)
        };
        let after = since.map_or(0, |since| since.batch);
        let mut position = Position { source, batch: after, ..Position::default() };
        let mut counts = HashMap::<String, u64>::new();
        let (mut gone, mut added, mut now) = (Vec::new(), Ok(()), None::<Now>);
        let segments =
            self.db.for_each_sealed(&|segment| known(segment).is_none(), &mut |sealed| {
                let ChunkKey { metric, window, generation, part } = sealed.key;
                let now = *match &mut now {
                    Some(now) if now.metric == metric => now,
                    now => now.insert(self.now(metric)),
                };
                let Some(chunk) = chunk(&sealed, now) else {
                    gone.push(ChunkId { metric, window, generation, part });
                    return;
                };
                match counts.get_mut(&sealed.segment.file) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(sealed.segment.file.clone(), 1)),
                }
                // What a compaction copied from one file to another is known.
                if sealed.batch > after && added.is_ok() {
                    added = update.chunk(&chunk);
                }
                position.batch = position.batch.max(sealed.batch);
            });
        added?;
        if since.is_some() {
            update.gone(gone)?;
        }
        for segment in &segments.all {
            let read = || counts.get(&segment.file).copied().unwrap_or(0);
            let chunks = known(segment).map_or_else(read, |mark| mark.chunks);
            // A damaged one is looked at again each time.
            let is_damaged = segments.damaged.iter().any(|(file, _)| *file == segment.file);
            let size_bytes = if is_damaged { 0 } else { segment.size_bytes };
            let mark = SegmentMark { size_bytes, chunks };
            position.segments.insert(segment.file.clone(), mark);
        }
        self.damaged.replace(segments.damaged);
        // After the chunks, so that every metric of theirs is among them. What is defined from here
        // on is seen again the next time.
        position.descriptions = self.db.definition_versions();
        if since.is_some_and(|since| since.descriptions == position.descriptions) {
            return Ok(Some(position));
        }
        for number in 0..u32::try_from(self.db.metric_count()).unwrap_or(u32::MAX) {
            let id = self.db.metric_by_number(number);
            let Some(definition) = id.and_then(|id| self.db.definition(id)) else { continue };
            if !definition.level.hides_metric() {
                update.subject(&subject(number, &definition))?;
            } else if update.knows_subject(number)? {
                // It was hidden since: its chunks lose their subject, too.
                return Ok(None);
            }
        }
        Ok(Some(position))
    }
}
