//! Connections by QUIC, beside those by TCP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chronolith_net::network::{NetworkEvent, NetworkLimits, NetworkSettings, RequestError};

use crate::peers::{Node, judge_all, say_until_heard, settings, wait};

const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

fn quic(number: u16) -> NetworkSettings {
    let mut settings = settings(number);
    settings.listen = vec![QUIC.parse().unwrap()];
    settings
}

fn ask(asker: &Node, asked: &Node, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
    let to = asked.known.clone();
    wait(asker.network.handle().request(to.peer, vec![to.address], bytes))
}

#[test]
fn two_nodes_ask_tell_and_gossip() {
    let first = Node::start(quic(1));
    assert!(first.known.address.to_string().ends_with("/quic-v1"));
    let mut second = quic(2);
    second.known = vec![first.known.clone()];
    let second = Node::start(second);
    first.expect_connected(second.known.peer);
    second.expect_connected(first.known.peer);
    for size in [1, 70_000, 1 << 20] {
        let answer = ask(&second, &first, vec![5; size]).unwrap();
        assert_eq!(answer, [second.known.peer.to_bytes(), vec![5; size]].concat());
    }
    first.network.handle().note(second.known.peer, b"for you".to_vec());
    let bytes = second.expect(|event| match event {
        NetworkEvent::Note { from, bytes, .. } if from == first.known.peer => Some(bytes),
        _ => None,
    });
    assert_eq!(bytes, b"for you");
    say_until_heard(&first, &second, b"to all");
}

#[test]
fn nodes_of_quic_and_nodes_of_tcp_are_in_one_network() {
    let mut both = settings(1);
    both.listen.push(QUIC.parse().unwrap());
    let both = Node::start(both);
    let mut known = vec![both.known.clone()];
    let other = both.expect(|event| match event {
        NetworkEvent::Listening(address) => Some(address),
        _ => None,
    });
    known.push(chronolith_net::network::KnownPeer { peer: both.known.peer, address: other });
    let is_quic = |known: &&chronolith_net::network::KnownPeer| {
        known.address.to_string().ends_with("/quic-v1")
    };
    let (mut by_quic, mut by_tcp) = (quic(2), settings(3));
    by_quic.known = known.iter().filter(is_quic).cloned().collect();
    by_tcp.known = known.iter().filter(|known| !is_quic(known)).cloned().collect();
    assert_eq!((by_quic.known.len(), by_tcp.known.len()), (1, 1));
    let (by_quic, by_tcp) = (Node::start(by_quic), Node::start(by_tcp));
    by_quic.expect_connected(both.known.peer);
    by_tcp.expect_connected(both.known.peer);
    // What one says goes through the node between to the other.
    let done = Arc::new(AtomicBool::new(false));
    let between = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || judge_all(&both, &done))
    };
    say_until_heard(&by_quic, &by_tcp, b"by quic");
    say_until_heard(&by_tcp, &by_quic, b"by tcp");
    // And each dials the other by what that listens on.
    assert!(ask(&by_quic, &by_tcp, vec![1]).is_ok());
    assert!(ask(&by_tcp, &by_quic, vec![1]).is_ok());
    done.store(true, Ordering::Release);
    between.join().unwrap();
}

#[test]
fn one_place_gets_so_many_connections_by_quic() {
    let mut node = quic(1);
    node.limits = NetworkLimits { connections_per_source: 2, ..NetworkLimits::default() };
    let node = Node::start(node);
    let others: Vec<Node> = (2..5).map(|number| Node::start(quic(number))).collect();
    let answers: Vec<_> = others.iter().map(|other| ask(other, &node, vec![1])).collect();
    assert!(answers[0].is_ok() && answers[1].is_ok(), "{answers:?}");
    // A server is first heard of as connected by its dialler, and refuses then.
    assert!(
        matches!(answers[2], Err(RequestError::Unreachable(_) | RequestError::Broken { .. })),
        "{answers:?}"
    );
}
