//! Pieces of windows: what a window holds may be far more than memory takes.
//!
//! Layers that do not overlap in time are pieces of their own, for which nothing is decoded. What
//! overlaps is read in slices of time: a first pass over the layers, one after the other, finds
//! where to cut, and each slice takes from every layer what is in it.

use crate::block::Block;
use crate::chunk::codec::decoded_bytes_max;
use crate::error::ReadError;
use crate::manifest::Tombstone;
use crate::model::{Kind, Window};
use crate::view::View;

use super::{Layer, MetricRef, Source, WindowLayers, find, merge};

/// About how much memory the records of a piece or slice may take: bytes. A section of a run, a
/// chunk and a memtable's window are decoded whole besides.
pub(crate) const PIECE_BYTES: usize = 16 << 20;
/// Where to cut is found to this part of a slice.
const MARKS: usize = 8;

/// Finds all layers of a metric's windows from `first` to `last`, by time; a window of very many
/// bytes comes in pieces.
pub(crate) fn find_pieces(
    view: &View,
    metric: MetricRef,
    first: Window,
    last: Window,
) -> Result<Vec<WindowLayers>, ReadError> {
    let windows = find(view, metric, first, last)?;
    if windows.iter().all(|window| window.is_small(metric.kind)) {
        return Ok(windows);
    }
    let mut pieces = Vec::with_capacity(windows.len());
    windows.into_iter().for_each(|window| window.split_into(metric.kind, &mut pieces));
    Ok(pieces)
}

/// Decodes everything unsealed of a window, one after the other, and keeps nothing: whether it is
/// whole.
pub(crate) fn check_unsealed(
    view: &View,
    metric: MetricRef,
    window: Window,
) -> Result<(), ReadError> {
    for window in find(view, metric, window, window)? {
        for layer in &window.unsealed().layers {
            layer.decode(metric, &[])?;
        }
    }
    Ok(())
}

impl Layer {
    /// The most memory that the records take decoded: bytes.
    fn decoded_bytes_max(&self, kind: Kind) -> usize {
        match &self.source {
            Source::Chunk(_, entry, body) => {
                decoded_bytes_max(entry.kind, body.count as usize, body.size as usize)
            }
            Source::Section(_, section) => section.decoded_bytes_max(kind),
            Source::Open(copy) => copy.decoded_bytes_max(),
            Source::Decoded(block) => block.size_bytes(),
        }
    }
}

impl WindowLayers {
    fn decoded_bytes_max(&self, kind: Kind) -> usize {
        self.layers.iter().map(|layer| layer.decoded_bytes_max(kind)).sum()
    }

    fn is_small(&self, kind: Kind) -> bool {
        self.layers.len() < 2 || self.decoded_bytes_max(kind) <= PIECE_BYTES
    }

    /// Cuts the window between layers that do not overlap, into pieces that are as long as memory
    /// takes, or as short as the overlaps let them be.
    fn split_into(self, kind: Kind, pieces: &mut Vec<Self>) {
        let spans: Option<Vec<(i64, i64)>> = self.layers.iter().map(Layer::span).collect();
        let Some(spans) = spans.filter(|_| !self.is_small(kind)) else {
            pieces.push(self);
            return;
        };
        let mut order: Vec<usize> = (0..spans.len()).collect();
        order.sort_by_key(|index| spans[*index].0);
        // Which piece each layer belongs to.
        let mut piece_of = vec![0; spans.len()];
        let (mut count, mut end_ns, mut bytes) = (0, i64::MIN, 0_usize);
        let mut cluster_bytes = 0_usize;
        let mut cluster: Vec<usize> = Vec::new();
        let mut place = |cluster: &mut Vec<usize>, cluster_bytes: usize| {
            if count == 0 || bytes.saturating_add(cluster_bytes) > PIECE_BYTES {
                (count, bytes) = (count + 1, 0);
            }
            bytes += cluster_bytes;
            cluster.drain(..).for_each(|index| piece_of[index] = count - 1);
        };
        for index in order {
            if !cluster.is_empty() && spans[index].0 > end_ns {
                place(&mut cluster, std::mem::take(&mut cluster_bytes));
            }
            end_ns = end_ns.max(spans[index].1);
            cluster_bytes += self.layers[index].decoded_bytes_max(kind);
            cluster.push(index);
        }
        place(&mut cluster, cluster_bytes);
        let (window, generation, first) = (self.window, self.generation, pieces.len());
        let empty = || Self { window, layers: Vec::new(), generation };
        pieces.extend((0..count).map(|_| empty()));
        for (layer, piece) in self.layers.into_iter().zip(piece_of) {
            pieces[first + piece].layers.push(layer);
        }
    }

    /// The first and last time of all layers, where there are any.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        let mut spans = self.layers.iter().map(Layer::span);
        spans.try_fold(None, |all: Option<(i64, i64)>, span| {
            let (first_ns, last_ns) = span?;
            Some(Some(all.map_or((first_ns, last_ns), |(from_ns, to_ns)| {
                (from_ns.min(first_ns), to_ns.max(last_ns))
            })))
        })?
    }

    /// Whether all records are known to be before or after a range of time.
    pub(crate) fn is_outside(&self, from_ns: i64, to_ns: i64) -> bool {
        self.layers.iter().all(|layer| {
            layer.span().is_some_and(|(first_ns, last_ns)| last_ns < from_ns || first_ns > to_ns)
        })
    }

    /// Without the layers that are chunks.
    pub(crate) fn unsealed(mut self) -> Self {
        self.layers.retain(|layer| !matches!(layer.source, Source::Chunk(..)));
        self
    }

    /// The records by slices of time.
    pub(crate) fn slices(mut self, metric: MetricRef) -> Result<Slices, ReadError> {
        let mut ranges = vec![(i64::MIN, i64::MAX)];
        if !self.is_small(metric.kind) {
            // Decoded once, since what it takes is bounded by the memtable.
            for layer in &mut self.layers {
                if let Source::Open(copy) = &layer.source {
                    layer.source = Source::Decoded(copy.decode());
                }
            }
            ranges = cut(&self.layers, metric)?;
        }
        Ok(Slices { layers: self.layers, metric, ranges: ranges.into_iter() })
    }
}

/// The ranges of time in which layers have about as many records as memory takes.
fn cut(layers: &[Layer], metric: MetricRef) -> Result<Vec<(i64, i64)>, ReadError> {
    let step = (PIECE_BYTES / MARKS / layers.len()).max(1);
    // After how many bytes of a layer comes which time.
    let mut marks: Vec<(i64, usize)> = Vec::new();
    for layer in layers {
        let block = match layer.decode(metric, &[]) {
            // Where its keys were destroyed, all of it is deleted, too.
            Err(ReadError::Key(error)) if error.is_not_held() => continue,
            block => block?,
        };
        let mut bytes = 0;
        for (index, time_ns) in block.times().iter().enumerate() {
            bytes += block.value_bytes(index) + size_of::<i64>();
            if bytes >= step || index + 1 == block.len() {
                marks.push((*time_ns, std::mem::take(&mut bytes)));
            }
        }
    }
    marks.sort_unstable();
    let (mut ranges, mut from_ns, mut bytes) = (Vec::new(), i64::MIN, 0);
    for (time_ns, more) in marks {
        bytes += more;
        if bytes >= PIECE_BYTES && time_ns >= from_ns && time_ns < i64::MAX {
            ranges.push((from_ns, time_ns));
            (from_ns, bytes) = (time_ns + 1, 0);
        }
    }
    ranges.push((from_ns, i64::MAX));
    Ok(ranges)
}

/// The records of a window or piece, slice by slice; from the back the latest come first.
pub(crate) struct Slices {
    layers: Vec<Layer>,
    metric: MetricRef,
    ranges: std::vec::IntoIter<(i64, i64)>,
}

impl Slices {
    /// The next slice that has records.
    pub(crate) fn next(&mut self, tombstones: &[Tombstone]) -> Option<Result<Block, ReadError>> {
        loop {
            let range = self.ranges.next()?;
            if let Some(records) = self.records(range, tombstones) {
                return Some(records);
            }
        }
    }

    /// The last slice that has records, of those that were not handed out yet.
    pub(crate) fn next_back(
        &mut self,
        tombstones: &[Tombstone],
    ) -> Option<Result<Block, ReadError>> {
        loop {
            let range = self.ranges.next_back()?;
            if let Some(records) = self.records(range, tombstones) {
                return Some(records);
            }
        }
    }

    fn records(
        &self,
        (from_ns, to_ns): (i64, i64),
        tombstones: &[Tombstone],
    ) -> Option<Result<Block, ReadError>> {
        let in_range = |layer: &&Layer| {
            layer.span().is_none_or(|(first, last)| first <= to_ns && last >= from_ns)
        };
        let layers = self.layers.iter().filter(in_range);
        match merge(layers, self.metric, tombstones, (from_ns, to_ns)) {
            Ok(block) if block.is_empty() => None,
            records => Some(records),
        }
    }
}
