//! Changes that lie over a state and are not part of it yet.

use std::ops::Bound;

use super::{Changes, Key, StateError};
use crate::encoding::{decode, encode};

/// What an overlay lies over.
pub trait View {
    /// The value of a key.
    fn get_bytes(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Calls `each` with the entries from `from` on and below `until`, in order, until it says
    /// `false`.
    fn scan_bytes(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError>;
}

/// A changed key, and what was in the changes for it before.
type Undo = (Vec<u8>, Option<Option<Vec<u8>>>);

/// Keys with their values.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// So many entries are read at once where all are wanted.
const PAGE: usize = 1_000;

/// A state with changes over it. What was changed since a mark can be taken back.
pub struct Overlay<'a> {
    below: &'a dyn View,
    changes: Changes,
    /// What takes back each change since the mark.
    journal: Vec<Undo>,
}

/// The first bytes that are above all that begin with `prefix`; none where all bytes are 255.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// The first key behind another.
fn first_behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The entries that have keys of a kind, decoded.
fn typed<K: Key>(entries: Entries) -> impl Iterator<Item = Result<(K, K::Value), StateError>> {
    let keys = entries.into_iter().filter_map(|(key, value)| Some((K::from_bytes(&key)?, value)));
    keys.map(|(key, value)| Ok((key, decode(K::NAME, &value, usize::MAX)?)))
}

impl<'a> Overlay<'a> {
    /// No changes over a state.
    #[must_use]
    pub fn new(below: &'a dyn View) -> Self {
        Self { below, changes: Changes::new(), journal: Vec::new() }
    }

    /// These changes over a state.
    pub(super) fn over(below: &'a dyn View, changes: Changes) -> Self {
        Self { below, changes, journal: Vec::new() }
    }

    /// The value of a key, if it has one.
    pub fn get<K: Key>(&self, key: &K) -> Result<Option<K::Value>, StateError> {
        let key = key.to_bytes();
        let stored;
        let bytes = match self.changes.get(&key) {
            Some(Some(changed)) => changed,
            Some(None) => return Ok(None),
            None => match self.below.get_bytes(&key)? {
                Some(bytes) => {
                    stored = bytes;
                    &stored
                }
                None => return Ok(None),
            },
        };
        Ok(Some(decode(K::NAME, bytes, usize::MAX)?))
    }

    /// Sets the value of a key.
    pub fn put<K: Key>(&mut self, key: &K, value: &K::Value) {
        self.change(key.to_bytes(), Some(encode(value)));
    }

    /// Removes a key.
    pub fn remove<K: Key>(&mut self, key: &K) {
        self.change(key.to_bytes(), None);
    }

    fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let before = self.changes.insert(key.clone(), value);
        self.journal.push((key, before));
    }

    /// The first `limit` entries of a kind whose parts begin with those of `prefix`, in order.
    pub fn scan<K: Key>(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(K, K::Value)>, StateError> {
        let mut from = vec![K::KIND];
        from.extend_from_slice(prefix);
        self.typed(&from, end_of(&from), limit)
    }

    /// The first `limit` entries of a kind at or above a key, in order.
    pub fn scan_from<K: Key>(
        &self,
        from: &K,
        limit: usize,
    ) -> Result<Vec<(K, K::Value)>, StateError> {
        self.typed(&from.to_bytes(), end_of(&[K::KIND]), limit)
    }

    /// The first `limit` entries of a kind behind a key, or of all where there is none, in order: a list is read
    /// part by part, each behind the last key of the one before.
    pub fn scan_behind<K: Key>(
        &self,
        after: Option<&K>,
        limit: usize,
    ) -> Result<Vec<(K, K::Value)>, StateError> {
        let from = after.map_or_else(|| vec![K::KIND], |after| first_behind(&after.to_bytes()));
        self.typed(&from, end_of(&[K::KIND]), limit)
    }

    /// The first `limit` entries of a kind below a key, in order.
    pub fn scan_below<K: Key>(
        &self,
        until: &K,
        limit: usize,
    ) -> Result<Vec<(K, K::Value)>, StateError> {
        self.typed(&[K::KIND], Some(until.to_bytes()), limit)
    }

    /// Calls `each` with all entries of a kind whose parts begin with those of `prefix`, in order. They are
    /// read a page at a time.
    ///
    /// # Errors
    /// The first that `each` returns, or where the state cannot be read.
    pub fn each<K: Key, E: From<StateError>>(
        &self,
        prefix: &[u8],
        mut each: impl FnMut(K, K::Value) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = [&[K::KIND], prefix].concat();
        let until = end_of(&from);
        loop {
            let page = self.entries(&from, until.as_deref(), PAGE)?;
            let last = page.last().filter(|_| page.len() == PAGE).map(|(key, _)| key.clone());
            for entry in typed::<K>(page) {
                let (key, value) = entry?;
                each(key, value)?;
            }
            match last {
                Some(last) => from = first_behind(&last),
                None => return Ok(()),
            }
        }
    }

    fn typed<K: Key>(
        &self,
        from: &[u8],
        until: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<(K, K::Value)>, StateError> {
        typed(self.entries(from, until.as_deref(), limit)?).collect()
    }

    fn entries(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        limit: usize,
    ) -> Result<Entries, StateError> {
        let mut found = Vec::new();
        let bounds = (
            Bound::Included(from.to_vec()),
            until.map_or(Bound::Unbounded, |until| Bound::Excluded(until.to_vec())),
        );
        let mut changed = self.changes.range(bounds).peekable();
        let mut give = |key: &[u8], value: Option<&[u8]>| {
            if let Some(value) = value
                && found.len() < limit
            {
                found.push((key.to_vec(), value.to_vec()));
            }
            found.len() < limit
        };
        self.below.scan_bytes(from, until, &mut |key, value| {
            while let Some((changed_key, changed_value)) =
                changed.next_if(|(changed_key, _)| changed_key.as_slice() < key)
            {
                if !give(changed_key, changed_value.as_deref()) {
                    return false;
                }
            }
            match changed.next_if(|(changed_key, _)| changed_key.as_slice() == key) {
                Some((_, changed_value)) => give(key, changed_value.as_deref()),
                None => give(key, Some(value)),
            }
        })?;
        for (key, value) in changed {
            if !give(key, value.as_deref()) {
                break;
            }
        }
        Ok(found)
    }

    /// Marks the present: [`Overlay::take_back`] returns to it.
    pub fn mark(&mut self) {
        self.journal.clear();
    }

    /// Takes back what was changed since the last mark.
    pub fn take_back(&mut self) {
        while let Some((key, before)) = self.journal.pop() {
            match before {
                Some(value) => self.changes.insert(key, value),
                None => self.changes.remove(&key),
            };
        }
    }

    /// The changes.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        self.changes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::ledger::DelegationKey;

    /// Nothing below.
    struct Empty;

    impl View for Empty {
        fn get_bytes(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok(None)
        }

        fn scan_bytes(
            &self,
            _: &[u8],
            _: Option<&[u8]>,
            _: &mut dyn FnMut(&[u8], &[u8]) -> bool,
        ) -> Result<(), StateError> {
            Ok(())
        }
    }

    #[test]
    fn all_of_a_kind_are_read_whole_and_in_order_over_many_pages() {
        let mut overlay = Overlay::new(&Empty);
        let address = |number: u128| {
            let mut bytes = [0; 32];
            bytes[16..].copy_from_slice(&number.to_be_bytes());
            Address(bytes)
        };
        for owner in [1, 2] {
            for number in 0..PAGE as u128 * 2 {
                let validator = address(number);
                overlay.put(&DelegationKey { owner: address(owner), validator }, &number);
            }
        }
        let read = |prefix: &[u8]| {
            let mut found = Vec::new();
            let each = |key: DelegationKey, shares| {
                found.push((key.owner, shares));
                Ok::<_, StateError>(())
            };
            overlay.each(prefix, each).unwrap();
            found
        };
        let of = |owner| (0..PAGE as u128 * 2).map(move |number| (address(owner), number));
        assert_eq!(read(&[]), of(1).chain(of(2)).collect::<Vec<_>>());
        assert_eq!(read(&address(2).0), of(2).collect::<Vec<_>>());
        assert_eq!(read(&address(3).0), []);
    }

    #[test]
    fn a_list_is_read_part_by_part_without_losing_or_repeating_any() {
        let mut overlay = Overlay::new(&Empty);
        for number in 0..5_u8 {
            let key = DelegationKey { owner: Address([7; 32]), validator: Address([number; 32]) };
            overlay.put(&key, &number.into());
        }
        let (mut parts, mut after) = (Vec::new(), None);
        loop {
            let part = overlay.scan_behind::<DelegationKey>(after.as_ref(), 2).unwrap();
            let Some((last, _)) = part.last() else { break };
            after = Some(*last);
            parts.push(part.iter().map(|(_, shares)| *shares).collect::<Vec<u128>>());
        }
        assert_eq!(parts, [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(overlay.scan_behind::<DelegationKey>(None, 0).unwrap(), []);
    }

    #[test]
    fn prefixes_end_where_the_next_begins() {
        assert_eq!(end_of(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(end_of(&[1, 255]), Some(vec![2]));
        assert_eq!(end_of(&[255]), None);
    }
}
