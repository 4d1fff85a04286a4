//! The continuous queries of a database: made, kept up to date, asked and followed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chronolith_engine::{Db, Durability, Follower, WriteError};

use super::claim::Claim;
use super::error::ContinuousError;
use super::feed::Feed;
use super::live::Live;
use super::outputs;
use super::row::Row;
use super::state::{self, Kept, QUERIES};
use super::statement::{Query, Source, Statement};
use super::status::Status;
use super::step::{Sink, Stepped};
use super::subscription::{From, Snapshot, Subscription};
use super::view::rows;

/// How much of what was written is kept in memory for queries that are behind: bytes.
const TAIL_BYTES: usize = 64 << 20;

/// What time it is: nanoseconds since the epoch.
type Clock = dyn Fn() -> i64 + Send + Sync;

fn system_clock() -> i64 {
    // A clock before 1970 is as good as none.
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

/// The continuous queries of a database.
///
/// Queries move on when [`Continuous::advance`] or [`Continuous::settle`] is called, or by themselves
/// while a [`super::Worker`] runs. Cloning gives another handle to the same queries. Of a database
/// that is open for reading only, the answers can be read, and are computed up to now in memory.
#[derive(Clone)]
pub struct Continuous {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    /// `None` where the database is open for reading only.
    claim: Option<Claim>,
    clock: Box<Clock>,
    queries: Mutex<BTreeMap<String, Entry>>,
}

impl Inner {
    fn follower(&self) -> Option<&Follower> {
        self.claim.as_ref().map(Claim::follower)
    }
}

struct Entry {
    live: Live,
    feed: Arc<Feed>,
}

/// What a statement did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The query of this name was made; what is there already is computed from now on.
    Created(String),
    /// How all queries are doing, by name.
    Shown(Vec<Status>),
    /// The windows of a range will be computed from the store.
    Refreshing(String),
    /// The query moves on no more.
    Paused(String),
    /// The query moves on again.
    Resumed(String),
    /// The query is gone.
    Dropped(String),
}

/// What the columns of a query's rows are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The keys.
    pub keys: Vec<String>,
    /// The beginning of the window.
    pub window: String,
    /// The aggregates.
    pub values: Vec<String>,
}

impl Continuous {
    /// The continuous queries of a database, as they were left. They are open once for a database,
    /// and clones are handles to the same ones: [`ContinuousError::AlreadyOpen`] while others are.
    pub fn open(db: Db) -> Result<Self, ContinuousError> {
        Self::open_with_clock(db, system_clock)
    }

    /// The same by another clock than the system's: nanoseconds since the epoch. It only says which
    /// records are too far ahead of it (`max_ahead`) to move watermarks.
    pub fn open_with_clock(
        db: Db,
        clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Result<Self, ContinuousError> {
        let claim = match db.follow(TAIL_BYTES) {
            Ok(follower) => Some(Claim::new(follower)?),
            Err(WriteError::ReadOnly) => None,
            Err(error) => return Err(error.into()),
        };
        Self::load(db, claim, Box::new(clock))
    }

    /// The same for reading only, also where the database is open for writing: nothing is moved on,
    /// answers are computed up to now in memory.
    pub fn reading(db: Db) -> Result<Self, ContinuousError> {
        Self::load(db, None, Box::new(system_clock))
    }

    fn load(db: Db, claim: Option<Claim>, clock: Box<Clock>) -> Result<Self, ContinuousError> {
        let mut queries = BTreeMap::new();
        for (name, text) in db.state_entries(QUERIES) {
            let name = String::from_utf8_lossy(&name).into_owned();
            let damaged = |what: String| ContinuousError::State { name: name.clone(), what };
            let text = String::from_utf8(text).map_err(|_| damaged("it is no text".to_owned()))?;
            let query = match Statement::parse(&text) {
                Ok(Statement::Create(query)) => *query,
                Ok(_) => return Err(damaged("it creates no query".to_owned())),
                Err(error) => return Err(damaged(error.to_string())),
            };
            queries.insert(name, load(&db, query)?);
        }
        let queries = Mutex::new(queries);
        Ok(Self { inner: Arc::new(Inner { db, claim, clock, queries }) })
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// Does what a statement says.
    pub fn execute(&self, statement: &str) -> Result<Outcome, ContinuousError> {
        match Statement::parse(statement)? {
            Statement::Create(query) => self.create(*query),
            Statement::Show => Ok(Outcome::Shown(self.status())),
            Statement::Refresh { name, from_ns, to_ns } => {
                self.refresh(&name, from_ns, to_ns)?;
                Ok(Outcome::Refreshing(name))
            }
            Statement::Pause(name) => self.pause(&name, true).map(|()| Outcome::Paused(name)),
            Statement::Resume(name) => self.pause(&name, false).map(|()| Outcome::Resumed(name)),
            Statement::Drop { name, keep_data } => {
                self.remove(&name, keep_data)?;
                Ok(Outcome::Dropped(name))
            }
        }
    }

    fn queries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.inner.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, query: Query) -> Result<Outcome, ContinuousError> {
        let db = &self.inner.db;
        let follower = self.inner.follower().ok_or(WriteError::ReadOnly)?;
        let mut queries = self.queries();
        if queries.contains_key(&query.name) {
            return Err(ContinuousError::Exists(query.name));
        }
        check_circle(&query, &queries)?;
        // A pattern that is none is told now, and not when the first metric comes.
        db.select(&query.selector)?;
        let (name, text) = (query.name.clone(), query.text.clone());
        // What is written from here on comes by itself; what was there before is looked at.
        let mut kept = Kept::default();
        kept.progress.position = follower.last();
        let mut live = Live::load(db, query, kept)?;
        live.set_clock((self.inner.clock)());
        live.note_everything(db, true)?;
        live.remember_pending();
        let mut batch = db.batch();
        batch.put_state(QUERIES, name.as_bytes(), text.as_bytes());
        live.progress.put(&mut batch, &name);
        db.write(&batch, Durability::Synced)?;
        let feed = Arc::new(Feed::load(&name, &[], 0)?);
        queries.insert(name.clone(), Entry { live, feed });
        drop(queries);
        follower.wake();
        Ok(Outcome::Created(name))
    }

    /// How all queries are doing, by name.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let queries = self.queries();
        let position = |entry: &Entry| entry.live.progress.position;
        let status = |entry: &Entry| {
            let last = self.inner.follower().map_or_else(|| position(entry), Follower::last);
            entry.live.status(&self.inner.db, last, entry.feed.oldest())
        };
        queries.values().map(status).collect()
    }

    fn refresh(&self, name: &str, from_ns: i64, to_ns: i64) -> Result<(), ContinuousError> {
        let db = &self.inner.db;
        let mut queries = self.queries();
        let Entry { live, .. } = find(&mut queries, name)?;
        live.find_metrics(db)?;
        live.set_clock((self.inner.clock)());
        live.mend_watermark(db)?;
        for group in 0..live.groups.len() {
            live.note_always(group, from_ns, to_ns);
        }
        live.store_progress(db)
    }

    fn pause(&self, name: &str, is_paused: bool) -> Result<(), ContinuousError> {
        let mut queries = self.queries();
        let Entry { live, .. } = find(&mut queries, name)?;
        live.progress.is_paused = is_paused;
        live.store_progress(&self.inner.db)
    }

    fn remove(&self, name: &str, keep_data: bool) -> Result<(), ContinuousError> {
        let db = &self.inner.db;
        let mut queries = self.queries();
        find(&mut queries, name)?;
        let mut batch = db.batch();
        state::remove_all(db, &mut batch, name);
        if !keep_data {
            for metric in outputs::all_metrics(db, name)? {
                batch.delete(metric, i64::MIN, i64::MAX);
            }
        }
        db.write(&batch, Durability::Synced)?;
        if let Some(entry) = queries.remove(name) {
            entry.feed.end();
        }
        Ok(())
    }

    /// Moves each query on by one step; whether there was anything to do. What a step has done is on
    /// stable storage when this returns.
    pub fn advance(&self) -> Result<bool, ContinuousError> {
        let follower = self.inner.follower().ok_or(WriteError::ReadOnly)?;
        let mut queries = self.queries();
        let mut is_busy = false;
        for entry in queries.values_mut().filter(|entry| !entry.live.progress.is_paused) {
            is_busy |= self.step(follower, entry)? == Stepped::Busy;
        }
        Ok(is_busy)
    }

    /// Moves all queries on until they have seen everything that was written.
    pub fn settle(&self) -> Result<(), ContinuousError> {
        while self.advance()? {}
        Ok(())
    }

    /// Waits until something was written that some query has not seen, no longer than this.
    pub fn wait(&self, longest: Duration) {
        let position = {
            let queries = self.queries();
            let running = queries.values().filter(|entry| !entry.live.progress.is_paused);
            running.map(|entry| entry.live.progress.position).min()
        };
        if let Some(follower) = self.inner.follower() {
            let _ = follower.wait(position.unwrap_or_else(|| follower.last()), longest);
        }
    }

    /// Ends what [`Continuous::wait`] waits for, and makes those who follow look up.
    pub(super) fn wake(&self) {
        if let Some(follower) = self.inner.follower() {
            follower.wake();
        }
        self.queries().values().for_each(|entry| entry.feed.wake());
    }

    /// The names of all queries.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.queries().keys().cloned().collect()
    }

    /// What the columns of a query's rows are called.
    pub fn columns(&self, name: &str) -> Result<Columns, ContinuousError> {
        let mut queries = self.queries();
        let query = &find(&mut queries, name)?.live.query;
        Ok(Columns {
            keys: query.keys.iter().map(|key| key.alias.clone()).collect(),
            window: query.window_name.clone(),
            values: query.columns.iter().map(|column| column.alias.clone()).collect(),
        })
    }

    /// The rows of a query whose windows begin in a range of time, with everything that was written
    /// until now: what is kept, and what is not kept yet. Ordered by beginning and keys.
    pub fn rows(
        &self,
        name: &str,
        starts: RangeInclusive<i64>,
    ) -> Result<Vec<Row>, ContinuousError> {
        Ok(self.view(name, starts)?.rows)
    }

    /// The whole answer of a query, and the cursor to go on from.
    pub fn snapshot(&self, name: &str) -> Result<Snapshot, ContinuousError> {
        self.view(name, i64::MIN..=i64::MAX)
    }

    fn view(&self, name: &str, starts: RangeInclusive<i64>) -> Result<Snapshot, ContinuousError> {
        let db = &self.inner.db;
        let mut queries = self.queries();
        let entry = find(&mut queries, name)?;
        let mut ahead = BTreeMap::new();
        match self.inner.follower() {
            _ if entry.live.progress.is_paused => {}
            Some(follower) => while self.step(follower, entry)? == Stepped::Busy {},
            None => {
                entry.live.set_clock((self.inner.clock)());
                while entry.live.step(db, None, Sink::Keep(&mut ahead))? == Stepped::Busy {}
            }
        }
        let rows = rows(db, &entry.live, &ahead, starts)?;
        // What a reader has computed in memory has no cursors yet: they are told again.
        Ok(Snapshot { rows, cursor: entry.feed.newest() })
    }

    /// Follows the changes of a query.
    pub fn subscribe(&self, name: &str, from: From) -> Result<Subscription, ContinuousError> {
        let feed = Arc::clone(&find(&mut self.queries(), name)?.feed);
        Subscription::new(name, feed, from)
    }

    /// Moves a query on by one step. Where that fails the query is as it was left on disk, since what
    /// is in memory may be ahead of it.
    fn step(&self, follower: &Follower, entry: &mut Entry) -> Result<Stepped, ContinuousError> {
        let db = &self.inner.db;
        entry.live.set_clock((self.inner.clock)());
        let stepped = entry.live.step(db, Some(follower), Sink::Commit(&entry.feed));
        if stepped.is_err() {
            let query = entry.live.query.clone();
            let kept = Kept::load(db, &query.name)?;
            entry.live = Live::load(db, query, kept)?;
        }
        stepped
    }
}

fn find<'a>(
    queries: &'a mut BTreeMap<String, Entry>,
    name: &str,
) -> Result<&'a mut Entry, ContinuousError> {
    if !queries.contains_key(name) {
        let names: Vec<&str> = queries.keys().map(String::as_str).take(8).collect();
        let known = match &names[..] {
            [] => "there are none".to_owned(),
            names => format!("there are for example {}", names.join(", ")),
        };
        return Err(ContinuousError::Unknown { name: name.to_owned(), known });
    }
    let unknown = || ContinuousError::Dropped(name.to_owned());
    queries.get_mut(name).ok_or_else(unknown)
}

fn load(db: &Db, query: Query) -> Result<Entry, ContinuousError> {
    let mut kept = Kept::load(db, &query.name)?;
    let changes = std::mem::take(&mut kept.changes);
    let feed = Arc::new(Feed::load(&query.name, &changes, kept.progress.cursor)?);
    Ok(Entry { live: Live::load(db, query, kept)?, feed })
}

/// The names of the metrics that a query writes.
fn output_names(query: &Query) -> Vec<String> {
    let several = query.columns.iter().map(|column| format!("{}_{}", query.into, column.alias));
    let mut names: Vec<String> = several.collect();
    names.push(query.into.clone());
    names.push(format!("{}_{}", query.into, outputs::END));
    names
}

/// Refuses a query that would read, through others, what it writes.
fn check_circle(query: &Query, queries: &BTreeMap<String, Entry>) -> Result<(), ContinuousError> {
    let written = output_names(query);
    let (mut next, mut seen) = (vec![&query.source], BTreeSet::new());
    while let Some(source) = next.pop() {
        let Source::Metric(metric) = source else { continue };
        if written.contains(metric) {
            return Err(ContinuousError::statement(format!(
                "the query would read what it writes, by way of the metric {metric}; choose INTO \
                 another metric"
            )));
        }
        if !seen.insert(metric) {
            continue;
        }
        let others = queries.values().map(|entry| &entry.live.query);
        next.extend(others.filter(|q| output_names(q).contains(metric)).map(|q| &q.source));
    }
    Ok(())
}
