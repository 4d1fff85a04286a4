//! Nodes on loopback.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chronolith_chain::hash::ChainId;
use chronolith_net::network::{
    KnownPeer, Network, NetworkEvent, NetworkKey, NetworkSettings, PeerId, Service, Topic,
    Unanswerable, Verdict,
};

/// So long something is waited for before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long one event is listened for before something is said again.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// A runtime to wait for answers on.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await }).expect("no answer")
}

/// Answers a request with what it is and who asked; refuses an empty one.
pub(crate) struct Echo;

impl Service for Echo {
    fn answer(&self, from: PeerId, request: &[u8]) -> Result<Vec<u8>, Unanswerable> {
        match request {
            [] => Err(Unanswerable),
            request => Ok([&from.to_bytes(), request].concat()),
        }
    }
}

pub(crate) struct Node {
    pub(crate) network: Network,
    /// What happened before it was known where the node listens.
    early: RefCell<VecDeque<NetworkEvent>>,
    pub(crate) events: Receiver<NetworkEvent>,
    pub(crate) known: KnownPeer,
}

pub(crate) fn settings(number: u16) -> NetworkSettings {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    let mut settings = NetworkSettings::new(NetworkKey::from_seed(seed), ChainId([9; 32]));
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    settings.allows_private_addresses = true;
    settings
}

impl Node {
    pub(crate) fn start(settings: NetworkSettings) -> Self {
        Self::serve(settings, Arc::new(Echo))
    }

    pub(crate) fn serve(settings: NetworkSettings, service: Arc<dyn Service>) -> Self {
        let peer = settings.key.peer();
        let (told, events) = channel();
        let listener = move |event| drop(told.send(event));
        let network = Network::start(settings, service, listener).unwrap();
        let mut early = VecDeque::new();
        let address = loop {
            match events.recv_timeout(PATIENCE).unwrap() {
                NetworkEvent::Listening(address) => break address,
                event => early.push_back(event),
            }
        };
        let early = RefCell::new(early);
        Self { network, early, events, known: KnownPeer { peer, address } }
    }

    /// Waits for an event that `wanted` gives something for.
    pub(crate) fn expect<T>(&self, mut wanted: impl FnMut(NetworkEvent) -> Option<T>) -> T {
        loop {
            let early = self.early.borrow_mut().pop_front();
            let event = early.map_or_else(|| self.events.recv_timeout(PATIENCE), Ok);
            let event = event.unwrap_or_else(|_| {
                let neighbours = wait(self.network.handle().neighbours());
                panic!("it never happened; neighbours: {neighbours:#?}");
            });
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    }

    pub(crate) fn expect_connected(&self, wanted: PeerId) {
        self.expect(|event| match event {
            NetworkEvent::Connected(peer) if peer == wanted => Some(()),
            _ => None,
        });
    }
}

/// Judges what a node hears, until it is done: a lie is what says so. Whether one was heard.
pub(crate) fn judge_all(node: &Node, done: &AtomicBool) -> bool {
    let mut heard_lie = false;
    while !done.load(Ordering::Acquire) {
        if let Ok(NetworkEvent::Gossip { from, id, bytes, .. }) = node.events.recv_timeout(MOMENT) {
            let is_lie = bytes == b"lie";
            heard_lie |= is_lie;
            let verdict = if is_lie { Verdict::Lie } else { Verdict::Good };
            node.network.handle().judge(id, from, verdict);
        }
    }
    heard_lie
}

/// Has a node say something until another hears it: before subscriptions are known, it is lost.
pub(crate) fn say_until_heard(from: &Node, to: &Node, text: &[u8]) {
    let begin = std::time::Instant::now();
    loop {
        from.network.handle().publish(Topic::Consensus, text.to_vec());
        if let Ok(NetworkEvent::Gossip { bytes, .. }) = to.events.recv_timeout(MOMENT)
            && bytes == text
        {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "it was never heard");
    }
}

/// Asks who has something until the answer is the one that is wanted: an announcement takes its time.
pub(crate) fn find_until(node: &Node, key: &[u8], wanted: impl Fn(&[PeerId]) -> bool) {
    let begin = std::time::Instant::now();
    loop {
        let found = wait(node.network.handle().find(key.to_vec())).peers;
        if wanted(&found) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "found {found:?}");
    }
}
