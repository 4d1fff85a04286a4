//! `chronolith chain tx`: a transaction in, or out.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use chronolith_chain::hash::TransactionId;
use chronolith_chain::transaction::Transaction;
use clap::Args;
use serde_json::Value;

use super::{ChainArgs, ProveArgs, print_fields};
use crate::chain::{Chain, ChainError, Settled, shown};
use crate::cli::Outcome;
use crate::wallet::secret_of;

/// The longest JSON of a transaction that is read: bytes. The binary encoding has 64 KiB at most,
/// and hexadecimal digits are twice as long.
const JSON_MOST: u64 = 1 << 20;

/// Hand in a transaction, or show one.
#[derive(Debug, Args)]
pub(in crate::cli) struct TxCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// A file with a signed transaction as JSON (`-` for standard input), or the id of one in a block
    #[arg(value_name = "FILE|ID")]
    what: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What a file is called, and its bytes; `-` is standard input.
pub(in crate::cli) fn input(path: &str) -> Result<(&str, Box<dyn Read>)> {
    if path == "-" {
        return Ok(("standard input", Box::new(std::io::stdin().lock())));
    }
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {path}"))?;
    Ok((path, Box::new(file)))
}

/// Reads the JSON of something, such as `a transaction`, from a file or standard input.
pub(in crate::cli) fn read_json<T: serde::de::DeserializeOwned>(
    path: &str,
    what: &str,
) -> Result<T> {
    let (place, input) = input(path)?;
    let mut bytes = Vec::new();
    let context = || format!("cannot read {place}");
    input.take(JSON_MOST + 1).read_to_end(&mut bytes).with_context(context)?;
    if bytes.len() as u64 > JSON_MOST {
        bail!("{place} is longer than {JSON_MOST} bytes, which is too long for {what}");
    }
    let mut input = serde_json::Deserializer::from_slice(&bytes);
    let value = serde_path_to_error::deserialize(&mut input)
        .with_context(|| format!("{place} is not the JSON of {what}"))?;
    input.end().with_context(|| format!("there is more in {place} than {what}"))?;
    Ok(value)
}

/// Prints what became of a transaction; exit code 1 where its action was refused.
pub(in crate::cli) fn print_settled(
    json: bool,
    shown: &Value,
    settled: &Settled,
) -> Result<Outcome> {
    print_fields(json, shown)?;
    match &settled.receipt.refusal {
        None => Ok(Outcome::Done),
        Some(refusal) => {
            eprintln!("chronolith: the ledger refuses the action, and the fee is paid: {refusal}");
            Ok(Outcome::Faults)
        }
    }
}

impl TxCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        if self.what == "-" || Path::new(&self.what).exists() {
            return self.submit();
        }
        let what = "neither a file nor the id of a transaction, which is 64 hexadecimal digits";
        let id = secret_of(&self.what).map_err(|_| anyhow!("{} is {what}", self.what))?;
        self.show(TransactionId(id))
    }

    fn submit(&self) -> Result<Outcome> {
        let transaction: Transaction = read_json(&self.what, "a transaction")?;
        let mut chain = self.chain.open()?;
        let id = transaction.body.id();
        let settled = match chain.commit(vec![transaction]) {
            // Who was stopped before he was told hands it in again.
            Err(error @ ChainError::Refused(_)) => {
                let Some((height, ..)) = find(&chain, id)? else { return Err(error.into()) };
                bail!("block {height} holds this transaction already: {error}");
            }
            settled => settled?,
        };
        let Some(settled) = settled.first() else { bail!("nothing was handed in") };
        let mut shown = shown::settled(settled);
        let Settled { height, index, .. } = *settled;
        let proved = self.prove.save(&mut shown, |since| since.transaction(&chain, height, index));
        // It is in a block whatever became of its proof.
        let outcome = print_settled(self.json, &shown, settled)?;
        proved.context("the transaction is in a block, but not proved")?;
        Ok(outcome)
    }

    fn show(&self, id: TransactionId) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let Some((height, index, transaction)) = find(&chain, id)? else {
            bail!("there is no transaction {id} on the chain");
        };
        let receipts = chain.blocks()?.receipts(height)?.unwrap_or_default();
        let receipt = receipts.get(index as usize).cloned().context("the block has no receipt")?;
        let settled = Settled { height, index, receipt };
        let mut shown = shown::settled(&settled);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("transaction".to_owned(), serde_json::to_value(&transaction)?);
        }
        self.prove.save(&mut shown, |since| since.transaction(&chain, height, index))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Looks for a transaction, from the last block back.
fn find(chain: &Chain, id: TransactionId) -> Result<Option<(u64, u32, Transaction)>> {
    for height in (chain.blocks()?.oldest()..=chain.height()?).rev() {
        let block = chain.block(height)?.block;
        for (index, transaction) in (0..).zip(block.transactions.iter()) {
            if transaction.body.id() == id {
                return Ok(Some((height, index, transaction.clone())));
            }
        }
    }
    Ok(None)
}
