//! Whatever is typed, there is an answer or an error that says where it cannot be read.

use chronolith_query::search::{Request, SearchError, SearchIndex, Target};
use proptest::prelude::*;

use crate::oracle::{Documents, chunk};

fn index() -> (tempfile::TempDir, SearchIndex) {
    let subject = chronolith_query::search::Subject {
        number: 0,
        device: "car-1".into(),
        metric: "speed_mph".into(),
        tags: [("class".to_owned(), "fleet".to_owned())].into(),
        metadata: [("note".to_owned(), "x".repeat(100_000))].into(),
        unit: "mile/h".into(),
        kind: chronolith_engine::Kind::F64,
        level: chronolith_engine::Level::Bulk,
        place: None,
        axis: None,
        producer: String::new(),
    };
    let chunks = (0..10).map(|window| chunk(&subject, window, (window, window))).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut index = SearchIndex::open(folder.path().join("search")).unwrap();
    index.follow(&Documents { subjects: vec![subject], chunks }).unwrap();
    (folder, index)
}

fn ask(index: &SearchIndex, text: &str) -> Result<u64, SearchError> {
    let request = Request { text: text.to_owned(), ..Request::default() };
    let chunks = Request { target: Target::Chunk, ..request.clone() };
    index.search(&chunks)?;
    index.search(&request).map(|answer| answer.total)
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let (_folder, index) = index();
    for (text, place, part) in [
        ("speed \"mph", "character 7", "not closed"),
        ("devise:car-1", "character 1", "did you mean device?"),
        ("speed colour:red", "character 7", "no field or tag"),
        ("((speed)", "character 1", "not closed"),
        ("speed OR", "character 7", "between"),
    ] {
        let problem = ask(&index, text).unwrap_err().to_string();
        assert!(problem.contains(place) && problem.contains(part), "{text}: {problem}");
    }
    assert_eq!(ask(&index, "speed class:FLEET Note:*").unwrap(), 1);
}

#[test]
fn huge_and_strange_texts_are_bounded() {
    let (_folder, index) = index();
    let a = "a ".repeat(1_000);
    for text in [
        a.as_str(),
        &"(".repeat(4_096),
        &"-".repeat(4_096),
        &"a*".repeat(2_000),
        &"\"".repeat(4_095),
        &"ä".repeat(2_000),
        &"x".repeat(1 << 20),
        &format!("{}a{}", "(".repeat(40), ")".repeat(40)),
        &"*".repeat(4_000),
    ] {
        let _ = ask(&index, text);
    }
    for text in ["*", "**", "s*", "\u{0}", "\u{202e}speed", "....", "\"\"", "-speed", "’", "١٢٣"]
    {
        ask(&index, text).unwrap();
    }
    let far = Request { offset: usize::MAX, ..Request::default() };
    assert!(index.search(&far).unwrap_err().to_string().contains("more than"));
    let wide = Request { limit: usize::MAX, offset: 0, ..Request::default() };
    assert!(index.search(&wide).is_err());
    let backwards = Request { from_ns: 1, to_ns: 0, ..Request::default() };
    assert!(index.search(&backwards).is_err());
}

#[test]
fn a_typing_error_is_answered_with_a_suggestion() {
    let (_folder, index) = index();
    let suggestion = |text: &str| {
        let request = Request { text: text.to_owned(), ..Request::default() };
        index.search(&request).unwrap().suggestion
    };
    assert_eq!(suggestion("sped class:fleet").as_deref(), Some("speed class:fleet"));
    assert_eq!(suggestion("device:car-1 flete").as_deref(), Some("device:car-1 fleet"));
    assert_eq!(suggestion("zebra"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn any_text_is_answered_or_refused(text in "[a-z \"()*:\\-OR\u{0}ä=/.]{0,60}") {
        thread_local! {
            static INDEX: (tempfile::TempDir, SearchIndex) = index();
        }
        INDEX.with(|(_, index)| {
            if let Err(error) = ask(index, &text) {
                assert!(matches!(error, SearchError::Query { .. }), "{text:?}: {error}");
            }
        });
    }
}
