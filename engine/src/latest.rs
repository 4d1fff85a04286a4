//! The latest record of a metric: from statistics and open chunks where nothing else is needed.

use crate::batch::bits_value;
use crate::error::ReadError;
use crate::layers::{self, Layer, MetricRef, Source, WindowLayers};
use crate::manifest::Tombstone;
use crate::model::{Value, Window};
use crate::view::View;

/// The record with the highest time from `from_ns` to `to_ns`, both included.
pub(crate) fn latest(
    view: &View,
    metric: MetricRef,
    from_ns: i64,
    to_ns: i64,
) -> Result<Option<(i64, Value)>, ReadError> {
    let tombstones = view.tombstones.of(metric.number);
    let (first, mut limit) = metric.windows(from_ns, to_ns);
    while let Some(window) = last_window(view, metric, limit)?.filter(|window| *window >= first) {
        for layers in layers::find_pieces(view, metric, window, window)?.into_iter().rev() {
            if layers.is_outside(from_ns, to_ns) {
                continue;
            }
            if let Some(record) = shortcut(&layers, metric, tombstones, to_ns) {
                // It is the last of all that are not too late: where it is too early, all are.
                return Ok(Some(record).filter(|(time_ns, _)| *time_ns >= from_ns));
            }
            let mut slices = layers.slices(metric)?;
            while let Some(mut block) = slices.next_back(tombstones).transpose()? {
                block.clip(from_ns, to_ns);
                let last = block.values().get(block.len().wrapping_sub(1));
                if let (Some(time_ns), Some(value)) = (block.last_time(), last) {
                    return Ok(Some((time_ns, value.to_value())));
                }
            }
        }
        let Some(before) = window.checked_sub(1) else { break };
        limit = before;
    }
    Ok(None)
}

/// The highest window at or below `limit` in which anything stands.
fn last_window(view: &View, metric: MetricRef, limit: Window) -> Result<Option<Window>, ReadError> {
    let mut highest: Option<Window> = None;
    for memtable in view.memtables() {
        let windows = memtable.windows(metric.number).into_iter().map(|(window, _)| window);
        highest = highest.max(windows.filter(|window| *window <= limit).max());
    }
    for live in &view.runs {
        let (low, high) = metric.windows(live.record.first_ns, live.record.last_ns);
        if low <= limit && highest.is_none_or(|highest| high > highest) {
            let sections = live.run.sections_of(metric.number, low, limit)?;
            highest = highest.max(sections.last().map(|section| section.window));
        }
    }
    for live in &view.segments {
        let record = &live.record;
        let (low, high) = metric.windows(record.first_ns, record.last_ns);
        if (record.first_metric..=record.last_metric).contains(&metric.number)
            && low <= limit
            && highest.is_none_or(|highest| high > highest)
        {
            let entry = live.segment.last_at_or_before(metric.number, limit)?;
            highest = highest.max(entry.map(|entry| entry.key.window));
        }
    }
    Ok(highest)
}

/// The answer where one source holds all of the window and knows its last record.
fn shortcut(
    layers: &WindowLayers,
    metric: MetricRef,
    tombstones: &[Tombstone],
    to_ns: i64,
) -> Option<(i64, Value)> {
    let (time_ns, value) = match (layers.single_chunk(tombstones), &layers.layers[..]) {
        (Some((_, entry, body)), _) => (body.last_ns, body.statistics?.last(entry.kind)?),
        (None, [Layer { source: Source::Open(copy), last_sequence }])
            if tombstones.iter().all(|tombstone| tombstone.sequence < *last_sequence) =>
        {
            let (time_ns, bits) = copy.latest_bits()?;
            (time_ns, bits_value(metric.kind, bits)?)
        }
        _ => return None,
    };
    (time_ns <= to_ns).then(|| (time_ns, value.to_value()))
}
