//! The index of a pack: the first bytes of its body, an entry of 48 bytes for each item.
//!
//! Entries are sorted by the digests of their content ids, so that a reader who knows an id and the
//! number of entries guesses where it stands and reads a block or two, not the whole index.

use chronolith_chain::content::ContentId;

use super::PackError;

/// The bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 48;

/// Where an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The content id of its lead.
    pub cid: ContentId,
    /// Where its lead begins in the body of the pack: bytes.
    pub offset: u32,
    /// The length of the lead: the block that the content id names.
    pub lead_bytes: u32,
    /// The length of the body of a chunk, which follows its lead; 0 where the item is one block.
    pub body_bytes: u32,
}

impl Entry {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.cid.as_bytes());
        for number in [self.offset, self.lead_bytes, self.body_bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Reads an entry of a pack whose body has so many bytes.
    pub(crate) fn read(number: u32, bytes: &[u8], body_bytes: u32) -> Result<Self, PackError> {
        let refused = |reason: &str| PackError::Index { entry: number, reason: reason.to_owned() };
        let (cid, numbers) = bytes.split_first_chunk::<36>().ok_or(refused("it ends too early"))?;
        let numbers = match numbers.as_chunks::<4>() {
            ([offset, lead, body], []) => [offset, lead, body].map(|n| u32::from_le_bytes(*n)),
            _ => return Err(refused("it is not 48 bytes")),
        };
        let cid = ContentId::from_bytes(*cid).map_err(|error| refused(&error.to_string()))?;
        let [offset, lead_bytes, body_bytes_of_item] = numbers;
        let entry = Self { cid, offset, lead_bytes, body_bytes: body_bytes_of_item };
        if lead_bytes == 0 || entry.end() > u64::from(body_bytes) {
            return Err(refused("the item is empty, or reaches beyond the body"));
        }
        Ok(entry)
    }

    /// Where the item ends in the body of the pack.
    pub(crate) const fn end(&self) -> u64 {
        self.offset as u64 + self.lead_bytes as u64 + self.body_bytes as u64
    }

    /// What entries are sorted by.
    pub(crate) fn order(&self) -> ([u8; 32], ContentId) {
        (*self.cid.digest(), self.cid)
    }
}
