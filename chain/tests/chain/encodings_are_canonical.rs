//! A value has one encoding, and nothing else decodes.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, DecodeReason, Keyed, List, Rising, Text, decode, encode};
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq, BorshSerialize, BorshDeserialize)]
struct Entry {
    key: u16,
    value: u8,
}

impl Keyed for Entry {
    type Key = u16;

    fn key(&self) -> u16 {
        self.key
    }
}

#[derive(Debug, Clone, PartialEq, BorshSerialize, BorshDeserialize)]
struct Everything {
    flag: bool,
    option: Option<u32>,
    text: Text<8>,
    bytes: Bytes<8>,
    list: List<u8, 4>,
    set: Rising<Entry, 4>,
    amount: u128,
    address: Address,
}

const LIMIT: usize = 200;

fn reason(bytes: &[u8]) -> DecodeReason {
    decode::<Everything>("everything", bytes, LIMIT).unwrap_err().reason
}

fn sample() -> Everything {
    let entry = |key| Entry { key, value: 1 };
    Everything {
        flag: true,
        option: Some(7),
        text: Text::new("speed").unwrap(),
        bytes: Bytes::new([1, 2]).unwrap(),
        list: List::new([9, 8]).unwrap(),
        set: Rising::new([entry(5), entry(3)]).unwrap(),
        amount: 1 << 100,
        address: Address([3; 32]),
    }
}

#[test]
fn what_is_not_canonical_is_refused_with_a_reason() {
    let bytes = encode(&sample());
    assert_eq!(decode::<Everything>("everything", &bytes, LIMIT).unwrap(), sample());
    for end in 0..bytes.len() {
        assert_eq!(reason(&bytes[..end]), DecodeReason::Truncated, "cut at {end}");
    }
    let mut longer = bytes.clone();
    longer.extend([0, 0]);
    assert_eq!(reason(&longer), DecodeReason::Trailing { count: 2 });
    let too_large = DecodeReason::TooLarge { limit: LIMIT, found: LIMIT + 1 };
    assert_eq!(reason(&[0; LIMIT + 1]), too_large);
    let change = |at: usize, to: u8| {
        let mut changed = bytes.clone();
        changed[at] = to;
        reason(&changed)
    };
    assert_eq!(change(0, 2), DecodeReason::Invalid, "a flag");
    assert_eq!(change(1, 2), DecodeReason::Invalid, "an option");
    assert_eq!(change(6, 9), DecodeReason::TooLong { limit: 8, found: 9 }, "a text");
    assert_eq!(change(9, 255), DecodeReason::TooLong { limit: 8, found: 0xff00_0005 });
    assert_eq!(change(10, 0xff), DecodeReason::NotText);
    assert_eq!(change(10, b'\n'), DecodeReason::NotText);
    let set = bytes.len() - 32 - 16 - 6;
    assert_eq!(change(set, 5), DecodeReason::NotRising, "a duplicate");
    assert_eq!(change(set, 6), DecodeReason::NotRising, "unsorted");
    let places = decode::<Everything>("everything", &bytes[..20], LIMIT).unwrap_err();
    assert_eq!(places.to_string(), "everything, at byte 20: the bytes end too early");
}

#[test]
fn values_that_do_not_fit_cannot_be_made() {
    assert!(Text::<3>::new("four").is_err());
    assert!(Text::<9>::new("two\nlines").is_err());
    assert!(Bytes::<3>::new([0; 4]).is_err());
    assert!(List::<u8, 3>::new([0; 4]).is_err());
    let twice = [Entry { key: 1, value: 1 }, Entry { key: 1, value: 2 }];
    assert!(Rising::<_, 3>::new(twice).is_err());
    let mut list = List::<u8, 1>::default();
    assert!(list.push(1).is_ok() && list.push(2).is_err());
    assert!(ContentId::from_bytes([0; 36]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever decodes is exactly what it encodes to again: there is no second encoding.
    #[test]
    fn nothing_has_two_encodings(mut bytes in prop::collection::vec(any::<u8>(), 0..120), at: usize) {
        let again = |bytes: &[u8]| match decode::<Everything>("everything", bytes, LIMIT) {
            Ok(value) => encode(&value) == bytes,
            Err(_) => true,
        };
        prop_assert!(again(&bytes));
        // And near a valid one.
        let mut valid = encode(&sample());
        let at = at % valid.len();
        for byte in bytes.drain(..) {
            valid[at] = byte;
            prop_assert!(again(&valid));
        }
    }
}
