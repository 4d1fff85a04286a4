//! What nodes that break the rules can do, and cannot.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use chronolith_net::network::{Multiaddr, NetworkEvent, NetworkLimits, RequestError};

use crate::peers::{Node, settings, wait};

fn socket(address: &Multiaddr) -> (std::net::IpAddr, u16) {
    let mut parts = address.iter();
    match (parts.next(), parts.next()) {
        (
            Some(libp2p::multiaddr::Protocol::Ip4(ip)),
            Some(libp2p::multiaddr::Protocol::Tcp(port)),
        ) => (ip.into(), port),
        _ => panic!("{address}"),
    }
}

fn answers(asker: &Node, node: &Node) {
    let to = node.known.clone();
    let answer = wait(asker.network.handle().request(to.peer, vec![to.address], vec![1]));
    assert!(answer.is_ok(), "{answer:?}");
}

#[test]
fn silent_connections_and_junk_take_no_place_from_known_peers() {
    let friend = settings(2);
    let mut node = settings(1);
    node.limits =
        NetworkLimits { connections_per_source: 8, pending: 8, ..NetworkLimits::default() };
    let node = Node::start(node);
    let address = socket(&node.known.address);
    // Slow ones say nothing; others say what is no handshake.
    let slow: Vec<_> = (0..200).filter_map(|_| TcpStream::connect(address).ok()).collect();
    for junk in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4_096], b"\x13/multistream/1.0.0\n\xff"] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // It may be closed before all of this is written or read.
        drop(stream.write_all(junk));
        let mut answer = Vec::new();
        drop(stream.take(1 << 16).read_to_end(&mut answer));
    }
    drop(slow);
    let friend = Node::start(friend);
    answers(&friend, &node);
}

#[test]
fn who_asks_nonsense_again_and_again_is_sent_away_and_others_are_served() {
    let (node, liar, honest) =
        (Node::start(settings(1)), Node::start(settings(2)), Node::start(settings(3)));
    let ask = |bytes: Vec<u8>| {
        let to = node.known.clone();
        wait(liar.network.handle().request(to.peer, vec![to.address], bytes))
    };
    answers(&liar, &node);
    for _ in 0..3 {
        // The echo calls an empty request one that no honest node makes.
        assert!(ask(Vec::new()).is_err());
    }
    node.expect(|event| match event {
        NetworkEvent::Disconnected(peer) if peer == liar.known.peer => Some(()),
        _ => None,
    });
    assert!(matches!(
        ask(vec![1]),
        Err(RequestError::Unreachable(_) | RequestError::Broken { .. })
    ));
    answers(&honest, &node);
}

#[test]
fn who_floods_is_sent_away_and_others_are_served() {
    let mut node = settings(1);
    node.limits = NetworkLimits { peer_messages_per_second: 20, ..NetworkLimits::default() };
    let node = Node::start(node);
    let mut flooder = settings(2);
    flooder.known = vec![node.known.clone()];
    let flooder = Node::start(flooder);
    flooder.expect_connected(node.known.peer);
    for _ in 0..1_000 {
        flooder.network.handle().note(node.known.peer, vec![1; 100]);
    }
    let mut heard = 0;
    node.expect(|event| match event {
        NetworkEvent::Disconnected(peer) if peer == flooder.known.peer => Some(()),
        NetworkEvent::Note { .. } => {
            heard += 1;
            None
        }
        _ => None,
    });
    assert!(heard <= 400, "{heard} of 1,000 notes were taken");
    answers(&Node::start(settings(3)), &node);
}
