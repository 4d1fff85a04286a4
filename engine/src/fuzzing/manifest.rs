//! The manifest, records and the key file.

use chronolith_disk::{Disk, SimDisk};

use crate::keys::{self, ProducerKey};
use crate::manifest::{self, Manifest, RetentionRule, RunRecord, SegmentRecord, Tombstone};
use crate::protect::{Clear, Purpose};
use crate::record;
use crate::wal::recovery::LogEnd;

use super::{SECOND_NS, Swap, a_deletion, deep, disk_with};

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

pub(super) fn seeds(seeds: &mut Vec<(&'static str, Vec<u8>)>) {
    let manifest = Manifest {
        database: vec![1; 16],
        last_file: 7,
        clean_end: Some(LogEnd { file: 1, offset: 60 }),
        last_log: Some(2),
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
        tombstones: vec![Tombstone { deletion: a_deletion(), sequence: 4 }],
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
    seeds.push(("manifest", deep()));

    seeds.push(("record", vec![0, 1, 2, 3, 4]));
    seeds.push(("record", vec![1, 200, 3, 4, 5, 6, 7, 8]));
    seeds.push(("record", [&b"CLKEY\0\x01\0\0"[..], &[9; 32]].concat()));
}
