//! Making a snapshot every so many blocks, beside the validator.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use chronolith_chain::consensus::ConsensusError;
use chronolith_chain::consensus::snapshot::{
    ShelfError, SnapshotHead, SnapshotShelf, SnapshotSource,
};

use crate::validator::ChainHandle;

/// What became of a snapshot that was due.
#[derive(Debug)]
pub enum Made {
    /// It is there, and served.
    Snapshot(Box<SnapshotHead>),
    /// The files of snapshots failed.
    Files(ShelfError),
    /// State or blocks cannot be read.
    Chain(ConsensusError),
}

/// A thread that makes snapshots; it ends when this is dropped, after the one it is making.
pub struct SnapshotMaker {
    /// None tells it to end: others may hold a sender for longer than it lives.
    heights: Sender<Option<u64>>,
    thread: Option<JoinHandle<()>>,
}

impl SnapshotMaker {
    /// Makes a snapshot at every height that `every_blocks` divides, in pieces of at most so many bytes.
    /// `told` hears what becomes of each.
    ///
    /// # Errors
    /// Where the thread cannot be had.
    pub fn start(
        chain: ChainHandle,
        shelf: Arc<SnapshotShelf>,
        every_blocks: NonZeroU64,
        piece_bytes: usize,
        told: impl Fn(Made) + Send + 'static,
    ) -> io::Result<Self> {
        let (heights, received) = channel();
        let last = shelf.newest().map_or(0, |head| head.height());
        let make = move |source| shelf.make_in_pieces(source, piece_bytes);
        let run = move || make_all(&chain, every_blocks, last, make, &received, &told);
        let thread = thread::Builder::new().name("snapshots".to_owned()).spawn(run)?;
        Ok(Self { heights, thread: Some(thread) })
    }

    /// What tells it of committed heights; it does not wait.
    pub fn committed(&self) -> impl Fn(u64) + Send + use<> {
        let heights = self.heights.clone();
        move |height| {
            // An error says that it has ended.
            let _ = heights.send(Some(height));
        }
    }
}

impl Drop for SnapshotMaker {
    fn drop(&mut self) {
        let _ = self.heights.send(None);
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed.
            drop(thread.join());
        }
    }
}

fn make_all(
    chain: &ChainHandle,
    every_blocks: NonZeroU64,
    mut last: u64,
    make: impl Fn(SnapshotSource) -> Result<SnapshotHead, ShelfError>,
    heights: &Receiver<Option<u64>>,
    told: &impl Fn(Made),
) {
    while let Ok(Some(first)) = heights.recv() {
        let Some(height) = heights.try_iter().last().unwrap_or(Some(first)) else { return };
        let due = height - height % every_blocks;
        if due <= last {
            continue;
        }
        // One that failed is not tried again: the next comes in its time.
        last = due;
        let made = match chain.look(move |validator| validator.snapshot_source(due)) {
            None => return,
            // The node was not there at that height.
            Some(Ok(None)) => continue,
            Some(Ok(Some(source))) => make(source),
            Some(Err(error)) => {
                told(Made::Chain(error));
                continue;
            }
        };
        told(match made {
            Ok(head) => Made::Snapshot(Box::new(head)),
            Err(error) => Made::Files(error),
        });
    }
}
