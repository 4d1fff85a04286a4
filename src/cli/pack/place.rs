//! `chronolith pack place`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use chronolith_chain::coin::Amount;
use clap::Args;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::chain::{WalletArgs, amount, print_fields};
use crate::cli::net::NodeArgs;
use crate::cli::output::say;
use crate::node::placing::{Placer, Progress, Terms, ToPlace};
use crate::node::submit::Submitter;
use crate::packs::{load_pack, load_regions, load_secret, secret_beside};

/// Have packs kept by storage peers.
///
/// The packs are placed on the ledger, peers are drawn for their fragments after the end of the epoch,
/// and each is handed its own and leases them. What is paid is set aside at once, and paid for each
/// epoch in which a peer passes its audit. Running it again goes on where it was broken off.
#[derive(Debug, Args)]
pub(in crate::cli) struct PlaceCommand {
    /// The packs: .car files with their .mask files beside them, as `pack make` writes them. Where there is
    /// a .regions file, too, their fragments go to peers of these regions alone
    #[arg(value_name = "PACK", required = true)]
    packs: Vec<PathBuf>,

    #[command(flatten)]
    node: NodeArgs,

    #[command(flatten)]
    wallet: WalletArgs,

    /// The key of the account that pays
    #[arg(long, value_name = "NAME", default_value = "main")]
    from: String,

    #[command(flatten)]
    terms: TermsArgs,
}

/// On which terms packs are kept.
#[derive(Debug, Args)]
pub(in crate::cli) struct TermsArgs {
    /// For how many epochs they are kept
    #[arg(long, value_name = "COUNT")]
    epochs: u64,

    /// What is paid for a fragment and an epoch, in coin [default: what twice as many peers ask as
    /// there are fragments]
    #[arg(long, value_name = "COIN", value_parser = amount)]
    price: Option<Amount>,

    /// An account that may rebuild lost fragments, and is entrusted with the packs' secrets: up to 4.
    /// It must be a storage peer, and keeps none of their fragments
    #[arg(long = "repairer", value_name = "ACCOUNT")]
    repairers: Vec<String>,

    /// What a repairer gets for each fragment, in coin
    #[arg(long, value_name = "COIN", value_parser = amount, default_value = "0")]
    repair_fee: Amount,

    /// How many rebuilt fragments are paid for
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    repairs: u16,

    /// How many seconds anything is waited for: a block, the end of an epoch
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800)]
    deadline: u64,
}

impl TermsArgs {
    pub(in crate::cli) fn terms(&self, wallet: &WalletArgs) -> Result<Terms> {
        let repairers = self.repairers.iter().map(|text| wallet.address(text));
        Ok(Terms {
            epochs: self.epochs,
            price: self.price,
            repairers: repairers.collect::<Result<_>>()?,
            repair_fee: self.repair_fee,
            repairs: self.repairs,
        })
    }

    /// How long anything is waited for.
    pub(in crate::cli) fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline)
    }
}

impl PlaceCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let mut packs = Vec::new();
        for place in &self.packs {
            let pack = load_pack(place)?;
            let secret = load_secret(&secret_beside(place, pack.content_id()))?;
            let regions = load_regions(place, pack.content_id())?;
            packs.push(ToPlace { pack, secret, regions });
        }
        let key = self.wallet.load(&self.from)?;
        let terms = self.terms.terms(&self.wallet)?;
        let client = self.node.client()?;
        let submitter = Submitter::new(&client, key.signer(), self.terms.deadline())?;
        let (json, mut fragments, mut peers, mut untrusted) = (self.node.json, 0, 0, 0);
        let mut tell = |progress: Progress| {
            match &progress {
                Progress::Leased { fragments: leased, .. } => {
                    (fragments, peers) = (fragments + leased, peers + 1);
                }
                Progress::Entrusted { error: Some(_), .. } => untrusted += 1,
                _ => {}
            }
            if !json {
                eprintln!("{progress}");
            }
        };
        Placer::new(submitter, &mut tell).place(&packs, &terms)?;
        let ids: Vec<_> = packs.iter().map(|one| one.pack.content_id().to_string()).collect();
        let shown = json!({
            "packs": ids,
            "owner": key.address,
            "leased_fragments": fragments,
            "leases": peers,
        });
        print_fields(json, &shown)?;
        if !json {
            for id in &ids {
                say!("next, from any machine: chronolith fetch {id}");
            }
        }
        if untrusted > 0 {
            bail!("{untrusted} secrets did not reach their repairers; run it again to try again");
        }
        Ok(Outcome::Done)
    }
}
