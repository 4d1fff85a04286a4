//! Random documents and random requests: the index finds what looking at every document finds, in
//! the order that was asked for, and counts the same.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_engine::{Kind, Level};
use chronolith_query::search::{
    Answer, Axis, Facet, FacetCounts, GeoBox, Hit, Request, SearchIndex, Sort, Subject, Target,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::oracle::{Conditions, Documents, Meaning, Name, chunk};

const COIN: u128 = 1_000_000_000_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;
const WORDS: [&str; 8] = ["speed", "fuel", "rpm", "Door", "km", "bus", "Lamp", "can2"];
const DEVICES: [&str; 4] = ["car-1", "car-17", "Truck-1", "bus"];

fn name() -> impl Strategy<Value = String> {
    let joined = |parts: Vec<&str>, between: &str| parts.join(between);
    (prop::collection::vec(select(&WORDS[..]), 1..3), select(&["_", ".", "", " "][..]))
        .prop_map(move |(parts, between)| joined(parts, between))
}

fn subject() -> impl Strategy<Value = Subject> {
    let place = prop::option::weighted(0.2, (-80.0..80.0_f64, -180.0..180.0_f64));
    // Motes, of which 10^18 are a coin: more than 64 bits hold.
    let price = select(&[0, 1, 2, 3, 20 * COIN, 21 * COIN, (1 << 64) - 1, 1 << 64][..]);
    let price = prop::option::weighted(0.4, price);
    let classes = select(&["fleet", "", "obd"][..]);
    let levels = select(&[Level::Regular, Level::Bulk][..]);
    let units = select(&["km/h", "", "K"][..]);
    let kinds = select(&[Kind::F64, Kind::Text][..]);
    let axis = select(&[None, None, None, Some(Axis::Latitude), Some(Axis::Longitude)][..]);
    let parts = (name(), select(&DEVICES[..]), classes, name(), units, levels, kinds);
    (parts, place, price, axis).prop_map(|(parts, place, price, axis)| {
        let (metric, device, class, note, unit, level, kind) = parts;
        let mut tags = BTreeMap::from([("class".to_owned(), class.to_owned())]);
        tags.retain(|_, value| !value.is_empty());
        let mut metadata = BTreeMap::from([("note".to_owned(), note)]);
        metadata.extend(price.map(|price| ("price".to_owned(), price.to_string())));
        Subject {
            number: 0,
            device: device.to_owned(),
            metric,
            tags,
            metadata,
            unit: unit.to_owned(),
            kind,
            level,
            place: place.filter(|_| axis.is_none()),
            axis,
            producer: String::new(),
        }
    })
}

/// Chunks as (which subject, window, length in hours, least value, reach of values, hidden).
type Part = (usize, i64, i64, f64, f64, bool);

/// Least values: coordinates, some at the ends and some that cannot be.
fn low() -> impl Strategy<Value = f64> {
    prop_oneof![6 => -90.0..90.0_f64, 1 => select(&[-180.0, 180.0, 90.0, -90.0, 179.9][..]),
                1 => -500.0..500.0_f64]
}

fn documents() -> impl Strategy<Value = Documents> {
    let parts = (0..30_usize, -60..60_i64, 0..900_i64, low(), 0.0..60.0, any::<u8>());
    let parts = parts.prop_map(|(subject, window, hours, low, reach, hidden)| {
        let hours = if hours < 800 { hours % 30 } else { hours * 20 };
        (subject, window, hours, low, reach, hidden < 20)
    });
    let subjects = prop::collection::vec(subject(), 1..30);
    (subjects, prop::collection::vec(parts, 0..120)).prop_map(|(mut subjects, parts)| {
        for (number, subject) in subjects.iter_mut().enumerate() {
            subject.number = number as u32;
            // The same metric twice would be one.
            subject.tags.insert("n".to_owned(), format!("x{number}"));
        }
        let chunks = parts.into_iter().enumerate().map(|(at, part): (usize, Part)| {
            let (subject, window, hours, low, reach, is_hidden) = part;
            let subject = &subjects[subject % subjects.len()];
            let first = window * 6 * HOUR_NS + at as i64;
            let mut made = chunk(subject, at as i64, (first, first + hours * HOUR_NS));
            made.records = 1 + at as u32;
            made.bounds = subject.axis.map(|axis| (axis, (low, low + reach)));
            if is_hidden {
                (made.subject, made.bounds, made.records) = (None, None, 0);
                made.level = Level::Secret;
            }
            made
        });
        let chunks = chunks.collect();
        Documents { subjects, chunks }
    })
}

fn word() -> impl Strategy<Value = String> {
    select(
        &["speed", "fuel", "rpm", "door", "km", "bus", "lamp", "can", "2", "can2", "car", "x"][..],
    )
    .prop_map(str::to_owned)
}

fn meaning() -> impl Strategy<Value = Meaning> {
    let labels = select(
        &[
            ("class", "fleet"),
            ("class", "obd"),
            ("device", "car-1"),
            ("device", "truck-1"),
            ("unit", "km/h"),
            ("level", "3"),
            ("type", "f64"),
            ("n", "x1"),
        ][..],
    );
    let leaf = prop_oneof![
        4 => word().prop_map(Meaning::Word),
        1 => select(&["s", "fu", "c", "ca", "zz"][..]).prop_map(|p| Meaning::Prefix(p.to_owned())),
        1 => prop::collection::vec(word(), 2..3).prop_map(Meaning::Phrase),
        2 => labels.prop_map(|(k, v)| Meaning::Label(k.to_owned(), v.to_owned())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Meaning::Not(Box::new(part))),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Meaning::All),
            prop::collection::vec(inner, 1..3).prop_map(Meaning::Any),
        ]
    })
}

fn conditions() -> impl Strategy<Value = Conditions> {
    // Large boxes, small ones and points, also at the poles and across the 180th meridian.
    let size = prop_oneof![0.0..90.0_f64, 0.0..3.0_f64, Just(0.0)];
    let south = prop_oneof![-90.0..60.0_f64, Just(90.0), Just(-90.0)];
    let west = prop_oneof![-180.0..180.0_f64, Just(179.75), Just(-180.0), Just(180.0)];
    let height = prop_oneof![size.clone(), 100.0..180.0_f64];
    let geo = (south, height, west, prop_oneof![size, 0.0..359.0_f64]);
    let geo = geo.prop_map(|(south, height, west, width)| {
        let east = if west + width > 180.0 { west + width - 360.0 } else { west + width };
        GeoBox::new(south, west, (south + height).min(90.0), east).unwrap()
    });
    let range = prop_oneof![
        Just((i64::MIN, i64::MAX)),
        (-400..400_i64, 0..900_i64).prop_map(|(first, hours)| {
            let from_ns = first * HOUR_NS;
            (from_ns, from_ns + hours * HOUR_NS)
        }),
        (-30..30_i64).prop_map(|day| (day * DAY_NS, i64::MAX)),
    ];
    let prices = select(&[(0, 2), (3, 20 * COIN), (1 << 64, u128::MAX), (0, u128::MAX)][..]);
    let prices = prop::option::weighted(0.2, prices);
    (prop::option::weighted(0.8, meaning()), range, prop::option::weighted(0.4, geo), prices)
        .prop_map(|(meaning, range, place, price)| Conditions { meaning, range, place, price })
}

fn name_of(target: Target, hit: &Hit) -> Name {
    match target {
        Target::Device => Name::Device(hit.device.clone()),
        Target::Metric => Name::Metric(hit.device.clone(), hit.metric.clone(), hit.tags.clone()),
        Target::Chunk => Name::Chunk(hit.chunk.clone().unwrap().cid),
        Target::Offer => panic!("offers are compared elsewhere"),
    }
}

fn is_in_order(sort: Sort, hits: &[Hit]) -> bool {
    let key = |hit: &Hit| -> i128 {
        match sort {
            Sort::Time => hit.span_ns.map_or(i64::MAX, |(first, _)| first).into(),
            Sort::Freshness => hit.span_ns.map_or(i64::MAX, |(_, last)| !last).into(),
            Sort::Relevance => -i128::from(hit.score.to_bits()),
            Sort::Price => hit.price.map_or(i128::MAX, |price| price as i128),
        }
    };
    hits.is_sorted_by_key(key)
}

fn check(documents: &Documents, index: &SearchIndex, target: Target, conditions: &Conditions) {
    let mut request = Request {
        text: conditions.meaning.as_ref().map_or(String::new(), Meaning::text),
        target,
        from_ns: conditions.range.0,
        to_ns: conditions.range.1,
        place: conditions.place,
        price: conditions.price.map(|(least, most)| least..=most),
        limit: 1_000,
        counts: vec![Facet::Class, Facet::Level],
        ..Request::default()
    };
    let expected = documents.names(target, conditions);
    for sort in [Sort::Freshness, Sort::Time, Sort::Price, Sort::Relevance] {
        request.sort = sort;
        let answer = index.search(&request).unwrap();
        let found: BTreeSet<Name> = answer.hits.iter().map(|hit| name_of(target, hit)).collect();
        assert_eq!(found, expected, "{:?} {:?}", request.text, conditions);
        assert_eq!((answer.total, answer.hits.len()), (found.len() as u64, found.len()));
        assert!(is_in_order(sort, &answer.hits), "{sort:?}: {:?}", answer.hits);
        check_pages(index, &request, &answer);
    }
    request.sort = Sort::Freshness;
    let answer = index.search(&request).unwrap();
    assert_eq!(answer.counts, counted(documents, target, conditions), "{:?}", request.text);
    if target == Target::Metric {
        for hit in &answer.hits {
            let of = |subject: &&Subject| {
                subject
                    .tags
                    .get("n")
                    .is_some_and(|n| hit.tags.iter().any(|(k, v)| k == "n" && v == n))
            };
            let subject = documents.subjects.iter().find(of).unwrap();
            let chunks = documents.chunks(conditions);
            let mine: Vec<_> =
                chunks.iter().filter(|chunk| chunk.subject == Some(subject.number)).collect();
            let first = mine.iter().map(|chunk| chunk.first_ns).min();
            let last = mine.iter().map(|chunk| chunk.last_ns).max();
            assert_eq!(hit.span_ns, first.zip(last));
            assert_eq!(hit.chunks, mine.len() as u64);
            assert_eq!(hit.records, mine.iter().map(|c| u64::from(c.records)).sum::<u64>());
        }
    }
}

/// Pages put together are the whole list.
fn check_pages(index: &SearchIndex, request: &Request, whole: &Answer) {
    let mut paged = Vec::new();
    while paged.len() < whole.hits.len() {
        let page = Request { offset: paged.len(), limit: 7, ..request.clone() };
        let hits = index.search(&page).unwrap().hits;
        assert!(!hits.is_empty() && hits.len() <= 7);
        paged.extend(hits);
    }
    assert_eq!(paged, whole.hits);
}

fn counted(documents: &Documents, target: Target, conditions: &Conditions) -> Vec<FacetCounts> {
    let values = |facet: Facet| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut devices = BTreeSet::new();
        match target {
            Target::Chunk => {
                for chunk in documents.chunks(conditions) {
                    let value = match chunk.subject {
                        Some(number) => facet.of(&documents.subjects[number as usize]),
                        None => (facet == Facet::Level).then(|| chunk.level.number().to_string()),
                    };
                    *counts.entry(value.unwrap_or_default()).or_default() += 1;
                }
            }
            _ => {
                for subject in documents.metrics(conditions) {
                    let value = facet.of(subject).unwrap_or_default();
                    if target == Target::Metric
                        || devices.insert((subject.device.clone(), value.clone()))
                    {
                        *counts.entry(value).or_default() += 1;
                    }
                }
            }
        }
        counts.remove("");
        let mut values: Vec<(String, u64)> = counts.into_iter().collect();
        values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        FacetCounts { facet, values }
    };
    [Facet::Class, Facet::Level].map(values).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn what_is_found_is_what_fits(
        documents in documents(),
        asked in prop::collection::vec((conditions(), 0..3_usize), 1..12),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut index = SearchIndex::open(folder.path().join("search")).unwrap();
        index.follow(&documents).unwrap();
        for (conditions, target) in asked {
            let target = [Target::Metric, Target::Device, Target::Chunk][target];
            // Without documents that have it, a key is unknown, which is an error.
            let has_key = documents.subjects.iter().any(|subject| subject.tags.contains_key("n"));
            prop_assume!(has_key);
            check(&documents, &index, target, &conditions);
        }
    }
}
