//! The producer's way out of the house: what is sealed is anchored, packed, and kept by others.
//!
//! A [`Producer`] looks at a database and at the chain of a node, round after round, and does what is
//! missing: batches that are not anchored, sealed chunks that are in no pack, packs that have no
//! leases. Nothing of its own has to be remembered but the packs and their secrets: what is on the
//! ledger is there, and each pack says what is in it. So a round that is broken off is done by the
//! next, and a slow or missing network holds nothing up but the round.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chronolith_chain::content::ContentId;
use chronolith_chain::ledger::PackKey;
use chronolith_chain::state::{Overlay, StateError};
use chronolith_disk::{Disk as _, DiskLock};
use chronolith_engine::{ChunkBlocks, Db, OpenError, Options, ReadError};
use chronolith_fragment::{MaskSecret, Profile};
use chronolith_net::pack::{Item, Pack, PackBody, PackError, Packer};

use crate::chain::anchor::{AnchorError, AnchorReport, Anchoring, Ground};
use crate::node::placing::{Placer, PlacingError, Progress, Terms, ToPlace};
use crate::node::submit::{SubmitError, Submitter};
use crate::node::{Client, NodeError, NodeState};
use crate::packs::{
    PackFileError, list_packs, load_pack, load_secret, open_folder, secret_beside, store_pack,
};
use crate::wallet::{AccountKey, WalletError, random};

/// The file that keeps other producers away.
const LOCK: &str = "lock";
/// How many packs are placed at once: their fragments are in memory.
const PACKS_AT_ONCE: usize = 16;

/// What a producer is to do.
#[derive(Debug, Clone)]
pub struct ProducerSettings {
    /// The database, which another process may write into.
    pub database: PathBuf,
    /// Where packs and their secrets are kept.
    pub packs: PathBuf,
    /// How packs are cut.
    pub profile: Profile,
    /// How long a chunk waits for a pack to be full.
    pub patience: Duration,
    /// On which terms packs are kept.
    pub terms: Terms,
    /// How long a block, or the end of an epoch, is waited for.
    pub deadline: Duration,
}

/// Why a round did not do all it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Batches cannot be anchored.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The node does not answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A transaction has no effect.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Packs cannot be placed.
    #[error(transparent)]
    Placing(Box<PlacingError>),
    /// A pack cannot be made.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Packs cannot be read or written.
    #[error(transparent)]
    File(#[from] PackFileError),
    /// Another producer has the folder of packs.
    #[error("{} cannot be locked; is another producer using it? {source}", place.display())]
    InUse {
        /// The folder.
        place: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// There are no random bytes for a secret.
    #[error(transparent)]
    Random(#[from] WalletError),
}

impl From<PlacingError> for ProducerError {
    fn from(error: PlacingError) -> Self {
        Self::Placing(Box::new(error))
    }
}

/// What a round did.
#[derive(Debug, Default)]
pub struct Round {
    /// What was anchored.
    pub anchored: AnchorReport,
    /// The packs that were made.
    pub packed: Vec<ContentId>,
    /// The packs that all fragments of are leased now, and were not before.
    pub placed: Vec<ContentId>,
    /// How many sealed chunks wait for a pack to be full.
    pub waiting: usize,
}

/// Anchors, packs and places what a database seals.
pub struct Producer {
    settings: ProducerSettings,
    account: AccountKey,
    /// The chunks that are in packs.
    packed: BTreeSet<ContentId>,
    /// Since when chunks wait for a pack to be full.
    waiting_since: Option<Instant>,
    /// Keeps other producers from the folder of packs.
    _lock: Box<dyn DiskLock>,
}

impl Producer {
    /// A producer with the packs that it made before.
    ///
    /// # Errors
    /// A pack that cannot be read, or another producer with the same folder.
    pub fn open(settings: ProducerSettings, account: AccountKey) -> Result<Self, ProducerError> {
        let lock = open_folder(&settings.packs)?
            .lock(LOCK)
            .map_err(|source| ProducerError::InUse { place: settings.packs.clone(), source })?;
        let mut packed = BTreeSet::new();
        for (_, place) in list_packs(&settings.packs)? {
            packed.extend(load_pack(&place)?.body().entries().iter().map(|entry| entry.cid));
        }
        Ok(Self { settings, account, packed, waiting_since: None, _lock: lock })
    }

    /// Does what is missing now. `is_last` packs what waits for others, too.
    ///
    /// # Errors
    /// The first thing that does not work; all else is done.
    pub fn round(
        &mut self,
        client: &Client,
        is_last: bool,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Round, ProducerError> {
        let db = Db::open(&self.settings.database, Options::read_only())?;
        let mut round = Round::default();
        // What fails keeps nothing else from being done.
        let anchored = self.anchor(client, &db).map(|anchored| round.anchored = anchored);
        let packed = self.pack(&db, is_last, &mut round);
        drop(db);
        let placed = self.place(client, tell, &mut round);
        anchored.and(packed).and(placed).map(|()| round)
    }

    fn submitter<'a>(&self, client: &'a Client) -> Result<Submitter<'a>, NodeError> {
        Submitter::new(client, self.account.signer(), self.settings.deadline)
    }

    fn anchor(&self, client: &Client, db: &Db) -> Result<AnchorReport, ProducerError> {
        let submitter = self.submitter(client)?;
        let state = NodeState::new(client);
        let (chain, height) = (submitter.chain(), state.height()?);
        let ground = Ground { chain, height, state: &state };
        let mut anchoring = Anchoring::plan(ground, db, &self.account)?;
        let done = submitter.hand_in(anchoring.take_transactions(), height)?;
        Ok(anchoring.finish(done.into_iter().map(|done| (done.height, done.receipt)))?)
    }

    /// Packs the sealed chunks that are in no pack, as packs get full or chunks have waited enough.
    fn pack(&mut self, db: &Db, is_last: bool, round: &mut Round) -> Result<(), ProducerError> {
        let mut new = Vec::new();
        db.for_each_sealed(&|_| true, &mut |chunk| {
            if let Ok(cid) = ContentId::try_from(&chunk.cid)
                && chunk.body.is_some()
                && !self.packed.contains(&cid)
            {
                new.push((chunk.key, cid));
            }
        });
        let (mut packer, mut waiting) = (Packer::default(), Vec::new());
        for (key, cid) in new {
            let Some(ChunkBlocks { header, body }) = db.chunk_blocks(key)? else { continue };
            if let Some(body) = packer.add(Item::chunk(cid, header, body)?) {
                self.make(body, round)?;
                waiting.clear();
            }
            waiting.push(cid);
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        if waiting.is_empty() {
            self.waiting_since = None;
        } else if is_last || since.elapsed() >= self.settings.patience {
            self.waiting_since = None;
            if let Some(body) = packer.finish() {
                self.make(body, round)?;
            }
        } else {
            round.waiting = waiting.len();
        }
        Ok(())
    }

    fn make(&mut self, body: PackBody, round: &mut Round) -> Result<(), ProducerError> {
        let secret = MaskSecret::new(random()?);
        let (pack, _) = Pack::make(body, self.settings.profile, &secret)?;
        store_pack(&self.settings.packs, &pack, &secret)?;
        self.packed.extend(pack.body().entries().iter().map(|entry| entry.cid));
        round.packed.push(pack.content_id());
        Ok(())
    }

    /// Places the packs that are not kept in all their fragments: new ones, and those whose time is over.
    fn place(
        &self,
        client: &Client,
        tell: &mut dyn FnMut(Progress),
        round: &mut Round,
    ) -> Result<(), ProducerError> {
        let mut open = Vec::new();
        for (pack, place) in list_packs(&self.settings.packs)? {
            let key = PackKey { pack, owner: self.account.address };
            let placed = Overlay::new(&NodeState::new(client)).get(&key)?;
            let is_leased = placed
                .is_some_and(|placed| placed.leased.count_ones() == u32::from(placed.fragments));
            if !is_leased {
                open.push((pack, place));
            }
        }
        let mut first = Ok(());
        for some in open.chunks(PACKS_AT_ONCE) {
            let mut packs = Vec::new();
            for (id, place) in some {
                let secret = load_secret(&secret_beside(place, *id))?;
                packs.push(ToPlace { pack: load_pack(place)?, secret });
            }
            let mut placer = Placer::new(self.submitter(client)?, tell);
            match placer.place(&packs, &self.settings.terms) {
                Ok(()) => round.placed.extend(some.iter().map(|(pack, _)| *pack)),
                // The others are not held up.
                Err(error) => first = first.and(Err(error.into())),
            }
        }
        first
    }
}
