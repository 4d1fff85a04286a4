//! Files that the first version wrote are read, and written again byte for byte.

use std::path::Path;

use chronolith_chain::simulate::Random;
use chronolith_fragment::{MaskSecret, Profile};
use chronolith_net::car::{read_pack, write_items, write_pack};
use chronolith_net::join::Collector;
use chronolith_net::pack::Pack;
use chronolith_net::stored::StoredFragment;

use crate::fixture::small_body;

/// Compares with a golden file; with CHRONOLITH_WRITE_GOLDEN it is written anew.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    if std::env::var_os("CHRONOLITH_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let found = std::fs::read(&path).unwrap();
    assert!(found == bytes, "{name} is written differently");
    found
}

#[test]
fn packs_fragments_and_car_files_are_those_of_the_first_version() {
    let body = small_body(&mut Random::new(77), 3, 300);
    let secret = MaskSecret::new([5; 32]);
    let (pack, encoded) = Pack::make(body, Profile::Lab, &secret).unwrap();
    let file = golden("pack.car", &write_pack(Vec::new(), &pack).unwrap());
    assert_eq!(read_pack(&file[..]).unwrap(), pack);
    golden("items.car", &write_items(Vec::new(), &pack).unwrap());
    let mut collector = Collector::new(pack.header().clone());
    let (id, shape) = (pack.content_id(), pack.header().shape);
    for fragment in encoded.into_fragments().into_iter().skip(2) {
        let name = format!("{}.fragment", fragment.index);
        let bytes = StoredFragment { pack: id, shape, fragment }.to_bytes();
        assert!(collector.offer((), &golden(&name, &bytes)));
    }
    assert_eq!(collector.join(|index| Some(secret.key(index))).unwrap(), pack);
}
