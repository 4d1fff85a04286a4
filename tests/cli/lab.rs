//! A network of one's own: each node in a network namespace, with a cable to one of two bridges.

use std::process::Command;

use crate::run::program;

fn ip(arguments: &[&str]) -> bool {
    let output = Command::new("ip").args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// Namespaces and bridges; they go when it is dropped.
pub(crate) struct Lab {
    name: String,
    network: u8,
    nodes: usize,
}

impl Lab {
    /// A lab of so many nodes, where it can be had; else a message says why not. Labs of one process
    /// have different letters and networks.
    pub(crate) fn build(letter: char, network: u8, nodes: usize) -> Option<Self> {
        let name = format!("c{letter}{}", std::process::id() % 100_000);
        let lab = Self { name, network, nodes };
        let made = (0..2).all(|side| {
            let bridge = lab.bridge(side);
            ip(&["link", "add", &bridge, "type", "bridge"]) && ip(&["link", "set", &bridge, "up"])
        }) && (0..nodes).all(|node| lab.cable(node));
        if !made {
            eprintln!("skipped: no right to make network namespaces, or no `ip`");
            return None;
        }
        Some(lab)
    }

    fn bridge(&self, side: usize) -> String {
        format!("{}b{side}", self.name)
    }

    fn namespace(&self, node: usize) -> String {
        format!("{}n{node}", self.name)
    }

    fn host_end(&self, node: usize) -> String {
        format!("{}v{node}", self.name)
    }

    /// How many nodes it has.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }

    /// Where a node is.
    pub(crate) fn address(&self, node: usize) -> String {
        format!("10.213.{}.{}", self.network, node + 1)
    }

    /// A namespace with a cable to the first bridge.
    fn cable(&self, node: usize) -> bool {
        let (namespace, end) = (self.namespace(node), self.host_end(node));
        let address = format!("{}/24", self.address(node));
        ip(&["netns", "add", &namespace])
            && ip(&[
                "link", "add", &end, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
            ])
            && ip(&["-n", &namespace, "addr", "add", &address, "dev", "eth0"])
            && ip(&["-n", &namespace, "link", "set", "eth0", "up"])
            && ip(&["-n", &namespace, "link", "set", "lo", "up"])
            && ip(&["link", "set", &end, "master", &self.bridge(0)])
            && ip(&["link", "set", &end, "up"])
    }

    /// Moves the cable of a node to a bridge.
    pub(crate) fn plug(&self, node: usize, side: usize) {
        assert!(ip(&["link", "set", &self.host_end(node), "master", &self.bridge(side)]));
    }
}

impl Lab {
    /// Loses so many percent of what arrives at each node; whether the machine can.
    pub(crate) fn lose(&self, percent: u32) -> bool {
        let rule = format!("numgen random mod 100 < {percent} drop");
        let table = "{ type filter hook input priority 0; }";
        let can = (0..self.nodes).all(|node| {
            let nft = |arguments: &str| {
                let inside = ["netns", "exec", &self.namespace(node), "nft", arguments];
                ip(&inside)
            };
            nft("add table inet lab")
                && nft(&format!("add chain inet lab input {table}"))
                && nft(&format!("add rule inet lab input {rule}"))
        });
        if !can {
            eprintln!("nothing is lost on the way here: `nft` is missing or cannot");
        }
        can
    }

    /// The program, in the namespace of a node.
    pub(crate) fn program(&self, node: usize) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(node), program()]);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for node in 0..self.nodes {
            ip(&["netns", "del", &self.namespace(node)]);
            ip(&["link", "del", &self.host_end(node)]);
        }
        (0..2).for_each(|side| {
            ip(&["link", "del", &self.bridge(side)]);
        });
    }
}
