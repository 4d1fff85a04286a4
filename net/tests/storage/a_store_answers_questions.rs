//! The store answers what others ask for fragments, and nothing else.

use chronolith_chain::content::ContentId;
use chronolith_chain::simulate::Random;
use chronolith_disk::{Failure, FailureKind, FaultyDisk, SimDisk};
use chronolith_fragment::{Profile, Shown};
use chronolith_net::exchange::{Question, Reply};
use chronolith_net::network::RESPONSE_BYTES;
use chronolith_net::partial::{ItemRead, Step};
use chronolith_net::store::{FragmentStore, serve};

use crate::fixture::{body, make};
use crate::store_fixture::{ALICE, Kit, ROOM, open};

#[test]
fn questions_for_fragments_are_answered() {
    let mut random = Random::new(1);
    let kit = Kit::small(&mut random, Profile::Lab);
    let store = open(&SimDisk::new());
    for index in [1, 4] {
        kit.keep(&store, ALICE, 5, index).unwrap();
    }
    let pack = kit.id;
    let ask = |question: Question| serve(&store, &question).unwrap();
    let Reply::Header(header) = ask(Question::Header(pack)) else { panic!() };
    assert_eq!(header[..], kit.header().to_bytes());
    let Reply::Held(held) = ask(Question::Held(pack)) else { panic!() };
    assert_eq!(held[..], [1, 4]);
    let Reply::Fragment(bytes) = ask(Question::Fragment { pack, index: 4 }) else { panic!() };
    assert_eq!(&bytes[..], kit.sent(4));
    let question = Question::Blocks { pack, index: 1, first: 1, count: 2 };
    let Reply::Blocks(bytes) = ask(question) else { panic!() };
    let (shape, root) = (kit.header().shape, kit.header().fragments_root);
    Shown::check(shape, &root, 1, &(1..3), &bytes).unwrap();

    let other = ContentId::of_raw(b"other");
    assert_eq!(ask(Question::Header(other)), Reply::Absent);
    assert_eq!(ask(Question::Held(other)), Reply::Absent);
    assert_eq!(ask(Question::Fragment { pack, index: 0 }), Reply::Absent);
    assert_eq!(ask(Question::Fragment { pack: other, index: 1 }), Reply::Absent);
    assert_eq!(ask(Question::Blocks { pack, index: 2, first: 0, count: 1 }), Reply::Absent);
    for (first, count) in [(0, 0), (0, u32::MAX), (u32::MAX, u32::MAX)] {
        let reply = ask(Question::Blocks { pack, index: 1, first, count });
        assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    }
    for question in [Question::Status, Question::Neighbours] {
        assert_eq!(serve(&store, &question), None);
    }
}

#[test]
fn a_reader_reads_a_chunk_from_answers() {
    let mut random = Random::new(2);
    let body = body(&mut random, 5_000);
    let kit = Kit::of(make(&mut random, body, Profile::Standard));
    let store = open(&SimDisk::new());
    for index in 0..30 {
        kit.keep(&store, ALICE, 5, index).unwrap();
    }
    let pack = kit.id;
    for item in kit.made.pack.body().items().into_iter().step_by(20) {
        let keys = (0..10).map(|index| (index, kit.made.secret.key(index))).collect();
        let mut read = ItemRead::new(kit.header().clone(), item.cid(), keys).unwrap();
        let found = loop {
            let wants = match read.step().unwrap() {
                Step::Fetch(wants) => wants,
                Step::Done(found) => break found,
                Step::Absent => panic!("it is there"),
            };
            for want in wants {
                let (first, count) = (want.rows.start, want.rows.end - want.rows.start);
                let question = Question::Blocks { pack, index: want.fragment, first, count };
                let Some(Reply::Blocks(bytes)) = serve(&store, &question) else { panic!() };
                read.tell(&want, &bytes).unwrap();
            }
        };
        assert_eq!(found, item);
    }
}

#[test]
fn damage_is_absence_and_a_failing_disk_tells_nothing_of_itself() {
    let mut random = Random::new(3);
    let kit = Kit::small(&mut random, Profile::Lab);
    let disk = SimDisk::new();
    let store = open(&disk);
    kit.keep(&store, ALICE, 5, 0).unwrap();
    kit.keep(&store, ALICE, 5, 1).unwrap();
    let is_first = |path: &String| path.contains(".0.") && path.ends_with(".fragment");
    let path = disk.files().into_iter().find(is_first).unwrap();
    disk.flip(&path, 900, 1).unwrap();
    let question = Question::Fragment { pack: kit.id, index: 0 };
    assert_eq!(serve(&store, &question), Some(Reply::Absent));
    assert_eq!(store.held(kit.id), [1]);
    drop(store);

    let counting = FaultyDisk::new(std::sync::Arc::new(disk.clone()), None);
    drop(open(&counting));
    let at = counting.reads() + 1;
    let failure = Failure { kind: FailureKind::Read, at, stays: true };
    let faulty = FaultyDisk::new(std::sync::Arc::new(disk), Some(failure));
    let store = FragmentStore::open(std::sync::Arc::new(faulty.clone()), ROOM).unwrap();
    let question = Question::Fragment { pack: kit.id, index: 1 };
    let Some(Reply::Refused(reason)) = serve(&store, &question) else {
        panic!("it cannot be read")
    };
    assert_eq!(&*reason, "it cannot be read now");
    assert_eq!((store.damaged(), store.held(kit.id)), (0, vec![1]));
    faulty.mend();
    assert!(matches!(serve(&store, &question), Some(Reply::Fragment(_))));
}

#[test]
fn the_longest_answers_fit_into_a_response() {
    let mut random = Random::new(4);
    let body = body(&mut random, 300_000);
    let kit = Kit::of(make(&mut random, body, Profile::Lab));
    let store = open(&SimDisk::new());
    kit.keep(&store, ALICE, 5, 0).unwrap();
    let (pack, count) = (kit.id, kit.header().shape.blocks());
    for question in [
        Question::Fragment { pack, index: 0 },
        Question::Blocks { pack, index: 0, first: 0, count },
    ] {
        let reply = serve(&store, &question).unwrap();
        assert!(matches!(reply, Reply::Fragment(_) | Reply::Blocks(_)));
        assert!(reply.to_bytes().len() <= RESPONSE_BYTES);
    }
}
