//! `chronolith chain anchor`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chronolith_chain::ledger::AnchorKey;
use chronolith_chain::state::Overlay;
use chronolith_engine::Db;
use clap::Args;
use serde_json::{Value, json};

use super::{ChainArgs, WalletArgs, coins, print_fields};
use crate::chain::prove::{ChunkPath, Since};
use crate::chain::{Chain, anchor};
use crate::cli::Outcome;
use crate::cli::database::DatabaseArgs;
use crate::cli::whole;
use crate::rows::rfc3339;
use crate::wallet::AccountKey;

/// Anchor the seal batches of a database that are not anchored yet.
#[derive(Debug, Args)]
pub(in crate::cli) struct AnchorCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,

    /// The key of the account that anchors and pays
    #[arg(long, value_name = "NAME", default_value = "main")]
    account: String,

    /// Also write the proof that this chunk is anchored, to --prove
    #[arg(long, value_name = "CID", requires = "prove")]
    chunk: Option<String>,

    /// The file of the proof
    #[arg(long, value_name = "FILE", requires = "chunk")]
    prove: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Anchors the seal batches of a database that are not on a chain yet, and says which.
pub(in crate::cli) fn anchor_all(
    chain: &mut Chain,
    db: &Db,
    account: &AccountKey,
) -> Result<Value> {
    let report = anchor::anchor(chain, db, account)?;
    let registered: Vec<_> = report
        .registered
        .iter()
        .map(|(name, device)| json!({"device": name, "key": device}))
        .collect();
    let left_out = report.left_out.iter();
    let left_out: Vec<_> = left_out
        .map(|(name, one)| json!({"device": name, "key": one.device, "why": one.why.to_string()}))
        .collect();
    let anchored: Vec<_> = report
        .anchored
        .iter()
        .map(|batch| {
            json!({
                "batch": batch.batch,
                "root": batch.root,
                "chunks": batch.chunks,
                "devices": batch.devices,
                "height": batch.height,
                "transactions": batch.transactions,
                "fee": coins(batch.fee),
            })
        })
        .collect();
    let mut shown = json!({
        "account": account.address,
        "height": chain.height()?,
        "registered": registered,
        "anchored": anchored,
        "known": report.known,
    });
    if !left_out.is_empty() {
        shown["left_out"] = json!(left_out);
    }
    Ok(shown)
}

impl AnchorCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let account = self.wallet.load(&self.account)?;
        let db = self.database.read()?;
        let mut chain: Chain = self.chain.open()?;
        // Before anything is anchored and paid for: there may be no such chunk.
        let path = self.chunk.as_ref().map(|cid| anchor::path(&db, cid, account.address));
        let path = path.transpose()?;
        let mut shown = anchor_all(&mut chain, &db, &account)?;
        let proved = match (path, &self.prove) {
            (Some(path), Some(file)) => prove(&chain, path, file, &mut shown),
            _ => Ok(()),
        };
        // What is anchored is so whatever became of the proof.
        print_fields(self.json, &shown)?;
        proved.context("the batches are anchored, but the chunk is not proved")?;
        Ok(Outcome::Done)
    }
}

/// Writes the proof that a chunk is anchored, and says so in `shown`.
fn prove(chain: &Chain, path: ChunkPath, file: &Path, shown: &mut Value) -> Result<()> {
    let key = AnchorKey { producer: path.producer, root: path.root.0 };
    let anchored = Overlay::new(chain.state()?).get(&key)?;
    let chunk = path.chunk;
    let bytes = Since::default().chunk(chain, path)?.to_bytes()?;
    whole::replace(file, &bytes)?;
    if let Some(fields) = shown.as_object_mut() {
        let since = anchored.and_then(|at| i64::try_from(at.time_ms).ok());
        let since = since.map(|ms| rfc3339(ms.saturating_mul(1_000_000)));
        fields.insert("chunk".to_owned(), json!(chunk));
        fields.insert("chunk_anchored".to_owned(), json!(since));
        fields.insert("proof".to_owned(), json!(file));
        fields.insert("proof_bytes".to_owned(), json!(bytes.len()));
    }
    Ok(())
}
