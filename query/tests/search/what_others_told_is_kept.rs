//! Random tellings: the store keeps what a map keeps, over restarts and rewrites; an index that follows
//! it step by step finds what a look at everything finds, and what an index that is built anew finds.

use std::collections::BTreeSet;
use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::chunk::ChunkHeader;
use chronolith_query::search::remote::{
    Bounds, Change, Offer, Provenance, RemoteSource, RemoteStore, Trust,
};
use chronolith_query::search::{
    Answer, Facet, Followed, Origin, Request, SearchIndex, Sort, Target,
};
use proptest::prelude::*;

use crate::told::{HOUR_NS, Model, header, named, offer, provenance};

fn change() -> impl Strategy<Value = Change> {
    let trust = prop::sample::select(&Trust::ALL[..]);
    let told = (prop::sample::select(&["peer a", "peer b", "chain"][..]), trust)
        .prop_map(|(from, trust)| provenance(from, trust));
    let headers = (0..4_u8, 0..6_i64, 0..3_u32, 0..3_u8);
    let forgotten = headers.clone();
    prop_oneof![
        6 => (headers, told.clone()).prop_map(|((device, window, generation, variant), provenance)| {
            let (cid, bytes) = named(&header(device, window, generation, variant));
            Change::Header { cid, bytes, provenance }
        }),
        3 => forgotten.prop_map(|(device, window, generation, variant)| {
            Change::Forget { cid: named(&header(device, window, generation, variant)).0 }
        }),
        4 => (0..8_u8, 0..3_u8, 0..3_u8, told.clone()).prop_map(|(id, variant, listed, provenance)| {
            Change::Offer { offer: offer(id, variant, listed), provenance }
        }),
        1 => (0..8_u8, told).prop_map(|(id, provenance)| {
            Change::Close { offer: offer(id, 0, 0).id, provenance }
        }),
        1 => Just(Change::ForgetTeller { from: "peer b".to_owned() }),
    ]
}

/// Compares all that a store keeps.
fn check_store(store: &RemoteStore, model: &Model) {
    let mut headers = Vec::new();
    for (cid, from, trust) in store.headers() {
        let bytes = store.header_bytes(&cid).unwrap().unwrap();
        let header = ChunkHeader::from_bytes(&bytes).unwrap();
        assert_eq!(store.trust_of(&cid), Some(trust));
        headers.push((cid.to_bytes(), header, from.to_owned(), trust));
    }
    let expected: Vec<_> = model
        .headers
        .iter()
        .map(|(cid, kept)| (cid.clone(), kept.header.clone(), kept.from.clone(), kept.trust))
        .collect();
    assert_eq!(headers, expected);
    assert_eq!(store.offers(), model.offers.values().cloned().collect::<Vec<_>>());
    let statistics = store.statistics();
    assert_eq!(statistics.metrics as usize, model.described().len());
    assert_eq!(statistics.closed as usize, model.closed.len());
    let told: u64 = statistics.tellers.iter().map(|(_, headers, offers)| headers + offers).sum();
    assert_eq!(told, statistics.headers + statistics.offers);
}

fn cids(answer: &Answer) -> BTreeSet<String> {
    answer.hits.iter().map(|hit| hit.chunk.clone().unwrap().cid).collect()
}

fn ids(answer: &Answer) -> Vec<String> {
    answer.hits.iter().map(|hit| hit.offer.clone().unwrap().id.to_string()).collect()
}

/// Compares what an index finds of chunks and metrics.
fn check_headers(index: &SearchIndex, model: &Model) {
    let chunk = Request { target: Target::Chunk, limit: 1_000, ..Request::default() };
    for trust in Trust::ALL {
        for (from_ns, to_ns) in [(i64::MIN, i64::MAX), (HOUR_NS, 3 * HOUR_NS - 1)] {
            for origin in [Origin::Any, Origin::Remote] {
                let answer =
                    index.search(&Request { trust, from_ns, to_ns, origin, ..chunk.clone() });
                let answer = answer.unwrap();
                let fits = model.headers.values().filter(|kept| {
                    let start = kept.header.window * HOUR_NS;
                    kept.trust >= trust && start <= to_ns && start + 7 >= from_ns
                });
                let expected: BTreeSet<String> =
                    fits.map(|kept| named(&kept.header).0.to_string()).collect();
                assert_eq!(
                    (cids(&answer), answer.total as usize),
                    (expected.clone(), expected.len())
                );
                for hit in &answer.hits {
                    let kept = model.headers.values().find(|kept| {
                        named(&kept.header).0.to_string() == hit.chunk.as_ref().unwrap().cid
                    });
                    let kept = kept.unwrap();
                    let told = hit.provenance.as_ref().unwrap();
                    assert!(hit.is_remote && (&told.from, told.trust) == (&kept.from, kept.trust));
                }
            }
        }
    }
    let local = index.search(&Request { origin: Origin::Local, ..chunk.clone() }).unwrap();
    assert_eq!(local.total, 0);
    let metrics = index.search(&Request { limit: 1_000, ..Request::default() }).unwrap();
    let found: BTreeSet<_> = metrics
        .hits
        .iter()
        .map(|hit| {
            let price = hit.price.unwrap().to_string();
            (hit.producer.clone(), hit.device.clone(), hit.unit.clone(), price)
        })
        .collect();
    let expected: BTreeSet<_> = model
        .described()
        .into_iter()
        .map(|((producer, device), header)| {
            let shown = header.shown.as_ref().unwrap();
            let producer = format!("{producer:02x}").repeat(32);
            (producer, device, shown.unit.clone(), shown.metadata["price"].clone())
        })
        .collect();
    assert_eq!((found, metrics.hits.len()), (expected.clone(), expected.len()));
}

/// Compares what an index finds of offers.
fn check_offers(index: &SearchIndex, model: &Model) {
    let all = Request { target: Target::Offer, limit: 1_000, ..Request::default() };
    type Fits = fn(&Offer, &Provenance) -> bool;
    let requests: [(Request, Fits); 7] = [
        (all.clone(), |_, _| true),
        (Request { text: "deliveries".to_owned(), ..all.clone() }, |offer, _| {
            !offer.listing.description.is_empty()
        }),
        (Request { text: "region:TEXAS coin:mile".to_owned(), ..all.clone() }, |offer, _| {
            offer.listing.region == "Texas" && offer.price.coin == "mile"
        }),
        (
            Request { text: "metric:metric1 OR device:van-4".to_owned(), ..all.clone() },
            |offer, _| {
                offer.metrics.contains(&"metric1".to_owned())
                    || offer.listing.devices.contains(&"van-4".to_owned())
            },
        ),
        (Request { price: Some(2..=1 << 71), ..all.clone() }, |offer, _| {
            (2..=1 << 71).contains(&offer.price.least())
        }),
        (Request { from_ns: 16 * HOUR_NS, to_ns: 40 * HOUR_NS, ..all.clone() }, |offer, _| {
            offer.until_ns.is_none_or(|until_ns| until_ns > 16 * HOUR_NS)
        }),
        (Request { trust: Trust::Anchored, ..all.clone() }, |_, provenance| {
            provenance.trust >= Trust::Anchored
        }),
    ];
    for (request, fits) in requests {
        let expected: Vec<&(Offer, Provenance)> =
            model.offers.values().filter(|(offer, provenance)| fits(offer, provenance)).collect();
        let counts = vec![Facet::Coin, Facet::Device, Facet::Metric];
        let request = Request { sort: Sort::Price, counts, ..request };
        let answer = index.search(&request).unwrap();
        let found: BTreeSet<String> = ids(&answer).into_iter().collect();
        let wanted: BTreeSet<String> =
            expected.iter().map(|(offer, _)| offer.id.to_string()).collect();
        assert_eq!(found, wanted, "{:?}", request.text);
        assert!(answer.hits.is_sorted_by_key(|hit| hit.price.unwrap()), "{:?}", answer.hits);
        for hit in &answer.hits {
            let offer = hit.offer.as_ref().unwrap();
            let (kept, provenance) = &model.offers[&offer.id];
            assert_eq!((offer, hit.provenance.as_ref()), (kept, Some(provenance)));
        }
        for counts in &answer.counts {
            let mut expected_counts = std::collections::BTreeMap::<String, u64>::new();
            for (offer, _) in &expected {
                let values: BTreeSet<String> = counts.facet.of_offer(offer).into_iter().collect();
                for value in values {
                    *expected_counts.entry(value).or_default() += 1;
                }
            }
            let found: std::collections::BTreeMap<String, u64> =
                counts.values.iter().cloned().collect();
            assert_eq!(found, expected_counts, "{:?}", counts.facet);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn stores_and_indexes_equal_a_map(
        batches in prop::collection::vec(prop::collection::vec(change(), 0..12), 1..12),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(SimDisk::new());
        let mut model = Model::default();
        let mut index = SearchIndex::open(folder.path().join("followed")).unwrap();
        let mut store = RemoteStore::open_on(disk.clone(), Bounds::default()).unwrap();
        for (step, batch) in batches.into_iter().enumerate() {
            let expected: Vec<_> = batch.iter().map(|change| model.apply(change)).collect();
            assert_eq!(store.apply(batch).unwrap(), expected);
            if step % 3 == 1 {
                drop(store);
                store = RemoteStore::open_on(disk.clone(), Bounds::default()).unwrap();
                assert_eq!(store.torn_bytes(), 0);
            }
            if step % 4 == 2 {
                store.compact().unwrap();
            }
            check_store(&store, &model);
            let source = RemoteSource::on(disk.clone());
            index.follow_remote(&source).unwrap();
            assert_eq!(index.follow_remote(&source).unwrap(), Followed::Unchanged);
            check_headers(&index, &model);
            check_offers(&index, &model);
        }
        let mut anew = SearchIndex::open(folder.path().join("anew")).unwrap();
        assert_eq!(anew.follow_remote(&RemoteSource::on(disk)).unwrap(), Followed::Rebuilt);
        check_headers(&anew, &model);
        check_offers(&anew, &model);
    }
}

/// A search read a batch before it was on stable storage, and its index was; then the power went, and
/// other batches were written over the place. The index went on in the middle of one of them, and took
/// the log for damaged.
#[test]
fn an_index_that_is_ahead_of_the_disk_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let disk = SimDisk::new();
    let tell = |window: i64, variant: u8| {
        let (cid, bytes) = named(&header(1, window, 0, variant));
        Change::Header { cid, bytes, provenance: Provenance::told("peer") }
    };
    let mut store = RemoteStore::open_on(Arc::new(disk.clone()), Bounds::default()).unwrap();
    store.apply([tell(1, 0)]).unwrap();
    disk.lie(Some(chronolith_disk::Lie::FileSync));
    store.apply([tell(2, 0)]).unwrap();
    let mut index = SearchIndex::open(directory.path().join("search")).unwrap();
    index.follow_remote(&RemoteSource::on(Arc::new(disk.clone()))).unwrap();
    for batches in 1..4 {
        let survivor = disk.crash(chronolith_disk::CrashMode::DropUnsynced, 1);
        let mut store =
            RemoteStore::open_on(Arc::new(survivor.clone()), Bounds::default()).unwrap();
        assert_eq!(store.statistics().headers, 1);
        for batch in 0..batches {
            store.apply([tell(3 + batch, 1), tell(20 + batch, 1)]).unwrap();
        }
        let mut ahead = SearchIndex::open(directory.path().join("search")).unwrap();
        ahead.follow_remote(&RemoteSource::on(Arc::new(survivor))).unwrap();
        let request = Request { target: Target::Chunk, limit: 100, ..Request::default() };
        assert_eq!(ahead.search(&request).unwrap().total, 1 + 2 * batches as u64);
        // As it was before the power went.
        index.forget();
        index.follow_remote(&RemoteSource::on(Arc::new(disk.clone()))).unwrap();
        assert_eq!(index.search(&request).unwrap().total, 2);
    }
}

#[test]
fn a_store_that_is_gone_takes_its_headers_out_and_leaves_the_catalogue() {
    let directory = tempfile::tempdir().unwrap();
    let db = crate::catalogues_are_followed::open(&directory.path().join("db"));
    crate::catalogues_are_followed::drive(&db, "van-1", 0, 2, (48.1, 11.5));
    db.seal(chronolith_engine::SealScope::All).unwrap();
    let local = chronolith_query::search::CatalogueSource::new(&db);
    let disk = Arc::new(SimDisk::new());
    let mut store = RemoteStore::open_on(disk.clone(), Bounds::default()).unwrap();
    let (cid, bytes) = named(&header(1, 2, 0, 0));
    let provenance = Provenance::told("peer");
    store.apply([Change::Header { cid, bytes, provenance: provenance.clone() }]).unwrap();
    store.apply([Change::Offer { offer: offer(1, 1, 1), provenance }]).unwrap();
    let mut index = SearchIndex::open(directory.path().join("search")).unwrap();
    let chunk = Request { target: Target::Chunk, ..Request::default() };
    let total = |index: &SearchIndex, origin| {
        index.search(&Request { origin, ..chunk.clone() }).unwrap().total
    };
    index.follow_both(&local, &RemoteSource::on(disk.clone())).unwrap();
    assert_eq!([Origin::Any, Origin::Local, Origin::Remote].map(|o| total(&index, o)), [7, 6, 1]);
    // Devices of one name are two where their data is made by two, and only one's place is known.
    let devices = Request { target: Target::Device, text: "van".to_owned(), ..Request::default() };
    assert_eq!(index.search(&devices).unwrap().total, 2);
    let munich = chronolith_query::search::GeoBox::new(48.0, 11.0, 49.0, 12.0).unwrap();
    let inside = index.search(&Request { place: Some(munich), ..devices }).unwrap();
    assert_eq!((inside.total, inside.hits[0].is_remote), (1, false));
    // The catalogue alone leaves what was told as it is.
    assert_eq!(index.follow(&local).unwrap(), Followed::Unchanged);
    assert_eq!(total(&index, Origin::Remote), 1);
    let nothing = RemoteSource::new(&directory.path().join("nowhere")).unwrap();
    assert_eq!(index.follow_both(&local, &nothing).unwrap(), Followed::Updated);
    assert_eq!([Origin::Any, Origin::Local, Origin::Remote].map(|o| total(&index, o)), [6, 6, 0]);
    let offers = Request { target: Target::Offer, ..Request::default() };
    assert_eq!(index.search(&offers).unwrap().total, 0);
}
