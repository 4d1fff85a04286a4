//! What is trusted of a chain: its genesis, the hash of it, or a block.

use std::io::Read;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::{BlockId, ChainId};
use chronolith_chain::light::{Options, Proved};
use clap::Args;

use crate::chain::prove::Proof;
use crate::chain::{Replay, export, read_genesis, read_genesis_file};
use crate::cli::usage::Usage;
use crate::wallet::secret_of;

/// What is trusted.
#[derive(Debug, Args)]
pub(in crate::cli) struct TrustArgs {
    /// Trust the genesis in this file, or in this directory of a chain
    #[arg(long, value_name = "FILE|DIR")]
    genesis: Option<PathBuf>,

    /// Trust the genesis with this hash, which is the id of the chain
    #[arg(long, value_name = "HASH", conflicts_with = "genesis")]
    trust: Option<String>,

    /// Trust the block with this id, and need no genesis; the proof must begin there (--since)
    #[arg(long, value_name = "HASH", conflicts_with_all = ["genesis", "trust"])]
    block: Option<String>,
}

fn hash_of(text: &str) -> Result<[u8; 32]> {
    let wrong = |_| Usage(format!("{text:?} is no hash: 64 hexadecimal digits"));
    Ok(secret_of(text).map_err(wrong)?)
}

/// The time in nanoseconds since the epoch.
fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

impl TrustArgs {
    /// The id of the chain that is trusted.
    pub(in crate::cli) fn trusted(&self) -> Result<ChainId> {
        if let Some(text) = &self.trust {
            return Ok(ChainId(hash_of(text)?));
        }
        match self.genesis()? {
            Some(genesis) => Ok(genesis.chain_id()),
            None => bail!(Usage("say what is trusted: --trust HASH or --genesis FILE".to_owned())),
        }
    }

    fn genesis(&self) -> Result<Option<Genesis>> {
        let Some(path) = &self.genesis else { return Ok(None) };
        if path.is_dir() {
            return Ok(Some(read_genesis(path)?));
        }
        Ok(Some(read_genesis_file(path)?))
    }

    /// Whether a block is trusted, and not the genesis.
    pub(in crate::cli) fn is_of_a_block(&self) -> bool {
        self.block.is_some()
    }

    /// What is trusted, for a proved answer.
    #[cfg(feature = "sql")]
    pub(in crate::cli) fn of_answer(&self) -> Result<crate::answer::Trust> {
        use crate::answer::Trust;
        if let Some(block) = &self.block {
            return Ok(Trust::Block(BlockId(hash_of(block)?)));
        }
        match self.genesis()? {
            Some(genesis) => Ok(Trust::Genesis(Box::new(genesis))),
            None => Ok(Trust::Chain(self.trusted()?)),
        }
    }

    /// Checks an export.
    pub(in crate::cli) fn replay(
        &self,
        export: &mut impl Read,
        options: &Options,
    ) -> Result<Replay> {
        Ok(export::verify(export, self.trusted()?, now_ns(), options)?)
    }

    /// Checks a proof but for what it says of a chunk.
    pub(in crate::cli) fn verify(&self, proof: &Proof, options: &Options) -> Result<Proved> {
        let now_ns = now_ns();
        if let Some(block) = &self.block {
            return Ok(proof.verify_since(BlockId(hash_of(block)?), now_ns, options)?);
        }
        let own = self.genesis()?;
        let genesis = match &own {
            Some(genesis) => genesis,
            None => proof.genesis_of(self.trusted()?)?,
        };
        Ok(proof.verify(genesis, now_ns, options)?)
    }
}
