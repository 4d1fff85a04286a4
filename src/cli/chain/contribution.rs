//! `chronolith chain contribution`: what each node did for the network.

use anyhow::Result;
use chronolith_chain::ledger::{AccountKey, ParametersKey, PeerKey, ValidatorKey};
use chronolith_chain::state::Key as _;
use clap::Args;

use super::{ChainArgs, ProveArgs, WalletArgs, print_fields};
use crate::chain::shown;
use crate::cli::Outcome;

/// List what each node contributed: its score, and what that follows from.
#[derive(Debug, Args)]
pub(in crate::cli) struct ContributionCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Only this account: an address, or the name of a key; all validators and storage peers by
    /// default
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ContributionCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let only = self.account.as_deref().map(|text| self.wallet.address(text)).transpose()?;
        let chain = self.chain.open()?;
        let (mut shown, nodes) = shown::contributions(chain.state()?, only, chain.height()?)?;
        let mut keys = vec![ParametersKey {}.to_bytes()];
        for address in nodes {
            keys.push(AccountKey { address }.to_bytes());
            keys.push(PeerKey { peer: address }.to_bytes());
            keys.push(ValidatorKey { validator: address }.to_bytes());
        }
        self.prove.save(&mut shown, |since| since.entries(&chain, &keys))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}
