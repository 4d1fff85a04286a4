//! A contract's content id is of what it says, not of how its file looks.

use chronolith_contract::{CanonicalError, Compiled, VERSION};
use proptest::prelude::*;

use crate::example::{CONTRACT, contract, with};

/// The parts of the example's file that can stand in any order: its head, and each table with what belongs
/// to it.
fn parts() -> (String, Vec<String>) {
    let mut parts: Vec<String> = Vec::new();
    let mut head = String::new();
    for line in CONTRACT.lines() {
        if line.starts_with('[') && !line.starts_with("[[step.on]]") {
            parts.push(String::new());
        }
        let to = parts.last_mut().unwrap_or(&mut head);
        to.push_str(line);
        to.push('\n');
    }
    (head, parts)
}

#[test]
fn canonical_bytes_do_not_drift() {
    // A change of these is a new version of the format.
    assert_eq!(
        contract().cid().to_string(),
        "bafyreib52fchuadjumhi3verbmx3giz2muhmq3yfb5wp3juxsgh5zubd5q",
    );
    assert_eq!(VERSION, 1);
}

#[test]
fn comments_and_spaces_do_not_count() {
    let spaced: String = CONTRACT.lines().map(|line| format!("{line}   # a comment\n\n")).collect();
    assert_eq!(Compiled::read(&spaced).unwrap().cid(), contract().cid());
    let other = with(
        r#"tags = { axle = "1", side = "left" }"#,
        "tags.side = 'left'\ntags.axle = \"\\u0031\"",
    );
    assert_eq!(Compiled::read(&other).unwrap().cid(), contract().cid());
    let numbers = with("check_blocks = 60", "check_blocks = 0x3C");
    assert_eq!(Compiled::read(&numbers).unwrap().cid(), contract().cid());
}

#[test]
fn what_is_said_counts() {
    let changes = [
        ("check_blocks = 60", "check_blocks = 61"),
        ("level = 4", "level = 3"),
        ("round:0.5", "round:1"),
        ("eu-north", "eu-south"),
        ("parity = 2", "parity = 3"),
        ("fixed = \"2.5\"", "fixed = \"2.6\""),
        ("within = \"20 blocks\"", "within = \"21 blocks\""),
        ("coin('2.5')", "coin('2.4')"),
        ("bp = 100", "bp = 101"),
        ("https://office.example/hook", "https://office.example/hooks"),
        ("count(*)", "count(value)"),
        ("axle = \"1\"", "axle = \"2\""),
        ("about = \"rules\"", "about = \"Rules\""),
        ("revocable = true", "revocable = false"),
    ];
    let mut ids: Vec<_> = changes
        .iter()
        .map(|(from, to)| Compiled::read(&with(from, to)).unwrap().cid().to_string())
        .chain([contract().cid().to_string()])
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), changes.len() + 1);
}

#[test]
fn ways_are_taken_in_order_so_their_order_counts() {
    let one = "[[step.on]]\nevent = \"objected\"\nby = \"buyer\"\nwhen = \"answers.records < 10\"\nto = \"refunded\"\n";
    let other = "[[step.on]]\nevent = \"evidence\"\nby = \"owner\"\nto = \"settled\"\n";
    let turned = with(&format!("{one}\n{other}"), &format!("{other}\n{one}"));
    assert_ne!(Compiled::read(&turned).unwrap().cid(), contract().cid());
}

#[test]
fn canonical_bytes_read_back() {
    let contract = contract();
    let again = Compiled::from_bytes(&contract.to_bytes()).unwrap();
    assert_eq!(again.contract(), contract.contract());
    assert_eq!(again.cid(), contract.cid());
    let mut longer = contract.to_bytes();
    longer.push(0);
    assert!(matches!(Compiled::from_bytes(&longer), Err(CanonicalError::Form(_))));
    let deep = [vec![0x81; 4_000], vec![0]].concat();
    assert!(matches!(Compiled::from_bytes(&deep), Err(CanonicalError::Form(_))));
}

proptest! {
    #[test]
    fn the_order_of_tables_does_not_count(order in Just(parts().1).prop_shuffle()) {
        let (head, _) = parts();
        let file = head + &order.concat();
        prop_assert_eq!(Compiled::read(&file).unwrap().cid(), contract().cid());
    }

    #[test]
    fn no_other_bytes_are_a_contract(at: prop::sample::Index, byte: u8) {
        let mut bytes = contract().to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = Compiled::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}
