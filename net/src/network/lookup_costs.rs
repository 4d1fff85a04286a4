//! What a lookup costs as a network grows: members that look up as nodes do and do nothing else, in one
//! process by the memory transport. `CHRONOLITH_MEMBERS` says how many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chronolith_chain::hash::ChainId;
use cpu_time::ProcessTime;
use futures::StreamExt as _;
use libp2p::core::transport::MemoryTransport;
use libp2p::core::upgrade::Version;
use libp2p::kad::store::RecordStore as _;
use libp2p::kad::{self, QueryId, RecordKey};
use libp2p::swarm::{self, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, Transport as _, noise, yamux};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::behaviour::{Names, lookups};
use super::identity::NetworkKey;
use super::providers::ProviderStore;
use super::settings::NetworkSettings;

/// So long one step is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections without a stream end after this: a whole network's are in one process.
const IDLE: Duration = Duration::from_millis(500);
/// How many things are announced, and each of them sought by so many.
const ANNOUNCED: usize = 40;
const SEEKERS: usize = 5;

enum Asked {
    Join,
    Announce(RecordKey),
    Find(RecordKey),
}

/// The requests of one lookup: all of them, and those that were sent until somebody was found.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    requests: u32,
    until_found: Option<u32>,
}

type Places = Arc<HashMap<PeerId, Multiaddr>>;
type Order = (Asked, oneshot::Sender<Cost>);

struct Member {
    swarm: Swarm<kad::Behaviour<ProviderStore>>,
    orders: mpsc::UnboundedReceiver<Order>,
    places: Places,
    running: HashMap<QueryId, (Cost, oneshot::Sender<Cost>)>,
}

impl Member {
    async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.event(event),
                order = self.orders.recv() => match order {
                    Some((asked, answer)) => self.begin(asked, answer),
                    None => return,
                },
            }
        }
    }

    fn begin(&mut self, asked: Asked, answer: oneshot::Sender<Cost>) {
        let own = *self.swarm.local_peer_id();
        let lookups = self.swarm.behaviour_mut();
        let id = match asked {
            Asked::Join => lookups.get_closest_peers(own),
            Asked::Announce(key) => lookups.start_providing(key).unwrap(),
            Asked::Find(key) => lookups.get_providers(key),
        };
        self.running.insert(id, (Cost::default(), answer));
    }

    fn event(&mut self, event: SwarmEvent<kad::Event>) {
        match event {
            // A node hears where the other listens by being told.
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                if let Some(place) = self.places.get(&peer_id) {
                    self.swarm.behaviour_mut().add_address(&peer_id, place.clone());
                }
            }
            SwarmEvent::Behaviour(kad::Event::InboundRequest {
                request: kad::InboundRequest::AddProvider { record: Some(record) },
            }) => {
                self.swarm.behaviour_mut().store_mut().add_provider(record).unwrap();
            }
            SwarmEvent::Behaviour(kad::Event::OutboundQueryProgressed {
                id,
                result,
                stats,
                step,
            }) => {
                let Some((cost, _)) = self.running.get_mut(&id) else { return };
                cost.requests = stats.num_requests();
                if let kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders {
                    providers,
                    ..
                })) = &result
                    && !providers.is_empty()
                {
                    cost.until_found.get_or_insert(stats.num_requests());
                }
                if step.last
                    && let Some((cost, answer)) = self.running.remove(&id)
                {
                    // The test may have given up.
                    let _ = answer.send(cost);
                }
            }
            _ => {}
        }
    }
}

struct Members {
    runtime: Runtime,
    orders: Vec<mpsc::UnboundedSender<Order>>,
}

impl Members {
    /// Members that join one after the other, each by three that are there, spread over all of them.
    fn start(count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut seed = [3; 32];
        let keys: Vec<NetworkKey> = (0..count)
            .map(|number| {
                seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
                NetworkKey::from_seed(seed)
            })
            .collect();
        let place = |number: usize| format!("/memory/{}", 2_000_000 + number).parse().unwrap();
        let places: Places =
            Arc::new(keys.iter().enumerate().map(|(n, key)| (key.peer(), place(n))).collect());
        let mut members = Self { runtime, orders: Vec::new() };
        for (number, key) in keys.iter().enumerate() {
            let known = [number / 7, number / 3, number.saturating_sub(1)];
            let known = known.iter().filter(|at| **at < number).map(|at| keys[*at].peer());
            let known: Vec<PeerId> = known.collect();
            members.add(key, place(number), &places, &known);
            if number > 0 {
                members.order(number, Asked::Join);
            }
        }
        members
    }

    fn add(&mut self, key: &NetworkKey, place: Multiaddr, places: &Places, known: &[PeerId]) {
        let _inside = self.runtime.enter();
        let settings = NetworkSettings::new(key.clone(), ChainId([9; 32]));
        let lookups = lookups(&settings, &Names::new(&settings), key.peer()).unwrap();
        let transport = MemoryTransport::default()
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(key.keypair()).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE);
        let mut swarm = Swarm::new(transport, lookups, key.peer(), config);
        swarm.listen_on(place.clone()).unwrap();
        swarm.add_external_address(place);
        for peer in known {
            swarm.behaviour_mut().add_address(peer, places[peer].clone());
        }
        let (order, orders) = mpsc::unbounded_channel();
        let (places, running) = (Arc::clone(places), HashMap::new());
        self.runtime.spawn(Member { swarm, orders, places, running }.run());
        self.orders.push(order);
    }

    /// Has a member do something, and waits until it is done.
    fn order(&self, member: usize, asked: Asked) -> Cost {
        let (answer, done) = oneshot::channel();
        assert!(self.orders[member].send((asked, answer)).is_ok());
        let done = async { tokio::time::timeout(PATIENCE, done).await };
        self.runtime.block_on(done).expect("it takes too long").unwrap()
    }
}

fn key(number: usize) -> RecordKey {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(number.to_le_bytes());
    RecordKey::from([&[0x12, 32][..], &digest].concat())
}

fn middle_and_most(mut counts: Vec<u32>) -> (u32, u32) {
    counts.sort_unstable();
    (counts[counts.len() / 2], counts[counts.len() - 1])
}

#[test]
fn every_announcement_is_found_by_few_requests() {
    let count = std::env::var("CHRONOLITH_MEMBERS").ok().and_then(|count| count.parse().ok());
    let count = count.unwrap_or(48);
    let cpu = ProcessTime::now();
    let members = Members::start(count);
    let joined = cpu.elapsed();
    let announced: Vec<u32> = (0..ANNOUNCED)
        .map(|number| members.order(number * 7 % count, Asked::Announce(key(number))).requests)
        .collect();
    let (mut all, mut first, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..ANNOUNCED {
        for seeker in (0..SEEKERS).map(|n| (number * 31 + n * 11 + 3) % count) {
            let begin = Instant::now();
            let cost = members.order(seeker, Asked::Find(key(number)));
            took.push(begin.elapsed());
            all.push(cost.requests);
            // Who keeps the announcement himself asks nobody.
            first.push(cost.until_found.expect("it is found"));
        }
    }
    took.sort_unstable();
    let (announce, announce_most) = middle_and_most(announced);
    let ((whole, whole_most), (found, found_most)) = (middle_and_most(all), middle_and_most(first));
    eprintln!(
        "{count} members joined in {:.1} s of the processor; requests, median and most: {announce} and \
         {announce_most} for an announcement, {whole} and {whole_most} for a lookup, of which {found} \
         and {found_most} until somebody is found; a lookup takes {:.1} ms at the median",
        joined.as_secs_f64(),
        took[took.len() / 2].as_secs_f64() * 1e3,
    );
    assert!(whole_most <= 200, "a lookup of {whole_most} requests");
}
