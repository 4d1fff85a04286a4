//! A validator of the seeds' chain, and what a Byzantine one tells it.

use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use borsh::BorshDeserialize;
use chronolith_chain::block::{Block, Draft};
use chronolith_chain::consensus::message::{
    Endorsement, FromValidator, Message, PeerId, Polka, RoundCertificate, RoundCertificateKind,
    RoundVote, Status,
};
use chronolith_chain::consensus::{
    BeaconChain, Config, Files, Identity, Input, Now, SignGuard, Validator, entries_of_log,
};
use chronolith_chain::encoding::List;
use chronolith_chain::hash::ChainId;
use chronolith_chain::keys::{PublicKey, SecretKey};
use chronolith_chain::state::Options;
use chronolith_chain::vote::{Message as _, Proposal, Step, Vote};
use chronolith_disk::{Disk, SimDisk};

use crate::seed::{Seed, key, seed};
use crate::{promised, within};

const GUARD: &str = "signed";
const LOG: &str = "height.log";
/// The most messages of one input.
const MOST_MESSAGES: usize = 64;
/// How long the node waits after each message.
const PAUSE_NS: u64 = 250_000_000;
/// What opening a node of a small chain takes at most, its databases included.
const OPENING_BYTES: usize = 64 << 20;

/// The chain as all inputs find it.
struct Chain {
    disk: SimDisk,
    /// Whose turn it is first: it is Byzantine.
    byzantine: SecretKey,
    /// A block of his that the node would vote for.
    block: Block,
}

fn files(disk: &SimDisk) -> Files {
    let disk = Arc::new(disk.clone()) as Arc<dyn Disk>;
    Files { data: Arc::clone(&disk), guard: disk, guard_path: GUARD.to_owned() }
}

fn config() -> Config {
    Config { state: Options { keep_versions: 2, cache_bytes: 1 << 20 }, ..Config::default() }
}

/// The validators' numbers in the order of their turns at height 1.
fn turns() -> &'static [u8] {
    static TURNS: OnceLock<Vec<u8>> = OnceLock::new();
    TURNS.get_or_init(|| {
        let mut order: Vec<u8> = (1..5).collect();
        order.sort_by_cached_key(|number| key(100 + *number).public());
        order.rotate_left(1);
        order
    })
}

/// The node is the one that proposes after the Byzantine one.
fn identity() -> Identity {
    let number = turns().get(1).copied().unwrap_or(1);
    Identity { key: key(100 + number), beacon: BeaconChain::new(&[number; 32], 10) }
}

fn open(disk: &SimDisk) -> Validator {
    Validator::open(&seed().genesis, &files(disk), Some(identity()), config()).expect("its files")
}

fn make() -> Chain {
    let Seed { genesis, transaction, .. } = seed();
    let disk = SimDisk::new();
    let node = Validator::create(genesis, &files(&disk), Some(identity()), config());
    let node = node.expect("a new chain");
    let first = turns().first().copied().unwrap_or(1);
    let draft = Draft {
        time_ns: genesis.time_ms * 1_000_000 + 1_000_000_000,
        proposer: key(first).public().into(),
        beacon: None,
        certificate: None,
        evidence: List::default(),
        transactions: vec![transaction.clone().verify().expect("signed")],
    };
    let (block, _) = draft.build(node.blocks().tip(), node.state()).expect("a block");
    Chain { disk, byzantine: key(100 + first), block }
}

fn with_chain<T>(use_it: impl FnOnce(&Chain) -> T) -> T {
    thread_local! { static CHAIN: OnceCell<Chain> = const { OnceCell::new() } }
    CHAIN.with(|chain| use_it(chain.get_or_init(make)))
}

/// Signs what is said in the Byzantine one's name, so that it is looked at; what is said in the
/// names of others stays as it is.
fn sign(message: Message, chain: ChainId, own: &SecretKey) -> Message {
    let by = own.public();
    let endorse = |vote: Endorsement, message: Vote| match vote.key == by {
        true => Endorsement { signature: own.sign(&message.signing_hash()), ..vote },
        false => vote,
    };
    match message {
        Message::Vote(vote) => {
            Message::Vote(FromValidator::new(Vote { chain, ..vote.signed.message }, own))
        }
        Message::Proposal(proposal) => Message::Proposal(FromValidator::new(
            Proposal { chain, ..proposal.signed.message },
            own,
        )),
        Message::Polka(mut polka) => {
            let Polka { height, round, block, .. } = polka;
            let vote = Vote { chain, height, round, step: Step::Prevote, block: Some(block) };
            let prevotes: Vec<_> = polka.prevotes.iter().map(|one| endorse(*one, vote)).collect();
            polka.prevotes = List::new(prevotes).unwrap_or_default();
            Message::Polka(polka)
        }
        Message::Round(mut certificate) => {
            let RoundCertificate { height, round, .. } = certificate;
            let sign = |vote: &RoundVote| {
                let RoundVote { step, block, .. } = *vote;
                let message = Vote { chain, height, round, step, block };
                RoundVote { vote: endorse(vote.vote, message), ..*vote }
            };
            let votes: Vec<_> = certificate.votes.iter().map(sign).collect();
            certificate.votes = List::new(votes).unwrap_or_default();
            Message::Round(certificate)
        }
        other => other,
    }
}

/// Messages, one after the other: none ends consensus, whatever it says.
pub fn peer(mut data: &[u8]) {
    let chain = seed().genesis.chain_id();
    with_chain(|Chain { disk, byzantine, block }| {
        let mut node = None;
        let mut now = Now { elapsed_ns: 1, time_ns: block.header.time_ns };
        for _ in 0..MOST_MESSAGES {
            let Ok(message) = Message::deserialize_reader(&mut data) else { return };
            let message = sign(message, chain, byzantine);
            let node = node.get_or_insert_with(|| open(&disk.deep_clone()));
            for input in [Input::Message { from: PeerId(1), message }, Input::Tick] {
                node.handle(now, input).expect("no message ends consensus");
                now.elapsed_ns += PAUSE_NS;
                now.time_ns += PAUSE_NS;
            }
            assert_eq!(node.position().height, 1, "one of four committed a block");
        }
    });
}

/// What the Byzantine one says when he is honest, and some of what he says when he is not.
pub fn said() -> Vec<Vec<Message>> {
    let chain = seed().genesis.chain_id();
    with_chain(|Chain { byzantine, block, .. }| {
        let id = block.header.id();
        let vote = |round, step, block| Vote { chain, height: 1, round, step, block };
        let signed = |vote| Message::Vote(FromValidator::new(vote, byzantine));
        let proposal = Proposal { chain, height: 1, round: 0, valid_round: None, block: id };
        let proposal = Message::Proposal(FromValidator::new(proposal, byzantine));
        let proposed = Message::Block(Box::new(block.clone()));
        let prevote = vote(0, Step::Prevote, Some(id));
        let endorse = |vote: Vote, by: u8| {
            let key = key(100 + by);
            Endorsement { key: key.public(), signature: key.sign(&vote.signing_hash()) }
        };
        let prevotes: Vec<_> = turns()[..3].iter().map(|by| endorse(prevote, *by)).collect();
        let prevotes = List::new(prevotes).unwrap_or_default();
        let polka = Message::Polka(Polka { height: 1, round: 0, block: id, prevotes });
        let nil = vote(2, Step::Prevote, None);
        let both = [turns()[0], turns()[2]].map(|by| RoundVote {
            step: Step::Prevote,
            block: None,
            vote: endorse(nil, by),
        });
        let skip = Message::Round(RoundCertificate {
            height: 1,
            round: 2,
            kind: RoundCertificateKind::Skip,
            votes: List::new(both).unwrap_or_default(),
        });
        let precommit = vote(0, Step::Precommit, Some(id));
        let transactions = List::new([seed().transaction.clone()]).unwrap_or_default();
        let all = [
            vec![proposal.clone(), proposed.clone(), signed(prevote), signed(precommit)],
            vec![proposed, polka.clone(), proposal, signed(vote(0, Step::Precommit, None))],
            vec![polka, Message::GetProposal { height: 1, block: id }, skip],
            vec![
                Message::Status(Status { chain, height: 3, oldest: 1 }),
                Message::Transactions(transactions),
                Message::GetBlocks { from: 1, count: 2 },
            ],
        ];
        all.into()
    })
}

/// The log of the node after it heard a proposal and voted for it, and its guard.
pub fn own_files() -> [Vec<u8>; 2] {
    with_chain(|Chain { disk, block, .. }| {
        let disk = disk.deep_clone();
        let mut node = open(&disk);
        let now = Now { elapsed_ns: 1, time_ns: block.header.time_ns };
        for message in said().into_iter().next().unwrap_or_default() {
            node.handle(now, Input::Message { from: PeerId(1), message }).expect("honest");
        }
        drop(node);
        [LOG, GUARD].map(|path| {
            let file = disk.open(path).expect("a file in memory");
            let mut bytes = vec![0; file.len().expect("a length") as usize];
            file.read_at(0, &mut bytes).expect("all of it");
            bytes
        })
    })
}

fn put(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let file = disk.open(path).expect("a file in memory");
    file.set_len(0).and_then(|()| file.write_at(0, bytes)).expect("memory");
}

fn frame(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let length = bytes.get(at + 4..at + 8)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let end = at.checked_add(8)?.checked_add(length)?;
    (end <= bytes.len()).then_some((at + 4, end))
}

/// The log as it is, and with all its checksums made good: it is read within the promise, and a node opens
/// with it. Opening a node takes a thousand times as long, so that is done with one of 64 inputs.
pub fn height_log(data: &[u8]) {
    let mut good = data.to_vec();
    let (mut at, mut before) = (0, crc32fast::hash(&1_u64.to_le_bytes()));
    while let Some((begin, end)) = frame(&good, at) {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&before.to_le_bytes());
        hasher.update(&good[begin..end]);
        before = hasher.finalize();
        good[at..begin].copy_from_slice(&before.to_le_bytes());
        at = end;
    }
    for bytes in [data, &good] {
        let disk = SimDisk::new();
        put(&disk, LOG, bytes);
        let read = within(promised(2 * bytes.len()), || entries_of_log(&disk, LOG, 1));
        let entries = read.expect("a log that ends somewhere");
        if entries == 0 || !crc32fast::hash(data).is_multiple_of(64) {
            continue;
        }
        with_chain(|chain| {
            let disk = chain.disk.deep_clone();
            put(&disk, LOG, bytes);
            drop(within(OPENING_BYTES + promised(bytes.len()), || open(&disk)));
        });
    }
}

/// The guard's file as it is, and with its checksums made good: it opens, or says why not.
pub fn sign_guard(data: &[u8]) {
    let mut good = data.to_vec();
    for at in [0, 512] {
        if let Some((begin, end)) = frame(&good, at) {
            let sum = crc32fast::hash(&good[begin..end]);
            good[at..begin].copy_from_slice(&sum.to_le_bytes());
        }
    }
    // Deriving keys takes longer than reading the file does.
    static OWNER: OnceLock<(PublicKey, ChainId)> = OnceLock::new();
    let owner = || (identity().key.public(), seed().genesis.chain_id());
    let (key, chain) = *OWNER.get_or_init(owner);
    for bytes in [data, &good] {
        let disk = SimDisk::new();
        put(&disk, GUARD, bytes);
        let opened = within(promised(2 * bytes.len()), || {
            SignGuard::open(&disk, GUARD, key, chain).map(|guard| guard.last())
        });
        if let Err(error) = opened {
            assert!(error.to_string().contains(GUARD), "{error} does not say where");
        }
    }
}
