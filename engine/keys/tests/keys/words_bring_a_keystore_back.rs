//! Recovery words open a keystore whose passphrase is forgotten, and say what is wrong with them.

use chronolith_keys::{Keystore, Secret, TreeId, Unlock, WordsError, Wrap};
use proptest::prelude::*;

use crate::keystores_open_with_their_passphrase::QUICK;
use crate::random::{Random, tree};

proptest! {
    #[test]
    fn every_secret_comes_back_from_its_words(bytes: [u8; 32]) {
        let words = Secret::new(bytes).to_words();
        prop_assert_eq!(words.split(' ').count(), 24);
        let again = Secret::from_words(&words).unwrap();
        prop_assert_eq!(again.bytes(), &bytes);
        let spread = words.to_uppercase().replace(' ', " \n\t");
        let again = Secret::from_words(&spread).unwrap();
        prop_assert_eq!(again.bytes(), &bytes);
    }

    #[test]
    fn nothing_that_is_typed_is_a_panic(words in "([a-z]{1,9}|\\PC){0,30}( ([a-z]{1,9}|\\PC)){0,30}") {
        let _ = Secret::from_words(&words);
    }
}

/// By the test vectors of BIP-39 (trezor/python-mnemonic, vectors.json).
#[test]
fn the_words_are_those_of_the_standard() {
    let zero = format!("{}art", "abandon ".repeat(23));
    let seven = format!("{}title", "legal winner thank year wave sausage worth useful ".repeat(2))
        .replace("title", "legal winner thank year wave sausage worth title");
    let high =
        format!("{}bless", "letter advice cage absurd amount doctor acoustic avoid ".repeat(2))
            .replace("bless", "letter advice cage absurd amount doctor acoustic bless");
    let ones = format!("{}vote", "zoo ".repeat(23));
    for (byte, words) in [(0, zero), (0x7F, seven), (0x80, high), (0xFF, ones)] {
        assert_eq!(*Secret::new([byte; 32]).to_words(), words);
        assert_eq!(Secret::from_words(&words).unwrap().bytes(), &[byte; 32]);
    }
}

#[test]
fn the_words_open_what_is_under_a_forgotten_passphrase_and_a_new_one_is_set() {
    let random = &mut Random(1);
    let forgotten = Wrap::Passphrase { passphrase: b"forgotten", cost: QUICK };
    let mut keystore = Keystore::generate(forgotten, random).unwrap();
    keystore.insert(tree(1)).unwrap();
    let (paper, file) = (keystore.wrapping_key().to_words(), keystore.to_bytes(random).unwrap());

    let key = Secret::from_words(&paper).unwrap();
    let mut opened = Keystore::from_bytes(&file, Unlock::WrappingKey(key)).unwrap();
    opened.rewrap(Wrap::Passphrase { passphrase: b"new", cost: QUICK }, random).unwrap();
    let file = opened.to_bytes(random).unwrap();
    let opened = Keystore::from_bytes(&file, Unlock::Passphrase(b"new")).unwrap();
    assert!(opened.tree(&TreeId([1; 32])).is_some());
    assert_eq!(opened.wrapping_key().to_words(), paper, "the paper is still good");
}

#[test]
fn wrong_words_are_refused_by_their_place_and_are_not_repeated() {
    let words = Secret::new([7; 32]).to_words();
    let refused = |words: &str| Secret::from_words(words).unwrap_err();
    assert_eq!(refused(""), WordsError::Count { found: 0 });
    let short = words.rsplit_once(' ').unwrap().0;
    assert_eq!(refused(short), WordsError::Count { found: 23 });
    assert_eq!(refused(&format!("{} zoo", &*words)), WordsError::Count { found: 25 });
    let other = |at: usize, word: &str| {
        let mut words: Vec<_> = words.split(' ').collect();
        words[at] = word;
        refused(&words.join(" "))
    };
    for word in ["abondon", "abandonabandon", "äbandon", "..."] {
        let error = other(4, word);
        assert_eq!(error, WordsError::Unknown { position: 5 });
        assert!(!error.to_string().contains(word));
    }
    let mut exchanged: Vec<_> = words.split(' ').collect();
    assert_ne!(exchanged[0], exchanged[1]);
    exchanged.swap(0, 1);
    assert_eq!(refused(&exchanged.join(" ")), WordsError::Checksum);
}
