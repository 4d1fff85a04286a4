//! An open file of a simulated disk.

use std::io;
use std::sync::Arc;

use crate::DiskFile;

use super::platter::{Node, Piece};
use super::{Lie, SimDisk};

pub(super) struct SimFile {
    disk: SimDisk,
    node: u64,
    writable: bool,
}

impl SimFile {
    pub(super) const fn new(disk: SimDisk, node: u64, writable: bool) -> Self {
        Self { disk, node, writable }
    }

    fn change(&self, piece: impl FnOnce(&Node) -> (u64, Piece)) -> io::Result<u64> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut state = self.disk.state();
        state.begin()?;
        let node = state.platter.nodes.get_mut(&self.node).ok_or(io::ErrorKind::NotFound)?;
        let node = Arc::make_mut(node);
        let (offset, piece) = piece(node);
        node.change(piece);
        Ok(offset)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if let Some(node) = self.disk.state().platter.nodes.get_mut(&self.node) {
            let node = Arc::make_mut(node);
            node.handles = node.handles.saturating_sub(1);
        }
    }
}

impl DiskFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        self.change(|node| {
            let offset = node.live.len();
            (offset as u64, Piece::Write { offset, bytes: bytes.into() })
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.change(|_| (0, Piece::Write { offset, bytes: bytes.into() })).map(drop)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        state.power()?;
        let node = state.platter.nodes.get(&self.node).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.saturating_add(buffer.len());
        let bytes = node.live.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.power()?;
        let node = state.platter.nodes.get(&self.node).ok_or(io::ErrorKind::NotFound)?;
        Ok(node.live.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.change(|_| (0, Piece::SetLen(len))).map(drop)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.begin()?;
        let lies = state.lie == Some(Lie::FileSync);
        if let Some(node) = state.platter.nodes.get_mut(&self.node).filter(|_| !lies) {
            Arc::make_mut(node).sync();
        }
        Ok(())
    }
}
