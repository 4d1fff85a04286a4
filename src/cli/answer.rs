//! `chronolith verify answer`: a proved answer, from the genesis or one trusted block alone.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::Era;
use chronolith_chain::light::Options;
use chronolith_engine::ChunkKeys;
use chronolith_net::car::CarReader;
use chronolith_query::Limits;
use cid::Cid;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Outcome;
use super::chain::{TrustArgs, print_fields};
use super::output::{print_json, say};
use super::usage::{Usage, duration};
use crate::answer::{
    AnswerBundle, AnswerRefused, Computed, Expected, Question, Supplies, VerifiedAnswer, verify,
};
use crate::keys::KeysFile;
use crate::rows::{Format, rfc3339, write_answer};

/// What else can be checked than a database.
#[derive(Debug, Subcommand)]
pub(super) enum VerifyOther {
    /// Check an answer with its proof: untampered, complete, owned and fresh
    Answer(VerifyAnswer),
}

/// Check an answer with its proof, offline, from the genesis or one trusted block alone.
///
/// What is not proved is refused with the reason, which --json gives in one word: tampered, incomplete,
/// foreign, stale, replayed, wrong chain or unowned.
#[derive(Debug, Args)]
pub(super) struct VerifyAnswer {
    /// The answer, as chronolith query --prove wrote it
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    /// Check that it answers this question, to the letter; '-' is standard input
    #[arg(long, value_name = "SQL")]
    question: Option<String>,

    /// Check that it has the nonce that was chosen
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,

    /// Check that it is of this height of the chain, or a later one
    #[arg(long, value_name = "HEIGHT")]
    at_least: Option<u64>,

    /// Check that its block is not older than this: 10m, 2h, 1d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    not_older_than: Option<Duration>,

    /// Check that all of the data were this account's
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    owner: Option<Address>,

    /// Check that a name stands for this device on the ledger; may be given several times
    #[arg(long = "device", value_name = "NAME=ADDRESS", value_parser = device)]
    devices: Vec<(String, Address)>,

    /// Bodies of chunks that are not in the file: a CAR file, or a folder of files that are named by their
    /// content ids
    #[arg(long, value_name = "DIR|CAR")]
    chunks: Option<PathBuf>,

    /// Open encrypted bodies with the keys of this database: its own, and those that were bought for it
    #[arg(long, value_name = "DIR")]
    keys_of: Option<PathBuf>,

    /// How long after its time a header is trusted; for ever by default
    #[arg(long, value_name = "DAYS")]
    trusting_days: Option<u64>,

    /// Also print the rows, in this format
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    rows: Option<Format>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A nonce.
pub(super) type Nonce = Vec<u8>;

/// `NAME=ADDRESS`.
pub(super) fn device(text: &str) -> Result<(String, Address), String> {
    // Addresses have no '=', and names of devices may.
    let (name, device) = text.rsplit_once('=').ok_or("write NAME=ADDRESS")?;
    Ok((name.to_owned(), address(device)?))
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

/// Up to 64 bytes in hexadecimal.
pub(super) fn nonce(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("{text:?} is not 1 to 64 bytes in hexadecimal");
    Question::nonce_of(text).ok_or_else(wrong)
}

impl VerifyOther {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Answer(command) => command.run(),
        }
    }
}

/// The keys of a database.
fn keys_of(database: &Path) -> Result<ChunkKeys> {
    let place = database.display();
    let file = KeysFile::read(database)?.with_context(|| format!("{place} has no keys"))?;
    Ok(file.open(database, true)?)
}

impl VerifyAnswer {
    fn run(&self) -> Result<Outcome> {
        let place = self.file.display();
        let file = File::open(&self.file).with_context(|| format!("cannot open {place}"))?;
        // What is trusted and wanted is wrong usage where it is wrong, whatever the file is.
        let (trust, expected, bodies) = self.wanted()?;
        let bundle = match AnswerBundle::read(BufReader::new(file)) {
            Ok(bundle) => bundle,
            Err(error) => return self.refuse(&error.into()),
        };
        let keys = self.keys_of.as_deref().map(keys_of).transpose()?;
        let supplies = Supplies {
            now_ns: now_ns(),
            options: self.options(),
            bodies: &|cid| bodies.get(cid),
            keys: keys.as_ref(),
            limits: Limits::default(),
        };
        match verify(&bundle, &trust, &expected, &supplies) {
            Ok(verified) => self.show(&bundle, &verified),
            Err(refused) => self.refuse(&refused),
        }
    }

    fn wanted(&self) -> Result<(crate::answer::Trust, Expected, Bodies)> {
        let question = match self.question.as_deref() {
            Some("-") => Some(std::io::read_to_string(std::io::stdin())?),
            other => other.map(str::to_owned),
        };
        let not_before_ns = self.not_older_than.map(|age| {
            let age_ns = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
            i64::try_from(now_ns().saturating_sub(age_ns)).unwrap_or(i64::MAX)
        });
        let expected = Expected {
            sql: question,
            nonce: self.nonce.clone(),
            at_least: self.at_least,
            not_before_ns,
            owner: self.owner,
            devices: self.devices.iter().cloned().collect(),
        };
        let bodies = self.chunks.as_deref().map(Bodies::open).transpose()?;
        Ok((self.trust.of_answer()?, expected, bodies.unwrap_or_default()))
    }

    fn options(&self) -> Options {
        let day = 86_400 * 1_000_000_000;
        Options {
            trusting_period_ns: self.trusting_days.map(|days| days.saturating_mul(day)),
            ..Options::default()
        }
    }

    /// Says why the answer is not proved.
    fn refuse(&self, refused: &AnswerRefused) -> Result<Outcome> {
        let reason = refused.reason().to_string();
        if self.json {
            print_json(&json!({"holds": false, "reason": reason, "message": refused.to_string()}))?;
        } else {
            eprintln!("chronolith: not proved, {reason}: {refused}");
        }
        Ok(Outcome::Faults)
    }

    fn show(&self, bundle: &AnswerBundle, verified: &VerifiedAnswer) -> Result<Outcome> {
        let mut shown = shown(bundle, verified);
        if self.json {
            shown["answer"] = json!(bundle.rows.to_json());
            print_json(&shown)?;
            return Ok(Outcome::Done);
        }
        print_fields(false, &shown)?;
        match (self.rows, &verified.replay) {
            (None, _) => {}
            (Some(format), Some(replay)) => {
                let answer =
                    replay.sql().query(bundle.sql().unwrap_or_default(), &Limits::default())?;
                write_answer(answer, format, std::io::stdout())?;
            }
            (Some(_), None) => {
                for row in bundle.rows.to_json().unwrap_or_default() {
                    say!("{row}");
                }
            }
        }
        Ok(Outcome::Done)
    }
}

/// What is proved, as JSON.
fn shown(bundle: &AnswerBundle, verified: &VerifiedAnswer) -> Value {
    let header = &verified.proved.header;
    let time = |time_ms: u64| i64::try_from(time_ms).ok().map(|ms| rfc3339(ms * 1_000_000));
    let era = |era: &Era| json!({"owner": era.owner, "from": time(era.from_ms), "until": era.until_ms.map(time)});
    let metrics: Vec<Value> = verified
        .metrics
        .iter()
        .map(|metric| {
            let is_bounded = (metric.from_ns > i64::MIN, metric.to_ns < i64::MAX);
            json!({
                "metric": metric.metric.to_string(),
                "from": is_bounded.0.then(|| rfc3339(metric.from_ns)),
                "to": is_bounded.1.then(|| rfc3339(metric.to_ns)),
                "chunks": metric.chunks.len(),
                "replaced": metric.replaced,
            })
        })
        .collect();
    let devices: Vec<Value> = verified
        .devices
        .iter()
        .map(|device| {
            let of_device = verified.metrics.iter().filter(|m| m.device == device.facts.device);
            let ranges = of_device.clone().map(|metric| (metric.from_ns, metric.to_ns));
            let (from_ns, to_ns) = ranges.fold((i64::MAX, i64::MIN), |(from, to), range| {
                (from.min(range.0), to.max(range.1))
            });
            json!({
                "device": of_device.clone().next().map(|metric| metric.metric.device()),
                "address": device.facts.device,
                "owners": device.facts.eras_of(from_ns, to_ns).map(era).collect::<Vec<_>>(),
                "other_metrics": device.other_metrics,
                "hidden_metrics": device.hidden_metrics,
            })
        })
        .collect();
    let anchored = verified.anchored.iter().map(|batch| {
        json!({
            "root": Hash(batch.root),
            "by": batch.producer,
            "height": batch.height,
            "time": time(batch.time_ms),
            "chunks": batch.chunks,
        })
    });
    json!({
        "holds": true,
        "question": bundle.sql(),
        "nonce": bundle.question.nonce.as_ref().map(|nonce| hexadecimal(nonce)),
        "chain": header.chain,
        "height": header.height,
        "block": header.id(),
        "time": time(header.time_ns / 1_000_000),
        "trusted_height": verified.proved.trusted.height(),
        "trusted_block": verified.proved.trusted.block(),
        "complete": complete(verified),
        "computed": computed(verified),
        "signed_by": verified.word,
        "rows": bundle.rows.rows.len(),
        "metrics": metrics,
        "devices": devices,
        "anchored": anchored.collect::<Vec<_>>(),
        "proof_bytes": bundle.proof_bytes(),
        "chunk_bytes": bundle.chunk_bytes(),
    })
}

/// In which sense nothing is left out.
fn complete(verified: &VerifiedAnswer) -> String {
    let is_of_devices = verified.devices.iter().all(|device| device.other_metrics.is_some());
    let of = match is_of_devices {
        true => "all metrics of these devices",
        false => "these metrics",
    };
    // The catalogue of a device that changed hands is what its last owner made of it.
    let changed_hands = verified.devices.iter().any(|device| device.facts.eras.len() > 1);
    let whose = if changed_hands { ", as the last owner's catalogue lists them" } else { "" };
    format!("all chunks that were anchored by this height, of {of}{whose}")
}

/// Whether the rows follow from the chunks.
fn computed(verified: &VerifiedAnswer) -> String {
    match verified.computed {
        Computed::Same => "yes: the chunks give the same answer".to_owned(),
        Computed::NoBodies { missing } => {
            format!("no: the rows are not checked, as the bodies of {missing} chunks are not here")
        }
        Computed::NoKeys { missing } => {
            format!("no: the rows are not checked, as {missing} chunks are encrypted")
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The time in nanoseconds since the epoch.
fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Bodies of chunks that are beside an answer.
#[derive(Default)]
struct Bodies {
    blocks: HashMap<Cid, Vec<u8>>,
    folder: Option<PathBuf>,
}

impl Bodies {
    fn open(place: &Path) -> Result<Self> {
        if place.is_dir() {
            return Ok(Self { folder: Some(place.to_owned()), ..Self::default() });
        }
        let file = File::open(place)
            .map_err(|error| Usage(format!("cannot open {}: {error}", place.display())))?;
        let context = || format!("{} is no CAR file", place.display());
        let mut reader = CarReader::new(BufReader::new(file)).with_context(context)?;
        let mut blocks = HashMap::new();
        while let Some((cid, block)) = reader.next_block().with_context(context)? {
            blocks.insert(Cid::from(cid), block);
        }
        Ok(Self { blocks, folder: None })
    }

    /// A block; what is no file of its name, or not what its name says, is not there.
    fn get(&self, cid: &Cid) -> Option<Vec<u8>> {
        if let Some(block) = self.blocks.get(cid) {
            return Some(block.clone());
        }
        let block = fs::read(self.folder.as_ref()?.join(cid.to_string())).ok()?;
        ContentId::try_from(cid).ok()?.matches(&block).then_some(block)
    }
}
