//! Validators that speak through libp2p on loopback.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::{BeaconChain, Config, Files, Identity, Output, Validator};
use chronolith_chain::encoding::{Rising, Text};
use chronolith_chain::genesis::{Genesis, GenesisAccount, GenesisValidator};
use chronolith_chain::hash::BlockId;
use chronolith_chain::keys::SecretKey;
use chronolith_disk::RealDisk;
use chronolith_net::network::{KnownPeer, NetworkSettings};
use chronolith_net::validator::{ChainInbox, ChainNode, Told};

use crate::peers::{Echo, PATIENCE, settings};

fn secret(kind: u8, number: u8) -> [u8; 32] {
    let mut seed = [kind; 32];
    seed[0] = number;
    seed
}

pub(crate) fn identity(number: u8) -> Identity {
    Identity {
        key: SecretKey::from_seed(&secret(1, number)),
        beacon: BeaconChain::new(&secret(2, number), 10_000),
    }
}

pub(crate) fn genesis(validators: u8) -> Genesis {
    let validator = |number| GenesisValidator {
        validator: SecretKey::from_seed(&secret(3, number)).public().into(),
        consensus_key: identity(number).key.public(),
        bond: Amount::coins(10_000),
        beacon: identity(number).beacon.end(),
        power: 10,
    };
    let account = GenesisAccount {
        address: Address::from(SecretKey::from_seed(&secret(4, 0)).public()),
        balance: Amount::coins(1_000_000),
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Genesis {
        name: Text::new("network test").unwrap(),
        time_ms: since.as_millis() as u64,
        protocol: 1,
        parameters: Rising::default(),
        accounts: Rising::new([account]).unwrap(),
        validators: Rising::new((0..validators).map(validator).collect::<Vec<_>>()).unwrap(),
    }
}

/// What a validator told, with its number.
type Heard = (u8, Told);

struct Net<'a> {
    directory: &'a Path,
    genesis: Genesis,
    settings: Vec<NetworkSettings>,
    nodes: BTreeMap<u8, ChainNode>,
    told: Sender<Heard>,
    heard: Receiver<Heard>,
    blocks: BTreeMap<(u64, u8), BlockId>,
}

impl<'a> Net<'a> {
    /// Starts so many validators; each knows those that `knows` picks of those before it.
    fn start(
        directory: &'a Path,
        validators: u8,
        knows: impl Fn(Vec<KnownPeer>) -> Vec<KnownPeer>,
    ) -> Self {
        let genesis = genesis(validators);
        let (told, heard) = channel();
        let mut net = Self {
            directory,
            settings: Vec::new(),
            nodes: BTreeMap::new(),
            told,
            heard,
            blocks: BTreeMap::new(),
            genesis,
        };
        for number in 0..validators {
            let mut settings = settings(number.into());
            settings.chain = net.genesis.chain_id();
            settings.known = knows(net.settings.iter().map(address).collect());
            net.settings.push(settings);
            net.run(number);
        }
        net
    }

    /// Starts a validator and remembers where it listens, so that it is there again after a restart.
    fn run(&mut self, number: u8) {
        let own = self.directory.join(number.to_string());
        let files = Files {
            data: Arc::new(RealDisk::create(own.join("data")).unwrap()),
            guard: Arc::new(RealDisk::create(own.join("guard")).unwrap()),
            guard_path: "signed".to_owned(),
        };
        let config = Config { interval_ms: 50, heartbeat_ms: Some(100), ..Config::default() };
        let validator =
            Validator::create(&self.genesis, &files, Some(identity(number)), config).unwrap();
        let told = self.told.clone();
        let settings = self.settings[usize::from(number)].clone();
        let node = ChainNode::start(
            ChainInbox::default(),
            validator,
            settings,
            Arc::new(Echo),
            move |what| {
                drop(told.send((number, what)));
            },
        );
        self.nodes.insert(number, node.unwrap());
        loop {
            let (from, what) = self.heard.recv_timeout(PATIENCE).expect("it never listened");
            match what {
                Told::Listening(address) if from == number => {
                    self.settings[usize::from(number)].listen = vec![address];
                    return;
                }
                what => self.note(from, what),
            }
        }
    }

    fn note(&mut self, number: u8, what: Told) {
        match what {
            Told::Output(Output::Committed { decided, .. }) => {
                let header = &decided.block.header;
                let (height, id) = (header.height, header.id());
                let others = self.blocks.range((height, 0)..=(height, u8::MAX));
                assert!(others.into_iter().all(|(_, other)| *other == id), "a fork at {height}");
                self.blocks.insert((height, number), id);
            }
            Told::Output(Output::Evidence(evidence)) => panic!("{number}: {evidence:?}"),
            Told::Output(_) | Told::Listening(_) | Told::Answer(_) => {}
        }
    }

    /// Waits until all of these have committed a height.
    fn reach(&mut self, height: u64, numbers: &[u8]) {
        while !numbers.iter().all(|number| self.blocks.contains_key(&(height, *number))) {
            let (number, what) = self.heard.recv_timeout(PATIENCE).expect("it is never committed");
            self.note(number, what);
        }
    }

    fn height(&self) -> u64 {
        self.blocks.keys().map(|(height, _)| *height).max().unwrap_or_default()
    }
}

fn address(settings: &NetworkSettings) -> KnownPeer {
    KnownPeer { peer: settings.key.peer(), address: settings.listen[0].clone() }
}

#[test]
fn four_validators_agree_and_one_that_was_away_catches_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut net = Net::start(directory.path(), 4, |all| all);
    net.reach(5, &[0, 1, 2, 3]);
    // The one that all others dial goes away; three go on.
    let gone = net.nodes.remove(&0).unwrap();
    gone.stop().unwrap();
    let height = net.height() + 5;
    net.reach(height, &[1, 2, 3]);
    net.run(0);
    let height = net.height() + 5;
    net.reach(height, &[0, 1, 2, 3]);
    let roots: Vec<_> = net
        .nodes
        .values()
        .map(|node| {
            node.handle().look(move |validator| {
                validator.blocks().block(height).unwrap().unwrap().block.header.state_root
            })
        })
        .collect();
    assert!(roots.iter().all(|root| root.is_some() && *root == roots[0]), "{roots:?}");
}

#[test]
fn validators_in_a_row_hear_each_other_through_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut net = Net::start(directory.path(), 4, |all| all.last().cloned().into_iter().collect());
    net.reach(5, &[0, 1, 2, 3]);
}
