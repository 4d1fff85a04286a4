//! Committed blocks on disk: one file ([format](../../../docs/format/chain-store.md)).
//!
//! | table | key | value |
//! |---|---|---|
//! | `about` | nothing | format, the last height, the oldest one, where the validators changed last |
//! | `blocks` | height | the block and its certificate |
//! | `refusals` | height | of each transaction, why its action was refused, or that it was not |
//! | `sets` | height | where they changed before; the validators from this height on |
//! | `steps` | height | of the last block of each set of validators: header, set and certificate |
//! | `tips` | height | what the next block builds on |
//! | `history` | level and index | the complete subtrees of the history |
//!
//! A block is one commit over all of them. It is written before the state is: what a power cut
//! leaves between the two is executed again when both are opened.
//!
//! A store that began at a snapshot has no block of that height or below, and of older heights only
//! the steps that the snapshot was trusted by.
//!
//! A damaged entry is seen by its checksum. That one is gone is seen by `about`, which says which
//! blocks there are, and by each set of validators, which says where the one before it is.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_disk::Disk;

use super::message::Decided;
use super::snapshot::Approved;
use crate::block::{MAX_TRANSACTIONS, Tip};
use crate::encoding::{DecodeError, List, decode, encode};
use crate::hash::Hash;
use crate::history::{Node, Nodes, Position};
use crate::ledger::{Executed, Receipt, Refusal};
use crate::light::Step;
use crate::list::ListRoot;
use crate::state::{Contained, FORMAT, FileError, Reading, Table};
use crate::validator_set::ValidatorSet;

const ABOUT: Table = Table("about");
const BLOCKS: Table = Table("blocks");
const REFUSALS: Table = Table("refusals");
const SETS: Table = Table("sets");
const STEPS: Table = Table("steps");
const TIPS: Table = Table("tips");
const HISTORY: Table = Table("history");

/// How much of the file is kept in memory.
const CACHE_BYTES: usize = 64 << 20;

/// Why actions of a block were refused, in the order of its transactions.
type Refusals = List<Option<Refusal>, MAX_TRANSACTIONS>;

/// How many tips are kept: a state that was put back may be this much older than the blocks.
const KEEP_TIPS: u64 = 10_000;

/// Why blocks cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file could not be created, opened or named.
    #[error("{place}: {source}")]
    Disk {
        /// Which file.
        place: String,
        /// What the disk said.
        source: std::io::Error,
    },
    /// There are no blocks.
    #[error("{place} holds no blocks; create a chain from its genesis")]
    Missing {
        /// Which file.
        place: String,
    },
    /// There are blocks already.
    #[error("{place} holds blocks already")]
    Exists {
        /// Which file.
        place: String,
    },
    /// The file is damaged, of another version, or cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is kept of a block's receipts leads to another root than its header has.
    #[error("the stored receipts of height {height} are not those of its block; catch up anew")]
    Receipts {
        /// The height.
        height: u64,
    },
    /// Stored bytes are not what they should be.
    #[error("stored blocks are damaged: {0}; catch up anew")]
    Damaged(#[from] DecodeError),
}

/// What has to be in the other tables.
#[derive(Debug, Clone, Copy, BorshSerialize, BorshDeserialize)]
struct About {
    format: u16,
    /// The height of the last block.
    height: u64,
    /// The lowest height whose block is kept.
    oldest: u64,
    /// The last height from which on there are other validators than before.
    last_change: u64,
}

fn at(height: u64) -> [u8; 8] {
    height.to_be_bytes()
}

/// The height that a key is of.
fn height_of(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

fn place_of(position: Position) -> [u8; 9] {
    let mut key = [position.level; 9];
    key[1..].copy_from_slice(&position.index.to_be_bytes());
    key
}

/// A set of validators, as it is kept.
struct KeptSet {
    /// From which height on it validates.
    since: u64,
    /// The same of the set before it; 0 for the first one that is kept.
    before: u64,
    set: Vec<u8>,
}

/// What one commit writes.
struct Write<'a> {
    decided: Option<(&'a Decided, Refusals)>,
    tip: &'a Tip,
    nodes: &'a [Node],
    /// Sets of validators and from which height on, rising.
    sets: &'a [(u64, &'a ValidatorSet)],
    steps: &'a [Step],
}

/// The committed blocks.
pub struct BlockStore {
    tables: Contained,
    tip: Tip,
    about: About,
}

impl BlockStore {
    /// Makes a store of a chain without blocks, in a file that does not exist yet.
    pub(super) fn create(
        disk: &dyn Disk,
        path: &str,
        genesis: Tip,
        validators: &ValidatorSet,
    ) -> Result<Self, StoreError> {
        let first = Position { level: 0, index: 0 };
        let nodes = &[Node { position: first, hash: genesis.history.root() }];
        let sets = &[(1, validators)];
        Self::make(disk, path, Write { decided: None, tip: &genesis, nodes, sets, steps: &[] })?;
        Self::open(disk, path)
    }

    /// Makes a store that begins after the block of a snapshot, whose header is trusted.
    pub(super) fn create_after(
        disk: &dyn Disk,
        path: &str,
        approved: &Approved,
        next: &ValidatorSet,
    ) -> Result<(), StoreError> {
        let (tip, nodes) = approved.tip();
        let (mut sets, mut first) = (Vec::new(), approved.since().saturating_add(1));
        for step in approved.steps() {
            sets.push((first, &step.validators));
            first = step.header.height.saturating_add(1);
        }
        let header = &approved.head().step.header;
        if header.next_validators != header.validators {
            sets.push((first, next));
        }
        let steps = approved.steps();
        let (nodes, sets) = (nodes.as_slice(), sets.as_slice());
        Self::make(disk, path, Write { decided: None, tip: &tip, nodes, sets, steps })
    }

    fn make(disk: &dyn Disk, path: &str, first: Write<'_>) -> Result<(), StoreError> {
        let place = disk.describe(path);
        let on_disk = |source| StoreError::Disk { place: place.clone(), source };
        if disk.exists(path).map_err(on_disk)? {
            return Err(StoreError::Exists { place });
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let unfinished = format!("{path}.new");
        if disk.exists(&unfinished).map_err(on_disk)? {
            disk.remove(&unfinished).map_err(on_disk)?;
        }
        let file = disk.open(&unfinished).map_err(on_disk)?;
        let tables = Contained::create(file, place.clone(), CACHE_BYTES)?;
        let (tip, height) = (first.tip.clone(), first.tip.height);
        let oldest = height.saturating_add(1);
        let about = About { format: FORMAT, height, oldest, last_change: 0 };
        let mut store = Self { tables, tip, about };
        store.write(first)?;
        drop(store);
        disk.rename(&unfinished, path).map_err(on_disk)?;
        disk.sync_dir(folder).map_err(on_disk)
    }

    /// Opens a store.
    pub(super) fn open(disk: &dyn Disk, path: &str) -> Result<Self, StoreError> {
        let place = disk.describe(path);
        let on_disk = |source| StoreError::Disk { place: place.clone(), source };
        if !disk.exists(path).map_err(on_disk)? {
            return Err(StoreError::Missing { place });
        }
        let file = disk.open(path).map_err(on_disk)?;
        let tables = Contained::open(file, place, CACHE_BYTES, false)?;
        let (about, tip) = tables.read(|reading| {
            let Some(about) = reading.get(ABOUT, &[])? else {
                // The first format had tips and nothing about them; only that one opens here.
                reading.get(TIPS, &[])?;
                return Err(StoreError::from(tables.broken("it has no head")));
            };
            let about: About = decode("what blocks there are", &about, 1024)?;
            tables.check_format(about.format)?;
            let tip = reading.get(TIPS, &at(about.height))?;
            let tip = tip.ok_or_else(|| tables.broken("the end of the chain is gone"))?;
            Ok((about, decode::<Tip>("the end of the chain", &tip, 64 << 10)?))
        })?;
        Ok(Self { tables, tip, about })
    }

    /// What the next block builds on.
    #[must_use]
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The lowest height whose block is kept.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.about.oldest
    }

    /// Whether the block of a height must be there.
    fn has(&self, height: u64) -> bool {
        (self.about.oldest..=self.tip.height).contains(&height)
    }

    fn gone(&self, what: &str, height: u64) -> StoreError {
        self.tables.broken(format!("{what} of height {height} is gone")).into()
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Reading<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.tables.read(work)
    }

    /// The block of a height with its certificate; none where it is not kept.
    pub fn block(&self, height: u64) -> Result<Option<Decided>, StoreError> {
        match self.read(|reading| Ok(reading.get(BLOCKS, &at(height))?))? {
            Some(bytes) => Ok(Some(decode("a committed block", &bytes, usize::MAX)?)),
            None if self.has(height) => Err(self.gone("the block", height)),
            None => Ok(None),
        }
    }

    /// The header of a height with the set and the certificate that committed it: of every block that is
    /// kept, and of the last one of each set of validators since the store began. None elsewhere.
    pub fn step(&self, height: u64) -> Result<Option<Step>, StoreError> {
        if let Some(bytes) = self.read(|reading| Ok(reading.get(STEPS, &at(height))?))? {
            return Ok(Some(decode("a kept header", &bytes, usize::MAX)?));
        }
        let Some(Decided { block, certificate }) = self.block(height)? else { return Ok(None) };
        let Some(validators) = self.validators(height)? else { return Ok(None) };
        Ok(Some(Step { header: block.header, validators, certificate }))
    }

    /// The lowest height whose validators are known: 1, or the one after the header that was trusted when
    /// the store began at a snapshot.
    pub fn first_validators(&self) -> Result<u64, StoreError> {
        let first = self.read(|reading| self.set_from(reading, 0))?;
        match first {
            Some(first) if first.before == 0 => Ok(first.since),
            _ => Err(self.gone("the first set of validators", 0)),
        }
    }

    /// What became of the transactions of a block, in their order; none where the block is not
    /// kept. They are checked against the root in its header.
    ///
    /// # Errors
    /// [`StoreError::Receipts`] where they are others.
    pub fn receipts(&self, height: u64) -> Result<Option<Vec<Receipt>>, StoreError> {
        let Some(Decided { block, .. }) = self.block(height)? else { return Ok(None) };
        let bytes = self.read(|reading| Ok(reading.get(REFUSALS, &at(height))?))?;
        let bytes = bytes.ok_or_else(|| self.gone("what is kept of the receipts", height))?;
        let refusals: Refusals = decode("stored receipts", &bytes, usize::MAX)?;
        let both = block.transactions.iter().zip(refusals.iter());
        let receipt = |(transaction, refusal): (&crate::transaction::Transaction, &Option<_>)| {
            let body = &transaction.body;
            Receipt { transaction: body.id(), fee: body.fee, refusal: Option::clone(refusal) }
        };
        let receipts: Vec<Receipt> = both.map(receipt).collect();
        if refusals.len() != receipts.len() || ListRoot::of(&receipts) != block.header.receipts {
            return Err(StoreError::Receipts { height });
        }
        Ok(Some(receipts))
    }

    fn kept_set(&self, key: &[u8], bytes: &[u8]) -> Result<KeptSet, StoreError> {
        let parts = height_of(key).zip(bytes.split_first_chunk::<8>());
        let (since, (before, set)) =
            parts.ok_or_else(|| self.tables.broken("a set of validators has another form"))?;
        Ok(KeptSet { since, before: u64::from_le_bytes(*before), set: set.to_vec() })
    }

    /// The first set of validators that begins at a height or above.
    fn set_from(&self, reading: &Reading<'_>, height: u64) -> Result<Option<KeptSet>, StoreError> {
        let found = reading.first_from(SETS, &at(height))?;
        found.map(|(key, bytes)| self.kept_set(&key, &bytes)).transpose()
    }

    /// Where the last change up to a height is, by the set that came after it.
    fn change_before(&self, reading: &Reading<'_>, height: u64) -> Result<u64, StoreError> {
        let next = self.set_from(reading, height.saturating_add(1))?;
        Ok(next.map_or(self.about.last_change, |next| next.before))
    }

    /// The validators of a height up to the one after the last block; none above it.
    pub fn validators(&self, height: u64) -> Result<Option<ValidatorSet>, StoreError> {
        if height > self.tip.height.saturating_add(1) {
            return Ok(None);
        }
        self.read(|reading| {
            let since = self.change_before(reading, height)?;
            let last = reading.last_to(SETS, &at(height))?;
            let last = last.map(|(key, bytes)| self.kept_set(&key, &bytes)).transpose()?;
            match last {
                Some(last) if last.since == since => Ok(Some(ValidatorSet::decode(&last.set)?)),
                None if since == 0 => Ok(None),
                _ => Err(self.gone("a set of validators", since)),
            }
        })
    }

    /// The heights above one and up to another whose validators are others than those of the height
    /// before, rising; at most `most` of them.
    pub fn changes_of_validators(
        &self,
        above: u64,
        until: u64,
        most: usize,
    ) -> Result<Vec<u64>, StoreError> {
        self.read(|reading| {
            let mut changes = Vec::new();
            let mut before = self.change_before(reading, above)?;
            while changes.len() < most {
                let from = changes.last().copied().unwrap_or(above).saturating_add(1);
                let next = self.set_from(reading, from)?;
                let link = next.as_ref().map_or(self.about.last_change, |next| next.before);
                if link != before {
                    return Err(self.gone("a set of validators", link));
                }
                match next {
                    Some(next) if next.since <= until => changes.push(next.since),
                    _ => break,
                }
                before = changes.last().copied().unwrap_or(before);
            }
            Ok(changes)
        })
    }

    /// What the block after a height builds on; none where it is not kept.
    pub(super) fn tip_at(&self, height: u64) -> Result<Option<Tip>, StoreError> {
        let bytes = self.read(|reading| Ok(reading.get(TIPS, &at(height))?))?;
        let tip = bytes.map(|bytes| decode("what a block builds on", &bytes, 64 << 10));
        Ok(tip.transpose()?)
    }

    /// Appends a block that was checked against the tip, with what came of that and the validators
    /// of the next height, and returns when it is on stable storage.
    pub(super) fn append(
        &mut self,
        decided: &Decided,
        executed: &Executed,
        next: &ValidatorSet,
    ) -> Result<(), StoreError> {
        let mut tip = self.tip.clone();
        let header = &decided.block.header;
        let nodes = tip.advance(header);
        let refusals = executed.receipts.iter().map(|receipt| receipt.refusal.clone());
        // As many as the block has transactions.
        let refusals = List::new(refusals.collect::<Vec<_>>()).unwrap_or_default();
        let is_other = header.next_validators != header.validators;
        let next = is_other.then_some((header.height.saturating_add(1), next));
        let step = if is_other { self.step_of(decided)? } else { None };
        self.write(Write {
            decided: Some((decided, refusals)),
            tip: &tip,
            nodes: &nodes,
            sets: next.as_slice(),
            steps: step.as_slice(),
        })?;
        self.tip = tip;
        Ok(())
    }

    /// Forgets the blocks below a height, and their receipts. Proofs of their ids stay possible.
    pub fn prune(&mut self, below: u64) -> Result<(), StoreError> {
        let below = below.min(self.tip.height);
        let about = About { oldest: self.about.oldest.max(below), ..self.about };
        self.tables.write(|writing| {
            writing.table(BLOCKS)?.remove_below(&at(below))?;
            writing.table(REFUSALS)?.remove_below(&at(below))?;
            writing.table(ABOUT)?.insert(&[], &encode(&about))
        })?;
        self.about = about;
        Ok(())
    }

    fn step_of(&self, decided: &Decided) -> Result<Option<Step>, StoreError> {
        let (header, certificate) = (decided.block.header.clone(), decided.certificate.clone());
        let validators = self.validators(header.height)?;
        Ok(validators.map(|validators| Step { header, validators, certificate }))
    }

    fn write(&mut self, write: Write<'_>) -> Result<(), StoreError> {
        let Write { decided, tip, nodes, sets, steps } = write;
        let mut about = About { height: tip.height, ..self.about };
        self.tables.write(|writing| {
            let mut blocks = writing.table(BLOCKS)?;
            let mut kept = writing.table(REFUSALS)?;
            if let Some((decided, refusals)) = decided {
                blocks.insert(&at(tip.height), &encode(decided))?;
                kept.insert(&at(tip.height), &encode(&refusals))?;
            }
            let mut table = writing.table(SETS)?;
            for (since, set) in sets {
                let mut bytes = about.last_change.to_le_bytes().to_vec();
                bytes.extend(encode(*set));
                table.insert(&at(*since), &bytes)?;
                about.last_change = *since;
            }
            let mut table = writing.table(STEPS)?;
            for step in steps {
                table.insert(&at(step.header.height), &encode(step))?;
            }
            let mut tips = writing.table(TIPS)?;
            tips.insert(&at(tip.height), &encode(tip))?;
            let forget = tip.height.saturating_sub(KEEP_TIPS);
            if forget > 0 {
                tips.remove(&at(forget - 1))?;
            }
            let mut history = writing.table(HISTORY)?;
            for Node { position, hash } in nodes {
                history.insert(&place_of(*position), &hash.0)?;
            }
            writing.table(ABOUT)?.insert(&[], &encode(&about))
        })?;
        self.about = about;
        Ok(())
    }
}

impl Nodes for BlockStore {
    type Error = StoreError;

    fn node(&self, position: Position) -> Result<Option<Hash>, StoreError> {
        let bytes = self.read(|reading| Ok(reading.get(HISTORY, &place_of(position))?))?;
        let hash = bytes.map(|bytes| <[u8; 32]>::try_from(bytes).map(Hash));
        let other_form = |_| self.tables.broken("a hash of the history has another form");
        Ok(hash.transpose().map_err(other_form)?)
    }
}
