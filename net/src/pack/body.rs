//! Bodies: the index, then the items in the order in which they were added.

use std::collections::BTreeSet;

use chronolith_chain::content::ContentId;
use chronolith_fragment::BODY_BYTES_MAX;

use super::index::{ENTRY_BYTES, Entry};
use super::item::Item;
use super::{PACK_BYTES, PackError};

/// The body of a pack, whole and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackBody {
    bytes: Vec<u8>,
    /// Sorted as in the bytes.
    entries: Vec<Entry>,
}

impl PackBody {
    /// The body of items, which are not none and different, and fit.
    fn of(items: &[Item]) -> Self {
        let mut offset = items.len() * ENTRY_BYTES;
        let mut entries = Vec::with_capacity(items.len());
        for item in items {
            // Below the 2 MiB that a body has at most.
            let (lead_bytes, body_bytes) = (item.lead().len() as u32, item.body().len() as u32);
            entries.push(Entry { cid: item.cid(), offset: offset as u32, lead_bytes, body_bytes });
            offset += item.lead().len() + item.body().len();
        }
        entries.sort_by_key(Entry::order);
        let mut bytes = Vec::with_capacity(offset);
        entries.iter().for_each(|entry| entry.put(&mut bytes));
        for item in items {
            bytes.extend_from_slice(item.lead());
            bytes.extend_from_slice(item.body());
        }
        Self { bytes, entries }
    }

    /// Reads a body with so many items and checks every byte of it.
    ///
    /// # Errors
    /// An index that is not sorted, items that do not fill the rest, or that are not what their ids
    /// name.
    pub fn from_bytes(bytes: Vec<u8>, items: u32) -> Result<Self, PackError> {
        let fault = |reason: String| PackError::Body { reason };
        let found = bytes.len();
        if found > BODY_BYTES_MAX {
            return Err(fault(format!("{found} bytes where {BODY_BYTES_MAX} are allowed")));
        }
        let index_bytes = (items as usize).checked_mul(ENTRY_BYTES);
        let index = index_bytes.and_then(|end| bytes.get(..end));
        let index = index.ok_or_else(|| fault(format!("no {items} entries in {found} bytes")))?;
        let mut entries: Vec<Entry> = Vec::with_capacity(index.len() / ENTRY_BYTES);
        for (number, entry) in index.chunks_exact(ENTRY_BYTES).enumerate() {
            let number = number as u32;
            let entry = Entry::read(number, entry, found as u32)?;
            if entries.last().is_some_and(|last| last.order() >= entry.order()) {
                let reason = "it is not above the one before".to_owned();
                return Err(PackError::Index { entry: number, reason });
            }
            entries.push(entry);
        }
        let mut by_offset: Vec<&Entry> = entries.iter().collect();
        by_offset.sort_by_key(|entry| entry.offset);
        let mut end = index.len() as u64;
        for entry in by_offset {
            if u64::from(entry.offset) != end {
                return Err(fault(format!("item {} does not begin at byte {end}", entry.cid)));
            }
            end = entry.end();
        }
        if end != found as u64 || items == 0 {
            return Err(fault(format!("its items end at byte {end} of {found}")));
        }
        let body = Self { bytes, entries };
        for entry in &body.entries {
            body.item_at(entry)?;
        }
        Ok(body)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries, sorted by the digests of their content ids.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The item of a content id, if it is in the pack.
    #[must_use]
    pub fn item(&self, cid: ContentId) -> Option<Item> {
        let order = (*cid.digest(), cid);
        let place = self.entries.binary_search_by_key(&order, Entry::order).ok()?;
        self.item_at(self.entries.get(place)?).ok()
    }

    /// All items, in the order in which they were added.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| entry.offset);
        entries.into_iter().filter_map(|entry| self.item_at(entry).ok()).collect()
    }

    fn item_at(&self, entry: &Entry) -> Result<Item, PackError> {
        let range = entry.offset as usize..entry.end() as usize;
        item_of(entry, self.bytes.get(range).unwrap_or_default())
    }
}

/// The item of an entry, from its bytes.
pub(crate) fn item_of(entry: &Entry, bytes: &[u8]) -> Result<Item, PackError> {
    let parts = bytes.split_at_checked(entry.lead_bytes as usize);
    let (lead, body) = parts.unwrap_or((bytes, &[]));
    Item::chunk(entry.cid, lead.to_vec(), body.to_vec())
}

/// Gathers items into bodies of about [`PACK_BYTES`].
#[derive(Debug, Default)]
pub struct Packer {
    items: Vec<Item>,
    known: BTreeSet<ContentId>,
    size_bytes: usize,
}

impl Packer {
    /// Adds an item; gives the body that is full, when the item begins the next one. An item that is
    /// there already is not added again.
    pub fn add(&mut self, item: Item) -> Option<PackBody> {
        if self.known.contains(&item.cid()) {
            return None;
        }
        let is_full = self.size_bytes + item.size_bytes() > PACK_BYTES;
        let full = if is_full { self.finish() } else { None };
        self.known.insert(item.cid());
        self.size_bytes += item.size_bytes();
        self.items.push(item);
        full
    }

    /// The body of what was added since the last one; none where that is nothing.
    pub fn finish(&mut self) -> Option<PackBody> {
        let items = std::mem::take(&mut self.items);
        self.known.clear();
        self.size_bytes = 0;
        (!items.is_empty()).then(|| PackBody::of(&items))
    }

    /// How many bytes wait for the next body.
    #[must_use]
    pub const fn waiting_bytes(&self) -> usize {
        self.size_bytes
    }
}
