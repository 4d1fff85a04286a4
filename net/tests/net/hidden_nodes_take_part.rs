//! Nodes that cannot be dialled, and the relays that they are reached through.

use std::sync::Arc;

use chronolith_chain::simulate::Random;
use chronolith_fragment::Profile;
use chronolith_net::fetch::fetch_pack;
use chronolith_net::network::{
    KnownPeer, NetworkEvent, NetworkSettings, RELAYED_BYTES, Reachable, RelayLimits, RequestError,
};
use futures::StreamExt as _;
use futures::future::join_all;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts};
use libp2p::{Multiaddr, Swarm, SwarmBuilder, identify, noise, relay, tcp, yamux};

use crate::fetch_keepers::{Deed, World, patient};
use crate::fixture::{make, small_body};
use crate::peers::{Node, PATIENCE, say_until_heard, settings, wait};

fn relay_with(limits: RelayLimits) -> Node {
    let mut settings = settings(1);
    settings.relay = Some(limits);
    Node::start(settings)
}

/// A node that does not listen; it is known by where a relay keeps a way to it open.
fn hidden(number: u16, relay: &Node) -> Node {
    let node = Node::start(behind(number, relay));
    assert!(is_circuit(&node.known.address), "{}", node.known);
    node
}

fn behind(number: u16, relay: &Node) -> NetworkSettings {
    let mut settings = settings(number);
    settings.listen = Vec::new();
    settings.reachable = Reachable::No;
    settings.known = vec![relay.known.clone()];
    settings
}

fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

fn open(number: u16, relay: &Node) -> NetworkSettings {
    let mut settings = settings(number);
    settings.known = vec![relay.known.clone()];
    settings
}

fn ask(asker: &Node, asked: &KnownPeer, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
    let to = asked.clone();
    wait(asker.network.handle().request(to.peer, vec![to.address], bytes))
}

fn key(number: u8) -> Vec<u8> {
    [&[0x12, 32][..], &[number; 32]].concat()
}

#[test]
fn two_nodes_that_do_not_listen_ask_each_other_little_and_hear_why_not_more() {
    let relay = relay_with(RelayLimits::default());
    let (first, second) = (hidden(2, &relay), hidden(3, &relay));
    let (peer, most) = (second.known.peer, RELAYED_BYTES);
    let answer = ask(&first, &second.known, vec![5; 1_000]).unwrap();
    assert_eq!(answer, [first.known.peer.to_bytes(), vec![5; 1_000]].concat());
    let refused = Err(RequestError::Relayed { peer, most });
    // A question that is too large is not sent; an answer that is too large is named by who has it.
    assert_eq!(ask(&first, &second.known, vec![5; most + 1]), refused);
    assert_eq!(ask(&first, &second.known, vec![5; most]), refused);
    assert!(ask(&first, &second.known, vec![5; 1_000]).is_ok(), "the way is still there");
}

/// A node was told "cannot be reached" whenever it asked while it was still connecting with the relay: then
/// libp2p's relay client gives up.
#[test]
fn a_node_that_listens_asks_a_hidden_one_much_from_its_first_moment_on() {
    let relay = relay_with(RelayLimits::default());
    let hidden = hidden(2, &relay);
    for number in 3..6 {
        let asker = Node::start(open(number, &relay));
        let answer = ask(&asker, &hidden.known, vec![5; 500_000]).unwrap();
        assert_eq!(answer.len(), asker.known.peer.to_bytes().len() + 500_000);
    }
    // One that does not know the relay otherwise.
    let asker = Node::start(settings(6));
    assert!(ask(&asker, &hidden.known, vec![5; 500_000]).is_ok());
}

/// A direct connection takes the place of the one through the relay while questions wait; none may be lost
/// with the latter.
#[test]
fn questions_at_once_are_all_answered_over_the_direct_connection() {
    let relay = relay_with(RelayLimits::default());
    let hidden = hidden(2, &relay);
    let asker = Node::start(open(3, &relay));
    let handle = asker.network.handle();
    let KnownPeer { peer, address } = hidden.known.clone();
    let questions = (0..40).map(|n| {
        let question = vec![n; RELAYED_BYTES + 1];
        handle.request(peer, vec![address.clone()], question)
    });
    for answer in wait(join_all(questions)) {
        assert!(answer.is_ok(), "{answer:?}");
    }
    let neighbours = wait(handle.neighbours());
    let found = neighbours.iter().find(|one| one.peer == peer).unwrap();
    assert!(!found.addresses.iter().any(is_circuit), "{found:?}");
}

#[test]
fn hidden_peers_give_fragments() {
    let relay = relay_with(RelayLimits::default());
    let mut random = Random::new(1);
    let body = small_body(&mut random, 5, 200_000);
    let made = Arc::new(make(&mut random, body, Profile::Lab));
    assert!(made.sent[0].len() > RELAYED_BYTES);
    let keepers = (0..6).map(|index| (vec![index], Deed::Honest));
    let world = World::with(&made, keepers, |number| match number {
        1_000 => open(number, &relay),
        number => behind(number + 2, &relay),
    });
    let network = world.seeker.network.handle();
    let fetched = wait(fetch_pack(&network, world.fetch(patient()), |_| {})).unwrap();
    assert_eq!(fetched.collector.fragments().count(), 4);
}

#[test]
fn a_hidden_node_hears_and_says_what_all_are_told() {
    let relay = relay_with(RelayLimits::default());
    let (hidden, other) = (hidden(2, &relay), Node::start(open(3, &relay)));
    // What the relay's owner does not judge goes no further: these two speak with each other.
    ask(&other, &hidden.known, vec![1]).unwrap();
    say_until_heard(&other, &hidden, b"to the hidden one");
    say_until_heard(&hidden, &other, b"from the hidden one");
}

#[test]
fn a_hidden_node_that_is_known_is_called_as_soon_as_its_relay_is_there() {
    let relay = relay_with(RelayLimits::default());
    let hidden = hidden(2, &relay);
    let mut settings = settings(3);
    settings.known = vec![hidden.known.clone(), relay.known.clone()];
    Node::start(settings).expect_connected(hidden.known.peer);
}

#[test]
fn a_peer_behind_a_relay_that_is_gone_is_said_to_be_out_of_reach() {
    let relay = relay_with(RelayLimits::default());
    let (hidden, asker) = (hidden(2, &relay), Node::start(settings(3)));
    drop(relay);
    let peer = hidden.known.peer;
    assert_eq!(ask(&asker, &hidden.known, vec![1]), Err(RequestError::Unreachable(peer)));
}

#[test]
fn a_node_that_others_could_dial_serves_lookups_and_asks_no_relay() {
    let relay = relay_with(RelayLimits::default());
    let mut settings = open(2, &relay);
    settings.reachable = Reachable::Unknown;
    let node = Node::start(settings);
    let asker = Node::start(open(3, &relay));
    asker.expect_connected(relay.known.peer);
    let begin = std::time::Instant::now();
    loop {
        let closest = wait(asker.network.handle().closest(key(1)));
        if closest.iter().any(|known| known.peer == node.known.peer) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{closest:?}");
    }
    assert!(!is_circuit(&node.known.address));
    let circuits = node.events.try_iter().filter(|event| match event {
        NetworkEvent::Listening(address) => is_circuit(address),
        _ => false,
    });
    assert_eq!(circuits.count(), 0);
}

#[test]
fn a_relay_carries_so_many_bytes_of_a_connection() {
    let limits = RelayLimits { circuit_bytes: 64 << 10, ..RelayLimits::default() };
    let relay = relay_with(limits);
    let (first, second) = (hidden(2, &relay), hidden(3, &relay));
    ask(&first, &second.known, vec![1]).unwrap();
    // Each alone is small enough for a relay; together they are not.
    for number in 0..4 {
        first.network.handle().note(second.known.peer, vec![number; 30 << 10]);
    }
    let mut heard = 0;
    second.expect(|event| match event {
        NetworkEvent::Disconnected(peer) if peer == first.known.peer => Some(()),
        NetworkEvent::Note { .. } => {
            heard += 1;
            None
        }
        _ => None,
    });
    assert!(heard < 3, "{heard} of 4 notes of 30 KiB came through");
}

/// Somebody with a program of his own: he says who he is, and uses relays as he likes.
#[derive(NetworkBehaviour)]
struct Stranger {
    relay: relay::client::Behaviour,
    identify: identify::Behaviour,
}

fn stranger() -> Swarm<Stranger> {
    SwarmBuilder::with_existing_identity(
        libp2p::identity::Keypair::ed25519_from_bytes(seed()).unwrap(),
    )
    .with_tokio()
    .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
    .unwrap()
    .with_relay_client(noise::Config::new, yamux::Config::default)
    .unwrap()
    .with_behaviour(|key, relay| Stranger {
        relay,
        identify: identify::Behaviour::new(identify::Config::new("x".into(), key.public())),
    })
    .unwrap()
    .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
    .build()
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    seed
}

fn circuit(relay: &Node) -> Multiaddr {
    let KnownPeer { peer, address } = relay.known.clone();
    address.with(Protocol::P2p(peer)).with(Protocol::P2pCircuit)
}

#[test]
fn a_relay_keeps_so_many_ways_open() {
    let relay = relay_with(RelayLimits { reservations: 1, ..RelayLimits::default() });
    let _hidden = hidden(2, &relay);
    let refusal = wait(async {
        let mut stranger = stranger();
        let listener = stranger.listen_on(circuit(&relay)).unwrap();
        loop {
            match stranger.select_next_some().await {
                SwarmEvent::ListenerClosed { listener_id, reason, .. }
                    if listener_id == listener =>
                {
                    break reason;
                }
                SwarmEvent::NewListenAddr { address, .. } => panic!("it may listen at {address}"),
                _ => {}
            }
        }
    });
    assert!(refusal.is_err(), "it was not refused");
}

#[test]
fn a_relay_carries_so_many_connections() {
    let relay = relay_with(RelayLimits { circuits: 1, ..RelayLimits::default() });
    let hidden = hidden(2, &relay);
    let through = circuit(&relay);
    wait(async {
        let dial = |stranger: &mut Swarm<Stranger>| {
            let dial = DialOpts::peer_id(hidden.known.peer).addresses(vec![through.clone()]);
            stranger.dial(dial.build()).unwrap();
        };
        let (mut first, mut second) = (stranger(), stranger());
        dial(&mut first);
        loop {
            if let SwarmEvent::ConnectionEstablished { peer_id, .. } =
                first.select_next_some().await
                && peer_id == hidden.known.peer
            {
                break;
            }
        }
        dial(&mut second);
        loop {
            tokio::select! {
                event = first.select_next_some() => {
                    if let SwarmEvent::ConnectionClosed { peer_id, .. } = event {
                        assert_ne!(peer_id, hidden.known.peer, "the first was to stay");
                    }
                }
                event = second.select_next_some() => match event {
                    SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), .. }
                        if peer == hidden.known.peer => break,
                    SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                        assert_ne!(peer_id, hidden.known.peer, "a second was carried");
                    }
                    _ => {}
                },
            }
        }
    });
}
