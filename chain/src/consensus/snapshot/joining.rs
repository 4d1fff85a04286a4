//! A snapshot on its way to become the files of a chain.
//!
//! | file | |
//! |---|---|
//! | `join.head` | which snapshot is being fetched, and why its header is trusted |
//! | `join.pieces` | the pieces that arrived: for each, crc u32 · len u32 · piece |
//! | `state.redb.joined`, `blocks.redb.joined` | the new files, in this order |
//!
//! Until `blocks.redb.joined` is there, nothing has happened to the chain that may be in the folder: the
//! fetch can be resumed or [abandoned](Joining::abandon). Once it is there, the switch is decided and is
//! finished whenever the folder is [looked at](Joining::resume): the new state takes the place of the old one,
//! `join.head` and `join.pieces` go, and the new blocks take the place of the old ones.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_disk::{Disk, DiskFile, read_all};

use super::{Approved, SnapshotHead};
use crate::consensus::store::{BlockStore, StoreError};
use crate::consensus::validator::{BLOCKS, STATE};
use crate::encoding::{DecodeError, List, decode, encode};
use crate::hash::ChainId;
use crate::ledger::Validators;
use crate::light::{Step, StepError, Trusted};
use crate::state::{
    MAX_CHUNK_BYTES, Options, PieceCheck, SnapshotChunk, SnapshotError, State, StateError,
};
use crate::validator_set::{ValidatorSet, ValidatorSetError};

const HEAD: &str = "join.head";
const PIECES: &str = "join.pieces";
const NEW_STATE: &str = "state.redb.joined";
const NEW_BLOCKS: &str = "blocks.redb.joined";
/// The version of `join.head`.
const FORMAT: u16 = 1;
const FRAME_BYTES: usize = 8;
/// After so many bytes of pieces they are synced: what a power cut loses is fetched again.
const SYNC_BYTES: u64 = 8 << 20;
/// The largest `join.head` that is read: as many steps as a way has.
const HEAD_BYTES: usize = 2 << 30;

/// Why a snapshot cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The disk failed.
    #[error("{place}: {source}")]
    Disk {
        /// Which file.
        place: String,
        /// What the disk said.
        source: std::io::Error,
    },
    /// A piece is not the one that was asked for.
    #[error("piece {found} came where {asked} was asked for")]
    Other {
        /// Which was asked for.
        asked: u32,
        /// Which came.
        found: u32,
    },
    /// A piece is refused, or the state cannot be made of the pieces.
    #[error(transparent)]
    Piece(#[from] SnapshotError),
    /// The new state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The validators in the new state are no set.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
    /// The validators in the new state are not those that the header names.
    #[error("the state's validators of the next height are not those that the header names")]
    NextSet,
    /// Blocks cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The last header that is kept cannot be trusted.
    #[error("the last header in the folder cannot be trusted: {0}")]
    Header(#[from] StepError),
    /// The folder has another chain.
    #[error("the folder has another chain than the genesis")]
    OtherChain,
}

impl JoinError {
    /// Whether the one who sent the piece is to blame.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Other { .. } => true,
            Self::Piece(error) => {
                !matches!(error, SnapshotError::State(_) | SnapshotError::Duplicate { .. })
            }
            _ => false,
        }
    }
}

/// What is in `join.head`, behind its checksum.
#[derive(BorshSerialize, BorshDeserialize)]
struct Stored {
    format: u16,
    since: u64,
    steps: List<Step, { 1 << 16 }>,
    head: SnapshotHead,
}

/// The chain that is in a folder.
#[derive(Debug, Clone)]
pub struct Present {
    /// The height of its last block.
    pub height: u64,
    /// The header of that, where there is a block.
    pub trusted: Option<Trusted>,
}

/// A snapshot that is being fetched.
pub struct Joining {
    disk: Arc<dyn Disk>,
    approved: Approved,
    check: PieceCheck,
    file: Box<dyn DiskFile>,
    /// Where the next piece is written.
    end: u64,
    unsynced: u64,
}

fn on_disk(disk: &dyn Disk, path: &str) -> impl Fn(std::io::Error) -> JoinError + use<> {
    let place = disk.describe(path);
    move |source| JoinError::Disk { place: place.clone(), source }
}

fn remove(disk: &dyn Disk, path: &str) -> Result<(), JoinError> {
    let failed = on_disk(disk, path);
    if disk.exists(path).map_err(&failed)? {
        disk.remove(path).map_err(&failed)?;
    }
    Ok(())
}

fn sync(disk: &dyn Disk) -> Result<(), JoinError> {
    disk.sync_dir("").map_err(on_disk(disk, ""))
}

impl Joining {
    /// The chain in a folder, or the beginning of one; none where there is nothing of one.
    ///
    /// # Errors
    /// Where it cannot be read, or is another than that.
    pub fn present(disk: &dyn Disk, chain: ChainId) -> Result<Option<Present>, JoinError> {
        let failed = on_disk(disk, BLOCKS);
        if !disk.exists(BLOCKS).map_err(&failed)? {
            let is_begun = disk.exists(STATE).map_err(&failed)?;
            return Ok(is_begun.then_some(Present { height: 0, trusted: None }));
        }
        let blocks = BlockStore::open(disk, BLOCKS)?;
        let (of, height) = (blocks.tip().chain, blocks.tip().height);
        if of != chain {
            return Err(JoinError::OtherChain);
        }
        let last = blocks.step(height)?;
        let trusted = last.map(|step| Trusted::header(step.header, step.validators)).transpose()?;
        Ok(Some(Present { height, trusted }))
    }

    /// Whether a folder has a snapshot that is being fetched, or a switch that is not finished.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn is_under_way(disk: &dyn Disk) -> Result<bool, JoinError> {
        let failed = on_disk(disk, HEAD);
        Ok(disk.exists(HEAD).map_err(&failed)? || disk.exists(NEW_BLOCKS).map_err(&failed)?)
    }

    /// Takes up what was begun in a folder: finishes a switch, or gives the fetch that goes on with the
    /// pieces that are there. None where nothing is to be fetched; whatever else is left of a fetch,
    /// or is of another chain, is removed.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn resume(disk: &Arc<dyn Disk>, chain: ChainId) -> Result<Option<Self>, JoinError> {
        let folder = disk.as_ref();
        if folder.exists(NEW_BLOCKS).map_err(on_disk(folder, NEW_BLOCKS))? {
            switch(folder)?;
            return Ok(None);
        }
        let approved = stored_head(folder)?.filter(|approved| {
            let header = &approved.head().step.header;
            header.chain == chain
        });
        let Some(approved) = approved else {
            Self::abandon(folder)?;
            return Ok(None);
        };
        remove(folder, NEW_STATE)?;
        Self::open(disk, approved).map(Some)
    }

    /// Begins to fetch a snapshot; another one that was begun is forgotten.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn begin(disk: &Arc<dyn Disk>, approved: Approved) -> Result<Self, JoinError> {
        let folder = disk.as_ref();
        Self::abandon(folder)?;
        let Approved { since, steps, head } = approved.clone();
        // There are no more than an approach takes.
        let steps = List::new(steps).unwrap_or_default();
        let bytes = encode(&Stored { format: FORMAT, since, steps, head });
        let unfinished = format!("{HEAD}.new");
        let failed = on_disk(folder, HEAD);
        let file = folder.open(&unfinished).map_err(&failed)?;
        file.set_len(0).map_err(&failed)?;
        file.append(&crc32fast::hash(&bytes).to_le_bytes()).map_err(&failed)?;
        file.append(&bytes).map_err(&failed)?;
        file.sync().map_err(&failed)?;
        drop(file);
        folder.rename(&unfinished, HEAD).map_err(&failed)?;
        sync(folder)?;
        Self::open(disk, approved)
    }

    /// Opens the pieces; the first that is not whole ends them.
    fn open(disk: &Arc<dyn Disk>, approved: Approved) -> Result<Self, JoinError> {
        let failed = on_disk(disk.as_ref(), PIECES);
        let check = PieceCheck::new(approved.head.state(), approved.head.bits)?;
        let file = disk.open(PIECES).map_err(&failed)?;
        let mut joining =
            Self { disk: Arc::clone(disk), approved, check, file, end: 0, unsynced: 0 };
        while let Some((piece, bytes)) = read_piece(joining.file.as_ref(), joining.end) {
            if joining.check.add(&piece).is_err() {
                break;
            }
            joining.end += bytes;
        }
        joining.file.set_len(joining.end).map_err(&failed)?;
        sync(disk.as_ref())?;
        Ok(joining)
    }

    /// What is fetched.
    #[must_use]
    pub fn head(&self) -> &SnapshotHead {
        self.approved.head()
    }

    /// How many pieces there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.check.count()
    }

    /// The pieces that are still missing.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        self.check.missing()
    }

    /// Takes a piece that was asked for, if it is part of the state.
    ///
    /// # Errors
    /// Why it is refused; [`JoinError::is_fault`] says whether an honest peer may have sent it.
    pub fn take(&mut self, asked: u32, bytes: &[u8]) -> Result<(), JoinError> {
        let piece = SnapshotChunk::decode(bytes).map_err(SnapshotError::Decode)?;
        if piece.index != asked {
            return Err(JoinError::Other { asked, found: piece.index });
        }
        self.check.add(&piece)?;
        let failed = on_disk(self.disk.as_ref(), PIECES);
        let mut frame = Vec::with_capacity(FRAME_BYTES + bytes.len());
        frame.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
        // It was decoded, so it is below 1 MiB.
        frame.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        frame.extend_from_slice(bytes);
        self.file.write_at(self.end, &frame).map_err(&failed)?;
        self.end += frame.len() as u64;
        self.unsynced += frame.len() as u64;
        if self.unsynced >= SYNC_BYTES {
            self.file.sync().map_err(&failed)?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Makes the files of a chain of all pieces, in the place of those that may be there. After an error
    /// the folder can be [resumed](Joining::resume).
    ///
    /// # Errors
    /// Where pieces are missing, or the disk fails.
    pub fn finish(self, options: Options) -> Result<(), JoinError> {
        let folder = self.disk.as_ref();
        remove(folder, NEW_STATE)?;
        let mut at = 0;
        let pieces = std::iter::from_fn(|| {
            let (piece, bytes) = read_piece(self.file.as_ref(), at)?;
            at += bytes;
            Some(Ok(piece))
        });
        let check = self.check.clone();
        check.complete()?;
        State::create_of_pieces(folder, NEW_STATE, check, options, pieces)?;
        let state = State::open(folder, NEW_STATE, options)?;
        let next = ValidatorSet::from_seats(&Validators::of(&state)?.next)?;
        drop(state);
        if next.hash() != self.approved.head.step.header.next_validators {
            return Err(JoinError::NextSet);
        }
        BlockStore::create_after(folder, NEW_BLOCKS, &self.approved, &next)?;
        drop(self.file);
        switch(folder)
    }

    /// Forgets what was fetched. A chain that is in the folder stays as it is; a switch that is decided is
    /// finished.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn abandon(disk: &dyn Disk) -> Result<(), JoinError> {
        if disk.exists(NEW_BLOCKS).map_err(on_disk(disk, NEW_BLOCKS))? {
            return switch(disk);
        }
        remove(disk, HEAD)?;
        for path in [PIECES, NEW_STATE] {
            remove(disk, path)?;
        }
        for path in [HEAD, NEW_STATE, NEW_BLOCKS] {
            remove(disk, &format!("{path}.new"))?;
        }
        sync(disk)
    }
}

/// Puts the new files in the place of the old ones. Each step can be made again from whatever a power cut
/// leaves of it, as long as the new blocks have not got their name: that comes when all else is durable.
fn switch(disk: &dyn Disk) -> Result<(), JoinError> {
    if disk.exists(NEW_STATE).map_err(on_disk(disk, NEW_STATE))? {
        disk.rename(NEW_STATE, STATE).map_err(on_disk(disk, STATE))?;
    }
    remove(disk, HEAD)?;
    remove(disk, PIECES)?;
    sync(disk)?;
    disk.rename(NEW_BLOCKS, BLOCKS).map_err(on_disk(disk, BLOCKS))?;
    sync(disk)
}

/// Reads `join.head`; none where there is none that is whole.
fn stored_head(disk: &dyn Disk) -> Result<Option<Approved>, JoinError> {
    let failed = on_disk(disk, HEAD);
    if !disk.exists(HEAD).map_err(&failed)? || disk.len(HEAD).map_err(&failed)? > HEAD_BYTES as u64
    {
        return Ok(None);
    }
    let bytes = read_all(disk, HEAD).map_err(&failed)?;
    let Some((sum, content)) = bytes.split_first_chunk() else { return Ok(None) };
    if u32::from_le_bytes(*sum) != crc32fast::hash(content) {
        return Ok(None);
    }
    let stored: Result<Stored, DecodeError> = decode("a begun join", content, HEAD_BYTES);
    let Some(stored) = stored.ok().filter(|stored| stored.format == FORMAT) else {
        return Ok(None);
    };
    let Stored { since, steps, head, .. } = stored;
    Ok(Some(Approved { since, steps: steps.to_vec(), head }))
}

/// The piece at a place, and how many bytes it takes there; none where there is none that is whole.
fn read_piece(file: &dyn DiskFile, at: u64) -> Option<(SnapshotChunk, u64)> {
    let mut frame = [0; FRAME_BYTES];
    file.read_at(at, &mut frame).ok()?;
    let (sum, length) = (frame.first_chunk()?, frame.last_chunk()?);
    let (sum, length) = (u32::from_le_bytes(*sum), u32::from_le_bytes(*length));
    if length as usize > MAX_CHUNK_BYTES {
        return None;
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(at.checked_add(FRAME_BYTES as u64)?, &mut bytes).ok()?;
    if crc32fast::hash(&bytes) != sum {
        return None;
    }
    let piece = SnapshotChunk::decode(&bytes).ok()?;
    Some((piece, FRAME_BYTES as u64 + u64::from(length)))
}
