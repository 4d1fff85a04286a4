//! A whole network in one process, by the memory transport: what a lookup costs as it grows.

use std::sync::Arc;
use std::time::Instant;

use chronolith_net::network::{KnownPeer, Network, NetworkEvent, NetworkSettings, PeerId};
use futures::future::join_all;
use tokio::runtime::Runtime;

use crate::peers::{Echo, settings};

struct Swarm {
    nodes: Vec<Network>,
    addresses: Vec<KnownPeer>,
}

fn settings_in_memory(number: u16) -> NetworkSettings {
    let mut settings = settings(number);
    // Ports of the memory transport are those of the process: other tests use none.
    settings.listen = vec![format!("/memory/{}", 1_000_000 + u64::from(number)).parse().unwrap()];
    settings
}

/// Starts nodes of which each knows three that are there already, spread over all of them.
fn start(runtime: &Runtime, count: u16) -> Swarm {
    let (told, connected) = std::sync::mpsc::channel();
    let mut swarm = Swarm { nodes: Vec::new(), addresses: Vec::new() };
    for number in 0..count {
        let mut settings = settings_in_memory(number);
        let before = usize::from(number);
        let picks = [before / 7, before / 3, before.saturating_sub(1)];
        let mut known: Vec<_> = picks.iter().filter_map(|at| swarm.addresses.get(*at)).collect();
        known.dedup();
        settings.known = known.into_iter().cloned().collect();
        let address = settings.listen[0].clone();
        swarm.addresses.push(KnownPeer { peer: settings.key.peer(), address });
        let told = told.clone();
        let expected = settings.known.len();
        let listener = move |event| {
            if let NetworkEvent::Connected(peer) = event {
                // The test may have ended.
                let _ = told.send((number, peer));
            }
        };
        let handle = runtime.handle();
        swarm
            .nodes
            .push(Network::start_within(handle, &settings, Arc::new(Echo), listener).unwrap());
        // A node that joins has found those it knows before the next one comes.
        let mut seen = 0;
        while seen < expected {
            let (from, peer) = connected.recv_timeout(crate::peers::PATIENCE).unwrap();
            seen += usize::from(from == number && settings.known.iter().any(|k| k.peer == peer));
        }
    }
    swarm
}

fn key(number: u32) -> Vec<u8> {
    use sha2::Digest as _;
    [&[0x12, 32][..], &sha2::Sha256::digest(number.to_le_bytes())].concat()
}

#[test]
fn what_is_announced_in_a_large_network_is_found_by_few_requests() {
    let count: u16 =
        std::env::var("CHRONOLITH_NODES").ok().and_then(|count| count.parse().ok()).unwrap_or(24);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let begin = Instant::now();
    let swarm = start(&runtime, count);
    let started = begin.elapsed();
    // Each looks for itself, and so comes to know its surroundings.
    runtime.block_on(join_all(swarm.nodes.iter().zip(&swarm.addresses).map(|(node, own)| {
        let handle = node.handle();
        async move { handle.closest(own.peer.to_bytes()).await }
    })));
    let announcers: Vec<(u32, PeerId)> = (0..20_u32)
        .map(|number| {
            let at = number as usize * 7 % swarm.nodes.len();
            swarm.nodes[at].handle().announce(key(number));
            (number, swarm.addresses[at].peer)
        })
        .collect();
    let (mut requests, mut lookups, mut begin) = (Vec::new(), 0, Instant::now());
    for (number, peer) in announcers {
        let seekers = (0..5).map(|n| (number as usize * 31 + n * 11 + 3) % swarm.nodes.len());
        for seeker in seekers {
            let handle = swarm.nodes[seeker].handle();
            // An announcement takes its time to arrive.
            loop {
                let found = runtime.block_on(handle.find(key(number)));
                if found.peers.contains(&peer) {
                    requests.push(found.requests);
                    lookups += 1;
                    break;
                }
                assert!(begin.elapsed() < crate::peers::PATIENCE, "{number} is not found");
            }
            begin = Instant::now();
        }
    }
    requests.sort_unstable();
    eprintln!(
        "{count} nodes joined in {:.1} s; {lookups} lookups, requests each: median {}, most {}",
        started.as_secs_f64(),
        requests[requests.len() / 2],
        requests[requests.len() - 1],
    );
    // Each way of a lookup asks at most so many as replicate, and a few more on the way there.
    assert!(requests[requests.len() - 1] <= 200, "{requests:?}");
}
