//! `chronolith chain tx`: a transaction in, or out.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use chronolith_chain::hash::TransactionId;
use chronolith_chain::transaction::Transaction;
use clap::Args;
use serde_json::{Value, json};

use super::{ChainArgs, ProveArgs, coins, print_fields};
use crate::chain::{Chain, Settled};
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

/// Reads JSON from a file or standard input.
pub(in crate::cli) fn read_json<T: serde::de::DeserializeOwned>(path: &str) -> Result<T> {
    let mut text = String::new();
    let context = || format!("cannot read {path}");
    let mut input: Box<dyn std::io::Read> = match path {
        "-" => Box::new(std::io::stdin().lock()),
        _ => Box::new(std::fs::File::open(path).with_context(context)?),
    };
    input.by_ref().take(JSON_MOST + 1).read_to_string(&mut text).with_context(context)?;
    if text.len() as u64 > JSON_MOST {
        bail!("{path} is longer than {JSON_MOST} bytes, which no transaction is");
    }
    let mut input = serde_json::Deserializer::from_str(&text);
    let value = serde_path_to_error::deserialize(&mut input)
        .with_context(|| format!("{path} is not the JSON of a transaction"))?;
    input.end().with_context(|| format!("there is more in {path} than a transaction"))?;
    Ok(value)
}

/// What became of a transaction.
pub(in crate::cli) fn settled_json(settled: &Settled) -> Value {
    let Settled { height, index, receipt } = settled;
    json!({
        "id": receipt.transaction,
        "height": height,
        "index": index,
        "fee": coins(receipt.fee),
        "refusal": receipt.refusal,
        "reason": receipt.refusal.as_ref().map(ToString::to_string),
    })
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
        let is_file = self.what == "-" || Path::new(&self.what).exists();
        match secret_of(&self.what).ok().filter(|_| !is_file) {
            Some(id) => self.show(TransactionId(id)),
            None => self.submit(),
        }
    }

    fn submit(&self) -> Result<Outcome> {
        let transaction: Transaction = read_json(&self.what)?;
        let mut chain = self.chain.open()?;
        let settled = chain.commit(vec![transaction])?;
        let Some(settled) = settled.first() else { bail!("nothing was handed in") };
        let mut shown = settled_json(settled);
        let Settled { height, index, .. } = *settled;
        self.prove.save(&mut shown, |since| since.transaction(&chain, height, index))?;
        print_settled(self.json, &shown, settled)
    }

    fn show(&self, id: TransactionId) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let Some((height, index, transaction)) = find(&chain, id)? else {
            bail!("there is no transaction {id} on the chain");
        };
        let receipts = chain.blocks()?.receipts(height)?.unwrap_or_default();
        let receipt = receipts.get(index as usize).cloned().context("the block has no receipt")?;
        let settled = Settled { height, index, receipt };
        let mut shown = settled_json(&settled);
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
