//! Wrong keys, a bucket or folder that is not there, and a server that is away are different
//! things to do something about; none of them takes longer than its deadline or shows a key.

use std::net::TcpListener;

use chronolith_engine::{SegmentStore, StoreError, StoreProblem};
use chronolith_tier::{ObjectSegments, Secret, StoreSettings};

use crate::place::{SECRET, Server, open, settings_of};

const OBJECT: &str = "home/segments/2026-01/000000000001.seg";

/// What each call fails with.
fn failures(settings: &StoreSettings) -> Vec<StoreError> {
    let store = open(settings);
    let failures = vec![
        store.put(OBJECT, b"content", &|| true).unwrap_err(),
        store.get_range(OBJECT, 0, 1).unwrap_err(),
        store.list("home/").unwrap_err(),
    ];
    for failure in &failures {
        let text = failure.to_string();
        assert!(text.contains(&store.describe()), "{text}");
        assert!(!text.contains(SECRET) && !text.contains("not-the-secret"), "{text}");
    }
    failures
}

#[test]
fn wrong_keys_are_refused() {
    let Some(server) = Server::start() else { return };
    let wrong_secret =
        StoreSettings { secret_key: Some(Secret::new("not-the-secret")), ..server.settings() };
    let wrong_id = StoreSettings { access_key: Some(Secret::new("nobody")), ..server.settings() };
    for settings in [wrong_secret, wrong_id] {
        for failure in failures(&settings) {
            assert!(matches!(failure.problem, StoreProblem::Refused(_)), "{failure}");
            assert!(failure.to_string().contains("check the keys"), "{failure}");
            assert!(!failure.to_string().contains("nobody"), "{failure}");
        }
        // Without a body in the answer it is refused all the same.
        let failure = open(&settings).size(OBJECT).unwrap_err();
        assert!(matches!(failure.problem, StoreProblem::Refused(_)), "{failure}");
    }
}

#[test]
fn a_bucket_that_is_not_there_is_named() {
    let Some(server) = Server::start() else { return };
    let settings =
        StoreSettings { url: "s3://no-such-bucket/cars".to_owned(), ..server.settings() };
    for failure in failures(&settings) {
        assert!(failure.to_string().contains("NoSuchBucket"), "{failure}");
        assert!(failure.to_string().contains("make the bucket"), "{failure}");
    }
}

#[test]
fn a_server_that_is_away_is_unreachable_until_it_is_back() {
    let Some(mut server) = Server::start() else { return };
    let settings = StoreSettings { deadline_s: 2, ..server.settings() };
    let store = open(&settings);
    store.put(OBJECT, b"content", &|| true).unwrap();
    server.kill();
    for failure in failures(&settings) {
        assert!(matches!(failure.problem, StoreProblem::Unreachable(_)), "{failure}");
        assert!(failure.to_string().contains("try again"), "{failure}");
    }
    server.run();
    assert_eq!(store.get_range(OBJECT, 0, 7).unwrap(), b"content");
}

#[test]
fn a_server_that_says_nothing_is_given_up_at_the_deadline() {
    // Connections are taken by the system, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = StoreSettings {
        endpoint: Some(format!("http://{}", silent.local_addr().unwrap())),
        region: Some("us-east-1".to_owned()),
        access_key: Some(Secret::new("somebody")),
        secret_key: Some(Secret::new("not-the-secret")),
        deadline_s: 1,
        ..StoreSettings::new("s3://fleet/cars")
    };
    for failure in failures(&settings) {
        assert!(matches!(failure.problem, StoreProblem::Unreachable(_)), "{failure}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_unreachable_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("mounted");
    let settings = settings_of(&place);
    for failure in failures(&settings) {
        assert!(matches!(failure.problem, StoreProblem::Unreachable(_)), "{failure}");
        assert!(failure.to_string().contains("mount"), "{failure}");
    }
    assert!(!place.exists());
    std::fs::create_dir(&place).unwrap();
    let store = open(&settings);
    store.put(OBJECT, b"content", &|| true).unwrap();
    assert_eq!(std::fs::read(place.join(OBJECT)).unwrap(), b"content");
}

#[test]
fn settings_that_name_no_store_are_refused() {
    let refused =
        |settings: StoreSettings| ObjectSegments::open(&settings).unwrap_err().to_string();
    let half = StoreSettings {
        access_key: Some(Secret::new("somebody")),
        ..StoreSettings::new("s3://fleet")
    };
    assert!(refused(half).contains("set both"));
    let far = StoreSettings {
        endpoint: Some("http://192.0.2.1:9000".to_owned()),
        ..StoreSettings::new("s3://fleet")
    };
    assert!(refused(far).contains("allow_http"));
    for deadline_s in [0, 1_000_000] {
        let settings = StoreSettings { deadline_s, ..StoreSettings::new("s3://fleet") };
        assert!(refused(settings).contains("seconds"));
    }
}
