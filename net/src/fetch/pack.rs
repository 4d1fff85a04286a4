//! Fetching a whole pack.

use std::time::{Duration, Instant};

use chronolith_chain::content::ContentId;
use libp2p::PeerId;

use super::error::{FetchError, FetchLie};
use super::folder::{FolderError, FragmentFolder};
use super::plan::Plan;
use super::report::{FetchEvent, Report};
use super::session::{Happened, Session, Told, What};
use super::settings::{FetchSettings, Source};
use crate::exchange::AskError;
use crate::join::{Collector, Lie};
use crate::network::NetworkHandle;
use crate::pack::PackHeader;
use crate::stored::StoredFragment;

/// What is to be fetched.
#[derive(Debug, Clone)]
pub struct PackFetch {
    /// Which pack.
    pub pack: ContentId,
    /// Who may have it, beside those whom the DHT names.
    pub sources: Vec<Source>,
    /// How it is asked for.
    pub settings: FetchSettings,
    /// Where what arrives is kept, and what arrived before is found.
    pub folder: Option<FragmentFolder>,
}

/// Where a fragment is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Giver {
    /// It was in the folder.
    Folder,
    /// A peer sent it.
    Peer(PeerId),
}

/// Fragments of a pack that are enough to restore it; all of them hold.
pub struct Fetched {
    /// The fragments; [`Collector::join`] gives the pack, [`Collector::rebuild`] what others lost.
    pub collector: Collector<Giver>,
    /// Who gave what.
    pub report: Report,
}

/// Fetches as many fragments of a pack as restore it. `told` hears what happens as it happens; it must
/// not wait.
///
/// # Errors
/// Who was asked and what was missing; or where the folder fails.
pub async fn fetch_pack(
    network: &NetworkHandle,
    fetch: PackFetch,
    mut told: impl FnMut(FetchEvent) + Send,
) -> Result<Fetched, FetchError> {
    let PackFetch { pack, sources, settings, folder } = fetch;
    let known = folder.as_ref().map(|folder| folder.header(&pack)).transpose()?.flatten();
    let mut session = Session::new(network, pack, sources, &settings, &mut told);
    let is_known = known.is_some();
    let header = session.header(known).await?;
    if let Some(folder) = folder.as_ref().filter(|_| !is_known) {
        folder.keep_header(&header)?;
    }
    let shape = header.shape;
    let plan = Plan::new(shape.needed(), shape.fragments(), &settings);
    let collector = Collector::new(header.clone());
    let mut gathering = Gathering { session, header, pack, plan, collector, folder };
    gathering.resume()?;
    gathering.run().await?;
    gathering.finish()
}

/// A fetch whose header is known.
struct Gathering<'a> {
    session: Session<'a>,
    header: PackHeader,
    pack: ContentId,
    plan: Plan,
    collector: Collector<Giver>,
    folder: Option<FragmentFolder>,
}

impl Gathering<'_> {
    /// Takes what is in the folder, as far as it holds.
    fn resume(&mut self) -> Result<(), FolderError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        for fragment in 0..self.header.shape.fragments() {
            if self.plan.is_enough() {
                return Ok(());
            }
            let Some(bytes) = folder.fragment(&self.pack, fragment)? else { continue };
            let is_it = StoredFragment::from_bytes(&bytes)
                .is_ok_and(|stored| stored.fragment.index == fragment);
            if is_it && self.collector.offer(Giver::Folder, &bytes) {
                self.plan.resumed(fragment);
                self.session.report.resumed.push(fragment);
                self.session.tell(FetchEvent::Resumed { fragment });
            }
        }
        Ok(())
    }

    /// Asks until there is enough.
    async fn run(&mut self) -> Result<(), FetchError> {
        while !self.plan.is_enough() {
            self.ask(Instant::now());
            match self.session.next(self.plan.wake(Instant::now())).await {
                Happened::Something => {}
                Happened::Answer { peer, what, took, told } => {
                    if let What::Fragment(fragment) = what {
                        self.answered(peer, fragment, took, *told)?;
                    }
                }
                Happened::Nothing if self.collector.is_enough() => return Ok(()),
                Happened::Late if self.collector.is_enough() => return Ok(()),
                Happened::Nothing => {
                    let (pack, found, needed, report) = self.too_few();
                    return Err(FetchError::TooFew { pack, found, needed, report });
                }
                Happened::Late => {
                    let (pack, found, needed, report) = self.too_few();
                    return Err(FetchError::Late { pack, found, needed, report });
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, now: Instant) {
        let is_asking = self.session.is_asking(now);
        while let Some(next) = self.plan.next(&self.session.roster, is_asking, now) {
            if let Some((late, fragment)) = next.late {
                let (asked, instead) = (Some(next.peer), next.fragment);
                self.session.tell(FetchEvent::Hedged { late, fragment, asked, instead });
            }
            self.session.ask(next.peer, What::Fragment(next.fragment));
        }
    }

    fn too_few(&mut self) -> (ContentId, usize, u8, Box<Report>) {
        let report = self.session.close(self.plan.late(Instant::now()));
        (self.pack, self.plan.found(), self.header.shape.needed(), report)
    }

    fn answered(
        &mut self,
        peer: PeerId,
        fragment: u8,
        took: Duration,
        told: Result<Told, AskError>,
    ) -> Result<(), FolderError> {
        self.plan.landed(&peer, fragment);
        match told {
            Ok(Told::Bytes(bytes)) => match self.take(peer, fragment, &bytes) {
                Ok(()) => return self.arrived(peer, fragment, &bytes, took),
                Err(lie) => self.session.lied(peer, lie),
            },
            Ok(_) | Err(AskError::Refused { .. }) => self.session.withheld(peer, fragment),
            Err(error) => self.session.failed(peer, error),
        }
        Ok(())
    }

    /// Takes what a peer sent, if it is the fragment.
    fn take(&mut self, peer: PeerId, asked: u8, bytes: &[u8]) -> Result<(), FetchLie> {
        let of = |lie: Lie| FetchLie::Fragment { asked, lie };
        let stored = StoredFragment::from_bytes(bytes).map_err(|error| of(error.into()))?;
        let found = stored.fragment.index;
        if found != asked {
            return Err(FetchLie::OtherFragment { asked, found });
        }
        if self.collector.offer(Giver::Peer(peer), bytes) {
            return Ok(());
        }
        let last = self.collector.liars().last();
        Err(last.map_or(FetchLie::Nonsense, |liar| of(liar.lie.clone())))
    }

    fn arrived(
        &mut self,
        peer: PeerId,
        fragment: u8,
        bytes: &[u8],
        took: Duration,
    ) -> Result<(), FolderError> {
        self.plan.arrived(fragment, took);
        self.session.report.of(peer).gave.push(fragment);
        if let Some(folder) = &self.folder {
            folder.keep(&self.pack, fragment, bytes)?;
        }
        let (found, wanted, bytes) = (self.plan.found(), self.plan.wanted(), bytes.len());
        self.session.tell(FetchEvent::Arrived { peer, fragment, bytes, took, found, wanted });
        Ok(())
    }

    fn finish(mut self) -> Result<Fetched, FetchError> {
        let report = *self.session.close(self.plan.late(Instant::now()));
        if let Some(folder) = &self.folder {
            folder.sync(&self.pack, self.collector.fragments().map(|one| one.index))?;
        }
        Ok(Fetched { collector: self.collector, report })
    }
}
