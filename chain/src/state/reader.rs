//! A kept version of the state, to be read beside whoever goes on with it.

use super::store::Values;
use super::{Changes, Head, StateError};

/// A version as it was when it was asked for, whatever is committed since: it may be read on another
/// thread. While it is there, the file cannot use the room again that newer versions free.
pub struct StateReader {
    head: Head,
    /// The values of the version that was the present one.
    values: Values,
    /// What those keys held in this version that had changed by then.
    old: Changes,
}

impl StateReader {
    pub(super) fn new(head: Head, values: Values, old: Changes) -> Self {
        Self { head, values, old }
    }

    /// The version and its root.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// What a key holds.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.old.get(key) {
            Some(old) => Ok(old.clone()),
            None => self.values.get(key),
        }
    }

    /// Calls `each` with every entry; those that changed since come last.
    pub(super) fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        self.values.scan(&[], None, &mut |key, value| {
            if !self.old.contains_key(key) {
                each(key, value);
            }
            true
        })?;
        for (key, value) in &self.old {
            if let Some(value) = value {
                each(key, value);
            }
        }
        Ok(())
    }
}
