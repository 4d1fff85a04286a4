//! Anchoring: check, execute and commit `Anchor` transactions, and what a chunk costs.
//!
//! `cargo bench -p chronolith-chain --bench anchor_ingest` prints bytes and processor time of this
//! process per transaction and per anchored chunk; the state is a file in memory, so disk time is
//! not in it.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::time::Duration;

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::{Rising, Text, encode};
use chronolith_chain::genesis::{Genesis, GenesisAccount};
use chronolith_chain::hash::{ChainId, Domain, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{
    Anchor, DeviceCatalogue, Input, RegisterDevice, empty_catalogue, execute,
};
use chronolith_chain::state::{Options, State};
use chronolith_chain::transaction::{Body, MAX_TRANSACTION_BYTES, Transaction};
use cpu_time::ProcessTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// How many producers anchor.
const PRODUCERS: usize = 200;

struct Chain {
    state: State,
    id: ChainId,
    producers: Vec<SecretKey>,
    devices: Vec<Vec<Address>>,
    nonces: Vec<u64>,
    catalogues: Vec<Hash>,
    anchored: u64,
}

/// Processor time of the three steps.
#[derive(Default, Clone, Copy)]
struct Spent {
    check: Duration,
    execute: Duration,
    commit: Duration,
}

impl Spent {
    fn all(self) -> Duration {
        self.check + self.execute + self.commit
    }
}

impl Chain {
    /// A chain on which every producer has `devices` devices.
    fn new(devices: usize) -> Self {
        let key = |number: usize| SecretKey::from_seed(&Domain::Seed.hash_of(&(number as u64)).0);
        let producers: Vec<SecretKey> = (0..PRODUCERS).map(key).collect();
        let account = |key: &SecretKey| GenesisAccount {
            address: key.public().into(),
            balance: Amount::coins(1_000_000),
        };
        let genesis = Genesis {
            name: Text::new("bench").unwrap(),
            time_ms: 0,
            protocol: 1,
            parameters: Rising::default(),
            accounts: Rising::new(producers.iter().map(account).collect::<Vec<_>>()).unwrap(),
            validators: Rising::default(),
        };
        let options = Options { keep_versions: 10, cache_bytes: 256 << 20 };
        let state = State::in_memory(0, genesis.values().unwrap(), options).unwrap();
        let mut chain = Self {
            state,
            id: genesis.chain_id(),
            producers,
            devices: vec![Vec::new(); PRODUCERS],
            nonces: vec![0; PRODUCERS],
            catalogues: vec![empty_catalogue(); PRODUCERS],
            anchored: 0,
        };
        for number in 0..devices {
            let transactions = (0..PRODUCERS)
                .map(|producer| {
                    let device = key(PRODUCERS * (number + 1) + producer);
                    let address = device.public().into();
                    chain.devices[producer].push(address);
                    let owner = chain.producers[producer].public().into();
                    let message = RegisterDevice::consent(chain.id, address, owner);
                    let consent = device.sign(&message);
                    let action = RegisterDevice { device: address, producer: owner, consent };
                    chain.sign(producer, action)
                })
                .collect();
            chain.block(transactions);
        }
        chain
    }

    fn sign(
        &mut self,
        producer: usize,
        action: impl Into<chronolith_chain::ledger::Action>,
    ) -> Vec<u8> {
        let key = &self.producers[producer];
        let body = Body {
            version: 1,
            chain: self.id,
            sender: key.public().into(),
            nonce: self.nonces[producer],
            valid_until: self.state.head().version + 10,
            fee: Amount(Amount::coins(1).0 / 100),
            action: action.into(),
        };
        self.nonces[producer] += 1;
        encode(&body.sign(key))
    }

    /// One anchor of a producer, with `chunks` chunks of all of his devices.
    fn anchor(&mut self, producer: usize, chunks: u32) -> Vec<u8> {
        self.anchored += 1;
        let root = Domain::Seed.hash_of(&self.anchored);
        let before = std::mem::replace(&mut self.catalogues[producer], root);
        let entry = |device: &Address| DeviceCatalogue { device: *device, before, after: root };
        let devices: Vec<_> = self.devices[producer].iter().map(entry).collect();
        let devices = Rising::new(devices).unwrap();
        self.sign(producer, Anchor { root, chunks, devices })
    }

    /// Decodes, verifies, executes and commits a block.
    fn block(&mut self, transactions: Vec<Vec<u8>>) -> Spent {
        let mut spent = Spent::default();
        let started = ProcessTime::now();
        let decoded = transactions.iter().map(|bytes| {
            assert!(bytes.len() <= MAX_TRANSACTION_BYTES);
            Transaction::decode(bytes).unwrap()
        });
        let transactions = Transaction::verify_all(decoded.collect()).unwrap();
        spent.check = started.elapsed();
        let height = self.state.head().version + 1;
        let input = Input {
            chain: self.id,
            height,
            time_ms: height * 1_000,
            proposer: None,
            beacon: None,
            voters: &[],
            evidence: &[],
            transactions: &transactions,
        };
        let started = ProcessTime::now();
        let executed = execute(&self.state, &input).unwrap();
        spent.execute = started.elapsed();
        assert!(executed.receipts.iter().all(|receipt| receipt.refusal.is_none()));
        let started = ProcessTime::now();
        self.state.commit(executed.prepared).unwrap();
        spent.commit = started.elapsed();
        spent
    }
}

/// What an anchor of a shape costs, over some blocks.
fn cost(devices: usize, chunks: u32, per_block: usize, blocks: usize) {
    let mut chain = Chain::new(devices);
    let (mut spent, mut bytes) = (Spent::default(), 0);
    for _ in 0..blocks {
        let transactions: Vec<_> =
            (0..per_block).map(|number| chain.anchor(number % PRODUCERS, chunks)).collect();
        bytes += transactions.iter().map(Vec::len).sum::<usize>();
        let block = chain.block(transactions);
        spent.check += block.check;
        spent.execute += block.execute;
        spent.commit += block.commit;
    }
    let count = (per_block * blocks) as f64;
    let us = |time: Duration| time.as_secs_f64() * 1e6 / count;
    let per_chunk = f64::from(chunks);
    println!(
        "{chunks} chunks of {devices} devices: {:.0} bytes; check {:.1} + execute {:.1} + commit \
         {:.1} = {:.1} µs an anchor, {:.0} anchors a second; {:.3} bytes and {:.4} µs a chunk",
        bytes as f64 / count,
        us(spent.check),
        us(spent.execute),
        us(spent.commit),
        us(spent.all()),
        1e6 / us(spent.all()),
        bytes as f64 / count / per_chunk,
        us(spent.all()) / per_chunk,
    );
}

fn anchors(criterion: &mut Criterion) {
    cost(1, 1, 1_000, 20);
    cost(1, 100, 1_000, 20);
    cost(1, 10_000, 1_000, 20);
    cost(100, 10_000, 100, 20);
    let mut group = criterion.benchmark_group("anchor_ingest");
    group.sample_size(10).throughput(Throughput::Elements(1_000));
    let mut chain = Chain::new(1);
    group.bench_function("block of 1,000 anchors", |bench| {
        bench.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            for _ in 0..iterations {
                let transactions: Vec<_> =
                    (0..1_000).map(|number| chain.anchor(number % PRODUCERS, 1)).collect();
                spent += chain.block(transactions).all();
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, anchors);
criterion_main!(benches);
