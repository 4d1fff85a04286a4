//! A node that is new fetches a snapshot of the state from several peers on loopback, of whom some lie,
//! and goes on from there.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use chronolith_chain::certificate::Certificate;
use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::snapshot::{Joining, OfferError, SnapshotShelf};
use chronolith_chain::consensus::{Config, Files, Output, Validator};
use chronolith_chain::encoding::{Bytes, List, Rising};
use chronolith_chain::genesis::{Genesis, GenesisAccount};
use chronolith_chain::hash::{BlockId, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::light::Step;
use chronolith_chain::vote::{self, Message as _, Vote};
use chronolith_chain::{light, state};
use chronolith_disk::{Disk, RealDisk};
use chronolith_net::exchange::{Question, Reply};
use chronolith_net::network::{KnownPeer, Network, PeerId, Service, Unanswerable};
use chronolith_net::snapshot::{
    Made, SnapshotEvent, SnapshotFetch, SnapshotFetchError, SnapshotLie, SnapshotMaker,
    SnapshotServer, Trust, fetch_snapshot,
};
use chronolith_net::validator::{ChainInbox, ChainNode, Told};

use crate::peers::{Echo, PATIENCE, settings, wait};
use crate::validators_agree_over_the_network::{genesis, identity};

/// A snapshot is made at every height that this divides.
const EVERY: u64 = 50;
/// How many blocks the chain has before anybody joins.
const HEIGHT: u64 = 210;
/// So small are pieces that there are many.
const PIECE_BYTES: usize = 2_000;

/// What a peer says that is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    /// A byte of each piece is another.
    Piece,
    /// The state has another root.
    Root,
    /// It has no piece from this one on.
    Missing(u32),
    /// It serves no snapshot but an old one, and has another block at every height; all validators have
    /// signed it where this is true.
    Fork(bool),
}

struct Serving {
    server: SnapshotServer,
    lie: Arc<Mutex<Lie>>,
}

impl Service for Serving {
    fn answer(&self, _: PeerId, request: &[u8]) -> Result<Vec<u8>, Unanswerable> {
        let question = Question::from_bytes(request).map_err(|_| Unanswerable)?;
        let honest = self.server.answer(&question).unwrap_or_else(|| Reply::refused("no"));
        let reply = match (*self.lie.lock().unwrap(), &question, honest) {
            (Lie::Piece, _, Reply::SnapshotChunk(bytes)) => {
                let mut bytes = bytes.to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                Reply::SnapshotChunk(Bytes::new(bytes).unwrap())
            }
            (Lie::Root, _, Reply::SnapshotHead(mut head)) => {
                head.step.header.state_root = Hash([7; 32]);
                Reply::SnapshotHead(head)
            }
            (Lie::Missing(from), Question::SnapshotChunk { index, .. }, _) if *index >= from => {
                Reply::Absent
            }
            (Lie::Fork(_), _, Reply::SnapshotHead(mut head)) => {
                // Nobody else has it, so that the others' is chosen.
                head.bits = 0;
                Reply::SnapshotHead(head)
            }
            (Lie::Fork(is_signed), Question::Steps { .. }, Reply::Steps(steps)) => {
                let mut steps = steps.to_vec();
                steps.iter_mut().for_each(|step| fork(step, is_signed));
                Reply::Steps(List::new(steps).unwrap())
            }
            (_, _, honest) => honest,
        };
        Ok(reply.to_bytes())
    }
}

/// Makes another block of a committed one.
fn fork(step: &mut Step, is_signed: bool) {
    step.header.state_root = Hash([9; 32]);
    let (height, id) = (step.header.height, step.header.id());
    let vote = Vote {
        chain: step.header.chain,
        height,
        round: 0,
        step: vote::Step::Precommit,
        block: Some(id),
    };
    let sign = |number| {
        let key = identity(number).key;
        (key.public(), key.sign(&vote.signing_hash()))
    };
    let signers = if is_signed { 0..4 } else { 0..2 };
    step.certificate =
        Certificate::new(height, 0, id, &step.validators, signers.map(sign)).unwrap();
}

/// A validator that makes and serves snapshots.
struct Server {
    node: ChainNode,
    known: KnownPeer,
    lie: Arc<Mutex<Lie>>,
    /// Heights it has committed, and those it has made a snapshot of.
    committed: Receiver<u64>,
    made: Receiver<u64>,
    _maker: SnapshotMaker,
}

/// Enough for a state of many pieces.
fn many_accounts<const MOST: usize>() -> Rising<GenesisAccount, MOST> {
    let account = |number: u8| GenesisAccount {
        address: SecretKey::from_seed(&[number; 32]).public().into(),
        balance: Amount::coins(1 + u64::from(number)),
    };
    Rising::new((0..250).map(account).collect::<Vec<_>>()).unwrap()
}

fn config() -> Config {
    Config { interval_ms: 10, heartbeat_ms: Some(10), ..Config::default() }
}

fn files(directory: &Path, number: u8) -> Files {
    let own = directory.join(number.to_string());
    Files {
        data: Arc::new(RealDisk::create(own.join("data")).unwrap()),
        guard: Arc::new(RealDisk::create(own.join("guard")).unwrap()),
        guard_path: "signed".to_owned(),
    }
}

fn serve(directory: &Path, genesis: &Genesis, number: u8, known: Vec<KnownPeer>) -> Server {
    let files = files(directory, number);
    let validator = Validator::create(genesis, &files, Some(identity(number)), config()).unwrap();
    let (inbox, lie) = (ChainInbox::default(), Arc::new(Mutex::new(Lie::None)));
    let shelf = Arc::new(SnapshotShelf::open(Arc::clone(&files.data)).unwrap());
    let (made_told, made) = channel();
    let every = NonZeroU64::new(EVERY).unwrap();
    let told = move |became: Made| match became {
        Made::Snapshot(head) => drop(made_told.send(head.height())),
        failed => panic!("{failed:?}"),
    };
    let maker =
        SnapshotMaker::start(inbox.handle(), Arc::clone(&shelf), every, PIECE_BYTES, told).unwrap();
    let tell_maker = maker.committed();
    let service =
        Serving { server: SnapshotServer::new(shelf, inbox.handle()), lie: Arc::clone(&lie) };
    let mut settings = settings(number.into());
    (settings.chain, settings.known) = (genesis.chain_id(), known);
    let peer = settings.key.peer();
    let ((committed_told, committed), (address_told, address)) = (channel(), channel());
    let told = move |told: Told| match told {
        Told::Output(Output::Committed { decided, .. }) => {
            tell_maker(decided.block.header.height);
            let _ = committed_told.send(decided.block.header.height);
        }
        Told::Listening(address) => drop(address_told.send(address)),
        _ => {}
    };
    let node = ChainNode::start(inbox, validator, settings, Arc::new(service), told).unwrap();
    let known = KnownPeer { peer, address: address.recv_timeout(PATIENCE).unwrap() };
    Server { node, known, lie, committed, made, _maker: maker }
}

fn reach(heights: &Receiver<u64>, height: u64) -> u64 {
    loop {
        let reached = heights.recv_timeout(PATIENCE).expect("it is never reached");
        if reached >= height {
            return reached;
        }
    }
}

impl Server {
    /// The block and the root of the state after it.
    fn at(&self, height: u64) -> (BlockId, Hash) {
        look(&self.node, height)
    }
}

fn look(node: &ChainNode, height: u64) -> (BlockId, Hash) {
    let found = node.handle().look(move |validator| {
        let header = validator.blocks().block(height).unwrap().unwrap().block.header;
        (header.id(), header.state_root)
    });
    found.unwrap()
}

/// What a fetch told.
#[derive(Default)]
struct Heard {
    liars: BTreeSet<PeerId>,
    lies: Vec<SnapshotLie>,
    resumed: Option<(u32, u32)>,
    served_by: usize,
}

fn fetch(
    genesis: &Genesis,
    disk: &Arc<dyn Disk>,
    servers: &[&Server],
    trust: Trust,
) -> (Result<u64, SnapshotFetchError>, Heard) {
    let mut own = settings(77);
    own.listen.clear();
    own.chain = genesis.chain_id();
    let network = Network::start(own, Arc::new(Echo), |_| {}).unwrap();
    let mut heard = Heard::default();
    let mut told = |event: SnapshotEvent| match event {
        SnapshotEvent::Lied { peer, lie } => {
            assert!(heard.liars.insert(peer), "it was asked again");
            heard.lies.push(lie);
        }
        SnapshotEvent::Resumed { there, pieces, .. } => heard.resumed = Some((there, pieces)),
        SnapshotEvent::Chosen { peers, .. } => heard.served_by = peers,
        _ => {}
    };
    let fetch = SnapshotFetch {
        network: &network.handle(),
        peers: servers.iter().map(|server| server.known.clone()).collect(),
        disk: Arc::clone(disk),
        begun: Joining::resume(disk, genesis.chain_id()).unwrap(),
        genesis,
        trust,
        options: light::Options::default(),
        above: 0,
        state: state::Options::default(),
    };
    let fetched = wait(fetch_snapshot(fetch, &mut told));
    (fetched.map(|head| head.height()), heard)
}

#[test]
fn a_fifth_node_joins_by_a_snapshot_though_one_of_four_lies() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let genesis = Genesis { accounts: many_accounts(), ..genesis(4) };
    let mut servers: Vec<Server> = Vec::new();
    for number in 0..4 {
        let known = servers.iter().map(|server| server.known.clone()).collect();
        servers.push(serve(directory, &genesis, number, known));
    }
    for server in &servers {
        reach(&server.committed, HEIGHT);
        reach(&server.made, HEIGHT / EVERY * EVERY);
    }
    let lie = |number: usize, lie| *servers[number].lie.lock().unwrap() = lie;
    let fifth = files(directory, 5);

    // Who offers another root is seen before any piece is fetched.
    lie(3, Lie::Root);
    let (refused, heard) = fetch(&genesis, &fifth.data, &[&servers[3]], Trust::Genesis);
    assert!(matches!(refused, Err(SnapshotFetchError::Nobody { above: 0, .. })));
    assert!(matches!(heard.lies[..], [SnapshotLie::Offer(OfferError::Step { .. })]));
    assert!(Joining::present(fifth.data.as_ref(), genesis.chain_id()).unwrap().is_none());
    // So is one whose block is not the one that is trusted.
    let (height, id) = (40, servers[0].at(41).0);
    let trust = Trust::Block { height, id };
    let (refused, heard) = fetch(&genesis, &fifth.data, &[&servers[0]], trust);
    assert!(refused.is_err());
    assert!(matches!(heard.lies[..], [SnapshotLie::OtherBlock { height: 40, .. }]));

    // Two committed blocks of one height are a fork, which no peer's word decides; one that is not
    // committed is a lie.
    let folder: Arc<dyn Disk> = Arc::new(RealDisk::create(directory.join("other")).unwrap());
    let all: Vec<&Server> = servers.iter().collect();
    lie(3, Lie::Fork(true));
    let (refused, _) = fetch(&genesis, &folder, &all, Trust::Genesis);
    let Err(SnapshotFetchError::Fork { peer, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(peer, servers[3].known.peer);
    lie(3, Lie::Fork(false));
    let (joined, heard) = fetch(&genesis, &folder, &all, Trust::Genesis);
    joined.unwrap();
    assert!(heard.liars.iter().eq([&servers[3].known.peer]), "{:?}", heard.lies);
    drop(all);

    // A fetch that stops in the middle is gone on with.
    lie(3, Lie::Missing(2));
    let (stopped, _) = fetch(&genesis, &fifth.data, &[&servers[3]], Trust::Genesis);
    let Err(SnapshotFetchError::Gone { missing, .. }) = stopped else { panic!("{stopped:?}") };
    assert!(missing > 2);

    // One of four lies about every piece. The snapshot that was begun may be gone by now.
    lie(3, Lie::Piece);
    let all: Vec<&Server> = servers.iter().collect();
    let trust = Trust::Block { height: 40, id: servers[0].at(40).0 };
    let (begin, heard) = fetch(&genesis, &fifth.data, &all, trust);
    let begin = begin.unwrap();
    let (there, pieces) = heard.resumed.unwrap();
    assert_eq!(there, 2);
    assert!(pieces > 4, "{pieces}");
    assert!(heard.liars.iter().all(|liar| *liar == servers[3].known.peer));
    assert!(heard.liars.is_empty() || matches!(heard.lies[..], [SnapshotLie::Piece(_)]));
    assert!(begin >= HEIGHT / EVERY * EVERY && begin % EVERY == 0, "{begin}");
    if heard.served_by > 0 {
        assert!(heard.liars.len() == 1 || heard.served_by < 4);
    }

    let validator = Validator::create(&genesis, &fifth, None, config()).unwrap();
    assert_eq!(validator.blocks().oldest(), begin + 1);
    let (told, committed) = channel();
    let mut own = settings(5);
    own.chain = genesis.chain_id();
    own.known = servers.iter().map(|server| server.known.clone()).collect();
    let joined =
        ChainNode::start(ChainInbox::default(), validator, own, Arc::new(Echo), move |what| {
            if let Told::Output(Output::Committed { decided, .. }) = what {
                let _ = told.send(decided.block.header.height);
            }
        })
        .unwrap();
    let first = committed.recv_timeout(PATIENCE).expect("it never goes on");
    assert_eq!(first, begin + 1, "its first block is the one after the snapshot");
    let now = servers[0].node.handle().look(|validator| validator.blocks().tip().height).unwrap();
    let reached = reach(&committed, now + 5);
    assert_eq!(look(&joined, reached), {
        reach(&servers[0].committed, reached);
        servers[0].at(reached)
    });
}
