//! A chain of several validators with blocks and certificates, as consensus would make them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use chronolith_chain::address::Address;
use chronolith_chain::block::{Block, Draft, Tip};
use chronolith_chain::certificate::Certificate;
use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::{List, Rising, Text, decode};
use chronolith_chain::genesis::{Genesis, GenesisAccount, GenesisValidator};
use chronolith_chain::hash::{BlockId, Hash};
use chronolith_chain::header::Header;
use chronolith_chain::history::{History, Nodes, Position};
use chronolith_chain::keys::{PublicKey, SecretKey, Signature};
use chronolith_chain::ledger::{
    Account, AccountKey, Action, Evidence, Executed, ParameterChange, ParameterName, Parameters,
    ParametersKey, Receipt, ScheduleKey, ValidatorKey, Validators, audit, beacon_step, least_fee,
};
use chronolith_chain::state::{Key, Options, State, View as _};
use chronolith_chain::transaction::{Body, Transaction};
use chronolith_chain::validator_set::ValidatorSet;
use chronolith_chain::vote::{Message as _, Step, Vote};

use crate::world::{account, consensus_key, key};

/// How many elements a beacon chain has.
const BEACON: usize = 3_000;

/// All complete subtrees of a history, in memory.
#[derive(Default)]
pub(crate) struct AllNodes(HashMap<Position, Hash>);

impl Nodes for AllNodes {
    type Error = Infallible;

    fn node(&self, position: Position) -> Result<Option<Hash>, Infallible> {
        Ok(self.0.get(&position).copied())
    }
}

/// The chain.
pub(crate) struct Committee {
    pub(crate) genesis: Genesis,
    pub(crate) state: State,
    pub(crate) tip: Tip,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) sets: Vec<ValidatorSet>,
    pub(crate) nodes: AllNodes,
    people: BTreeMap<Address, u8>,
    beacons: BTreeMap<u8, Vec<Hash>>,
}

/// A beacon chain of a person, its committed end first.
pub(crate) fn beacon_chain(person: u8) -> Vec<Hash> {
    let mut chain = vec![Hash([person; 32])];
    for _ in 0..BEACON {
        chain.push(beacon_step(chain.last().unwrap()));
    }
    chain.reverse();
    chain
}

/// A genesis with so many validators, all people having coin.
pub(crate) fn genesis(validators: u8, people: u8, parameters: &[(ParameterName, u128)]) -> Genesis {
    let change =
        |(name, value): &(ParameterName, u128)| ParameterChange { name: *name, value: *value };
    let begin =
        |person| GenesisAccount { address: account(person), balance: Amount::coins(1_000_000) };
    let validator = |person| GenesisValidator {
        validator: account(person),
        consensus_key: consensus_key(person).public(),
        bond: Amount::coins(5_000),
        beacon: beacon_chain(person)[0],
        power: 10,
    };
    Genesis {
        name: Text::new("committee").unwrap(),
        time_ms: 1_700_000_000_000,
        protocol: 1,
        parameters: Rising::new(parameters.iter().map(change).collect::<Vec<_>>()).unwrap(),
        accounts: Rising::new((0..people).map(begin).collect::<Vec<_>>()).unwrap(),
        validators: Rising::new((0..validators).map(validator).collect::<Vec<_>>()).unwrap(),
    }
}

/// Precommits of members of a set for a block.
pub(crate) fn precommits(
    header: &Header,
    round: u32,
    keys: impl IntoIterator<Item = SecretKey>,
) -> Vec<(PublicKey, Signature)> {
    let block = Some(header.id());
    let (chain, height) = (header.chain, header.height);
    let vote = Vote { chain, height, round, step: Step::Precommit, block };
    let hash = vote.signing_hash();
    keys.into_iter().map(|key| (key.public(), key.sign(&hash))).collect()
}

impl Committee {
    /// A chain at its genesis.
    pub(crate) fn new(genesis: Genesis, people: u8) -> Self {
        let options = Options { keep_versions: 100, ..Options::default() };
        let state = State::in_memory(0, genesis.values().unwrap(), options).unwrap();
        let tip = Tip::genesis(&genesis);
        let mut nodes = AllNodes::default();
        // The genesis' own leaf, which the tip's history has already.
        let first = chronolith_merkle::leaf_hash(&genesis.chain_id().0);
        assert_eq!(History::genesis(genesis.chain_id()).root(), Hash(first));
        nodes.0.insert(Position { level: 0, index: 0 }, Hash(first));
        let set = ValidatorSet::from_seats(&Validators::of(&state).unwrap().next).unwrap();
        Self {
            genesis,
            state,
            tip,
            certificate: None,
            blocks: Vec::new(),
            sets: vec![set],
            nodes,
            people: (0..people).map(|person| (account(person), person)).collect(),
            beacons: BTreeMap::new(),
        }
    }

    /// Who an account is.
    pub(crate) fn person(&self, address: Address) -> u8 {
        self.people[&address]
    }

    /// The set that commits the next block.
    pub(crate) fn set(&self) -> &ValidatorSet {
        self.sets.last().unwrap()
    }

    /// The value of a key.
    pub(crate) fn get<K: Key>(&self, key: &K) -> Option<K::Value> {
        let bytes = self.state.get_bytes(&key.to_bytes()).unwrap()?;
        Some(decode(K::NAME, &bytes, usize::MAX).unwrap())
    }

    /// A person's transaction, `after` others of the same block.
    pub(crate) fn sign(&self, person: u8, after: u64, action: impl Into<Action>) -> Transaction {
        let sender = account(person);
        let Account { nonce, .. } = self.get(&AccountKey { address: sender }).unwrap_or_default();
        let mut body = Body {
            version: 1,
            chain: self.tip.chain,
            sender,
            nonce: nonce + after,
            valid_until: self.tip.height + 10,
            fee: Amount::ZERO,
            action: action.into(),
        };
        let size = body.clone().sign(&key(person)).verify().unwrap().size();
        let parameters: Parameters = self.get(&ParametersKey {}).unwrap();
        body.fee = least_fee(&parameters, size, body.action.weight());
        body.sign(&key(person))
    }

    /// The preimage of a person's last revealed beacon.
    fn next_beacon(&mut self, person: u8) -> Option<Hash> {
        let lot = self.get(&ScheduleKey {}).unwrap_or_default().lot;
        let chain = self.beacons.entry(person).or_insert_with(|| beacon_chain(person));
        let bytes =
            self.state.get_bytes(&ValidatorKey { validator: account(person) }.to_bytes()).unwrap();
        let known: chronolith_chain::ledger::Validator =
            decode("a validator", &bytes?, usize::MAX).unwrap();
        let at = chain.iter().position(|hash| *hash == known.beacon_in(lot))?;
        chain.get(at + 1).copied()
    }

    /// What a validator who is there proposes next.
    pub(crate) fn draft(
        &mut self,
        offline: &BTreeSet<Address>,
        evidence: Vec<Evidence>,
        transactions: Vec<Transaction>,
    ) -> Draft {
        let there: Vec<Address> = self.set().members().iter().map(|seat| seat.validator).collect();
        let height = self.tip.height as usize;
        let turn = (0..there.len()).map(|round| there[(height + round) % there.len()]);
        let proposer = turn.into_iter().find(|one| !offline.contains(one)).unwrap();
        let beacon = self.next_beacon(self.person(proposer));
        Draft {
            time_ns: self.tip.time_ns + 1_000_000_000,
            proposer,
            beacon,
            certificate: self.certificate.clone(),
            evidence: List::new(evidence).unwrap(),
            transactions: Transaction::verify_all(transactions).unwrap(),
        }
    }

    /// Makes a block, has it checked, and commits it by those who are there.
    pub(crate) fn block_without(
        &mut self,
        offline: &BTreeSet<Address>,
        transactions: Vec<Transaction>,
    ) -> Vec<Receipt> {
        let draft = self.draft(offline, Vec::new(), transactions);
        let (block, _) = draft.build(&self.tip, &self.state).unwrap();
        let executed = block.check(&self.tip, &self.state).unwrap();
        self.commit(offline, block, executed)
    }

    /// A block by all.
    pub(crate) fn block(&mut self, transactions: Vec<Transaction>) -> Vec<Receipt> {
        self.block_without(&BTreeSet::new(), transactions)
    }

    /// Commits a block.
    pub(crate) fn commit(
        &mut self,
        offline: &BTreeSet<Address>,
        block: Block,
        executed: Executed,
    ) -> Vec<Receipt> {
        let members = self.set().members().iter().map(|seat| seat.validator);
        let keys =
            members.filter(|one| !offline.contains(one)).map(|one| consensus_key(self.person(one)));
        let votes = precommits(&block.header, 0, keys);
        let id = block.header.id();
        let certificate = Certificate::new(block.header.height, 0, id, self.set(), votes).unwrap();
        certificate.verify(self.set(), self.tip.chain).unwrap();
        self.certificate = Some(certificate);
        let made = self.tip.advance(&block.header);
        self.nodes.0.extend(made.into_iter().map(|node| (node.position, node.hash)));
        self.state.commit(executed.prepared).unwrap();
        audit(&self.state).unwrap();
        self.sets.push(ValidatorSet::from_seats(&executed.next_seats).unwrap());
        self.blocks.push(block);
        executed.receipts
    }

    /// A block's header.
    pub(crate) fn header(&self, height: u64) -> &Header {
        &self.blocks[height as usize - 1].header
    }

    /// The certificate of a height that is not the last.
    pub(crate) fn certificate_of(&self, height: u64) -> &Certificate {
        match self.blocks.get(height as usize) {
            Some(next) => next.certificate.as_ref().unwrap(),
            None => self.certificate.as_ref().unwrap(),
        }
    }

    /// The last block's id.
    pub(crate) fn last(&self) -> BlockId {
        self.tip.block
    }
}
