//! What is slow: compared with what others took.

use std::time::Duration;

use super::settings::FetchSettings;

/// How long answers took, and so how long the next is waited for before another peer is asked.
#[derive(Debug)]
pub(super) struct Pace {
    /// Rising.
    took: Vec<Duration>,
    factor: u32,
    at_least: Duration,
    at_first: Duration,
}

impl Pace {
    pub(super) const fn new(settings: &FetchSettings) -> Self {
        let FetchSettings { late_factor: factor, late_at_least, late_at_first, .. } = *settings;
        Self { took: Vec::new(), factor, at_least: late_at_least, at_first: late_at_first }
    }

    pub(super) fn note(&mut self, took: Duration) {
        let at = self.took.partition_point(|other| *other <= took);
        self.took.insert(at, took);
    }

    /// Whether there is something to compare with.
    pub(super) const fn is_known(&self) -> bool {
        !self.took.is_empty()
    }

    /// An answer is late after this.
    pub(super) fn patience(&self) -> Duration {
        match self.took.get(self.took.len() / 2) {
            Some(median) => median.saturating_mul(self.factor).max(self.at_least),
            None => self.at_first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_follows_the_middle_and_one_slow_answer_does_not_move_it() {
        let settings = FetchSettings::default();
        let mut pace = Pace::new(&settings);
        assert_eq!(pace.patience(), settings.late_at_first);
        pace.note(Duration::from_millis(1));
        assert_eq!(pace.patience(), settings.late_at_least);
        for ms in [300, 9_000, 300] {
            pace.note(Duration::from_millis(ms));
        }
        assert_eq!(pace.patience(), Duration::from_millis(600));
    }
}
