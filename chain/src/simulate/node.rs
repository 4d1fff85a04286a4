//! An honest node of a run: a real validator on a simulated disk, which may lose power.

use chronolith_disk::{CrashMode, SimDisk};

use super::random::Random;
use super::setup::{Setup, SetupError, consensus_key};
use crate::consensus::{ConsensusError, Input, Now, Output, Validator};
use crate::keys::PublicKey;

/// How many writes, at most, a node does between the order to cut its power and the cut.
const WRITES_UNTIL_CUT: u64 = 24;

/// What came of a call.
pub(super) enum Called {
    /// What the node wants done.
    Outputs(Vec<Output>),
    /// The node is not running.
    Down,
    /// Its power was cut in the call: nothing of it is known to anybody.
    Cut,
    /// It stopped by itself.
    Failed(ConsensusError),
}

/// An honest node.
pub(super) struct Honest {
    pub(super) number: usize,
    pub(super) key: PublicKey,
    /// Counts its starts.
    pub(super) life: u32,
    validator: Option<Validator>,
    disk: SimDisk,
    /// How far its clock is ahead of, or behind, the true time.
    skew_ns: i64,
}

impl Honest {
    /// A node at the genesis, with a clock of its own.
    pub(super) fn new(
        number: usize,
        setup: &Setup,
        random: &mut Random,
    ) -> Result<Self, SetupError> {
        let disk = setup.disk(number);
        let validator = Some(setup.open(number, &disk)?);
        let most = super::setup::PRECISION_MS * 1_000_000;
        let skew_ns = random.below(most) as i64 - (most / 2) as i64;
        let key = consensus_key(number).public();
        Ok(Self { number, key, life: 0, validator, disk, skew_ns })
    }

    /// The validator, while it runs.
    pub(super) fn validator(&self) -> Option<&Validator> {
        self.validator.as_ref()
    }

    /// Gives the validator an input.
    pub(super) fn call(&mut self, elapsed_ns: u64, input: Input) -> Called {
        let Some(validator) = &mut self.validator else { return Called::Down };
        let time_ns = Setup::time_ns(elapsed_ns).saturating_add_signed(self.skew_ns);
        match validator.handle(Now { elapsed_ns, time_ns }, input) {
            Ok(outputs) => Called::Outputs(outputs),
            Err(_) if self.disk.is_cut() => Called::Cut,
            Err(error) => Called::Failed(error),
        }
    }

    /// Has the power cut at one of the next writes.
    pub(super) fn cut_soon(&self, random: &mut Random) {
        let writes = random.below(WRITES_UNTIL_CUT);
        self.disk.cut_after(self.disk.operations().saturating_add(writes));
    }

    /// Stops it: what was not synced survives as chance wants it.
    pub(super) fn stop(&mut self, random: &mut Random) {
        self.validator = None;
        self.life += 1;
        let mode = random.pick(&CrashMode::ALL).copied().unwrap_or(CrashMode::DropUnsynced);
        self.disk = self.disk.crash(mode, random.next());
    }

    /// Starts it on what its disk holds. Its power may be cut while it does, if that is allowed;
    /// then it is not running afterwards.
    pub(super) fn start(
        &mut self,
        setup: &Setup,
        may_be_cut: bool,
        random: &mut Random,
    ) -> Result<(), ConsensusError> {
        if may_be_cut {
            self.cut_soon(random);
        }
        match setup.open(self.number, &self.disk) {
            Ok(validator) => {
                self.validator = Some(validator);
                Ok(())
            }
            Err(_) if self.disk.is_cut() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lets it keep its power, if that was to be cut.
    pub(super) fn spare(&self) {
        self.disk.cut_after(u64::MAX);
    }
}
