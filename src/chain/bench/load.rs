//! The load: starts the validators, hands in transfers that are signed already, and measures.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::encoding::{List, Rising, encode};
use chronolith_chain::hash::{BlockId, ChainId, Domain};
use chronolith_chain::keys::{SecretKey, Signature};
use chronolith_chain::ledger::{
    Action, Anchor, DeviceCatalogue, Parameters, RegisterDevice, Transfer, empty_catalogue,
    least_fee,
};
use chronolith_chain::transaction::{Body, Transaction};

use super::frame::{Committed, Frame, Status};
use super::kills::{Kills, Victim};
use super::measures::{BenchReport, Heights, are_equal, quantile_ms};
use super::network::{Network, device, payer};
use super::node::short;
use super::processes::{FromProcess, Heard, Process, dial, start_and_kill};
use super::told::Told;
use super::watch::Watch;

/// How many accounts pay.
const PAYERS: u16 = 512;
/// How many transfers of one account are handed in at a time.
const AT_A_TIME: usize = 16;
/// How many transfers are in a frame at most.
const FRAME: usize = 1_024;
/// How long the validators have to come to rest at the end, and to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Debug, Clone)]
pub struct Load {
    /// This program, which the validators run.
    pub program: PathBuf,
    /// Where the validators keep their files: an empty directory.
    pub directory: PathBuf,
    /// How many validators are seated.
    pub validators: u16,
    /// For how long transfers are handed in, at least.
    pub seconds: u64,
    /// How many transactions are signed beforehand.
    pub transfers: usize,
    /// In place of transfers, anchors of batches of so many chunks of one device.
    pub anchored_chunks: Option<u32>,
    /// How many are under way at a time.
    pub in_flight: usize,
    /// The least time between blocks, in milliseconds.
    pub interval_ms: u64,
    /// How many processes are killed with SIGKILL, and started again; the run goes on until all
    /// are.
    pub kills: u64,
    /// What the random choice of who is killed follows from.
    pub seed: u64,
    /// Terms and lots, where they change during the run.
    pub terms: Option<Terms>,
    /// Set where the run is to end early.
    pub stop: Arc<AtomicBool>,
}

/// Terms and lots that change during a run.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How many blocks a term has.
    pub blocks: u64,
    /// How many candidates there are for the seats, those of the beginning included. Each runs a
    /// process of its own.
    pub candidates: u16,
}

impl Load {
    /// Ends a run that somebody stopped.
    fn ensure_wanted(&self) -> Result<()> {
        ensure!(!self.stop.load(Ordering::Relaxed), "the measurement was stopped");
        Ok(())
    }

    /// How many processes there are.
    fn processes(&self) -> u16 {
        self.terms.map_or(0, |terms| terms.candidates).max(self.validators)
    }
}

/// What an account does with each of its nonces.
fn action(chain: ChainId, number: u16, nonce: u64, chunks: Option<u32>) -> Action {
    let Some(chunks) = chunks else {
        let to = payer((number + 1) % PAYERS).public().into();
        let amount = Amount(1);
        return Transfer { to, coin: Coin::Native, amount, memo: Default::default() }.into();
    };
    let (device, producer) = (device(number), payer(number).public().into());
    let address = device.public().into();
    if nonce == 0 {
        let consent = device.sign(&RegisterDevice::consent(chain, address, producer));
        return RegisterDevice { device: address, producer, consent }.into();
    }
    let root = |nonce: u64| Domain::Seed.hash_of(&(number, nonce));
    let before = if nonce == 1 { empty_catalogue() } else { root(nonce - 1) };
    let devices = DeviceCatalogue { device: address, before, after: root(nonce) };
    let devices = Rising::new(vec![devices]).unwrap_or_default();
    Anchor { root: root(nonce), chunks, devices }.into()
}

/// The transactions of one account, in the order of their nonces.
fn transfers(chain: ChainId, number: u16, count: usize, chunks: Option<u32>) -> Vec<Transaction> {
    let key: SecretKey = payer(number);
    let parameters = Parameters::default();
    let mut signed = Vec::with_capacity(count);
    for nonce in 0..count as u64 {
        let action = action(chain, number, nonce, chunks);
        let body = Body {
            version: 1,
            chain,
            sender: key.public().into(),
            nonce,
            valid_until: 80_000,
            fee: Amount::ZERO,
            action,
        };
        let unsigned = Transaction { body, signature: Signature([0; 64]) };
        let size = encode(&unsigned).len();
        let mut body = unsigned.body;
        body.fee = least_fee(&parameters, size, body.action.weight());
        signed.push(body.sign(&key));
    }
    signed
}

/// Signs all transactions beforehand, on all processors.
fn sign(chain: ChainId, load: &Load) -> Result<Vec<Vec<Transaction>>> {
    let each = load.transfers.div_ceil(usize::from(PAYERS));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let numbers: Vec<u16> = (0..PAYERS).collect();
    thread::scope(|scope| {
        let parts = numbers.chunks(numbers.len().div_ceil(threads));
        let workers = parts.map(|part| {
            scope.spawn(move || {
                let wanted = part.iter().take_while(|_| load.ensure_wanted().is_ok());
                let chunks = load.anchored_chunks;
                let signed = wanted.map(|number| transfers(chain, *number, each, chunks));
                signed.collect::<Vec<_>>()
            })
        });
        join_all(workers.collect())
    })
}

/// What all threads made, in their order.
fn join_all<T>(workers: Vec<ScopedJoinHandle<'_, Vec<T>>>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for worker in workers {
        // A load that is smaller than it was asked for would be measured as if it were not.
        let made = worker.join().map_err(|_| anyhow!("a thread panicked that signs transfers"))?;
        all.extend(made);
    }
    Ok(all)
}

/// What is known of an account's transfers.
struct Account {
    transfers: Vec<Transaction>,
    /// How many were handed in.
    sent: usize,
    /// How many are committed.
    committed: usize,
}

/// A measurement that is under way.
struct Run<'a> {
    load: &'a Load,
    processes: Vec<Process>,
    accounts: Vec<Account>,
    /// Account, place among its transfers, and when it was handed in.
    under_way: HashMap<u64, (u16, usize, Instant)>,
    next_account: usize,
    submitted: u64,
    latencies: Vec<Duration>,
    /// How many committed transactions the ledger refused.
    refused: u64,
    /// The blocks that each validator told to be committed.
    told: Vec<Told>,
    /// The last status that each one told, since it was asked.
    statuses: BTreeMap<u16, Status>,
    heights: Heights,
    watch: Watch,
    kills_done: u64,
    kills_while_starting: u64,
    heard: Receiver<FromProcess>,
    hear: Sender<FromProcess>,
}

/// Starts validators, measures, and stops them.
pub fn run(load: &Load) -> Result<BenchReport> {
    let count = load.processes();
    ensure!((1..=128).contains(&load.validators), "between 1 and 128 validators make a network");
    ensure!((1..=128).contains(&count), "there can be at most 128 processes");
    ensure!(
        load.terms.is_none() || load.validators >= 4,
        "a term seats at least 4, so that sets of fewer never change: give --validators 4"
    );
    let network = Network { validators: load.validators, nodes: count, payers: PAYERS };
    let genesis = network.genesis(load.terms)?;
    let place = load.directory.join("genesis");
    std::fs::write(&place, encode(&genesis))
        .with_context(|| format!("cannot write {}", place.display()))?;
    let signed = sign(genesis.chain_id(), load)?;
    let (hear, heard) = channel();
    let mut processes = Vec::new();
    for number in 0..count {
        load.ensure_wanted()?;
        processes.push(Process::start(load, number, 1, &hear)?);
    }
    for (number, process) in (0..).zip(&processes) {
        process.connection.send(&dial(&processes, |other| other < number)?);
    }
    let accounts = signed.into_iter().map(|transfers| Account { transfers, sent: 0, committed: 0 });
    let mut run = Run {
        load,
        accounts: accounts.collect(),
        under_way: HashMap::new(),
        next_account: 0,
        submitted: 0,
        latencies: Vec::new(),
        refused: 0,
        told: processes.iter().map(|_| Told::new()).collect(),
        statuses: BTreeMap::new(),
        heights: Heights::default(),
        watch: Watch::new(genesis.chain_id()),
        kills_done: 0,
        kills_while_starting: 0,
        processes,
        heard,
        hear,
    };
    run.measure()
}

impl Run<'_> {
    fn measure(&mut self) -> Result<BenchReport> {
        self.wait_for_connections()?;
        let started = Instant::now();
        let end = started + Duration::from_secs(self.load.seconds);
        let mut kills = Kills::new(self.load.kills, self.load.seed);
        while Instant::now() < end || kills.are_left() {
            self.load.ensure_wanted()?;
            let victims = kills.due(self.load.processes());
            if !victims.is_empty() {
                self.strike(&victims)?;
                kills.wait();
            }
            self.hand_in();
            match self.heard.recv_timeout(Duration::from_millis(2)) {
                Ok(heard) => self.note(heard)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("no validator is left"),
            }
            while let Ok(heard) = self.heard.try_recv() {
                self.note(heard)?;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let committed = self.latencies.len() as u64;
        let statuses = self.rest()?;
        self.tell_all()?;
        Ok(self.report(seconds, committed, &statuses))
    }

    /// Waits until everybody hears everybody: what is said before is lost on some, and said again
    /// a second later.
    fn wait_for_connections(&mut self) -> Result<()> {
        let (until, others) = (Instant::now() + PATIENCE, self.processes.len() as u64 - 1);
        while self.ask_statuses()?.iter().any(|status| status.neighbours < others) {
            self.load.ensure_wanted()?;
            ensure!(Instant::now() < until, "the validators do not reach each other");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn report(&mut self, seconds: f64, committed: u64, statuses: &[Status]) -> BenchReport {
        let first = statuses.first();
        let height = first.map_or(0, |status| status.height);
        let pace = self.heights.pace(height);
        self.latencies.sort_unstable();
        let cpu_seconds: Vec<f64> =
            statuses.iter().map(|status| status.cpu_ns as f64 / 1e9).collect();
        let all = self.latencies.len().max(1) as f64;
        BenchReport {
            validators: self.load.validators,
            processes: self.load.processes(),
            seconds,
            submitted: self.submitted,
            committed,
            committed_per_second: committed as f64 / seconds,
            committed_in_all: self.latencies.len() as u64,
            refused: self.refused,
            p50_ms: quantile_ms(&self.latencies, 50),
            p99_ms: quantile_ms(&self.latencies, 99),
            height,
            missed_heights: pace.missed_heights,
            rounds_above_0: pace.rounds_above_0,
            longest_gap_ms: pace.longest_gap_ms,
            terms: first.map_or(0, |status| status.term),
            lots: first.map_or(0, |status| status.lot),
            set_changes: pace.set_changes,
            rounds_above_0_after_changes: pace.rounds_above_0_after_changes,
            longest_gap_after_changes_ms: pace.longest_gap_after_changes_ms,
            cpu_us_per_transfer: cpu_seconds.iter().sum::<f64>() * 1e6 / all,
            cpu_seconds,
            state_roots_equal: are_equal(statuses),
            forks: self.forks(),
            kills: self.kills_done,
            kills_while_starting: self.kills_while_starting,
            lost_blocks: self.told.iter().map(|told| told.lost).sum(),
            height_gaps: self.told.iter().map(|told| told.gaps).sum(),
            steps_signed: self.watch.steps(),
            signed_twice: self.watch.conflicts,
        }
    }

    /// At how many heights validators told of different blocks.
    fn forks(&self) -> u64 {
        let mut blocks: BTreeMap<u64, (BlockId, bool)> = BTreeMap::new();
        for (height, block) in self.told.iter().flat_map(Told::blocks) {
            let (first, is_forked) = blocks.entry(*height).or_insert((*block, false));
            *is_forked |= first != block;
        }
        blocks.values().filter(|(_, is_forked)| *is_forked).count() as u64
    }

    /// Hands transfers in until enough are under way.
    fn hand_in(&mut self) {
        let count = self.processes.len();
        let mut batches: Vec<Vec<Transaction>> = vec![Vec::new(); count];
        let now = Instant::now();
        let mut without = 0;
        while self.under_way.len() < self.load.in_flight && without < self.accounts.len() {
            let number = self.next_account % self.accounts.len();
            self.next_account = number + 1;
            let account = &mut self.accounts[number];
            let until = account.transfers.len().min(account.sent + AT_A_TIME);
            without = if until == account.sent { without + 1 } else { 0 };
            for place in account.sent..until {
                let transaction = account.transfers[place].clone();
                let id = short(&transaction.body.id().0);
                self.under_way.insert(id, (number as u16, place, now));
                batches[number % count].push(transaction);
                self.submitted += 1;
            }
            account.sent = until;
        }
        for (batch, process) in batches.into_iter().zip(&self.processes) {
            submit(process, &batch);
        }
    }

    fn note(&mut self, (number, heard): FromProcess) -> Result<()> {
        match heard {
            Heard::Frame(Frame::Committed(committed)) => self.note_committed(number, &committed),
            Heard::Frame(Frame::Seen(message)) => self.watch.note(&message),
            Heard::Frame(Frame::Status(status)) => {
                self.statuses.insert(number, status);
            }
            Heard::Frame(Frame::ToldAll) => {
                if let Some(told) = self.told.get_mut(usize::from(number)) {
                    told.confirm();
                }
            }
            Heard::Frame(_) => {}
            Heard::Closed => bail!("validator {number} ended by itself; it says why above"),
        }
        Ok(())
    }

    fn note_committed(&mut self, number: u16, committed: &Committed) {
        if let Some(told) = self.told.get_mut(usize::from(number)) {
            told.note(committed);
        }
        if number == 0 {
            self.heights.note(committed);
            self.refused += committed.refused;
        }
        let now = Instant::now();
        for id in committed.transactions.iter() {
            if let Some((account, place, since)) = self.under_way.remove(id) {
                let account = &mut self.accounts[usize::from(account)];
                account.committed = account.committed.max(place + 1);
                self.latencies.push(now.duration_since(since));
            }
        }
    }

    /// Kills validators, starts them again, and hands in once more what may have been lost with
    /// them.
    fn strike(&mut self, victims: &[Victim]) -> Result<()> {
        for Victim { number, .. } in victims {
            let process = self.processes.get_mut(usize::from(*number));
            process.context("there is no such validator")?.kill()?;
            self.kills_done += 1;
        }
        // What they said before they were killed still arrives.
        let mut closed = 0;
        while closed < victims.len() {
            let heard = self.heard.recv_timeout(PATIENCE);
            match heard.context("a killed validator's connection does not end")? {
                (number, Heard::Closed) if victims.iter().any(|one| one.number == number) => {
                    closed += 1;
                }
                other => self.note(other)?,
            }
        }
        for Victim { number, early } in victims {
            for after in early {
                start_and_kill(self.load, *number, *after)?;
                self.kills_done += 1;
                self.kills_while_starting += 1;
            }
            let place = usize::from(*number);
            let from = self.told.get_mut(place).map_or(1, Told::begin_again);
            let process = Process::start(self.load, *number, from, &self.hear)?;
            if let Some(old) = self.processes.get_mut(place) {
                *old = process;
            }
        }
        for Victim { number, .. } in victims {
            // Of two who were killed, one dials the other.
            let is_victim = |other| victims.iter().any(|one| one.number == other);
            let wanted = |other| other != *number && (other < *number || !is_victim(other));
            let frame = dial(&self.processes, wanted)?;
            let Some(process) = self.processes.get(usize::from(*number)) else { continue };
            process.connection.send(&frame);
            let own = self.accounts.iter().skip(usize::from(*number));
            for account in own.step_by(self.processes.len()) {
                let open = account.transfers.get(account.committed..account.sent);
                submit(process, open.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Waits until nothing is under way and all validators are at one height.
    fn rest(&mut self) -> Result<Vec<Status>> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.load.ensure_wanted()?;
            let statuses = self.ask_statuses()?;
            let rests = statuses.iter().all(|status| status.waiting == 0) && are_equal(&statuses);
            if (rests && self.under_way.is_empty()) || Instant::now() > until {
                return Ok(statuses);
            }
            // Answers come as fast as they are asked for; this leaves the processors to others.
            if let Ok(heard) = self.heard.recv_timeout(Duration::from_millis(50)) {
                self.note(heard)?;
            }
        }
    }

    /// Has all blocks told once more, to see whether every validator has all that it told of.
    fn tell_all(&mut self) -> Result<()> {
        self.told.iter_mut().for_each(Told::ask_all);
        for process in &self.processes {
            process.connection.send(&Frame::Tell(1));
        }
        self.note_until(|run| run.told.iter().all(Told::is_confirmed))
    }

    /// Asks all validators where they are.
    fn ask_statuses(&mut self) -> Result<Vec<Status>> {
        self.statuses.clear();
        for process in &self.processes {
            process.connection.send(&Frame::AskStatus);
        }
        self.note_until(|run| run.statuses.len() >= run.processes.len())?;
        Ok(std::mem::take(&mut self.statuses).into_values().collect())
    }

    /// Takes in what is heard until something is so.
    fn note_until(&mut self, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            let wait = until.saturating_duration_since(Instant::now());
            let heard = self.heard.recv_timeout(wait).context("a validator does not answer")?;
            self.note(heard)?;
        }
        Ok(())
    }
}

fn submit(process: &Process, transactions: &[Transaction]) {
    for some in transactions.chunks(FRAME) {
        if let Ok(some) = List::new(some) {
            process.connection.send(&Frame::Submit(some));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, clippy::unwrap_used, reason = "what is looked at is a panic")]

    use super::*;

    /// A thread that panicked while it signed left its transfers out, and a smaller load was measured
    /// without a word: its end was taken for an empty list. The measurement ends with it now.
    #[test]
    fn a_thread_that_panics_ends_the_measurement() {
        let made = thread::scope(|scope| {
            join_all(vec![scope.spawn(|| vec![1, 2]), scope.spawn(|| vec![3])])
        });
        assert_eq!(made.unwrap(), [1, 2, 3]);
        let made = thread::scope(|scope| {
            join_all(vec![scope.spawn(|| vec![1]), scope.spawn(|| panic!("on purpose"))])
        });
        assert!(made.unwrap_err().to_string().contains("panicked"));
    }
}
