//! Scopes: which metrics of a database an offer of the ledger is of.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_chain::encoding::{Rising, Text, TooLong};
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{HiddenScope, MetricName, Subject, TreeName};
use chronolith_engine::{
    ChunkKeys, Db, Definition, KeyError, Level, MetricId, ReadError, Selector,
};
use chronolith_keys::Windows;

use crate::wallet::{WalletError, random};

/// Why metrics are no scope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// There are no such metrics.
    #[error("the device {device:?} has no metric {}", names(wanted))]
    NoMetric {
        /// The device.
        device: String,
        /// The names that none has; none where there is no metric at all.
        wanted: Vec<String>,
    },
    /// Metrics of levels 1 and 2 beside others.
    #[error(
        "{hidden} is of level 1 or 2 and {open} is not: offer them apart, or the one gives the other away"
    )]
    Mixed {
        /// A hidden one.
        hidden: String,
        /// One that is not.
        open: String,
    },
    /// A metric that everybody reads.
    #[error("{metric} is public: everybody can read it, and nobody has to buy it")]
    Public {
        /// Which.
        metric: String,
    },
    /// More than the ledger takes.
    #[error("an offer names at most 32 metrics or key trees, each of at most 128 bytes: {0}")]
    TooMany(#[from] TooLong),
    /// No device of the database is the one of the scope.
    #[error("the database has no device with the account {account} and the key tree {tree}")]
    NoDevice {
        /// The account.
        account: Address,
        /// The number of the key tree.
        tree: u32,
    },
    /// What the offer hides is not told here.
    #[error(
        "what the hidden offer is of is not known here: its disclosure is in the owner's wallet"
    )]
    NotTold,
    /// The database.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] WalletError),
}

fn names(wanted: &[String]) -> String {
    if wanted.is_empty() { "at all".to_owned() } else { wanted.join(", ") }
}

/// Some metrics of one device.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// The device.
    pub device: String,
    /// Which, with what is said of them.
    pub metrics: Vec<(MetricId, Arc<Definition>)>,
}

impl Metrics {
    /// The metrics of a device with some names, or all that are not hidden where none is named.
    ///
    /// # Errors
    /// Where there is one name that no metric has, or they cannot be offered together.
    pub fn named(db: &Db, device: &str, wanted: &[String]) -> Result<Self, ScopeError> {
        let all = of_device(db, device)?;
        let wanted_names: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        let metrics: Vec<_> = all
            .into_iter()
            .filter(|(_, known)| match wanted.is_empty() {
                true => !known.level.hides_metric() && !known.is_public,
                false => wanted_names.contains(known.metric.name()),
            })
            .collect();
        let is_there = |name: &&String| !metrics.iter().any(|(_, one)| one.metric.name() == **name);
        let missing: Vec<String> = wanted.iter().filter(is_there).cloned().collect();
        if metrics.is_empty() || !missing.is_empty() {
            return Err(ScopeError::NoMetric { device: device.to_owned(), wanted: missing });
        }
        if let Some((_, public)) = metrics.iter().find(|(_, one)| one.is_public) {
            return Err(ScopeError::Public { metric: public.metric.to_string() });
        }
        let found =
            |hidden: bool| metrics.iter().find(|(_, one)| one.level.hides_metric() == hidden);
        if let (Some((_, hidden)), Some((_, open))) = (found(true), found(false)) {
            let (hidden, open) = (hidden.metric.to_string(), open.metric.to_string());
            return Err(ScopeError::Mixed { hidden, open });
        }
        Ok(Self { device: device.to_owned(), metrics })
    }

    /// The strictest level of them.
    #[must_use]
    pub fn level(&self) -> Level {
        self.metrics.iter().map(|(_, one)| one.level).min().unwrap_or(Level::Secret)
    }

    /// What the ledger is told of them, and, of hidden ones, what it is not told. `all` says that further
    /// metrics of the device belong to it as they come.
    ///
    /// # Errors
    /// Where they are more than an offer takes, or a key tree cannot be begun.
    pub fn subject(
        &self,
        keys: &ChunkKeys,
        all: bool,
    ) -> Result<(Subject, Option<HiddenScope>), ScopeError> {
        let account = keys.account(&self.device);
        let (device, tree) = (Address(account.key), account.era);
        if !self.level().hides_metric() {
            let names: BTreeSet<&str> =
                self.metrics.iter().map(|(_, one)| one.metric.name()).collect();
            let names = names.into_iter().filter(|_| !all);
            let metrics = names.map(|name| Ok(MetricName(Text::new(name)?)));
            let metrics = Rising::new(metrics.collect::<Result<Vec<_>, TooLong>>()?)?;
            return Ok((Subject::Metrics { device, tree, metrics }, None));
        }
        let mut trees = BTreeSet::new();
        for (_, definition) in &self.metrics {
            trees.extend(keys.trees(definition)?.into_iter().map(|tree| tree.0));
        }
        let trees: Vec<TreeName> = trees.into_iter().map(|tree| TreeName(Hash(tree))).collect();
        let trees = Rising::new(trees)?;
        let scope = HiddenScope { salt: random()?, device, tree, trees };
        Ok((scope.subject(), Some(scope)))
    }

    /// The metrics of a database that a scope is of.
    ///
    /// # Errors
    /// Where no device is that of the scope, or it is hidden and not told.
    pub fn of_subject(
        db: &Db,
        keys: &ChunkKeys,
        subject: &Subject,
        hidden: Option<&HiddenScope>,
    ) -> Result<Self, ScopeError> {
        let (account, tree) = match (subject, hidden) {
            (Subject::Metrics { device, tree, .. }, _) => (*device, *tree),
            (Subject::Hidden(_), Some(scope)) if scope.subject() == *subject => {
                (scope.device, scope.tree)
            }
            (Subject::Hidden(_), _) => return Err(ScopeError::NotTold),
        };
        let is_it = |name: &String| {
            let known = keys.account(name);
            (Address(known.key), known.era) == (account, tree)
        };
        let devices = db.label_values("device").into_iter().map(|(name, _)| name);
        let device = devices.into_iter().find(is_it);
        let device = device.ok_or(ScopeError::NoDevice { account, tree })?;
        let mut metrics = Vec::new();
        for (id, definition) in of_device(db, &device)? {
            let is_of_scope = match (subject, hidden) {
                (Subject::Metrics { metrics, .. }, _) => {
                    let name = Text::new(definition.metric.name());
                    !definition.level.hides_metric()
                        && !definition.is_public
                        && (metrics.is_empty()
                            || name.is_ok_and(|name| metrics.contains(&MetricName(name))))
                }
                (Subject::Hidden(_), Some(scope)) => {
                    let trees = keys.trees(&definition)?;
                    trees.iter().any(|tree| scope.trees.contains(&TreeName(Hash(tree.0))))
                }
                (Subject::Hidden(_), None) => false,
            };
            if is_of_scope {
                metrics.push((id, definition));
            }
        }
        match metrics.is_empty() {
            true => Err(ScopeError::NoMetric { device, wanted: Vec::new() }),
            false => Ok(Self { device, metrics }),
        }
    }
}

/// All metrics of a device, by name.
fn of_device(db: &Db, device: &str) -> Result<Vec<(MetricId, Arc<Definition>)>, ReadError> {
    let ids = db.select(&Selector::all().device(device))?;
    let known = ids.into_iter().filter_map(|id| Some((id, db.definition(id)?)));
    let mut metrics: Vec<_> = known.collect();
    metrics.sort_by(|a, b| a.1.metric.cmp(&b.1.metric));
    Ok(metrics)
}

/// The windows of a metric that touch a time range.
///
/// # Errors
/// Where the range is none.
pub fn windows(
    definition: &Definition,
    from_ms: u64,
    until_ms: u64,
) -> Result<RangeInclusive<i64>, chronolith_keys::WindowsError> {
    Ok(Windows::touching(definition.window_ns, from_ms, until_ms)?.numbers())
}
