//! Getting the blocks that others have.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::config::ns;
use super::{ConsensusError, Refusal, Validator};
use crate::consensus::message::{Decided, MAX_BLOCKS, Message, PeerId, Status};
use crate::encoding::{List, encode};

/// The most bytes of one answer, where it holds more than one block.
const ANSWER_BYTES: usize = 4 << 20;
/// The most neighbours that are remembered.
const MOST_NEIGHBOURS: usize = 1_024;

#[derive(Debug, Clone, Copy, Default)]
struct Neighbour {
    /// The last height it said it has committed.
    height: u64,
    oldest: u64,
    /// Since when it is known to have that height.
    since_ns: u64,
    /// When it was told last what there is here.
    told_ns: u64,
    /// When it was sent a proposed block last.
    answered_ns: u64,
    /// How often it did not have what it said, since it last did.
    failures: u32,
}

/// A question that is not answered yet.
#[derive(Debug, Clone, Copy)]
struct Asked {
    peer: PeerId,
    due_ns: u64,
}

/// What neighbours have, and what was asked of them.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    all: BTreeMap<PeerId, Neighbour>,
    asked: Option<Asked>,
    /// When one who is a single block ahead is asked.
    patience_ends_ns: Option<u64>,
}

impl Neighbours {
    pub(super) fn add(&mut self, peer: PeerId) {
        if self.all.len() < MOST_NEIGHBOURS {
            self.all.entry(peer).or_default();
        }
    }

    pub(super) fn remove(&mut self, peer: PeerId) {
        self.all.remove(&peer);
        if self.asked.is_some_and(|asked| asked.peer == peer) {
            self.asked = None;
        }
    }

    /// Notes that a neighbour seems to have committed a height.
    pub(super) fn note(&mut self, peer: PeerId, height: u64, now_ns: u64) {
        self.add(peer);
        if let Some(known) = self.all.get_mut(&peer)
            && height > known.height
        {
            (known.height, known.since_ns) = (height, now_ns);
        }
    }

    /// Whether a neighbour is to be told what there is here; at most once in a while.
    pub(super) fn may_tell(&mut self, peer: PeerId, now_ns: u64, while_ns: u64) -> bool {
        self.add(peer);
        let Some(known) = self.all.get_mut(&peer) else { return false };
        let is_due = now_ns >= known.told_ns.saturating_add(while_ns);
        if is_due {
            known.told_ns = now_ns;
        }
        is_due
    }

    /// Whether a neighbour may be sent a proposed block; at most once in a while.
    pub(super) fn may_answer(&mut self, peer: PeerId, now_ns: u64, while_ns: u64) -> bool {
        self.add(peer);
        let Some(known) = self.all.get_mut(&peer) else { return false };
        let is_due = known.answered_ns == 0 || now_ns >= known.answered_ns.saturating_add(while_ns);
        if is_due {
            known.answered_ns = now_ns;
        }
        is_due
    }

    /// Notes that everybody was told.
    pub(super) fn told_all(&mut self, now_ns: u64) {
        self.all.values_mut().for_each(|known| known.told_ns = now_ns);
    }

    /// Takes what a neighbour said it has for nothing, until it says it again. Others are asked
    /// first from now on, so that who boasts and does not answer keeps nobody from catching up.
    fn distrust(&mut self, peer: PeerId) {
        if let Some(known) = self.all.get_mut(&peer) {
            known.height = 0;
            known.failures = known.failures.saturating_add(1);
        }
    }

    /// When something is to be done without a message.
    pub(super) fn due(&self) -> Option<u64> {
        self.asked.map(|asked| asked.due_ns).or(self.patience_ends_ns)
    }
}

impl Validator {
    /// Asks for blocks, where others have more and nobody was asked yet.
    ///
    /// Who is one block behind probably decides it himself within a moment; only after that he asks.
    pub(super) fn catch_up(&mut self) {
        let now = self.now.elapsed_ns;
        self.neighbours.patience_ends_ns = None;
        if let Some(asked) = self.neighbours.asked {
            if asked.due_ns > now {
                return;
            }
            // It does not answer.
            self.neighbours.asked = None;
            self.neighbours.distrust(asked.peer);
        }
        let next = self.height();
        let has_next = |known: &Neighbour| known.height >= next && known.oldest <= next;
        let candidates = self.neighbours.all.iter().filter(|(_, known)| has_next(known));
        let best = candidates.max_by_key(|(_, known)| (Reverse(known.failures), known.height));
        let Some((peer, known)) = best.map(|(peer, known)| (*peer, *known)) else { return };
        let patience = ns(self.config.timeouts.repeat_ms / 2);
        if known.height == next && now < known.since_ns.saturating_add(patience) {
            self.neighbours.patience_ends_ns = Some(known.since_ns.saturating_add(patience));
            return;
        }
        let due_ns = now.saturating_add(ns(self.config.answer_ms));
        self.neighbours.asked = Some(Asked { peer, due_ns });
        let missing = known.height.saturating_sub(self.tip.height).min(MAX_BLOCKS as u64);
        let count = u16::try_from(missing).unwrap_or(1);
        self.send(peer, Message::GetBlocks { from: next, count });
    }

    /// Takes in a message about committed blocks.
    pub(super) fn receive_catching_up(
        &mut self,
        from: PeerId,
        message: Message,
    ) -> Result<(), ConsensusError> {
        match message {
            Message::Status(status) => {
                if status.chain != self.chain {
                    self.refuse(from, Refusal::Chain { found: status.chain });
                    return Ok(());
                }
                let Status { height, oldest, .. } = status;
                self.neighbours.note(from, height, self.now.elapsed_ns);
                if let Some(known) = self.neighbours.all.get_mut(&from) {
                    known.oldest = oldest;
                }
                Ok(())
            }
            Message::GetBlocks { from: first, count } => self.answer_blocks(from, first, count),
            Message::Blocks(blocks) => self.receive_blocks(from, &blocks),
            _ => Ok(()),
        }
    }

    fn answer_blocks(&mut self, to: PeerId, first: u64, count: u16) -> Result<(), ConsensusError> {
        if count == 0 || usize::from(count) > MAX_BLOCKS || first == 0 {
            self.refuse(to, Refusal::Question { from: first, count });
            return Ok(());
        }
        let (mut blocks, mut bytes) = (List::<Decided, MAX_BLOCKS>::default(), 0);
        for height in first..first.saturating_add(u64::from(count)) {
            let Some(decided) = self.store.block(height)? else { break };
            bytes += encode(&decided).len();
            if (bytes > ANSWER_BYTES && !blocks.is_empty()) || blocks.push(decided).is_err() {
                break;
            }
        }
        if blocks.is_empty() {
            let status = self.status();
            self.send(to, Message::Status(status));
        }
        self.send(to, Message::Blocks(blocks));
        Ok(())
    }

    fn receive_blocks(&mut self, from: PeerId, blocks: &[Decided]) -> Result<(), ConsensusError> {
        if self.neighbours.asked.is_none_or(|asked| asked.peer != from) {
            self.refuse(from, Refusal::Unasked);
            return Ok(());
        }
        self.neighbours.asked = None;
        let before = self.tip.height;
        for decided in blocks {
            // Some may have been decided here in the meantime.
            let found = decided.block.header.height;
            if found <= self.tip.height {
                continue;
            }
            if let Err(reason) = self.check_decided(decided) {
                self.neighbours.distrust(from);
                self.refuse(from, reason);
                return Ok(());
            }
            match self.check_block(&decided.block) {
                Ok(executed) => self.commit(decided.clone(), executed)?,
                Err(reason) if reason.is_local() => {
                    let reason = Box::new(reason);
                    return Err(ConsensusError::Committed { height: found, reason });
                }
                Err(reason) => {
                    let block = decided.block.header.id();
                    self.neighbours.distrust(from);
                    self.refuse(from, Refusal::Block { block, reason: Box::new(reason) });
                    return Ok(());
                }
            }
        }
        if self.tip.height == before {
            self.neighbours.distrust(from);
        } else if let Some(known) = self.neighbours.all.get_mut(&from) {
            known.failures = 0;
        }
        Ok(())
    }

    /// Checks that a block is the next, and committed by the validators of its height.
    fn check_decided(&self, decided: &Decided) -> Result<(), Refusal> {
        let Decided { block, certificate } = decided;
        let (expected, found) = (self.height(), block.header.height);
        if expected != found {
            return Err(Refusal::Gap { expected, found });
        }
        let id = block.header.id();
        if (certificate.height(), certificate.block()) != (found, id) {
            return Err(Refusal::OtherCertificate { block: id, found: certificate.block() });
        }
        certificate
            .verify(&self.set, self.chain)
            .map_err(|reason| Refusal::Certificate { block: id, reason })
    }
}
