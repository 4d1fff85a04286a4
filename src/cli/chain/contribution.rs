//! `chronolith chain contribution`: what each node did for the network.

use std::collections::BTreeSet;

use anyhow::Result;
use chronolith_chain::address::Address;
use chronolith_chain::ledger::{
    AccountKey, Contribution, ParametersKey, PeerKey, ValidatorKey, contribution,
};
use chronolith_chain::state::{Key as _, Overlay};
use clap::Args;
use serde_json::json;

use super::{ChainArgs, ProveArgs, WalletArgs, coins, print_fields};
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
        let state = chain.state()?;
        let mut nodes: BTreeSet<Address> = only.into_iter().collect();
        if only.is_none() {
            let view = Overlay::new(state);
            let validators = view.scan::<ValidatorKey>(&[], usize::MAX)?;
            let peers = view.scan::<PeerKey>(&[], usize::MAX)?;
            nodes.extend(validators.into_iter().map(|(key, _)| key.validator));
            nodes.extend(peers.into_iter().map(|(key, _)| key.peer));
        }
        let mut shown = Vec::new();
        let mut keys = vec![ParametersKey {}.to_bytes()];
        for address in nodes {
            let found: Contribution = contribution(state, address)?;
            shown.push(json!({
                "account": address,
                "score": found.score().to_string(),
                "fees_burnt": coins(found.fees_burnt),
                "fee_points": found.fee_points.to_string(),
                "audits_passed": found.audits_passed,
                "audit_points": found.audit_points.to_string(),
                "stake_blocks": found.stake_blocks.to_string(),
                "bond_points": found.bond_points.to_string(),
            }));
            keys.push(AccountKey { address }.to_bytes());
            keys.push(PeerKey { peer: address }.to_bytes());
            keys.push(ValidatorKey { validator: address }.to_bytes());
        }
        let mut shown = json!({"height": chain.height()?, "nodes": shown});
        self.prove.save(&mut shown, |since| since.entries(&chain, &keys))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}
