//! Definitions of metrics and the key-value state: what is loaded when a database is opened.

use chronolith_disk::{Disk, SimDisk};

use crate::db;
use crate::encoding::{Reader, put_bytes, put_varint};
use crate::model::Definition;
use crate::protect::{Clear, Purpose};
use crate::record;
use crate::registry::codec::{put_defined, read_defined};
use crate::registry::{self, Defined, Registry};

use super::{disk_with, two_definitions};

pub(super) fn assert_same_definitions(left: &[Defined], right: &[Defined]) {
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

pub(super) fn seeds(seeds: &mut Vec<(&'static str, Vec<u8>)>) {
    let definitions = two_definitions();
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
}
