//! Which metrics a rule is for, whatever it rules.

use clap::Args;

/// Which metrics a rule is for.
#[derive(Debug, Args)]
pub(super) struct PatternArgs {
    /// A regular expression for the whole device
    #[arg(long, value_name = "PATTERN", default_value = ".*")]
    pub(super) device: String,

    /// A regular expression for the whole name of the metric
    #[arg(long, value_name = "PATTERN", default_value = ".*")]
    pub(super) metric: String,
}

impl PatternArgs {
    /// Whether a rule has these patterns.
    pub(super) fn are(&self, device: &str, metric: &str) -> bool {
        device == self.device && metric == self.metric
    }
}
