//! Two houses, each behind a router that translates addresses, and a relay between them.
//!
//! It needs Linux, the right to make network namespaces, `ip` and `nft`; where one is missing the test
//! says so. Each machine is a namespace, and what runs there a process: this program again.
//!
//! ```text
//!   192.168.1.2      198.18.0.11      198.18.0.1      198.18.0.12      192.168.1.2
//!      house 1 ─────── router 1 ────── the relay ────── router 2 ─────── house 2
//! ```

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use chronolith_net::network::{
    KnownPeer, Network, NetworkEvent, PeerId, RELAYED_BYTES, Reachable, RelayLimits,
};
use libp2p::Multiaddr;

use crate::peers::{Echo, PATIENCE, settings, wait};

const PORT: u16 = 4_100;
const RELAY: u16 = 1;
/// Stands before what a node says, among what its test harness says.
const MARK: &str = "house: ";

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

fn ip(line: &str) -> bool {
    run("ip", &line.split(' ').collect::<Vec<_>>())
}

/// How a router picks the port outside.
#[derive(Clone, Copy)]
enum Ports {
    /// The same as inside where that is free, as most do.
    Kept,
    /// Another for each connection, at random.
    Random,
}

/// The machines; they go when it is dropped.
struct Town {
    name: String,
}

impl Town {
    const MACHINES: [&str; 5] = ["i", "r1", "r2", "h1", "h2"];

    /// Where it cannot be had, a message says why.
    fn build(letter: char, ports: Ports) -> Option<Self> {
        let town = Self { name: format!("c{letter}{}", std::process::id() % 100_000) };
        let name = &town.name;
        let made = Self::MACHINES.iter().all(|machine| {
            ip(&format!("netns add {name}{machine}"))
                && ip(&format!("-n {name}{machine} link set lo up"))
        }) && ip(&format!("-n {name}i link add br0 type bridge"))
            && ip(&format!("-n {name}i addr add 198.18.0.1/24 dev br0"))
            && ip(&format!("-n {name}i link set br0 up"))
            && [1, 2].iter().all(|house| town.connect(*house, ports));
        if !made {
            eprintln!("skipped: no right to make network namespaces, or no `ip` or `nft`");
            return None;
        }
        Some(town)
    }

    fn connect(&self, house: u8, ports: Ports) -> bool {
        let name = &self.name;
        let (router, home) = (format!("{name}r{house}"), format!("{name}h{house}"));
        let masquerade = match ports {
            Ports::Kept => "masquerade",
            Ports::Random => "masquerade fully-random",
        };
        // What comes from outside is let in where it answers what went out, and not refused otherwise.
        let rules = format!(
            "table ip router {{
                chain leaving {{
                    type nat hook postrouting priority 100; oifname wan {masquerade};
                }}
                chain arriving {{
                    type filter hook input priority 0; iifname wan ct state new drop;
                }}
                chain passing {{
                    type filter hook forward priority 0; iifname wan ct state new drop;
                }}
            }}"
        );
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        ip(&format!("link add w{house} netns {name}i type veth peer name wan netns {router}"))
            && ip(&format!("-n {name}i link set w{house} master br0 up"))
            && ip(&format!("-n {router} addr add 198.18.0.1{house}/24 dev wan"))
            && ip(&format!("-n {router} link set wan up"))
            && ip(&format!("link add lan netns {router} type veth peer name eth0 netns {home}"))
            && ip(&format!("-n {router} addr add 192.168.1.1/24 dev lan"))
            && ip(&format!("-n {router} link set lan up"))
            && ip(&format!("-n {home} addr add 192.168.1.2/24 dev eth0"))
            && ip(&format!("-n {home} link set eth0 up"))
            && ip(&format!("-n {home} route add default via 192.168.1.1"))
            && run("ip", &["netns", "exec", &router, "sh", "-c", forward])
            && run("ip", &["netns", "exec", &router, "nft", &rules])
    }

    fn start(&self, machine: &str, number: u16) -> Machine {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &format!("{}{machine}", self.name)])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "houses::a_node_of_the_town", "--ignored", "--nocapture"])
            .env("CHRONOLITH_TOWN_NODE", number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, lines) = channel();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The first line of the harness ends where the test says something.
                if let Some((_, line)) = line.split_once(MARK)
                    && told.send(line.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Machine { child, input, lines }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        for machine in Self::MACHINES {
            ip(&format!("netns del {}{machine}", self.name));
        }
    }
}

struct Machine {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Machine {
    /// Waits for a line that begins so, and gives the rest of it.
    fn hear(&self, begin: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut heard = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no `{begin}` among {heard:#?}"));
            match line.strip_prefix(begin).filter(|rest| wanted(rest)) {
                Some(rest) => return rest.to_owned(),
                None => heard.push(line),
            }
        }
    }

    fn ask(&mut self, whom: &str, size_bytes: usize) -> String {
        writeln!(self.input, "{whom} {size_bytes}").unwrap();
        self.hear("answer: ", |_| true)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn relay() -> KnownPeer {
    let address = format!("/ip4/198.18.0.1/tcp/{PORT}").parse().unwrap();
    KnownPeer { peer: settings(RELAY).key.peer(), address }
}

#[test]
#[ignore = "a part of the tests below, which run it where it belongs"]
fn a_node_of_the_town() {
    let Ok(number) = std::env::var("CHRONOLITH_TOWN_NODE") else { return };
    let number: u16 = number.parse().unwrap();
    let mut settings = settings(number);
    settings.allows_private_addresses = false;
    settings.listen = vec![format!("/ip4/0.0.0.0/tcp/{PORT}").parse().unwrap()];
    match number {
        RELAY => settings.relay = Some(RelayLimits::default()),
        _ => {
            settings.known = vec![relay()];
            settings.reachable = Reachable::Unknown;
        }
    }
    let say = |event| {
        if let NetworkEvent::Listening(address) = event {
            println!("{MARK}listens: {address}");
        }
    };
    let network = Network::start(settings, Arc::new(Echo), say).unwrap();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (whom, size_bytes) = line.split_once(' ').unwrap();
        let whom: KnownPeer = whom.parse().unwrap();
        let question = vec![5; size_bytes.parse().unwrap()];
        let answer = wait(network.handle().request(whom.peer, vec![whom.address], question));
        match answer {
            Ok(answer) => {
                println!("{MARK}answer: {} bytes, {}", answer.len(), way(&network, whom.peer))
            }
            Err(error) => println!("{MARK}answer: {error}"),
        }
    }
}

fn way(network: &Network, peer: PeerId) -> &'static str {
    let neighbours = wait(network.handle().neighbours());
    let found = neighbours.iter().find(|one| one.peer == peer);
    let relayed = |address: &Multiaddr| address.to_string().contains("p2p-circuit");
    match found.map(|one| one.addresses.iter().any(relayed)) {
        Some(true) => "by the relay",
        Some(false) => "directly",
        None => "no longer connected",
    }
}

/// Starts the relay and a node in each house; where the second is known to be.
fn inhabit(town: &Town) -> (Vec<Machine>, String) {
    let relay = town.start("i", RELAY);
    relay.hear("listens: ", |_| true);
    let houses = [town.start("h1", 2), town.start("h2", 3)];
    let address = houses[1].hear("listens: ", |address| address.ends_with("p2p-circuit"));
    let whom = format!("{address}/p2p/{}", settings(3).key.peer());
    let [first, second] = houses;
    (vec![first, second, relay], whom)
}

#[test]
fn a_hole_is_punched_between_two_houses_and_large_answers_go_through_it() {
    let Some(town) = Town::build('k', Ports::Kept) else { return };
    let (mut machines, whom) = inhabit(&town);
    let answer = machines[0].ask(&whom, 500_000);
    eprintln!("between routers that keep ports: {answer}");
    assert!(answer.ends_with("bytes, directly"), "{answer}");
}

#[test]
fn houses_whose_routers_pick_ports_at_random_speak_by_the_relay() {
    let Some(town) = Town::build('f', Ports::Random) else { return };
    let (mut machines, whom) = inhabit(&town);
    let answer = machines[0].ask(&whom, 1_000);
    eprintln!("between routers that pick ports at random: {answer}");
    assert!(answer.ends_with("bytes, by the relay"), "{answer}");
    let answer = machines[0].ask(&whom, RELAYED_BYTES + 1);
    assert!(answer.contains("relay"), "{answer}");
}
