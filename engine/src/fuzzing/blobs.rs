//! Blobs.

use std::io::Read;
use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};

use crate::blob::{self, BlobReader, BlockList};
use crate::model::BlobRef;
use crate::protect::{Clear, Purpose};
use crate::record;

use super::{deep, disk_with, split};

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

pub(super) fn seeds(seeds: &mut Vec<(&'static str, Vec<u8>)>) {
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
    seeds.push(("blob_list", [&4000_u16.to_le_bytes()[..], &deep()].concat()));
}
