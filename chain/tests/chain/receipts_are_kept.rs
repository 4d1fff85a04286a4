//! What became of a transaction is kept beside its block, and proved without executing anything.

use std::sync::Arc;

use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::{Config, Files, Input, Now, Output, Validator};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::ledger::{
    Account, AccountKey, Action, LockCoin, Parameters, Receipt, Refusal, Thing, Transfer, least_fee,
};
use chronolith_chain::light::{Options, Prover, Trusted};
use chronolith_chain::state::Overlay;
use chronolith_chain::transaction::{Body, Transaction};
use chronolith_disk::{Disk, FaultyDisk, SimDisk};

use crate::network::{BEGIN_NS, genesis, identity, sign};
use crate::world::account;

/// A lone validator that commits a transaction at a time.
pub(crate) struct Lone {
    pub(crate) genesis: Genesis,
    pub(crate) disk: SimDisk,
    validator: Validator,
    now_ns: u64,
    /// What it told of each block.
    pub(crate) told: Vec<Vec<Receipt>>,
}

fn files(disk: &Arc<dyn Disk>) -> Files {
    Files { data: Arc::clone(disk), guard: Arc::clone(disk), guard_path: "signed".to_owned() }
}

impl Lone {
    fn new() -> Self {
        let (genesis, disk) = (genesis(1), SimDisk::new());
        let shared = Arc::new(disk.clone()) as Arc<dyn Disk>;
        let config = Config::development();
        let validator =
            Validator::create(&genesis, &files(&shared), Some(identity(0)), config).unwrap();
        Self { genesis, disk, validator, now_ns: 1, told: Vec::new() }
    }

    pub(crate) fn transaction(&self, from: u8, action: Action) -> Transaction {
        let state = Overlay::new(self.validator.state());
        let known: Option<Account> = state.get(&AccountKey { address: account(from) }).unwrap();
        let body = Body {
            version: 1,
            chain: self.genesis.chain_id(),
            sender: account(from),
            nonce: known.unwrap().nonce,
            valid_until: self.validator.blocks().tip().height + 9,
            fee: least_fee(&Parameters::default(), 300, action.weight()),
            action,
        };
        sign(body, from)
    }

    /// Commits transactions in a block of their own.
    fn commit(&mut self, transactions: Vec<Transaction>) {
        let before = self.told.len();
        let mut input = Input::Submit(transactions);
        for _ in 0..100 {
            self.now_ns += 1_000_000;
            let now = Now { elapsed_ns: self.now_ns, time_ns: BEGIN_NS + self.now_ns };
            for output in self.validator.handle(now, input).unwrap() {
                if let Output::Committed { receipts, .. } = output {
                    self.told.push(receipts);
                }
            }
            if self.told.len() > before {
                return;
            }
            input = Input::Tick;
        }
        panic!("no block");
    }

    /// A chain of so many blocks; what the tenth refuses is told.
    pub(crate) fn of(blocks: u64) -> Self {
        let mut lone = Self::new();
        for height in 1..=blocks {
            let mut transactions = vec![lone.transaction(1, payment())];
            if height == 10 {
                let coin = chronolith_chain::hash::CoinId([9; 32]);
                transactions.push(lone.transaction(2, LockCoin { coin }.into()));
            }
            lone.commit(transactions);
        }
        lone
    }

    /// How often the disk is read to open the files, and then to prove the refused transaction of
    /// block 10.
    fn reads(&self) -> (u64, u64) {
        let counted = FaultyDisk::new(Arc::new(self.disk.clone()), None);
        let shared = Arc::new(counted.clone()) as Arc<dyn Disk>;
        let identity = Some(identity(0));
        let config = Config::development();
        let opened = Validator::open(&self.genesis, &files(&shared), identity, config).unwrap();
        let before = counted.reads();
        let prover = Prover::new(opened.blocks(), opened.state());
        let index = self.told[9].iter().position(|receipt| receipt.refusal.is_some()).unwrap();
        let facts = prover.transaction(10, index as u32).unwrap();
        let bundle = prover.bundle(0, Some(10), facts.to_vec()).unwrap();
        let reads = counted.reads() - before;

        let trusted = Trusted::genesis(&self.genesis).unwrap();
        let now = opened.blocks().tip().time_ns;
        let proved = bundle.verify(&trusted, now, &Options::default()).unwrap();
        assert_eq!(proved.header.height, 10);
        (before, reads)
    }
}

pub(crate) fn payment() -> Action {
    let coin = chronolith_chain::coin::Coin::Native;
    Transfer { to: account(3), coin, amount: Amount(1), memo: Default::default() }.into()
}

#[test]
fn an_old_receipt_of_a_chain_of_thousands_is_proved_without_executing_it() {
    let (short, long) = (Lone::of(40), Lone::of(3_000));
    let (of_short, of_long) = (short.reads(), long.reads());
    println!("reads to open and to prove: {of_short:?} of 40 blocks, {of_long:?} of 3,000");
    // A block that is executed, or only looked at, is a page at least.
    assert!(of_long.1 < 60, "{of_long:?}, {of_short:?}");
}

#[test]
fn kept_receipts_are_those_that_were_told_also_after_a_restart_and_until_pruned() {
    let mut lone = Lone::of(12);
    let shared = Arc::new(lone.disk.clone()) as Arc<dyn Disk>;
    let config = Config::development();
    lone.validator =
        Validator::open(&lone.genesis, &files(&shared), Some(identity(0)), config).unwrap();
    for (height, told) in (1..).zip(&lone.told) {
        assert_eq!(lone.validator.blocks().receipts(height).unwrap().as_ref(), Some(told));
    }
    let refusals = lone.told[9].iter().filter_map(|receipt| receipt.refusal.clone());
    assert_eq!(refusals.collect::<Vec<_>>(), [Refusal::Missing(Thing::Coin)]);
    assert_eq!(lone.validator.blocks().receipts(13).unwrap(), None);
    lone.validator.prune(11).unwrap();
    assert_eq!(lone.validator.blocks().receipts(10).unwrap(), None);
    assert!(lone.validator.blocks().receipts(11).unwrap().is_some());
}

#[test]
fn no_damage_to_the_file_gives_other_receipts() {
    let lone = Lone::of(12);
    let genesis = lone.genesis.clone();
    drop(lone.validator);
    let size = lone.disk.read_file("blocks.redb").unwrap().len() as u64;
    let (mut same, mut seen) = (0, 0);
    for offset in (0..size).step_by((size / 500) as usize) {
        let disk = lone.disk.deep_clone();
        disk.flip("blocks.redb", offset, 1 << (offset % 8)).unwrap();
        let shared = Arc::new(disk) as Arc<dyn Disk>;
        let config = Config::development();
        let opened = Validator::open(&genesis, &files(&shared), Some(identity(0)), config);
        match opened.ok().map(|opened| opened.blocks().receipts(10)) {
            Some(Ok(receipts)) => {
                assert_eq!(receipts.as_ref(), Some(&lone.told[9]));
                same += 1;
            }
            _ => seen += 1,
        }
    }
    println!("{same} flips elsewhere, {seen} seen");
    assert!(seen > 0);
}
