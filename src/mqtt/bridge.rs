//! The threads that receive messages, write their records and acknowledge them.
//!
//! One thread holds the connection and hands messages over; the other gathers what is there into
//! a batch, writes it, and acknowledges what it holds. Where the disk is slow or full the messages
//! wait: in the channel, and behind it at the broker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chronolith_engine::{Clock as _, Db, Definition, Durability, SystemClock, WriteError};
use parking_lot::Mutex;
use rumqttc::{
    Client, Connection, Event, Outgoing, Packet, Publish, QoS, SubscribeFilter, SubscribeReasonCode,
};

use super::connection::options;
use super::message::{Message, read};
use super::settings::{MqttError, MqttSettings, Topic};
use crate::ingest::{BatchSink, IngestError};
use crate::stop::Stop;

/// How many messages wait to be written, and how many bytes of them: the broker has the rest. One that is
/// longer waits alone.
const WAITING: usize = 512;
const WAITING_BYTES: usize = 16 << 20;
/// A batch is written once its messages have so many bytes.
const BATCH_BYTES: usize = 4 << 20;
/// How many acknowledgements and subscriptions wait to be sent; more than messages can be on their way.
const REQUESTS: usize = 4 * WAITING;
/// How long the first wait after a failure is, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// Rejections are told of so often at most.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How long a bridge that ends waits for what is on its way to the broker.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a bridge tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BridgeEvent {
    /// It is connected, and subscribed to all topics.
    Connected,
    /// The connection is lost or was refused; it is tried again.
    Disconnected {
        /// Why.
        reason: String,
    },
    /// The broker refuses a subscription.
    NotSubscribed {
        /// The filter.
        filter: String,
    },
    /// Records were rejected; the rest of their message was written.
    Rejected {
        /// How many since this was told last.
        records: u64,
        /// The first of them, and why.
        reason: String,
    },
    /// Records cannot be written now; their messages wait.
    NotWritten {
        /// Why.
        reason: String,
    },
}

/// What was told last.
#[derive(Default)]
struct Told {
    connected: bool,
    /// Why it does not go on, where it does not.
    failure: Option<String>,
}

/// What both threads share.
struct Shared {
    status: Mutex<Told>,
    /// How many bytes of messages are handed over and not yet written or given up.
    waiting_bytes: AtomicUsize,
    stop: Stop,
    tell: Box<dyn Fn(BridgeEvent) + Send + Sync>,
}

impl Shared {
    /// Takes note of a failure, and tells of it where it is another than before.
    fn fails(&self, reason: String, event: impl FnOnce(String) -> BridgeEvent) {
        let mut status = self.status.lock();
        if status.failure.as_ref() != Some(&reason) {
            status.failure = Some(reason.clone());
            drop(status);
            (self.tell)(event(reason));
        }
    }
}

/// A bridge that runs; it stops when this is dropped.
pub struct Bridge {
    client: Client,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Bridge {
    /// Starts a bridge into a database. Paths of the settings are relative to `folder`; `tell` is
    /// told what happens, on the threads of the bridge.
    ///
    /// # Errors
    /// Where a setting cannot be or a file cannot be read. A broker that does not answer is none:
    /// it is tried again and again.
    pub fn start(
        settings: &MqttSettings,
        folder: &Path,
        db: Db,
        tell: impl Fn(BridgeEvent) + Send + Sync + 'static,
    ) -> Result<Self, MqttError> {
        let topics = settings.topics()?;
        let (client, connection) = Client::new(options(settings, folder)?, REQUESTS);
        let (status, stop) = (Mutex::default(), Stop::default());
        let waiting_bytes = AtomicUsize::new(0);
        let shared = Arc::new(Shared { status, waiting_bytes, stop, tell: Box::new(tell) });
        let (sender, receiver) = sync_channel(WAITING);
        let filters = topics.iter().map(|topic| {
            SubscribeFilter::new(topic.filter.as_str().to_owned(), quality(topic.quality))
        });
        let receiving = Receiving {
            client: client.clone(),
            filters: filters.collect(),
            sender,
            shared: Arc::clone(&shared),
        };
        let sink = BatchSink::new(db.clone(), Definition::DEFAULT_WINDOW_NS);
        let writing = Writing {
            db,
            sink,
            topics,
            client: client.clone(),
            shared: Arc::clone(&shared),
            rejections: Rejections::default(),
        };
        let mut bridge = Self { client, shared, threads: Vec::new() };
        bridge.spawn("mqtt", move || receiving.run(connection))?;
        bridge.spawn("mqtt-write", move || writing.run(&receiver))?;
        Ok(bridge)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), MqttError> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.map_err(MqttError::Thread)?);
        Ok(())
    }
}

impl Drop for Bridge {
    /// Ends the connection; what was received and not yet written is sent again by the broker.
    fn drop(&mut self) {
        self.shared.stop.tell();
        // Where this finds no room the connection is not in use, and the thread looks by itself.
        drop(self.client.try_disconnect());
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

const fn quality(number: u8) -> QoS {
    match number {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

/// The thread of the connection.
struct Receiving {
    client: Client,
    filters: Vec<SubscribeFilter>,
    sender: SyncSender<Publish>,
    shared: Arc<Shared>,
}

impl Receiving {
    fn run(self, mut connection: Connection) {
        let mut wait = RETRY.0;
        let mut connected = None;
        while !self.shared.stop.is_told() {
            // Ends at the latest when the connection has been silent for the time of a ping.
            match connection.recv() {
                Ok(Ok(event)) => {
                    if matches!(event, Event::Incoming(Packet::ConnAck(_))) {
                        connected = Some(Instant::now());
                    }
                    if !self.take(event) {
                        break;
                    }
                }
                Ok(Err(error)) => {
                    // One that did not last counts as a failure: another may have the same name.
                    if connected.take().is_some_and(|since| since.elapsed() >= RETRY.1) {
                        wait = RETRY.0;
                    }
                    self.shared.status.lock().connected = false;
                    let event = |reason| BridgeEvent::Disconnected { reason };
                    self.shared.fails(error.to_string(), event);
                    self.shared.stop.wait(wait);
                    wait = (2 * wait).min(RETRY.1);
                }
                Err(_) => break,
            }
        }
        // Acknowledgements and the farewell that were asked for before.
        while let Ok(Ok(event)) = connection.recv_timeout(FAREWELL) {
            if matches!(event, Event::Outgoing(Outgoing::Disconnect)) {
                break;
            }
        }
    }

    /// Deals with an event; whether more are wanted.
    fn take(&self, event: Event) -> bool {
        match event {
            Event::Incoming(Packet::ConnAck(_)) => {
                // Again also where the broker kept the session: the filters may be others now.
                drop(self.client.try_subscribe_many(self.filters.clone()));
                true
            }
            Event::Incoming(Packet::SubAck(answer)) => {
                for (filter, code) in self.filters.iter().zip(&answer.return_codes) {
                    if *code == SubscribeReasonCode::Failure {
                        let filter = filter.path.clone();
                        (self.shared.tell)(BridgeEvent::NotSubscribed { filter });
                    }
                }
                let mut status = self.shared.status.lock();
                (status.connected, status.failure) = (true, None);
                drop(status);
                (self.shared.tell)(BridgeEvent::Connected);
                true
            }
            Event::Incoming(Packet::Publish(message)) => self.hand_over(message),
            Event::Outgoing(Outgoing::Disconnect) => false,
            _ => true,
        }
    }

    /// Hands a message over, and waits for room.
    fn hand_over(&self, mut message: Publish) -> bool {
        let bytes = message.payload.len();
        loop {
            let waiting = self.shared.waiting_bytes.load(Ordering::Acquire);
            if waiting == 0 || waiting.saturating_add(bytes) <= WAITING_BYTES {
                // Before the other thread can have it.
                self.shared.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
                match self.sender.try_send(message) {
                    Ok(()) => return true,
                    Err(TrySendError::Disconnected(_)) => return false,
                    Err(TrySendError::Full(back)) => message = back,
                }
                self.shared.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
            }
            if self.shared.stop.is_told() {
                return false;
            }
            self.shared.stop.wait(Duration::from_millis(5));
        }
    }
}

/// The thread that writes.
struct Writing {
    db: Db,
    sink: BatchSink,
    topics: Vec<Topic>,
    client: Client,
    shared: Arc<Shared>,
    rejections: Rejections,
}

impl Writing {
    fn run(mut self, messages: &Receiver<Publish>) {
        let mut batch = Vec::new();
        while !self.shared.stop.is_told() {
            match messages.recv_timeout(RETRY.0) {
                Ok(message) => batch.push(message),
                Err(RecvTimeoutError::Timeout) => {
                    self.tell_rejections(Instant::now());
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let mut bytes = batch.iter().map(|message| message.payload.len()).sum::<usize>();
            while batch.len() < WAITING && bytes < BATCH_BYTES {
                let Ok(message) = messages.try_recv() else { break };
                bytes += message.payload.len();
                batch.push(message);
            }
            self.write(&batch);
            batch.clear();
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
        }
        if let Some(event) = self.rejections.take() {
            (self.shared.tell)(event);
        }
    }

    /// Writes messages and acknowledges them; tries again until it succeeds or the bridge stops.
    fn write(&mut self, messages: &[Publish]) {
        let mut wait = RETRY.0;
        let arrived_ns = SystemClock.now_ns();
        while !self.shared.stop.is_told() {
            match self.commit(messages, arrived_ns) {
                Ok(()) => {
                    for message in messages {
                        // One that finds no room is sent again by the broker.
                        drop(self.client.try_ack(message));
                    }
                    return;
                }
                Err(error) if is_too_large(&error) => {
                    self.sink.clear();
                    if let [one] = messages {
                        // Whatever is waited for, it will never be taken.
                        self.rejections.add(1, format!("{}: {error}", one.topic));
                        self.tell_rejections(Instant::now());
                        drop(self.client.try_ack(one));
                        return;
                    }
                    let (first, second) = messages.split_at(messages.len() / 2);
                    self.write(first);
                    return self.write(second);
                }
                Err(error) => {
                    self.sink.clear();
                    let event = |reason| BridgeEvent::NotWritten { reason };
                    self.shared.fails(error.to_string(), event);
                    self.shared.stop.wait(wait);
                    wait = (2 * wait).min(RETRY.1);
                }
            }
        }
    }

    fn commit(&mut self, messages: &[Publish], arrived_ns: i64) -> Result<(), IngestError> {
        let (mut rejected, mut first) = (0, None);
        for message in messages {
            // What a broker retains says what was last, and not when.
            let topic = self.topics.iter().find(|topic| topic.filter.takes(&message.topic));
            let (Some(topic), false) = (topic, message.retain) else { continue };
            let one = Message { topic: &message.topic, payload: &message.payload };
            let read = read(topic, one, arrived_ns, &mut self.sink)?;
            self.sink.forget_metrics();
            rejected += read.rejected;
            first = first.or(read.reason);
        }
        // Before anything is acknowledged: what was rejected for that would be lost.
        self.sink.check().map_err(|error| IngestError::Sink(Box::new(error)))?;
        if !self.sink.batch().is_empty() {
            let written = self.db.write(self.sink.batch(), Durability::Synced);
            written.map_err(|error| IngestError::Sink(Box::new(error)))?;
        }
        self.sink.clear();
        let mut status = self.shared.status.lock();
        if status.connected {
            status.failure = None;
        }
        drop(status);
        if let Some(reason) = first {
            self.rejections.add(rejected, reason);
        }
        self.tell_rejections(Instant::now());
        Ok(())
    }

    fn tell_rejections(&mut self, now: Instant) {
        if let Some(event) = self.rejections.due(now) {
            (self.shared.tell)(event);
        }
    }
}

/// Records that were rejected, which are told of not too often.
#[derive(Default)]
struct Rejections {
    /// How many since they were told of, and the first of them.
    untold: Option<(u64, String)>,
    told_at: Option<Instant>,
}

impl Rejections {
    fn add(&mut self, records: u64, reason: String) {
        self.untold.get_or_insert((0, reason)).0 += records;
    }

    /// What is to be told where it is time to.
    fn due(&mut self, now: Instant) -> Option<BridgeEvent> {
        if self.told_at.is_some_and(|at| now.saturating_duration_since(at) < TELL_EVERY) {
            return None;
        }
        let event = self.take()?;
        self.told_at = Some(now);
        Some(event)
    }

    fn take(&mut self) -> Option<BridgeEvent> {
        let (records, reason) = self.untold.take()?;
        Some(BridgeEvent::Rejected { records, reason })
    }
}

/// Whether a batch is larger than any that the database takes.
fn is_too_large(error: &IngestError) -> bool {
    let IngestError::Sink(error) = error else { return false };
    matches!(error.downcast_ref(), Some(WriteError::BatchTooLarge { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejections_are_told_once_and_none_is_left_out() {
        let mut rejections = Rejections::default();
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let told = |records, reason: &str| {
            Some(BridgeEvent::Rejected { records, reason: reason.to_owned() })
        };
        assert_eq!(rejections.due(start), None);
        rejections.add(2, "first".to_owned());
        assert_eq!(rejections.due(start), told(2, "first"));
        rejections.add(1, "second".to_owned());
        rejections.add(3, "third".to_owned());
        assert_eq!(rejections.due(later(9)), None);
        // Nothing else arrives.
        assert_eq!(rejections.due(later(10)), told(4, "second"));
        assert_eq!(rejections.due(later(60)), None);
        // The bridge ends.
        rejections.add(1, "last".to_owned());
        assert_eq!(rejections.take(), told(1, "last"));
    }
}
