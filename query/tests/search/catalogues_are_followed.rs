//! An index that follows a database step by step answers as one that is built anew, and as the
//! chunks that the database lists.

use std::collections::BTreeSet;
use std::path::Path;

use chronolith_engine::{
    Db, Definition, Durability, Kind, Level, Maintenance, Metric, Options, SealScope, Selector,
};
use chronolith_query::search::{
    Answer, CatalogueSource, Followed, GeoBox, Request, SearchIndex, Sort, Target,
};

const START_NS: i64 = 1_767_225_600_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;

pub(crate) fn open(path: &Path) -> Db {
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    Db::open(path, options).unwrap()
}

/// Writes some hours of a device: speed, and where it is.
pub(crate) fn drive(db: &Db, device: &str, first_hour: i64, hours: i64, place: (f64, f64)) {
    let metric = |name: &str| Metric::new(device, name).tag("class", "fleet");
    let define = |name: &str, unit: &str| {
        db.define(Definition::new(metric(name), Kind::F64).unit(unit)).unwrap()
    };
    let metrics = [define("speed", "km/h"), define("gps_lat", "°"), define("gps_lon", "°")];
    let mut batch = db.batch();
    for hour in first_hour..first_hour + hours {
        for minute in 0..60 {
            let time_ns = START_NS + hour * HOUR_NS + minute * 60_000_000_000;
            let step = (hour * 60 + minute) as f64 * 1e-4;
            for (metric, value) in metrics.iter().zip([50.0, place.0 + step, place.1 + step]) {
                batch.push(*metric, time_ns, value).unwrap();
            }
        }
    }
    db.write(&batch, Durability::Buffered).unwrap();
}

/// What is asked after every step.
fn requests() -> Vec<Request> {
    let munich = GeoBox::new(48.0, 11.0, 48.5, 12.0).unwrap();
    let mut all = Vec::new();
    for target in [Target::Metric, Target::Device, Target::Chunk] {
        for text in ["", "speed", "car class:fleet -lat", "unit:\"km/h\"", "speeds device:car-2"] {
            for (from_ns, to_ns) in [
                (i64::MIN, i64::MAX),
                (START_NS + HOUR_NS, START_NS + 2 * HOUR_NS),
                (START_NS + 30 * HOUR_NS, i64::MAX),
            ] {
                for place in [None, Some(munich)] {
                    let sort = Sort::Freshness;
                    let text = text.to_owned();
                    let limit = 1_000;
                    let request = Request {
                        text,
                        target,
                        from_ns,
                        to_ns,
                        place,
                        sort,
                        limit,
                        ..Request::default()
                    };
                    all.push(request);
                }
            }
        }
    }
    all
}

/// The answers to all requests.
pub(crate) fn answers(index: &SearchIndex) -> Vec<Answer> {
    requests().iter().map(|request| index.search(request).unwrap()).collect()
}

/// Compares with an index that is built anew, and with the chunks that the database lists.
fn check(db: &Db, index: &SearchIndex, folder: &Path, step: usize) {
    let mut anew = SearchIndex::open(folder.join(format!("anew-{step}"))).unwrap();
    assert_eq!(anew.follow(&CatalogueSource::new(db)).unwrap(), Followed::Rebuilt);
    for ((request, found), expected) in requests().iter().zip(answers(index)).zip(answers(&anew)) {
        assert_eq!(found, expected, "step {step}: {request:?}");
    }
    let request = Request { target: Target::Chunk, limit: 10_000, ..Request::default() };
    let found: BTreeSet<String> = index
        .search(&request)
        .unwrap()
        .hits
        .into_iter()
        .map(|hit| hit.chunk.unwrap().cid)
        .collect();
    let mut expected = BTreeSet::new();
    for id in db.select(&Selector::all()).unwrap() {
        let chunks = db.chunks(id, ..).unwrap().into_iter();
        expected.extend(chunks.filter(|c| c.body.is_some()).map(|c| c.cid.to_string()));
    }
    assert_eq!(found, expected, "step {step}");
}

#[test]
fn every_step_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = open(&path);
    let folder = path.join("search");
    let mut steps = 0;
    let mut follow = |expected: Followed| {
        // Opened anew each time, as commands do.
        let mut index = SearchIndex::open(&folder).unwrap();
        assert_eq!(index.follow(&CatalogueSource::new(&db)).unwrap(), expected, "step {steps}");
        check(&db, &index, directory.path(), steps);
        steps += 1;
        index
    };
    follow(Followed::Rebuilt);
    follow(Followed::Unchanged);
    drive(&db, "car-1", 0, 5, (48.1, 11.5));
    follow(Followed::Updated);
    db.seal(SealScope::All).unwrap();
    follow(Followed::Updated);
    drive(&db, "car-2", 2, 40, (52.5, 13.4));
    db.seal(SealScope::All).unwrap();
    follow(Followed::Updated);
    // Late records amend a window.
    drive(&db, "car-1", 3, 4, (48.2, 11.6));
    db.seal(SealScope::All).unwrap();
    db.compact().unwrap();
    follow(Followed::Updated);
    // Deleted records take their chunks and places along once they are gone.
    let lat = db.select(&Selector::all().device("car-1").name("gps_lat")).unwrap();
    db.delete(&lat, START_NS..START_NS + 2 * HOUR_NS).unwrap();
    follow(Followed::Unchanged);
    db.compact().unwrap();
    follow(Followed::Updated);
    // A definition that is amended.
    let speed = Metric::new("car-2", "speed").tag("class", "fleet");
    let mut definition = Definition::new(speed, Kind::F64).unit("m/s");
    definition.metadata.insert("region".into(), "Berlin".into());
    db.define(definition.clone()).unwrap();
    let index = follow(Followed::Updated);
    let berlin = Request { text: "region:berlin unit:m/s".into(), ..Request::default() };
    assert_eq!(index.search(&berlin).unwrap().total, 1);
    // A metric that is hidden from now on.
    db.define(definition.level(Level::Secret)).unwrap();
    let index = follow(Followed::Rebuilt);
    assert_eq!(index.search(&berlin).unwrap().total, 0);
}

#[test]
fn an_index_of_another_database_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("search");
    for name in ["one", "two"] {
        let db = open(&directory.path().join(name));
        drive(&db, name, 0, 2, (0.0, 0.0));
        db.seal(SealScope::All).unwrap();
        let mut index = SearchIndex::open(&folder).unwrap();
        assert_eq!(index.follow(&CatalogueSource::new(&db)).unwrap(), Followed::Rebuilt);
        let request = Request { target: Target::Device, ..Request::default() };
        let hits = index.search(&request).unwrap().hits;
        assert_eq!(hits.iter().map(|hit| hit.device.as_str()).collect::<Vec<_>>(), [name]);
    }
}

#[test]
fn who_cannot_change_the_index_searches_what_was_committed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = open(&path);
    drive(&db, "car-1", 0, 2, (0.0, 0.0));
    db.seal(SealScope::All).unwrap();
    let folder = path.join("search");
    std::fs::create_dir_all(&folder).unwrap();
    // Another process that is at work.
    let held = std::fs::File::create(folder.join("LOCK")).unwrap();
    held.lock().unwrap();
    let request = Request { target: Target::Chunk, ..Request::default() };
    let mut index = SearchIndex::open(&folder).unwrap();
    assert!(index.search(&request).is_err());
    assert_eq!(index.follow(&CatalogueSource::new(&db)).unwrap(), Followed::InMemory);
    assert_eq!(index.search(&request).unwrap().total, 6);
    held.unlock().unwrap();
    let mut index = SearchIndex::open(&folder).unwrap();
    assert_eq!(index.follow(&CatalogueSource::new(&db)).unwrap(), Followed::Rebuilt);
    held.lock().unwrap();
    drive(&db, "car-2", 0, 1, (0.0, 0.0));
    db.seal(SealScope::All).unwrap();
    assert_eq!(index.follow(&CatalogueSource::new(&db)).unwrap(), Followed::Behind);
    assert_eq!(index.search(&request).unwrap().total, 6);
    held.unlock().unwrap();
    assert_eq!(index.follow(&CatalogueSource::new(&db)).unwrap(), Followed::Updated);
    assert_eq!(index.search(&request).unwrap().total, 9);
}
