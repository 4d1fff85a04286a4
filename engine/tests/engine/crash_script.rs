//! A history that a store lives through on a disk that fails, and what may be left of it.
//!
//! Every event (a definition, a batch, a deletion) is one frame of the log, so that the store
//! must always be exactly what the first `p` events made of it: the prefix property.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{
    Change, ChangeKind, Changes, Db, Definition, Durability, Kind, Level, MaintenanceError, Metric,
    MetricId, OpenError, Options, ReadError, RetentionRule, SealScope, Ticket, Value, WriteError,
    verify,
};

use crate::oracle::{Oracle, load, options};

pub(crate) const SECOND_NS: i64 = 1_000_000_000;
const NAMESPACE: &str = "script";
/// Values of this length are written as blobs.
const BLOB_BYTES: usize = 40;

/// Splitmix64: the same script for the same seed, for ever.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// How a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Synced,
    Buffered,
    /// Submitted; somebody waits for the ticket later, or nobody does.
    Submitted,
    /// As a bulk load.
    Loaded,
}

/// A change of what the store holds.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Define(Definition),
    Write { records: Vec<(u32, i64, Value)>, state: Vec<(u8, Option<u64>)>, how: How },
    Delete { metric: u32, from_ns: i64, to_ns: i64 },
}

/// What is done to the store.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Event(Event),
    WaitForOldestTicket,
    Sync,
    Flush,
    Seal,
    SealClosed(i64),
    Compact,
    Retention(i64),
    CloseAndReopen,
    DropAndReopen,
    /// What a backup holds is what the store holds.
    Backup,
    /// What a reader of changes is told covers what happened since it asked last.
    Changes,
    /// Old segments go to the segment store of the options.
    Move,
}

/// What the store must hold after some events.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Content {
    pub(crate) definitions: Vec<Definition>,
    /// The records of each metric, by time.
    pub(crate) records: Vec<Vec<(i64, Value)>>,
    pub(crate) state: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A store as simple as can be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) definitions: Vec<Definition>,
    pub(crate) oracle: Oracle,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Model {
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Define(definition) => {
                let mut known = self.definitions.iter_mut();
                match known.find(|known| known.metric == definition.metric) {
                    Some(known) => known.clone_from(definition),
                    None => self.definitions.push(definition.clone()),
                }
            }
            Event::Write { records, state, .. } => {
                for (metric, time_ns, value) in records {
                    let series = self.oracle.metrics.entry(*metric).or_default();
                    series.insert(*time_ns, value.clone());
                }
                for (key, value) in state {
                    match value {
                        Some(value) => {
                            drop(self.state.insert(vec![*key], value.to_le_bytes().to_vec()));
                        }
                        None => drop(self.state.remove(&vec![*key])),
                    }
                }
            }
            Event::Delete { metric, from_ns, to_ns } => {
                if let Some(series) = self.oracle.metrics.get_mut(metric) {
                    series.retain(|time_ns, _| !(from_ns..=to_ns).contains(&time_ns));
                }
            }
        }
    }

    pub(crate) fn content(&self) -> Content {
        let series = |number: usize| self.oracle.metrics.get(&(number as u32));
        let records = (0..self.definitions.len())
            .map(|number| series(number).into_iter().flatten())
            .map(|records| records.map(|(time_ns, value)| (*time_ns, value.clone())).collect())
            .collect();
        let state = self.state.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Content { definitions: self.definitions.clone(), records, state }
    }
}

/// What a store holds.
pub(crate) fn content(db: &Db) -> Result<Content, String> {
    let mut content = Content { state: db.state_entries(NAMESPACE), ..Content::default() };
    for number in 0..db.metric_count() as u32 {
        let id = db.metric_by_number(number).ok_or("a metric is missing")?;
        let definition = db.definition(id).ok_or("a definition is missing")?;
        content.definitions.push(Definition::clone(&definition));
        let mut records = Vec::new();
        for block in db.scan(id, ..).map_err(|error| error.to_string())? {
            let block = block.map_err(|error| error.to_string())?;
            records.extend(block.iter().map(|(time_ns, value)| (time_ns, value.to_value())));
        }
        for (time_ns, value) in &records {
            let Value::Blob(blob) = value else { continue };
            let problem =
                |error: &dyn std::fmt::Display| format!("metric {number} at {time_ns}: {error}");
            let mut read = Vec::new();
            let mut reader = db.open_blob(blob).map_err(|error| problem(&error))?;
            reader.read_to_end(&mut read).map_err(|error| problem(&error))?;
        }
        content.records.push(records);
    }
    Ok(content)
}

/// Options under which a few records fill the memtable.
pub(crate) fn script_options() -> Options {
    Options { memtable_bytes: 12 << 10, segment_bytes: 24 << 10, ..options() }
}

pub(crate) fn definition(number: u64, unit: &str) -> Definition {
    let kind = Kind::ALL[number as usize % Kind::ALL.len()];
    let window_ns = [2, 5, 20][number as usize % 3] * SECOND_NS;
    let metric = Metric::new(format!("car-{}", number % 2), format!("metric-{number}"));
    let level = [Level::Secret, Level::Personal, Level::Regular, Level::Bulk][number as usize % 4];
    let definition = Definition::new(metric, kind).window_ns(window_ns).unit(unit).level(level);
    if number % 8 == 7 { definition.public() } else { definition }
}

fn value(kind: Kind, random: &mut Random) -> Value {
    let choice = random.next();
    match kind {
        Kind::F64 => Value::F64((choice % 1000) as f64 / 10.0),
        Kind::I64 => Value::I64((choice % 100) as i64 - 50),
        Kind::U64 => Value::U64(choice % 3 * (u64::MAX / 2)),
        Kind::Bool => Value::Bool(choice.is_multiple_of(2)),
        Kind::Text => Value::Text("é☃".repeat(choice as usize % 9)),
        // Some are written as blobs, often with the same content.
        Kind::Bytes if (choice >> 8).is_multiple_of(4) => {
            Value::Bytes(vec![(choice % 4) as u8; BLOB_BYTES])
        }
        Kind::Bytes => Value::Bytes(choice.to_le_bytes()[..choice as usize % 9].to_vec()),
    }
}

/// Makes steps; knows which metrics there are and how late it is.
struct Writer {
    random: Random,
    metrics: u64,
    now_ns: i64,
}

impl Writer {
    fn batch(&mut self) -> Event {
        let mut records = Vec::new();
        let long = self.random.below(12) == 0;
        for _ in 0..self.random.below(if long { 220 } else { 24 }) {
            let metric = self.random.below(self.metrics) as u32;
            self.now_ns += self.random.below(3) as i64 * 50_000_000;
            let late = self.random.below(8) == 0;
            let back_ns = if late { self.random.below(30) as i64 * SECOND_NS } else { 0 };
            let kind = Kind::ALL[metric as usize % Kind::ALL.len()];
            records.push((metric, self.now_ns - back_ns, value(kind, &mut self.random)));
        }
        let mut state = Vec::new();
        for _ in 0..self.random.below(3) {
            let value = (self.random.below(4) != 0).then(|| self.random.next());
            state.push((self.random.below(6) as u8, value));
        }
        let how = match self.random.below(3) {
            0 if state.is_empty() && !records.is_empty() => How::Loaded,
            0 => How::Synced,
            1 => How::Buffered,
            _ => How::Submitted,
        };
        Event::Write { records, state, how }
    }

    fn step(&mut self) -> Step {
        match self.random.below(100) {
            0..=4 if self.metrics < 14 => {
                self.metrics += 1;
                Step::Event(Event::Define(definition(self.metrics - 1, "")))
            }
            5..=6 => {
                let unit = format!("unit-{}", self.random.below(1000));
                Step::Event(Event::Define(definition(self.random.below(self.metrics), &unit)))
            }
            7..=11 => {
                let metric = self.random.below(self.metrics) as u32;
                let to_ns = self.now_ns - self.random.below(20) as i64 * SECOND_NS;
                let from_ns = to_ns - self.random.below(10) as i64 * SECOND_NS;
                Step::Event(Event::Delete { metric, from_ns, to_ns })
            }
            12..=16 => Step::WaitForOldestTicket,
            17..=19 => Step::Sync,
            20..=23 => Step::Flush,
            24..=26 => Step::Seal,
            // The lateness allowance of the options is five minutes.
            27..=30 => Step::SealClosed(self.now_ns + 290 * SECOND_NS),
            31..=34 => Step::Compact,
            35..=36 => Step::Retention(1 << (50 + self.random.below(12))),
            37..=39 => Step::CloseAndReopen,
            40..=41 => Step::DropAndReopen,
            42 => Step::Backup,
            43..=45 => Step::Changes,
            _ => Step::Event(self.batch()),
        }
    }
}

/// Steps that touch everything, for a store that holds so many metrics already.
pub(crate) fn sequel(seed: u64, metrics: usize) -> Vec<Step> {
    let metrics = metrics as u64 + 1;
    let mut writer = Writer { random: Random(seed), metrics, now_ns: 140 * SECOND_NS };
    let (from_ns, to_ns) = (120 * SECOND_NS, 141 * SECOND_NS);
    let mut steps = vec![
        Step::Event(Event::Define(definition(metrics - 1, ""))),
        Step::Event(writer.batch()),
        Step::Event(Event::Delete { metric: 0, from_ns, to_ns }),
        Step::Event(writer.batch()),
    ];
    steps.extend((0..6).map(|_| writer.step()));
    steps.push(Step::CloseAndReopen);
    steps.push(Step::Event(writer.batch()));
    steps
}

/// The steps of a seed: a few definitions, then anything.
pub(crate) fn script(seed: u64, steps: usize) -> Vec<Step> {
    let mut writer = Writer { random: Random(seed), metrics: 4, now_ns: 100 * SECOND_NS };
    let mut script: Vec<Step> =
        (0..4).map(|number| Step::Event(Event::Define(definition(number, "")))).collect();
    script.extend((0..steps).map(|_| writer.step()));
    script
}

/// Why a step failed.
#[derive(Debug)]
#[allow(dead_code, reason = "what is in it is printed")]
pub(crate) enum Failed {
    Write(WriteError),
    Maintenance(MaintenanceError),
    Open(OpenError),
}

impl From<WriteError> for Failed {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<MaintenanceError> for Failed {
    fn from(error: MaintenanceError) -> Self {
        Self::Maintenance(error)
    }
}

impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// What became of a script, by the number of operations the disk had done.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// The content after each number of events.
    pub(crate) contents: Vec<Content>,
    pub(crate) models: Vec<Model>,
    /// When each event began.
    started: Vec<u64>,
    /// (operations, events): these events were on stable storage, the store said.
    acknowledged: Vec<(u64, usize)>,
    /// (operations, rule, whether it is confirmed).
    retention: Vec<(u64, i64, bool)>,
}

impl Journal {
    /// How many events must be there, and how many may be, after so many operations.
    pub(crate) fn bounds(&self, operations: u64) -> (usize, usize) {
        let done = self.acknowledged.iter().filter(|(at, _)| *at <= operations);
        let least = done.map(|(_, events)| *events).max().unwrap_or(0);
        let most = self.started.iter().filter(|at| **at <= operations).count();
        (least, most)
    }

    fn retention_fits(&self, operations: u64, found: i64) -> bool {
        let before = self.retention.iter().filter(|(at, ..)| *at <= operations);
        let confirmed = before.clone().rfind(|(.., confirmed)| *confirmed);
        let confirmed = confirmed.map_or(0, |(_, keep_ns, _)| *keep_ns);
        let under_way = before.clone().next_back().filter(|(.., confirmed)| !confirmed);
        found == confirmed || under_way.is_some_and(|(_, keep_ns, _)| *keep_ns == found)
    }

    /// How many events the store holds; why it cannot be that of a sound store otherwise.
    pub(crate) fn check(&self, db: &Db, operations: u64) -> Result<usize, String> {
        let bounds = self.bounds(operations);
        let keep_ns = db.retention().first().map_or(0, |rule| rule.keep_ns);
        if !self.retention_fits(operations, keep_ns) {
            return Err(format!("the retention of {keep_ns} ns is neither the last nor the next"));
        }
        self.check_between(db, bounds)
    }

    /// The same, with bounds.
    pub(crate) fn check_between(
        &self,
        db: &Db,
        (least, most): (usize, usize),
    ) -> Result<usize, String> {
        let found = content(db)?;
        let fits = |events: &usize| self.contents[*events] == found;
        if let Some(events) = (least..=most).rev().find(fits) {
            return Ok(events);
        }
        let problem = match (0..self.contents.len()).rev().find(fits) {
            Some(events) => format!("the store holds {events} events"),
            None => format!("the store holds no prefix; {}", difference(&self.contents, &found)),
        };
        Err(format!("{problem}; it must hold {least} and may hold {most}"))
    }
}

/// Where content differs from the prefix that is nearest to it.
pub(crate) fn difference(contents: &[Content], found: &Content) -> String {
    let distance = |content: &Content| {
        let pairs = content.records.iter().zip(&found.records);
        let records = pairs.map(|(a, b)| usize::from(a != b)).sum::<usize>();
        let lengths = content.definitions.len().abs_diff(found.definitions.len());
        records + 3 * lengths + usize::from(content.state != found.state)
    };
    let nearest = contents.iter().enumerate().min_by_key(|(_, content)| distance(content));
    let Some((events, nearest)) = nearest else { return String::new() };
    let mut parts = vec![format!("nearest are {events} events")];
    if nearest.definitions != found.definitions {
        parts.push("other definitions".to_owned());
    }
    if nearest.state != found.state {
        parts.push(format!("state {:?} instead of {:?}", found.state, nearest.state));
    }
    for (metric, (a, b)) in nearest.records.iter().zip(&found.records).enumerate() {
        let lost: Vec<_> = a.iter().filter(|record| !b.contains(record)).take(3).collect();
        let extra: Vec<_> = b.iter().filter(|record| !a.contains(record)).take(3).collect();
        if a != b {
            parts.push(format!("metric {metric}: lost {lost:?}, invented {extra:?}"));
        }
    }
    parts.join("; ")
}

/// A script on its way through a store.
pub(crate) struct Player {
    disk: Arc<dyn Disk>,
    operations: Box<dyn Fn() -> u64>,
    pub(crate) db: Option<Db>,
    pub(crate) options: Options,
    tickets: Vec<(usize, Ticket)>,
    events: usize,
    model: Model,
    /// The sequence up to which changes are known, and what happened since: metric, times, kind.
    known: u64,
    unknown: Vec<(u32, i64, i64, ChangeKind)>,
    pub(crate) journal: Journal,
}

impl Player {
    /// A player on a disk whose operations are counted by `operations`.
    pub(crate) fn new(disk: Arc<dyn Disk>, operations: impl Fn() -> u64 + 'static) -> Self {
        Self::resume(disk, operations, Model::default())
    }

    /// The same for a store that holds something already.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        operations: impl Fn() -> u64 + 'static,
        model: Model,
    ) -> Self {
        let mut journal = Journal::default();
        journal.contents.push(model.content());
        journal.models.push(model.clone());
        let operations = Box::new(operations);
        let (tickets, unknown) = (Vec::new(), Vec::new());
        let options = script_options();
        Self {
            disk,
            operations,
            db: None,
            options,
            tickets,
            events: 0,
            model,
            known: 0,
            unknown,
            journal,
        }
    }

    pub(crate) fn open(&mut self) -> Result<(), Failed> {
        self.db = Some(Db::open_on(Arc::clone(&self.disk), self.options.clone())?);
        Ok(())
    }

    /// How many events there were so far, failed ones included.
    pub(crate) const fn events(&self) -> usize {
        self.events
    }

    /// Opens the store and plays steps up to the first that fails.
    pub(crate) fn play(&mut self, steps: &[Step]) -> Result<(), Failed> {
        self.open()?;
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn acknowledge(&mut self, events: usize) {
        self.journal.acknowledged.push(((self.operations)(), events));
    }

    /// What is acknowledged no matter how many operations there were.
    pub(crate) fn acknowledged(&self) -> usize {
        self.journal.bounds(u64::MAX).0
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<(), Failed> {
        let Some(db) = self.db.clone() else { return Ok(()) };
        let all = self.events;
        match step {
            Step::Event(event) => return self.event(&db, event),
            Step::WaitForOldestTicket => {
                if !self.tickets.is_empty() {
                    let (events, ticket) = self.tickets.remove(0);
                    ticket.wait()?;
                    assert!(ticket.is_durable());
                    self.acknowledge(events);
                }
                return Ok(());
            }
            Step::Sync => db.sync()?,
            Step::Flush => db.flush()?,
            Step::Seal => drop(db.seal(SealScope::All)?),
            Step::SealClosed(now_ns) => drop(db.seal(SealScope::ClosedAt(*now_ns))?),
            Step::Compact => drop(db.compact()?),
            Step::Move => {
                db.move_segments()?;
                return Ok(());
            }
            Step::Retention(keep_ns) => return self.set_retention(&db, *keep_ns),
            Step::CloseAndReopen => {
                self.tickets.clear();
                self.db = None;
                db.close()?;
                self.acknowledge(all);
                return self.open();
            }
            Step::DropAndReopen => {
                self.tickets.clear();
                self.db = None;
                drop(db);
                return self.open();
            }
            Step::Backup => {
                let target: Arc<dyn Disk> = Arc::new(SimDisk::new());
                db.backup(&target)?;
                assert_eq!(verify(&target, &script_options()).faults, Vec::new());
                let copy = Db::open_on(target, script_options())?;
                assert_eq!(content(&copy), Ok(self.model.content()), "a backup");
            }
            Step::Changes => {
                self.ask_for_changes(&db).map_err(MaintenanceError::from)?;
                return Ok(());
            }
        }
        self.acknowledge(all);
        Ok(())
    }

    fn set_retention(&mut self, db: &Db, keep_ns: i64) -> Result<(), Failed> {
        let rule = RetentionRule { device: ".*".to_owned(), name: ".*".to_owned(), keep_ns };
        self.journal.retention.push(((self.operations)(), keep_ns, false));
        db.set_retention(vec![rule])?;
        self.journal.retention.push(((self.operations)(), keep_ns, true));
        Ok(())
    }

    fn ask_for_changes(&mut self, db: &Db) -> Result<(), ReadError> {
        let since = self.known;
        match db.changes(since)? {
            Changes::Known { changes, until } => {
                assert!(until >= since);
                for (metric, from_ns, to_ns, kind) in self.unknown.drain(..) {
                    let covers = |change: &Change| {
                        (change.metric, change.kind) == (metric, kind)
                            && change.first_ns <= from_ns
                            && change.last_ns >= to_ns
                    };
                    let is_told = changes.iter().any(covers)
                        // What a deletion hid and a compaction took along is told by the deletion.
                        || changes.iter().any(|change| {
                            (change.metric, change.kind) == (metric, ChangeKind::Delete)
                                && change.first_ns <= from_ns
                                && change.last_ns >= to_ns
                        });
                    assert!(is_told, "{kind:?} of {metric} from {from_ns} to {to_ns}: {changes:?}");
                }
                self.known = until;
            }
            Changes::TooOld { from } => {
                self.unknown.clear();
                self.known = from;
            }
        }
        Ok(())
    }

    /// The same event with its long values written as blobs.
    fn with_blobs(db: &Db, event: &Event) -> Result<Event, Failed> {
        let mut event = event.clone();
        if let Event::Write { records, .. } = &mut event {
            for (_, _, value) in records {
                if let Value::Bytes(bytes) = value
                    && bytes.len() == BLOB_BYTES
                {
                    *value = Value::Blob(db.write_blob(&bytes[..])?);
                }
            }
        }
        Ok(event)
    }

    fn event(&mut self, db: &Db, event: &Event) -> Result<(), Failed> {
        let event = &Self::with_blobs(db, event)?;
        match event {
            Event::Define(_) => {}
            Event::Write { records, .. } => {
                let records = records.iter();
                self.unknown.extend(
                    records.map(|(metric, time, _)| (*metric, *time, *time, ChangeKind::Write)),
                );
            }
            Event::Delete { metric, from_ns, to_ns } => {
                self.unknown.push((*metric, *from_ns, *to_ns, ChangeKind::Delete));
            }
        }
        self.journal.started.push((self.operations)());
        self.events += 1;
        self.model.apply(event);
        self.journal.contents.push(self.model.content());
        self.journal.models.push(self.model.clone());
        match event {
            Event::Define(definition) => drop(db.define(definition.clone())?),
            Event::Delete { metric, from_ns, to_ns } => {
                let id = id(db, *metric)?;
                db.delete(&[id], *from_ns..=*to_ns)?;
                self.acknowledge(self.events);
            }
            Event::Write { records, state, how } => {
                let mut batch = db.batch();
                for (metric, time_ns, value) in records {
                    batch.push(id(db, *metric)?, *time_ns, value.as_ref())?;
                }
                for (key, value) in state {
                    match value {
                        Some(value) => batch.put_state(NAMESPACE, &[*key], &value.to_le_bytes()),
                        None => batch.remove_state(NAMESPACE, &[*key]),
                    }
                }
                match how {
                    How::Synced => {
                        db.write(&batch, Durability::Synced)?;
                        self.acknowledge(self.events);
                    }
                    How::Buffered => drop(db.write(&batch, Durability::Buffered)?),
                    How::Submitted => {
                        let ticket = db.submit(&batch)?;
                        self.tickets.push((self.events, ticket));
                    }
                    How::Loaded => self.load(db, records)?,
                }
            }
        }
        Ok(())
    }
}

impl Player {
    fn load(&mut self, db: &Db, records: &[(u32, i64, Value)]) -> Result<(), Failed> {
        let ids = records.iter().map(|(metric, time_ns, value)| {
            Ok::<_, WriteError>((id(db, *metric)?, *time_ns, value.clone()))
        });
        let records = ids.collect::<Result<Vec<_>, _>>()?;
        let Err(error) = load(db, &records) else {
            self.acknowledge(self.events);
            return Ok(());
        };
        if db.write(&db.batch(), Durability::Buffered).is_ok() {
            // It failed before it was shown, and is no event.
            self.events -= 1;
            self.journal.started.pop();
            self.journal.contents.pop();
            self.journal.models.pop();
            self.model = self.journal.models.last().cloned().unwrap_or_default();
            self.unknown.truncate(self.unknown.len() - records.len());
        }
        Err(match error {
            WriteError::Maintenance(error) => Failed::Maintenance(*error),
            error => Failed::Write(error),
        })
    }
}

fn id(db: &Db, metric: u32) -> Result<MetricId, WriteError> {
    db.metric_by_number(metric).ok_or(WriteError::UnknownMetric { position: 0, metric })
}
