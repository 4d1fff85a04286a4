//! The storage role of a node, by hand.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::hash::LeaseId;
use chronolith_chain::ledger::{
    AccountKey, Action, AttestationKey, CloseStorage, Lease, LeaseStatus, ParameterName,
    Parameters, ParametersKey, Peer, PeerKey, SeatsKey, leases_of,
};
use chronolith_chain::state::Overlay;
use chronolith_disk::RealDisk;
use chronolith_net::audit::Answer;
use chronolith_net::exchange::{Question, Reply};
use chronolith_net::store::FragmentStore;
use clap::Args;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::chain::{amount, coins, print_fields};
use crate::cli::net::NodeArgs;
use crate::cli::output::{RowFormat, Rows, put_line};
use crate::node::opening::open_storage;
use crate::node::submit::{Done, Submitter};
use crate::node::{Client, NodeState, StorageRole};
use crate::rows::Cell;

/// How many leases are asked for at once.
const PAGE: usize = 1_024;
/// How much is read between two looks at the damages that were found: bytes.
const SCRUB_BYTES: u64 = 64 << 20;

/// A node with a storage role, and the node that is asked.
struct Asked<'a> {
    args: &'a NodeArgs,
    role: StorageRole,
    client: Client,
}

impl<'a> Asked<'a> {
    fn new(args: &'a NodeArgs) -> Result<Self> {
        let role = StorageRole::of(&args.settings()?)?;
        Ok(Self { args, role, client: args.client()? })
    }

    fn account(&self) -> Address {
        self.role.address()
    }

    /// What the ledger has of the node, with its parameters.
    fn peer(&self, state: &Overlay<'_>) -> Result<(Peer, Parameters)> {
        let account = self.account();
        let peer = state.get(&PeerKey { peer: account })?;
        let peer = peer.with_context(|| {
            format!("{account} is no storage peer; run: chronolith storage open --config FILE")
        })?;
        Ok((peer, state.get(&ParametersKey {})?.unwrap_or_default()))
    }

    fn commit(&self, what: &'static str, action: Action, deadline_s: u64) -> Result<Outcome> {
        let deadline = Duration::from_secs(deadline_s);
        let submitter = Submitter::new(&self.client, self.role.key(), deadline)?;
        let done = submitter.commit(what, vec![action])?;
        self.show(done.first())
    }

    fn show(&self, done: Option<&Done>) -> Result<Outcome> {
        let Some(done) = done else { bail!("nothing was handed in") };
        let shown = json!({
            "account": self.account(),
            "height": done.height,
            "transaction": done.receipt.transaction,
            "fee": coins(done.receipt.fee),
        });
        print_fields(self.args.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Open a node's storage for others, or change what it offers: capacity, price, address and region are
/// those of its configuration.
#[derive(Debug, Args)]
pub(in crate::cli) struct OpenCommand {
    #[command(flatten)]
    node: NodeArgs,

    /// What is added to the bond, in coin [default: the least bond, for a new peer]
    #[arg(long, value_name = "COIN", value_parser = amount)]
    bond: Option<Amount>,

    /// How many seconds the block is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    deadline: u64,
}

impl OpenCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let asked = Asked::new(&self.node)?;
        let deadline = Duration::from_secs(self.deadline);
        let done = open_storage(&self.node.settings()?, &asked.client, self.bond, deadline)?;
        asked.show(done.as_ref())
    }
}

/// Take no more leases. What is leased is kept, shown and paid for as before; the bond comes back when
/// the last lease is over.
#[derive(Debug, Args)]
pub(in crate::cli) struct LeaveCommand {
    #[command(flatten)]
    node: NodeArgs,

    /// How many seconds the block is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    deadline: u64,
}

impl LeaveCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let asked = Asked::new(&self.node)?;
        asked.commit("close storage", CloseStorage.into(), self.deadline)
    }
}

/// Show what the ledger has of a node's storage.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusCommand {
    #[command(flatten)]
    node: NodeArgs,
}

impl StatusCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let asked = Asked::new(&self.node)?;
        let rows = NodeState::new(&asked.client);
        let state = Overlay::new(&rows);
        let (peer, parameters) = asked.peer(&state)?;
        let height = rows.height()?;
        let shown = json!({
            "account": asked.account(),
            "number": peer.number,
            "address": peer.address.to_string(),
            "region": peer.region.to_string(),
            "capacity_bytes": peer.capacity_bytes,
            "leased_bytes": peer.leased_bytes,
            "price_per_gib": coins(peer.price_per_gib),
            "bond": coins(peer.bond),
            "leases": peer.leases,
            "height": height,
            "epoch": parameters.epoch(height),
            "closing_since": peer.closing_since,
        });
        print_fields(self.node.json, &shown)?;
        Ok(Outcome::Done)
    }
}

fn leases(state: &NodeState<'_>, account: Address) -> Result<Vec<(LeaseId, Lease)>> {
    let mut from = LeaseId::default();
    let mut all = Vec::new();
    loop {
        let page = leases_of(state, account, from, PAGE)?;
        let last = page.last().map(|(id, _)| *id).filter(|_| page.len() == PAGE);
        // The last of a page begins the next one.
        all.extend(page.into_iter().filter(|(id, _)| last != Some(*id)));
        match last {
            Some(last) => from = last,
            None => return Ok(all),
        }
    }
}

/// List the leases of a node.
#[derive(Debug, Args)]
pub(in crate::cli) struct LeasesCommand {
    #[command(flatten)]
    node: NodeArgs,
}

impl LeasesCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let asked = Asked::new(&self.node)?;
        let rows = NodeState::new(&asked.client);
        let found = leases(&rows, asked.account())?;
        let format = if self.node.json { RowFormat::Json } else { RowFormat::Table };
        let columns =
            ["lease", "owner", "bytes", "price", "next_epoch", "until_epoch", "escrow", "status"];
        let mut rows = Rows::new(format, &columns)?;
        let number = |number: u64| Cell::Value(json!(number), number.to_string());
        for (id, lease) in found {
            let status = match lease.status {
                LeaseStatus::Running => "running",
                LeaseStatus::Lost => "lost",
            };
            rows.push(&[
                Cell::Text(id.to_string()),
                Cell::Text(lease.owner.to_string()),
                number(lease.bytes),
                Cell::Text(coins(lease.price)),
                number(lease.next_epoch),
                number(lease.until_epoch),
                Cell::Text(coins(lease.escrow)),
                Cell::Text(status.to_owned()),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Show how a node's audits went: what the ledger counts, and of the last epochs how many blocks were
/// shown and how much of the validators' power attests it, until that is settled.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditsCommand {
    #[command(flatten)]
    node: NodeArgs,

    /// How many epochs back
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    epochs: u64,
}

impl AuditsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let asked = Asked::new(&self.node)?;
        let account = asked.account();
        let rows = NodeState::new(&asked.client);
        let state = Overlay::new(&rows);
        let (peer, parameters) = asked.peer(&state)?;
        let epoch = parameters.epoch(rows.height()?);
        let seats = state.get(&SeatsKey {})?.unwrap_or_default();
        let power: u64 = seats.iter().map(|seat| seat.power).sum();
        let (byte, bit) = (peer.number as usize / 8, peer.number % 8);
        let mut list = Vec::new();
        for epoch in epoch.saturating_sub(self.epochs)..epoch {
            let attested = state.scan::<AttestationKey>(&epoch.to_be_bytes(), 256)?;
            let passed = attested
                .iter()
                .filter(|(_, told)| told.passed.get(byte).is_some_and(|byte| byte >> bit & 1 == 1));
            let for_it: u64 = passed.map(|(_, told)| told.power).sum();
            let question = Question::Answer { epoch, peer: account };
            let answer = asked.client.ask(&question, |reply| match reply {
                Reply::Answer(bytes) => Some(Answer::from_bytes(&bytes).ok()),
                Reply::Absent => Some(None),
                _ => None,
            })?;
            // What is settled is not kept.
            let for_it = (!attested.is_empty()).then_some(for_it);
            list.push(json!({
                "epoch": epoch,
                "samples": answer.map(|answer| answer.samples.len()),
                "power_for": for_it,
                "power": power,
            }));
        }
        let shown = json!({
            "account": account,
            "passed": peer.audits_passed,
            "missed": peer.audits_missed,
            "missed_in_a_row": peer.missed_in_a_row,
            "last_settled_epoch": peer.audited_epoch,
            "epochs": list,
        });
        print_fields(self.node.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Show what a node earned, and what its leases will pay.
#[derive(Debug, Args)]
pub(in crate::cli) struct EarningsCommand {
    #[command(flatten)]
    node: NodeArgs,
}

impl EarningsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let asked = Asked::new(&self.node)?;
        let account = asked.account();
        let rows = NodeState::new(&asked.client);
        let state = Overlay::new(&rows);
        let (peer, parameters) = asked.peer(&state)?;
        let (mut per_epoch, mut to_come) = (Amount::ZERO, Amount::ZERO);
        for (_, lease) in leases(&rows, account)? {
            if lease.status == LeaseStatus::Running {
                per_epoch = per_epoch.plus(lease.price)?;
                to_come = to_come.plus(lease.escrow)?;
            }
        }
        let burn = parameters.share(ParameterName::LeaseBurn);
        let after_burn = |amount: Amount| amount.minus(amount.basis_points(burn)?);
        let balance = state.get(&AccountKey { address: account })?.unwrap_or_default().balance;
        let shown = json!({
            "account": account,
            "balance": coins(balance),
            "bond": coins(peer.bond),
            "earned": coins(peer.earned),
            "per_epoch": coins(after_burn(per_epoch)?),
            "to_come": coins(after_burn(to_come)?),
        });
        print_fields(self.node.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Check every byte that a stopped node keeps. What is damaged is moved aside and named; the exit code
/// is then 1. A running node checks by itself, slowly.
#[derive(Debug, Args)]
pub(in crate::cli) struct ScrubCommand {
    #[command(flatten)]
    node: NodeArgs,
}

impl ScrubCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let settings = self.node.settings()?;
        let Some(storage) = &settings.storage else { bail!("there is no storage role") };
        let place = settings.path(&storage.fragments);
        let disk = RealDisk::existing(&place)
            .with_context(|| format!("there are no fragments in {}", place.display()))?;
        let store = FragmentStore::open(Arc::new(disk), storage.capacity_bytes)?;
        let (mut cursor, mut fragments, mut bytes) = (None, 0_u64, 0_u64);
        let (mut damaged, mut unreadable) = (Vec::new(), Vec::new());
        loop {
            let scrubbed = store.scrub(cursor, SCRUB_BYTES);
            fragments += scrubbed.checked;
            bytes += scrubbed.bytes;
            damaged.extend(scrubbed.damaged.iter().map(ToString::to_string));
            unreadable.extend(scrubbed.unreadable.iter().map(|(_, error)| error.to_string()));
            match scrubbed.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        if !self.node.json {
            damaged
                .iter()
                .chain(&unreadable)
                .try_for_each(|line| put_line(format_args!("{line}")))?;
        }
        let is_whole = damaged.is_empty() && unreadable.is_empty();
        let shown = json!({
            "fragments": fragments,
            "bytes": bytes,
            "used_bytes": store.used_bytes(),
            "quota_bytes": store.quota_bytes(),
            "damaged": damaged,
            "unreadable": unreadable,
        });
        print_fields(self.node.json, &shown)?;
        Ok(if is_whole { Outcome::Done } else { Outcome::Faults })
    }
}
