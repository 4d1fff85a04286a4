//! Writes a seed corpus of real encodings: `seeds FOLDER` makes files in `FOLDER/TARGET`.

use std::io;
use std::path::PathBuf;

use chronolith_chain::consensus::snapshot::SnapshotHead;
use chronolith_chain::encoding::encode;
use chronolith_chain::history::History;
use chronolith_chain::light::Fact;
use chronolith_chain_fuzz::{Seed, deals, own_files, said, seed};
// Everything here is built with coverage counters; this brings what they are registered with.
use libfuzzer_sys as _;

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: seeds FOLDER"))?;
    let folder = PathBuf::from(folder);
    let Seed { genesis, set, header, block, certificate, transaction, .. } = seed();
    let Seed { vote, evidence, bundle, piece, tip, .. } = seed();
    let proof = bundle.facts.iter().find_map(|fact| match fact {
        Fact::State { proof, .. } => Some(encode(proof)),
        _ => None,
    });
    let head = bundle.steps.first().map(|step| SnapshotHead {
        step: step.clone(),
        history: History::genesis(genesis.chain_id()),
        bits: 0,
    });
    let [log, guard] = own_files();
    let json = |value: serde_json::Result<Vec<u8>>| value.map_err(io::Error::other);
    let mut seeds = vec![
        ("height_log", log),
        ("json", json(serde_json::to_vec(transaction))?),
        ("json", json(serde_json::to_vec(genesis))?),
        ("sign_guard", guard),
        ("block", encode(block)),
        ("bundle", encode(bundle)),
        ("certificate", encode(certificate)),
        ("evidence", encode(evidence)),
        ("genesis", encode(genesis)),
        ("header", encode(header)),
        ("snapshot", encode(piece)),
        ("snapshot_head", head.map(|head| encode(&head)).unwrap_or_default()),
        ("state_proof", proof.unwrap_or_default()),
        ("tip", encode(tip)),
        ("transaction", encode(transaction)),
        ("validator_set", encode(set)),
        ("vote", encode(vote)),
    ];
    for transaction in deals::transactions() {
        seeds.push(("transaction", encode(&transaction)));
        seeds.push(("json", json(serde_json::to_vec(&transaction))?));
    }
    seeds.extend(deals::values().into_iter().map(|value| ("deals", value)));
    for some in said() {
        seeds.extend(some.iter().map(|message| ("message", encode(message))));
        seeds.push(("peer", some.iter().flat_map(encode).collect()));
    }
    for (number, (target, bytes)) in seeds.into_iter().enumerate() {
        std::fs::create_dir_all(folder.join(target))?;
        std::fs::write(folder.join(target).join(format!("{number:03}")), bytes)?;
    }
    Ok(())
}
