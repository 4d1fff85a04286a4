//! Open chunks: the records of one metric in one window while they still come.

use crate::batch::read_value;
use crate::block::Block;
use crate::chunk::codec::gorilla::Gorilla;
use crate::encoding::Reader;
use crate::model::{Column, Kind, ValueRef, VarColumn, Window, window_end, window_start};

/// Out-of-order records are merged in when there are at least this many of them.
const LATE_MERGE_LEN: usize = 256;

/// Growing records of one metric in one window, in any order.
pub(crate) struct OpenChunk {
    window: Window,
    /// First and last nanosecond of the window.
    start_ns: i64,
    end_ns: i64,
    kind: Kind,
    records: Records,
}

/// The records themselves. For values of fixed size `late` holds what came out of order or again;
/// it always wins over the Gorilla stream, since the stream takes only times later than its last.
#[derive(Clone)]
enum Records {
    Fixed { stream: Gorilla, late: Vec<(i64, u64)> },
    Varying { times: Vec<i64>, values: VarColumn },
}

/// A copy of an open chunk, to be decoded without its lock.
#[derive(Clone)]
pub(crate) struct OpenCopy {
    window: Window,
    kind: Kind,
    records: Records,
}

impl OpenChunk {
    pub(crate) fn new(kind: Kind, window: Window, window_ns: i64) -> Self {
        let start_ns = window_start(window, window_ns);
        let records = match kind {
            Kind::F64 | Kind::I64 | Kind::U64 | Kind::Bool => {
                Records::Fixed { stream: Gorilla::new(), late: Vec::new() }
            }
            Kind::Text | Kind::Bytes => {
                Records::Varying { times: Vec::new(), values: VarColumn::default() }
            }
        };
        let end_ns = window_end(window, window_ns);
        Self { window, start_ns, end_ns, kind, records }
    }

    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) const fn covers(&self, time_ns: i64) -> bool {
        self.start_ns <= time_ns && time_ns <= self.end_ns
    }

    /// How many records were pushed; duplicates count until they are merged.
    pub(crate) fn len(&self) -> usize {
        match &self.records {
            Records::Fixed { stream, late } => stream.len() + late.len(),
            Records::Varying { times, .. } => times.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory the records take: bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        match &self.records {
            Records::Fixed { stream, late } => stream.size_bytes() + late.len() * 16,
            Records::Varying { times, values } => {
                times.len() * 24 + values.data().len() + std::mem::size_of_val(values.blobs())
            }
        }
    }

    /// Adds records in their order. For kinds of varying size `bits` says where in `data` the value stands.
    pub(crate) fn push(&mut self, times: &[i64], bits: &[u64], data: &[u8]) {
        if let (Records::Fixed { stream, .. }, Some(first)) = (&mut self.records, times.first())
            && stream.last().is_none_or(|(last, _)| last < *first)
            && times.is_sorted_by(|one, next| one < next)
        {
            return stream.extend(times, bits);
        }
        times.iter().zip(bits).for_each(|(time_ns, bits)| self.push_one(*time_ns, *bits, data));
    }

    /// Adds a record.
    pub(crate) fn push_one(&mut self, time_ns: i64, bits: u64, data: &[u8]) {
        match &mut self.records {
            Records::Fixed { stream, late } => {
                if stream.last().is_none_or(|(last, _)| last < time_ns) {
                    stream.push(time_ns, bits);
                    return;
                }
                late.push((time_ns, bits));
                if late.len() >= LATE_MERGE_LEN && late.len() >= stream.len() / 4 {
                    let (times, bits) = merge_late(stream, late);
                    *stream = Gorilla::new();
                    times.iter().zip(&bits).for_each(|(time, bits)| stream.push(*time, *bits));
                    late.clear();
                }
            }
            Records::Varying { times, values } => {
                let at = usize::try_from(bits).unwrap_or(usize::MAX);
                let mut reader = Reader::new(data.get(at..).unwrap_or_default());
                let Ok(value) = read_value(&mut reader, self.kind) else { return };
                times.push(time_ns);
                push_varying(values, value);
            }
        }
    }

    /// The first and last time, where there are records.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        self.records.span()
    }

    pub(crate) fn copy(&self) -> OpenCopy {
        OpenCopy { window: self.window, kind: self.kind, records: self.records.clone() }
    }
}

impl Records {
    /// The first and last time, where there are records.
    fn span(&self) -> Option<(i64, i64)> {
        match self {
            Self::Fixed { stream, late } => {
                let late = late.iter().map(|(time, _)| *time);
                let ends =
                    stream.first_time().into_iter().chain(stream.last().map(|(time, _)| time));
                let times = ends.chain(late);
                Some((times.clone().min()?, times.max()?))
            }
            Self::Varying { times, .. } => Some((*times.iter().min()?, *times.iter().max()?)),
        }
    }
}

fn push_varying(values: &mut VarColumn, value: ValueRef<'_>) {
    match value {
        ValueRef::Blob(blob) => values.push_blob(blob),
        ValueRef::Text(text) => values.push(text.as_bytes()),
        ValueRef::Bytes(bytes) => values.push(bytes),
        _ => {}
    }
}

/// The records of the stream and of the late buffer by time; the late ones win, the later pushed
/// of two late ones wins.
fn merge_late(stream: &Gorilla, late: &[(i64, u64)]) -> (Vec<i64>, Vec<u64>) {
    let (mut times, mut bits) = (Vec::new(), Vec::new());
    stream.decode_into(&mut times, &mut bits);
    if late.is_empty() {
        return (times, bits);
    }
    let mut sorted = late.to_vec();
    sorted.sort_by_key(|(time, _)| *time);
    let mut merged = (Vec::with_capacity(times.len() + sorted.len()), Vec::new());
    let mut push = |time: i64, bits: u64| {
        if merged.0.last() == Some(&time) {
            merged.1.pop();
        } else {
            merged.0.push(time);
        }
        merged.1.push(bits);
    };
    let mut stream = times.into_iter().zip(bits).peekable();
    for (time, bits) in sorted {
        while let Some((earlier, bits)) = stream.next_if(|(other, _)| *other <= time) {
            push(earlier, bits);
        }
        push(time, bits);
    }
    stream.for_each(|(time, bits)| push(time, bits));
    merged
}

/// A column of fixed-size values from their bits.
pub(crate) fn column_from_bits(kind: Kind, bits: Vec<u64>) -> Column {
    match kind {
        Kind::F64 => Column::F64(bits.into_iter().map(f64::from_bits).collect()),
        Kind::I64 => Column::I64(bits.into_iter().map(|bits| bits as i64).collect()),
        Kind::U64 => Column::U64(bits),
        Kind::Bool => Column::Bool(bits.into_iter().map(|bits| bits != 0).collect()),
        Kind::Text | Kind::Bytes => Column::new(kind),
    }
}

impl OpenCopy {
    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    /// The first and last time, where there are records.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        self.records.span()
    }

    /// The most memory that the records take decoded: bytes.
    pub(crate) fn decoded_bytes_max(&self) -> usize {
        match &self.records {
            Records::Fixed { stream, late } => (stream.len() + late.len()) * 16,
            Records::Varying { times, values } => times.len() * 16 + values.data().len(),
        }
    }

    /// The Gorilla stream and how many records it holds, where nothing came out of order.
    pub(crate) fn ordered_stream(&self) -> Option<&Gorilla> {
        match &self.records {
            Records::Fixed { stream, late } if late.is_empty() => Some(stream),
            _ => None,
        }
    }

    /// The latest record; `None` where finding it needs decoding.
    pub(crate) fn latest_bits(&self) -> Option<(i64, u64)> {
        let Records::Fixed { stream, late } = &self.records else { return None };
        let (time_ns, bits) = stream.last()?;
        let again = late.iter().rev().find(|(other, _)| *other == time_ns);
        Some((time_ns, again.map_or(bits, |(_, bits)| *bits)))
    }

    /// The records by time, the last pushed of each time.
    pub(crate) fn decode(&self) -> Block {
        match &self.records {
            Records::Fixed { stream, late } => {
                let (times, bits) = merge_late(stream, late);
                Block::from_columns(times, column_from_bits(self.kind, bits))
            }
            Records::Varying { times, values } => {
                let mut order: Vec<usize> = (0..times.len()).collect();
                order.sort_by_key(|index| times[*index]);
                let mut sorted = (Vec::new(), VarColumn::default());
                for (place, index) in order.iter().enumerate() {
                    if order.get(place + 1).is_some_and(|next| times[*next] == times[*index]) {
                        continue;
                    }
                    sorted.0.push(times[*index]);
                    match values.blob(*index) {
                        Some(blob) => sorted.1.push_blob(blob),
                        None => sorted.1.push(values.bytes(*index).unwrap_or_default()),
                    }
                }
                let values = match self.kind {
                    Kind::Text => Column::Text(sorted.1),
                    _ => Column::Bytes(sorted.1),
                };
                Block::from_columns(sorted.0, values)
            }
        }
    }
}
