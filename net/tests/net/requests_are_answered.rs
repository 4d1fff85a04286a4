//! Requests, notes and gossip between nodes of one chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chronolith_chain::hash::ChainId;
use chronolith_net::network::{NetworkEvent, NetworkLimits, RequestError, Topic};

use crate::peers::{MOMENT, Node, judge_all, settings, wait};

fn pair() -> (Node, Node) {
    let first = Node::start(settings(1));
    let mut second = settings(2);
    second.known = vec![first.known.clone()];
    let second = Node::start(second);
    first.expect_connected(second.known.peer);
    second.expect_connected(first.known.peer);
    (first, second)
}

#[test]
fn a_peer_is_asked_and_its_answer_comes_back_also_without_a_connection() {
    let (first, second) = (Node::start(settings(1)), Node::start(settings(2)));
    let ask = |bytes: Vec<u8>| {
        let to = first.known.clone();
        wait(second.network.handle().request(to.peer, vec![to.address], bytes))
    };
    for size in [1, 70_000, 1 << 20] {
        let answer = ask(vec![5; size]).unwrap();
        let asker = second.known.peer.to_bytes();
        assert_eq!(answer, [asker, vec![5; size]].concat());
    }
    assert!(matches!(ask(vec![5; 2 << 20]), Err(RequestError::TooLarge { .. })));
}

#[test]
fn who_cannot_answer_is_named_with_the_reason() {
    let node = Node::start(settings(1));
    let gone = {
        let gone = Node::start(settings(2));
        gone.known
    };
    let ask = |to: chronolith_net::network::KnownPeer| {
        wait(node.network.handle().request(to.peer, vec![to.address], vec![1]))
    };
    assert_eq!(ask(gone.clone()), Err(RequestError::Unreachable(gone.peer)));
    // A peer of another chain does not even understand the question.
    let mut other = settings(3);
    other.chain = ChainId([1; 32]);
    let other = Node::start(other);
    assert_eq!(ask(other.known.clone()), Err(RequestError::Unsupported(other.known.peer)));
}

#[test]
fn gossip_goes_on_once_it_is_called_good_and_a_lie_ends_where_it_is_seen() {
    // 1 – 2 – 3 in a row: 3 hears what 1 says only through 2.
    let (first, second) = pair();
    let mut third = settings(3);
    third.known = vec![second.known.clone()];
    let third = Node::start(third);
    second.expect_connected(third.known.peer);
    let done = Arc::new(AtomicBool::new(false));
    let relay = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || judge_all(&second, &done))
    };
    let say = |text: &[u8]| first.network.handle().publish(Topic::Consensus, text.to_vec());
    // Until subscriptions are known everywhere, what is said is lost: say it until it arrives.
    let arrives = |text: &[u8]| loop {
        say(text);
        if let Ok(NetworkEvent::Gossip { bytes, .. }) = third.events.recv_timeout(MOMENT) {
            assert_ne!(bytes, b"lie");
            if bytes == text {
                return;
            }
        }
    };
    arrives(b"truth");
    // The row carries gossip now. A lie, then a truth: 3 hears the truth alone.
    say(b"lie");
    arrives(b"again");
    done.store(true, Ordering::Release);
    assert!(relay.join().unwrap(), "the lie never came as far as 2");
}

#[test]
fn notes_reach_one_neighbour() {
    let (first, second) = pair();
    first.network.handle().note(second.known.peer, b"for you".to_vec());
    let bytes = second.expect(|event| match event {
        NetworkEvent::Note { from, bytes, .. } if from == first.known.peer => Some(bytes),
        _ => None,
    });
    assert_eq!(bytes, b"for you");
}

#[test]
fn a_lost_neighbour_is_dialled_until_it_is_back() {
    let first = Node::start(settings(1));
    let mut second = settings(2);
    second.known = vec![first.known.clone()];
    let second = Node::start(second);
    second.expect_connected(first.known.peer);
    let address = first.known.address.clone();
    drop(first);
    second.expect(|event| matches!(event, NetworkEvent::Disconnected(_)).then_some(()));
    let mut back = settings(1);
    back.listen = vec![address];
    let back = Node::start(back);
    second.expect_connected(back.known.peer);
}

#[test]
fn what_finds_no_room_is_not_taken_and_room_comes_back() {
    let first = Node::start(settings(1));
    let mut second = settings(2);
    second.limits = NetworkLimits { inbound_bytes: 10_000, ..NetworkLimits::default() };
    second.known = vec![first.known.clone()];
    let second = Node::start(second);
    second.expect_connected(first.known.peer);
    first.expect_connected(second.known.peer);
    let take = || {
        second.expect(|event| match event {
            NetworkEvent::Note { bytes, room, .. } => Some((bytes, room)),
            _ => None,
        })
    };
    let say = |text: Vec<u8>| first.network.handle().note(second.known.peer, text);
    say(vec![1; 6_000]);
    let (bytes, room) = take();
    assert_eq!(bytes.len(), 6_000);
    // The second finds no room; the third does.
    say(vec![2; 6_000]);
    say(vec![3; 3_000]);
    let (bytes, _) = take();
    assert_eq!(bytes, vec![3; 3_000]);
    drop(room);
    say(vec![4; 6_000]);
    assert_eq!(take().0, vec![4; 6_000]);
}
