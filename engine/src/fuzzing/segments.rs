//! Segments.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_keys::TreeId;
use chronolith_merkle::HashFunction;

use crate::chunk::{ChunkKey, Statistics};
use crate::encoding::{put_signed, put_varint};
use crate::model::Kind;
use crate::protect::{Clear, Protect, Purpose};
use crate::segment::{
    self, Body, ChunkEntry, ChunkSource, MovedBodies, PageBudget, SealRecord, Segment,
    SegmentWriter,
};
use crate::store::ObjectPlace;

use super::{SECOND_NS, Spy, Swap, block_of, disk_with};

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
        tree: (window % 4 == 0).then_some(TreeId([9; 32])),
        body: (window % 2 == 0).then_some(body),
    }
}

fn write_segment(disk: &SimDisk, entries: &[ChunkEntry]) -> u64 {
    let name = segment::file_name(0, 1);
    let mut writer = SegmentWriter::create(disk, &Clear, name, true).expect("a segment");
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
            let _ = (segment.body(entry, body), segment.body_record(body));
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

/// The tail of a moved segment. There is no store, so that bodies are never there.
pub fn segment_tail(data: &[u8]) {
    let (whole, size) = segment_disk();
    let (mut bytes, tail) = (data.to_vec(), tail_of(&whole, size));
    for round in 0..2 {
        let disk = disk_with(&segment::folder(0), &segment::tail_name(0, 1), &bytes);
        read_segment(&moved(&disk, size));
        // And with the header of the whole one, so that the rest is looked at, too.
        let len = bytes.len().min(16);
        if round == 0 {
            bytes[..len].copy_from_slice(&tail[..len]);
            bytes.resize(tail.len(), 0);
        }
    }
}

fn moved(disk: &SimDisk, size: u64) -> Segment {
    let bodies = MovedBodies {
        reader: None,
        place: ObjectPlace { number: 1, object: "object".to_owned(), size_bytes: size },
        moved_to: "nowhere".to_owned(),
    };
    open_segment(disk, Arc::new(Clear), size).with_bodies_in(bodies, segment::tail_name(0, 1))
}

fn tail_of(disk: &SimDisk, size: u64) -> Vec<u8> {
    let (name, segment) = (segment::tail_name(0, 1), open_segment(disk, Arc::new(Clear), size));
    segment.write_tail(name.clone()).expect("a tail");
    disk.read_file(&name).expect("the tail is there")
}

/// The contents of a footer's records: the index, then the pages' entries and digests.
fn footer_contents(disk: &SimDisk, size: u64) -> Vec<Vec<u8>> {
    let spy = Arc::new(Spy::default());
    let segment = open_segment(disk, Arc::clone(&spy) as Arc<dyn Protect>, size);
    let _ = segment.for_all(&mut |_, _, _| Ok(()));
    spy.0.lock().clone()
}

pub(super) fn seeds(seeds: &mut Vec<(&'static str, Vec<u8>)>) {
    let (disk, size) = segment_disk();
    let mut contents = footer_contents(&disk, size);
    seeds.push(("segment_page", contents.swap_remove(1)));
    seeds.push(("segment_index", contents.swap_remove(0)));
    let file = disk.read_file(&segment::file_name(0, 1)).expect("the segment is there");
    seeds.push(("segment_index", file));
    seeds.push(("segment_tail", tail_of(&disk, size)));
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
}
