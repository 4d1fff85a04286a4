//! Of a metric whose level hides it, the index shows what its public headers show: window, level
//! and kind.

use chronolith_engine::{Definition, Durability, Kind, Level, Metric, SealScope};
use chronolith_query::search::{CatalogueSource, Request, SearchIndex, Target};

use crate::catalogues_are_followed::open;

const START_NS: i64 = 1_767_225_600_000_000_000;

#[test]
fn names_of_hidden_metrics_are_in_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = open(&path);
    let metric = Metric::new("vinwba123", "heartbeatx").tag("owner", "personx");
    let mut definition = Definition::new(metric, Kind::F64).unit("unitx").level(Level::Secret);
    definition.metadata.insert("notex".into(), "textx".into());
    let hidden = db.define(definition).unwrap();
    let open_metric = db.define(Definition::new(Metric::new("car-1", "speed"), Kind::F64)).unwrap();
    let mut batch = db.batch();
    for id in [hidden, open_metric] {
        batch.push(id, START_NS + 1_234_567_890_123, 7.5).unwrap();
    }
    db.write(&batch, Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    let mut index = SearchIndex::open(path.join("search")).unwrap();
    index.follow(&CatalogueSource::new(&db)).unwrap();
    let chunks = |text: &str| {
        let text = text.to_owned();
        let request = Request { text, target: Target::Chunk, ..Request::default() };
        index.search(&request).unwrap().hits
    };
    assert_eq!(chunks("").len(), 2);
    let secret = chunks("level:1 type:f64");
    assert_eq!(secret.len(), 1);
    let shown = secret[0].chunk.as_ref().unwrap();
    assert!(shown.is_hidden && shown.cid.starts_with("bafyrei"));
    assert_eq!((secret[0].device.as_str(), secret[0].records), ("", 0));
    assert_eq!(secret[0].span_ns, Some((START_NS, START_NS + 3_600_000_000_000 - 1)));
    assert_eq!(index.search(&Request::default()).unwrap().total, 1, "one metric is open");
    let mut files = 0;
    for entry in std::fs::read_dir(path.join("search/index")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for name in ["vinwba", "heartbeat", "personx", "unitx", "notex", "textx"] {
            let found =
                bytes.windows(name.len()).any(|part| part.eq_ignore_ascii_case(name.as_bytes()));
            assert!(!found, "{name}");
        }
        files += 1;
    }
    assert!(files > 4);
}
