//! The questions of one fetch that are on their way, and who has the pack.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use chronolith_chain::content::ContentId;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use libp2p::PeerId;

use super::error::{Failure, FetchError, FetchLie};
use super::pace::Pace;
use super::report::{FetchEvent, Report};
use super::roster::Roster;
use super::settings::{FetchSettings, Source};
use crate::exchange::{AskError, Question, Reply, ask};
use crate::network::{KnownPeer, NetworkHandle, RequestError};
use crate::pack::{PackError, PackHeader};

/// So many peers are asked what they keep at once, beside those that are late.
const ASKED_AT_ONCE: usize = 32;
/// So many are asked for the header at once, beside those that are late.
const HEADERS_AT_ONCE: usize = 2;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Find,
    Locate,
    Held,
    Header,
    Fragment(u8),
    Blocks { fragment: u8, rows: Range<u32> },
}

/// What a peer answers.
#[derive(Debug)]
pub(super) enum Told {
    Absent,
    Held(Vec<u8>),
    Bytes(Vec<u8>),
}

/// What a question brought.
enum Landed {
    Found(Vec<PeerId>),
    Located(PeerId, Vec<KnownPeer>),
    Answer { peer: PeerId, what: What, took: Duration, told: Result<Told, AskError> },
}

/// What happened.
pub(super) enum Happened {
    /// A question for a fragment or blocks is answered.
    Answer { peer: PeerId, what: What, took: Duration, told: Box<Result<Told, AskError>> },
    /// It is time to look again, or somebody said what he keeps.
    Something,
    /// Nothing is on its way.
    Nothing,
    /// The time is over.
    Late,
}

/// A question on its way that is not for fragments.
#[derive(Debug)]
struct Asked {
    peer: Option<PeerId>,
    what: What,
    sent: Instant,
}

/// A fetch while it goes on.
pub(super) struct Session<'a> {
    network: &'a NetworkHandle,
    pack: ContentId,
    deadline: Option<Instant>,
    looks_up: bool,
    told: &'a mut (dyn FnMut(FetchEvent) + Send),
    pub(super) roster: Roster,
    pub(super) report: Report,
    header: Option<Result<PackHeader, PackError>>,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    questions: Vec<Asked>,
    /// Who was asked what it keeps, for the header, and where it is.
    asked: BTreeSet<(PeerId, u8)>,
    pace: Pace,
}

impl What {
    /// Tells questions that one peer is asked once from each other.
    const fn once(&self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Header => 1,
            _ => 2,
        }
    }

    fn question(&self, pack: ContentId) -> Question {
        match self {
            Self::Header => Question::Header(pack),
            Self::Fragment(index) => Question::Fragment { pack, index: *index },
            Self::Blocks { fragment, rows } => Question::Blocks {
                pack,
                index: *fragment,
                first: rows.start,
                count: rows.end.saturating_sub(rows.start),
            },
            Self::Held | Self::Find | Self::Locate => Question::Held(pack),
        }
    }

    /// The answer, where a reply is one.
    fn told(&self, reply: Reply) -> Option<Told> {
        match (self, reply) {
            (_, Reply::Absent) => Some(Told::Absent),
            (Self::Held, Reply::Held(held)) => Some(Told::Held(held.to_vec())),
            (Self::Header, Reply::Header(bytes)) => Some(Told::Bytes(bytes.to_vec())),
            (Self::Fragment(_), Reply::Fragment(bytes))
            | (Self::Blocks { .. }, Reply::Blocks(bytes)) => Some(Told::Bytes(bytes.to_vec())),
            _ => None,
        }
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(
        network: &'a NetworkHandle,
        pack: ContentId,
        sources: Vec<Source>,
        settings: &FetchSettings,
        told: &'a mut (dyn FnMut(FetchEvent) + Send),
    ) -> Self {
        let mut session = Self {
            network,
            pack,
            deadline: Instant::now().checked_add(settings.deadline),
            looks_up: settings.looks_up,
            told,
            roster: Roster::new(settings.in_flight_per_peer),
            report: Report::default(),
            header: None,
            flights: FuturesUnordered::new(),
            questions: Vec::new(),
            asked: BTreeSet::new(),
            pace: Pace::new(settings),
        };
        session.add(sources);
        if settings.looks_up {
            session.find();
        }
        session
    }

    pub(super) fn tell(&mut self, event: FetchEvent) {
        (self.told)(event);
    }

    /// Adds peers; how many are new.
    fn add(&mut self, sources: impl IntoIterator<Item = Source>) -> usize {
        let own = self.network.peer();
        let others = sources.into_iter().filter(|source| source.peer != own);
        others.map(|source| usize::from(self.roster.add(source))).sum()
    }

    /// Looks up who announced the pack.
    fn find(&mut self) {
        let key = cid::Cid::from(self.pack).hash().to_bytes();
        let network = self.network.clone();
        self.flights.push(async move { Landed::Found(network.find(key).await.peers) }.boxed());
        self.questions.push(Asked { peer: None, what: What::Find, sent: Instant::now() });
    }

    /// Looks up where a peer is.
    fn locate(&mut self, peer: PeerId) {
        let network = self.network.clone();
        let located = async move {
            let near = network.closest(peer.to_bytes()).await;
            Landed::Located(peer, near.into_iter().filter(|known| known.peer == peer).collect())
        };
        self.flights.push(located.boxed());
        self.questions.push(Asked { peer: Some(peer), what: What::Locate, sent: Instant::now() });
    }

    /// Asks a peer.
    pub(super) fn ask(&mut self, peer: PeerId, what: What) {
        let sent = Instant::now();
        match what {
            What::Fragment(_) | What::Blocks { .. } => self.roster.sent(&peer),
            _ => self.questions.push(Asked { peer: Some(peer), what: what.clone(), sent }),
        }
        let (network, question) = (self.network.clone(), what.question(self.pack));
        let addresses = self.roster.addresses(&peer);
        let answer = async move {
            let told = ask(&network, peer, addresses, &question, |reply| what.told(reply)).await;
            Landed::Answer { peer, what, took: sent.elapsed(), told }
        };
        self.flights.push(answer.boxed());
    }

    fn is_late(&self, asked: &Asked, now: Instant) -> bool {
        now.saturating_duration_since(asked.sent) >= self.pace.patience()
    }

    /// How many questions of a kind are on their way and not late.
    fn count(&self, now: Instant, is_it: impl Fn(&What) -> bool) -> usize {
        let all = self.questions.iter().filter(|asked| is_it(&asked.what));
        all.filter(|asked| !self.is_late(asked, now)).count()
    }

    /// Whether somebody may yet say, in time, what he keeps.
    pub(super) fn is_asking(&self, now: Instant) -> bool {
        let waits = self.count(now, |what| *what != What::Header) > 0;
        let was_asked = |peer: &PeerId| self.asked.contains(&(*peer, What::Held.once()));
        waits || !self.roster.peers().iter().all(was_asked)
    }

    /// Whether somebody may yet say what he keeps, however late.
    pub(super) fn may_hear(&self) -> bool {
        self.questions.iter().any(|asked| asked.what != What::Header)
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.flights.is_empty()
    }

    /// Asks who has what, and for the header.
    fn ask_around(&mut self, now: Instant) {
        let peers = self.roster.peers();
        let room = ASKED_AT_ONCE.saturating_sub(self.count(now, |what| *what == What::Held));
        let once = What::Held.once();
        let new = peers.iter().filter(|peer| !self.asked.contains(&(**peer, once)));
        for peer in new.take(room).copied().collect::<Vec<_>>() {
            self.asked.insert((peer, once));
            self.ask(peer, What::Held);
        }
        if self.header.is_some() {
            return;
        }
        let room = HEADERS_AT_ONCE.saturating_sub(self.count(now, |what| *what == What::Header));
        let once = What::Header.once();
        let mut new: Vec<_> =
            peers.into_iter().filter(|peer| !self.asked.contains(&(*peer, once))).collect();
        // Who has fragments has the header.
        new.sort_by_key(|peer| (!self.roster.has_some(peer), self.roster.rank(peer)));
        for peer in new.into_iter().take(room) {
            self.asked.insert((peer, once));
            self.ask(peer, What::Header);
        }
    }

    /// Waits until something happens, and no longer than until `wake`.
    pub(super) async fn next(&mut self, wake: Option<Instant>) -> Happened {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Happened::Late;
        }
        self.ask_around(now);
        if self.flights.is_empty() {
            return Happened::Nothing;
        }
        let patience = self.pace.patience();
        let late = self.questions.iter().filter_map(|asked| asked.sent.checked_add(patience));
        let late = late.filter(|at| *at > now).min();
        let next = [self.deadline, wake, late].into_iter().flatten().min();
        let timer = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let landed = tokio::select! {
            landed = self.flights.next() => landed,
            () = timer => None,
        };
        match landed {
            None => Happened::Something,
            Some(Landed::Found(peers)) => {
                self.questions.retain(|asked| asked.what != What::Find);
                let peers = self.add(peers.into_iter().map(Source::from));
                if peers > 0 {
                    self.tell(FetchEvent::Found { peers });
                }
                Happened::Something
            }
            Some(Landed::Located(peer, known)) => {
                self.located(peer, known);
                Happened::Something
            }
            Some(Landed::Answer { peer, what, took, told }) => {
                self.answered(peer, what, took, told)
            }
        }
    }

    /// It is known now where a peer is, or it is not known at all.
    fn located(&mut self, peer: PeerId, known: Vec<KnownPeer>) {
        let is_it = |asked: &Asked| asked.what == What::Locate && asked.peer == Some(peer);
        self.questions.retain(|asked| !is_it(asked));
        let addresses = self.roster.addresses(&peer);
        if known.iter().all(|known| addresses.contains(&known.address)) {
            return self.give_up(peer, RequestError::Unreachable(peer).into());
        }
        self.add(known.into_iter().map(Source::from));
        self.asked.remove(&(peer, What::Held.once()));
        self.asked.remove(&(peer, What::Header.once()));
    }

    fn answered(
        &mut self,
        peer: PeerId,
        what: What,
        took: Duration,
        told: Result<Told, AskError>,
    ) -> Happened {
        if let Ok(told) = &told {
            self.roster.answered(&peer, took);
            let bytes = match told {
                Told::Absent => 0,
                Told::Held(bytes) | Told::Bytes(bytes) => bytes.len(),
            };
            self.report.of(peer).bytes += bytes as u64;
        }
        if matches!(what, What::Fragment(_) | What::Blocks { .. }) {
            self.roster.landed(&peer);
            return Happened::Answer { peer, what, took, told: Box::new(told) };
        }
        self.questions.retain(|asked| asked.what != what || asked.peer != Some(peer));
        match told {
            Ok(Told::Held(held)) => {
                self.pace.note(took);
                self.holds(peer, held, took);
            }
            Ok(Told::Bytes(bytes)) => {
                self.pace.note(took);
                self.take_header(peer, &bytes);
            }
            Ok(Told::Absent) => self.pace.note(took),
            // Who keeps fragments and no header may still be of use.
            Err(AskError::Refused { .. }) if what == What::Header => {}
            Err(error) => self.failed(peer, error),
        }
        Happened::Something
    }

    fn holds(&mut self, peer: PeerId, held: Vec<u8>, took: Duration) {
        if !held.is_sorted_by(|one, next| one < next) {
            return self.lied(peer, FetchLie::Held);
        }
        let fragments = held.len();
        self.roster.holds(&peer, held.into_iter().collect());
        self.tell(FetchEvent::Holds { peer, fragments, took });
    }

    fn take_header(&mut self, peer: PeerId, bytes: &[u8]) {
        if !self.pack.matches(bytes) {
            return self.lied(peer, FetchLie::Header { bytes: bytes.len() });
        }
        if self.header.is_none() {
            // These are the bytes that the content id names, so what is wrong with them is not the peer's
            // fault.
            self.header = Some(PackHeader::from_bytes(bytes));
            self.tell(FetchEvent::Header { peer });
        }
    }

    /// Waits for the pack's header; one that is known already is given.
    pub(super) async fn header(
        &mut self,
        known: Option<PackHeader>,
    ) -> Result<PackHeader, FetchError> {
        let pack = self.pack;
        if let Some(header) = known {
            self.header = Some(Ok(header));
        }
        loop {
            match &self.header {
                Some(Ok(header)) => return Ok(header.clone()),
                Some(Err(source)) => {
                    return Err(FetchError::NoPack { pack, source: source.clone() });
                }
                None => {}
            }
            match self.next(None).await {
                Happened::Answer { .. } | Happened::Something => {}
                Happened::Nothing => {
                    return Err(FetchError::NoHeader { pack, report: self.close([]) });
                }
                Happened::Late => {
                    let report = self.close([]);
                    return Err(FetchError::Late { pack, found: 0, needed: 0, report });
                }
            }
        }
    }

    /// A peer gave no answer, or none that is one.
    pub(super) fn failed(&mut self, peer: PeerId, error: AskError) {
        match error {
            AskError::Refused { reason, .. } => self.give_up(peer, Failure::Refused(reason)),
            AskError::Nonsense(_) => self.name(peer, FetchLie::Nonsense),
            AskError::Request(error) => self.request_failed(peer, error),
        }
    }

    fn request_failed(&mut self, peer: PeerId, error: RequestError) {
        match error {
            RequestError::Unreachable(_) if self.may_be_located(peer) => {}
            RequestError::Broken { .. } if !self.roster.broke(&peer) => {
                self.asked.remove(&(peer, What::Held.once()));
                self.asked.remove(&(peer, What::Header.once()));
            }
            error => self.give_up(peer, error.into()),
        }
    }

    /// Whether it is looked up where a peer is that is not where it was said to be. Until it is found, it
    /// has nothing.
    fn may_be_located(&mut self, peer: PeerId) -> bool {
        if !self.looks_up {
            return false;
        }
        if self.asked.insert((peer, What::Locate.once())) {
            self.roster.forget(&peer);
            self.locate(peer);
            return true;
        }
        let is_it = |asked: &Asked| asked.what == What::Locate && asked.peer == Some(peer);
        self.questions.iter().any(is_it)
    }

    /// Does not ask a peer any more.
    fn give_up(&mut self, peer: PeerId, failure: Failure) {
        self.roster.give_up(&peer);
        let done = self.report.of(peer);
        if done.failure.is_none() {
            done.failure = Some(failure.clone());
            self.tell(FetchEvent::Failed { peer, failure });
        }
    }

    /// A peer does not give a fragment that it said it keeps.
    pub(super) fn withheld(&mut self, peer: PeerId, fragment: u8) {
        self.roster.deny(&peer, fragment);
        self.report.of(peer).withheld.push(fragment);
        self.tell(FetchEvent::Withheld { peer, fragment });
    }

    /// A peer sent what no honest one does.
    pub(super) fn lied(&mut self, peer: PeerId, lie: FetchLie) {
        self.network.blame(peer);
        self.name(peer, lie);
    }

    fn name(&mut self, peer: PeerId, lie: FetchLie) {
        self.roster.give_up(&peer);
        let done = self.report.of(peer);
        if done.lie.is_none() {
            done.lie = Some(lie.clone());
            self.tell(FetchEvent::Liar { peer, lie });
        }
    }

    /// Ends: what is on its way is given up, and who is late with it is noted.
    pub(super) fn close(&mut self, late: impl IntoIterator<Item = PeerId>) -> Box<Report> {
        let now = Instant::now();
        let asked = self.questions.iter().filter(|asked| self.is_late(asked, now));
        let asked = asked.filter_map(|asked| asked.peer).collect::<Vec<_>>();
        for peer in late.into_iter().chain(asked) {
            self.report.of(peer).unanswered += 1;
        }
        self.flights.clear();
        self.questions.clear();
        Box::new(std::mem::take(&mut self.report))
    }
}
