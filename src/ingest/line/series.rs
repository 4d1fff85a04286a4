//! What is known of the series and fields of an input, found by their raw bytes.
//!
//! Lines repeat: the series that followed this one last time is likely to follow it again, and the
//! fields of a series come in the same order. So the book first compares with what it expects, and
//! hashes only where that fails.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

use chronolith_engine::{Kind, Metric};

use super::{Fault, Reason, text};
use crate::ingest::intake::Intake;
use crate::ingest::{DeviceSource, RecordSink, Refusal};

/// No field, no series.
const NONE: u32 = u32::MAX;

/// Past so many bytes of keys, or fields, the book starts anew: what it holds is a cache.
const MAX_KEY_BYTES: usize = 512 << 20;
const MAX_FIELDS: usize = 8 << 20;

/// Measurement and tags as they were written.
struct Series {
    key_start: usize,
    key_length: u32,
    /// The series that came next.
    next: u32,
    first_field: u32,
}

/// A field of a series with values of one kind.
struct Field {
    series: u32,
    name: u32,
    /// The sink's metric; where it refused, the number of the refusal.
    metric: u32,
    /// The field that came next.
    next: u32,
    kind: Kind,
    refused: bool,
}

/// The cache of series, fields and metrics.
pub(super) struct Book {
    device: DeviceSource,
    hasher: FixedState,
    keys: Vec<u8>,
    series: Vec<Series>,
    by_key: HashTable<u32>,
    fields: Vec<Field>,
    by_field: HashTable<u32>,
    names: Vec<Box<[u8]>>,
    name_bytes: usize,
    by_name: HashTable<u32>,
    refusals: Vec<Refusal>,
    current: u32,
}

impl Book {
    pub(super) fn new(device: DeviceSource) -> Self {
        // A seed that differs between runs, so that no input is made to collide.
        let seed = std::hash::RandomState::new().build_hasher().finish();
        Self {
            device,
            hasher: FixedState::with_seed(seed),
            keys: Vec::new(),
            series: Vec::new(),
            by_key: HashTable::new(),
            fields: Vec::new(),
            by_field: HashTable::new(),
            names: Vec::new(),
            name_bytes: 0,
            by_name: HashTable::new(),
            refusals: Vec::new(),
            current: NONE,
        }
    }

    #[inline]
    fn key_of(&self, series: u32) -> &[u8] {
        self.series.get(series as usize).map_or(&[], |series| {
            &self.keys[series.key_start..series.key_start + series.key_length as usize]
        })
    }

    /// The series whose text starts at `start`, and the offset of the blank behind it.
    #[inline]
    pub(super) fn series(
        &mut self,
        buffer: &[u8],
        start: usize,
    ) -> Result<(u32, usize), Box<Fault>> {
        if self.keys.len() + self.name_bytes > MAX_KEY_BYTES || self.fields.len() >= MAX_FIELDS {
            self.forget();
        }
        let expected = self.series.get(self.current as usize).map_or(NONE, |series| series.next);
        if expected != NONE {
            let key = self.key_of(expected);
            let end = start + key.len();
            if buffer.get(end) == Some(&b' ') && buffer.get(start..end) == Some(key) {
                self.current = expected;
                return Ok((expected, end));
            }
        }
        let end = text::series_end(buffer, start)?;
        let key = &buffer[start..end];
        let hash = hash_of_bytes(&self.hasher, key);
        let found = self.by_key.find(hash, |series| self.key_of(*series) == key).copied();
        let series = match found {
            Some(series) => series,
            None => self.add_series(key, hash).map_err(|fault| {
                let at = start + fault.at;
                Box::new(Fault { at, ..*fault })
            })?,
        };
        if let Some(current) = self.series.get_mut(self.current as usize) {
            current.next = series;
        }
        self.current = series;
        Ok((series, end))
    }

    fn add_series(&mut self, key: &[u8], hash: u64) -> Result<u32, Box<Fault>> {
        text::tags(key)?;
        let number = self.series.len() as u32;
        let key_start = self.keys.len();
        self.keys.extend_from_slice(key);
        self.series.push(Series {
            key_start,
            key_length: key.len() as u32,
            next: NONE,
            first_field: NONE,
        });
        let (series, keys, hasher) = (&self.series, &self.keys, &self.hasher);
        self.by_key.insert_unique(hash, number, |other| {
            let Series { key_start, key_length, .. } = series[*other as usize];
            hash_of_bytes(hasher, &keys[key_start..key_start + key_length as usize])
        });
        Ok(number)
    }

    /// About how much memory it takes: bytes.
    pub(super) fn size_bytes(&self) -> usize {
        self.keys.capacity()
            + self.name_bytes
            + self.series.capacity() * (size_of::<Series>() + 8)
            + self.fields.capacity() * (size_of::<Field>() + 8)
    }

    /// Empties the cache; metrics are asked for again.
    fn forget(&mut self) {
        *self = Self::new(self.device.clone());
    }

    /// The field that a line of the series is expected to begin with.
    #[inline]
    pub(super) fn first_field(&self, series: u32) -> u32 {
        self.series.get(series as usize).map_or(NONE, |series| series.first_field)
    }

    /// Where the key at `at` is the expected field's: the offset of the `=` behind it.
    #[inline]
    pub(super) fn expect(&self, field: u32, buffer: &[u8], at: usize) -> Option<usize> {
        let name = &self.names[self.fields.get(field as usize)?.name as usize];
        let end = at + name.len();
        (buffer.get(end) == Some(&b'=') && buffer.get(at..end) == Some(name)).then_some(end)
    }

    #[inline]
    pub(super) fn kind_of(&self, field: u32) -> Kind {
        self.fields[field as usize].kind
    }

    #[inline]
    pub(super) fn metric_of(&self, field: u32) -> u32 {
        self.fields[field as usize].metric
    }

    #[inline]
    pub(super) fn is_refused(&self, field: u32) -> bool {
        self.fields[field as usize].refused
    }

    pub(super) fn refusal(&self, field: u32) -> Reason {
        self.refusals[self.fields[field as usize].metric as usize].clone().into()
    }

    /// Remembers that `field` came after `previous`, or first; gives the field expected next.
    #[inline]
    pub(super) fn follow(&mut self, series: u32, previous: Option<u32>, field: u32) -> u32 {
        match previous {
            Some(previous) => self.fields[previous as usize].next = field,
            None => self.series[series as usize].first_field = field,
        }
        self.fields[field as usize].next
    }

    /// The field of a raw key and a kind, asked of the sink where it is new.
    pub(super) fn field<S: RecordSink + ?Sized>(
        &mut self,
        series: u32,
        name: &[u8],
        kind: Kind,
        at: usize,
        intake: &mut Intake<'_, S>,
    ) -> Result<u32, Box<Fault>> {
        let name_number = self.name(name, at)?;
        let hash = hash_of_field(&self.hasher, series, name_number, kind);
        let same = |other: &u32| {
            let other = &self.fields[*other as usize];
            (other.series, other.name, other.kind) == (series, name_number, kind)
        };
        if let Some(field) = self.by_field.find(hash, same) {
            return Ok(*field);
        }
        let metric = self.new_metric(series, name, intake)?;
        let (metric, refused) = match intake.metric(&metric, kind, "") {
            Ok(metric) => (metric.0, false),
            Err(refusal) => {
                self.refusals.push(refusal);
                (self.refusals.len() as u32 - 1, true)
            }
        };
        let number = self.fields.len() as u32;
        self.fields.push(Field { series, name: name_number, metric, next: NONE, kind, refused });
        let (fields, hasher) = (&self.fields, &self.hasher);
        self.by_field.insert_unique(hash, number, |other| {
            let Field { series, name, kind, .. } = fields[*other as usize];
            hash_of_field(hasher, series, name, kind)
        });
        Ok(number)
    }

    /// The number of a raw field key.
    fn name(&mut self, name: &[u8], at: usize) -> Result<u32, Box<Fault>> {
        let hash = hash_of_bytes(&self.hasher, name);
        if let Some(number) = self.by_name.find(hash, |other| *self.names[*other as usize] == *name)
        {
            return Ok(*number);
        }
        if let Err(error) = std::str::from_utf8(name) {
            let wrong = error.valid_up_to();
            let reason = Reason::NotUtf8(name.get(wrong).copied().unwrap_or_default());
            return Err(Fault::of(at + wrong, reason));
        }
        let number = self.names.len() as u32;
        self.names.push(name.into());
        self.name_bytes += name.len();
        let (names, hasher) = (&self.names, &self.hasher);
        self.by_name
            .insert_unique(hash, number, |other| hash_of_bytes(hasher, &names[*other as usize]));
        Ok(number)
    }

    /// The metric of a field: the device and the tags of its series.
    fn new_metric<S: RecordSink + ?Sized>(
        &self,
        series: u32,
        name: &[u8],
        intake: &Intake<'_, S>,
    ) -> Result<Metric, Box<Fault>> {
        let mut parsed = text::tags(self.key_of(series))?;
        let device = match &self.device {
            DeviceSource::Named(name) => name.clone(),
            DeviceSource::Tag(tag) => take(&mut parsed.tags, tag).unwrap_or_default(),
            DeviceSource::Usual | DeviceSource::Column(_) => ["device", "vehicle", "host"]
                .iter()
                .find_map(|tag| take(&mut parsed.tags, tag))
                .unwrap_or_default(),
        };
        let name = text::unescape_key(std::str::from_utf8(name).unwrap_or_default());
        let mut metric = Metric::new(device, name).tag("class", parsed.measurement);
        for (key, value) in parsed.tags {
            let key = if key == "class" { "_class".to_owned() } else { key };
            metric = metric.tag(key, value);
        }
        Ok(intake.with_tags(metric))
    }
}

/// Takes a tag out of the list.
fn take(tags: &mut Vec<(String, String)>, wanted: &str) -> Option<String> {
    let at = tags.iter().position(|(key, _)| key == wanted)?;
    Some(tags.remove(at).1)
}

fn hash_of_bytes(hasher: &FixedState, bytes: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

fn hash_of_field(hasher: &FixedState, series: u32, name: u32, kind: Kind) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write_u64(u64::from(series) << 32 | u64::from(name));
    hasher.write_u8(kind.code());
    hasher.finish()
}
