//! Whatever happens to the bytes of the files of a chain, opening and reading them gives what was
//! committed or an error that says so: no panic, no block that was not committed.
//!
//! `CHRONOLITH_DAMAGES` (400) says how many bytes of each file are flipped; pages are zeroed and put
//! in each other's places half as often, and the file is cut a quarter as often.

use std::sync::Arc;

use chronolith_chain::consensus::{
    Config, ConsensusError, Files, Input, Now, StoreError, Validator,
};
use chronolith_chain::encoding::encode;
use chronolith_chain::history::HistoryProof;
use chronolith_chain::ledger::AccountKey;
use chronolith_chain::light::Prover;
use chronolith_chain::state::{FileError, Key as _, StateError};
use chronolith_disk::{Disk, SimDisk};

use crate::light_clients_cross_terms::{CANDIDATES, chain_of_terms};
use crate::network::{BEGIN_NS, Network, identity};
use crate::random::Random;
use crate::receipts_are_kept::{Lone, payment};
use crate::world::account;

const PAGE: usize = 4096;

fn files(disk: &SimDisk) -> Files {
    let shared = Arc::new(disk.clone()) as Arc<dyn Disk>;
    Files { data: Arc::clone(&shared), guard: shared, guard_path: "signed".to_owned() }
}

/// What one answer says, or why there is none.
type Answer = Result<Vec<u8>, String>;

/// Everything that the files of a node are asked for, in a fixed order.
fn answers(node: &Validator, last: u64) -> Vec<Answer> {
    let (blocks, state) = (node.blocks(), node.state());
    let store = |error: StoreError| error.to_string();
    let mut all: Vec<Answer> = Vec::new();
    for height in 0..=last + 2 {
        all.push(blocks.block(height).map(|block| encode(&block)).map_err(store));
        all.push(blocks.receipts(height).map(|receipts| encode(&receipts)).map_err(store));
        all.push(blocks.validators(height).map(|set| encode(&set)).map_err(store));
        all.push(blocks.step(height).map(|step| encode(&step)).map_err(store));
        let changes = blocks.changes_of_validators(height, last, 100);
        all.push(changes.map(|changes| encode(&changes)).map_err(store));
        let proof = HistoryProof::new(blocks, last, height);
        all.push(proof.map(|proof| encode(&proof)).map_err(|error| error.to_string()));
        let bundle = Prover::new(blocks, state).bundle(height, None, Vec::new());
        all.push(bundle.map(|bundle| encode(&bundle)).map_err(|error| error.to_string()));
    }
    all.push(blocks.first_validators().map(|first| encode(&first)).map_err(store));
    all.push(Ok(encode(&blocks.oldest())));
    for head in state.versions().collect::<Vec<_>>() {
        let mut entries = Vec::new();
        let whole = state.for_each_at(head.version, &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
        });
        entries.sort();
        let of_state = |error: StateError| error.to_string();
        all.push(whole.map(|()| encode(&(head, entries))).map_err(of_state));
        let key = AccountKey { address: account(1) }.to_bytes();
        let proved = state.prove(head.version, &key);
        all.push(proved.map(|proved| encode(&proved)).map_err(of_state));
    }
    all
}

/// A file that was damaged, and how.
struct Damaged {
    how: String,
    bytes: Vec<u8>,
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Copies of a file, each damaged in one place; mostly where there is something.
fn damages(bytes: &[u8], seed: u64) -> impl Iterator<Item = Damaged> {
    let count = number("CHRONOLITH_DAMAGES", 400);
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let pages: Vec<usize> = (0..bytes.len() / PAGE)
        .filter(|page| bytes[page * PAGE..(page + 1) * PAGE].iter().any(|byte| *byte != 0))
        .collect();
    let mut random = Random(seed);
    let whole = bytes.to_vec();
    (0..count * 9 / 4).map(move |index| {
        let mut bytes = whole.clone();
        let mut page = || *random.pick(&pages) * PAGE;
        let how = if index < count {
            let (header, spread) = (index, index * used.len() / count);
            // The first bytes are redb's own header.
            let at = if index < count / 4 { header } else { used[spread] };
            bytes[at] ^= 1 << (index % 8);
            format!("a bit of byte {at} flipped")
        } else if index < count * 3 / 2 {
            let at = page();
            bytes[at..at + PAGE].fill(if index % 3 == 0 { 0xff } else { 0 });
            format!("the page at {at} wiped")
        } else if index < count * 2 {
            let (from, to) = (page(), page());
            let copied = bytes[from..from + PAGE].to_vec();
            bytes[to..to + PAGE].copy_from_slice(&copied);
            format!("the page at {from} written over that at {to}")
        } else {
            let at = (index - count * 2) * bytes.len() * 4 / count;
            let at = (at + index % 2).min(bytes.len() - 1);
            bytes.truncate(at);
            format!("cut at {at}")
        };
        Damaged { how, bytes }
    })
}

fn put(disk: &SimDisk, path: &str, bytes: &[u8]) {
    disk.remove(path).unwrap();
    let file = disk.open(path).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
}

/// Whether an error of opening says that files are damaged, and what to do.
fn is_typed(error: &ConsensusError) -> bool {
    matches!(
        error,
        ConsensusError::State(
            StateError::File(_) | StateError::Damaged { .. } | StateError::Decode(_),
        ) | ConsensusError::Store(StoreError::File(_) | StoreError::Damaged(_))
            | ConsensusError::Behind { .. }
            | ConsensusError::Pruned { .. }
    )
}

fn follower_of_terms() -> (Network, SimDisk) {
    let mut network = chain_of_terms();
    let node = usize::from(CANDIDATES);
    network.stop(node);
    let disk = network.nodes[node].data.clone();
    (network, disk)
}

#[test]
fn every_damage_of_a_file_gives_the_right_answer_or_an_error() {
    let (network, disk) = follower_of_terms();
    let genesis = &network.genesis;
    let open = |disk: &SimDisk| Validator::open(genesis, &files(disk), None, network.config);
    let whole = open(&disk).unwrap();
    let last = whole.blocks().tip().height;
    let expected = answers(&whole, last);
    let sets = whole.blocks().changes_of_validators(1, last, 100).unwrap();
    assert!(sets.len() >= 3, "{sets:?}");
    drop(whole);

    for (path, seed) in [("blocks.redb", 1), ("state.redb", 2)] {
        let (mut right, mut refused, mut partly) = (0, 0, 0);
        for Damaged { how, bytes } in damages(&disk.read_file(path).unwrap(), seed) {
            let damaged = disk.deep_clone();
            put(&damaged, path, &bytes);
            let node = match open(&damaged) {
                Ok(node) => node,
                Err(error) => {
                    assert!(is_typed(&error), "{path}, {how}: {error:?}");
                    refused += 1;
                    continue;
                }
            };
            assert_eq!(node.blocks().tip().height, last, "{path}, {how}");
            let found = answers(&node, last);
            let mut errors = 0;
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                match (found, expected) {
                    (Ok(found), Ok(expected)) => {
                        assert_eq!(found, expected, "{path}, {how}: answer {index}");
                    }
                    (Err(_), Err(_)) => {}
                    (Err(_), Ok(_)) => errors += 1,
                    (Ok(_), Err(error)) => panic!("{path}, {how}: answer {index}, not {error}"),
                }
            }
            assert_eq!(found.len(), expected.len(), "{path}, {how}");
            *(if errors == 0 { &mut right } else { &mut partly }) += 1;
        }
        println!("{path}: {right} all right, {partly} in part, {refused} refused at opening");
        assert!(right > 0 && refused > 0);
    }
}

/// A lone validator makes blocks on what is damaged, is closed, and opened again.
#[test]
fn a_chain_that_goes_on_with_damaged_files_has_no_other_blocks() {
    let lone = Lone::of(30);
    let (genesis, disk, told) = (lone.genesis.clone(), lone.disk.clone(), lone.told.clone());
    let next = lone.transaction(1, payment());
    drop(lone);
    let open = |disk: &SimDisk| {
        Validator::open(&genesis, &files(disk), Some(identity(0)), Config::development())
    };
    let whole = open(&disk).unwrap();
    let expected: Vec<_> =
        (1..=30).map(|height| encode(&whole.blocks().block(height).unwrap().unwrap())).collect();
    drop(whole);
    let check = |node: &Validator, how: &str| {
        for height in 1..=30 {
            if let Ok(block) = node.blocks().block(height) {
                assert!(encode(&block.unwrap()) == expected[height as usize - 1], "{how}");
            }
            if let Ok(receipts) = node.blocks().receipts(height) {
                assert!(receipts.unwrap() == told[height as usize - 1], "{how}");
            }
        }
    };

    let (mut went_on, mut ended, mut refused, mut longer) = (0, 0, 0, 0);
    for path in ["blocks.redb", "state.redb"] {
        for Damaged { how, bytes } in damages(&disk.read_file(path).unwrap(), 3) {
            let damaged = disk.deep_clone();
            put(&damaged, path, &bytes);
            let mut node = match open(&damaged) {
                Ok(node) => node,
                Err(error) => {
                    assert!(is_typed(&error), "{path}, {how}: {error:?}");
                    refused += 1;
                    continue;
                }
            };
            let mut outcome = Ok(());
            let mut input = Some(Input::Submit(vec![next.clone()]));
            for step in 1..40_u64 {
                let ns = step * 1_000_000_000;
                let now = Now { elapsed_ns: ns, time_ns: BEGIN_NS + 3_600_000_000_000 + ns };
                let input = input.take().unwrap_or(Input::Tick);
                if let Err(error) = node.handle(now, input) {
                    assert!(is_typed(&error), "{path}, {how}: {error:?}");
                    outcome = Err(());
                    break;
                }
            }
            check(&node, &how);
            longer += usize::from(node.blocks().tip().height > 30);
            drop(node);
            *(if outcome.is_ok() { &mut went_on } else { &mut ended }) += 1;
            match open(&damaged) {
                Ok(node) => check(&node, &how),
                Err(error) => assert!(is_typed(&error), "{path}, {how}: {error:?}"),
            }
        }
    }
    println!(
        "{went_on} went on, {ended} ended, {refused} refused at opening; {longer} made blocks"
    );
    assert!(went_on > 0 && refused > 0 && longer > 0);
}

#[test]
fn an_empty_file_and_one_of_the_first_format_are_told_apart() {
    let lone = Lone::of(3);
    let (genesis, disk) = (lone.genesis.clone(), lone.disk.clone());
    drop(lone);
    let open = |disk: &SimDisk| {
        Validator::open(&genesis, &files(disk), Some(identity(0)), Config::development())
            .err()
            .unwrap()
    };
    let empty = disk.deep_clone();
    put(&empty, "blocks.redb", &[]);
    let error = open(&empty);
    assert!(
        matches!(error, ConsensusError::Store(StoreError::File(FileError::Broken { .. }))),
        "{error:?}"
    );
    assert!(error.to_string().contains("blocks.redb"), "{error}");
    assert!(error.to_string().contains("join by a snapshot"), "{error}");
}
