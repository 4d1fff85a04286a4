//! Key-value state that changes together with records.
//!
//! ```text
//! state/NUMBER: record { zstd of: count varint · namespace · key · value each }
//! ```

use std::collections::BTreeMap;

use chronolith_disk::{Disk, read_all};

use crate::batch::StateChange;
use crate::db::Db;
use crate::encoding::{Reader, put_bytes, put_varint};
use crate::error::{DiskContext, DiskError, Fault, ReadError};
use crate::protect::{Protect, Purpose};
use crate::record;
use crate::wal::Sequence;

/// The folder of the state's file.
pub(super) const DIR: &str = "state";
/// The most that the state may be: bytes.
const BYTES_MAX: usize = 1 << 30;

/// The file of the state with a number.
pub(crate) fn file_name(number: u64) -> String {
    format!("{DIR}/{number:012}.state")
}

/// All state, and the sequences at which it last changed and was last stored.
#[derive(Debug, Default, Clone)]
pub(crate) struct State {
    entries: BTreeMap<(String, Vec<u8>), Vec<u8>>,
    changed: Sequence,
    stored: Sequence,
}

impl State {
    pub(super) fn apply(&mut self, change: &StateChange, sequence: Sequence) {
        let key = (change.namespace.clone(), change.key.clone());
        match &change.value {
            Some(value) => drop(self.entries.insert(key, value.clone())),
            None => drop(self.entries.remove(&key)),
        }
        self.changed = sequence;
    }

    /// A copy to be stored, where it changed since it last was.
    pub(super) fn unstored(&self) -> Option<Self> {
        (self.changed > self.stored).then(|| self.clone())
    }

    /// What changed up to a sequence is stored.
    pub(super) fn stored(&mut self, sequence: Sequence) {
        self.stored = sequence;
    }

    pub(super) fn store(
        &self,
        disk: &dyn Disk,
        protect: &dyn Protect,
        number: u64,
    ) -> Result<(), DiskError> {
        let name = file_name(number);
        let mut plain = Vec::new();
        put_varint(&mut plain, self.entries.len() as u64);
        for ((namespace, key), value) in &self.entries {
            put_bytes(&mut plain, namespace.as_bytes());
            put_bytes(&mut plain, key);
            put_bytes(&mut plain, value);
        }
        let packed = zstd::bulk::compress(&plain, 1).at(disk, "compress", &name)?;
        let mut bytes = Vec::new();
        record::put(&mut bytes, protect, Purpose::State, &packed);
        let file = disk.open(&name).at(disk, "create", &name)?;
        file.set_len(0).at(disk, "empty", &name)?;
        file.append(&bytes).at(disk, "write", &name)?;
        file.sync().at(disk, "sync", &name)?;
        disk.sync_dir(DIR).at(disk, "sync", DIR)
    }

    pub(super) fn load(
        disk: &dyn Disk,
        protect: &dyn Protect,
        number: u64,
    ) -> Result<Self, ReadError> {
        let name = file_name(number);
        let bytes = read_all(disk, &name).at(disk, "read", &name)?;
        let packed = record::get(&bytes, protect, Purpose::State, &name, 0)?;
        let fault = |what: String| Fault::new(&name, 0, what);
        let size = match zstd::zstd_safe::get_frame_content_size(&packed) {
            Ok(Some(size)) if size <= BYTES_MAX as u64 => size as usize,
            _ => return Err(fault("a compressed frame without a sensible size".into()).into()),
        };
        let plain = zstd::bulk::decompress(&packed, size)
            .map_err(|error| fault(format!("cannot be unpacked: {error}")))?;
        let mut state = Self::default();
        let mut reader = Reader::new(&plain);
        let mut read = || {
            for _ in 0..reader.varint_usize(reader.remaining())? {
                let key = (reader.text()?.to_owned(), reader.sized()?.to_vec());
                state.entries.insert(key, reader.sized()?.to_vec());
            }
            reader.finish()
        };
        read().map_err(|error| fault(error.to_string()))?;
        Ok(state)
    }
}

/// Whether the state's file can be read.
pub(crate) fn check(disk: &dyn Disk, protect: &dyn Protect, number: u64) -> Result<(), ReadError> {
    State::load(disk, protect, number).map(drop)
}

impl Db {
    /// The value of a key of the state.
    #[must_use]
    pub fn state(&self, namespace: &str, key: &[u8]) -> Option<Vec<u8>> {
        let state = self.inner.state.lock();
        state.entries.get(&(namespace.to_owned(), key.to_vec())).cloned()
    }

    /// All keys and values of a namespace, by key.
    #[must_use]
    pub fn state_entries(&self, namespace: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let state = self.inner.state.lock();
        let from = (namespace.to_owned(), Vec::new());
        let entries = state.entries.range(from..);
        entries
            .take_while(|((other, _), _)| other == namespace)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }
}
