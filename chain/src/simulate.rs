//! Thousands of runs of a whole chain in one thread: real validators on simulated disks, with a
//! virtual clock and a network that is as bad as it may be.
//!
//! A run follows from its seed alone, so that one that went wrong can be looked at again. In a time
//! of trouble messages are lost, late, doubled and out of order, the network is split and joined,
//! and nodes lose power in the middle of what they write. Some validators are Byzantine
//! ([`ActorKind`]). Then everything heals. All the time a [`Checker`] looks at what honest nodes
//! send and commit, executes every block itself, and ends the run at the first [`Invariant`] that
//! does not hold.
//!
//! ```
//! use chronolith_chain::simulate::{ActorKind, Config, simulate};
//!
//! let config = Config::new(4, Some(ActorKind::Equivocator));
//! let report = simulate(&config, 0..3)?;
//! assert_eq!((report.seeds, report.forks), (3, 0));
//! assert_eq!(report.broken, None);
//! # Ok::<(), chronolith_chain::simulate::SetupError>(())
//! ```

mod actors;
mod config;
mod invariants;
mod load;
mod network;
mod node;
mod queue;
mod random;
mod report;
mod run;
mod setup;

use std::rc::Rc;

pub use config::{ActorKind, Config, UnknownActor};
pub use invariants::{Broken, Checker, CheckerError, Invariant};
pub use random::Random;
pub use report::{FirstBroken, Outcome, Report};
pub use setup::SetupError;

/// Runs seeds of one configuration.
pub struct Simulator {
    setup: Rc<setup::Setup>,
}

impl Simulator {
    /// Makes the chain that all runs begin with.
    ///
    /// # Errors
    /// Where the configuration makes no chain.
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        Ok(Self { setup: Rc::new(setup::Setup::new(config)?) })
    }

    /// Runs one seed.
    ///
    /// # Errors
    /// Where a node cannot be made; whatever goes wrong in the run itself is in the outcome.
    pub fn run(&self, seed: u64) -> Result<Outcome, SetupError> {
        Ok(run::Run::new(&self.setup, seed)?.finish())
    }
}

/// Runs some seeds, one after the other.
///
/// # Errors
/// Where the configuration makes no chain.
pub fn simulate(
    config: &Config,
    seeds: impl IntoIterator<Item = u64>,
) -> Result<Report, SetupError> {
    let simulator = Simulator::new(config)?;
    let mut report = Report::default();
    for seed in seeds {
        report.add(simulator.run(seed)?);
    }
    Ok(report)
}
