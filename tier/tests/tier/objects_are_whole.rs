//! What is stored is read back byte by byte, small and large, and is gone when it is removed.

use chronolith_engine::{SegmentStore, StoreProblem};

use crate::place::{open, places};

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn objects_of_any_length_come_back_whole_and_in_parts() {
    for place in places() {
        let store = open(&place.settings);
        // One request, the limit of it, and several parts.
        for len in [1, 1_000, 8 << 20, (8 << 20) + 1, (17 << 20) + 5] {
            let (object, content) = (format!("home/segments/2026-01/{len:012}.seg"), bytes(len));
            assert_eq!(store.size(&object).unwrap(), None, "{} {len}", place.name);
            store.put(&object, &content, &|| true).unwrap();
            assert_eq!(store.size(&object).unwrap(), Some(len as u64), "{} {len}", place.name);
            assert!(store.get_range(&object, 0, len as u64).unwrap() == content, "{len}");
            let at = len / 2;
            let part = store.get_range(&object, at as u64, 1).unwrap();
            assert_eq!(part, content[at..=at], "{} {len}", place.name);
            // In place of one that is there.
            let other = vec![7; 10];
            store.put(&object, &other, &|| true).unwrap();
            assert_eq!(store.get_range(&object, 0, 10).unwrap(), other, "{} {len}", place.name);
            store.remove(&object).unwrap();
            store.remove(&object).unwrap();
            assert_eq!(store.size(&object).unwrap(), None, "{} {len}", place.name);
            let gone = store.get_range(&object, 0, 1).unwrap_err();
            assert_eq!(gone.problem, StoreProblem::Missing, "{}: {gone}", place.name);
        }
    }
}

#[test]
fn a_folder_of_objects_is_listed_and_no_other() {
    for place in places() {
        let store = open(&place.settings);
        let name = |home: &str, number: usize| format!("{home}/segments/2026-01/{number:012}.seg");
        let mut expected: Vec<String> = (0..30).map(|number| name("ab-cd", number)).collect();
        for object in expected.iter().chain([&name("ab-ce", 1), &name("ab", 1)]) {
            store.put(object, b"content", &|| true).unwrap();
        }
        let mut listed = store.list("ab-cd/").unwrap();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected, "{}", place.name);
        assert_eq!(store.list("none/").unwrap(), Vec::<String>::new(), "{}", place.name);
        listed.iter().for_each(|object| store.remove(object).unwrap());
        assert_eq!(store.list("ab-cd/").unwrap(), Vec::<String>::new(), "{}", place.name);
    }
}

#[test]
fn an_upload_that_is_stopped_leaves_no_object() {
    for place in places() {
        let store = open(&place.settings);
        let (object, content) = ("home/segments/2026-01/000000000001.seg", bytes(20 << 20));
        let parts = std::cell::Cell::new(0);
        let go_on = || {
            parts.set(parts.get() + 1);
            parts.get() < 3
        };
        let error = store.put(object, &content, &go_on).unwrap_err();
        assert_eq!(error.problem, StoreProblem::Stopped, "{}", place.name);
        assert_eq!(store.size(object).unwrap(), None, "{}", place.name);
        assert_eq!(store.list("home/").unwrap(), Vec::<String>::new(), "{}", place.name);
        store.put(object, &content, &|| true).unwrap();
        assert!(store.get_range(object, 0, content.len() as u64).unwrap() == content);
    }
}
