//! A chain to try rules on: a few accounts with coin, one validator, blocks on demand. After every
//! block the books are balanced.

use std::collections::BTreeMap;

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::encoding::{Rising, Text, decode};
use chronolith_chain::genesis::{Genesis, GenesisAccount, GenesisValidator};
use chronolith_chain::hash::{ChainId, Hash, TransactionId};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{
    Account, AccountKey, Action, BlockError, Executed, HoldingKey, Input, PROTOCOL,
    ParameterChange, ParameterName, Receipt, Refusal, audit, beacon_step, execute, least_fee,
};
use chronolith_chain::ledger::{Parameters, ParametersKey};
use chronolith_chain::state::{Key, Options, State, View as _};
use chronolith_chain::transaction::{Body, Transaction};

/// How many accounts there are.
pub(crate) const PEOPLE: u8 = 12;
/// The one who validates.
pub(crate) const VALIDATOR: u8 = 0;
/// How many blocks an epoch has.
pub(crate) const EPOCH_BLOCKS: u64 = 100;
/// What each account begins with.
pub(crate) const BEGIN: Amount = Amount::coins(1_000_000);

/// The secret key of a person.
pub(crate) fn key(person: u8) -> SecretKey {
    SecretKey::from_seed(&[person + 1; 32])
}

/// The consensus key of a person.
pub(crate) fn consensus_key(person: u8) -> SecretKey {
    SecretKey::from_seed(&[person + 101; 32])
}

/// The account of a person.
pub(crate) fn account(person: u8) -> Address {
    key(person).public().into()
}

/// The element of a person's beacon chain that is `steps` before its end.
pub(crate) fn beacon(person: u8, steps: u32) -> Hash {
    (0..100 - steps).fold(Hash([person; 32]), |hash, _| beacon_step(&hash))
}

/// The epoch of a height.
pub(crate) fn epoch(height: u64) -> u64 {
    chronolith_chain::ledger::epoch(height, EPOCH_BLOCKS)
}

/// The height at which an epoch begins, and the one before ends.
pub(crate) fn epoch_end(epoch: u64) -> u64 {
    chronolith_chain::ledger::epoch_end(epoch, EPOCH_BLOCKS)
}

/// A chain.
pub(crate) struct World {
    /// Its state.
    pub(crate) state: State,
    /// Its id.
    pub(crate) chain: ChainId,
    /// The time of the last block.
    pub(crate) time_ms: u64,
    /// Who commits each block.
    voters: Vec<Address>,
    /// How many elements of the proposer's beacon chain are known.
    revealed: u32,
}

/// The genesis of a chain with one validator, with quick parameters.
pub(crate) fn genesis() -> Genesis {
    genesis_of(&[VALIDATOR], &[])
}

/// The same with validators of equal power, and some other parameters.
fn genesis_of(validators: &[u8], others: &[(ParameterName, u128)]) -> Genesis {
    let quick = [
        (ParameterName::UnbondingBlocks, 30),
        (ParameterName::VotingBlocks, 10),
        (ParameterName::TermBlocks, 50),
        (ParameterName::ReadyBlocks, 10),
        (ParameterName::PuzzleBits, 4),
        (ParameterName::CheckBlocksLeast, 5),
        (ParameterName::CancelBlocks, 3),
        (ParameterName::DeadlineLongest, 40),
        (ParameterName::AuditMisses, 2),
        (ParameterName::EpochBlocks, EPOCH_BLOCKS.into()),
        (ParameterName::Issuance, 1_000_003),
    ];
    let of_name = |(name, value): &(ParameterName, u128)| (*name, *value);
    let mut parameters: BTreeMap<_, _> = quick.iter().map(of_name).collect();
    parameters.extend(others.iter().map(of_name));
    let change = |(name, value)| ParameterChange { name, value };
    let begin = |person| GenesisAccount { address: account(person), balance: BEGIN };
    let validator = |person: &u8| GenesisValidator {
        validator: account(*person),
        consensus_key: consensus_key(*person).public(),
        bond: Amount::coins(5_000),
        beacon: beacon(*person, 0),
        power: 10,
    };
    Genesis {
        name: Text::new("test").unwrap(),
        time_ms: 1_000,
        protocol: PROTOCOL,
        parameters: Rising::new(parameters.into_iter().map(change).collect::<Vec<_>>()).unwrap(),
        accounts: Rising::new((0..PEOPLE).map(begin).collect::<Vec<_>>()).unwrap(),
        validators: Rising::new(validators.iter().map(validator).collect::<Vec<_>>()).unwrap(),
    }
}

impl World {
    /// A chain at its beginning.
    pub(crate) fn new() -> Self {
        Self::of(&[VALIDATOR])
    }

    /// The same with other parameters.
    pub(crate) fn with(parameters: &[(ParameterName, u128)]) -> Self {
        Self::begin(&[VALIDATOR], parameters)
    }

    /// The same with validators of equal power, of whom [`VALIDATOR`] proposes.
    pub(crate) fn of(validators: &[u8]) -> Self {
        Self::begin(validators, &[])
    }

    /// The same with a version of the protocol.
    pub(crate) fn of_protocol(protocol: u16) -> Self {
        Self::from_genesis(&Genesis { protocol, ..genesis() }, &[VALIDATOR])
    }

    fn begin(validators: &[u8], parameters: &[(ParameterName, u128)]) -> Self {
        Self::from_genesis(&genesis_of(validators, parameters), validators)
    }

    fn from_genesis(genesis: &Genesis, validators: &[u8]) -> Self {
        let options = Options { keep_versions: 3, ..Options::default() };
        let state = State::in_memory(0, genesis.values().unwrap(), options).unwrap();
        audit(&state).unwrap();
        let voters = validators.iter().map(|person| account(*person)).collect();
        let (chain, time_ms) = (genesis.chain_id(), genesis.time_ms);
        Self { state, chain, time_ms, voters, revealed: 0 }
    }

    /// The same chain at another state.
    pub(crate) fn at(&self, state: State, time_ms: u64) -> Self {
        let voters = self.voters.clone();
        Self { state, chain: self.chain, time_ms, voters, revealed: self.revealed }
    }

    /// The height of the next block.
    pub(crate) fn next(&self) -> u64 {
        self.state.head().version + 1
    }

    /// The value of a key.
    pub(crate) fn get<K: Key>(&self, key: &K) -> Option<K::Value> {
        let bytes = self.state.get_bytes(&key.to_bytes()).unwrap()?;
        Some(decode(K::NAME, &bytes, usize::MAX).unwrap())
    }

    /// What a person has of a coin.
    pub(crate) fn balance(&self, person: u8, coin: Coin) -> Amount {
        let address = account(person);
        match coin {
            Coin::Native => self.get(&AccountKey { address }).unwrap_or_default().balance,
            Coin::Issued(coin) => self.get(&HoldingKey { address, coin }).unwrap_or_default(),
        }
    }

    /// The body of a person's next transaction, with the least fee.
    pub(crate) fn body(&self, person: u8, action: Action) -> Body {
        let sender = account(person);
        let Account { nonce, .. } = self.get(&AccountKey { address: sender }).unwrap_or_default();
        let mut body = Body {
            version: 1,
            chain: self.chain,
            sender,
            nonce,
            valid_until: self.next() + 10,
            fee: Amount::ZERO,
            action,
        };
        let size = body.clone().sign(&key(person)).verify().unwrap().size();
        let parameters: Parameters = self.get(&ParametersKey {}).unwrap();
        body.fee = least_fee(&parameters, size, body.action.weight());
        body
    }

    /// Executes a block without committing it.
    pub(crate) fn try_block(&self, transactions: Vec<Transaction>) -> Result<Executed, BlockError> {
        self.try_revealing(None, transactions)
    }

    fn try_revealing(
        &self,
        beacon: Option<Hash>,
        transactions: Vec<Transaction>,
    ) -> Result<Executed, BlockError> {
        let transactions = Transaction::verify_all(transactions).unwrap();
        let input = Input {
            chain: self.chain,
            height: self.next(),
            time_ms: self.time_ms + 1_000,
            proposer: Some(account(VALIDATOR)),
            beacon,
            voters: &self.voters,
            evidence: &[],
            transactions: &transactions,
        };
        execute(&self.state, &input)
    }

    /// Executes and commits a block, and balances the books.
    pub(crate) fn block(&mut self, transactions: Vec<Transaction>) -> Vec<Receipt> {
        let executed = self.try_block(transactions).unwrap();
        self.time_ms += 1_000;
        self.state.commit(executed.prepared).unwrap();
        audit(&self.state).unwrap_or_else(|error| panic!("height {}: {error}", self.next() - 1));
        executed.receipts
    }

    /// An empty block in which the proposer reveals the next element of his beacon chain.
    pub(crate) fn reveal(&mut self) {
        self.revealed += 1;
        let next = beacon(VALIDATOR, self.revealed);
        let executed = self.try_revealing(Some(next), Vec::new()).unwrap();
        self.time_ms += 1_000;
        self.state.commit(executed.prepared).unwrap();
    }

    /// Runs empty blocks up to a height, which is then the last block's.
    pub(crate) fn run_to(&mut self, height: u64) {
        assert!(height + 1 >= self.next(), "height {height} is over");
        while self.next() <= height {
            let executed = self.try_block(Vec::new()).unwrap();
            self.time_ms += 1_000;
            self.state.commit(executed.prepared).unwrap();
        }
        audit(&self.state).unwrap();
    }

    fn receipt(&mut self, person: u8, action: Action) -> Receipt {
        let transaction = self.body(person, action).sign(&key(person));
        self.block(vec![transaction]).pop().unwrap()
    }

    /// A block in which a person does something that must be allowed; the transaction.
    pub(crate) fn done(&mut self, person: u8, action: impl Into<Action>) -> TransactionId {
        let receipt = self.receipt(person, action.into());
        assert_eq!(receipt.refusal, None);
        receipt.transaction
    }

    /// A block in which a person does several things that must be allowed; the transactions.
    pub(crate) fn all_done(&mut self, person: u8, actions: Vec<Action>) -> Vec<TransactionId> {
        let sign = |(action, earlier)| {
            let mut body = self.body(person, action);
            body.nonce += earlier;
            body.sign(&key(person))
        };
        let receipts = self.block(actions.into_iter().zip(0..).map(sign).collect());
        assert!(receipts.iter().all(|receipt| receipt.refusal.is_none()));
        receipts.into_iter().map(|receipt| receipt.transaction).collect()
    }

    /// A block in which a person tries something that must be refused; why. Nothing but the fee
    /// and the nonce may change.
    pub(crate) fn refused(&mut self, person: u8, action: impl Into<Action>) -> Refusal {
        let receipt = self.receipt(person, action.into());
        receipt.refusal.unwrap_or_else(|| panic!("allowed, and must not be"))
    }
}
