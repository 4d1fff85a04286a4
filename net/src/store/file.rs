//! The file of a fragment.
//!
//! ```text
//! "CLKEEP\x01\0" · length of the header u16 · the pack's header · the fragment as it is sent
//! ```
//!
//! There is no checksum: the pack's id, which the file is named by, checks the header, and the header
//! every byte of the fragment.

use chronolith_chain::content::ContentId;
use chronolith_chain::ledger::Fragment;
use chronolith_fragment::{BODY_BYTES_MAX, FragmentTree};

use super::error::DamageKind;
use crate::pack::{HEADER_BYTES_MAX, PackHeader};
use crate::stored::StoredFragment;

/// What it begins with; the seventh byte is the version.
const MAGIC: [u8; 8] = *b"CLKEEP\x01\0";
/// The bytes before the header.
const FRONT_BYTES: usize = 10;
/// The most bytes that are read to have the header.
pub(super) const HEAD_BYTES_MAX: usize = FRONT_BYTES + HEADER_BYTES_MAX;
/// The longest file: a body of a single fragment, with what stands before it.
pub(super) const FILE_BYTES_MAX: u64 = (BODY_BYTES_MAX + HEAD_BYTES_MAX + 512) as u64;

/// What a file holds. Its header is the pack's; its fragment is the one that is named, and has the
/// header's shape, but whether its bytes are right is not known yet.
pub(super) struct Unchecked {
    pub(super) header: PackHeader,
    pub(super) stored: StoredFragment,
    /// Where the fragment begins in the file.
    start: usize,
}

/// The bytes of a file.
pub(super) fn write(header: &PackHeader, fragment: &StoredFragment) -> Vec<u8> {
    let (header, fragment) = (header.to_bytes(), fragment.to_bytes());
    let mut bytes = Vec::with_capacity(FRONT_BYTES + header.len() + fragment.len());
    bytes.extend_from_slice(&MAGIC);
    // Headers are at most 1 KiB long.
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&fragment);
    bytes
}

/// Takes the front of a file apart: the header, checked, and its bytes.
pub(super) fn read_header<'a>(
    pack: &ContentId,
    bytes: &'a [u8],
) -> Result<(PackHeader, &'a [u8]), DamageKind> {
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(DamageKind::Head)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(DamageKind::Head)?;
    if *magic != MAGIC {
        return Err(DamageKind::Head);
    }
    let header = rest.get(..u16::from_le_bytes(*length).into()).ok_or(DamageKind::Head)?;
    let read = PackHeader::from_bytes(header).map_err(|_| DamageKind::Header)?;
    if pack.matches(header) { Ok((read, header)) } else { Err(DamageKind::Header) }
}

impl Unchecked {
    /// Takes a file apart.
    pub(super) fn read(named: &Fragment, bytes: &[u8]) -> Result<Self, DamageKind> {
        let (header, header_bytes) = read_header(&named.pack, bytes)?;
        let start = FRONT_BYTES + header_bytes.len();
        let stored = StoredFragment::from_bytes(bytes.get(start..).unwrap_or_default())?;
        let found = (stored.pack, stored.fragment.index, stored.shape);
        if found != (named.pack, named.index, header.shape) {
            return Err(DamageKind::Other);
        }
        Ok(Self { header, stored, start })
    }

    /// Checks every byte; where the fragment begins in the file.
    pub(super) fn check(&self) -> Result<usize, DamageKind> {
        self.stored.check(&self.header)?;
        Ok(self.start)
    }

    /// The tree over the fragment's blocks.
    pub(super) fn tree(&self) -> FragmentTree {
        self.stored.fragment.tree()
    }
}
