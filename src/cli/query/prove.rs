//! `chronolith query --prove`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use chronolith_chain::address::Address;
use chronolith_query::{Limits, Sql};
use clap::{Args, ValueEnum};

use crate::answer::{AnchorTimes, Made, MakeSettings, Replay, make};
use crate::chain::Chain;
use crate::chain::prove::Since;
use crate::cli::answer::{Nonce, device, nonce};
use crate::cli::usage::Usage;
use crate::cli::whole;
use crate::wallet::Wallet;

/// How an answer is proved.
#[derive(Debug, Args)]
#[command(next_help_heading = "Proving the answer")]
pub(super) struct ProveArgs {
    /// Answer from what is anchored on --chain alone, and write the answer with its proof to this file, for
    /// chronolith verify answer
    #[arg(long, value_name = "FILE", requires = "chain")]
    prove: Option<PathBuf>,

    /// The directory of the chain
    #[arg(long, value_name = "DIR", requires = "prove")]
    chain: Option<PathBuf>,

    /// Begin the proof at the block of this height, which the verifier trusts already [default: the
    /// genesis]
    #[arg(long, value_name = "HEIGHT", requires = "prove", default_value_t = 0)]
    #[arg(hide_default_value = true)]
    since: u64,

    /// What who asked has chosen, so that no older answer passes for this one: up to 64 bytes in hexadecimal
    #[arg(long, value_name = "HEX", requires = "prove", value_parser = nonce)]
    nonce: Option<Nonce>,

    /// Leave the bodies of the chunks out: who has none of them cannot compute the answer again
    #[arg(long, requires = "prove")]
    without_bodies: bool,

    /// Do not prove which metrics the devices have at all, so that one could be left out
    #[arg(long, requires = "prove")]
    without_metrics: bool,

    /// Prove when each seal batch was anchored, and not only that it was by now: where they are few, all,
    /// or none
    #[arg(long, value_name = "WHICH", requires = "prove", default_value = "few")]
    anchor_times: Times,

    /// The device on the ledger that a name stands for; by itself it is found by its catalogue
    #[arg(long = "device", value_name = "NAME=ADDRESS", requires = "prove", value_parser = device)]
    devices: Vec<(String, Address)>,

    /// Sign the answer with the key of this account
    #[arg(long, value_name = "NAME", requires = "prove")]
    sign: Option<String>,

    /// The directory of the keys [default: chronolith/wallet in the user's data directory]
    #[arg(long, value_name = "DIR", requires = "sign")]
    wallet: Option<PathBuf>,
}

/// Which times of anchoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Times {
    /// Where the chunks are of few batches
    Few,
    /// Of all
    All,
    /// Of none
    None,
}

/// Where a proof goes, and where its facts are from.
pub(super) struct Proving<'a> {
    arguments: &'a ProveArgs,
    file: &'a Path,
    chain: &'a Path,
}

impl ProveArgs {
    /// What to prove, where that is asked for.
    pub(super) fn given(&self) -> Option<Proving<'_>> {
        let (file, chain) = (self.prove.as_deref()?, self.chain.as_deref()?);
        Some(Proving { arguments: self, file, chain })
    }
}

impl Proving<'_> {
    /// Proves an answer and writes the file: the database that answers, of just what is proved.
    pub(super) fn prove(&self, sql: &Sql, text: &str, limits: Limits) -> Result<Replay> {
        let arguments = self.arguments;
        let key = match &arguments.sign {
            Some(name) => {
                let directory = arguments.wallet.clone().or_else(Wallet::default_directory);
                let none = || Usage("there is no home directory; give --wallet DIR".to_owned());
                Some(Wallet::at(directory.ok_or_else(none)?).load(name)?)
            }
            None => None,
        };
        let chain = Chain::open(self.chain)?;
        let settings = MakeSettings {
            since: Since(arguments.since),
            nonce: arguments.nonce.clone(),
            bodies: !arguments.without_bodies,
            all_metrics: !arguments.without_metrics,
            anchor_times: match arguments.anchor_times {
                Times::Few => AnchorTimes::Few,
                Times::All => AnchorTimes::All,
                Times::None => AnchorTimes::None,
            },
            devices: arguments.devices.iter().cloned().collect::<BTreeMap<_, _>>(),
            signer: key.as_ref(),
            limits,
        };
        let Made { bundle, notes, replay } = make(sql, &chain, text, &settings)?;
        whole::replace(self.file, &bundle.to_bytes()?)?;
        for note in notes {
            eprintln!("chronolith: {note}");
        }
        Ok(replay)
    }
}
