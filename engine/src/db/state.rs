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
use crate::error::{DiskContext, DiskError, Fault, ReadError, WriteError};
use crate::protect::{Protect, Purpose};
use crate::record;
use crate::wal::Sequence;

/// The folder of the state's file.
pub(super) const DIR: &str = "state";
/// The most that the state may be, packed or not: bytes. What is larger is refused when it is
/// written, since it would not be read again.
const BYTES_MAX: usize = 1 << 30;
/// The most that the lengths before an entry's three parts take: bytes.
const LENGTHS_BYTES: usize = 30;

/// The file of the state with a number.
pub(crate) fn file_name(number: u64) -> String {
    format!("{DIR}/{number:012}.state")
}

/// All state, and the sequences at which it last changed and was last stored.
#[derive(Debug, Default, Clone)]
pub(crate) struct State {
    entries: BTreeMap<(String, Vec<u8>), Vec<u8>>,
    /// What the entries take as they are stored, or a little more: bytes.
    size_bytes: usize,
    changed: Sequence,
    stored: Sequence,
}

/// What an entry takes as it is stored, or a little more: bytes.
fn entry_bytes(namespace: &str, key: &[u8], value: &[u8]) -> usize {
    LENGTHS_BYTES + namespace.len() + key.len() + value.len()
}

impl State {
    pub(super) fn apply(&mut self, change: &StateChange, sequence: Sequence) {
        let key = (change.namespace.clone(), change.key.clone());
        let size = |value: &Vec<u8>| entry_bytes(&change.namespace, &change.key, value);
        let before = match &change.value {
            Some(value) => {
                self.size_bytes += size(value);
                self.entries.insert(key, value.clone())
            }
            None => self.entries.remove(&key),
        };
        self.size_bytes -= before.as_ref().map_or(0, size);
        self.changed = sequence;
    }

    /// Refuses changes that would make the state too large to be read again. What they replace is
    /// not counted against them.
    pub(super) fn check(&self, changes: &[StateChange]) -> Result<(), WriteError> {
        let added = changes.iter().filter_map(|change| {
            Some(entry_bytes(&change.namespace, &change.key, change.value.as_ref()?))
        });
        let size = added.fold(self.size_bytes + 10, usize::saturating_add);
        if size > BYTES_MAX {
            return Err(WriteError::Refused(format!(
                "with this batch the key-value state may have {size} bytes, more than {BYTES_MAX}; \
                 remove keys first, and keep data in records"
            )));
        }
        Ok(())
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
                let (namespace, key, value) = (reader.text()?, reader.sized()?, reader.sized()?);
                state.size_bytes += entry_bytes(namespace, key, value);
                state.entries.insert((namespace.to_owned(), key.to_vec()), value.to_vec());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: u8, value: Option<usize>) -> StateChange {
        let value = value.map(|size| vec![0; size]);
        StateChange { namespace: "n".to_owned(), key: vec![key], value }
    }

    /// Symptom: a database with more than 1 GiB of state could not be opened again. Loss: all of
    /// the database. Cause: reading had a bound and writing had none. Fix: writing has the same.
    #[test]
    fn state_that_could_not_be_read_again_is_refused() {
        let mut state = State::default();
        for (key, value) in [(1, Some(100)), (2, Some(7)), (1, Some(40)), (3, None), (2, None)] {
            state.apply(&change(key, value), 1);
        }
        assert_eq!(state.size_bytes, LENGTHS_BYTES + 2 + 40, "replaced and removed");
        let room = BYTES_MAX - 10 - state.size_bytes - LENGTHS_BYTES - 2;
        state.size_bytes += room - 5;
        assert!(state.check(&[change(4, Some(5))]).is_ok());
        assert!(state.check(&[change(4, None), change(4, Some(5))]).is_ok());
        let refused = state.check(&[change(4, Some(6))]).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|error| error.contains("state")));
        state.apply(&change(1, None), 2);
        assert!(state.check(&[change(4, Some(6))]).is_ok(), "after a key was removed");
    }
}
