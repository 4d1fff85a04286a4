//! `chronolith produce`.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use chronolith_engine::{Db, Options};
use chronolith_fragment::Profile;
use clap::Args;
use serde_json::json;

use super::Outcome;
use super::chain::WalletArgs;
use super::interrupt::listen;
use super::net::NodeArgs;
use super::output::put_line;
use super::pack::TermsArgs;
use crate::database::with_files;
use crate::market::book;
use crate::producer::{HandedOver, Packed, Producer, ProducerError, ProducerSettings};

/// Anchor what a database seals, pack it, and have it kept by storage peers: until Ctrl-C or SIGTERM.
///
/// Another program may write into the database meanwhile. What is on the ledger is not done twice, and
/// what a slow or missing network holds up is done in the next round.
#[derive(Debug, Args)]
pub(super) struct ProduceCommand {
    /// The directory of the database
    #[arg(long, value_name = "DIR")]
    db: PathBuf,

    #[command(flatten)]
    node: NodeArgs,

    #[command(flatten)]
    wallet: WalletArgs,

    /// The key of the account that anchors and pays
    #[arg(long, value_name = "NAME", default_value = "main")]
    from: String,

    /// Where packs and their secrets are kept
    #[arg(long, value_name = "DIR")]
    packs: PathBuf,

    /// How packs are cut: lab (any 4 of 6), standard (any 10 of 30) or wide (any 32 of 96)
    #[arg(long, value_name = "PROFILE", default_value = "standard")]
    profile: Profile,

    /// A data contract whose placement says how its metrics are cut and where they are kept; may be given
    /// several times, and of several that name a metric the strictest holds
    #[arg(long = "contract", value_name = "FILE")]
    contracts: Vec<PathBuf>,

    /// How many hours a sealed chunk waits for a pack to be full
    #[arg(long, value_name = "HOURS", default_value_t = 24.0)]
    patience_hours: f64,

    #[command(flatten)]
    terms: TermsArgs,

    /// How many seconds lie between two rounds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    every: u64,

    /// Do one round, with packs of whatever is sealed, and end
    #[arg(long)]
    once: bool,
}

impl ProduceCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let settings = ProducerSettings {
            packs: self.packs.clone(),
            profile: self.profile,
            contracts: self
                .contracts
                .iter()
                .map(|file| book::read(file))
                .collect::<Result<_, _>>()?,
            patience: Duration::try_from_secs_f64(self.patience_hours * 3_600.0)
                .unwrap_or(Duration::MAX),
            terms: self.terms.terms(&self.wallet)?,
            deadline: self.terms.deadline(),
            stop: None,
        };
        let mut producer = Producer::open(settings, self.wallet.load(&self.from)?)?;
        let client = self.node.client()?;
        let json = self.node.json;
        let mut tell = |progress| {
            if !json {
                eprintln!("{progress}");
            }
        };
        let mut told = Vec::new();
        let mut round = |all| -> Result<()> {
            let db = self.open()?;
            let packed = producer.pack(&db, all);
            let mut done = producer.hand_over(&client, &db, &mut tell);
            let failure = done.failure.take();
            let mut packed = packed?;
            let refused = packed.refused.take().map(ProducerError::from);
            let refused: Vec<String> =
                refused.iter().chain(&done.refused).map(ToString::to_string).collect();
            self.show(&packed, &done, &refused)?;
            // What placements refuse is told once, since it may be so for long.
            if refused != told {
                refused.iter().for_each(|reason| eprintln!("chronolith: {reason}"));
                told = refused;
            }
            failure.map_or(Ok(()), |error| Err(error.into()))
        };
        if self.once {
            return round(true).map(|()| Outcome::Done);
        }
        let mut wake = listen()?.wake;
        wake.set_read_timeout(Some(Duration::from_secs(self.every.max(1))))?;
        let mut byte = [0];
        loop {
            if let Err(error) = round(false) {
                // The next round goes on.
                eprintln!("chronolith: {error}; tried again in {} s", self.every);
            }
            if wake.read(&mut byte).is_ok() {
                return Ok(Outcome::Done);
            }
        }
    }

    fn open(&self) -> Result<Db> {
        Ok(Db::open(&self.db, with_files(&self.db, Options::read_only())?)?)
    }

    fn show(&self, packed: &Packed, done: &HandedOver, refused: &[String]) -> Result<()> {
        let HandedOver { anchored, placed, unplaced, moved, refused: _, failure: _ } = done;
        let (made, waiting) = (&packed.made, packed.waiting);
        let unplaced = unplaced.unwrap_or(packed.unplaced);
        let (batches, known) = (anchored.anchored.len(), anchored.known);
        if self.node.json {
            let ids = |packs: &[chronolith_chain::content::ContentId]| {
                packs.iter().map(ToString::to_string).collect::<Vec<_>>()
            };
            let shown = json!({
                "anchored_batches": batches,
                "known_batches": known,
                "packed": ids(made),
                "placed": ids(placed),
                "waiting_chunks": waiting,
                "unplaced_packs": unplaced,
                "moved_leases": moved,
                "refused": refused,
            });
            return Ok(put_line(format_args!("{shown}"))?);
        }
        Ok(put_line(format_args!(
            "{batches} batches anchored, {} packs made, {} packs placed, {moved} lost leases moved; \
             {waiting} chunks wait for a pack, {unplaced} packs for peers",
            made.len(),
            placed.len()
        ))?)
    }
}
