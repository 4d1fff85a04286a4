//! `chronolith chain anchor`.

use std::path::PathBuf;

use anyhow::Result;
use chronolith_chain::ledger::AnchorKey;
use chronolith_chain::state::Overlay;
use chronolith_engine::Db;
use clap::Args;
use serde_json::{Value, json};

use super::{ChainArgs, WalletArgs, coins, print_fields};
use crate::chain::prove::Since;
use crate::chain::{Chain, anchor};
use crate::cli::Outcome;
use crate::cli::database::DatabaseArgs;
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
    Ok(json!({
        "account": account.address,
        "height": chain.height()?,
        "registered": registered,
        "anchored": anchored,
        "known": report.known,
    }))
}

impl AnchorCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let account = self.wallet.load(&self.account)?;
        let db = self.database.read()?;
        let mut chain: Chain = self.chain.open()?;
        let mut shown = anchor_all(&mut chain, &db, &account)?;
        if let (Some(cid), Some(file)) = (&self.chunk, &self.prove) {
            let path = anchor::path(&db, cid, account.address)?;
            let key = AnchorKey { producer: path.producer, root: path.root.0 };
            let anchored = Overlay::new(chain.state()?).get(&key)?;
            let bytes = Since::default().chunk(&chain, path)?.to_bytes();
            super::write_file(file, &bytes)?;
            if let Some(fields) = shown.as_object_mut() {
                let since = anchored.and_then(|at| i64::try_from(at.time_ms).ok());
                let since = since.map(|ms| rfc3339(ms.saturating_mul(1_000_000)));
                fields.insert("chunk".to_owned(), json!(cid));
                fields.insert("chunk_anchored".to_owned(), json!(since));
                fields.insert("proof".to_owned(), json!(file));
                fields.insert("proof_bytes".to_owned(), json!(bytes.len()));
            }
        }
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}
