//! Doors to the private decoders for the fuzz targets in `engine/fuzz`; compiled only for them.
//!
//! Each function hands bytes from outside to one decoder and checks what decodes: it must encode
//! again, and that must decode to the same. A broken promise panics, which a fuzzer takes for a
//! find. [`Swap`] puts the bytes behind the checksum of a file that is whole, so that a fuzzer
//! need not guess checksums.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chronolith_disk::{Disk, SimDisk};
use chronolith_merkle::{DAG_CBOR, HashFunction, RAW, content_id};

use crate::batch::{Batch, StateChange, put_value};
use crate::blob::{self, BlobReader, BlockList};
use crate::block::Block;
use crate::chunk::body::{BodyView, assemble, encode_columns};
use crate::chunk::codec::{Policy, gorilla};
use crate::chunk::{ChunkHeader, ChunkKey, Shown, Statistics};
use crate::db;
use crate::encoding::{Reader, put_bytes, put_signed, put_varint};
use crate::keys::{self, ProducerKey};
use crate::manifest::{self, Manifest, RetentionRule, RunRecord, SegmentRecord, Tombstone};
use crate::model::{BlobRef, Column, Definition, Kind, Level, Metric, Place, ValueRef, VarColumn};
use crate::protect::{Clear, Protect, ProtectError, Protection, Purpose};
use crate::record;
use crate::registry::codec::{put_defined, read_defined};
use crate::registry::{self, Defined, Registry};
use crate::run::{self, Run, RunWriter};
use crate::segment::{self, Body, ChunkEntry, ChunkSource, PageBudget, SealRecord};
use crate::segment::{Segment, SegmentWriter};
use crate::wal;
use crate::wal::frame::{Frame, FrameView, Salt, file_header};
use crate::wal::payload::{Deletion, decode, encode};
use crate::wal::recovery::{LogEnd, LogStart, replay};

const SECOND_NS: i64 = 1_000_000_000;
const POLICIES: [Policy; 2] = [Policy::Smallest, Policy::Fastest];

/// Answers with other content than a record of one purpose holds: the records one after the
/// other, the last content again and again.
#[derive(Debug)]
struct Swap {
    purpose: Purpose,
    contents: Vec<Vec<u8>>,
    next: AtomicUsize,
}

impl Swap {
    fn new(purpose: Purpose, contents: Vec<Vec<u8>>) -> Arc<Self> {
        Arc::new(Self { purpose, contents, next: AtomicUsize::new(0) })
    }
}

impl Protect for Swap {
    fn protect<'a>(&self, _: Purpose, bytes: &'a [u8]) -> (Protection, Cow<'a, [u8]>) {
        (Protection::CLEAR, Cow::Borrowed(bytes))
    }

    fn open<'a>(
        &self,
        purpose: Purpose,
        protection: Protection,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ProtectError> {
        if purpose != self.purpose {
            return Clear.open(purpose, protection, bytes);
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed).min(self.contents.len() - 1);
        Ok(Cow::Owned(self.contents[next].clone()))
    }
}

/// A front of so many bytes as two bytes say, and the rest.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((size, rest)) = data.split_first_chunk::<2>() else { return (&[], data) };
    rest.split_at((u16::from_le_bytes(*size) as usize).min(rest.len()))
}

fn disk_with(folder: &str, path: &str, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(folder).expect("a folder on an empty disk");
    let file = disk.open(path).expect("a file on an empty disk");
    file.append(bytes).expect("an empty disk takes bytes");
    disk
}

/// A body of a chunk: `kind code · count u16 · body`. What decodes, and the length of the body.
#[must_use]
pub fn body_decode(data: &[u8]) -> Option<Block> {
    let (head, body) = data.split_first_chunk::<3>()?;
    let kind = Kind::from_code(head[0])?;
    let view = BodyView::parse(body, u16::from_le_bytes([head[1], head[2]]).into()).ok()?;
    let _ = (view.codec_names(), view.times().map(|times| times.lower_bound(0)));
    let _ = Shown::from_inner(view.inner());
    view.decode(kind).ok()
}

/// What [`body_decode`] returned must come back from a new encoding, in statistics, too.
pub fn body_round_trip(block: &Block) {
    let kind = block.values().kind();
    for policy in POLICIES {
        let columns = encode_columns(block, policy);
        let body = assemble(b"inner", &columns);
        let view = BodyView::parse(&body, block.len()).expect("an own body parses");
        assert_eq!(view.inner(), b"inner");
        assert_eq!(&view.decode(kind).expect("an own body decodes"), block);
    }
    if let Some(statistics) = Statistics::of(block.values()) {
        let mut bytes = Vec::new();
        statistics.put(kind, &mut bytes);
        let reader = &mut Reader::new(&bytes);
        assert_eq!(Statistics::read(kind, reader), Ok(statistics));
        assert!(reader.is_empty());
    }
}

/// A header, and an inner header.
pub fn header(data: &[u8]) {
    if let Ok(header) = ChunkHeader::from_bytes(data) {
        assert_eq!(header.to_bytes(), data);
    }
    if let Ok((shown, pseudonym)) = Shown::from_inner(data) {
        let again = shown.to_inner(&pseudonym);
        assert_eq!(Shown::from_inner(&again), Ok((shown, pseudonym)));
    }
}

/// Whole frames of the log, damaged ones, and the reading of a file of them:
/// `operation u8 · length u16 · payload` each.
pub fn wal_frame(data: &[u8]) {
    let salt = Salt::new(b"fuzz", 1);
    if let Some(frame) = FrameView::parse(data, salt) {
        assert_eq!(&data[frame.len() - frame.payload.len()..frame.len()], frame.payload);
    }
    let mut from = 0;
    while let Some((at, frame)) = FrameView::search(data, from, salt) {
        from = at + frame.len();
    }
    let mut file = file_header(salt, 1, 0).to_vec();
    let mut sequence = 0_u64;
    let mut rest = data;
    while let Some((operation, after)) = rest.split_first() {
        let (payload, after) = split(after);
        rest = after;
        let mut bytes = Frame::room(payload.len());
        bytes.extend_from_slice(payload);
        let mut frame = Frame::new(bytes, |payload| Clear.protect(Purpose::Wal, payload));
        let word = payload.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        sequence = sequence.wrapping_add(1);
        let whole = match operation % 5 {
            0 => frame.finish(salt, sequence, sequence.saturating_sub(1)),
            1 => frame.finish(salt, word, sequence),
            2 => frame.finish(salt, sequence, word),
            3 => payload,
            _ => {
                let whole = frame.finish(salt, sequence, 0);
                &whole[..whole.len() / 2]
            }
        };
        if matches!(operation % 5, 0..3) {
            let view = FrameView::parse(whole, salt).expect("an own frame parses");
            assert_eq!(view.payload, payload);
            assert_eq!(view.protection, Protection::CLEAR);
        }
        file.extend_from_slice(whole);
    }
    let disk = disk_with(wal::DIR, &wal::file_name(1), &file);
    for confirmed in [None, Some(LogEnd { file: 1, offset: file.len() as u64 / 2 })] {
        for after in [0, 1] {
            let take = &mut |_, _| Ok(());
            let log =
                LogStart { database: b"fuzz", first_file: 1, after, confirmed, is_shared: false };
            if let Ok(recovered) = replay(&disk, &Clear, log, take) {
                assert!(recovered.end.offset <= file.len() as u64);
                assert!(recovered.confirmed <= recovered.end || recovered.torn.is_some());
            }
        }
    }
}

/// The content of a frame.
pub fn wal_payload(data: &[u8]) {
    let Ok(payload) = decode(data) else { return };
    let batch = &payload.batch;
    assert_eq!([batch.kinds.len(), batch.times.len(), batch.bits.len()], [batch.metrics.len(); 3]);
    let _ = batch.blobs();
    let mut bytes = Vec::new();
    encode(&payload.definitions, &payload.deletions, batch, &mut bytes);
    let again = decode(&bytes).expect("an own payload decodes");
    let columns = |batch: &Batch| {
        let Batch { metrics, kinds, times, bits, data, state, .. } = batch.clone();
        (metrics, kinds, times, bits, data, state)
    };
    assert_eq!(columns(&again.batch), columns(batch));
    assert_eq!(again.deletions, payload.deletions);
    assert_same_definitions(&again.definitions, &payload.definitions);
}

fn assert_same_definitions(left: &[Defined], right: &[Defined]) {
    let plain = |all: &[Defined]| -> Vec<_> {
        all.iter().map(|one| (one.metric, Definition::clone(&one.definition))).collect()
    };
    assert_eq!(plain(left), plain(right));
}

/// Definitions one after the other, without a frame.
pub fn definitions(data: &[u8]) {
    let reader = &mut Reader::new(data);
    let mut found = Vec::new();
    let mut registry = Registry::default();
    while let Ok(defined) = read_defined(reader) {
        registry.define(defined.clone(), 0);
        found.push(defined);
    }
    let mut bytes = Vec::new();
    found.iter().for_each(|defined| put_defined(&mut bytes, defined));
    let reader = &mut Reader::new(&bytes);
    let mut again = Vec::new();
    while !reader.is_empty() {
        again.push(read_defined(reader).expect("an own definition decodes"));
    }
    assert_same_definitions(&found, &again);
}

/// The file of definitions. A first even byte: the content of a frame before compression; odd:
/// the compressed content.
pub fn definitions_file(data: &[u8]) {
    let Some((mode, content)) = data.split_first() else { return };
    let packed = match mode % 2 {
        0 => zstd::bulk::compress(content, 1).expect("memory takes it"),
        _ => content.to_vec(),
    };
    let mut bytes = vec![0; 4];
    let size = record::put(&mut bytes, &Clear, Purpose::Definitions, &packed) as u32;
    bytes[..4].copy_from_slice(&size.to_le_bytes());
    let disk = SimDisk::new();
    disk.open(registry::log::FILE).and_then(|file| file.append(&bytes)).expect("a file");
    let mut registry = Registry::default();
    let _ = registry::log::load(&disk, &Clear, bytes.len() as u64, &mut registry);
    // And as the whole file, lengths and checksums included.
    let disk = SimDisk::new();
    disk.open(registry::log::FILE).and_then(|file| file.append(content)).expect("a file");
    let _ = registry::log::load(&disk, &Clear, content.len() as u64, &mut registry);
    let names = registry.tag_keys();
    names.iter().for_each(|name| drop(registry.label_values(name)));
}

/// The file of the state; the first byte as for [`definitions_file`].
pub fn state_file(data: &[u8]) {
    let Some((mode, content)) = data.split_first() else { return };
    let packed = match mode % 2 {
        0 => zstd::bulk::compress(content, 1).expect("memory takes it"),
        _ => content.to_vec(),
    };
    let mut bytes = Vec::new();
    record::put(&mut bytes, &Clear, Purpose::State, &packed);
    for bytes in [&bytes[..], content] {
        let disk = disk_with("state", &db::state_file_name(1), bytes);
        let _ = db::check_state(&disk, &Clear, 1);
    }
}

/// The manifest: its content, and as a whole file.
pub fn manifest(data: &[u8]) {
    let disk = SimDisk::new();
    Manifest::default().store(&disk, &Clear).expect("an empty disk takes a manifest");
    let swap = Swap::new(Purpose::Manifest, vec![data.to_vec()]);
    if let Ok(manifest) = Manifest::load(&disk, &*swap) {
        manifest.store(&disk, &Clear).expect("a manifest is stored");
        let again = Manifest::load(&disk, &Clear).expect("an own manifest loads");
        assert_eq!(again, manifest);
    }
    let disk = SimDisk::new();
    disk.open(manifest::FILE).and_then(|file| file.append(data)).expect("a file");
    let _ = Manifest::load(&disk, &Clear);
}

/// The record around everything, and the key file.
pub fn record(data: &[u8]) {
    let fixed = |data: &[u8]| {
        let mut bytes = data.to_vec();
        bytes.extend_from_slice(&crc32fast::hash(data).to_le_bytes());
        bytes
    };
    let with_checksum = fixed(data);
    for bytes in [data, &with_checksum] {
        let _ = record::get(bytes, &Clear, Purpose::Chunk, "file", 0);
        let any = Swap::new(Purpose::Chunk, vec![Vec::new()]);
        let _ = record::get(bytes, &*any, Purpose::Chunk, "file", 0);
        let disk = disk_with(keys::DIR, keys::FILE, bytes);
        if let Ok(key) = ProducerKey::load(&disk) {
            let _ = key.public();
        }
    }
    let mut bytes = Vec::new();
    let size = record::put(&mut bytes, &Clear, Purpose::Chunk, data);
    assert_eq!(size, data.len() + record::OVERHEAD_BYTES);
    let content = record::get(&bytes, &Clear, Purpose::Chunk, "file", 0);
    assert_eq!(content.expect("an own record opens"), data);
    if let (Some(key), Some(signature)) = (data.first_chunk(), data.last_chunk()) {
        let _ = keys::verify(key, data, signature);
    }
}

/// The list of a blob: `length of the list u16 · list · content`.
pub fn blob_list(data: &[u8]) {
    let (list, content) = split(data);
    let len_bytes = match BlockList::from_bytes(list) {
        Some(known) => {
            assert_eq!(known.to_bytes(), list);
            known.len_bytes()
        }
        None => content.len() as u64,
    };
    let cid = content_id(DAG_CBOR, HashFunction::Sha256, list);
    let mut file = b"CLBLOB\x01\0".to_vec();
    file.extend_from_slice(content);
    let offset = file.len() as u64;
    let size = record::put(&mut file, &Clear, Purpose::Blob, list) as u32;
    let mut trailer = offset.to_le_bytes().to_vec();
    trailer.extend_from_slice(&size.to_le_bytes());
    let crc = crc32fast::hash(&trailer);
    file.extend_from_slice(&trailer);
    file.extend_from_slice(&crc.to_le_bytes());
    file.extend_from_slice(b"CLBLOBED");
    let reference = BlobRef { cid, len_bytes };
    for file in [&file[..], data] {
        let disk = disk_with(blob::DIR, &blob::file_name(&cid), file);
        let Ok(mut reader) = BlobReader::open(&disk, Arc::new(Clear), &reference) else { continue };
        let faults = reader.faults();
        let mut read = Vec::new();
        if reader.read_to_end(&mut read).is_ok() {
            assert!(faults.is_empty() && read.len() as u64 == len_bytes);
        }
    }
}

/// A run: `length of the table u16 · table · content of every section`.
pub fn run_table(data: &[u8]) {
    let (table, section) = split(data);
    let disk = run_disk();
    let name = run::file_name(1);
    let size = disk.len(&name).expect("the run is there");
    let swap = Swap::new(Purpose::Run, vec![table.to_vec(), section.to_vec()]);
    let run = Run::new(Arc::new(disk), swap, name.clone(), size);
    let Ok(sections) = run.sections() else { return };
    for section in sections.take(64) {
        let found = run.sections_of(section.metric, section.window, section.window);
        assert!(found.is_ok_and(|mut found| found.any(|other| other == section)));
        for kind in Kind::ALL {
            if let Ok(block) = run.decode(&section, kind) {
                assert_eq!(block.values().len(), block.len());
                assert!(block.times().is_sorted_by(|a, b| a < b));
            }
        }
    }
    let disk = disk_with(run::DIR, &name, data);
    let run = Run::new(Arc::new(disk), Arc::new(Clear), name, data.len() as u64);
    let _ = run.sections().map(Iterator::count);
}

fn block_of(kind: Kind, count: i64) -> Block {
    let times = (0..count).map(|at| at * SECOND_NS).collect();
    let mut values = Column::new(kind);
    for at in 0..count {
        let text = format!("state {}", at % 3);
        let value = match kind {
            Kind::F64 => ValueRef::F64(at as f64 / 10.0),
            Kind::I64 => ValueRef::I64(at - 5),
            Kind::U64 => ValueRef::U64(at as u64 * at as u64),
            Kind::Bool => ValueRef::Bool(at % 3 == 0),
            Kind::Text => ValueRef::Text(&text),
            Kind::Bytes => ValueRef::Bytes(text.as_bytes()),
        };
        assert!(values.push(value));
    }
    Block::from_columns(times, values)
}

/// A disk with a run of two sections of one record of bytes each.
fn run_disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(run::DIR).expect("a folder on an empty disk");
    let mut writer = RunWriter::create(&disk, &Clear, run::file_name(1)).expect("a run");
    for metric in [1, 2] {
        writer.push_block(metric, 0, &block_of(Kind::I64, 8)).expect("a section");
    }
    writer.finish().expect("a run");
    disk
}

/// A disk with a segment of two chunks, one of them without a body.
fn segment_disk() -> (SimDisk, u64) {
    let disk = SimDisk::new();
    disk.create_dir_all(&segment::folder(0)).expect("a folder on an empty disk");
    let size = write_segment(&disk, &[entry(1, 0), entry(1, 1)]);
    (disk, size)
}

fn entry(metric: u32, window: i64) -> ChunkEntry {
    let block = block_of(Kind::F64, 8);
    let body = Body {
        offset: 0,
        size: 0,
        count: 8,
        first_ns: 0,
        last_ns: 7 * SECOND_NS,
        has_blobs: false,
        statistics: Statistics::of(block.values()),
    };
    ChunkEntry {
        key: ChunkKey { metric, window, generation: 0, part: 0 },
        kind: Kind::F64,
        supersedes: None,
        definition: 0,
        batch: 0,
        function: HashFunction::Sha256,
        body: (window % 2 == 0).then_some(body),
    }
}

fn write_segment(disk: &SimDisk, entries: &[ChunkEntry]) -> u64 {
    let name = segment::file_name(0, 1);
    let mut writer = SegmentWriter::create(disk, &Clear, name).expect("a segment");
    for number in 0..2 {
        writer.seal(&SealRecord { number, ..SealRecord::UNSIGNED });
    }
    for entry in entries {
        let source = match entry.body {
            Some(_) => ChunkSource::Body(b"body"),
            None => ChunkSource::Dropped,
        };
        writer.push(entry.clone(), [7; 32], source).expect("a chunk");
    }
    writer.finish().expect("a segment").size_bytes
}

fn open_segment(disk: &SimDisk, protect: Arc<dyn Protect>, size: u64) -> Segment {
    let budget = Arc::new(PageBudget::new(1 << 20));
    Segment::new(Arc::new(disk.clone()), protect, budget, segment::file_name(0, 1), size)
}

fn read_segment(segment: &Segment) -> Vec<ChunkEntry> {
    let mut entries = Vec::new();
    let _ = segment.for_all(&mut |entry, _, _| {
        entries.push(entry.clone());
        Ok(())
    });
    let mut found = Vec::new();
    let _ = segment.for_each(1, i64::MIN, i64::MAX, &mut |entry, _| found.push(entry.clone()));
    let _ = (segment.whole_pages(), segment.gaps(), segment.last_at_or_before(1, 0));
    for entry in &entries {
        let _ = segment.digest(entry.key);
        if let Some(body) = &entry.body {
            let _ = (segment.body(body), segment.body_record(body));
        }
    }
    entries
}

/// The index of a segment; the pages it names hold what the seeds' segment holds.
pub fn segment_index(data: &[u8]) {
    let (disk, size) = segment_disk();
    let page = footer_contents(&disk, size).swap_remove(1);
    let swap = Swap::new(Purpose::Footer, vec![data.to_vec(), page]);
    read_segment(&open_segment(&disk, swap, size));
    let disk = disk_with(&segment::folder(0), &segment::file_name(0, 1), data);
    read_segment(&open_segment(&disk, Arc::new(Clear), data.len() as u64));
}

/// The entries of a page of a segment: what decodes is written anew and read again.
pub fn segment_page(data: &[u8]) {
    let (disk, size) = segment_disk();
    let index = footer_contents(&disk, size).swap_remove(0);
    let digests = vec![7; 64];
    let contents = vec![index, data.to_vec(), digests.clone()];
    let swap = Swap::new(Purpose::Footer, contents);
    let mut entries = Vec::new();
    let _ = open_segment(&disk, swap, size).for_all(&mut |entry, _, _| {
        entries.push(entry.clone());
        Ok(())
    });
    if entries.is_empty() {
        return;
    }
    let size = write_segment(&disk, &entries);
    let mut again = read_segment(&open_segment(&disk, Arc::new(Clear), size));
    // Their places are those in the new file.
    for (again, entry) in again.iter_mut().zip(&entries) {
        if let (Some(again), Some(body)) = (&mut again.body, entry.body) {
            (again.offset, again.size) = (body.offset, body.size);
        }
    }
    assert_eq!(again, entries);
}

/// The contents of a footer's records: the index, then the pages' entries and digests.
fn footer_contents(disk: &SimDisk, size: u64) -> Vec<Vec<u8>> {
    let spy = Arc::new(Spy::default());
    let segment = open_segment(disk, Arc::clone(&spy) as Arc<dyn Protect>, size);
    let _ = segment.for_all(&mut |_, _, _| Ok(()));
    spy.0.lock().clone()
}

/// Writes down what is opened.
#[derive(Debug, Default)]
struct Spy(parking_lot::Mutex<Vec<Vec<u8>>>);

impl Protect for Spy {
    fn protect<'a>(&self, _: Purpose, bytes: &'a [u8]) -> (Protection, Cow<'a, [u8]>) {
        (Protection::CLEAR, Cow::Borrowed(bytes))
    }

    fn open<'a>(
        &self,
        _: Purpose,
        _: Protection,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ProtectError> {
        self.0.lock().push(bytes.to_vec());
        Ok(Cow::Borrowed(bytes))
    }
}

fn a_definition(level: Level) -> Definition {
    let metric = Metric::new("car-17", "speed").tag("class", "fleet");
    Definition {
        unit: "km/h".to_owned(),
        level,
        place: Some(Place { latitude_centidegrees: 4814, longitude_centidegrees: -1158 }),
        metadata: [("maker".to_owned(), "somebody".to_owned())].into(),
        ..Definition::new(metric, Kind::F64)
    }
}

/// Inputs that decode, for every function here but the codecs: the target's name and the bytes.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    for kind in Kind::ALL {
        for policy in POLICIES {
            let mut body = vec![kind.code(), 40, 0];
            body.extend(assemble(&[], &encode_columns(&block_of(kind, 40), policy)));
            seeds.push(("chunk_body", body));
        }
    }
    let key = ChunkKey { metric: 1, window: 490_000, generation: 1, part: 2 };
    let open = a_definition(Level::Regular);
    let shown = Shown::new(&open, 1, 2, 3, ("grid", "decimal"));
    let body = content_id(RAW, HashFunction::Sha256, b"body");
    let named = ChunkHeader {
        supersedes: Some(0),
        body,
        shown: Some(shown.clone()),
        ..ChunkHeader::of(&open, key)
    };
    let hidden = ChunkHeader {
        body,
        pseudonym: Some([3; 32]),
        ..ChunkHeader::of(&a_definition(Level::Secret), key)
    };
    let deep = vec![0x81; 4000];
    for bytes in [named.to_bytes(), hidden.to_bytes(), shown.to_inner(&[3; 32]), deep.clone()] {
        seeds.push(("chunk_header", bytes));
    }

    let defined = |metric, level| {
        let definition = Arc::new(a_definition(level));
        Defined { metric, definition }
    };
    let definitions = [defined(0, Level::Regular), defined(0, Level::Personal)];
    let deletions = [Deletion { metric: 0, from_ns: 5, to_ns: SECOND_NS }];
    let mut payloads = Vec::new();
    for kind in Kind::ALL {
        let mut batch = Batch::default();
        for (time, value) in block_of(kind, 5).iter() {
            batch.metrics.push(time as u32 % 3);
            batch.kinds.push(kind);
            batch.times.push(time);
            match crate::batch::value_bits(value) {
                Some(bits) => batch.bits.push(bits),
                None => {
                    batch.bits.push(batch.data.len() as u64);
                    put_value(&mut batch.data, value);
                }
            }
        }
        if kind == Kind::Bytes {
            batch.bits[0] = batch.data.len() as u64;
            put_value(&mut batch.data, ValueRef::Blob(BlobRef { cid: body, len_bytes: 9 }));
        }
        let value = (kind != Kind::F64).then(|| b"value".to_vec());
        let (namespace, key) = ("namespace".to_owned(), b"key".to_vec());
        batch.state.push(StateChange { namespace, key, value });
        let mut payload = Vec::new();
        encode(&definitions, &deletions, &batch, &mut payload);
        payloads.push(payload);
    }
    let mut frames = Vec::new();
    for (at, payload) in payloads.iter().enumerate() {
        frames.push(if at == 4 { 2 } else { 0 });
        frames.extend_from_slice(&(payload.len() as u16).to_le_bytes());
        frames.extend_from_slice(payload);
    }
    seeds.push(("wal_frame", frames));
    seeds.push(("wal_frame", vec![0, 0, 0, 2, 8, 0, 255, 255, 255, 255, 255, 255, 255, 255]));
    seeds.extend(payloads.into_iter().map(|payload| ("wal_payload", payload)));

    let mut plain = Vec::new();
    definitions.iter().for_each(|defined| put_defined(&mut plain, defined));
    let mut counted = Vec::new();
    put_varint(&mut counted, definitions.len() as u64);
    counted.extend_from_slice(&plain);
    seeds.push(("definitions", plain));
    let mut state = Vec::new();
    put_varint(&mut state, 2);
    for key in [b"one", b"two"] {
        [&b"namespace"[..], key, b"value"].iter().for_each(|part| put_bytes(&mut state, part));
    }
    for (name, plain) in [("definitions_file", counted), ("state_file", state)] {
        let packed = zstd::bulk::compress(&plain, 3).expect("memory takes it");
        seeds.push((name, [&[0], &plain[..]].concat()));
        seeds.push((name, [&[1], &packed[..]].concat()));
        // A frame that says it holds 1 GiB.
        let lie = [0x28, 0xB5, 0x2F, 0xFD, 0xA0, 0, 0, 0, 0x40, 1, 0, 0];
        seeds.push((name, [&[1], &lie[..]].concat()));
    }

    let manifest = Manifest {
        database: vec![1; 16],
        last_file: 7,
        clean_end: Some(LogEnd { file: 1, offset: 60 }),
        state: Some(3),
        runs: vec![RunRecord {
            number: 1,
            size_bytes: 100,
            first_sequence: 1,
            last_sequence: 2,
            records: 3,
            first_ns: 4,
            last_ns: 5,
        }],
        segments: vec![SegmentRecord {
            number: 2,
            partition: 600,
            size_bytes: 300,
            chunks: 2,
            first_sequence: 1,
            last_sequence: 2,
            first_ns: 4,
            last_ns: 5,
            first_metric: 0,
            last_metric: 9,
        }],
        tombstones: vec![Tombstone { deletion: deletions[0], sequence: 4 }],
        retention: vec![RetentionRule {
            device: "car-.*".to_owned(),
            name: ".*".to_owned(),
            keep_ns: SECOND_NS,
        }],
        ..Manifest::default()
    };
    let disk = SimDisk::new();
    manifest.store(&disk, &Clear).expect("an empty disk takes a manifest");
    let file = disk.read_file(manifest::FILE).expect("the manifest is there");
    seeds.push(("manifest", file[13..file.len() - 4].to_vec()));
    seeds.push(("manifest", file));
    seeds.push(("manifest", deep.clone()));

    seeds.push(("record", vec![0, 1, 2, 3, 4]));
    seeds.push(("record", vec![1, 200, 3, 4, 5, 6, 7, 8]));
    seeds.push(("record", [&b"CLKEY\0\x01\0\0"[..], &[9; 32]].concat()));

    let disk = SimDisk::new();
    disk.create_dir_all(blob::DIR).expect("a folder on an empty disk");
    let content = vec![5; 300];
    let blob = blob::write(&disk, &Clear, HashFunction::Sha256, 1, &mut &content[..], &mut |_| {});
    let name = blob::file_name(&blob.expect("a blob").cid);
    let file = disk.read_file(&name).expect("the blob is there");
    let record = content.len() + record::OVERHEAD_BYTES;
    let list = &file[8 + record + 1..file.len() - 24 - 4];
    let mut seed = (list.len() as u16).to_le_bytes().to_vec();
    seed.extend_from_slice(list);
    seed.extend_from_slice(&file[8..8 + record]);
    seeds.push(("blob_list", seed));
    seeds.push(("blob_list", [&4000_u16.to_le_bytes()[..], &deep].concat()));

    let disk = run_disk();
    let spy = Arc::new(Spy::default());
    let size = disk.len(&run::file_name(1)).expect("the run is there");
    let protect = Arc::clone(&spy) as Arc<dyn Protect>;
    let run = Run::new(Arc::new(disk), protect, run::file_name(1), size);
    for section in run.sections().expect("an own run opens") {
        run.decode(&section, Kind::I64).expect("an own section decodes");
    }
    let contents = spy.0.lock().clone();
    let mut seed = (contents[0].len() as u16).to_le_bytes().to_vec();
    seed.extend_from_slice(&contents[0]);
    // The same as columns, and as a stream, which the form of both sections says.
    let mut streams = seed.clone();
    for row in 0..2 {
        streams[2 + row * 48 + 28] = 0;
    }
    seed.extend_from_slice(&contents[1]);
    let mut stream = gorilla::Gorilla::new();
    (0..8).for_each(|at| stream.push(at * SECOND_NS, at as u64));
    stream.copy_stream(&mut streams);
    seeds.push(("run_table", seed));
    seeds.push(("run_table", streams));

    let (disk, size) = segment_disk();
    let mut contents = footer_contents(&disk, size);
    seeds.push(("segment_page", contents.swap_remove(1)));
    seeds.push(("segment_index", contents.swap_remove(0)));
    let file = disk.read_file(&segment::file_name(0, 1)).expect("the segment is there");
    seeds.push(("segment_index", file));
    // A page of chunks of other kinds, the fields of which are all there.
    let mut page = Vec::new();
    for (kind, window) in [(Kind::Text, 0), (Kind::I64, 2)] {
        put_varint(&mut page, 1);
        put_signed(&mut page, window);
        page.extend([1 | 2 | 4 | 32 | 64, kind.code(), 1, 1, 0, 1, 1]);
        put_varint(&mut page, 9);
        put_varint(&mut page, 2);
        page.push(3);
        put_signed(&mut page, 1000);
        put_signed(&mut page, 5);
        if kind == Kind::I64 {
            page.extend([2, 2, 2, 2, 2]);
        }
    }
    seeds.push(("segment_page", page));
    let mut text = VarColumn::default();
    text.push(b"\xFF");
    let block = Block::from_columns(vec![1], Column::Text(text));
    let mut body = vec![Kind::Text.code(), 1, 0];
    body.extend(assemble(&[], &encode_columns(&block, Policy::Fastest)));
    seeds.push(("chunk_body", body));
    seeds
}
