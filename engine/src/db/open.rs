//! Opening, creating and closing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chronolith_disk::{Disk, DiskFile, RealDisk};
use parking_lot::{Mutex, RwLock};

use crate::background::Background;
use crate::db::compact::is_small;
use crate::db::delete::with_deletions;
use crate::db::{Closer, Db, Inner, Maintained, SealScope, Upkeep, state};
use crate::error::{DiskContext, Fault, OpenError, ReadError};
use crate::keys::{self, ProducerKey};
use crate::manifest::{self, Manifest, Tombstone};
use crate::memtable::Memtable;
use crate::options::Options;
use crate::registry::{self, Registry};
use crate::run;
use crate::segment::{self, PageBudget};
use crate::store::{CACHE_DIR, StoreReader};
use crate::view::{Tombstones, View};
use crate::wal::payload::Payload;
use crate::wal::recovery::{self, LogStart, Recovered};
use crate::wal::{self, Sequence, Wal};

/// The name of the lock file.
const LOCK: &str = "LOCK";
/// The folders of a database.
const FOLDERS: [&str; 6] =
    [wal::DIR, run::DIR, segment::DIR, crate::blob::DIR, keys::DIR, state::DIR];
/// A log that holds more than this when the database is closed is flushed, so that the next
/// opening is quick: bytes.
const CLOSE_LOG_BYTES: usize = 256 * 1024;
/// And so is a log of more files than this: every opening adds one.
const CLOSE_LOG_FILES: u64 = 8;

impl Db {
    /// Opens the database in a directory, or makes one where there is none.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let disk = if options.create { RealDisk::create(path) } else { RealDisk::existing(path) };
        let disk = match disk {
            Ok(disk) => disk,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(OpenError::Missing(path.display().to_string()));
            }
            Err(source) => {
                let (action, file) = ("open", path.display().to_string());
                return Err(crate::DiskError { action, file, source }.into());
            }
        };
        Self::open_on(Arc::new(disk), options)
    }

    /// Opens or makes a database on any disk.
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Self, OpenError> {
        // A writer may replace files while a reader without a lock opens them, which looks like
        // missing or damaged files: the reader then starts anew from the newer manifest.
        let mut attempts = if options.read_only { READER_ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match Self::open_once(Arc::clone(&disk), options.clone()) {
                Err(OpenError::Read(_)) if attempts > 0 => {}
                opened => return opened,
            }
        }
    }

    fn open_once(disk: Arc<dyn Disk>, options: Options) -> Result<Self, OpenError> {
        let lock = if options.read_only {
            None
        } else {
            if !exists(&*disk, manifest::FILE)? {
                if !options.create {
                    return Err(OpenError::Missing(disk.describe("")));
                }
                // Before the lock file is made: it has no business in a foreign folder.
                refuse_foreign(&*disk)?;
            }
            match disk.lock(LOCK) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Err(OpenError::Locked(disk.describe("")));
                }
                lock => Some(lock.at(&*disk, "lock", LOCK)?),
            }
        };
        if !exists(&*disk, manifest::FILE)? {
            if options.read_only || !options.create {
                return Err(OpenError::Missing(disk.describe("")));
            }
            create(&*disk, &options)?;
        }
        let manifest = Manifest::load(&*disk, &*options.protect)?;
        let mut registry = Registry::default();
        registry::log::load(&*disk, &*options.protect, manifest.metrics_bytes, &mut registry)?;
        let state = match manifest.state {
            Some(number) => state::State::load(&*disk, &*options.protect, number)?,
            None => state::State::default(),
        };
        let key = match options.read_only {
            true => None,
            false => Some(ProducerKey::load(&*disk)?),
        };
        let view = View {
            active: Arc::new(Memtable::new(manifest.flushed)),
            frozen: Vec::new(),
            runs: Vec::new(),
            segments: Vec::new(),
            tombstones: Arc::new(Tombstones::new(&manifest.tombstones)),
        };
        let store = options.segment_store.clone();
        // A reader writes nothing, a cache neither.
        let keeps_on_disk = !options.read_only;
        let store = store.map(|store| Arc::new(StoreReader::new(&disk, store, keeps_on_disk)));
        let mut inner = Inner {
            store,
            moving: Mutex::new(false),
            move_failure: Mutex::default(),
            gone_segments: Mutex::default(),
            is_closing: AtomicBool::new(false),
            budget: Arc::new(PageBudget::new(options.page_cache_bytes)),
            disk,
            options,
            registry: RwLock::new(registry),
            view: RwLock::new(Arc::new(view)),
            wal: None,
            state: Mutex::new(state),
            rebuilding: Mutex::new(()),
            loading: RwLock::new(()),
            database: manifest.database.clone(),
            upkeep: Mutex::new(Upkeep { manifest }),
            key,
            upkeep_failure: Mutex::default(),
            background: Background::default(),
            torn: None,
            recovered: 0,
            next_part: AtomicU64::new(0),
            kept_blobs: Mutex::default(),
            lock: Mutex::new(lock),
        };
        inner.show_files();
        if inner.options.read_only {
            inner.hold_files()?;
        }
        inner.recover()?;
        let inner = Arc::new(inner);
        inner.background.start(&inner);
        let closer = Arc::new(Closer { inner: Arc::clone(&inner) });
        Ok(Self { inner, closer })
    }

    /// Closes the database: everything is on stable storage, the next opening is quick, and
    /// another process may be the one that does it. The other handles cannot write any more, and
    /// snapshots may find their files gone.
    pub fn close(self) -> Maintained<()> {
        Inner::close(&self.inner)
    }
}

/// How often a reader starts anew when files are replaced under it.
const READER_ATTEMPTS: u32 = 8;

fn exists(disk: &dyn Disk, path: &str) -> Result<bool, ReadError> {
    Ok(disk.exists(path).at(disk, "look for", path)?)
}

/// Whether a folder holds nothing but what [`create`] leaves there: the log's first file without a
/// frame.
fn is_unused(disk: &dyn Disk, folder: &str) -> Result<bool, OpenError> {
    for name in disk.list(folder).at(disk, "list", folder)? {
        let path = format!("{folder}/{name}");
        let is_first_log = folder == wal::DIR && wal::file_number(&name) == Some(1);
        if !is_first_log || disk.len(&path).at(disk, "measure", &path)? > wal::EMPTY_FILE_BYTES {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses a folder that holds what is no part of a database.
fn refuse_foreign(disk: &dyn Disk) -> Result<(), OpenError> {
    for name in disk.list("").at(disk, "list", "")? {
        let is_ours = name == LOCK
            || name == "manifest.new"
            || name
                .strip_suffix('/')
                .is_some_and(|name| FOLDERS.contains(&name) || name == CACHE_DIR);
        if !is_ours {
            let place = disk.describe("");
            let what =
                format!("{place} is no database and holds {name}; choose an empty directory");
            return Err(OpenError::Options(what));
        }
    }
    Ok(())
}

/// Makes an empty database; the manifest comes last, so that a database is there wholly or not.
fn create(disk: &dyn Disk, options: &Options) -> Result<(), OpenError> {
    // A key and an empty log may be there after a power cut in here; these come after the first
    // manifest.
    for folder in [wal::DIR, run::DIR, segment::DIR, crate::blob::DIR, state::DIR] {
        if exists(disk, folder)? && !is_unused(disk, folder)? {
            let what = format!(
                "{} has files of a database but no manifest; restore a backup",
                disk.describe(folder)
            );
            return Err(OpenError::Options(what));
        }
    }
    for folder in FOLDERS {
        disk.create_dir_all(folder).at(disk, "create", folder)?;
    }
    let random = |bytes: &mut [u8]| {
        getrandom::fill(bytes).map_err(std::io::Error::other).at(disk, "get random bytes for", "")
    };
    let mut secret = [0; 32];
    match options.producer_secret {
        Some(given) => secret = given,
        None => random(&mut secret)?,
    }
    ProducerKey::from_secret(&secret).store(disk)?;
    let mut database = vec![0; 16];
    match options.producer_secret {
        // What is to be reproducible is so in all its bytes.
        Some(given) => database.copy_from_slice(&blake3::hash(&given).as_bytes()[..16]),
        None => random(&mut database)?,
    }
    // The manifest must not survive a power cut that its folders do not; and the log that it names
    // is there.
    disk.sync_dir("").at(disk, "sync", "")?;
    wal::prepare_file(disk, &database, 1, 0)?;
    let manifest = Manifest { database, first_log: 1, ..Manifest::default() };
    Ok(manifest.store(disk, &*options.protect)?)
}

/// Writes what a file holds from an offset on once more, unchanged, so that the next sync covers
/// it whatever became of the last one.
fn rewrite(file: &dyn DiskFile, mut from: u64) -> std::io::Result<()> {
    let end = file.len()?;
    let mut buffer = vec![0; end.saturating_sub(from).min(1 << 20) as usize];
    while from < end {
        let part = &mut buffer[..(end - from).min(1 << 20) as usize];
        file.read_at(from, part)?;
        file.write_at(from, part)?;
        from += part.len() as u64;
    }
    Ok(())
}

impl Inner {
    /// Puts the manifest's runs and segments into the view.
    fn show_files(&mut self) {
        let manifest = self.upkeep.get_mut().manifest.clone();
        let (runs, segments) = (manifest.runs.clone(), manifest.segments.clone());
        let mut view = View::clone(&self.view.read());
        view.runs = runs.into_iter().map(|record| self.run(record)).collect();
        view.segments = segments
            .into_iter()
            .map(|record| Arc::new(self.live_segment(&manifest, record)))
            .collect();
        *self.view.get_mut() = Arc::new(view);
    }

    /// Opens all files, so that they stay readable when a writer removes them.
    fn hold_files(&self) -> Result<(), ReadError> {
        let view = self.view();
        view.runs.iter().try_for_each(|live| live.run.hold())?;
        view.segments.iter().try_for_each(|live| live.segment.hold())
    }

    /// Reads the log back and goes on behind it.
    fn recover(&mut self) -> Result<(), OpenError> {
        let manifest = self.upkeep.get_mut().manifest.clone();
        let first_log = manifest.first_log;
        let (disk, protect) = (Arc::clone(&self.disk), Arc::clone(&self.options.protect));
        let recovered = recovery::replay(
            &*disk,
            &*protect,
            LogStart { is_shared: self.options.read_only, ..LogStart::of(&manifest) },
            &mut |sequence, payload| self.replay(sequence, payload),
        )?;
        self.torn = recovered.torn.clone();
        self.recovered = recovered.last_sequence;
        if self.options.read_only {
            return Ok(());
        }
        let last_log = self.mend_log(&recovered)?;
        // The manifest that was read may not be durable yet under its name; what only the one
        // before it needs must not go before it is.
        disk.sync_dir("").at(&*disk, "sync", "")?;
        crate::repair::lost::move_listed(disk.as_ref(), &self.upkeep.get_mut().manifest)?;
        self.remove_orphans(first_log)?;
        let number = last_log.map_or(first_log, |last| last + 1);
        let last = recovered.last_sequence;
        let upkeep = self.upkeep.get_mut();
        let prepared = wal::prepare_file(&*disk, &upkeep.manifest.database, number, last)?;
        upkeep.manifest.last_log = Some(number);
        upkeep.manifest.store(&*disk, &*protect)?;
        self.wal = Some(Arc::new(Wal::start(Arc::clone(&disk), prepared, last)));
        Ok(())
    }

    /// Applies one frame of the log.
    fn replay(&self, sequence: Sequence, payload: Payload) -> Result<(), ReadError> {
        let mut registry = self.registry.write();
        self.make_way_for_load(sequence);
        payload.definitions.into_iter().for_each(|d| registry.define(d, sequence));
        if !payload.deletions.is_empty() {
            let mut view = self.view.write();
            let changed = with_deletions(&view, sequence - 1, sequence, &payload.deletions);
            *view = Arc::new(changed);
            let tombstone = |deletion| Tombstone { deletion, sequence };
            let mut upkeep = self.upkeep.lock();
            let known = &mut upkeep.manifest.tombstones;
            // The manifest may have been stored since, and name them already.
            known.retain(|tombstone| tombstone.sequence != sequence);
            known.extend(payload.deletions.into_iter().map(tombstone));
        }
        let mut state = self.state.lock();
        payload.batch.state.iter().for_each(|change| state.apply(change, sequence));
        for (metric, kind) in payload.batch.metrics.iter().zip(&payload.batch.kinds) {
            let found = registry.kinds().get(*metric as usize);
            let expected = *found.ok_or(ReadError::UnknownMetric(*metric))?;
            if expected != *kind {
                let what =
                    format!("frame {sequence} has {kind} for the {expected} metric {metric}");
                return Err(Fault::new(wal::DIR, 0, what).into());
            }
        }
        let view = self.view.read();
        let mut shards = view.active.lock(&payload.batch.metrics);
        shards.apply(&payload.batch, |metric| registry.shape(metric));
        Ok(())
    }

    /// Where a bulk load has the sequence, what comes before it and what comes behind it are two memtables.
    fn make_way_for_load(&self, sequence: Sequence) {
        let mut view = self.view.write();
        if view.runs.iter().any(|live| live.record.first_sequence == sequence) {
            *view = Arc::new(view.rotated_around(sequence - 1, sequence));
        }
    }

    /// Cuts off what is torn, and makes sure that what was read is on stable storage: a process
    /// that was killed, or whose sync failed, may have left it with the operating system only.
    /// The last file that stays.
    fn mend_log(&self, recovered: &Recovered) -> Result<Option<u64>, OpenError> {
        let disk = &*self.disk;
        let is_gone = |number: u64| {
            let end = recovered.end;
            recovered.torn.is_some()
                && (number > end.file || (number == end.file && end.offset == 0))
        };
        let mut upkeep = self.upkeep.lock();
        if upkeep.manifest.last_log.is_some_and(is_gone) {
            upkeep.manifest.last_log = None;
            upkeep.manifest.store(disk, &*self.options.protect)?;
        }
        drop(upkeep);
        // From the last on, one after the other, so that no gap is left where the power is cut.
        for number in recovered.files.iter().rev().filter(|number| is_gone(**number)) {
            let name = wal::file_name(*number);
            disk.remove(&name).at(disk, "remove", &name)?;
            disk.sync_dir(wal::DIR).at(disk, "sync", wal::DIR)?;
        }
        let mut last = None;
        for number in recovered.files.iter().filter(|number| !is_gone(**number)) {
            let name = wal::file_name(*number);
            let file = disk.open(&name).at(disk, "open", &name)?;
            if recovered.torn.is_some() && *number == recovered.end.file {
                file.set_len(recovered.end.offset).at(disk, "cut", &name)?;
            }
            if *number >= recovered.confirmed.file {
                let is_first = *number == recovered.confirmed.file;
                let from = if is_first { recovered.confirmed.offset } else { 0 };
                rewrite(&*file, from).at(disk, "write again", &name)?;
            }
            if *number >= recovered.confirmed.file || recovered.torn.is_some() {
                file.sync().at(disk, "sync", &name)?;
            }
            last = Some(*number);
        }
        disk.sync_dir(wal::DIR).at(disk, "sync", wal::DIR)?;
        Ok(last)
    }

    /// Removes files that a crash left behind: those the manifest does not name.
    fn remove_orphans(&mut self, first_log: u64) -> Result<(), OpenError> {
        let manifest = self.upkeep.get_mut().manifest.clone();
        let disk = &*self.disk;
        let remove = |path: &str| disk.remove(path).at(disk, "remove", path);
        let list = |folder: &str| disk.list(folder).at(disk, "list", folder);
        if exists(disk, "manifest.new")? {
            remove("manifest.new")?;
        }
        for name in list(wal::DIR)? {
            if wal::file_number(&name).is_some_and(|number| number < first_log) {
                remove(&format!("{}/{name}", wal::DIR))?;
            }
        }
        let runs: Vec<String> =
            manifest.runs.iter().map(|record| run::file_name(record.number)).collect();
        for name in list(run::DIR)? {
            let path = format!("{}/{name}", run::DIR);
            if name.ends_with(".run") && !runs.contains(&path) {
                remove(&path)?;
            }
        }
        for name in list(crate::blob::DIR)? {
            if name.ends_with(".part") {
                remove(&format!("{}/{name}", crate::blob::DIR))?;
            }
        }
        for name in list(state::DIR)? {
            let path = format!("{}/{name}", state::DIR);
            if name.ends_with(".state")
                && manifest.state.map(state::file_name) != Some(path.clone())
            {
                remove(&path)?;
            }
        }
        let segments: Vec<String> =
            manifest.segments.iter().map(|record| manifest.segment_file(record)).collect();
        for folder in list(segment::DIR)? {
            let Some(folder) = folder.strip_suffix('/') else { continue };
            let folder = format!("{}/{folder}", segment::DIR);
            for name in list(&folder)? {
                let path = format!("{folder}/{name}");
                let is_ours = name.ends_with(".seg") || name.ends_with(".tail");
                if is_ours && !segments.contains(&path) {
                    remove(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the threads, puts everything on stable storage, and lets go of the lock. Does nothing
    /// the second time.
    pub(super) fn close(inner: &Arc<Self>) -> Maintained<()> {
        inner.is_closing.store(true, Ordering::Relaxed);
        inner.background.stop(inner);
        let settled = inner.settle();
        drop(inner.lock.lock().take());
        settled
    }

    /// Puts everything on stable storage, so that the next opening has little to do, and takes no
    /// more writes.
    fn settle(&self) -> Maintained<()> {
        let Some(wal) = &self.wal else { return Ok(()) };
        // Whoever moves, rebuilds or loads finishes first; afterwards the files belong to the next opening.
        let _moving = self.moving.lock();
        let _rebuilding = self.rebuilding.lock();
        let _loading = self.loading.write();
        let mut upkeep = self.upkeep.lock();
        if wal.is_closed() {
            return Ok(());
        }
        let memtable_bytes = self.view().memtable_bytes();
        let files = wal.file_number().saturating_sub(upkeep.manifest.first_log);
        let flushed = match memtable_bytes > CLOSE_LOG_BYTES || files >= CLOSE_LOG_FILES {
            true => self.flush_with(&mut upkeep).map(drop),
            false => Ok(()),
        };
        let end = wal.close()?;
        flushed?;
        if upkeep.manifest.clean_end != Some(end) {
            let mut manifest = upkeep.manifest.clone();
            manifest.clean_end = Some(end);
            manifest.last_log = None;
            self.store(&manifest)?;
            upkeep.manifest = manifest;
        }
        Ok(())
    }

    /// Seals the windows that have closed, and compacts where files have piled up. What fails
    /// here is tried again the next time: what is written meanwhile is as safe as ever.
    pub(crate) fn seal_due(&self) {
        let failure = self.try_seal_due().err().map(|error| error.to_string());
        *self.upkeep_failure.lock() = failure;
    }

    fn try_seal_due(&self) -> Maintained<()> {
        let now_ns = self.options.clock.now_ns();
        if self.has_due(now_ns)? {
            self.seal(SealScope::ClosedAt(now_ns))?;
        }
        let (runs, small) = {
            let manifest = &self.upkeep.lock().manifest;
            (manifest.runs.len(), small_segments(manifest, self.options.segment_bytes))
        };
        if runs > RUNS_MAX || small > SMALL_SEGMENTS_MAX {
            // Deletions that need a store which fails are carried out another time.
            if let Some(error) = self.compact()?.store_failure {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// The background compacts when there are more runs than this.
const RUNS_MAX: usize = 8;
/// The background compacts when some partition has more small segments than this.
const SMALL_SEGMENTS_MAX: usize = 8;

/// The most small segments that one partition has.
fn small_segments(manifest: &Manifest, segment_bytes: u64) -> usize {
    let mut partitions: Vec<i64> = manifest
        .segments
        .iter()
        .filter(|record| is_small(record, segment_bytes) && !manifest.is_moved(record.number))
        .map(|record| record.partition)
        .collect();
    partitions.sort_unstable();
    partitions.chunk_by(|a, b| a == b).map(<[i64]>::len).max().unwrap_or(0)
}
