//! Doors to the readers of what others send, and of the log that keeps it; see `search::fuzzing`.

use std::sync::Arc;

use chronolith_disk::{Disk, DiskFile, SimDisk};
use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};

use super::car::{self, CarReader};
use super::codec::{get, put};
use super::entry::{Bounds, Provenance};
use super::log::{FILE, Log, START};
use super::store::{Change, RemoteStore};
use crate::bytes::Bytes;

/// The operations of a batch: what reads is written the same, and a store reads it or says why not.
pub(crate) fn operations(data: &[u8]) {
    let (mut bytes, mut again) = (Bytes::new(data), Vec::new());
    while !bytes.is_empty() {
        let Ok(operation) = get(&mut bytes) else { break };
        put(&mut again, &operation);
    }
    assert!(data.starts_with(&again), "what was read is written otherwise");
    let disk = SimDisk::new();
    let written = Log::begin(&disk, [7; 16]).and_then(|mut log| {
        log.write(data)?;
        log.finish(&disk)
    });
    assert!(written.is_ok());
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let Ok(mut store) = RemoteStore::open_on(Arc::clone(&disk), Bounds::default()) else { return };
    let kept = store.statistics();
    assert!(store.compact().is_ok());
    let now = store.statistics();
    assert_eq!((kept.headers, kept.offers), (now.headers, now.offers));
}

/// A whole log: it is read, or there is an error with a place.
pub(crate) fn log(data: &[u8]) {
    let disk = SimDisk::new();
    let written = disk.open(FILE).and_then(|file| DiskFile::append(&*file, data));
    assert!(written.is_ok());
    let disk: Arc<dyn Disk> = Arc::new(disk);
    drop(RemoteStore::open_on(Arc::clone(&disk), Bounds::default()));
    drop(super::live::repair_on(disk));
}

/// A header that somebody sent under its own content id, and a file of blocks.
pub(crate) fn told(data: &[u8]) {
    let cid = content_id(DAG_CBOR, HashFunction::Sha256, data);
    let disk = Arc::new(SimDisk::new());
    if let Ok(mut store) = RemoteStore::open_on(disk.clone(), Bounds::default()) {
        let (bytes, provenance) = (data.to_vec(), Provenance::told("fuzzer"));
        let taken = store.apply([Change::Header { cid, bytes, provenance }]);
        if taken.is_ok_and(|taken| taken.iter().all(Result::is_ok)) {
            assert_eq!(store.header_bytes(&cid).ok().flatten().as_deref(), Some(data));
        }
    }
    if let Ok(mut reader) = CarReader::new(data) {
        while let Ok(Some((_, block))) = reader.next_block() {
            assert!(block.is_none_or(|block| block.len() <= data.len()));
        }
    }
    let _ = car::is_car(data);
}

/// Real batches, logs, headers and files of blocks to begin with.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let header = super::samples::header();
    let bytes = header.to_bytes();
    let mut seeds = Vec::new();
    for operation in super::samples::operations(&bytes) {
        let mut batch = Vec::new();
        put(&mut batch, &operation);
        seeds.push(("remote_operations", batch));
    }
    let disk = SimDisk::new();
    let told = || Provenance::told("peer");
    if let Ok(mut store) = RemoteStore::open_on(Arc::new(disk.clone()), Bounds::default()) {
        let (cid, bytes) = (content_id(DAG_CBOR, HashFunction::Sha256, &bytes), bytes.clone());
        let offer = super::samples::offer();
        drop(store.apply([Change::Header { cid, bytes, provenance: told() }]));
        drop(store.apply([Change::Offer { offer, provenance: told() }]));
    }
    if let Ok(log) = disk.read_file(FILE) {
        let mut both = Vec::new();
        if let Ok(Some(log)) = Log::open(&disk, false) {
            drop(log.for_each(START, &mut |batch| {
                both.extend_from_slice(&batch.content);
                Ok(())
            }));
        }
        seeds.extend([("remote_log", log), ("remote_operations", both)]);
    }
    let mut blocks = Vec::new();
    let cid = content_id(DAG_CBOR, HashFunction::Sha256, &bytes);
    drop(car::begin(&mut blocks).and_then(|()| car::put(&mut blocks, &cid, &bytes)));
    seeds.extend([("remote_told", bytes), ("remote_told", blocks)]);
    seeds
}
