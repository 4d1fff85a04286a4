//! A small chain whose encodings are the seeds.

use std::sync::OnceLock;

use chronolith_chain::block::{Block, Draft, Tip};
use chronolith_chain::certificate::Certificate;
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::encoding::{Bytes, List, Rising, Text};
use chronolith_chain::genesis::{Genesis, GenesisAccount, GenesisValidator};
use chronolith_chain::hash::{BlockId, Hash};
use chronolith_chain::header::Header;
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{AccountKey, Evidence, Misdeed, RequestKey, Transfer, Validators};
use chronolith_chain::light::{BUNDLE_VERSION, Bundle, Fact, Step};
use chronolith_chain::list::ListProof;
use chronolith_chain::state::{Key, Options, SnapshotChunk, State};
use chronolith_chain::transaction::{Body, Transaction};
use chronolith_chain::validator_set::ValidatorSet;
use chronolith_chain::vote::{Message as _, Signed, Step as VoteStep, Vote};

/// A chain of one block.
pub struct Seed {
    pub genesis: Genesis,
    pub set: ValidatorSet,
    pub header: Header,
    pub block: Block,
    pub certificate: Certificate,
    pub transaction: Transaction,
    pub vote: Signed<Vote>,
    pub evidence: Evidence,
    pub bundle: Bundle,
    pub piece: SnapshotChunk,
    pub tip: Tip,
}

/// The chain, made once.
pub fn seed() -> &'static Seed {
    static SEED: OnceLock<Seed> = OnceLock::new();
    SEED.get_or_init(make)
}

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn genesis() -> Genesis {
    let account = |number: u8| GenesisAccount {
        address: key(number).public().into(),
        balance: Amount::coins(1_000),
    };
    let validator = |number: u8| GenesisValidator {
        validator: key(number).public().into(),
        consensus_key: key(100 + number).public(),
        bond: Amount::coins(1_000),
        beacon: Hash([number; 32]),
        power: 10,
    };
    Genesis {
        name: Text::new("seeds").expect("a short name"),
        time_ms: 1_000,
        protocol: 1,
        parameters: Rising::default(),
        accounts: Rising::new((1..5).map(account).collect::<Vec<_>>()).expect("few"),
        validators: Rising::new((1..5).map(validator).collect::<Vec<_>>()).expect("few"),
    }
}

fn make() -> Seed {
    let genesis = genesis();
    let values = genesis.values().expect("a sound genesis");
    let options = Options { keep_versions: 2, ..Options::default() };
    let mut state = State::in_memory(0, values, options).expect("a state in memory");
    let mut tip = Tip::genesis(&genesis);
    let seats = Validators::of(&state).expect("seats").next;
    let set = ValidatorSet::from_seats(&seats).expect("a set");
    let action = Transfer {
        to: key(2).public().into(),
        coin: Coin::Native,
        amount: Amount(5),
        memo: Bytes::new(*b"a memo").expect("short"),
    };
    let body = Body {
        version: 1,
        chain: tip.chain,
        sender: key(1).public().into(),
        nonce: 0,
        valid_until: 10,
        fee: Amount::coins(1),
        action: action.into(),
    };
    let transaction = body.sign(&key(1));
    let draft = Draft {
        time_ns: tip.time_ns + 1_000_000_000,
        proposer: key(1).public().into(),
        beacon: None,
        certificate: None,
        evidence: List::default(),
        transactions: vec![transaction.clone().verify().expect("signed")],
    };
    let (block, executed) = draft.build(&tip, &state).expect("a block");
    let receipt = executed.receipts.first().cloned().expect("a receipt");
    state.commit(executed.prepared).expect("memory");
    let header = block.header.clone();
    tip.advance(&header);
    let vote =
        |block| Vote { chain: tip.chain, height: 1, round: 0, step: VoteStep::Precommit, block };
    let commit = vote(Some(header.id()));
    let sign = |number: u8| {
        let key = key(100 + number);
        (key.public(), key.sign(&commit.signing_hash()))
    };
    let certificate = Certificate::new(1, 0, header.id(), &set, (1..5).map(sign)).expect("votes");
    let misdeed = Misdeed::Votes(
        Signed::new(commit, &key(101)),
        Signed::new(vote(Some(BlockId([1; 32]))), &key(101)),
    );
    let account = AccountKey { address: key(2).public().into() };
    let nothing = RequestKey { request: Default::default() };
    let prove = |bytes: Vec<u8>| state.prove(1, &bytes).expect("kept");
    let (balance, balance_proof) = prove(account.to_bytes());
    let (none, absence_proof) = prove(nothing.to_bytes());
    let facts = vec![
        Fact::state(&account, balance, balance_proof).expect("small"),
        Fact::state(&nothing, none, absence_proof).expect("small"),
        Fact::Transaction {
            index: 0,
            transaction: Box::new(transaction.clone()),
            proof: ListProof::new([transaction.body.id()], 0).expect("one"),
        },
        Fact::Receipt {
            index: 0,
            receipt: receipt.clone(),
            proof: ListProof::new([&receipt], 0).expect("one"),
        },
    ];
    let step =
        Step { header: header.clone(), validators: set.clone(), certificate: certificate.clone() };
    let bundle = Bundle {
        version: BUNDLE_VERSION,
        chain: tip.chain,
        steps: List::new([step]).expect("one"),
        ancestor: None,
        facts: List::new(facts).expect("few"),
    };
    let piece = state.snapshot(1).expect("kept").chunk(0).expect("the first piece");
    Seed {
        vote: Signed::new(commit, &key(101)),
        evidence: Evidence { key: key(101).public(), misdeed },
        genesis,
        set,
        header,
        block,
        certificate,
        transaction,
        bundle,
        piece,
        tip,
    }
}
