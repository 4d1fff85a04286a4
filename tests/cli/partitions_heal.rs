//! Nodes in network namespaces: the network is split, and comes together again.
//!
//! It needs Linux, the right to make namespaces, and `ip`; where one is missing the test says so. Each
//! node has a namespace and a cable to one of two bridges; a split moves cables to the other bridge.
//! `CHRONOLITH_NODES` and `CHRONOLITH_SPLITS` make a campaign of it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::Lab;
use crate::run::expect;

/// So long something is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

fn count(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

struct Nodes {
    children: Vec<Child>,
    /// Node, height, block.
    told: Receiver<(usize, u64, String)>,
    /// The highest height and its block, of each node.
    heights: Vec<(u64, String)>,
}

impl Nodes {
    fn start(lab: &Lab, directory: &Path) -> Self {
        let (sender, told) = channel();
        let start = |node: usize| {
            let config = format!("net/nodes/{node}/node.toml");
            let mut child = lab
                .program(node)
                .args(["serve", "--config", &config, "--json"])
                .current_dir(directory)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let (output, sender) = (child.stdout.take().unwrap(), sender.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let told: Value = serde_json::from_str(&line).unwrap();
                    assert_eq!(told["evidence"], Value::Null, "somebody signed twice");
                    let block = told["block"].as_str().map(str::to_owned);
                    if let (Some(height), Some(block)) = (told["height"].as_u64(), block)
                        && sender.send((node, height, block)).is_err()
                    {
                        return;
                    }
                }
            });
            child
        };
        let children: Vec<Child> = (0..lab.nodes()).map(start).collect();
        let heights = vec![(0, String::new()); lab.nodes()];
        Self { children, told, heights }
    }

    /// Listens until `enough` holds of the heights, or the time is over; whether it holds.
    fn listen(&mut self, until: Instant, enough: impl Fn(&[(u64, String)]) -> bool) -> bool {
        while !enough(&self.heights) {
            let left = until.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok((node, height, block)) => {
                    for (other_height, other) in &self.heights {
                        assert!(*other_height != height || *other == block, "a fork at {height}");
                    }
                    self.heights[node] = (height, block);
                }
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => panic!("all nodes ended"),
            }
        }
        true
    }

    fn lowest(&self) -> u64 {
        self.heights.iter().map(|(height, _)| *height).min().unwrap_or_default()
    }

    fn highest(&self) -> u64 {
        self.heights.iter().map(|(height, _)| *height).max().unwrap_or_default()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_split_network_stops_and_goes_on_when_it_is_one_again() {
    let nodes = count("CHRONOLITH_NODES", 4);
    let directory = tempfile::tempdir().unwrap();
    let Some(lab) = Lab::build('p', 77, nodes) else { return };
    let hosts: Vec<String> = (0..nodes).flat_map(|n| ["--host".into(), lab.address(n)]).collect();
    let validators = nodes.to_string();
    let mut arguments = vec!["testnet", "init", "net", "--validators", &validators];
    arguments.extend(["--interval", "100", "--heartbeat", "100"]);
    arguments.extend(hosts.iter().map(String::as_str));
    expect(directory.path(), 0, &arguments);
    let mut running = Nodes::start(&lab, directory.path());
    let reach = |running: &mut Nodes, height: u64| {
        let all = |heights: &[(u64, String)]| heights.iter().all(|(found, _)| *found >= height);
        assert!(running.listen(Instant::now() + PATIENCE, all), "{:?}", running.heights);
    };
    reach(&mut running, 3);
    let mut healing = Vec::new();
    for split in 0..count("CHRONOLITH_SPLITS", 1) {
        // Half against half: nobody has two thirds. Who is on which side changes.
        let moved: Vec<usize> = (0..nodes).filter(|node| (node + split) % 2 == 0).collect();
        moved.iter().for_each(|node| lab.plug(*node, 1));
        // What was on its way when the cables were moved may still be committed; then nothing is.
        let limit = running.highest() + 3;
        let pause = Duration::from_secs(4 + 3 * (split as u64 % 4));
        let went_on = running.listen(Instant::now() + pause, |heights| {
            heights.iter().any(|(found, _)| *found > limit)
        });
        assert!(!went_on, "half of the nodes went on alone");
        let height = running.highest();
        moved.iter().for_each(|node| lab.plug(*node, 0));
        let begin = Instant::now();
        let is_new = |heights: &[(u64, String)]| heights.iter().any(|(found, _)| *found > height);
        assert!(running.listen(begin + PATIENCE, is_new), "nothing is committed after healing");
        healing.push(begin.elapsed().as_millis());
        let height = running.highest() + 2;
        reach(&mut running, height);
    }
    healing.sort_unstable();
    eprintln!(
        "{nodes} nodes, {} splits: first block after healing in ms: median {}, most {}; height {}",
        healing.len(),
        healing[healing.len() / 2],
        healing[healing.len() - 1],
        running.lowest(),
    );
}
