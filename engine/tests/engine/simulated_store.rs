//! A segment store in memory that can fail, lie, and be looked at as it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use chronolith_engine::{Options, SegmentStore, SegmentStoreOptions, StoreError, StoreProblem};

use crate::crash_script::Random;
use crate::oracle::TestClock;

/// What a store claims and does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreLie {
    /// Objects are stored, it says, and are not.
    Forgets,
    /// One bit of each object is another.
    Mangles,
    /// The last byte of each object is not there.
    Shortens,
}

#[derive(Clone)]
enum Change {
    Put(String, Vec<u8>),
    Remove(String),
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// What changed, and how many operations the disk had done then.
    log: Vec<(u64, Change)>,
    problem: Option<StoreProblem>,
    lie: Option<StoreLie>,
    /// Objects and ranges that were read.
    reads: Vec<(String, u64, u64)>,
    calls: u64,
    is_held: bool,
}

/// A handle to the store; cloning gives another to the same.
#[derive(Clone, Default)]
pub(crate) struct SimStore {
    state: Arc<(Mutex<State>, Condvar)>,
    operations: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
}

impl SimStore {
    /// A store that notes for each change how many operations a disk had done.
    pub(crate) fn beside(operations: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { operations: Some(Arc::new(operations)), ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    /// Fails all calls from now on, or none any more.
    pub(crate) fn fail(&self, problem: Option<StoreProblem>) {
        self.state().problem = problem;
    }

    pub(crate) fn lie(&self, lie: Option<StoreLie>) {
        self.state().lie = lie;
    }

    /// Holds all reads, until they are let go.
    pub(crate) fn hold_reads(&self, is_held: bool) {
        self.state().is_held = is_held;
        self.state.1.notify_all();
    }

    pub(crate) fn objects(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// The ranges that were read since this was asked last.
    pub(crate) fn take_reads(&self) -> Vec<(String, u64, u64)> {
        std::mem::take(&mut self.state().reads)
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    pub(crate) fn change_object(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(self.state().objects.get_mut(name).unwrap());
    }

    pub(crate) fn lose_object(&self, name: &str) {
        self.state().objects.remove(name).unwrap();
    }

    /// The store when the power of the disk's machine is cut after so many operations: of what was
    /// asked of it in that moment it may have done a part.
    pub(crate) fn at(&self, operations: u64, seed: u64) -> Self {
        let mut random = Random(seed);
        let then = Self::default();
        let state = self.state();
        let certain = state.log.iter().filter(|(at, _)| *at < operations).count();
        let possible = state.log.iter().filter(|(at, _)| *at == operations).count();
        let done = certain + random.below(possible as u64 + 1) as usize;
        for (_, change) in &state.log[..done] {
            then.apply(change.clone());
        }
        if done < certain + possible
            && let (_, Change::Put(name, bytes)) = &state.log[done]
            && random.below(2) == 0
        {
            then.apply(Change::Put(name.clone(), bytes[..bytes.len() / 2].to_vec()));
        }
        then
    }

    fn apply(&self, change: Change) {
        let mut state = self.state();
        match change {
            Change::Put(name, bytes) => drop(state.objects.insert(name, bytes)),
            Change::Remove(name) => drop(state.objects.remove(&name)),
        }
    }

    fn change(&self, change: Change) {
        if let Some(operations) = &self.operations {
            let at = operations();
            self.state().log.push((at, change.clone()));
        }
        self.apply(change);
    }

    fn call(&self, action: &'static str, object: &str) -> Result<(), StoreError> {
        let mut state = self.state();
        state.calls += 1;
        match state.problem.clone() {
            Some(problem) => Err(error(action, object, problem)),
            None => Ok(()),
        }
    }
}

fn error(action: &'static str, object: &str, problem: StoreProblem) -> StoreError {
    StoreError { action, store: "simulated://store".to_owned(), object: object.to_owned(), problem }
}

impl SegmentStore for SimStore {
    fn describe(&self) -> String {
        "simulated://store".to_owned()
    }

    fn put(&self, object: &str, bytes: &[u8], go_on: &dyn Fn() -> bool) -> Result<(), StoreError> {
        self.call("store", object)?;
        if !go_on() {
            return Err(error("store", object, StoreProblem::Stopped));
        }
        let mut stored = bytes.to_vec();
        let lie = self.state().lie;
        match lie {
            Some(StoreLie::Forgets) => return Ok(()),
            Some(StoreLie::Mangles) => stored[bytes.len() / 2] ^= 4,
            Some(StoreLie::Shortens) => drop(stored.pop()),
            None => {}
        }
        self.change(Change::Put(object.to_owned(), stored));
        Ok(())
    }

    fn get_range(&self, object: &str, offset: u64, len: u64) -> Result<Vec<u8>, StoreError> {
        self.call("read", object)?;
        let mut state = self.state();
        while state.is_held {
            let (waited, timeout) =
                self.state.1.wait_timeout(state, Duration::from_secs(60)).unwrap();
            assert!(!timeout.timed_out(), "reads were held and not let go");
            state = waited;
        }
        state.reads.push((object.to_owned(), offset, len));
        let Some(bytes) = state.objects.get(object) else {
            return Err(error("read", object, StoreProblem::Missing));
        };
        let range = bytes.get(offset as usize..(offset + len) as usize);
        let short = || error("read", object, StoreProblem::Damaged("it is shorter".to_owned()));
        Ok(range.ok_or_else(short)?.to_vec())
    }

    fn size(&self, object: &str) -> Result<Option<u64>, StoreError> {
        self.call("look for", object)?;
        Ok(self.state().objects.get(object).map(|bytes| bytes.len() as u64))
    }

    fn remove(&self, object: &str) -> Result<(), StoreError> {
        self.call("remove", object)?;
        self.change(Change::Remove(object.to_owned()));
        Ok(())
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.call("list", folder)?;
        let state = self.state();
        Ok(state.objects.keys().filter(|name| name.starts_with(folder)).cloned().collect())
    }
}

/// When it is in tests of moving: all windows are old.
pub(crate) const NOW_NS: i64 = 1_000_000_000_000;

/// Options that move everything that is over, in small pieces, and remove at once.
pub(crate) fn moving(options: Options, store: &SimStore) -> Options {
    let clock = TestClock::default();
    clock.0.store(NOW_NS, std::sync::atomic::Ordering::SeqCst);
    let segment_store = SegmentStoreOptions {
        after: Duration::ZERO,
        cache_bytes: 16 << 10,
        piece_bytes: 512,
        removal_grace: Duration::ZERO,
        ..SegmentStoreOptions::new(Arc::new(store.clone()))
    };
    Options { clock: Arc::new(clock), segment_store: Some(segment_store), ..options }
}
