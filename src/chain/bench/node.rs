//! The process of a validator.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use chronolith_chain::consensus::message::{Decided, Message, PeerId};
use chronolith_chain::consensus::{Config, Files, Input, Output, Validator};
use chronolith_chain::encoding::List;
use chronolith_chain::ledger::{Schedule, ScheduleKey};
use chronolith_chain::mempool::Limits;
use chronolith_chain::state::Overlay;
use chronolith_disk::RealDisk;
use chronolith_net::validator::Clock;

use super::candidacy::Candidacy;
use super::connection::Connection;
use super::frame::{Committed, Frame, Neighbour, Status};
use super::network::identity;
use super::watch::is_watched;
use crate::chain::read_genesis;

/// Something that happened to the process.
enum Event {
    Accepted(TcpStream),
    Frame(u64, Frame),
    Closed(u64),
    /// The process that started this one is gone.
    Orphaned,
}

/// A connection, and who is at its other end.
struct Link {
    connection: Connection,
    /// A validator's number; the load has none.
    neighbour: Option<u16>,
    /// Whether it is told of blocks.
    is_told: bool,
}

/// How a validator of a measurement runs.
#[derive(Debug, Clone, Copy)]
pub struct NodeOptions {
    /// Its number.
    pub number: u16,
    /// The least time between blocks, in milliseconds.
    pub interval_ms: u64,
    /// Whether it tells of every signed message that it sends or gets.
    pub watch: bool,
    /// Whether it does what it takes to be seated.
    pub candidate: bool,
}

struct Node {
    options: NodeOptions,
    validator: Validator,
    candidacy: Candidacy,
    clock: Clock,
    events: Sender<Event>,
    links: HashMap<u64, Link>,
    by_neighbour: HashMap<u16, u64>,
    next_link: u64,
}

/// The first bytes of a transaction's id.
pub(super) fn short(id: &[u8; 32]) -> u64 {
    id.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Runs a validator in `directory`, whose `genesis` the load wrote there, until standard input
/// ends. Its port is written to standard output.
pub fn serve(directory: &Path, options: NodeOptions) -> Result<()> {
    let NodeOptions { number, interval_ms, .. } = options;
    let genesis = read_genesis(directory)?;
    let own = directory.join(number.to_string());
    let files = Files {
        data: Arc::new(RealDisk::create(own.join("data"))?),
        guard: Arc::new(RealDisk::create(own.join("guard"))?),
        guard_path: "signed".to_owned(),
    };
    let config = Config {
        interval_ms,
        heartbeat_ms: None,
        mempool: Limits { bytes: 256 << 20, per_account: 16_384 },
        ..Config::default()
    };
    let validator = Validator::create(&genesis, &files, Some(identity(number)), config)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (events, happened) = channel();
    let port = listener.local_addr()?.port();
    accept(listener, events.clone());
    watch_parent(events.clone());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{port}")?;
    out.flush()?;
    drop(out);
    let mut node = Node {
        options,
        validator,
        candidacy: Candidacy::new(number, genesis.chain_id()),
        clock: Clock::start(),
        events,
        links: HashMap::new(),
        by_neighbour: HashMap::new(),
        next_link: 0,
    };
    node.run(&happened)
}

fn accept(listener: TcpListener, events: Sender<Event>) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if events.send(Event::Accepted(stream)).is_err() {
                return;
            }
        }
    });
}

fn watch_parent(events: Sender<Event>) {
    thread::spawn(move || {
        let mut rest = [0; 64];
        let mut input = std::io::stdin().lock();
        while input.read(&mut rest).is_ok_and(|count| count > 0) {}
        // Where nobody listens any more, the process ends already.
        let _ = events.send(Event::Orphaned);
    });
}

impl Node {
    fn run(&mut self, happened: &Receiver<Event>) -> Result<()> {
        loop {
            let event = match self.validator.wake_at() {
                None => happened.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => {
                    let wait = at.saturating_sub(self.clock.now().elapsed_ns);
                    happened.recv_timeout(Duration::from_nanos(wait))
                }
            };
            match event {
                Err(RecvTimeoutError::Timeout) => self.give(Input::Tick)?,
                Err(RecvTimeoutError::Disconnected) | Ok(Event::Orphaned) => return Ok(()),
                // Who dialled and is gone already dials again.
                Ok(Event::Accepted(stream)) => {
                    let _ = self.link(stream, None);
                }
                Ok(Event::Closed(link)) => self.unlink(link)?,
                Ok(Event::Frame(link, frame)) => self.take(link, frame)?,
            }
        }
    }

    fn link(&mut self, stream: TcpStream, neighbour: Option<u16>) -> std::io::Result<u64> {
        let number = self.next_link;
        self.next_link += 1;
        let events = self.events.clone();
        let connection = Connection::start(stream, move |frame| {
            let event = match frame {
                Some(frame) => Event::Frame(number, frame),
                None => Event::Closed(number),
            };
            events.send(event).is_ok()
        })?;
        self.links.insert(number, Link { connection, neighbour, is_told: false });
        Ok(number)
    }

    fn unlink(&mut self, link: u64) -> Result<()> {
        let Some(Link { connection, neighbour, .. }) = self.links.remove(&link) else {
            return Ok(());
        };
        connection.close();
        // A neighbour that dialled anew has another link by now.
        if let Some(number) = neighbour
            && self.by_neighbour.get(&number) == Some(&link)
        {
            self.by_neighbour.remove(&number);
            self.give(Input::Disconnected(PeerId(number.into())))?;
        }
        Ok(())
    }

    fn greet(&mut self, link: u64, number: u16) -> Result<()> {
        if let Some(known) = self.links.get_mut(&link) {
            known.neighbour = Some(number);
        }
        if let Some(old) = self.by_neighbour.insert(number, link) {
            self.unlink(old)?;
        }
        self.give(Input::Connected(PeerId(number.into())))
    }

    fn take(&mut self, link: u64, frame: Frame) -> Result<()> {
        let neighbour = self.links.get(&link).and_then(|link| link.neighbour);
        match frame {
            Frame::Hello(Some(number)) => self.greet(link, number)?,
            Frame::Dial(neighbours) => {
                for Neighbour { number, port } in neighbours.iter().copied() {
                    // One that was killed meanwhile dials when it is back.
                    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
                    let link = stream.and_then(|stream| self.link(stream, Some(number)));
                    let Ok(link) = link else { continue };
                    self.send(link, &Frame::Hello(Some(self.options.number)));
                    self.greet(link, number)?;
                }
            }
            Frame::Consensus(message) => {
                if let Some(number) = neighbour {
                    // Before anything follows from it.
                    self.show(&message);
                    let from = PeerId(number.into());
                    self.give(Input::Message { from, message })?;
                }
            }
            Frame::Submit(transactions) => {
                self.give(Input::Submit(transactions.to_vec()))?;
            }
            Frame::AskStatus => {
                let status = self.status()?;
                self.send(link, &Frame::Status(status));
            }
            Frame::Tell(from) => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.is_told = true;
                }
                for height in from..=self.validator.blocks().tip().height {
                    if let Some(decided) = self.validator.blocks().block(height)? {
                        let frame = Frame::Committed(self.committed(&decided));
                        self.send_surely(link, &frame);
                    }
                }
                self.send_surely(link, &Frame::ToldAll);
            }
            Frame::Hello(None)
            | Frame::Committed(_)
            | Frame::Seen(_)
            | Frame::Status(_)
            | Frame::ToldAll => {}
        }
        Ok(())
    }

    fn committed(&self, decided: &Decided) -> Committed {
        let header = &decided.block.header;
        // One of them is enough to measure by.
        let told = decided.block.transactions.iter().filter(|_| self.options.number == 0);
        let told = told.map(|transaction| short(&transaction.body.id().0));
        let receipts = match self.options.number {
            0 => self.validator.blocks().receipts(header.height).ok().flatten(),
            _ => None,
        };
        let refused = receipts.iter().flatten().filter(|receipt| receipt.refusal.is_some());
        let refused = refused.count() as u64;
        Committed {
            height: header.height,
            round: decided.certificate.round(),
            block: header.id(),
            time_ns: header.time_ns,
            changes_set: header.validators != header.next_validators,
            refused,
            transactions: List::new(told.collect::<Vec<_>>()).unwrap_or_default(),
        }
    }

    /// Tells the load of a signed message.
    fn show(&self, message: &Message) {
        if !self.options.watch || !is_watched(message) {
            return;
        }
        let frame = Frame::Seen(message.clone());
        for link in self.links.values().filter(|link| link.is_told) {
            link.connection.send_surely(&frame);
        }
    }

    fn status(&self) -> Result<Status> {
        let tip = self.validator.blocks().tip();
        let schedule = Overlay::new(self.validator.state()).get(&ScheduleKey {})?;
        let Schedule { term, lot, .. } = schedule.unwrap_or_default();
        let cpu = cpu_time::ProcessTime::try_now()?.as_duration();
        Ok(Status {
            height: tip.height,
            block: tip.block,
            state_root: self.validator.state().head().root,
            term,
            lot,
            neighbours: self.by_neighbour.len() as u64,
            waiting: self.validator.mempool().len() as u64,
            cpu_ns: u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX),
        })
    }

    fn send(&self, link: u64, frame: &Frame) {
        if let Some(link) = self.links.get(&link) {
            link.connection.send(frame);
        }
    }

    fn send_surely(&self, link: u64, frame: &Frame) {
        if let Some(link) = self.links.get(&link) {
            link.connection.send_surely(frame);
        }
    }

    fn give(&mut self, input: Input) -> Result<()> {
        let now = self.clock.now();
        let mut duties = Vec::new();
        for output in self.validator.handle(now, input)? {
            match output {
                Output::Broadcast(message) => {
                    self.show(&message);
                    let bytes: Arc<[u8]> = Frame::Consensus(message).to_bytes().into();
                    for link in self.by_neighbour.values() {
                        if let Some(link) = self.links.get(link) {
                            link.connection.send_bytes(Arc::clone(&bytes));
                        }
                    }
                }
                Output::Send { to, message } => {
                    let number = u16::try_from(to.0).ok();
                    let link = number.and_then(|number| self.by_neighbour.get(&number));
                    if let Some(link) = link {
                        self.send(*link, &Frame::Consensus(message));
                    }
                }
                Output::Committed { decided, .. } => {
                    let frame = Frame::Committed(self.committed(&decided));
                    for link in self.links.values().filter(|link| link.is_told) {
                        link.connection.send_surely(&frame);
                    }
                    if self.options.candidate {
                        let proposer = decided.block.header.proposer;
                        duties.extend(self.candidacy.after_block(&self.validator, proposer)?);
                    }
                }
                Output::StandsAside { until } => {
                    eprintln!(
                        "validator {} stands aside up to height {until}",
                        self.options.number
                    );
                }
                Output::Submitted(_) | Output::Evidence(_) | Output::Refused { .. } => {}
            }
        }
        if duties.is_empty() { Ok(()) } else { self.give(Input::Submit(duties)) }
    }
}
