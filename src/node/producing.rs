//! The producer's role: a thread that anchors, packs and has kept what the node's database seals.
//!
//! Writers do not wait for it. What is not yet anchored or placed is in the database, and each round
//! does what is missing: a node that was offline for weeks catches up.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chronolith_chain::content::ContentId;
use chronolith_engine::Db;
use chronolith_fragment::Profile;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::placing::Terms;
use super::{Client, NodeError, NodeSettings, settings};
use crate::chain::amount;
use crate::producer::{HandedOver, Packed, Producer, ProducerError, ProducerSettings};
use crate::stop::Stop;
use crate::wallet::Wallet;

/// What the configuration says of the producer's role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProducingSettings {
    /// The folder of the wallet with the account that anchors and pays.
    #[serde(default = "settings::default_wallet")]
    pub wallet: PathBuf,
    /// The name of the account's key.
    #[serde(default = "settings::default_account")]
    pub account: String,
    /// The folder of packs and their secrets.
    #[serde(default = "default_packs")]
    pub packs: PathBuf,
    /// How packs are cut: `lab` (any 4 of 6), `standard` (any 10 of 30) or `wide` (any 32 of 96). The
    /// placements of the market's contracts come first.
    #[serde(default = "default_profile")]
    pub profile: String,
    /// For how many epochs they are kept.
    pub epochs: u64,
    /// What is paid for a fragment and an epoch: coin as `12` or `0.5`. Without it, what as many peers ask
    /// as there are fragments, and two more.
    pub price: Option<String>,
    /// How many hours a sealed chunk waits for a pack to be full.
    #[serde(default = "default_patience")]
    pub patience_hours: u64,
    /// How many seconds lie between two rounds.
    #[serde(default = "default_every")]
    pub every_s: u64,
    /// How many seconds a block, or the end of an epoch, is waited for.
    #[serde(default = "default_deadline")]
    pub deadline_s: u64,
}

fn default_packs() -> PathBuf {
    "packs".into()
}

fn default_profile() -> String {
    "standard".to_owned()
}

const fn default_patience() -> u64 {
    24
}

const fn default_every() -> u64 {
    60
}

const fn default_deadline() -> u64 {
    1_800
}

impl ProducingSettings {
    /// What a producer is to do by them.
    fn producer(&self, node: &NodeSettings) -> Result<ProducerSettings, NodeError> {
        let wrong = |key: &str, reason: &dyn std::fmt::Display| NodeError::Settings {
            place: node.place.clone(),
            reason: format!("producer.{key}: {reason}"),
        };
        let profile: Profile = self.profile.parse().map_err(|reason| wrong("profile", &reason))?;
        let price = self.price.as_deref().map(amount).transpose();
        let contracts = node.market.as_ref().map(|market| market.read_contracts(node));
        Ok(ProducerSettings {
            packs: node.path(&self.packs),
            profile,
            contracts: contracts.transpose()?.unwrap_or_default(),
            patience: Duration::from_secs(self.patience_hours.saturating_mul(3_600)),
            terms: Terms {
                epochs: self.epochs,
                price: price.map_err(|reason| wrong("price", &reason))?,
                repairers: Vec::new(),
                repair_fee: chronolith_chain::coin::Amount::coins(0),
                repairs: 0,
            },
            deadline: Duration::from_secs(self.deadline_s),
            stop: None,
        })
    }
}

/// What the role tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProducingEvent {
    /// Packs were made.
    Packed {
        /// Which.
        packs: Vec<ContentId>,
    },
    /// The chain or peers took something.
    HandedOver {
        /// How many batches were anchored.
        anchored: usize,
        /// The packs that are kept in all their fragments now.
        placed: Vec<ContentId>,
        /// How many leases that peers lost or left are others' now.
        moved: usize,
    },
    /// What contracts' placements refuse: it waits. Told whenever that changes.
    Refused {
        /// Why, for the first of each kind; empty where nothing is refused any more.
        reasons: Vec<String>,
    },
    /// A round did not do all; the next goes on.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How the role is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProducingStatus {
    /// Batches that were anchored since the node was started.
    pub anchored: u64,
    /// Packs that were made since then.
    pub packed: u64,
    /// Packs that all fragments of were leased since then.
    pub placed: u64,
    /// Leases that their peers lost or left, and that are others' since then.
    pub moved: u64,
    /// Sealed chunks that wait: for a pack to be full, or because a contract's placement cannot be had.
    pub waiting: u64,
    /// Packs that are not kept in all their fragments.
    pub unplaced: u64,
    /// When the last round ended that did all that can be done; none before the first.
    pub whole_at: Option<Instant>,
    /// What waits because contracts' placements cannot be had, for the first of each kind: no round has failed
    /// for it.
    pub refused: Vec<String>,
    /// Why the last round did not do all else.
    pub failure: Option<String>,
}

struct Shared {
    status: Mutex<ProducingStatus>,
    stop: Stop,
}

/// The role of a node that runs; it stops when this is dropped.
pub struct Producing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Producing {
    /// Begins the role of a node that runs, for its database. `tell` hears what it does, on its
    /// thread.
    ///
    /// # Errors
    /// What is wrong with the settings, the wallet or the packs.
    pub fn start(
        settings: &ProducingSettings,
        node: &NodeSettings,
        db: Db,
        tell: impl Fn(ProducingEvent) + Send + 'static,
    ) -> Result<Self, ProducerError> {
        let stop = Stop::default();
        let producer = ProducerSettings { stop: Some(stop.flag()), ..settings.producer(node)? };
        let account = Wallet::at(node.path(&settings.wallet)).load(&settings.account)?;
        let producer = Producer::open(producer, account)?;
        let shared = Arc::new(Shared { status: Mutex::default(), stop });
        let runner = Runner {
            producer,
            node: node.clone(),
            client: None,
            db,
            every: Duration::from_secs(settings.every_s.max(1)),
            shared: Arc::clone(&shared),
            tell: Box::new(tell),
        };
        let thread = thread::Builder::new().name("producer".to_owned()).spawn(|| runner.run());
        let thread = thread.map_err(NodeError::disk("start a thread for", &node.place))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Looks how it is doing, also after it has stopped.
    pub fn look(&self) -> impl Fn() -> ProducingStatus + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.status.lock().clone()
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        self.shared.stop.tell();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The thread.
struct Runner {
    producer: Producer,
    node: NodeSettings,
    client: Option<Client>,
    db: Db,
    every: Duration,
    shared: Arc<Shared>,
    tell: Box<dyn Fn(ProducingEvent) + Send>,
}

impl Runner {
    fn run(mut self) {
        while !self.shared.stop.is_told() {
            let begin = Instant::now();
            self.round();
            self.shared.stop.wait(self.every.saturating_sub(begin.elapsed()));
        }
    }

    /// What is packed is noted at once: the chain may be away for long.
    fn round(&mut self) {
        let mut refused = Vec::new();
        let packed = self.producer.pack(&self.db, false);
        let packing = packed.map(|packed| refused.extend(self.note_packed(packed))).err();
        let handing = match self.client() {
            Ok(client) => {
                let mut done = self.producer.hand_over(&client, &self.db, &mut |_| ());
                refused.append(&mut done.refused);
                // After a failure another connection is made: the old one may be what failed.
                if done.failure.is_none() {
                    self.client = Some(client);
                }
                self.note_handed_over(done)
            }
            Err(error) => Some(error.into()),
        };
        // What was broken off to stop has not failed.
        if !self.shared.stop.is_told() {
            self.note_end(&refused, packing.or(handing));
        }
    }

    fn client(&mut self) -> Result<Client, NodeError> {
        self.client.take().map_or_else(|| Client::new(&self.node, None), Ok)
    }

    /// Notes what was packed; what placements refuse.
    fn note_packed(&self, packed: Packed) -> Option<ProducerError> {
        let Packed { made, waiting, refused, unplaced } = packed;
        let mut status = self.shared.status.lock();
        status.packed += made.len() as u64;
        (status.waiting, status.unplaced) = (waiting as u64, unplaced as u64);
        drop(status);
        if !made.is_empty() {
            (self.tell)(ProducingEvent::Packed { packs: made });
        }
        refused.map(ProducerError::from)
    }

    /// Notes what was handed over; what failed.
    fn note_handed_over(&self, done: HandedOver) -> Option<ProducerError> {
        let HandedOver { anchored, placed, unplaced, moved, refused: _, failure } = done;
        let anchored = anchored.anchored.len();
        let mut status = self.shared.status.lock();
        status.anchored += anchored as u64;
        status.placed += placed.len() as u64;
        status.moved += moved as u64;
        if let Some(unplaced) = unplaced {
            status.unplaced = unplaced as u64;
        }
        drop(status);
        if anchored + placed.len() + moved > 0 {
            (self.tell)(ProducingEvent::HandedOver { anchored, placed, moved });
        }
        failure
    }

    fn note_end(&self, refused: &[ProducerError], failure: Option<ProducerError>) {
        let failure = failure.map(|error| error.to_string());
        let reasons: Vec<String> = refused.iter().map(ToString::to_string).collect();
        let mut status = self.shared.status.lock();
        if failure.is_none() {
            status.whole_at = Some(Instant::now());
        }
        let is_new = failure != status.failure;
        status.failure.clone_from(&failure);
        let are_new = reasons != status.refused;
        status.refused.clone_from(&reasons);
        drop(status);
        if are_new {
            (self.tell)(ProducingEvent::Refused { reasons });
        }
        if let Some(reason) = failure.filter(|_| is_new) {
            (self.tell)(ProducingEvent::Failed { reason });
        }
    }
}
