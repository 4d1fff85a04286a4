//! Ten thousand connections of strangers, each silent or talking nonsense: the node's memory stays
//! within bounds, blocks go on, and who has something to ask is answered afterwards.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::node::{Node, ports};
use crate::run::{chronolith, expect};

const CONNECTIONS: usize = 10_000;
/// So much more than before, at most: MiB.
const GROWTH_MOST: u64 = 128;
const PATIENCE: Duration = Duration::from_secs(60);

/// The most memory that a process ever had: MiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
fn ten_thousand_connections_leave_memory_within_bounds_and_honest_traffic_alive() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let port = ports(4);
    let first = port.to_string();
    let init = ["testnet", "init", "net", "--first-port", &first, "--interval", "100"];
    expect(directory, 0, &[&init[..], &["--heartbeat", "100"]].concat());
    let nodes: Vec<Node> = (0..4).map(|number| Node::start(directory, number)).collect();
    nodes.iter().for_each(|node| drop(node.reach(3)));
    let before = peak(nodes[0].process());

    let (mut open, mut opened) = (VecDeque::new(), 0);
    let begin = Instant::now();
    while opened < CONNECTIONS {
        match TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), PATIENCE) {
            Ok(mut stream) => {
                opened += 1;
                if opened % 2 == 0 {
                    // The node may have closed it already.
                    let _ = stream.write_all(&[0x5a; 4_096]);
                }
                open.push_back(stream);
            }
            // This process has no more room for files, or the node's queue is full.
            Err(_) => drop(open.pop_front()),
        }
        assert!(begin.elapsed() < PATIENCE * 4, "{opened} connections in {:?}", begin.elapsed());
    }
    // They are all held while blocks go on, at the node that they are with as well.
    let height = nodes[1].reach(0)["height"].as_u64().unwrap();
    nodes.iter().for_each(|node| drop(node.reach(height + 10)));
    let grown = peak(nodes[0].process()) - before;
    eprintln!("{opened} connections, {} held at the end: {grown} MiB more", open.len());
    assert!(grown <= GROWTH_MOST, "{grown} MiB");
    // Who is silent is put out, and there is room for others.
    let ping = ["net", "ping", "--config", "net/nodes/0/node.toml", "--count", "1"];
    let begin = Instant::now();
    while !chronolith(directory, &ping).status.success() {
        assert!(begin.elapsed() < PATIENCE, "nobody is answered any more");
    }
}
