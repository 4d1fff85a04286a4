//! `chronolith chain verify`: proofs and exports, from the genesis or one trusted block alone.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use chronolith_chain::ledger::{
    AccountKey, AnchorKey, DeviceKey, ParametersKey, PeerKey, ScheduleKey, SeatsKey, SupplyKey,
    ValidatorKey, audit,
};
use chronolith_chain::light::{Fact, Options};
use chronolith_chain::state::Key;
use clap::Args;
use serde_json::{Value, json};

use super::print_fields;
use super::trust::TrustArgs;
use crate::chain::export;
use crate::chain::prove::{Proof, ProofRefused};
use crate::cli::Outcome;
use crate::cli::usage::Usage;
use crate::rows::rfc3339;

/// Check a proof or an export, from the genesis or one trusted block alone.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyCommand {
    /// The proof or the export
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    /// Check that the proof is about this chunk
    #[arg(long, value_name = "CID")]
    chunk: Option<String>,

    /// How long after its time a header, or the genesis of an export, is trusted; for ever by
    /// default
    #[arg(long, value_name = "DAYS")]
    trusting_days: Option<u64>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl VerifyCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let place = self.file.display();
        let file = File::open(&self.file).with_context(|| format!("cannot open {place}"))?;
        let mut input = BufReader::new(file);
        let is_export = input.peek_magic().with_context(|| format!("cannot read {place}"))?;
        if is_export {
            if self.chunk.is_some() || self.trust.is_of_a_block() {
                let text = "--chunk and --block are for proofs; an export is of a whole chain, \
                            from its genesis on";
                bail!(Usage(text.to_owned()));
            }
            return self.export(&mut input);
        }
        match Proof::read(&mut input) {
            Err(ProofRefused::Magic) => {
                bail!("{place} is neither a proof nor an export, or one of another version")
            }
            read => {
                let (proof, bytes) = read.with_context(|| format!("{place}"))?;
                self.proof(&proof, bytes)
            }
        }
    }

    fn options(&self) -> Options {
        let day = 86_400 * 1_000_000_000;
        Options {
            trusting_period_ns: self.trusting_days.map(|days| days.saturating_mul(day)),
            ..Options::default()
        }
    }

    fn export(&self, input: &mut impl Read) -> Result<Outcome> {
        let replay = self.trust.replay(input, &self.options())?;
        let sums = audit(replay.state()).context("the coin does not add up")?;
        let (tip, root) = (replay.tip(), replay.state().head().root);
        let shown = json!({
            "holds": true,
            "chain": tip.chain,
            "height": tip.height,
            "block": tip.block,
            "state_root": root,
            "coins": sums.len(),
        });
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }

    fn proof(&self, proof: &Proof, bytes: usize) -> Result<Outcome> {
        let proved = self.trust.verify(proof, &self.options())?;
        let mut shown = json!({
            "holds": true,
            "chain": proved.header.chain,
            "height": proved.header.height,
            "block": proved.header.id(),
            "time": i64::try_from(proved.header.time_ns).ok().map(rfc3339),
            "trusted_height": proved.trusted.height(),
            "trusted_block": proved.trusted.block(),
            "validators_hash": proved.header.validators,
            "state_root": proved.header.state_root,
            "transactions": proved.header.transactions.count,
            "bytes": bytes,
            "facts": proof.bundle.facts.iter().map(fact_json).collect::<Result<Vec<_>>>()?,
        });
        let chunk = proof.chunk()?;
        match (&self.chunk, &chunk) {
            (Some(wanted), None) => bail!("the proof is not about a chunk, so not about {wanted}"),
            (Some(wanted), Some(found)) if *wanted != found.chunk.to_string() => {
                bail!("the proof is about the chunk {}, not {wanted}", found.chunk)
            }
            _ => {}
        }
        if let (Some(found), Some(fields)) = (chunk, shown.as_object_mut()) {
            let anchored = i64::try_from(found.anchored.time_ms).ok();
            fields.insert("chunk".to_owned(), json!(found.chunk));
            fields.insert("anchored_by".to_owned(), json!(found.producer));
            fields.insert("anchored_height".to_owned(), json!(found.anchored.height));
            let time = anchored.map(|ms| rfc3339(ms.saturating_mul(1_000_000)));
            fields.insert("anchored_time".to_owned(), json!(time));
            fields.insert("batch_root".to_owned(), json!(found.root));
            fields.insert("batch_chunks".to_owned(), json!(found.anchored.chunks));
        }
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Looks at the first bytes of a file without taking them.
trait PeekMagic {
    /// Whether it begins as an export does.
    fn peek_magic(&mut self) -> std::io::Result<bool>;
}

impl<R: Read> PeekMagic for BufReader<R> {
    fn peek_magic(&mut self) -> std::io::Result<bool> {
        Ok(self.fill_buf()?.starts_with(export::MAGIC))
    }
}

/// What a state holds under a key of a kind, if the bytes are one.
fn value_json<K: Key>(name: &str, key: &[u8], fact: &Fact) -> Result<Option<Value>>
where
    K::Value: serde::Serialize,
{
    let Some(key) = K::from_bytes(key) else { return Ok(None) };
    let value = fact.value(&key)?;
    Ok(Some(json!({"kind": name, "value": value})))
}

/// A fact as JSON; keys of kinds that are not shown by name are shown as bytes.
fn fact_json(fact: &Fact) -> Result<Value> {
    Ok(match fact {
        Fact::State { key, value, .. } => {
            let known = [
                value_json::<AccountKey>("account", key, fact)?,
                value_json::<AnchorKey>("anchor", key, fact)?,
                value_json::<DeviceKey>("device", key, fact)?,
                value_json::<ParametersKey>("parameters", key, fact)?,
                value_json::<PeerKey>("peer", key, fact)?,
                value_json::<ScheduleKey>("schedule", key, fact)?,
                value_json::<SeatsKey>("seats", key, fact)?,
                value_json::<SupplyKey>("supply", key, fact)?,
                value_json::<ValidatorKey>("validator", key, fact)?,
            ];
            let bytes = json!({"kind": "state", "key": key, "value": value});
            known.into_iter().flatten().next().unwrap_or(bytes)
        }
        Fact::Transaction { index, transaction, .. } => {
            let id = transaction.body.id();
            json!({"kind": "transaction", "index": index, "id": id, "transaction": transaction})
        }
        Fact::Receipt { index, receipt, .. } => {
            json!({"kind": "receipt", "index": index, "receipt": receipt})
        }
    })
}
