//! Durability over years: peers come and go, regions fail, repairs race with losses.
//!
//! Peers live for an exponentially distributed time and are replaced by new ones without any fragments;
//! failures of whole regions take a share of their peers at once. A pack whose live fragments fall to
//! its profile's threshold is repaired after an exponentially distributed time, which stands for
//! missed audits, notice and transfer; fragments go where [`crate::placement`] puts them. A pack with
//! fewer live fragments than it needs is lost. Peers that are merely away lose nothing and are not
//! part of this.

mod model;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::hash::Hash;
use chronolith_chain::keys::PublicKey;
use chronolith_chain::simulate::Random;
use chronolith_fragment::{Profile, Shape};

use crate::pack::PACK_BYTES;
use crate::placement::{Candidate, NotEnough, Request, place};

pub use model::loss_probability;

const HOUR_S: f64 = 3_600.0;
const YEAR_S: f64 = 365.25 * 24.0 * HOUR_S;
/// The most peers, packs and years that are simulated.
const PEERS_MOST: usize = 100_000;
const PACKS_MOST: usize = 1_000_000;
const YEARS_MOST: f64 = 1_000.0;

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// For how long.
    pub years: f64,
    /// How many peers there are at any time.
    pub peers: usize,
    /// How packs are cut.
    pub profile: Profile,
    /// How many packs.
    pub packs: usize,
    /// How long a peer lives, on average.
    pub lifetime_days: f64,
    /// How long it takes from a pack's falling to its threshold until it is repaired, on average.
    pub repair_hours: f64,
    /// In how many regions the peers are.
    pub regions: usize,
    /// How often a region fails.
    pub region_failures_per_year: f64,
    /// Which part of its peers is then gone for ever.
    pub region_loss: f64,
    /// What everything follows from.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            years: 10.0,
            peers: 1_000,
            profile: Profile::Standard,
            packs: 1_000,
            lifetime_days: 365.0,
            repair_hours: 24.0,
            regions: 10,
            region_failures_per_year: 0.1,
            region_loss: 0.5,
            seed: 0,
        }
    }
}

/// What cannot be simulated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number is outside its bounds.
    #[error("{name} is {found}; give {bounds}")]
    Bounds {
        /// Which.
        name: &'static str,
        /// What it is.
        found: f64,
        /// What would be right.
        bounds: &'static str,
    },
    /// Fewer peers than fragments.
    #[error(transparent)]
    Peers(#[from] NotEnough),
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Report {
    /// How many packs were lost.
    pub lost_packs: u64,
    /// The chance that one pack is lost in this time by the model: a birth-death chain without regions'
    /// failures.
    pub model_loss: f64,
    /// How many peers died by themselves.
    pub deaths: u64,
    /// How many regions failed.
    pub region_failures: u64,
    /// How many peers died by that.
    pub region_deaths: u64,
    /// How many repairs were made.
    pub repairs: u64,
    /// How many fragments they rebuilt.
    pub rebuilt_fragments: u64,
    /// What repairs moved: the fragments that were read and written, in bytes.
    pub repair_bytes: u64,
    /// The fewest live fragments that any pack ever had.
    pub live_least: u8,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A peer dies, if it is still the one that it was.
    Death { peer: usize, number: u64 },
    /// A region fails.
    RegionFailure { region: usize },
    /// A pack is repaired.
    Repair { pack: usize },
}

struct Peer {
    /// Its number among all that ever were.
    number: u64,
    /// Pack and fragment.
    keeps: Vec<(usize, u8)>,
}

struct Pack {
    /// The peer that keeps each fragment.
    keepers: Vec<Option<usize>>,
    live: u8,
    is_repairing: bool,
    is_lost: bool,
    repairs: u64,
}

struct Simulation<'a> {
    config: &'a Config,
    shape: Shape,
    random: Random,
    now_s: f64,
    /// The earliest first: times as bits, which order as positive floats do.
    queue: BinaryHeap<Reverse<(u64, Event)>>,
    peers: Vec<Peer>,
    /// The same peers, as placement sees them.
    candidates: Vec<Candidate>,
    packs: Vec<Pack>,
    made: u64,
    report: Report,
}

impl Config {
    fn check(&self) -> Result<(), ConfigError> {
        let within = |name, found: f64, least: f64, most: f64, bounds| {
            if found.is_finite() && (least..=most).contains(&found) {
                return Ok(());
            }
            Err(ConfigError::Bounds { name, found, bounds })
        };
        within("years", self.years, 0.001, YEARS_MOST, "0.001 to 1,000")?;
        within("lifetime_days", self.lifetime_days, 0.1, 1e6, "0.1 to 1,000,000")?;
        within("repair_hours", self.repair_hours, 0.01, 1e6, "0.01 to 1,000,000")?;
        let failures = self.region_failures_per_year;
        within("region_failures_per_year", failures, 0.0, 1e4, "0 to 10,000")?;
        within("region_loss", self.region_loss, 0.0, 1.0, "a share from 0 to 1")?;
        within("peers", self.peers as f64, 1.0, PEERS_MOST as f64, "1 to 100,000")?;
        within("packs", self.packs as f64, 1.0, PACKS_MOST as f64, "1 to 1,000,000")?;
        within("regions", self.regions as f64, 1.0, self.peers as f64, "1 to one for each peer")?;
        let needed = usize::from(self.profile.fragments());
        if self.peers < needed {
            return Err(NotEnough { needed, found: self.peers, regions: Vec::new() }.into());
        }
        Ok(())
    }
}

/// Simulates packs over years.
///
/// # Errors
/// A configuration that makes no sense.
pub fn simulate(config: &Config) -> Result<Report, ConfigError> {
    config.check()?;
    // A whole pack fits every profile.
    let shape = Shape::of(config.profile, PACK_BYTES);
    let shape = shape.map_err(|_| NotEnough { needed: 0, found: 0, regions: Vec::new() })?;
    let mut simulation = Simulation {
        config,
        shape,
        random: Random::new(config.seed),
        now_s: 0.0,
        queue: BinaryHeap::new(),
        peers: Vec::with_capacity(config.peers),
        candidates: Vec::with_capacity(config.peers),
        packs: Vec::with_capacity(config.packs),
        made: 0,
        report: Report { live_least: config.profile.fragments(), ..Report::default() },
    };
    simulation.begin()?;
    simulation.run();
    Ok(Report { model_loss: loss_probability(config), ..simulation.report })
}

impl Simulation<'_> {
    /// An exponentially distributed time.
    fn exponential_s(&mut self, mean_s: f64) -> f64 {
        // 53 random bits, and never zero.
        let uniform = ((self.random.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -mean_s * uniform.ln()
    }

    fn schedule(&mut self, mean_s: f64, event: Event) {
        let time_s = self.now_s + self.exponential_s(mean_s);
        self.queue.push(Reverse((time_s.to_bits(), event)));
    }

    fn new_peer(&mut self, place: usize) -> (Peer, Candidate) {
        self.made += 1;
        let number = self.made;
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        let region = place % self.config.regions;
        let candidate = Candidate {
            peer: Address::from(PublicKey(key)),
            free_bytes: u64::MAX,
            price_per_gib: Amount::ZERO,
            tickets: 1,
            network: number.to_string(),
            region: region.to_string(),
        };
        let mean_s = self.config.lifetime_days * 24.0 * HOUR_S;
        self.schedule(mean_s, Event::Death { peer: place, number });
        (Peer { number, keeps: Vec::new() }, candidate)
    }

    fn begin(&mut self) -> Result<(), NotEnough> {
        for place in 0..self.config.peers {
            let (peer, candidate) = self.new_peer(place);
            self.peers.push(peer);
            self.candidates.push(candidate);
        }
        if self.config.region_failures_per_year > 0.0 {
            for region in 0..self.config.regions {
                self.schedule_failure(region);
            }
        }
        let fragments = self.shape.fragments();
        for number in 0..self.config.packs {
            self.packs.push(Pack {
                keepers: vec![None; fragments.into()],
                live: fragments,
                is_repairing: false,
                is_lost: false,
                repairs: 0,
            });
            self.fill(number)?;
        }
        Ok(())
    }

    fn schedule_failure(&mut self, region: usize) {
        let mean_s = YEAR_S / self.config.region_failures_per_year;
        self.schedule(mean_s, Event::RegionFailure { region });
    }

    /// Gives the fragments of a pack that nobody keeps to new peers; how many there were.
    fn fill(&mut self, number: usize) -> Result<u8, NotEnough> {
        let Some(pack) = self.packs.get_mut(number) else { return Ok(0) };
        let missing: Vec<u8> = (0_u8..)
            .zip(&pack.keepers)
            .filter_map(|(index, keeper)| keeper.is_none().then_some(index))
            .collect();
        let keepers = pack.keepers.iter().flatten();
        let excluded = keepers.filter_map(|keeper| Some(self.candidates.get(*keeper)?.peer));
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
        seed[8..16].copy_from_slice(&pack.repairs.to_le_bytes());
        seed[16..24].copy_from_slice(&self.config.seed.to_le_bytes());
        let request = Request {
            seed: Hash(seed),
            fragments: missing.len(),
            spare: usize::from(self.shape.fragments() - self.shape.needed()),
            fragment_bytes: self.shape.fragment_bytes() as u64,
            price: Amount::ZERO,
            excluded: excluded.collect(),
            regions: Vec::new(),
        };
        let chosen = place(&self.candidates, &request)?;
        for (index, address) in missing.iter().zip(chosen) {
            let keeper = self.candidates.iter().position(|candidate| candidate.peer == address);
            let keeper = keeper.unwrap_or_default();
            if let Some(slot) = pack.keepers.get_mut(usize::from(*index)) {
                *slot = Some(keeper);
            }
            if let Some(peer) = self.peers.get_mut(keeper) {
                peer.keeps.push((number, *index));
            }
        }
        pack.live = self.shape.fragments();
        Ok(missing.len() as u8)
    }

    fn run(&mut self) {
        let end_s = self.config.years * YEAR_S;
        while let Some(Reverse((time, event))) = self.queue.pop() {
            self.now_s = f64::from_bits(time);
            if self.now_s > end_s {
                break;
            }
            match event {
                Event::Death { peer, number } => {
                    if self.peers.get(peer).is_some_and(|peer| peer.number == number) {
                        self.report.deaths += 1;
                        self.kill(peer);
                    }
                }
                Event::RegionFailure { region } => self.fail(region),
                Event::Repair { pack } => self.repair(pack),
            }
        }
    }

    fn fail(&mut self, region: usize) {
        self.report.region_failures += 1;
        let loss = (self.config.region_loss * 10_000.0).round() as u16;
        for peer in (region..self.config.peers).step_by(self.config.regions) {
            if self.random.happens(loss) {
                self.report.region_deaths += 1;
                self.kill(peer);
            }
        }
        self.schedule_failure(region);
    }

    /// A peer is gone with all it kept; a new one takes its place.
    fn kill(&mut self, place: usize) {
        let (new, candidate) = self.new_peer(place);
        let (Some(peer), Some(known)) = (self.peers.get_mut(place), self.candidates.get_mut(place))
        else {
            return;
        };
        *known = candidate;
        let old = std::mem::replace(peer, new);
        for (number, fragment) in old.keeps {
            let Some(pack) = self.packs.get_mut(number) else { continue };
            if pack.is_lost {
                continue;
            }
            if let Some(slot) = pack.keepers.get_mut(usize::from(fragment)) {
                *slot = None;
            }
            pack.live = pack.live.saturating_sub(1);
            self.report.live_least = self.report.live_least.min(pack.live);
            if pack.live < self.shape.needed() {
                pack.is_lost = true;
                self.report.lost_packs += 1;
            } else if pack.live <= self.config.profile.repair_at() && !pack.is_repairing {
                pack.is_repairing = true;
                let mean_s = self.config.repair_hours * HOUR_S;
                self.schedule(mean_s, Event::Repair { pack: number });
            }
        }
    }

    fn repair(&mut self, number: usize) {
        let Some(pack) = self.packs.get_mut(number).filter(|pack| !pack.is_lost) else { return };
        pack.is_repairing = false;
        pack.repairs += 1;
        // There are as many peers as at the beginning, when the pack had room.
        let Ok(rebuilt) = self.fill(number) else { return };
        self.report.repairs += 1;
        self.report.rebuilt_fragments += u64::from(rebuilt);
        let moved = u64::from(self.shape.needed()) + u64::from(rebuilt);
        self.report.repair_bytes += moved * self.shape.fragment_bytes() as u64;
    }
}
