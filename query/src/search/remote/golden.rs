//! The bytes of the log, as they were: what they say must be read for ever.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};

use super::codec::{HeaderEntry, Operation, Place, ShortCid, get, put};
use super::entry::{Bounds, Provenance};
use super::log::{FILE, Log};
use super::samples::{header, operations};
use super::store::RemoteStore;
use crate::bytes::Bytes;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const OPERATIONS: [&str; 9] = [
    "010300000000000000010101010101010101010101010101010101010101010101010101010101010101\
    010101f87d07000000000001000000020000000704000000080808080808080808080808080808080102\
    0000000000000004000000706565720201070000006163636f756e7409000000000000000a0000000000\
    000006000000686561646572",
    "010300000000000000010101010101010101010101010101010101010101010101010101010101010101\
    010101f87d070000000000010000000200000000000400000066696c65000006000000686561646572",
    "020300000000000000",
    "0304000000050000000000000006000000686561646572",
    "0404000000",
    "0506000000010400000066696c6500000707070707070707070707070707070707070707070707070707\
    070707070707050000006f776e65720600000064657669636501000000050000007370656564ffffffff\
    ffffffff01000000000001000004000000636f696e000000000000000000000000100000000300000000\
    000000000000000000000004010000000500000076616e2d310100000005000000636c61737303000000\
    76616e0700000042617661726961070000004772c3b6c39f65",
    "060707070707070707070707070707070707070707070707070707070707070707010600000000000000",
    "06070707070707070707070707070707070707070707070707070707070707070700",
    "07070707070707070707070707070707070707070707070707070707070707070706000000",
];

#[test]
fn operations_are_written_as_before_and_come_back() {
    let written: Vec<String> = operations(b"header")
        .into_iter()
        .map(|operation| {
            let mut bytes = Vec::new();
            put(&mut bytes, &operation);
            let mut reader = Bytes::new(&bytes);
            assert_eq!(get(&mut reader), Ok(operation));
            assert!(reader.is_empty());
            for end in 0..bytes.len() {
                assert!(get(&mut Bytes::new(&bytes[..end])).is_err());
            }
            hex(&bytes)
        })
        .collect();
    assert_eq!(written, OPERATIONS);
}

const LOG: &str = "434c52454d4f544501000000ababababababababababababababababe48bd6a9434c524223010000b67c\
    e1995f340b6f01000000000000000001711220cd64c734a0c64953a719c2bbbe083f0fd4de8d5794f117\
    24a23da1abb2095097f87d070000000000010000000200000000000400000066696c650000d6000000ad\
    61760164626f6479d82a450001000000646b696e6463663634647061727402656c6576656c016677696e\
    646f771a00077df86870726f647563657258200505050505050505050505050505050505050505050505\
    0505050505050505056970736575646f6e796d5820060606060606060606060606060606060606060606\
    06060606060606060606066977696e646f775f6e731b0000034630b8a0006a626f64795f627974657318\
    4d6a656e6372797074696f6ea166736368656d65006a67656e65726174696f6e016a7375706572736564\
    657300";

#[test]
fn a_log_is_written_as_before_and_read() -> Result<(), Box<dyn std::error::Error>> {
    let disk = SimDisk::new();
    let bytes = header().to_bytes();
    let cid = header().content_id(chronolith_merkle::HashFunction::Sha256);
    let short = ShortCid::try_from(cid.to_bytes()).map_err(|_| "no short id")?;
    let place = Place { window: 491_000, generation: 1, part: 2, sequence: 0 };
    let provenance = Provenance::told("file");
    let (of, replaces) = (None, None);
    let entry = HeaderEntry { place, cid: short, of, replaces, provenance, bytes: &bytes };
    let mut content = Vec::new();
    put(&mut content, &Operation::Header(entry));
    let mut new = Log::begin(&disk, [0xab; 16])?;
    new.write(&content)?;
    new.finish(&disk)?;
    assert_eq!(hex(&disk.read_file(FILE)?), LOG);
    let store = RemoteStore::open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, Bounds::default())?;
    assert_eq!(store.header_bytes(&cid)?, Some(bytes));
    Ok(())
}
