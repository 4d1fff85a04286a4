//! Of a header that is canonical and encrypted the ledger reads what it needs; everything else is
//! refused with its place.

use chronolith_keys::{
    ChunkSlot, HEADER_BYTES_MAX, HeaderProblem, HeaderView, MetricIdentity, TreeId,
};
use ipld_core::cid::Cid;
use ipld_core::ipld::Ipld;
use proptest::prelude::*;

type Fields = std::collections::BTreeMap<String, Ipld>;

fn map<const N: usize>(entries: [(&str, Ipld); N]) -> Ipld {
    Ipld::Map(entries.map(|(key, value)| (key.to_owned(), value)).into())
}

fn fields() -> Fields {
    let body: Cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku".parse().unwrap();
    let tags = map([("unit", "km/h".to_owned().into()), ("a", "1".to_owned().into())]);
    let encryption = map([
        ("scheme", Ipld::Integer(1)),
        ("tree", Ipld::Bytes(vec![5; 32])),
        ("commitment", Ipld::Bytes(vec![6; 32])),
    ]);
    let text = |text: &str| Ipld::String(text.to_owned());
    let fields = map([
        ("v", Ipld::Integer(1)),
        ("kind", text("f64")),
        ("level", Ipld::Integer(3)),
        ("window_ns", Ipld::Integer(3_600_000_000_000)),
        ("window", Ipld::Integer(-490_000)),
        ("generation", Ipld::Integer(1)),
        ("part", Ipld::Integer(2)),
        ("supersedes", Ipld::Null),
        ("encryption", encryption),
        ("body", Ipld::Link(body)),
        ("body_bytes", Ipld::Integer(70_000)),
        ("producer", Ipld::Bytes(vec![9; 32])),
        ("device", text("car-17")),
        ("name", text("speed")),
        ("tags", tags),
        ("unit", text("")),
        ("place", Ipld::List(vec![Ipld::Integer(4_812), Ipld::Integer(-1_157)])),
        ("metadata", map([("note", text("by hand"))])),
        ("first", Ipld::Integer(-1)),
        ("last", Ipld::Integer(i64::MAX.into())),
        ("count", Ipld::Integer(3_600)),
        ("codec", text("grid/decimal")),
    ]);
    match fields {
        Ipld::Map(fields) => fields,
        _ => unreachable!(),
    }
}

fn encode(fields: &Fields) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(&Ipld::Map(fields.clone())).unwrap()
}

fn problem(bytes: &[u8]) -> HeaderProblem {
    let error = HeaderView::from_bytes(bytes).unwrap_err();
    assert!(error.offset <= bytes.len() && !error.to_string().is_empty());
    error.problem
}

/// The problem of a header with one field changed.
fn changed(field: &str, value: Option<Ipld>) -> HeaderProblem {
    let mut fields = fields();
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => fields.remove(field),
    };
    problem(&encode(&fields))
}

#[test]
fn what_the_ledger_needs_is_read() {
    let bytes = encode(&fields());
    let view = HeaderView::from_bytes(&bytes).unwrap();
    assert_eq!(view.window_ns, 3_600_000_000_000);
    assert_eq!(view.slot, ChunkSlot { window: -490_000, generation: 1, part: 2 });
    assert_eq!((view.encryption.tree, view.encryption.commitment), (TreeId([5; 32]), [6; 32]));
    let tags = vec![("a", "1"), ("unit", "km/h")];
    assert_eq!(view.metric, Some(MetricIdentity { device: "car-17", name: "speed", tags }));
}

#[test]
fn a_header_that_hides_its_metric_shows_none() {
    let mut hidden = fields();
    let shown =
        ["device", "name", "tags", "unit", "place", "metadata", "first", "last", "count", "codec"];
    for field in shown {
        hidden.remove(field);
    }
    assert_eq!(problem(&encode(&hidden)), HeaderProblem::Missing { field: "device" });
    hidden.insert("pseudonym".to_owned(), Ipld::Bytes(vec![3; 32]));
    assert_eq!(HeaderView::from_bytes(&encode(&hidden)).unwrap().metric, None);
    let both = changed("pseudonym", Some(Ipld::Bytes(vec![3; 32])));
    assert_eq!(both, HeaderProblem::Unknown, "hidden and named at once");
}

#[test]
fn what_is_no_header_of_an_encrypted_chunk_is_refused_by_its_reason() {
    for field in ["v", "window_ns", "window", "generation", "part", "encryption", "name", "tags"] {
        assert_eq!(changed(field, None), HeaderProblem::Missing { field });
    }
    assert_eq!(changed("v", Some(Ipld::Integer(2))), HeaderProblem::Version { found: 2 });
    assert_eq!(changed("more", Some(Ipld::Null)), HeaderProblem::Unknown);
    for (field, value) in [
        ("window", Ipld::Integer(i128::from(i64::MAX) + 1)),
        ("window", Ipld::String("1".to_owned())),
        ("generation", Ipld::Integer(-1)),
        ("part", Ipld::Integer(1 << 32)),
        ("device", Ipld::Bytes(vec![1])),
        ("tags", Ipld::List(Vec::new())),
        ("pseudonym", Ipld::Bytes(vec![1; 31])),
    ] {
        assert!(matches!(changed(field, Some(value)), HeaderProblem::Kind { .. }), "{field}");
    }
    let clear = map([("scheme", Ipld::Integer(0))]);
    assert_eq!(changed("encryption", Some(clear)), HeaderProblem::Clear);
    let tree = || ("tree", Ipld::Bytes(vec![5; 32]));
    let commitment = || ("commitment", Ipld::Bytes(vec![6; 32]));
    let scheme = |scheme| ("scheme", Ipld::Integer(scheme));
    let missing = |field| HeaderProblem::Missing { field };
    for (encryption, expected) in [
        (map([scheme(2), tree(), commitment()]), HeaderProblem::Scheme { found: 2 }),
        (map([scheme(1), tree()]), missing("commitment")),
        (map([scheme(1), commitment()]), missing("tree")),
        (map([tree(), commitment()]), missing("scheme")),
        (map([scheme(1), tree(), commitment(), ("x", Ipld::Null)]), HeaderProblem::Unknown),
    ] {
        assert_eq!(changed("encryption", Some(encryption)), expected);
    }
    let nested = (0..6).fold(Ipld::Null, |inner, _| Ipld::List(vec![inner]));
    assert_eq!(changed("place", Some(nested)), HeaderProblem::Deep);
    assert_eq!(changed("first", Some(Ipld::Float(1.5))), HeaderProblem::NotCanonical);
    let long = vec![0; HEADER_BYTES_MAX + 1];
    assert_eq!(problem(&long), HeaderProblem::TooLong { found: HEADER_BYTES_MAX + 1 });
}

#[test]
fn every_cut_and_every_tail_is_refused() {
    let mut bytes = encode(&fields());
    for length in 0..bytes.len() {
        assert_eq!(problem(&bytes[..length]), HeaderProblem::Truncated, "{length}");
    }
    bytes.push(0);
    assert_eq!(problem(&bytes), HeaderProblem::Trailing);
}

#[test]
fn other_encodings_of_the_same_values_are_refused() {
    // {"v": 1}, and what CBOR but not DAG-CBOR allows for it.
    let missing = |bytes: &[u8]| assert!(matches!(problem(bytes), HeaderProblem::Missing { .. }));
    missing(b"\xA1\x61v\x01");
    for bytes in [
        b"\xB8\x01\x61v\x01".as_slice(),
        b"\xBF\x61v\x01\xFF",
        b"\xA1\x78\x01v\x01",
        b"\xA1\x7F\x61v\xFF\x01",
        b"\xA1\x61v\x18\x01",
        b"\xA1\x61v\x19\x00\x01",
        b"\xA2\x61v\x01\x61v\x01",
        // A longer key before a shorter one; a tag that is not a link; a link that is none.
        b"\xA2\x64unit\x60\x61v\x01",
        b"\xA2\x61v\x01\x64body\xC1\x01",
        b"\xA2\x61v\x01\x64body\xD8\x2A\x41\x01",
        b"\xA2\x61v\x01\x64body\xF7",
    ] {
        assert_eq!(problem(bytes), HeaderProblem::NotCanonical, "{bytes:02x?}");
    }
    assert_eq!(problem(b"\xA2\x61v\x01\x64unit\x61\xFF"), HeaderProblem::NotText);
    assert!(matches!(problem(b"\xA1\x41v\x01"), HeaderProblem::Kind { .. }));
}

proptest! {
    #[test]
    fn what_is_read_is_canonical(at in 0_usize..5_000, byte: u8) {
        let mut bytes = encode(&fields());
        let at = at % bytes.len();
        // What a link holds is passed over, and serde_ipld_dagcbor drops what follows a content id.
        let link = bytes.windows(5).position(|part| part == b"\x64body").unwrap();
        prop_assume!(!(link..link + 46).contains(&at));
        bytes[at] = byte;
        if HeaderView::from_bytes(&bytes).is_ok() {
            let again: Ipld = serde_ipld_dagcbor::from_slice(&bytes).unwrap();
            prop_assert_eq!(serde_ipld_dagcbor::to_vec(&again).unwrap(), bytes);
        }
    }
}
