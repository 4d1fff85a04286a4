//! `chronolith fetch`: a pack from peers over libp2p on loopback.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use chronolith_chain::encoding::{Bytes, List};
use chronolith_chain::hash::ChainId;
use chronolith_fragment::Shown;
use chronolith_net::exchange::{Question, Reply};
use chronolith_net::network::{
    KnownPeer, Network, NetworkEvent, NetworkKey, NetworkSettings, PeerId, Service, Unanswerable,
};
use chronolith_net::pack::PackHeader;
use chronolith_net::stored::StoredFragment;

use crate::run::{chronolith, expect, json, program, source};

const CHAIN: ChainId = ChainId([9; 32]);
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens once the liar has lied.
struct Gate(Mutex<bool>, Condvar);

/// Keeps one fragment, and spoils what it sends if it is a liar.
struct Keeper {
    header: Vec<u8>,
    fragment: Vec<u8>,
    is_liar: bool,
    gate: Arc<Gate>,
}

impl Keeper {
    fn reply(&self, question: &Question) -> Reply {
        let stored = StoredFragment::from_bytes(&self.fragment).unwrap();
        let own = stored.fragment.index;
        let sent = |mut bytes: Vec<u8>| {
            if self.is_liar {
                bytes[100] ^= 1;
                *self.gate.0.lock().unwrap() = true;
                self.gate.1.notify_all();
            } else if own >= 4 {
                // These are not needed before the lie is seen.
                let has_lied = self.gate.0.lock().unwrap();
                drop(self.gate.1.wait_while(has_lied, |has_lied| !*has_lied).unwrap());
            }
            Bytes::new(bytes).unwrap()
        };
        match question {
            Question::Header(_) => Reply::Header(Bytes::new(self.header.clone()).unwrap()),
            Question::Held(_) => Reply::Held(List::new([own]).unwrap()),
            Question::Fragment { index, .. } if *index == own => {
                Reply::Fragment(sent(self.fragment.clone()))
            }
            Question::Blocks { index, first, count, .. } if *index == own => {
                let (fragment, rows) = (&stored.fragment, *first..first + count);
                let shown = Shown::of(stored.shape, fragment, &fragment.tree(), rows).unwrap();
                Reply::Blocks(sent(shown.to_bytes()))
            }
            _ => Reply::Absent,
        }
    }
}

impl Service for Keeper {
    fn answer(&self, _: PeerId, request: &[u8]) -> Result<Vec<u8>, Unanswerable> {
        let question = Question::from_bytes(request).map_err(|_| Unanswerable)?;
        Ok(self.reply(&question).to_bytes())
    }
}

/// A node that others are found by.
struct Hub {
    chain: ChainId,
    node: KnownPeer,
}

/// A peer that keeps what is in a file, and where it is.
fn keep(
    header: &[u8],
    file: &Path,
    number: u8,
    is_liar: bool,
    gate: &Arc<Gate>,
    hub: Option<&Hub>,
) -> (Network, String) {
    let key = NetworkKey::from_seed([number; 32]);
    let peer = key.peer();
    let mut settings = NetworkSettings::new(key, hub.map_or(CHAIN, |hub| hub.chain));
    settings.known = hub.map(|hub| hub.node.clone()).into_iter().collect();
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    settings.allows_private_addresses = true;
    let (header, fragment) = (header.to_vec(), fs::read(file).unwrap());
    let (told, events) = channel();
    let keeper = Arc::new(Keeper { header, fragment, is_liar, gate: Arc::clone(gate) });
    let network = Network::start(settings, keeper, move |event| drop(told.send(event))).unwrap();
    loop {
        if let NetworkEvent::Listening(address) = events.recv_timeout(PATIENCE).unwrap() {
            return (network, KnownPeer { peer, address }.to_string());
        }
    }
}

/// A folder with a pack whose six fragments are kept by six peers, those in `liars` by liars.
fn kept(directory: &Path, liars: &[usize], hub: Option<&Hub>) -> (String, Vec<(Network, String)>) {
    let input = source("testdata/ingest/fleet.lp");
    expect(directory, 0, &["ingest", "--db", "db", input.to_str().unwrap()]);
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
    let make = ["pack", "make", "--db", "db", "--profile", "lab", "--into", "packs", "--json"];
    let id = json(directory, 0, &make)["packs"][0].as_str().unwrap().to_owned();
    let pack = format!("packs/{id}.car");
    expect(directory, 0, &["pack", "fragments", &pack, "--into", "peers"]);
    let header = fs::read(directory.join(format!("peers/{id}.header"))).unwrap();
    assert!(PackHeader::from_bytes(&header).is_ok());
    let gate = Arc::new(Gate(Mutex::new(liars.is_empty()), Condvar::new()));
    let peers = (0..6_usize).map(|index| {
        let file = directory.join(format!("peers/{id}.{index}.fragment"));
        keep(&header, &file, 50 + index as u8, liars.contains(&index), &gate, hub)
    });
    let peers = peers.collect();
    (id, peers)
}

fn arguments(id: &str, peers: &[(Network, String)]) -> Vec<String> {
    let mut arguments = vec!["fetch".to_owned(), id.to_owned()];
    arguments.extend(["--chain".to_owned(), CHAIN.to_string()]);
    for (_, address) in peers {
        arguments.extend(["--peer".to_owned(), address.clone()]);
    }
    arguments
}

#[test]
fn a_pack_comes_back_is_resumed_and_liars_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (id, mut peers) = kept(directory, &[1], None);
    let fetch = |peers: &[(Network, String)], code: i32, more: &[&str]| {
        let arguments = arguments(&id, peers);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        json(directory, code, &[&arguments[..], &["--into", "back", "--json"], more].concat())
    };
    let first = fetch(&peers, 3, &[]);
    let liar = peers[1].1.rsplit('/').next().unwrap().to_owned();
    assert_eq!(first["liars"], serde_json::json!([liar]));
    assert_eq!(first["fragments"].as_array().unwrap().len(), 4);
    // Without the secret there are fragments alone; they are what `pack join` takes.
    let mask = format!("packs/{id}.mask");
    assert!(first["file"].is_null());
    expect(directory, 0, &["pack", "join", "back", "--mask", &mask]);
    // All peers but one are gone: what is there is not fetched again.
    peers.truncate(1);
    let second = fetch(&peers, 0, &["--mask", &mask]);
    assert_eq!(second["resumed"].as_array().unwrap().len(), 4);
    let pack = |folder: &str| fs::read(directory.join(format!("{folder}/{id}.car"))).unwrap();
    assert!(pack("back") == pack("packs"));
    let wrong = chronolith(directory, &["fetch", &id, "--into", "x"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn one_item_comes_back_as_its_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (id, peers) = kept(directory, &[], None);
    let (pack, mask) = (format!("packs/{id}.car"), format!("packs/{id}.mask"));
    let shown = json(directory, 0, &["pack", "inspect", &pack, "--items", "--json"]);
    let item = shown["list"][2]["cid"].as_str().unwrap().to_owned();
    let arguments = arguments(&id, &peers);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let more = ["--item", &item, "--mask", &mask, "--into", "back", "--json"];
    let fetched = json(directory, 0, &[&arguments[..], &more].concat());
    assert_eq!(fetched["is_there"], true);
    let file = fetched["file"].as_str().unwrap().to_owned();
    let again = json(directory, 0, &["pack", "make", "--car", &file, "--into", "again", "--json"]);
    assert_eq!(again["items"], 1);
}

#[test]
fn what_cannot_be_had_is_told_with_who_gave_what() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (id, mut peers) = kept(directory, &[2], None);
    drop(peers.split_off(5));
    drop(peers.remove(0));
    let arguments = arguments(&id, &peers);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = chronolith(directory, &[&arguments[..], &["--into", "back"]].concat());
    assert_eq!(done.status.code(), Some(1));
    let message = String::from_utf8_lossy(&done.stderr).into_owned();
    let liar = peers[1].1.rsplit('/').next().unwrap();
    assert!(message.contains("3 of the 4 fragments"), "{message}");
    assert!(message.contains(&format!("{liar} lied")), "{message}");
}

/// A process that ends with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_node_is_asked_who_announced_the_pack() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let first = port.to_string();
    let init = ["testnet", "init", "net", "--validators", "1", "--first-port", &first, "--json"];
    let made = json(directory, 0, &init);
    let config = "net/nodes/0/node.toml";
    let serve = Command::new(program())
        .args(["serve", "--config", config, "--json"])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn();
    let mut serve = serve.unwrap();
    let mut output = BufReader::new(serve.stdout.take().unwrap()).lines();
    let _serving = Serving(serve);
    assert!(output.any(|line| line.unwrap().contains("listening")), "it never listens");
    let status = json(directory, 0, &["net", "status", "--config", config, "--json"]);
    let peer = status["peer"].as_str().unwrap();
    let digits = made["chain"].as_str().unwrap();
    let digit = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
    let node = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}").parse().unwrap();
    let hub = Hub { chain: ChainId(std::array::from_fn(digit)), node };
    let (id, peers) = kept(directory, &[], Some(&hub));
    let key = id.parse::<cid::Cid>().unwrap().hash().to_bytes();
    peers.iter().for_each(|(network, _)| network.handle().announce(key.clone()));
    let begin = Instant::now();
    loop {
        // An announcement takes its time to arrive.
        let found = json(directory, 0, &["net", "find", "--config", config, "--json", &id]);
        if found["peers"].as_array().unwrap().len() == 6 {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "found {found}");
    }
    let mask = format!("packs/{id}.mask");
    let fetch = ["fetch", &id, "--config", config, "--into", "back", "--mask", &mask, "--json"];
    let fetched = json(directory, 0, &fetch);
    assert_eq!(fetched["fragments"].as_array().unwrap().len(), 4, "{fetched}");
    let pack = |folder: &str| fs::read(directory.join(format!("{folder}/{id}.car"))).unwrap();
    assert!(pack("back") == pack("packs"));
}
