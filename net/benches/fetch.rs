//! Fetching whole packs of a megabyte from one peer for each fragment, over TCP on loopback.
//!
//! `cargo bench -p chronolith-net --bench fetch`: bytes of bodies, by the clock and in a second of processor
//! time of the process that fetches, checks and joins. Those that answer, from memory, are in another one.
//! `CHRONOLITH_PACKS` (400) packs are fetched for each profile, four at once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on has failed"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use chronolith_chain::simulate::Random;
use chronolith_fragment::Profile;
use chronolith_net::fetch::{PackFetch, Source, fetch_pack};
use chronolith_net::network::KnownPeer;
use cpu_time::ProcessTime;
use futures::StreamExt;

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../tests/net/fetch_keepers.rs"]
mod fetch_keepers;
#[expect(dead_code, reason = "tests use more of it")]
#[path = "../tests/storage/fixture.rs"]
mod fixture;
#[expect(dead_code, reason = "tests use more of it")]
#[path = "../tests/net/peers.rs"]
mod peers;

use fetch_keepers::{Deed, World, given};
use fixture::Made;
use peers::Node;

/// How many packs are fetched at once.
const AT_ONCE: usize = 4;
/// The argument by which this program is those that answer; then the profile's name.
const KEEPERS: &str = "--keepers";

/// The pack of a profile, the same in both processes.
fn made(profile: Profile) -> Made {
    let mut random = Random::new(1);
    let body = fixture::body(&mut random, 100_000);
    fixture::make(&mut random, body, profile)
}

/// Says where the keepers are, and keeps until nobody listens any more.
fn keep(profile: Profile) {
    let world = World::of(&Arc::new(made(profile)), |_| Deed::Honest);
    for (node, _) in &world.keepers {
        println!("{}", node.known);
    }
    drop(std::io::stdin().read(&mut [0]));
}

fn fetches(profile: Profile, packs: u64) {
    let mut keepers = Command::new(std::env::current_exe().unwrap())
        .args([KEEPERS, profile.name()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let made = made(profile);
    let lines = BufReader::new(keepers.stdout.take().unwrap()).lines();
    let sources: Vec<Source> = lines
        .take(made.sent.len())
        .map(|line| line.unwrap().parse::<KnownPeer>().unwrap().into())
        .collect();
    let seeker = Node::start(peers::settings(1_000));
    let network = seeker.network.handle();
    let pack = made.pack.content_id();
    let fetch = PackFetch { pack, sources, settings: given(), folder: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fetch_all = |packs| {
        runtime.block_on(futures::stream::iter(0..packs).for_each_concurrent(AT_ONCE, |_| async {
            let fetched = fetch_pack(&network, fetch.clone(), |_| {}).await.unwrap();
            let joined = fetched.collector.join(|index| Some(made.secret.key(index))).unwrap();
            assert_eq!(joined.content_id(), pack);
        }));
    };
    // Connections are made.
    fetch_all(AT_ONCE as u64);
    let (clock, processor) = (Instant::now(), ProcessTime::now());
    fetch_all(packs);
    let (clock, processor) = (clock.elapsed(), processor.elapsed());
    let body_bytes = made.pack.body().bytes().len() as u64;
    let megabytes = (packs * body_bytes) as f64 / 1e6;
    println!(
        "{}: {packs} packs of {body_bytes} bytes; {:.0} MB/s by the clock, {:.0} MB for a second of the processor",
        profile.name(),
        megabytes / clock.as_secs_f64(),
        megabytes / processor.as_secs_f64(),
    );
    drop(keepers.stdin.take());
    keepers.wait().unwrap();
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == KEEPERS) {
        return keep(arguments[place + 1].parse().unwrap());
    }
    let packs = std::env::var("CHRONOLITH_PACKS").map_or(400, |text| text.parse().unwrap());
    for profile in Profile::ALL {
        fetches(profile, packs);
    }
}
