//! The market's role: a thread that answers requests for what the node's database holds, has the notes of
//! what was granted ready for their buyers, and receives into the database what the account bought.
//!
//! What happens to sales under contracts is told to the contracts' webhooks.
//!
//! What neither a contract nor the policy decides waits for the owner's word. A granted right whose time is
//! not over gets a new note when further chunks of it are anchored. Where an offer sells answers, those to questions of
//! the configuration are given in the same way.
//!
//! | file | |
//! |---|---|
//! | `settings.rs`, `told.rs` | what the configuration says; what the role tells of |
//! | `desk.rs`, `desk/` | where deals are made by hand, by whoever else is in the process |
//! | `answering.rs` | answers to questions that nobody has to look at |
//! | `receiving.rs` | what the account bought, into the database |
//! | `watching.rs`, `searching.rs` | what happens to sales under contracts, from the ledger's state and from blocks |
//! | `agreeing.rs` | the same of deals that go by contracts, from the state alone |
//! | `calls.rs`, `shared.rs` | the webhooks that hear of it, and what waits for them |
//! | `incoming.rs` | what others' programs tell of steps of deals, to be said on the ledger |
//! | `look.rs` | when to look again |

mod agreeing;
mod answering;
mod calls;
mod desk;
mod incoming;
mod look;
mod receiving;
mod searching;
mod settings;
mod shared;
mod told;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{DealId, RequestId, SubscriptionId};
use chronolith_chain::ledger::{Delivery, PeriodStatus, Right, RightStatus};
use chronolith_engine::{Db, KeyRandom};

use super::{NodeError, NodeLink, NodeSettings};
use crate::market::MarketError;
use crate::market::asking::HAS_SQL;
use crate::market::book::{Book, Now};
use crate::market::bought::Bought;
use crate::market::grant::waits;
use crate::market::note::{self, ToldChunk};
use crate::market::notes::{Notes, key};
use crate::market::offer;
use crate::market::policy::Verdict;
use crate::market::purse::Purse;
use crate::market::question::{QuestionError, Questions};
use crate::market::queue::{Entry, Side, right, rights};
use crate::market::subscription::{self, Drawn, Period};
use crate::stop::Stop;
use crate::wallet::Wallet;
use agreeing::ToldDeal;
use calls::Calls;
pub use calls::WebhookStatus;
use desk::Trade;
pub use desk::{Desk, Disputing};
use incoming::Incoming;
pub use incoming::{Heard, Word, WordError};
use look::Look;
pub use settings::SellingSettings;
pub use told::{NotTaken, SellingEvent, SellingStatus};
use watching::Watch;

/// Hears what the role does.
type Tell = Arc<dyn Fn(SellingEvent) + Send + Sync>;

/// The role of a node that runs; it stops when this is dropped.
pub struct Selling {
    desk: Desk,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Selling {
    /// Begins the role of a node that runs, for its database.
    ///
    /// # Errors
    /// What is wrong with the settings or the wallet, or a database without keys.
    pub fn start(
        settings: &SellingSettings,
        node: &NodeSettings,
        link: NodeLink,
        db: Db,
        tell: impl Fn(SellingEvent) + Send + Sync + 'static,
    ) -> Result<Self, NodeError> {
        let wrong = |key: &str, reason: &dyn std::fmt::Display| NodeError::Settings {
            place: node.place.clone(),
            reason: format!("market{key}: {reason}"),
        };
        settings.policy.check().map_err(|reason| wrong(".policy", &reason))?;
        let contracts = settings.read_contracts(node)?;
        let book = Book::new(contracts, settings.lists.clone(), settings.policy.clone());
        let book = book.map_err(|error| wrong(".lists", &error))?;
        if !HAS_SQL && !settings.questions.is_empty() {
            return Err(wrong(".questions", &QuestionError::NoSql));
        }
        let questions = Questions::read(settings.questions.iter().map(|file| node.path(file)));
        let questions = questions.map_err(|error| wrong(".questions", &error))?;
        let purposes = settings.purposes.iter().map(|(account, purpose)| {
            let address = account.parse::<Address>();
            let address =
                address.map_err(|error| wrong(".purposes", &format!("{account:?}: {error}")))?;
            Ok((address, purpose.clone()))
        });
        let book = book.answering(&questions).knowing(purposes.collect::<Result<_, NodeError>>()?);
        let keys = db.keys().cloned().ok_or_else(|| {
            let reason = "the database has no keys to grant: chronolith keys init makes some";
            wrong("", &reason)
        })?;
        let wallet = Wallet::at(node.path(&settings.wallet));
        let account = wallet.load(&settings.account).map_err(|error| wrong(".account", &error))?;
        let place = node.path(&settings.notes);
        let notes = Notes::within(&place).map_err(NodeError::disk("open", &place))?;
        link.serve_notes(notes.clone());
        let packs = settings.packs.as_ref().or(node.producer.as_ref().map(|one| &one.packs));
        let contracts = book.contracts().filter_map(|(_, compiled)| {
            Some((ContentId::try_from(&compiled.cid()).ok()?, compiled.clone()))
        });
        let contracts = contracts.collect();
        let desk = Desk::new(Trade {
            purse: Purse::of(&wallet),
            account,
            db,
            keys,
            questions,
            contracts,
            incoming: Incoming::read(settings, node)?,
            node: node.clone(),
            link: link.clone(),
            deadline: Duration::from_secs(settings.deadline_s),
        });
        let (stop, tell) = (Stop::default(), Arc::new(tell) as Tell);
        let calls = Calls::start(settings, node, &book, &desk, &tell)?;
        let runner = Runner {
            book,
            calls,
            watch: Watch::default(),
            notes,
            packs: packs.map(|packs| node.path(packs)),
            every: Duration::from_secs(settings.every_s.max(1)),
            link,
            desk: desk.clone(),
            noted: BTreeMap::new(),
            looks: BTreeMap::new(),
            failing: BTreeMap::new(),
            draws: BTreeMap::new(),
            agreed: BTreeMap::new(),
            answers: BTreeMap::new(),
            stop: stop.clone(),
            tell,
        };
        let thread = thread::Builder::new().name("market".to_owned()).spawn(|| runner.run());
        let thread = thread.map_err(NodeError::disk("start a thread for", &node.place))?;
        Ok(Self { desk, stop, thread: Some(thread) })
    }

    /// Where others of the process deal by hand.
    #[must_use]
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }
}

impl Drop for Selling {
    fn drop(&mut self) {
        self.stop.tell();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The thread.
struct Runner {
    book: Book,
    /// The webhooks of the contracts, where there are any.
    calls: Option<Calls>,
    /// What was seen of sales under contracts with webhooks.
    watch: Watch,
    notes: Notes,
    packs: Option<PathBuf>,
    every: Duration,
    link: NodeLink,
    desk: Desk,
    /// Which chunks the note of a right names that this process wrote: their [`fingerprint`].
    noted: BTreeMap<RequestId, u64>,
    /// When the next look for what an account bought is worth it.
    looks: BTreeMap<RequestId, Look>,
    /// Why what an account bought could not be looked at when it was tried last.
    failing: BTreeMap<RequestId, String>,
    /// When the next look for periods that are over is worth it.
    draws: BTreeMap<SubscriptionId, Look>,
    /// What was told of deals that go by contracts.
    agreed: BTreeMap<DealId, ToldDeal>,
    /// When the next try to answer a request is worth it.
    answers: BTreeMap<RequestId, Look>,
    stop: Stop,
    tell: Tell,
}

impl Runner {
    fn run(mut self) {
        if let Some(calls) = &self.calls
            && let Err(error) = self.watch.resume(&calls.shared)
        {
            (self.tell)(SellingEvent::Failed { reason: error.to_string() });
        }
        while !self.stop.is_told() {
            let selling = self.watch().and(self.sell()).and(self.draw());
            let selling = selling.err().map(|error| error.to_string());
            let buying = match self.receive() {
                Ok(()) => self.failing.values().next().cloned(),
                Err(error) => Some(error.to_string()),
            };
            // What was broken off to stop has not failed.
            if self.stop.is_told() {
                return;
            }
            let failure = selling.or(buying);
            let mut status = self.desk.status_mut();
            if failure.is_none() {
                status.whole_at = Some(Instant::now());
            }
            let is_new = failure != status.failure;
            status.failure.clone_from(&failure);
            drop(status);
            if let Some(reason) = failure.filter(|_| is_new) {
                (self.tell)(SellingEvent::Failed { reason });
            }
            self.stop.wait(self.every);
        }
    }

    /// One that fails keeps no other from being answered.
    fn sell(&mut self) -> Result<(), MarketError> {
        let account = self.desk.account();
        let wanted = |right: &Right| !is_over(right);
        let entries =
            self.desk.with_venue(|venue| Ok(rights(venue, account, Side::Sold, wanted)?))?;
        let open = entries.iter().filter(|entry| waits(&entry.right));
        let open: BTreeSet<RequestId> = open.map(|entry| entry.request).collect();
        self.desk.status_mut().waiting.retain(|request, _| open.contains(request));
        let mut first = self.desk.forget_answers(&open);
        self.answers.retain(|request, _| open.contains(request));
        for Entry { request, right } in entries {
            if self.stop.is_told() {
                break;
            }
            let done = match right.status {
                RightStatus::Open => self.decide(request),
                RightStatus::Granted { .. } | RightStatus::Settled { .. } => {
                    self.write_note(Bought::Request(request))
                }
                _ => Ok(()),
            };
            first = first.and(done);
        }
        first
    }

    /// Gives the keys of the periods that are over, of all subscriptions to what the account sells.
    fn draw(&mut self) -> Result<(), MarketError> {
        let (account, desk) = (self.desk.account(), self.desk.clone());
        let mut all = desk.with_venue(|venue| Ok(subscription::all_of(venue, account)?))?;
        all.retain(|(_, one)| one.owner == account);
        let mut first = Ok(());
        for (subscription, _) in all {
            if self.stop.is_told() {
                break;
            }
            first = first.and(self.draw_one(subscription));
        }
        first
    }

    fn draw_one(&mut self, subscription: SubscriptionId) -> Result<(), MarketError> {
        let desk = self.desk.clone();
        let trade = desk.trade();
        let is_time = self.draws.get(&subscription).is_none_or(Look::is_time);
        let mut done = Ok(());
        if is_time {
            let (now_ms, mut numbers) = (crate::moment::now_ms(), Vec::new());
            done = desk.with_venue(|venue| {
                let (stock, owner) = (trade.stock(), &trade.account);
                let tell = |drawn: Drawn| numbers.push(drawn.number);
                subscription::draw(venue, stock, owner, subscription, now_ms, tell)
            });
            // A draw that is refused costs its fee: it is tried again less and less often.
            match (&done, numbers.is_empty()) {
                (Ok(()), false) => drop(self.draws.remove(&subscription)),
                _ => self.draws.entry(subscription).or_insert_with(Look::first).put_off(),
            }
            for period in numbers {
                (self.tell)(SellingEvent::Drawn { subscription, period });
            }
        }
        let periods = desk.with_venue(|venue| Ok(subscription::drawn(venue, subscription)?))?;
        for (number, state) in periods {
            let bought = Bought::Period(Period { subscription, number });
            let is_told = match state.status {
                PeriodStatus::Drawn { .. } => false,
                PeriodStatus::Paid => self.notes.has(&bought.request()),
                // What is sealed to its key anybody can open.
                PeriodStatus::Faulty => true,
            };
            if !is_told {
                done = done.and(self.write_note(bought));
            }
        }
        done
    }

    fn decide(&mut self, request: RequestId) -> Result<(), MarketError> {
        let desk = self.desk.clone();
        let verdict = desk.with_venue(|venue| {
            let (right, open, height) = right(venue, request)?;
            if right.status != RightStatus::Open {
                return Ok(None);
            }
            let from = (&*venue, &desk.trade().purse);
            let decided = self.book.decide(from, (&right, &open), Now::at(height))?;
            desk.trade().purse.keep_decision(request, &decided)?;
            Ok(Some(decided.verdict))
        })?;
        match verdict {
            None => {}
            Some(Verdict::Ask(reason)) => self.waits(request, reason.to_owned()),
            Some(Verdict::Answer) => self.answer(request),
            Some(Verdict::Decline) => {
                desk.decline(request)?;
                (self.tell)(SellingEvent::Declined { request });
            }
            Some(Verdict::Grant) => match desk.grant(request) {
                // It will be given back by itself, and nothing is wrong with the node.
                Err(error @ MarketError::TooLate { .. }) => self.waits(request, error.to_string()),
                granted => {
                    granted?;
                    (self.tell)(SellingEvent::Granted { request });
                    self.write_note(Bought::Request(request))?;
                }
            },
        }
        Ok(())
    }

    /// Shows that a request waits for the owner's word, and why.
    fn waits(&self, request: RequestId, reason: String) {
        let known = self.desk.status_mut().waiting.insert(request, reason.clone());
        if known.as_ref() != Some(&reason) {
            (self.tell)(SellingEvent::Waits { request, reason });
        }
    }

    /// Writes the note of a granted right, where there is none or it does not name all chunks that there are.
    ///
    /// Which chunks are sealed is asked of the index alone. The batches and packs are read only while the
    /// note does not name them all.
    fn write_note(&mut self, bought: Bought) -> Result<(), MarketError> {
        let request = bought.request();
        let (desk, packs) = (self.desk.clone(), self.packs.as_deref());
        let trade = desk.trade();
        let noted = self.noted.get(&request).copied().filter(|_| self.notes.has(&request));
        let written = desk.with_venue(|venue| {
            let (right, open, _) = bought.right(venue)?;
            if offer::delivery(venue, right.offer)? != Delivery::Keys {
                return Ok(None);
            }
            let hidden = trade.purse.offer(right.offer)?;
            let wanted = note::sealed_chunks(trade.stock(), (&right, &open), hidden.as_ref())?;
            if noted == Some(fingerprint(&wanted)) {
                return Ok(None);
            }
            let note = note::write(venue, &trade.db, desk.account(), packs, request, &wanted)?;
            Ok(Some((note, right.key, venue.id()?)))
        })?;
        let Some((note, key_of, chain)) = written else { return Ok(()) };
        let is_had = |told: &&ToldChunk| packs.is_none() || told.pack.is_some();
        let told = note.chunks.iter().filter(is_had).map(|told| told.path.chunk);
        let told: BTreeSet<ContentId> = told.collect();
        let names = fingerprint(&told);
        if noted == Some(names) {
            return Ok(());
        }
        let sealed = note.seal(chain, &key_of, &mut KeyRandom::new()?)?;
        self.notes.keep(&request, &sealed).map_err(MarketError::Notes)?;
        self.noted.insert(request, names);
        self.link.announce(key(&request));
        (self.tell)(SellingEvent::Noted { request, chunks: told.len() });
        Ok(())
    }
}

/// Tells sets of chunks apart within this process.
fn fingerprint(chunks: &BTreeSet<ContentId>) -> u64 {
    let mut hasher = DefaultHasher::new();
    chunks.hash(&mut hasher);
    hasher.finish()
}

/// Whether nothing is left to do of a right.
const fn is_over(right: &Right) -> bool {
    matches!(
        right.status,
        RightStatus::Declined | RightStatus::Refunded | RightStatus::Revoked | RightStatus::Faulty
    )
}
