//! Lookups: who has what.

use crate::peers::{Node, find_until, settings, wait};

fn key(number: u8) -> Vec<u8> {
    [&[0x12, 32][..], &[number; 32]].concat()
}

fn known_to_all(count: u16) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for number in 0..count {
        let mut settings = settings(number);
        // Each knows the first alone; the others are found.
        settings.known = nodes.first().map(|first| first.known.clone()).into_iter().collect();
        let node = Node::start(settings);
        if let Some(first) = nodes.first() {
            node.expect_connected(first.known.peer);
            first.expect_connected(node.known.peer);
        }
        nodes.push(node);
    }
    nodes
}

#[test]
fn what_one_announces_all_find_and_a_restarted_node_remembers() {
    let nodes = known_to_all(8);
    nodes[3].network.handle().announce(key(1));
    nodes[5].network.handle().announce(key(1));
    let wanted = [nodes[3].known.peer, nodes[5].known.peer];
    for node in &nodes {
        find_until(node, &key(1), |found| wanted.iter().all(|peer| found.contains(peer)));
        assert_eq!(wait(node.network.handle().find(key(2))).peers, []);
    }
    let closest = wait(nodes[7].network.handle().closest(key(1)));
    assert!(closest.len() >= 6, "{closest:?}");
}

#[test]
fn announcements_of_others_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (mut keeper, announcer) = (settings(1), settings(2));
    keeper.directory = Some(directory.path().to_owned());
    let (peer, mut back) = (announcer.key.peer(), keeper.clone());
    {
        let keeper = Node::start(keeper);
        let mut announcer = announcer;
        announcer.known = vec![keeper.known.clone()];
        let announcer = Node::start(announcer);
        announcer.expect_connected(keeper.known.peer);
        announcer.network.handle().announce(key(1));
        // It is found once the announcer is asked; wait until the keeper has written it down.
        find_until(&keeper, &key(1), |found| {
            let log = std::fs::read(directory.path().join("providers.log")).unwrap();
            found.contains(&peer) && log.windows(34).any(|part| part == key(1))
        });
    }
    back.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    let back = Node::start(back);
    // Alone in the world, it still knows.
    assert_eq!(wait(back.network.handle().find(key(1))).peers, [peer]);
}
