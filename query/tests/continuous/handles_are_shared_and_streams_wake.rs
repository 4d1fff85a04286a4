//! One runtime moves the queries of a database on; whoever waits for changes as a task is woken.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use chronolith_engine::{Db, Durability, Kind, Metric, MetricId, Options};
use chronolith_query::continuous::{Change, ChangeStream, Continuous, ContinuousError, From};
use futures_core::Stream;

use crate::oracle::SECOND_NS;

const STATEMENT: &str = "CREATE CONTINUOUS QUERY sums AS SELECT time_bucket('10s', time), sum(value) \
                         FROM speed GROUP BY 1";

fn database() -> (tempfile::TempDir, Db, MetricId) {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path(), Options::default()).unwrap();
    let id = db.metric(Metric::new("car-1", "speed"), Kind::I64).unwrap();
    (directory, db, id)
}

fn write(db: &Db, id: MetricId, second: i64) {
    let mut batch = db.batch();
    batch.push(id, second * SECOND_NS, 1_i64).unwrap();
    db.write(&batch, Durability::Buffered).unwrap();
}

#[test]
fn a_database_is_opened_once_and_again_when_all_handles_are_gone() {
    let (_directory, db, _) = database();
    let queries = Continuous::open(db.clone()).unwrap();
    let problem = Continuous::open(db.clone()).err().unwrap();
    assert!(matches!(problem, ContinuousError::AlreadyOpen), "{problem}");
    assert!(problem.to_string().contains("open already"));
    // Readers and other databases are free, and a worker is a handle, too.
    assert!(Continuous::reading(db.clone()).is_ok());
    let (_other_directory, other, _) = database();
    let other = Continuous::open(other).unwrap();
    let worker = queries.start().unwrap();
    drop(queries);
    assert!(matches!(Continuous::open(db.clone()).err(), Some(ContinuousError::AlreadyOpen)));
    drop(worker);
    assert!(Continuous::open(db).is_ok());
    drop(other);
}

/// Counts how often a task is woken, and unparks a thread.
struct Woken {
    times: AtomicUsize,
    thread: Thread,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.times.fetch_add(1, Ordering::AcqRel);
        self.thread.unpark();
    }
}

fn woken() -> Arc<Woken> {
    Arc::new(Woken { times: AtomicUsize::new(0), thread: std::thread::current() })
}

fn poll(
    stream: &mut ChangeStream,
    woken: &Arc<Woken>,
) -> Poll<Option<Result<Arc<Change>, ContinuousError>>> {
    let waker = Waker::from(Arc::clone(woken));
    pin!(stream).poll_next(&mut Context::from_waker(&waker))
}

/// Waits for the next change without any runtime.
fn next(stream: &mut ChangeStream) -> Option<Result<Arc<Change>, ContinuousError>> {
    let woken = woken();
    loop {
        match poll(stream, &woken) {
            Poll::Ready(next) => return next,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_stream_is_woken_by_each_commit_and_ends_behind_its_error() {
    let (_directory, db, id) = database();
    let queries = Continuous::open(db.clone()).unwrap();
    queries.execute(STATEMENT).unwrap();
    let mut stream = queries.subscribe("sums", From::Now).unwrap().into_stream();
    let woken = woken();
    assert!(poll(&mut stream, &woken).is_pending());
    assert!(poll(&mut stream, &woken).is_pending());
    let mut other = queries.subscribe("sums", From::Now).unwrap().into_stream();
    assert!(poll(&mut other, &woken).is_pending());
    drop(other);
    write(&db, id, 1);
    write(&db, id, 11);
    queries.settle().unwrap();
    assert_eq!(woken.times.load(Ordering::Acquire), 1, "once, whatever was polled or dropped");
    for cursor in [1, 2] {
        let Poll::Ready(Some(Ok(change))) = poll(&mut stream, &woken) else { panic!("no change") };
        assert_eq!((change.cursor, stream.cursor()), (cursor, cursor));
    }
    assert!(poll(&mut stream, &woken).is_pending());
    queries.execute("DROP CONTINUOUS QUERY sums").unwrap();
    assert_eq!(woken.times.load(Ordering::Acquire), 2);
    assert!(matches!(
        poll(&mut stream, &woken),
        Poll::Ready(Some(Err(ContinuousError::Dropped(_))))
    ));
    assert!(matches!(poll(&mut stream, &woken), Poll::Ready(None)));
}

#[test]
fn a_stream_misses_nothing_of_a_worker() {
    let (_directory, db, id) = database();
    let queries = Continuous::open(db.clone()).unwrap();
    queries.execute(STATEMENT).unwrap();
    let worker = queries.start().unwrap();
    let mut stream = queries.subscribe("sums", From::Now).unwrap().into_stream();
    let writer = std::thread::spawn(move || (0..300).for_each(|second| write(&db, id, second)));
    let mut cursor = 0;
    loop {
        let change = next(&mut stream).unwrap().unwrap();
        cursor += 1;
        assert_eq!(change.cursor, cursor);
        let whole = Some(chronolith_engine::Value::I64(10));
        if change.row.start_ns == 290 * SECOND_NS && change.row.values[0] == whole {
            break;
        }
    }
    writer.join().unwrap();
    assert!(worker.is_running());
}
