//! Rows of wide tables: the records of a device's metrics joined by time.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use chronolith_engine::{ReadReport, Windows};
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;

use super::super::catalog::read_error;
use super::super::columns::{
    Source, array_bytes, repeated, repeated_number, time_array, value_array,
};
use super::super::scan::Counters;
use super::super::watch::Watch;
use super::{RowSet, WideInput};

/// The rows of some devices.
pub(super) struct Rows {
    input: Arc<WideInput>,
    sets: Range<usize>,
    current: Option<OpenSet>,
    schema: SchemaRef,
    counters: Counters,
    memory: MemoryReservation,
    watch: Arc<Watch>,
    batch_rows: usize,
    failed: bool,
}

/// A device on its way.
struct OpenSet {
    set: Arc<RowSet>,
    members: Vec<Member>,
}

/// Where a device's metric stands.
struct Member {
    name: usize,
    windows: Windows,
    open: Option<Block>,
}

/// A decoded window of a metric.
struct Block {
    times: Vec<i64>,
    /// One array for each column of the projection that shows the metric.
    columns: Vec<(usize, ArrayRef)>,
    given: usize,
    bytes: usize,
}

/// Rows on their way into a batch: which record of which block each metric gives to each row.
struct Picked {
    times: Vec<i64>,
    /// For each member, its blocks' columns and the place of each row; 0 is null.
    members: Vec<Vec<(usize, usize)>>,
    blocks: Vec<Vec<Vec<(usize, ArrayRef)>>>,
}

impl Rows {
    pub(super) fn new(
        input: Arc<WideInput>,
        sets: Range<usize>,
        schema: SchemaRef,
        counters: Counters,
        memory: MemoryReservation,
        watch: Arc<Watch>,
        batch_rows: usize,
    ) -> Self {
        let (current, failed) = (None, false);
        Self { input, sets, current, schema, counters, memory, watch, batch_rows, failed }
    }

    fn open_next_set(&mut self) -> Result<bool> {
        let conditions = &self.input.conditions;
        let Some(set) = self.sets.next().and_then(|index| self.input.sets.get(index)) else {
            return Ok(false);
        };
        let mut members = Vec::new();
        if conditions.from_ns <= conditions.to_ns {
            for (name, series) in &set.members {
                let range = conditions.from_ns..=conditions.to_ns;
                let windows = self.input.lookup.snapshot.windows(series.id, range);
                let windows = windows.map_err(read_error)?;
                members.push(Member { name: *name, windows, open: None });
            }
        }
        self.current = Some(OpenSet { set: Arc::clone(set), members });
        Ok(true)
    }

    /// Gives every member a block with records left, and takes away those without any.
    fn fill(&mut self) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        for member in &mut current.members {
            while member.open.is_none()
                && let Some(window) = member.windows.next()
            {
                self.watch.check()?;
                let block = read(&self.input, &self.counters, member.name, &window)?;
                if !block.times.is_empty() {
                    self.memory.try_grow(block.bytes)?;
                    member.open = Some(block);
                }
            }
        }
        current.members.retain(|member| member.open.is_some());
        Ok(())
    }

    /// The next rows of the current device; `None` where it has no more.
    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        self.fill()?;
        let count = self.current.as_ref().map_or(0, |current| current.members.len());
        let nothing = || (0..count).map(|_| Vec::new()).collect::<Vec<_>>();
        let mut picked = Picked { times: Vec::new(), members: nothing(), blocks: Vec::new() };
        picked.blocks = (0..count).map(|_| Vec::new()).collect();
        let Some(current) = &mut self.current else { return Ok(None) };
        if current.members.is_empty() {
            return Ok(None);
        }
        for (blocks, member) in picked.blocks.iter_mut().zip(&current.members) {
            blocks.extend(member.open.as_ref().map(|open| open.columns.clone()));
        }
        // Up to the end of the first block that ends: then it must be filled again.
        let mut is_spent = false;
        while !is_spent && picked.times.len() < self.batch_rows {
            let next = current.members.iter().filter_map(Member::next_time).min();
            let Some(time_ns) = next else { break };
            picked.times.push(time_ns);
            for (places, member) in picked.members.iter_mut().zip(&mut current.members) {
                let Some(open) = &mut member.open else { continue };
                let has = open.times.get(open.given) == Some(&time_ns);
                places.push(if has { (1, open.given) } else { (0, 0) });
                open.given += usize::from(has);
                is_spent |= open.given == open.times.len();
            }
        }
        for member in &mut current.members {
            if member.open.as_ref().is_some_and(|open| open.given == open.times.len())
                && let Some(open) = member.open.take()
            {
                self.memory.shrink(open.bytes);
            }
        }
        let set = Arc::clone(&current.set);
        let names: Vec<usize> = current.members.iter().map(|member| member.name).collect();
        self.batch(&set, &names, picked).map(Some)
    }

    fn batch(&self, set: &RowSet, names: &[usize], picked: Picked) -> Result<RecordBatch> {
        let rows = picked.times.len();
        let columns = &self.input.columns;
        let mut arrays = Vec::new();
        for at in &self.input.projection {
            let field = columns.layout.schema.field(*at);
            let member =
                columns.names[*at].and_then(|number| names.iter().position(|name| *name == number));
            let array = match (&columns.layout.sources[*at], member) {
                (Source::Time, _) => time_array(picked.times.clone()),
                (Source::Value(_), None) => new_null_array(field.data_type(), rows),
                (Source::Value(_), Some(member)) => {
                    let null = new_null_array(field.data_type(), 1);
                    let blocks = picked.blocks[member].iter().flatten();
                    let mine = blocks.filter(|(column, _)| column == at).map(|(_, array)| array);
                    let sources: Vec<&dyn arrow::array::Array> =
                        std::iter::once(&null).chain(mine).map(|array| &**array).collect();
                    interleave(&sources, &picked.members[member])?
                }
                (Source::Metric, _) => repeated_number(set.number(), rows),
                (label, _) => repeated(label.label(&set.labels.definition), rows)?,
            };
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?)
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.next_rows()? {
                return Ok(Some(batch));
            }
            if !self.open_next_set()? {
                return Ok(None);
            }
        }
    }
}

impl Member {
    fn next_time(&self) -> Option<i64> {
        let open = self.open.as_ref()?;
        open.times.get(open.given).copied()
    }
}

/// Decodes a window: the times, and the values where a column shows them.
fn read(
    input: &WideInput,
    counters: &Counters,
    name: usize,
    window: &chronolith_engine::WindowRecords,
) -> Result<Block> {
    let mut report = ReadReport::default();
    let shown =
        input.projection.iter().copied().filter(|at| input.columns.names[*at] == Some(name));
    let shown: Vec<usize> = shown.collect();
    let mut columns = Vec::new();
    let times = if shown.is_empty() {
        window.times(&mut report).map_err(read_error)?
    } else {
        let (times, values) = window.decode(&mut report).map_err(read_error)?.into_columns();
        for at in shown {
            if let Source::Value(shape) = &input.columns.layout.sources[at] {
                columns.push((at, value_array(*shape, &values)?));
            }
        }
        times
    };
    counters.add(report);
    let arrays: Vec<ArrayRef> = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    let bytes = array_bytes(&arrays) + times.len() * size_of::<i64>();
    Ok(Block { times, columns, given: 0, bytes })
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.advance();
        self.failed = next.is_err();
        next.transpose()
    }
}
