//! Fetching one item of a pack: some blocks of a few fragments.
//!
//! [`ItemRead`] says which blocks are wanted. Those of one fragment are asked of whoever keeps it; where
//! he is late, of another who keeps it too. Where nobody else does, the same blocks of other fragments are
//! read and decoded, if there are enough of them with a key.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use chronolith_chain::content::ContentId;
use chronolith_fragment::{FRAGMENTS_MAX, MaskKey, MaskSecret, Shown};
use libp2p::PeerId;

use super::error::{FetchError, FetchLie};
use super::pace::Pace;
use super::report::{FetchEvent, Report};
use super::session::{Happened, Session, Told, What};
use super::settings::{FetchSettings, Source};
use crate::exchange::AskError;
use crate::network::NetworkHandle;
use crate::pack::{Item, PackHeader};
use crate::partial::{ItemRead, ReadError, Step, Want};

/// What the fragments are read with.
#[derive(Debug, Clone)]
pub enum Keys {
    /// The secret of the pack's mask, which gives the keys of all fragments.
    Secret(MaskSecret),
    /// The keys of some fragments, as a buyer is granted them.
    Granted(BTreeMap<u8, MaskKey>),
}

/// What is to be fetched.
#[derive(Debug, Clone)]
pub struct ItemFetch {
    /// Of which pack.
    pub pack: ContentId,
    /// Which item.
    pub item: ContentId,
    /// What it is read with.
    pub keys: Keys,
    /// Who may have the pack, beside those whom the DHT names.
    pub sources: Vec<Source>,
    /// How it is asked for.
    pub settings: FetchSettings,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedItem {
    /// The item, which is what its content id names; none where the pack does not have it.
    pub item: Option<Item>,
    /// The bytes of all answers: the header, what peers keep, blocks and their proofs, and what did not
    /// hold.
    pub bytes_read: u64,
    /// Who gave what.
    pub report: Report,
}

/// Fetches one item of a pack. `told` hears what happens as it happens; it must not wait.
///
/// # Errors
/// Who was asked and what was missing, or a fault of the pack's owner.
pub async fn fetch_item(
    network: &NetworkHandle,
    fetch: ItemFetch,
    mut told: impl FnMut(FetchEvent) + Send,
) -> Result<FetchedItem, FetchError> {
    let ItemFetch { pack, item, keys, sources, settings } = fetch;
    let mut session = Session::new(network, pack, sources, &settings, &mut told);
    let header = session.header(None).await?;
    let keys = match keys {
        Keys::Granted(keys) => keys,
        Keys::Secret(secret) if secret.commitment() != header.mask => {
            return Err(FetchError::OtherSecret { pack });
        }
        Keys::Secret(secret) => {
            let all = 0..header.shape.fragments().min(FRAGMENTS_MAX);
            all.map(|index| (index, secret.key(index))).collect()
        }
    };
    let with_key = keys.keys().copied().collect();
    let read = ItemRead::new(header.clone(), item, keys);
    let read = read.map_err(|source| FetchError::Read { source, report: session.close([]) })?;
    let reading = Reading {
        session,
        header,
        pack,
        read,
        with_key,
        lost: BTreeSet::new(),
        jobs: Vec::new(),
        pace: Pace::new(&settings),
    };
    reading.run().await
}

/// Blocks that are wanted of one fragment, and who is asked for them.
struct Job {
    want: Want,
    /// Whom, and since when.
    flights: Vec<(PeerId, Instant)>,
    tried: BTreeSet<PeerId>,
    /// Whether other fragments are decoded instead.
    is_replaced: bool,
}

/// A read whose header is known.
struct Reading<'a> {
    session: Session<'a>,
    header: PackHeader,
    pack: ContentId,
    read: ItemRead,
    with_key: BTreeSet<u8>,
    /// Fragments that cannot be had, or not in time.
    lost: BTreeSet<u8>,
    jobs: Vec<Job>,
    pace: Pace,
}

impl Reading<'_> {
    async fn run(mut self) -> Result<FetchedItem, FetchError> {
        loop {
            let item = match self.read.step() {
                Ok(Step::Fetch(wants)) => {
                    let now = Instant::now();
                    self.plan(wants);
                    if self.ask(now) {
                        continue;
                    }
                    self.wait().await?;
                    continue;
                }
                Ok(Step::Done(item)) => Some(item),
                Ok(Step::Absent) => None,
                Err(ReadError::Unreadable { .. }) if self.find_again() => continue,
                Err(ReadError::Unreadable { .. }) if !self.session.is_idle() => {
                    self.wait().await?;
                    continue;
                }
                Err(source) => {
                    let report = self.close();
                    return Err(FetchError::Read { source, report });
                }
            };
            let report = *self.close();
            return Ok(FetchedItem { item, bytes_read: report.bytes(), report });
        }
    }

    fn close(&mut self) -> Box<Report> {
        let (now, patience) = (Instant::now(), self.pace.patience());
        let all = self.jobs.iter().flat_map(|job| &job.flights);
        let late = all.filter(|(_, sent)| now.saturating_duration_since(*sent) >= patience);
        let late: Vec<PeerId> = late.map(|(peer, _)| *peer).collect();
        self.session.close(late)
    }

    /// Takes in what is wanted now. What is on its way for nothing any more is let land.
    fn plan(&mut self, wants: Vec<Want>) {
        self.jobs.retain(|job| !job.flights.is_empty() || wants.contains(&job.want));
        for want in wants {
            if !self.jobs.iter().any(|job| job.want == want) {
                let (flights, tried) = (Vec::new(), BTreeSet::new());
                self.jobs.push(Job { want, flights, tried, is_replaced: false });
            }
        }
    }

    /// Asks for what nobody is asked for, or only somebody who is late. Whether a fragment turned out
    /// not to be had, so that other blocks are wanted.
    fn ask(&mut self, now: Instant) -> bool {
        let (patience, is_asking) = (self.pace.patience(), self.session.is_asking(now));
        let mut is_changed = false;
        for number in 0..self.jobs.len() {
            let Some(job) = self.jobs.get(number) else { break };
            let fragment = job.want.fragment;
            let roster = &self.session.roster;
            let is_late = |sent: &Instant| now.saturating_duration_since(*sent) >= patience;
            let in_time = |(peer, sent): &(PeerId, Instant)| !roster.is_out(peer) && !is_late(sent);
            if job.is_replaced || job.flights.iter().any(in_time) {
                continue;
            }
            let late = job.flights.first().map(|(peer, _)| *peer);
            let able: Vec<_> =
                roster.holders(fragment).filter(|peer| !job.tried.contains(peer)).collect();
            let free = able.iter().filter(|peer| roster.has_room(peer)).copied();
            // Who gave something that holds is believed more than who gave nothing yet.
            let gave = |peer: &PeerId| {
                self.session.report.peers.get(peer).is_some_and(|done| !done.gave.is_empty())
            };
            match free.min_by_key(|peer| (!gave(peer), roster.rank(peer))) {
                Some(peer) => self.send(number, peer, late, now),
                // He who has it has other things to do yet, or is still to be heard of.
                None if !able.is_empty() || is_asking => {}
                None if self.can_decode_without(fragment)
                    || (late.is_none() && !self.session.may_hear()) =>
                {
                    self.replace(number, late);
                    is_changed = true;
                }
                // Only he who is late can help, with the blocks or with saying that he has them.
                None => {}
            }
        }
        is_changed
    }

    fn send(&mut self, number: usize, peer: PeerId, late: Option<PeerId>, now: Instant) {
        let Some(job) = self.jobs.get_mut(number) else { return };
        job.flights.push((peer, now));
        job.tried.insert(peer);
        let Want { fragment, rows } = job.want.clone();
        if let Some(late) = late {
            let asked = Some(peer);
            self.session.tell(FetchEvent::Hedged { late, fragment, asked, instead: fragment });
        }
        self.session.ask(peer, What::Blocks { fragment, rows });
    }

    /// Has other fragments decoded in the place of one that cannot be had.
    fn replace(&mut self, number: usize, late: Option<PeerId>) {
        let Some(job) = self.jobs.get_mut(number) else { return };
        let fragment = job.want.fragment;
        job.is_replaced = true;
        self.lost.insert(fragment);
        self.read.tell_missing(fragment);
        if let Some(late) = late {
            self.session.tell(FetchEvent::Hedged {
                late,
                fragment,
                asked: None,
                instead: fragment,
            });
        }
    }

    /// Goes back to fragments that were given up only because whoever has them is late; whether there are
    /// any.
    fn find_again(&mut self) -> bool {
        let roster = &self.session.roster;
        let has_holder = |fragment: &u8| roster.holders(*fragment).next().is_some();
        let found: Vec<u8> = self.lost.iter().copied().filter(has_holder).collect();
        for fragment in &found {
            self.lost.remove(fragment);
            self.read.tell_found(*fragment);
        }
        for job in self.jobs.iter_mut().filter(|job| found.contains(&job.want.fragment)) {
            job.is_replaced = false;
        }
        !found.is_empty()
    }

    /// Whether enough other fragments can be had and unmasked.
    fn can_decode_without(&self, fragment: u8) -> bool {
        let others = self.with_key.iter().filter(|other| **other != fragment);
        let others = others.filter(|other| !self.lost.contains(other));
        let had = others.filter(|other| self.session.roster.holders(**other).next().is_some());
        had.count() >= usize::from(self.header.shape.needed())
    }

    async fn wait(&mut self) -> Result<(), FetchError> {
        let (now, patience) = (Instant::now(), self.pace.patience());
        let sent = self.jobs.iter().flat_map(|job| &job.flights);
        let late = sent.filter_map(|(_, sent)| sent.checked_add(patience));
        let wake = late.filter(|at| *at > now).min();
        match self.session.next(wake).await {
            Happened::Something => {}
            Happened::Answer { peer, what, took, told } => {
                if let What::Blocks { fragment, rows } = what {
                    self.answered(peer, fragment, rows, took, *told);
                }
            }
            // Nobody is left who could give what is wanted.
            Happened::Nothing => {
                for number in 0..self.jobs.len() {
                    self.replace(number, None);
                }
            }
            Happened::Late => {
                let (pack, needed, report) = (self.pack, self.header.shape.needed(), self.close());
                return Err(FetchError::Late { pack, found: 0, needed, report });
            }
        }
        Ok(())
    }

    fn answered(
        &mut self,
        peer: PeerId,
        fragment: u8,
        rows: Range<u32>,
        took: Duration,
        told: Result<Told, AskError>,
    ) {
        let want = Want { fragment, rows };
        for job in self.jobs.iter_mut().filter(|job| job.want == want) {
            job.flights.retain(|(asked, _)| *asked != peer);
        }
        match told {
            Ok(Told::Bytes(bytes)) => {
                let (shape, root) = (self.header.shape, &self.header.fragments_root);
                // It is checked here first: another peer may have the same fragment, and not lie.
                let shown = Shown::check(shape, root, fragment, &want.rows, &bytes);
                match shown.map(drop).and_then(|()| self.read.tell(&want, &bytes)) {
                    Ok(()) => {
                        self.pace.note(took);
                        let done = self.session.report.of(peer);
                        if !done.gave.contains(&fragment) {
                            done.gave.push(fragment);
                        }
                        let bytes = bytes.len();
                        self.session.tell(FetchEvent::Read { peer, fragment, bytes });
                    }
                    Err(fault) => self.session.lied(peer, FetchLie::Blocks { fragment, fault }),
                }
            }
            Ok(_) | Err(AskError::Refused { .. }) => self.session.withheld(peer, fragment),
            Err(error) => {
                if matches!(error, AskError::Request(_)) {
                    // A request that broke may be made again.
                    for job in self.jobs.iter_mut().filter(|job| job.want == want) {
                        job.tried.remove(&peer);
                    }
                }
                self.session.failed(peer, error);
            }
        }
    }
}
