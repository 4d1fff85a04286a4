//! What all requests share.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use chronolith_engine::Db;
use parking_lot::RwLock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::body::Room;
use super::callers::Callers;
use super::measures::Measures;
use super::problem::Problem;
use super::query::Admission;
use super::tokens::Tokens;
use super::write::Writers;
use super::{HttpError, HttpSettings};
use crate::node::{Desk, NodeLink, ProducingStatus};

/// Who is told what an operator should know.
pub(super) type Listener = Arc<dyn Fn(&str) + Send + Sync>;

/// A node that serves over HTTP.
pub struct ServedNode {
    /// What it is asked by.
    pub link: NodeLink,
    /// How its producer's role is doing, where it has one.
    pub producing: Option<ProducingLook>,
    /// Where deals of its account are made, where it has the market's role.
    pub market: Option<Desk>,
}

/// Looks how a producer's role is doing.
pub type ProducingLook = Box<dyn Fn() -> ProducingStatus + Send + Sync>;

/// What all requests share; cloning is cheap.
#[derive(Clone)]
pub(super) struct HttpState(Arc<Shared>);

struct Shared {
    db: Db,
    settings: HttpSettings,
    tokens: Option<Tokens>,
    callers: Option<Callers>,
    measures: Measures,
    room: Room,
    writers: Writers,
    admission: Admission,
    /// Room for those who ask the node: it may be busy for long, and others need threads, too.
    asking_node: Admission,
    /// Room for those who dispute what was bought, and wait for peers.
    disputing: Admission,
    followers: Arc<Semaphore>,
    #[cfg(feature = "continuous")]
    continuous: super::query::Running,
    #[cfg(feature = "continuous")]
    webhooks: crate::webhook::Webhooks,
    #[cfg(feature = "search")]
    searching: super::query::Searching,
    #[cfg(feature = "sql")]
    sql: chronolith_query::Sql,
    node: OnceLock<ServedNode>,
    /// Whether there will be one: it may join the chain for long before it can be asked.
    expects_node: AtomicBool,
    /// Why the last records were not taken, where that is no fault of theirs.
    not_writing: RwLock<Option<String>>,
    stopping: watch::Receiver<bool>,
    tell: Listener,
    started: SystemTime,
}

impl HttpState {
    pub(super) fn new(
        db: Db,
        place: &Path,
        runtime: &tokio::runtime::Handle,
        settings: HttpSettings,
        tokens: Option<Tokens>,
        stopping: watch::Receiver<bool>,
        tell: Listener,
    ) -> Result<Self, HttpError> {
        #[cfg(feature = "continuous")]
        let continuous = super::query::Running::start(db.clone())?;
        #[cfg(feature = "continuous")]
        let webhooks = super::webhooks(place, runtime, continuous.queries(), &tell)?;
        let callers = Callers::new(&settings)?;
        Ok(Self(Arc::new(Shared {
            tokens,
            callers,
            measures: Measures::new(),
            room: Room::new(&settings),
            writers: Writers::new(&settings),
            admission: Admission::new(settings.queries()),
            asking_node: Admission::new(super::chain::ASKING),
            disputing: Admission::new(super::market::DISPUTING),
            followers: Arc::new(Semaphore::new(settings.followers.min(Semaphore::MAX_PERMITS))),
            #[cfg(feature = "continuous")]
            continuous,
            #[cfg(feature = "continuous")]
            webhooks,
            #[cfg(feature = "search")]
            searching: super::query::Searching::new(place.to_owned()),
            #[cfg(feature = "sql")]
            sql: chronolith_query::Sql::new(db.clone())?,
            db,
            settings,
            node: OnceLock::new(),
            expects_node: AtomicBool::new(false),
            not_writing: RwLock::default(),
            stopping,
            tell,
            started: SystemTime::now(),
        })))
    }

    pub(super) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(super) fn settings(&self) -> &HttpSettings {
        &self.0.settings
    }

    /// `None` where nobody has to have one.
    pub(super) fn tokens(&self) -> Option<&Tokens> {
        self.0.tokens.as_ref()
    }

    /// Who may come with a certificate; none where the settings name no authority.
    pub(super) fn callers(&self) -> Option<&Callers> {
        self.0.callers.as_ref()
    }

    pub(super) fn measures(&self) -> &Measures {
        &self.0.measures
    }

    pub(super) fn room(&self) -> &Room {
        &self.0.room
    }

    pub(super) fn writers(&self) -> &Writers {
        &self.0.writers
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    pub(super) fn asking_node(&self) -> &Admission {
        &self.0.asking_node
    }

    pub(super) fn disputing(&self) -> &Admission {
        &self.0.disputing
    }

    /// What answers SQL.
    #[cfg(feature = "sql")]
    pub(super) fn sql(&self) -> &chronolith_query::Sql {
        &self.0.sql
    }

    /// The continuous queries.
    #[cfg(feature = "continuous")]
    pub(super) fn continuous(&self) -> Result<&chronolith_query::continuous::Continuous, Problem> {
        self.check_continuous()?;
        Ok(self.0.continuous.queries())
    }

    /// Those that changes are sent to.
    #[cfg(feature = "continuous")]
    pub(super) fn webhooks(&self) -> &crate::webhook::Webhooks {
        &self.0.webhooks
    }

    /// The search index.
    #[cfg(feature = "search")]
    pub(super) fn searching(&self) -> &super::query::Searching {
        &self.0.searching
    }

    /// The node that the server is of, where it is of one.
    pub(super) fn node(&self) -> Option<&ServedNode> {
        self.0.node.get()
    }

    /// Remembers whether records are taken: why they were not, when it was tried last.
    pub(super) fn note_writing(&self, failure: Option<&str>) {
        // Nearly always there is none, and there was none.
        if failure == self.0.not_writing.read().as_deref() {
            return;
        }
        *self.0.not_writing.write() = failure.map(str::to_owned);
        match failure {
            Some(reason) => self.tell(&format!("no records are taken: {reason}")),
            None => self.tell("records are taken again"),
        }
    }

    /// Whether records were taken when it was tried last.
    pub(super) fn check_writing(&self) -> Result<(), Problem> {
        match self.0.not_writing.read().as_deref() {
            Some(reason) => Err(Problem::unavailable("database", reason, 10)),
            None => Ok(()),
        }
    }

    /// Tells the server that it is of a node, which it is told of later.
    pub(super) fn expect_node(&self) {
        self.0.expects_node.store(true, Ordering::Release);
    }

    /// Whether a node is still to come.
    pub(super) fn expects_node(&self) -> bool {
        self.node().is_none() && self.0.expects_node.load(Ordering::Acquire)
    }

    /// Tells the server of which node it is.
    pub(super) fn connect(&self, node: ServedNode) {
        // Told once.
        let _ = self.0.node.set(node);
    }

    /// Whether continuous queries are kept up to date, where there are any.
    pub(super) fn check_continuous(&self) -> Result<(), Problem> {
        #[cfg(feature = "continuous")]
        if let Some(reason) = self.0.continuous.failure() {
            let message = format!("continuous queries do not go on: {reason}");
            return Err(Problem::unavailable("continuous", message, 60));
        }
        Ok(())
    }

    /// A place among those who follow.
    pub(super) fn follow(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full = |_| Problem::unavailable("busy", "too many follow already; come again", 10);
        Arc::clone(&self.0.followers).try_acquire_owned().map_err(full)
    }

    /// Returns when the server is told to stop.
    pub(super) async fn stopping(&self) {
        let mut stopping = self.0.stopping.clone();
        // An error says that the server is gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Whether the server was told to stop.
    pub(super) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Tells the operator something.
    pub(super) fn tell(&self, what: &str) {
        (self.0.tell)(what);
    }

    /// The longest time of a request until its answer begins.
    pub(super) fn request_time(&self) -> Duration {
        HttpSettings::time(self.0.settings.request_time_s)
    }

    /// When the server was started.
    pub(super) fn started(&self) -> SystemTime {
        self.0.started
    }
}
