//! Nodes that cannot be dialled, and the relays that they are reached through.

use chronolith_net::network::{
    KnownPeer, NetworkEvent, NetworkSettings, RELAYED_BYTES, Reachable, RelayLimits, RequestError,
};
use futures::StreamExt as _;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts};
use libp2p::{Multiaddr, Swarm, SwarmBuilder, identify, noise, relay, tcp, yamux};

use crate::peers::{Node, PATIENCE, settings, wait};

fn relay_with(limits: RelayLimits) -> Node {
    let mut settings = settings(1);
    settings.relay = Some(limits);
    Node::start(settings)
}

/// A node that does not listen; it is known by where a relay keeps a way to it open.
fn hidden(number: u16, relay: &Node) -> Node {
    let mut settings = settings(number);
    settings.listen = Vec::new();
    settings.reachable = Reachable::No;
    settings.known = vec![relay.known.clone()];
    let node = Node::start(settings);
    assert!(is_circuit(&node.known.address), "{}", node.known);
    node
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
