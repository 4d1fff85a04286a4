//! `chronolith fetch`: a pack, or one item of it, from the peers that keep it.

mod seeker;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use chronolith_chain::content::ContentId;
use chronolith_fragment::MaskSecret;
use chronolith_net::car::CarWriter;
use chronolith_net::fetch::{
    FetchError, FetchEvent, FetchSettings, FragmentFolder, ItemFetch, Keys, PackFetch, Report,
    fetch_item, fetch_pack, wait_for,
};
use chronolith_net::pack::Item;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Outcome;
use super::chain::print_fields;
use super::output::say;
use super::pack::rebuild;
use super::usage::{Usage, duration};
use super::whole;
use crate::packs::{load_secret, open_folder, store_pack};
pub(super) use seeker::Seeker;

/// Fetch a pack, or one item of it, from the peers that keep it.
///
/// As many fragments as restore the pack are fetched from several peers at once, each checked as it
/// arrives, and written as `pack fragments` writes them; run again, only the rest is fetched. With the
/// secret of its mask they are joined to CID.car. Peers that sent what does not hold are named, and the
/// exit code is then 3.
#[derive(Debug, Args)]
pub(super) struct FetchCommand {
    /// The pack's content id
    #[arg(value_name = "CID")]
    cid: String,

    /// The configuration of a node of the network: it is asked who has the pack
    #[arg(long, value_name = "FILE", required_unless_present = "peer")]
    config: Option<PathBuf>,

    /// Ask this peer too: /ip4/192.0.2.1/tcp/4100/p2p/12D3…; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    peer: Vec<String>,

    /// The id of the network's chain, where there is no configuration
    #[arg(long, value_name = "ID", required_unless_present = "config", conflicts_with = "config")]
    chain: Option<String>,

    /// Fetch this item alone, and no more than it takes
    #[arg(long, value_name = "CID", requires = "mask")]
    item: Option<String>,

    /// The secret of the pack's mask
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,

    /// Where what is fetched is written
    #[arg(long, value_name = "DIR")]
    into: PathBuf,

    /// How long is tried
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    deadline: Duration,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn content_id(text: &str) -> Result<ContentId> {
    let cid = text.parse::<cid::Cid>().ok().and_then(|cid| ContentId::try_from(&cid).ok());
    Ok(cid.ok_or_else(|| Usage(format!("{text} is no content id")))?)
}

impl FetchCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let pack = content_id(&self.cid)?;
        let item = self.item.as_deref().map(content_id).transpose()?;
        let secret = self.mask.as_deref().map(load_secret).transpose()?;
        let folder = Arc::new(open_folder(&self.into)?);
        let seeker = Seeker::new(self.config.as_deref(), &self.peer, self.chain.as_deref(), pack)?;
        match (item, secret) {
            (Some(item), Some(secret)) => self.fetch_item(&seeker, pack, item, secret),
            (_, secret) => {
                self.fetch_pack(&seeker, pack, FragmentFolder::new(folder), secret.as_ref())
            }
        }
    }

    fn settings(&self) -> FetchSettings {
        FetchSettings { deadline: self.deadline, ..FetchSettings::default() }
    }

    fn fetch_pack(
        &self,
        seeker: &Seeker,
        pack: ContentId,
        folder: FragmentFolder,
        secret: Option<&MaskSecret>,
    ) -> Result<Outcome> {
        let (sources, settings) = (seeker.sources().to_vec(), self.settings());
        let wish = PackFetch { pack, sources, settings, folder: Some(folder) };
        let bar = self.progress_bar();
        let (network, told) = (seeker.network(), |event| show(&bar, &event));
        let fetched = wait_for(fetch_pack(&network, wish, told))?;
        bar.finish_and_clear();
        let fetched = fetched?;
        let header = fetched.collector.header().clone();
        let file = match secret {
            Some(secret) if secret.commitment() != header.mask => {
                let mask = self.mask.as_deref().unwrap_or(Path::new("")).display();
                return Err(Usage(format!("{mask} is not the secret of the pack {pack}")).into());
            }
            Some(secret) => {
                let Some((pack, _)) = rebuild(&fetched.collector, secret, None)? else {
                    return Ok(Outcome::Faults);
                };
                Some(store_pack(&self.into, &pack, secret)?.display().to_string())
            }
            None => None,
        };
        let fragments: Vec<u8> = fetched.collector.fragments().map(|one| one.index).collect();
        let shown = json!({
            "pack": pack.to_string(),
            "needed": header.shape.needed(),
            "fragments": fragments,
            "resumed": fetched.report.resumed,
            "file": file,
        });
        self.print(shown, &fetched.report)
    }

    fn fetch_item(
        &self,
        seeker: &Seeker,
        pack: ContentId,
        item: ContentId,
        secret: MaskSecret,
    ) -> Result<Outcome> {
        let (sources, settings) = (seeker.sources().to_vec(), self.settings());
        let wish = ItemFetch { pack, item, keys: Keys::Secret(secret), sources, settings };
        let bar = self.progress_bar();
        let (network, told) = (seeker.network(), |event| show(&bar, &event));
        let fetched = wait_for(fetch_item(&network, wish, told))?;
        bar.finish_and_clear();
        let fetched = match fetched {
            Err(FetchError::OtherSecret { .. }) => {
                let mask = self.mask.as_deref().unwrap_or(Path::new("")).display();
                return Err(Usage(format!("{mask} is not the secret of the pack {pack}")).into());
            }
            other => other?,
        };
        let file = match &fetched.item {
            Some(item) => Some(self.write_item(item)?.display().to_string()),
            None => None,
        };
        let shown = json!({
            "pack": pack.to_string(),
            "item": item.to_string(),
            "is_there": fetched.item.is_some(),
            "bytes_of_item": fetched.item.map(|item| item.lead().len() + item.body().len()),
            "file": file,
        });
        let outcome = self.print(shown, &fetched.report)?;
        Ok(if file.is_none() { Outcome::Faults } else { outcome })
    }

    /// Writes an item as a CAR file of its blocks, as a whole or not at all.
    fn write_item(&self, item: &Item) -> Result<PathBuf> {
        let place = self.into.join(format!("{}.car", item.cid()));
        whole::rewrite(&place, |out| {
            let mut car = CarWriter::new(out, &[item.cid()])?;
            car.block(item.cid(), item.lead())?;
            if let Some(cid) = item.body_cid() {
                car.block(cid, item.body())?;
            }
            car.finish()?;
            Ok(())
        })?;
        Ok(place)
    }

    /// Prints what was fetched and who gave what.
    fn print(&self, mut shown: Value, report: &Report) -> Result<Outcome> {
        let has_liars = report.liars().next().is_some();
        shown["bytes"] = json!(report.bytes());
        if self.json {
            shown["liars"] = report.liars().map(|(peer, _)| json!(peer.to_string())).collect();
            let peers = report.peers.iter().map(|(peer, done)| {
                json!({
                    "peer": peer.to_string(),
                    "gave": done.gave,
                    "withheld": done.withheld,
                    "bytes": done.bytes,
                    "lie": done.lie.as_ref().map(ToString::to_string),
                    "failure": done.failure.as_ref().map(ToString::to_string),
                    "is_silent": done.is_silent(),
                })
            });
            shown["peers"] = peers.collect();
        } else {
            for (peer, done) in &report.peers {
                say!("{peer} {done}");
            }
        }
        print_fields(self.json, &shown)?;
        Ok(if has_liars { Outcome::Rejected } else { Outcome::Done })
    }

    fn progress_bar(&self) -> ProgressBar {
        if self.json || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} fragments {elapsed} {msg}");
        ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

/// Shows what happens while something is fetched. Liars are named in any case.
fn show(bar: &ProgressBar, event: &FetchEvent) {
    match event {
        FetchEvent::Arrived { found, wanted, .. } => {
            bar.set_length(*wanted as u64);
            bar.set_position(*found as u64);
        }
        FetchEvent::Resumed { .. } => bar.inc(1),
        FetchEvent::Read { fragment, bytes, .. } => {
            bar.set_message(format!("{bytes} bytes of fragment {fragment}"));
        }
        FetchEvent::Hedged { late, fragment, .. } => {
            bar.set_message(format!("{late} is late with fragment {fragment}"));
        }
        FetchEvent::Liar { peer, lie } => {
            bar.suspend(|| eprintln!("chronolith: {peer}: {lie}"));
        }
        _ => {}
    }
}
