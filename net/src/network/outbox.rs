//! What waits to be sent to each peer.
//!
//! One connection carries so many streams at once; what is more would be refused. It waits here, and
//! what finds no room here either is lost, as everything may be on the way.

use std::collections::{HashMap, VecDeque};

use libp2p::PeerId;

/// So many are on their way to one peer.
const IN_FLIGHT: usize = 8;
/// So many wait for one peer.
const MOST_WAITING: usize = 4_096;
/// So many bytes wait for all peers together.
const MOST_BYTES: usize = 256 << 20;

/// Something that has a size.
pub(super) trait HasSize {
    fn size_bytes(&self) -> usize;
}

impl HasSize for Vec<u8> {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

#[derive(Debug)]
struct Line<T> {
    in_flight: usize,
    waiting: VecDeque<T>,
}

/// Lines of what waits.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    lines: HashMap<PeerId, Line<T>>,
    bytes: usize,
}

impl<T: HasSize> Outbox<T> {
    pub(super) fn new() -> Self {
        Self { lines: HashMap::new(), bytes: 0 }
    }

    /// Puts something at the end of a peer's line.
    ///
    /// # Errors
    /// What finds no room comes back.
    pub(super) fn push(&mut self, peer: PeerId, item: T) -> Result<(), T> {
        let size = item.size_bytes();
        let fresh = || Line { in_flight: 0, waiting: VecDeque::new() };
        let line = self.lines.entry(peer).or_insert_with(fresh);
        if line.waiting.len() >= MOST_WAITING || size > MOST_BYTES - self.bytes {
            return Err(item);
        }
        self.bytes += size;
        line.waiting.push_back(item);
        Ok(())
    }

    /// What can be sent to a peer now; it counts as being on its way.
    pub(super) fn pop(&mut self, peer: &PeerId) -> Option<T> {
        let line = self.lines.get_mut(peer)?;
        if line.in_flight >= IN_FLIGHT {
            return None;
        }
        let item = line.waiting.pop_front()?;
        line.in_flight += 1;
        self.bytes -= item.size_bytes();
        Some(item)
    }

    /// What waits first in a peer's line.
    pub(super) fn first(&self, peer: &PeerId) -> Option<&T> {
        self.lines.get(peer)?.waiting.front()
    }

    /// Something arrived at a peer, or was lost on its way.
    pub(super) fn done(&mut self, peer: &PeerId) {
        if let Some(line) = self.lines.get_mut(peer) {
            line.in_flight = line.in_flight.saturating_sub(1);
            if line.in_flight == 0 && line.waiting.is_empty() {
                self.lines.remove(peer);
            }
        }
    }

    /// Takes away what waits for a peer.
    pub(super) fn clear(&mut self, peer: &PeerId) -> VecDeque<T> {
        let Some(line) = self.lines.get_mut(peer) else { return VecDeque::new() };
        let waiting = std::mem::take(&mut line.waiting);
        self.bytes -= waiting.iter().map(HasSize::size_bytes).sum::<usize>();
        if line.in_flight == 0 {
            self.lines.remove(peer);
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn so_many_are_on_their_way_and_the_order_is_kept() {
        let (mut outbox, peer) = (Outbox::new(), PeerId::random());
        (0..20_u8).for_each(|number| outbox.push(peer, vec![number]).unwrap());
        let mut sent = Vec::new();
        while let Some(item) = outbox.pop(&peer) {
            sent.push(item[0]);
        }
        assert_eq!(sent, (0..IN_FLIGHT as u8).collect::<Vec<_>>());
        outbox.done(&peer);
        assert_eq!(outbox.pop(&peer), Some(vec![IN_FLIGHT as u8]));
        outbox.clear(&peer);
        assert_eq!((outbox.pop(&peer), outbox.bytes), (None, 0));
        (0..IN_FLIGHT).for_each(|_| outbox.done(&peer));
        assert!(outbox.lines.is_empty());
    }

    #[test]
    fn lines_and_bytes_are_bounded() {
        let (mut outbox, peer) = (Outbox::new(), PeerId::random());
        let taken = (0..2 * MOST_WAITING).filter(|_| outbox.push(peer, vec![1]).is_ok()).count();
        assert_eq!(taken, MOST_WAITING);
        let other = PeerId::random();
        assert!(outbox.push(other, vec![0; MOST_BYTES]).is_err());
        assert!(outbox.push(other, vec![0; MOST_BYTES / 2]).is_ok());
        assert!(outbox.push(other, vec![0; MOST_BYTES / 2]).is_err());
    }
}
