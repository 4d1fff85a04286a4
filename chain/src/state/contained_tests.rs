//! What panics in here is an error, what panics in callers is theirs, and a flipped bit is seen.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Contained, FORMAT, FileError, Table};

const ROWS: Table = Table("rows");

fn filled() -> Contained {
    let mut tables = Contained::in_memory().unwrap();
    let mut write = |key: &[u8], value: &[u8]| {
        tables.write(|writing| writing.table(ROWS)?.insert(key, value)).unwrap();
    };
    write(b"a", b"1");
    write(b"b", b"2");
    tables
}

#[test]
fn a_panic_is_an_error_that_names_the_file_and_the_store_refuses_all_after_it() {
    let mut tables = filled();
    let view = tables.view(ROWS).unwrap();
    assert_eq!(view.get(b"a").unwrap().unwrap(), b"1");
    let broken = tables.read::<(), FileError>(|_| panic!("assertion of a page failed"));
    let text = broken.unwrap_err().to_string();
    assert!(text.contains("the memory") && text.contains("assertion of a page"), "{text}");
    assert!(text.contains("join by a snapshot"), "{text}");
    for refused in [
        view.get(b"a").map(drop),
        view.scan(b"", None, &mut |_, _| true),
        tables.read(|_| Ok(())),
        tables.write(|_| Ok(())),
        tables.view(ROWS).map(drop),
    ] {
        assert!(matches!(refused, Err(FileError::Broken { .. })), "{refused:?}");
    }
}

#[test]
fn a_panic_while_writing_leaves_what_was_there() {
    let mut tables = filled();
    let broken = tables.write::<(), FileError>(|writing| {
        writing.table(ROWS)?.insert(b"c", b"3")?;
        panic!("in the middle")
    });
    assert!(matches!(broken, Err(FileError::Broken { .. })), "{broken:?}");
}

#[test]
fn a_panic_of_who_is_called_back_goes_on_and_breaks_nothing() {
    let tables = filled();
    let view = tables.view(ROWS).unwrap();
    let scan = || view.scan(b"", None, &mut |_, _| std::panic::resume_unwind(Box::new(7_u8)));
    let panicked = catch_unwind(AssertUnwindSafe(scan)).unwrap_err();
    assert_eq!(panicked.downcast_ref::<u8>(), Some(&7));
    let mut seen = 0;
    view.scan(b"", None, &mut |_, _| {
        // Who is called may ask again.
        seen += usize::from(view.get(b"b").unwrap().is_some());
        true
    })
    .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn another_key_table_value_or_format_is_seen() {
    let sealed = ROWS.sealed(b"key", b"value");
    let shared = filled();
    let shared = &shared.shared;
    assert_eq!(shared.checked(ROWS, b"key", &sealed).unwrap(), b"value");
    assert!(shared.checked(ROWS, b"kex", &sealed).is_err());
    assert!(shared.checked(ROWS, b"", &sealed).is_err());
    assert!(shared.checked(Table("others"), b"key", &sealed).is_err());
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(shared.checked(ROWS, b"key", &flipped).is_err(), "bit {bit}");
    }
    for length in 0..sealed.len() {
        let cut = shared.checked(ROWS, b"key", &sealed[..length]);
        assert!(matches!(cut, Err(FileError::Damaged { table: "rows", .. })));
    }
    let tables = filled();
    tables.check_format(FORMAT).unwrap();
    let other = tables.check_format(FORMAT + 1).unwrap_err();
    assert!(matches!(other, FileError::OtherVersion { found, known, .. } if found == known + 1));
}
