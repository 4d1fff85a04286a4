//! What is counted while a load runs, and what it makes of that.

use std::collections::BTreeMap;
use std::time::Duration;

use super::frame::{Committed, Status};

/// What was measured.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BenchReport {
    /// How many validators are seated.
    pub validators: u16,
    /// How many processes there are: validators, and candidates who are not seated at first.
    pub processes: u16,
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
    /// How many of these the ledger refused: committed all the same, and without effect.
    pub refused: u64,
    /// The median of the time from handing in to commit, in milliseconds.
    pub p50_ms: f64,
    /// The time that 99 of 100 were committed in, in milliseconds.
    pub p99_ms: f64,
    /// How many blocks there are.
    pub height: u64,
    /// How many heights up to the last have no block.
    pub missed_heights: u64,
    /// How many heights needed more than their first round.
    pub rounds_above_0: u64,
    /// The longest time between two blocks, by their proposers' clocks, in milliseconds.
    pub longest_gap_ms: f64,
    /// How many terms ended.
    pub terms: u64,
    /// How many lots were drawn.
    pub lots: u64,
    /// How often another set was seated.
    pub set_changes: u64,
    /// How many of the heights just after a set was changed needed more than their first round.
    pub rounds_above_0_after_changes: u64,
    /// The longest time up to a block that is the first of another set, in milliseconds.
    pub longest_gap_after_changes_ms: f64,
    /// Processor time of each process, in seconds; of one that was killed, since its last start.
    pub cpu_seconds: Vec<f64>,
    /// Processor time of all processes together for each committed transfer, in microseconds.
    pub cpu_us_per_transfer: f64,
    /// Whether all validators came to the same state.
    pub state_roots_equal: bool,
    /// How many heights were told to have different blocks.
    pub forks: u64,
    /// How many processes were killed.
    pub kills: u64,
    /// How many of the kills were of a process that was starting.
    pub kills_while_starting: u64,
    /// How many blocks that a process had told to be committed the next one of its validator did
    /// not have.
    pub lost_blocks: u64,
    /// How often a validator did not go on with the next height.
    pub height_gaps: u64,
    /// How many signatures for different steps were seen; they are watched where something is
    /// killed.
    pub steps_signed: u64,
    /// How often somebody signed two things for one step.
    pub signed_twice: u64,
}

impl BenchReport {
    /// Whether everything holds that must.
    #[must_use]
    pub fn holds(&self) -> bool {
        let faults = [
            self.forks,
            self.lost_blocks,
            self.missed_heights,
            self.height_gaps,
            self.signed_twice,
        ];
        self.state_roots_equal && faults == [0; 5]
    }
}

/// The time that so many of a hundred took at most, in milliseconds.
pub(super) fn quantile_ms(sorted: &[Duration], of_hundred: usize) -> f64 {
    let at = (sorted.len() * of_hundred / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
}

/// The blocks as one validator told of them.
#[derive(Debug, Default)]
pub(super) struct Heights {
    /// Round, time, and whether the set changes after it.
    blocks: BTreeMap<u64, (u32, u64, bool)>,
}

/// What blocks say of the rounds they needed and of sets that changed.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pub(super) missed_heights: u64,
    pub(super) rounds_above_0: u64,
    pub(super) longest_gap_ms: f64,
    pub(super) set_changes: u64,
    pub(super) rounds_above_0_after_changes: u64,
    pub(super) longest_gap_after_changes_ms: f64,
}

impl Heights {
    pub(super) fn note(&mut self, committed: &Committed) {
        let Committed { height, round, time_ns, changes_set, .. } = *committed;
        self.blocks.insert(height, (round, time_ns, changes_set));
    }

    /// What the blocks up to a height say.
    pub(super) fn pace(&self, height: u64) -> Pace {
        let missed_heights = height - self.blocks.range(..=height).count() as u64;
        let mut pace = Pace { missed_heights, ..Pace::default() };
        let mut before: Option<(u64, bool)> = None;
        for (round, time_ns, changes_set) in self.blocks.values().copied() {
            pace.rounds_above_0 += u64::from(round > 0);
            pace.set_changes += u64::from(changes_set);
            if let Some((before_ns, is_first)) = before {
                let gap_ms = time_ns.saturating_sub(before_ns) as f64 / 1e6;
                pace.longest_gap_ms = pace.longest_gap_ms.max(gap_ms);
                if is_first {
                    pace.rounds_above_0_after_changes += u64::from(round > 0);
                    let longest = &mut pace.longest_gap_after_changes_ms;
                    *longest = longest.max(gap_ms);
                }
            }
            before = Some((time_ns, changes_set));
        }
        pace
    }
}

/// Whether validators came to the same end.
pub(super) fn are_equal(statuses: &[Status]) -> bool {
    let end = |status: &Status| (status.height, status.block, status.state_root);
    statuses.windows(2).all(|pair| end(&pair[0]) == end(&pair[1]))
}
