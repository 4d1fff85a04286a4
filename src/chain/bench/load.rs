//! The load: starts the validators, hands in transfers that are signed already, and measures.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::encoding::{List, encode};
use chronolith_chain::hash::{BlockId, ChainId};
use chronolith_chain::keys::{SecretKey, Signature};
use chronolith_chain::ledger::{Parameters, Transfer, least_fee};
use chronolith_chain::transaction::{Body, Transaction};

use super::connection::Connection;
use super::frame::{Frame, Neighbour, Status};
use super::network::{genesis, payer};
use super::node::short;

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
    /// How many validators.
    pub validators: u16,
    /// For how long transfers are handed in.
    pub seconds: u64,
    /// How many transfers are signed beforehand.
    pub transfers: usize,
    /// How many are under way at a time.
    pub in_flight: usize,
    /// The least time between blocks, in milliseconds.
    pub interval_ms: u64,
    /// Whether the last validator is killed with SIGKILL in the middle, and started again.
    pub kill: bool,
}

/// What was measured.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BenchReport {
    /// How many validators.
    pub validators: u16,
    /// For how long transfers were handed in.
    pub seconds: f64,
    /// How many were handed in.
    pub submitted: u64,
    /// How many were committed in that time.
    pub committed: u64,
    /// And per second.
    pub committed_per_second: f64,
    /// How many were committed in all, also after that time.
    pub committed_in_all: u64,
    /// The median of the time from handing in to commit, in milliseconds.
    pub p50_ms: f64,
    /// The time that 99 of 100 were committed in, in milliseconds.
    pub p99_ms: f64,
    /// How many blocks there are.
    pub height: u64,
    /// Processor time of each validator, in seconds.
    pub cpu_seconds: Vec<f64>,
    /// Processor time of all validators together for each committed transfer, in microseconds.
    pub cpu_us_per_transfer: f64,
    /// Whether all validators came to the same state.
    pub state_roots_equal: bool,
    /// How many heights were told to have different blocks.
    pub forks: u64,
    /// How many validators were killed.
    pub kills: u64,
    /// How many blocks that the killed one had told to be committed it did not have afterwards.
    pub lost_blocks: u64,
}

/// The process of a validator, and the connection to it.
struct Process {
    child: Child,
    port: u16,
    connection: Connection,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.connection.close();
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Frames from the validators, by their numbers.
type Told = (u16, Frame);

fn start(load: &Load, number: u16, told: &Sender<Told>) -> Result<Process> {
    let mut child = Command::new(&load.program)
        .args(["chain", "bench-node", "--number", &number.to_string()])
        .args(["--interval-ms", &load.interval_ms.to_string()])
        .arg("--dir")
        .arg(&load.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a validator")?;
    let output = child.stdout.take().context("a validator has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let Ok(port) = line.trim().parse() else {
        let status = child.wait()?;
        bail!("validator {number} ended with {status} before it could be reached");
    };
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let told = told.clone();
    let connection = Connection::start(stream, move |frame| match frame {
        Some(frame) => told.send((number, frame)).is_ok(),
        None => false,
    })?;
    connection.send(&Frame::Hello(None));
    Ok(Process { child, port, connection })
}

/// The transfers of one account, in the order of their nonces.
fn transfers(chain: ChainId, number: u16, count: usize) -> Vec<Transaction> {
    let key: SecretKey = payer(number);
    let to = payer((number + 1) % PAYERS).public().into();
    let parameters = Parameters::default();
    let mut signed = Vec::with_capacity(count);
    for nonce in 0..count as u64 {
        let action =
            Transfer { to, coin: Coin::Native, amount: Amount(1), memo: Default::default() };
        let body = Body {
            version: 1,
            chain,
            sender: key.public().into(),
            nonce,
            valid_until: 80_000,
            fee: Amount::ZERO,
            action: action.into(),
        };
        let unsigned = Transaction { body, signature: Signature([0; 64]) };
        let size = encode(&unsigned).len();
        let mut body = unsigned.body;
        body.fee = least_fee(&parameters, size, body.action.weight());
        signed.push(body.sign(&key));
    }
    signed
}

/// Signs all transfers beforehand, on all processors.
fn sign(chain: ChainId, count: usize) -> Vec<Vec<Transaction>> {
    let each = count.div_ceil(usize::from(PAYERS));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let numbers: Vec<u16> = (0..PAYERS).collect();
    let mut all = Vec::new();
    thread::scope(|scope| {
        let parts = numbers.chunks(numbers.len().div_ceil(threads));
        let workers = parts.map(|part| {
            scope.spawn(move || {
                part.iter().map(|number| transfers(chain, *number, each)).collect::<Vec<_>>()
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            all.extend(worker.join().unwrap_or_default());
        }
    });
    all
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
    /// The blocks that each validator told to be committed.
    blocks: Vec<BTreeMap<u64, BlockId>>,
    told: Receiver<Told>,
    tell: Sender<Told>,
}

/// Starts validators, measures, and stops them.
pub fn run(load: &Load) -> Result<BenchReport> {
    ensure!((1..=128).contains(&load.validators), "between 1 and 128 validators make a network");
    ensure!(!load.kill || load.validators >= 4, "one of four or more can be killed");
    let genesis = genesis(load.validators, PAYERS)?;
    let place = load.directory.join("genesis");
    std::fs::write(&place, encode(&genesis))
        .with_context(|| format!("cannot write {}", place.display()))?;
    let signed = sign(genesis.chain_id(), load.transfers);
    let (tell, told) = channel();
    let mut processes = Vec::new();
    for number in 0..load.validators {
        processes.push(start(load, number, &tell)?);
    }
    for (number, process) in processes.iter().enumerate() {
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
        blocks: vec![BTreeMap::new(); processes.len()],
        processes,
        told,
        tell,
    };
    run.measure()
}

fn dial(processes: &[Process], wanted: impl Fn(usize) -> bool) -> Result<Frame> {
    let chosen = processes.iter().enumerate().filter(|(number, _)| wanted(*number));
    let neighbours = chosen.map(|(number, process)| {
        Ok(Neighbour { number: u16::try_from(number)?, port: process.port })
    });
    Ok(Frame::Dial(List::new(neighbours.collect::<Result<Vec<_>>>()?)?))
}

impl Run<'_> {
    fn measure(&mut self) -> Result<BenchReport> {
        let started = Instant::now();
        let end = started + Duration::from_secs(self.load.seconds);
        let mut kill_at = self.load.kill.then(|| started + (end - started) / 2);
        let mut kills = 0;
        while Instant::now() < end {
            if kill_at.is_some_and(|at| at <= Instant::now()) {
                kill_at = None;
                self.kill()?;
                kills += 1;
            }
            self.hand_in();
            match self.told.recv_timeout(Duration::from_millis(2)) {
                Ok(told) => self.note(told),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("no validator is left"),
            }
            while let Ok(told) = self.told.try_recv() {
                self.note(told);
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let committed = self.latencies.len() as u64;
        let statuses = self.rest()?;
        let lost_blocks = self.lost()?;
        let first = statuses.first().context("there is no validator")?;
        let are_equal = |status: &Status| {
            (status.height, status.block, status.state_root)
                == (first.height, first.block, first.state_root)
        };
        let mut forks = 0;
        for (height, block) in &self.blocks[0] {
            let others = self.blocks.iter().filter_map(|told| told.get(height));
            forks += u64::from(others.into_iter().any(|other| other != block));
        }
        self.latencies.sort_unstable();
        let quantile = |of_hundred: usize| {
            let at = (self.latencies.len() * of_hundred / 100).min(self.latencies.len().max(1) - 1);
            self.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        };
        let cpu_seconds: Vec<f64> =
            statuses.iter().map(|status| status.cpu_ns as f64 / 1e9).collect();
        let all = self.latencies.len().max(1) as f64;
        Ok(BenchReport {
            validators: self.load.validators,
            seconds,
            submitted: self.submitted,
            committed,
            committed_per_second: committed as f64 / seconds,
            committed_in_all: self.latencies.len() as u64,
            p50_ms: quantile(50),
            p99_ms: quantile(99),
            height: first.height,
            cpu_us_per_transfer: cpu_seconds.iter().sum::<f64>() * 1e6 / all,
            cpu_seconds,
            state_roots_equal: statuses.iter().all(are_equal),
            forks,
            kills,
            lost_blocks,
        })
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

    fn note(&mut self, (number, frame): Told) {
        let Frame::Committed { height, block, transactions } = frame else { return };
        if let Some(told) = self.blocks.get_mut(usize::from(number)) {
            told.insert(height, block);
        }
        let now = Instant::now();
        for id in transactions.iter() {
            if let Some((account, place, since)) = self.under_way.remove(id) {
                let account = &mut self.accounts[usize::from(account)];
                account.committed = account.committed.max(place + 1);
                self.latencies.push(now.duration_since(since));
            }
        }
    }

    /// Kills the last validator, starts it again, and hands in once more what may have been lost
    /// with it.
    fn kill(&mut self) -> Result<()> {
        let number = self.processes.len() - 1;
        let mut old = self.processes.pop().context("there is no validator")?;
        old.child.kill()?;
        old.child.wait()?;
        drop(old);
        let process = start(self.load, u16::try_from(number)?, &self.tell)?;
        self.processes.push(process);
        let process = &self.processes[number];
        process.connection.send(&dial(&self.processes, |other| other != number)?);
        let count = self.processes.len();
        for account in self.accounts.iter().skip(number).step_by(count) {
            submit(process, account.transfers.get(account.committed..account.sent).unwrap_or(&[]));
        }
        Ok(())
    }

    /// Waits until nothing is under way and all validators are at one height.
    fn rest(&mut self) -> Result<Vec<Status>> {
        let until = Instant::now() + PATIENCE;
        loop {
            let statuses = self.ask(Frame::AskStatus, |frame| match frame {
                Frame::Status(status) => Some(status),
                _ => None,
            })?;
            let first = statuses.first().context("there is no validator")?;
            let rests =
                statuses.iter().all(|status| status.waiting == 0 && status.block == first.block);
            if (rests && self.under_way.is_empty()) || Instant::now() > until {
                return Ok(statuses);
            }
            // Answers come as fast as they are asked for; this leaves the processors to others.
            if let Ok(told) = self.told.recv_timeout(Duration::from_millis(50)) {
                self.note(told);
            }
        }
    }

    /// Asks all validators, and waits for their answers.
    fn ask<T>(&mut self, question: Frame, answer: impl Fn(Frame) -> Option<T>) -> Result<Vec<T>> {
        for process in &self.processes {
            process.connection.send(&question);
        }
        let until = Instant::now() + PATIENCE;
        let mut answers = BTreeMap::new();
        while answers.len() < self.processes.len() {
            let wait = until.saturating_duration_since(Instant::now());
            let told = self.told.recv_timeout(wait);
            let (number, frame) = told.context("a validator does not answer")?;
            match frame {
                frame @ Frame::Committed { .. } => self.note((number, frame)),
                frame => {
                    if let Some(found) = answer(frame) {
                        answers.insert(number, found);
                    }
                }
            }
        }
        Ok(answers.into_values().collect())
    }

    /// How many of the blocks that the last validator told to be committed it does not have.
    fn lost(&mut self) -> Result<u64> {
        let told = self.blocks.last().cloned().unwrap_or_default();
        let mut lost = 0;
        for (height, block) in told {
            let answers = self.ask(Frame::AskBlock(height), move |frame| match frame {
                Frame::Block(of, block) if of == height => Some(block),
                _ => None,
            })?;
            lost += u64::from(answers.last() != Some(&Some(block)));
        }
        Ok(lost)
    }
}

fn submit(process: &Process, transactions: &[Transaction]) {
    for some in transactions.chunks(FRAME) {
        if let Ok(some) = List::new(some) {
            process.connection.send(&Frame::Submit(some));
        }
    }
}
