//! The producer's way out of the house: what is sealed is anchored, packed, and kept by others.
//!
//! A [`Producer`] looks at a database and at the chain of a node, round after round, and does what is
//! missing: batches that are not anchored, sealed chunks that are in no pack, packs that have no
//! leases. Nothing of its own has to be remembered but the packs and their secrets: what is on the
//! ledger is there, and each pack says what is in it. So a round that is broken off is done by the
//! next, and a slow or missing network holds nothing up but the round.

mod leases;
mod packing;
pub mod placements;
mod waiting;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::ledger::{PackKey, Parameters, ParametersKey};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_contract::Compiled;
use chronolith_disk::{Disk as _, DiskLock};
use chronolith_engine::{Db, ReadError};
use chronolith_fragment::Profile;
use chronolith_net::pack::PackError;

use crate::chain::anchor::{AnchorError, AnchorReport, Anchoring, Ground, Unowned};
use crate::node::placing::{Placer, PlacingError, Progress, Terms, ToPlace};
use crate::node::submit::{SubmitError, Submitter, TRIES};
use crate::node::turn::Turn;
use crate::node::{Client, NodeError, NodeState};
use crate::packs::{
    PackFileError, list_packs, load_pack, load_regions, load_secret, open_folder, secret_beside,
};
use crate::wallet::{AccountKey, WalletError};
use leases::Leases;
use placements::{PlacementError, Placements};
use waiting::Waiting;

/// The file that keeps other producers away.
const LOCK: &str = "lock";
/// How many packs are placed at once: their fragments are in memory.
const PACKS_AT_ONCE: usize = 16;

/// What a producer is to do.
#[derive(Debug, Clone)]
pub struct ProducerSettings {
    /// Where packs and their secrets are kept.
    pub packs: PathBuf,
    /// How packs are cut where no contract says otherwise.
    pub profile: Profile,
    /// Data contracts, whose placements say how their metrics are kept.
    pub contracts: Vec<Compiled>,
    /// How long a chunk waits for a pack to be full.
    pub patience: Duration,
    /// On which terms packs are kept.
    pub terms: Terms,
    /// How long a block, or the end of an epoch, is waited for.
    pub deadline: Duration,
    /// Once it is set, nothing is waited for any longer.
    pub stop: Option<Arc<AtomicBool>>,
}

/// Why a round did not do all it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The database cannot be read.
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
    /// Chunks cannot be kept as the contracts say that name them.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// Packs cannot be read or written.
    #[error(transparent)]
    File(#[from] PackFileError),
    /// The account does not anchor for a device any more.
    #[error("chunks of {name} are not anchored: of the device {device}, {why}")]
    LeftOut {
        /// The device's name in the database.
        name: String,
        /// The device.
        device: Address,
        /// Why.
        why: Unowned,
    },
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

/// What was packed.
#[derive(Debug, Default)]
pub struct Packed {
    /// The packs that were made.
    pub made: Vec<ContentId>,
    /// How many sealed chunks wait: for a pack to be full, or because of what `refused` says.
    pub waiting: usize,
    /// Why some chunks are not packed, for the first metric of which that is so.
    pub refused: Option<PlacementError>,
    /// How many packs are not known to be kept in all their fragments.
    pub unplaced: usize,
}

/// What was handed over to the chain and to peers.
#[derive(Debug, Default)]
pub struct HandedOver {
    /// What was anchored.
    pub anchored: AnchorReport,
    /// The packs that all fragments of are leased now, and were not before.
    pub placed: Vec<ContentId>,
    /// How many packs are not kept in all their fragments; none where that is not known.
    pub unplaced: Option<usize>,
    /// How many leases that their peers lost are others' now.
    pub moved: usize,
    /// What placements refuse: a pack that too few peers of its regions would take, the first of those to be
    /// placed and the first of those to be moved; and the first device that is not anchored for. They wait, and
    /// no round has failed for them.
    pub refused: Vec<ProducerError>,
    /// The first thing else that did not work; all other is done.
    pub failure: Option<ProducerError>,
}

/// Anchors, packs and places what a database seals.
pub struct Producer {
    settings: ProducerSettings,
    account: AccountKey,
    /// How chunks are cut, and where they are kept.
    placements: Placements,
    /// The chunks that are in packs.
    packed: BTreeSet<ContentId>,
    /// Files of segments whose chunks are all in packs.
    finished: BTreeSet<String>,
    /// Since when chunks wait for a pack to be full.
    waiting: Waiting,
    /// The packs that were kept in all their fragments when it was looked last, and in which epoch that was.
    kept: (u64, BTreeSet<ContentId>),
    /// Which fragments the leases are of.
    leases: Leases,
    /// Why the first pack could not be read that cannot, until that was told.
    unread: Result<(), PackFileError>,
    /// Keeps other producers from the folder of packs.
    _lock: Box<dyn DiskLock>,
}

impl Producer {
    /// A producer with the packs that it made before. One that cannot be read is told of by the first round;
    /// what was in it is packed again.
    ///
    /// # Errors
    /// A folder that cannot be read, or another producer with the same.
    pub fn open(settings: ProducerSettings, account: AccountKey) -> Result<Self, ProducerError> {
        let lock = open_folder(&settings.packs)?
            .lock(LOCK)
            .map_err(|source| ProducerError::InUse { place: settings.packs.clone(), source })?;
        let (mut packed, mut unread) = (BTreeSet::new(), Ok(()));
        for (_, place) in list_packs(&settings.packs)? {
            match load_pack(&place) {
                Ok(pack) => packed.extend(pack.body().entries().iter().map(|entry| entry.cid)),
                Err(error) => unread = unread.and(Err(error)),
            }
        }
        let finished = BTreeSet::new();
        let (waiting, leases) = (Waiting::within(&settings.packs), Leases::within(&settings.packs));
        let kept = (0, BTreeSet::new());
        let placements = Placements::new(settings.contracts.clone(), settings.profile);
        Ok(Self {
            settings,
            account,
            placements,
            packed,
            finished,
            waiting,
            kept,
            leases,
            unread,
            _lock: lock,
        })
    }

    /// Packs the sealed chunks of a database that are in no pack, as packs get full or chunks have waited
    /// enough, or all of them. No network is needed.
    ///
    /// # Errors
    /// What cannot be read or written. The packs that were made until then are there.
    pub fn pack(&mut self, db: &Db, all: bool) -> Result<Packed, ProducerError> {
        let mut packed = Packed::default();
        self.pack_sealed(db, all, &mut packed)?;
        let packs = list_packs(&self.settings.packs)?;
        packed.unplaced = packs.iter().filter(|(pack, _)| !self.kept.1.contains(pack)).count();
        Ok(packed)
    }

    /// Anchors what a database has sealed, and has the packs kept that are not.
    pub fn hand_over(
        &mut self,
        client: &Client,
        db: &Db,
        tell: &mut dyn FnMut(Progress),
    ) -> HandedOver {
        let mut done = HandedOver::default();
        // What fails keeps nothing else from being done.
        let anchored = self.anchor(client, db).map(|anchored| {
            let left_out = anchored.left_out.iter().next().map(|(name, one)| {
                let (device, why) = (one.device, one.why.clone());
                ProducerError::LeftOut { name: name.clone(), device, why }
            });
            done.refused.extend(left_out);
            done.anchored = anchored;
        });
        let placed = self.place(client, tell, &mut done);
        let placed = placed.and_then(|failed| done.note(failed));
        let moved = self.move_lost(client, tell, &mut done);
        let moved = moved.and_then(|failed| done.note(failed));
        let read = std::mem::replace(&mut self.unread, Ok(())).map_err(ProducerError::from);
        done.failure = anchored.and(placed).and(moved).and(read).err();
        done
    }

    fn submitter<'a>(&self, client: &'a Client) -> Result<Submitter<'a>, NodeError> {
        let submitter = Submitter::new(client, self.account.signer(), self.settings.deadline)?;
        Ok(match &self.settings.stop {
            Some(stop) => submitter.stopped_by(Arc::clone(stop)),
            None => submitter,
        })
    }

    fn anchor(&self, client: &Client, db: &Db) -> Result<AnchorReport, ProducerError> {
        let submitter = self.submitter(client)?;
        let _turn = Turn::of(submitter.address());
        let mut tries = 1;
        loop {
            let state = NodeState::new(client);
            let (chain, height) = (submitter.chain(), state.height()?);
            let ground = Ground { chain, height, state: &state };
            let mut anchoring = Anchoring::plan(ground, db, &self.account)?;
            let done = match submitter.hand_in(anchoring.take_transactions(), height) {
                // Also of several: what is on the ledger by now is planned no more, and what comes there twice is refused.
                Err(SubmitError::Overtaken { .. }) if tries < TRIES => {
                    tries += 1;
                    continue;
                }
                done => done?,
            };
            let settled = done.into_iter().map(|done| (done.height, done.receipt));
            return Ok(anchoring.finish(settled)?);
        }
    }

    /// Places the packs that are not kept in all their fragments: new ones, and those whose time is over. It is
    /// asked for each once an epoch, since leases end and are lost between two of them. What failed.
    fn place(
        &mut self,
        client: &Client,
        tell: &mut dyn FnMut(Progress),
        done: &mut HandedOver,
    ) -> Result<Vec<ProducerError>, ProducerError> {
        let state = NodeState::new(client);
        let overlay = Overlay::new(&state);
        let parameters: Parameters = overlay.get(&ParametersKey {})?.unwrap_or_default();
        let epoch = parameters.epoch(state.height()?);
        if self.kept.0 != epoch {
            self.kept = (epoch, BTreeSet::new());
        }
        let mut open = list_packs(&self.settings.packs)?;
        open.retain(|(pack, _)| !self.kept.1.contains(pack));
        for (pack, _) in &open {
            let placed = overlay.get(&PackKey { pack: *pack, owner: self.account.address })?;
            if placed
                .is_some_and(|placed| placed.leased.count_ones() == u32::from(placed.fragments))
            {
                self.kept.1.insert(*pack);
            }
        }
        open.retain(|(pack, _)| !self.kept.1.contains(pack));
        let (placed, failed) =
            in_groups(&open, |some| self.place_some(some, client, tell), is_of_packs);
        done.placed.extend(placed.into_iter().map(|(pack, _)| *pack));
        done.unplaced = Some(open.len() - done.placed.len());
        Ok(failed)
    }

    /// Places some packs, and writes down who leases which of their fragments.
    fn place_some(
        &self,
        some: &[(ContentId, PathBuf)],
        client: &Client,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<(), ProducerError> {
        let mut packs = Vec::new();
        for (id, place) in some {
            packs.push(to_place(*id, place)?);
        }
        let (mut kept, leases) = (Ok(()), &self.leases);
        let mut note = |progress: Progress| {
            if let Progress::Consented { fragments, .. } = &progress
                && let Err(error) = leases.keep(fragments)
            {
                kept = Err(error);
            }
            tell(progress);
        };
        let mut placer = Placer::new(self.submitter(client)?, &mut note);
        let placed = placer.place(&packs, &self.settings.terms);
        kept?;
        Ok(placed?)
    }

    /// Gives what peers lost, or leave behind, to others. What failed.
    fn move_lost(
        &mut self,
        client: &Client,
        tell: &mut dyn FnMut(Progress),
        done: &mut HandedOver,
    ) -> Result<Vec<ProducerError>, ProducerError> {
        let lost = self.leases.lost(&NodeState::new(client), self.account.address)?;
        let mut failed = Vec::new();
        for one in lost {
            let ids: BTreeSet<_> = one.fragments.iter().map(|fragment| fragment.pack).collect();
            let all = list_packs(&self.settings.packs)?;
            let named = all.iter().filter(|(id, _)| ids.contains(id));
            let packs = named.map(|(id, place)| to_place(*id, place));
            let packs = match packs.collect::<Result<Vec<_>, _>>() {
                Ok(packs) => packs,
                Err(error) => {
                    failed.push(error.into());
                    continue;
                }
            };
            if packs.len() < ids.len() {
                // A pack that is gone from here cannot be made again.
                continue;
            }
            match Placer::new(self.submitter(client)?, tell).replace(&one, &packs) {
                Ok(()) => done.moved += 1,
                Err(error) => failed.push(error.into()),
            }
        }
        Ok(failed)
    }
}

impl HandedOver {
    /// Notes the first of what placements refuse; the first of what failed otherwise.
    fn note(&mut self, failed: Vec<ProducerError>) -> Result<(), ProducerError> {
        let (refused, failed): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(ProducerError::is_refusal);
        self.refused.extend(refused.into_iter().next());
        failed.into_iter().next().map_or(Ok(()), Err)
    }
}

impl ProducerError {
    /// Whether a placement cannot be had, and nothing is wrong with the producer or the network.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Placement(_) => true,
            Self::Placing(error) => match &**error {
                // Where peers failed, the network may be what is wrong.
                PlacingError::NotEnough { source, failed: 0, .. } => !source.regions.is_empty(),
                PlacingError::Repaired { .. } | PlacingError::TooLarge { .. } => true,
                _ => false,
            },
            _ => false,
        }
    }
}

/// A pack and its secret.
fn to_place(id: ContentId, place: &Path) -> Result<ToPlace, PackFileError> {
    let secret = load_secret(&secret_beside(place, id))?;
    let regions = load_regions(place, id)?;
    Ok(ToPlace { pack: load_pack(place)?, secret, regions })
}

/// Whether a group of packs failed for one of them, and not for the network, the node or the account.
fn is_of_packs(error: &ProducerError) -> bool {
    match error {
        ProducerError::File(_) => true,
        ProducerError::Placing(error) => matches!(
            **error,
            PlacingError::NotEnough { .. }
                | PlacingError::Pack { .. }
                | PlacingError::TooLarge { .. }
                | PlacingError::Other(_)
                | PlacingError::Repaired { .. }
                | PlacingError::NoBeacon { .. }
        ),
        _ => false,
    }
}

/// Hands items over in groups; where a group fails for one of them, each by itself, so that one holds up no
/// other. What was done, and what failed.
fn in_groups<'a, T, E>(
    items: &'a [T],
    mut take: impl FnMut(&'a [T]) -> Result<(), E>,
    is_of_one: impl Fn(&E) -> bool,
) -> (Vec<&'a T>, Vec<E>) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for some in items.chunks(PACKS_AT_ONCE) {
        let each = match take(some) {
            Ok(()) => {
                done.extend(some);
                continue;
            }
            Err(error) if some.len() > 1 && is_of_one(&error) => some,
            Err(error) => {
                failed.push(error);
                continue;
            }
        };
        for one in each.chunks(1) {
            match take(one) {
                Ok(()) => done.extend(one),
                Err(error) => failed.push(error),
            }
        }
    }
    (done, failed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::coin::Amount;
    use chronolith_net::placement::NotEnough;

    use super::*;
    use crate::wallet::Wallet;

    /// A pack that could never be placed, or not be read, held up those of its group in every round, and
    /// those behind it.
    #[test]
    fn one_that_fails_holds_up_no_other() {
        let items: Vec<usize> = (0..40).collect();
        let mut groups = Vec::new();
        let take = |some: &[usize]| {
            groups.push(some.len());
            if some.contains(&20) { Err("it is 20") } else { Ok(()) }
        };
        let (done, failed) = in_groups(&items, take, |_| true);
        assert_eq!(failed, ["it is 20"]);
        assert_eq!(done.len(), 39);
        assert!(!done.contains(&&20));
        assert_eq!(groups.len(), 3 + 16);
        // Where the network is away, nothing is asked of it for each.
        let mut groups = 0;
        let take = |_: &[usize]| {
            groups += 1;
            Err("away")
        };
        let (done, failed) = in_groups(&items, take, |_| false);
        assert_eq!((done.len(), failed, groups), (0, vec!["away"; 3], 3));
    }

    /// One contract whose regions had no peers hid that the disk failed, and no round was whole any more.
    #[test]
    fn what_placements_refuse_hides_no_failure_and_is_none() {
        let pack = ContentId::of_raw(b"a pack");
        let too_few = |region: &str, failed| {
            let regions = [region].into_iter().filter(|name| !name.is_empty());
            let regions = regions.map(ToOwned::to_owned).collect();
            let source = NotEnough { needed: 6, found: 0, regions };
            ProducerError::from(PlacingError::NotEnough { pack, failed, source })
        };
        let mut done = HandedOver::default();
        done.note(vec![too_few("nowhere", 0), too_few("elsewhere", 0)]).unwrap();
        assert_eq!(done.refused.len(), 1, "the first of a kind");
        let others = vec![too_few("nowhere", 0), too_few("", 0)];
        let failed = done.note(others).unwrap_err();
        assert!(!failed.is_refusal() && failed.to_string().contains("0 peers"), "{failed}");
        assert_eq!(done.refused.len(), 2);
        assert!(!too_few("nowhere", 2).is_refusal(), "peers were there, and failed");
        assert!(!ProducerError::from(PlacingError::Other(pack)).is_refusal());
    }

    /// A pack that was damaged on disk kept the whole node from starting: no record was taken any more.
    #[test]
    fn a_damaged_pack_keeps_no_producer_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let account = Wallet::at(folder.path().join("wallet")).create("main").unwrap();
        let packs = folder.path().join("packs");
        std::fs::create_dir(&packs).unwrap();
        let name = format!("{}.car", ContentId::of_raw(b"a pack"));
        std::fs::write(packs.join(name), b"no pack").unwrap();
        let terms = Terms {
            epochs: 1,
            price: None,
            repairers: Vec::new(),
            repair_fee: Amount::ZERO,
            repairs: 0,
        };
        let settings = ProducerSettings {
            packs,
            profile: Profile::Lab,
            contracts: Vec::new(),
            patience: Duration::ZERO,
            terms,
            deadline: Duration::ZERO,
            stop: None,
        };
        let producer = Producer::open(settings, account).unwrap();
        assert!(matches!(producer.unread, Err(PackFileError::NoPack { .. })));
    }
}
