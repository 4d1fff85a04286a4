//! Whatever others tell: it is refused with a reason, or it is bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::chunk::ChunkHeader;
use chronolith_merkle::{DAG_CBOR, HashFunction, RAW, content_id};
use chronolith_query::search::remote::car::{self, CarReader};
use chronolith_query::search::remote::{
    Bounds, Change, Offer, OfferId, Provenance, Refused, RemoteSource, RemoteStore, Taken, Trust,
};
use chronolith_query::search::{Facet, Request, SearchIndex, Target};
use proptest::prelude::*;

use crate::told::{header, named, offer, provenance};

fn store(bounds: Bounds) -> (Arc<SimDisk>, RemoteStore) {
    let disk = Arc::new(SimDisk::new());
    let store = RemoteStore::open_on(disk.clone(), bounds).unwrap();
    (disk, store)
}

fn tell(store: &mut RemoteStore, header: &ChunkHeader) -> Result<Taken, Refused> {
    let (cid, bytes) = named(header);
    let change = Change::Header { cid, bytes, provenance: Provenance::told("peer") };
    store.apply([change]).unwrap().remove(0)
}

#[test]
fn headers_that_cannot_be_are_refused_with_the_reason() {
    let (_, mut store) = store(Bounds::default());
    let good = header(1, 5, 0, 0);
    type Spoil = fn(&mut ChunkHeader);
    let spoilt: [(Spoil, &str); 14] = [
        (|h| h.window_ns = 0, "windows of 0 ns"),
        (|h| h.window_ns = i64::MAX, "windows of"),
        (|h| h.window = i64::MIN, "outside of all times"),
        (|h| h.body_bytes = u64::MAX, "a body of"),
        (|h| h.supersedes = Some(0), "replaces itself"),
        (|h| h.level = chronolith_engine::Level::Secret, "names are hidden"),
        (|h| h.pseudonym = Some([1; 32]), "not a chunk header"),
        (|h| h.shown.as_mut().unwrap().device = "x".repeat(1_025), "the device has 1025"),
        (|h| h.shown.as_mut().unwrap().unit = "x".repeat(2_000), "the unit has 2000"),
        (
            |h| {
                let tags = (0..65).map(|n| (format!("k{n}"), "v".to_owned()));
                h.shown.as_mut().unwrap().tags = tags.collect();
            },
            "the list of tags has 65",
        ),
        (
            |h| {
                let note = BTreeMap::from([("note".to_owned(), "x".repeat(70_000))]);
                h.shown.as_mut().unwrap().metadata = note;
            },
            "the metadata has 70004",
        ),
        (
            |h| {
                let note = BTreeMap::from([("note".to_owned(), "x".repeat(300_000))]);
                h.shown.as_mut().unwrap().metadata = note;
            },
            "a header has 300",
        ),
        (|h| h.shown.as_mut().unwrap().count = 1 << 40, "1099511627776 records"),
        (|h| h.shown.as_mut().unwrap().last_ns = i64::MAX, "outside of its window"),
    ];
    for (spoil, part) in spoilt {
        let mut bad = good.clone();
        spoil(&mut bad);
        let refused = tell(&mut store, &bad).unwrap_err().to_string();
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let (cid, bytes) = named(&good);
    let other = named(&header(1, 6, 0, 0)).0;
    for (cid, bytes, expected) in [
        (other, bytes.clone(), "not those that"),
        (content_id(RAW, HashFunction::Sha256, &bytes), bytes.clone(), "not the content id"),
        (content_id(DAG_CBOR, HashFunction::Sha256, b"x"), b"x".to_vec(), "not a chunk header"),
        (cid::Cid::default(), Vec::new(), "not the content id"),
        (cid, [&bytes[..], &[0]].concat(), "not those that"),
    ] {
        let change = Change::Header { cid, bytes, provenance: Provenance::told("peer") };
        let refused = store.apply([change]).unwrap().remove(0).unwrap_err().to_string();
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    // More than told, and nothing that says where.
    let lie = Provenance { trust: Trust::Proved, ..Provenance::told("peer") };
    let change = Change::Header { cid, bytes: bytes.clone(), provenance: lie };
    assert!(store.apply([change]).unwrap()[0].is_err());
    assert_eq!(store.statistics().headers, 0);
    // By either hash function it is taken, and told twice it is known.
    assert_eq!(tell(&mut store, &good), Ok(Taken::New));
    assert_eq!(tell(&mut store, &good), Ok(Taken::Known));
    let cid = good.content_id(HashFunction::Blake3);
    let change = Change::Header { cid, bytes, provenance: Provenance::told("peer") };
    assert_eq!(store.apply([change]).unwrap(), [Ok(Taken::New)]);
}

#[test]
fn offers_that_cannot_be_are_refused_with_the_reason() {
    let (_, mut store) = store(Bounds::default());
    type Spoil = fn(&mut Offer);
    let spoilt: [(Spoil, &str); 7] = [
        (|o| o.until_ns = Some(o.from_ns), "ends before it begins"),
        (|o| o.price.coin.clear(), "no coin"),
        (|o| o.owner = "x".repeat(257), "the owner has 257"),
        (|o| o.metrics = vec!["m".to_owned(); 33], "the list of metrics has 33"),
        (|o| o.listing.devices = vec!["d".to_owned(); 65], "the list of devices has 65"),
        (|o| o.listing.description = "x".repeat(20_000), "the description has 20000"),
        (|o| drop(o.listing.tags.insert("k".repeat(2_000), "v".to_owned())), "a tag has 2000"),
    ];
    for (spoil, part) in spoilt {
        let mut bad = offer(1, 1, 1);
        spoil(&mut bad);
        let change = Change::Offer { offer: bad, provenance: Provenance::told("peer") };
        let refused = store.apply([change]).unwrap().remove(0).unwrap_err().to_string();
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert_eq!(store.statistics().offers, 0);
}

#[test]
fn nobody_fills_the_store() {
    let bounds = Bounds {
        headers: 12,
        headers_of_one: 8,
        metrics: 3,
        offers: 4,
        offers_of_one: 3,
        closed: 5,
        ..Bounds::default()
    };
    let (disk, mut store) = store(bounds);
    let headers = |from: &'static str, device: u8| {
        (0..20).map(move |window| {
            let (cid, bytes) = named(&header(device, window, 0, 0));
            Change::Header { cid, bytes, provenance: Provenance::told(from) }
        })
    };
    let taken = |results: Vec<Result<Taken, Refused>>| results.iter().filter(|r| r.is_ok()).count();
    assert_eq!(taken(store.apply(headers("one", 0)).unwrap()), 8);
    assert_eq!(taken(store.apply(headers("two", 1)).unwrap()), 4);
    let refused = store.apply(headers("three", 2)).unwrap().remove(0).unwrap_err();
    assert!(refused.to_string().contains("12 is the most"), "{refused}");
    // What is known may still be confirmed.
    let (cid, bytes) = named(&header(0, 0, 0, 0));
    let change = Change::Header { cid, bytes, provenance: provenance("chain", Trust::Proved) };
    assert_eq!(store.apply([change]).unwrap(), [Ok(Taken::Risen)]);
    store.apply([Change::ForgetTeller { from: "one".to_owned() }]).unwrap();
    let devices = (10..20).map(|device| {
        let (cid, bytes) = named(&header(device, 0, 0, 0));
        Change::Header { cid, bytes, provenance: Provenance::told("four") }
    });
    // Two metrics are left: those of "two" and the one that was proved.
    assert_eq!(taken(store.apply(devices).unwrap()), 1);
    let offers = (0..9)
        .map(|id| Change::Offer { offer: offer(id, 1, 1), provenance: Provenance::told("five") });
    assert_eq!(taken(store.apply(offers).unwrap()), 3);
    let chain = provenance("chain", Trust::Anchored);
    let closes =
        (100..120).map(|id| Change::Close { offer: OfferId([id; 32]), provenance: chain.clone() });
    store.apply(closes).unwrap();
    assert_eq!(store.statistics().closed, 5);
    drop(store);
    let (_, offers, closed) = {
        let store = RemoteStore::open_on(disk, bounds).unwrap();
        let statistics = store.statistics();
        (statistics.headers, statistics.offers, statistics.closed)
    };
    assert_eq!((offers, closed), (3, 5));
}

#[test]
fn bytes_are_bounded_and_what_is_gone_is_given_back() {
    let (disk, mut store) = store(Bounds { size_bytes: 200_000, ..Bounds::default() });
    let mut taken = 0;
    for round in 0..40_u8 {
        let mut offer = offer(round, 1, 1);
        offer.listing.description = "x".repeat(16_000);
        let id = offer.id;
        let provenance = Provenance::told("peer");
        let result = store.apply([Change::Offer { offer, provenance }]).unwrap().remove(0);
        taken += usize::from(result.is_ok());
        if round >= 20 {
            let provenance = Provenance::told("peer");
            store.apply([Change::Close { offer: id, provenance }]).unwrap();
        }
    }
    assert!((10..=13).contains(&taken), "{taken}");
    for round in 0..200_u8 {
        let mut offer = offer(50 + round % 100, round, 1);
        (offer.id.0[0], offer.id.0[1]) = (round, 255);
        offer.listing.description = "x".repeat(16_000);
        let (id, provenance) = (offer.id, Provenance::told("peer"));
        let told = Change::Offer { offer, provenance: provenance.clone() };
        store.apply([told, Change::Close { offer: id, provenance }]).unwrap();
    }
    let len = chronolith_disk::Disk::len(&*disk, "log").unwrap();
    assert!(len < 2 * 200_000 + (1 << 20) + 20_000, "{len} bytes");
}

/// A telling with as many values of a facet as there may be metrics: the counts are cut, and what is
/// asked for is still answered.
#[test]
fn many_values_of_a_facet_are_counted_and_cut() {
    let (disk, mut store) = store(Bounds { metrics: 3_000, ..Bounds::default() });
    let changes = (0..5_000_u32).map(|n| {
        let mut header = header(1, 0, 0, 0);
        let shown = header.shown.as_mut().unwrap();
        shown.device = format!("device {n} {}", "ä".repeat(400));
        shown.tags = (0..64).map(|t| (format!("t{t}-{n}"), "x".repeat(500))).collect();
        let (cid, bytes) = named(&header);
        Change::Header { cid, bytes, provenance: Provenance::told("peer") }
    });
    let results = store.apply(changes).unwrap();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3_000);
    let folder = tempfile::tempdir().unwrap();
    let mut index = SearchIndex::open(folder.path().join("search")).unwrap();
    index.follow_remote(&RemoteSource::on(disk)).unwrap();
    let counts = vec![Facet::Device, Facet::Producer];
    let request = Request { target: Target::Chunk, counts, ..Request::default() };
    let answer = index.search(&request).unwrap();
    assert_eq!((answer.total, answer.hits.len()), (3_000, 20));
    assert_eq!(answer.counts[0].values.len(), 100);
    assert_eq!(answer.counts[1].values, [("01".repeat(32), 3_000)]);
}

/// A listing that says it is somebody else's, or cheaper than it is.
#[test]
fn tags_of_a_listing_do_not_pose_as_the_ledger() {
    let (disk, mut store) = store(Bounds::default());
    let mut posing = offer(1, 1, 1);
    for (key, value) in [("owner", "chron1famous"), ("Price", "0"), ("coin", "gold")] {
        posing.listing.tags.insert(key.to_owned(), value.to_owned());
    }
    let change = Change::Offer { offer: posing, provenance: Provenance::told("peer") };
    store.apply([change]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut index = SearchIndex::open(folder.path().join("search")).unwrap();
    index.follow_remote(&RemoteSource::on(disk)).unwrap();
    for (text, expected) in
        [("owner:chron1famous", 0), ("price:0", 0), ("coin:gold", 0), ("owner:chron1owner1", 1)]
    {
        let text = text.to_owned();
        let request = Request { target: Target::Offer, text, ..Request::default() };
        assert_eq!(index.search(&request).unwrap().total, expected, "{}", request.text);
    }
}

fn car_of(headers: &[ChunkHeader]) -> Vec<u8> {
    let mut bytes = Vec::new();
    car::begin(&mut bytes).unwrap();
    for header in headers {
        let (cid, block) = named(header);
        car::put(&mut bytes, &cid, &block).unwrap();
    }
    bytes
}

#[test]
fn blocks_come_back_and_a_cut_file_says_where() {
    let headers = [header(0, 1, 0, 0), header(3, 2, 0, 0)];
    let bytes = car_of(&headers);
    // The header as go-car and js-car write it for no roots.
    assert_eq!(bytes[..18], *b"\x11\xa2eroots\x80gversion\x01");
    let mut reader = CarReader::new(&bytes[..]).unwrap();
    for header in &headers {
        let (cid, block) = named(header);
        assert_eq!(reader.next_block().unwrap(), Some((cid, Some(block))));
    }
    assert_eq!(reader.next_block().unwrap(), None);
    for end in 0..bytes.len() {
        let Ok(mut reader) = CarReader::new(&bytes[..end]) else { continue };
        let mut blocks = 0;
        let ended = loop {
            match reader.next_block() {
                Ok(Some(_)) => blocks += 1,
                Ok(None) => break true,
                Err(error) => {
                    assert!(error.to_string().contains("at byte"), "{error}");
                    break false;
                }
            }
        };
        // It ends well only between blocks.
        assert!(!ended || car_of(&headers[..blocks]) == bytes[..end], "{end}");
    }
    // A block that is too long to be a header is passed over.
    let mut bytes = car_of(&[]);
    let long = vec![7; 1 << 20];
    let cid = content_id(RAW, HashFunction::Sha256, &long);
    car::put(&mut bytes, &cid, &long).unwrap();
    let mut reader = CarReader::new(&bytes[..]).unwrap();
    assert_eq!(reader.next_block().unwrap(), Some((cid, None)));
    assert_eq!(reader.next_block().unwrap(), None);
}

proptest! {
    #[test]
    fn any_bytes_are_blocks_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let whole = [&car_of(&[])[..], &bytes].concat();
        for input in [&bytes, &whole] {
            let Ok(mut reader) = CarReader::new(&input[..]) else { continue };
            while let Ok(Some(_)) = reader.next_block() {}
        }
    }
}
