//! A proved answer holds for anybody who trusts one header, and says exactly what it proves.

use std::fs;

use chronolith::answer::{
    AnchorTimes, AnswerBundle, Computed, Expected, MakeError, MakeSettings, Note, Reason, Trust,
};
use chronolith::chain::prove::Since;
use chronolith::wallet::Wallet;
use chronolith_chain::ledger::TransferDevice;
use chronolith_engine::{
    Db, Definition, Durability, Kind, Level, Maintenance, Metric, Options, SealScope,
};
use chronolith_query::QueryError;
use cpu_time::ProcessTime;
use serde_json::json as value;

use crate::proving::{MINUTE_NS, START_NS, World, check, lines, within};
use crate::run::{chronolith, expect, json};

/// The metric that most questions are about.
fn rpm() -> Metric {
    Metric::new("car-1", "rpm").tag("class", "car")
}

/// The text of the only cell of an answer with one.
fn cell(bundle: &AnswerBundle) -> String {
    String::from_utf8(bundle.rows.rows[0].to_vec()).unwrap()
}

#[test]
fn an_answer_is_computed_again_from_the_hash_of_the_genesis_alone() {
    let world = World::cars();
    let question = format!(
        "SELECT count(*) AS n, avg(value) AS mean FROM speed WHERE device = 'car-1' AND axle = 'front' AND {}",
        within(5, 20)
    );
    let made = world.make(&question);
    assert!(made.notes.is_empty(), "{:?}", made.notes);
    let bundle = AnswerBundle::from_bytes(&made.bundle.to_bytes().unwrap()).unwrap();
    assert_eq!(bundle, made.bundle);
    let verified = world.verify(&bundle).unwrap();
    assert_eq!(verified.computed, Computed::Same);
    let live = world.sql().query(&question, &chronolith_query::Limits::default()).unwrap();
    let live: Vec<_> = live.map(Result::unwrap).collect();
    assert_eq!(live[0].num_rows(), 1);
    assert!(cell(&bundle).starts_with("[1200,"), "{}", cell(&bundle));
    let [metric] = &verified.metrics[..] else { panic!("one metric") };
    assert_eq!((metric.chunks.len(), metric.replaced), (20, 0));
    // All others of the car are named, so that none was left out.
    assert_eq!(verified.devices[0].other_metrics, Some(2));
    let height = world.chain().height().unwrap();
    assert_eq!(verified.proved.header.height, height);
    assert_eq!(verified.anchored.iter().map(|batch| batch.chunks).sum::<usize>(), 20);
}

#[test]
fn metrics_of_several_devices_are_proved_together() {
    let world = World::cars();
    let question = format!(
        "SELECT device, axle, max(value) AS most FROM speed WHERE {} GROUP BY device, axle",
        within(28, 10)
    );
    let bundle = world.bundle(&question);
    let verified = world.verify(&bundle).unwrap();
    assert_eq!((verified.metrics.len(), verified.devices.len()), (3, 2));
    assert_eq!(bundle.rows.rows.len(), 3);
    // Joins and subqueries read what they read.
    let question = format!(
        "WITH s AS (SELECT * FROM speed WHERE device = 'car-1' AND axle = 'rear' AND {0}), \
         r AS (SELECT * FROM rpm WHERE {0}) SELECT s.time, s.value, r.value FROM s JOIN r ON s.time = r.time \
         WHERE s.value > (SELECT avg(value) FROM rpm WHERE {1}) ORDER BY s.time",
        within(3, 1),
        within(0, 3)
    );
    let verified = world.verify(&world.bundle(&question)).unwrap();
    assert_eq!(verified.computed, Computed::Same);
    assert_eq!(verified.metrics.len(), 2);
}

#[test]
fn what_is_not_anchored_is_not_in_the_answer_and_that_is_told() {
    let world = World::cars();
    let all = "SELECT count(*) FROM rpm WHERE device = 'car-1'";
    let was = cell(&world.bundle(all));
    world.write(&lines("rpm,device=car-1", 40, 1));
    let made = world.make(all);
    let metric = rpm();
    assert_eq!(made.notes, [Note::Unsealed { metric: metric.clone() }]);
    assert_eq!(cell(&made.bundle), was);
    world.seal();
    let made = world.make(all);
    assert_eq!(made.notes, [Note::Unanchored { metric, chunks: 1 }]);
    assert_eq!(cell(&made.bundle), was);
    // On the command line as well.
    let prove = ["query", "--db", "db", "--prove", "p", "--chain", "c", "--json", all];
    let output = chronolith(world.path(), &prove);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("not anchored yet"), "{told}");
    world.anchor();
    let made = world.make(all);
    assert!(made.notes.is_empty());
    assert_eq!((was.as_str(), cell(&made.bundle).as_str()), ("[1800]", "[1860]"));
    assert_eq!(world.verify(&made.bundle).unwrap().computed, Computed::Same);
}

#[test]
fn late_chunks_are_part_of_it_and_replaced_ones_are_not() {
    let world = World::cars();
    let question = format!("SELECT sum(value) FROM rpm WHERE {}", within(2, 2));
    let first = world.bundle(&question);
    // Another value for a minute that is sealed already, and one between two minutes.
    let late = START_NS + 2 * 3_600_000_000_000;
    world
        .write(&format!("car,device=car-1 rpm=1000 {late}\ncar,device=car-1 rpm=7 {}\n", late + 1));
    world.seal();
    world.anchor();
    let second = world.bundle(&question);
    let verified = world.verify(&second).unwrap();
    assert_eq!((verified.metrics[0].chunks.len(), verified.metrics[0].replaced), (3, 0));
    assert_ne!(cell(&first), cell(&second));
    // What is deleted makes it an error, until what replaces it is anchored.
    let from = "2026-01-01T02:10:00Z";
    let delete = ["delete", "--db", "db", "--metric", "rpm", "--from", from];
    expect(world.path(), 0, &[&delete[..], &["--to", "2026-01-01T02:20:00Z"]].concat());
    let settings = MakeSettings::default();
    let refused = world.try_make(&question, &settings).err();
    assert!(matches!(refused, Some(MakeError::Deleted { .. })), "{refused:?}");
    expect(world.path(), 0, &["compact", "--db", "db"]);
    let refused = world.try_make(&question, &settings).err();
    assert!(matches!(refused, Some(MakeError::Gone { window: 490_898, .. })), "{refused:?}");
    world.anchor();
    let third = world.bundle(&question);
    let verified = world.verify(&third).unwrap();
    assert_eq!((verified.metrics[0].chunks.len(), verified.metrics[0].replaced), (2, 2));
    assert_eq!(verified.computed, Computed::Same);
    assert!(![cell(&first), cell(&second)].contains(&cell(&third)));
    // An hour beside it was never touched.
    let beside = format!("SELECT sum(value) FROM rpm WHERE {}", within(4, 1));
    assert_eq!(world.verify(&world.bundle(&beside)).unwrap().metrics[0].replaced, 0);
}

#[test]
fn that_there_is_nothing_is_proved() {
    let world = World::cars();
    for (from, hours) in [(-50, 10), (100, 500), (30, 1)] {
        let question = format!("SELECT count(*) FROM rpm WHERE {}", within(from, hours));
        let bundle = world.bundle(&question);
        assert_eq!(cell(&bundle), "[0]");
        let verified = world.verify(&bundle).unwrap();
        assert!(verified.metrics[0].chunks.is_empty() && verified.computed == Computed::Same);
    }
    // A metric of which nothing is anchored.
    world.write(&lines("oil,device=car-1", 0, 1));
    let made = world.make("SELECT count(*) FROM oil");
    assert_eq!((cell(&made.bundle).as_str(), made.notes.len()), ("[0]", 1));
    world.verify(&made.bundle).unwrap();
    // A condition that no time fulfils.
    let question = format!("SELECT count(*) FROM rpm WHERE {} AND {}", within(1, 1), within(9, 1));
    assert_eq!(cell(&world.bundle(&question)), "[0]");
    world.verify(&world.bundle(&question)).unwrap();
}

#[test]
fn without_bodies_it_is_said_that_the_rows_are_not_checked() {
    let world = World::cars();
    let question = format!("SELECT avg(value) FROM rpm WHERE {}", within(0, 3));
    let settings = MakeSettings { bodies: false, ..MakeSettings::default() };
    let bundle = world.try_make(&question, &settings).unwrap().bundle;
    let verified = world.verify(&bundle).unwrap();
    assert_eq!(verified.computed, Computed::NoBodies { missing: 3 });
    assert_eq!(verified.metrics[0].chunks.len(), 3);

    fs::write(world.path().join("p"), bundle.to_bytes().unwrap()).unwrap();
    let verify = ["verify", "answer", "p", "--genesis", "c", "--json"];
    let shown = json(world.path(), 0, &verify);
    assert!(shown["computed"].as_str().unwrap().starts_with("no: "), "{shown}");
    // With the bodies beside it, it is computed: from a folder of blocks.
    let folder = world.path().join("blocks");
    fs::create_dir(&folder).unwrap();
    let db = Db::open(world.path().join("db"), Options::read_only()).unwrap();
    let id = db.find_metric(&rpm()).unwrap();
    for chunk in db.chunks(id, ..).unwrap() {
        let blocks = db.chunk_blocks(chunk.key).unwrap().unwrap();
        let header = chronolith_engine::chunk::ChunkHeader::from_bytes(&blocks.header).unwrap();
        fs::write(folder.join(header.body.to_string()), blocks.body).unwrap();
    }
    let shown = json(world.path(), 0, &[&verify[..], &["--chunks", "blocks"]].concat());
    assert!(shown["computed"].as_str().unwrap().starts_with("yes"), "{shown}");
    assert_eq!(shown["complete"].as_str().unwrap().split(',').count(), 2);
}

#[test]
fn who_wants_more_says_it_and_is_told_the_reason() {
    let world = World::cars();
    let question = "SELECT max(value) FROM rpm";
    let nonce = Some(vec![7; 16]);
    let wallet = Wallet::at(world.path().join("w"));
    let main = wallet.load("main").unwrap();
    let settings =
        MakeSettings { nonce: nonce.clone(), signer: Some(&main), ..MakeSettings::default() };
    let bundle = world.try_make(question, &settings).unwrap().bundle;
    let trust = world.trust();
    let asked = Expected { nonce: nonce.clone(), ..Expected::default() };
    let verified = check(&bundle, &trust, &asked).unwrap();
    assert_eq!(verified.word, Some(main.address));
    let (height, device) = (verified.proved.header.height, verified.metrics[0].device);
    let time_ns = i64::try_from(verified.proved.header.time_ns).unwrap();
    let holds = Expected {
        sql: Some(question.to_owned()),
        at_least: Some(height),
        not_before_ns: Some(time_ns),
        owner: Some(main.address),
        devices: [("car-1".to_owned(), device)].into(),
        ..asked.clone()
    };
    check(&bundle, &trust, &holds).unwrap();
    let refused = |expected: Expected, reason: Reason| {
        let refused = check(&bundle, &trust, &expected).err().unwrap();
        assert_eq!(refused.reason(), reason, "{refused}");
    };
    refused(Expected { at_least: Some(height + 1), ..asked.clone() }, Reason::Stale);
    refused(Expected { not_before_ns: Some(time_ns + 1), ..asked.clone() }, Reason::Stale);
    refused(Expected { nonce: Some(vec![8; 16]), ..asked.clone() }, Reason::Replayed);
    refused(Expected { nonce: None, ..asked.clone() }, Reason::Replayed);
    let sql = Some("SELECT min(value) FROM rpm".to_owned());
    refused(Expected { sql, ..asked.clone() }, Reason::Replayed);
    let stranger = wallet.create("stranger").unwrap().address;
    refused(Expected { owner: Some(stranger), ..asked.clone() }, Reason::Unowned);
    let devices = [("car-1".to_owned(), stranger)].into();
    refused(Expected { devices, ..asked.clone() }, Reason::Foreign);
    let other = World::new();
    let refused = check(&bundle, &other.trust(), &asked).err().unwrap();
    assert_eq!(refused.reason(), Reason::WrongChain, "{refused}");
    // An answer without a nonce is not taken for one with.
    let bundle = world.bundle(question);
    let refused = check(&bundle, &trust, &asked).err().unwrap();
    assert_eq!(refused.reason(), Reason::Replayed, "{refused}");
}

#[test]
fn a_proof_begins_at_a_later_block_that_is_trusted() {
    let world = World::cars();
    let height = world.chain().height().unwrap();
    let block = world.chain().block(height).unwrap().block.header.id();
    world.write(&lines("rpm,device=car-1", 50, 1));
    world.seal();
    world.anchor();
    let settings = MakeSettings { since: Since(height), ..MakeSettings::default() };
    let bundle = world.try_make("SELECT count(*) FROM rpm", &settings).unwrap().bundle;
    let verified = check(&bundle, &Trust::Block(block), &Expected::default()).unwrap();
    assert_eq!(verified.computed, Computed::Same);
    // The genesis does not lead to it, nor another block.
    for trust in [world.trust(), Trust::Block(Default::default())] {
        let refused = check(&bundle, &trust, &Expected::default()).err().unwrap();
        assert_eq!(refused.reason(), Reason::WrongChain, "{refused}");
    }
}

#[test]
fn a_car_that_changed_hands_shows_whose_the_data_were() {
    let world = World::cars();
    let question = format!("SELECT count(*) FROM rpm WHERE {}", within(0, 2));
    let before = world.verify(&world.bundle(&question)).unwrap();
    let device = before.metrics[0].device;
    let wallet = Wallet::at(world.path().join("w"));
    let (main, friend) = (wallet.load("main").unwrap(), wallet.create("friend").unwrap());
    {
        let mut chain = world.chain();
        let consent = TransferDevice::consent(chain.id(), device, main.address, friend.address, 0);
        let consent = friend.signer().sign(&consent);
        let transfer =
            TransferDevice { device, to: friend.address, producer: main.address, consent };
        let (id, height) = (chain.id(), chain.height().unwrap());
        let composer =
            chronolith::chain::Composer::new(id, chain.state().unwrap(), height, main.address);
        let transaction = composer.unwrap().sign(transfer, &main.signer());
        let settled = chain.commit(vec![transaction]).unwrap();
        assert_eq!(settled[0].receipt.refusal, None);
    }
    // What was anchored before is the first owner's for ever.
    let bundle = world.bundle(&question);
    let owner = |owner| Expected { owner: Some(owner), ..Expected::default() };
    let verified = check(&bundle, &world.trust(), &owner(main.address)).unwrap();
    assert_eq!(verified.devices[0].facts.eras.len(), 2);
    let refused = check(&bundle, &world.trust(), &owner(friend.address)).err().unwrap();
    assert_eq!(refused.reason(), Reason::Unowned, "{refused}");
    // A range without an end is of both.
    let bundle = world.bundle("SELECT count(*) FROM rpm");
    let refused = check(&bundle, &world.trust(), &owner(main.address)).err().unwrap();
    assert_eq!(refused.reason(), Reason::Unowned, "{refused}");
}

#[test]
fn what_cannot_be_proved_is_not() {
    let world = World::cars();
    let settings = MakeSettings::default();
    let refused = |question: &str| world.try_make(question, &settings).err().unwrap();
    for question in [
        "SELECT count(*) FROM rpm WHERE time < now()",
        "SELECT random() FROM rpm",
        "SELECT * FROM system.chunks",
        "SELECT * FROM information_schema.tables",
        "EXPLAIN SELECT count(*) FROM rpm",
        "SELECT value FROM rpm WHERE value > (SELECT count(*) FROM system.metrics)",
    ] {
        let error = refused(question);
        let is_it = matches!(error, MakeError::Query(QueryError::NotRepeatable { .. }));
        assert!(is_it, "{question}: {error}");
    }
    assert!(matches!(refused("SELECT 1"), MakeError::Nothing));
    assert!(matches!(refused("SELECT nothing FROM rpm"), MakeError::Query(QueryError::Sql(_))));
    // A database that is not anchored.
    let fresh = World::new();
    fresh.write(&lines("rpm,device=car-1", 0, 1));
    fresh.seal();
    let error = fresh.try_make("SELECT count(*) FROM rpm", &settings).err().unwrap();
    assert!(matches!(error, MakeError::NotAnchored { .. }), "{error}");
    // A metric that hides itself, and one whose neighbour does.
    {
        let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
        let db = Db::open(world.path().join("db"), options).unwrap();
        let definition =
            Definition::new(Metric::new("car-1", "driver"), Kind::F64).level(Level::Personal);
        let driver = db.define(definition).unwrap();
        let mut batch = db.batch();
        batch.push(driver, START_NS, 1.0).unwrap();
        db.write(&batch, Durability::Synced).unwrap();
        db.seal(SealScope::All).unwrap();
    }
    world.anchor();
    assert!(matches!(refused("SELECT * FROM driver"), MakeError::Hidden { .. }));
    let verified = world.verify(&world.bundle("SELECT count(*) FROM rpm")).unwrap();
    assert_eq!(verified.devices[0].hidden_metrics, 1);
}

#[test]
fn many_batches_are_proved_by_the_catalogue_and_each_where_that_is_asked_for() {
    let world = World::new();
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    {
        let db = Db::open(world.path().join("db"), options).unwrap();
        let metric = db.metric(rpm(), Kind::F64).unwrap();
        for hour in 0..40 {
            let mut batch = db.batch();
            batch.push(metric, START_NS + hour * 3_600_000_000_000, hour as f64).unwrap();
            db.write(&batch, Durability::Synced).unwrap();
            db.seal(SealScope::All).unwrap();
        }
    }
    world.anchor();
    let question = "SELECT sum(value) FROM rpm";
    let few = world.make(question);
    assert_eq!(few.notes, [Note::AnchorTimes { batches: 40 }]);
    let verified = world.verify(&few.bundle).unwrap();
    assert!(verified.anchored.is_empty() && verified.computed == Computed::Same);
    let settings = MakeSettings { anchor_times: AnchorTimes::All, ..MakeSettings::default() };
    let all = world.try_make(question, &settings).unwrap();
    assert_eq!(world.verify(&all.bundle).unwrap().anchored.len(), 40);
    assert!(all.bundle.proof_bytes() > few.bundle.proof_bytes());
}

/// From a header that is trusted at the anchor's height or later, on a chain of 22 validators.
#[test]
fn a_week_of_one_metric_weighs_less_than_64_kib_beyond_the_headers() {
    let world = World::of_validators("22");
    for metric in ["speed", "rpm", "oil", "fuel", "torque", "brake"] {
        let hours: i64 = 5 * 7 * 24;
        let lines: String = (0..hours * 60)
            .map(|minute| {
                let time_ns = START_NS + minute * MINUTE_NS;
                format!("car,device=car-1 {metric}={} {time_ns}\n", minute * minute % 977)
            })
            .collect();
        world.write(&lines);
    }
    world.seal();
    world.anchor();
    let question = format!("SELECT avg(value) FROM speed WHERE {}", within(14 * 24, 7 * 24));
    let height = world.chain().height().unwrap();
    let trust = Trust::Block(world.chain().block(height).unwrap().block.header.id());
    for bodies in [false, true] {
        let settings = MakeSettings { bodies, since: Since(height), ..MakeSettings::default() };
        let bundle = world.try_make(&question, &settings).unwrap().bundle;
        let bytes = bundle.to_bytes().unwrap();
        let begun = ProcessTime::now();
        let read = AnswerBundle::from_bytes(&bytes).unwrap();
        let verified = check(&read, &trust, &Expected::default()).unwrap();
        let took = begun.elapsed();
        assert_eq!(verified.metrics[0].chunks.len(), 168);
        assert_eq!(verified.devices[0].other_metrics, Some(5));
        let (proof, chunks, computed) =
            (bundle.proof_bytes(), bundle.chunk_bytes(), verified.computed);
        println!(
            "{proof} bytes beyond {chunks} of chunks; {took:?} of processor time; {computed:?}"
        );
        assert!(proof < 64 << 10, "{proof} bytes");
    }
}

#[test]
fn the_command_line_makes_and_checks_answers() {
    let world = World::cars();
    let question = "SELECT device, count(*) AS n FROM speed GROUP BY device ORDER BY device";
    let prove = ["query", "--db", "db", "--prove", "p", "--chain", "c", "--json"];
    let rows = json(world.path(), 0, &[&prove[..], &["--nonce", "00ff", question]].concat());
    assert_eq!(rows, value!([{"device": "car-1", "n": 3600}, {"device": "car-2", "n": 1800}]));
    let verify = ["verify", "answer", "p", "--genesis", "c", "--nonce", "00ff", "--json"];
    let shown = json(world.path(), 0, &[&verify[..], &["--question", question]].concat());
    assert_eq!((&shown["holds"], &shown["answer"]), (&value!(true), &rows));
    let fresh = json(world.path(), 0, &[&verify[..], &["--not-older-than", "1h"]].concat());
    assert_eq!(fresh["holds"], true);
    let stale = json(world.path(), 1, &[&verify[..], &["--at-least", "99"]].concat());
    assert_eq!((&stale["holds"], &stale["reason"]), (&value!(false), &value!("stale")));
    let other = json(world.path(), 1, &[&verify[..], &["--question", "SELECT 1"]].concat());
    assert_eq!(other["reason"], "replayed");
    let csv = ["verify", "answer", "p", "--genesis", "c", "--nonce", "00ff", "--rows", "csv"];
    assert!(expect(world.path(), 0, &csv).ends_with("device,n\ncar-1,3600\ncar-2,1800\n"));
    let mut bytes = fs::read(world.path().join("p")).unwrap();
    let last = bytes.len() / 2;
    bytes[last] ^= 1;
    fs::write(world.path().join("p"), &bytes).unwrap();
    assert_eq!(json(world.path(), 1, &verify)["holds"], false);
    // Wrong usage is told as such.
    for wrong in [
        &["verify", "answer", "p"][..],
        &["verify", "answer", "p", "--genesis", "c", "--nonce", "xyz"],
        &["query", "--db", "db", "--prove", "p", question],
        &["query", "--db", "db", "--nonce", "00", question],
    ] {
        assert_eq!(chronolith(world.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// Files are kept for years: what a version wrote is read and proved by every later one, byte for byte.
#[test]
fn a_file_of_the_first_version_is_still_proved() {
    let bytes = fs::read(crate::run::source("testdata/answer/v1.answer")).unwrap();
    let bundle = AnswerBundle::from_bytes(&bytes).unwrap();
    assert_eq!(bundle.to_bytes().unwrap(), bytes);
    let chain = "9d21b9fdff76d12862fbb12638a125ad85bfbac66ea4f520dbae09d0421885c7";
    let chain = chronolith::wallet::secret_of(chain).unwrap();
    let trust = Trust::Chain(chronolith_chain::hash::ChainId(chain));
    let expected = Expected { nonce: Some(vec![0x5e, 0xed]), ..Expected::default() };
    let verified = check(&bundle, &trust, &expected).unwrap();
    assert_eq!((verified.computed, verified.proved.header.height), (Computed::Same, 1));
    assert!(verified.word.is_some() && verified.anchored.len() == 1);
    let rows = value!([{"device": "car-1", "most": 61.5}, {"device": "car-2", "most": 0.0}]);
    assert_eq!(value!(bundle.rows.to_json()), rows);
}
