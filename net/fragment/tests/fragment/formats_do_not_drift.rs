//! What is hashed, masked and sent stays what it is.

use chronolith_fragment::{Encoder, MaskSecret, Profile, Shape, Shown};
use chronolith_merkle::HashFunction;

use crate::bytes;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn roots_commitments_and_answers_are_those_of_the_first_version() {
    let secret = MaskSecret::new([9; 32]);
    let mut found = vec![hex(&secret.commitment()), hex(secret.key(0).as_bytes())];
    for profile in Profile::ALL {
        let shape = Shape::of(profile, 20_000).unwrap();
        let encoded = Encoder::new(shape).unwrap().encode(&bytes(20_000, 5), &secret).unwrap();
        let fragment = &encoded.fragments()[usize::from(profile.needed())];
        let shown = Shown::of(shape, fragment, &fragment.tree(), 1..2).unwrap().to_bytes();
        found.push(format!(
            "{profile} {} {}",
            hex(&encoded.root()),
            hex(&HashFunction::Sha256.digest(&shown))
        ));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden.txt");
    if std::env::var_os("CHRONOLITH_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, found.join("\n") + "\n").unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found.join("\n"), expected.trim_end(), "formats changed");
}
