//! Opening databases and naming metrics and times, for all commands alike.

use std::path::PathBuf;

use anyhow::{Result, bail};
use chronolith_engine::{
    Db, Durability, Maintenance, Match, MetricId, OpenError, Options, Selector,
};
use chronolith_keys::KeystoreFileError;
use clap::Args;

use super::usage::Usage;
use crate::database::{OptionsError, with_files};
use crate::ingest::nearest;
use crate::keys::KeysError;
use crate::moment;

/// Which database.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// The directory of the database
    #[arg(long, value_name = "DIR")]
    pub(crate) db: PathBuf,
}

impl DatabaseArgs {
    /// Opens an existing database for reading; others may read, and one may write, meanwhile.
    pub(crate) fn read(&self) -> Result<Db> {
        Ok(Db::open(&self.db, self.options(Options::read_only())?)?)
    }

    /// Opens an existing database for a command that changes it.
    pub(crate) fn change(&self) -> Result<Db> {
        self.open(false)
    }

    /// Opens an existing database for a command that may change its keystore; where another process
    /// writes into it, for reading, which is enough for keys that are there.
    pub(crate) fn change_or_read(&self) -> Result<Db> {
        match self.change() {
            Err(error) if is_in_use(&error) => self.read(),
            opened => opened,
        }
    }

    /// Opens a database for writing and makes it where there is none.
    pub(crate) fn write(&self) -> Result<Db> {
        self.open(true)
    }

    fn open(&self, create: bool) -> Result<Db> {
        let options = Options { create, maintenance: Maintenance::Manual, ..Options::default() };
        Ok(Db::open(&self.db, self.options(options)?)?)
    }

    /// Options with the segment store, the keys and the rules that the database's directory names.
    pub(crate) fn options(&self, options: Options) -> Result<Options> {
        Ok(with_files(&self.db, options)?)
    }
}

/// Whether a database, or its keystore, is open in another process.
fn is_in_use(error: &anyhow::Error) -> bool {
    let of_keys = |error: &OptionsError| {
        let OptionsError::Keys(KeysError::File(error)) = error else { return false };
        matches!(error, KeystoreFileError::Locked { .. })
    };
    matches!(error.downcast_ref(), Some(OpenError::Locked(_)))
        || error.downcast_ref().is_some_and(of_keys)
}

/// Which metrics.
#[derive(Debug, Args)]
pub(crate) struct SelectorArgs {
    /// Only this metric name
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Option<String>,

    /// Only this device
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Option<String>,

    /// Only metrics with this tag: KEY=VALUE, KEY!=VALUE, KEY=~PATTERN or KEY!~PATTERN
    #[arg(long = "label", value_name = "CONDITION")]
    pub(crate) labels: Vec<String>,
}

impl SelectorArgs {
    /// Whether no condition was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.metric.is_none() && self.device.is_none() && self.labels.is_empty()
    }

    pub(crate) fn selector(&self) -> Result<Selector> {
        let mut selector = Selector::all();
        if let Some(name) = &self.metric {
            selector = selector.name(name);
        }
        if let Some(device) = &self.device {
            selector = selector.device(device);
        }
        for label in &self.labels {
            let (key, condition) = condition(label)?;
            selector = selector.label(key, condition);
        }
        Ok(selector)
    }

    /// The metrics, ordered by device, name and tags. None at all is an error where a name or a
    /// device was given, and said on standard error where not.
    pub(crate) fn metrics(&self, db: &Db) -> Result<Vec<MetricId>> {
        let mut metrics = db.select(&self.selector()?)?;
        if metrics.is_empty() {
            let problem = match db.metric_count() {
                0 => "the database holds no metrics yet".to_owned(),
                _ => self.nothing_found(db)?,
            };
            if self.metric.is_some() || self.device.is_some() {
                bail!("{problem}");
            }
            eprintln!("chronolith: {problem}");
        }
        metrics.sort_by_cached_key(|id| db.definition(*id).map(|d| d.metric.clone()));
        Ok(metrics)
    }

    /// Why no metric fits, and what there is.
    fn nothing_found(&self, db: &Db) -> Result<String> {
        let known = |label: &str| -> Vec<String> {
            db.label_values(label).into_iter().map(|(value, _)| value).collect()
        };
        let mut wanted = Vec::new();
        wanted.extend(self.metric.as_ref().map(|name| ("metric", "name".to_owned(), name.clone())));
        wanted
            .extend(self.device.as_ref().map(|name| ("device", "device".to_owned(), name.clone())));
        for label in &self.labels {
            let (key, condition) = condition(label)?;
            let keys = db.tag_keys();
            if !keys.contains(&key) && !matches!(key.as_str(), "device" | "name") {
                return Ok(format!("no metric has a label {key:?}; {}", examples(&key, &keys)));
            }
            if let Match::Equal(value) = condition {
                wanted.push(("value of this label,", key, value));
            }
        }
        for (what, label, value) in wanted {
            let known = known(&label);
            if !known.contains(&value) {
                return Ok(format!("there is no {what} {value:?}; {}", examples(&value, &known)));
            }
        }
        Ok("no metric fits all of these conditions".to_owned())
    }
}

/// Names to choose from, the one that is nearest to what was asked for first.
fn examples(wanted: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "there is none".to_owned();
    }
    if let Some(near) = nearest(wanted, known.iter().map(String::as_str)) {
        return format!("did you mean {near}?");
    }
    let some: Vec<&str> = known.iter().take(8).map(String::as_str).collect();
    format!("there are for example {}", some.join(", "))
}

/// `KEY=VALUE` and its relatives.
fn condition(text: &str) -> Result<(String, Match)> {
    type Make = fn(String) -> Match;
    let operators: [(&str, Make); 4] = [
        ("!=", Match::NotEqual),
        ("=~", Match::Pattern),
        ("!~", Match::NotPattern),
        ("=", Match::Equal),
    ];
    for (operator, make) in operators {
        if let Some((key, value)) = text.split_once(operator)
            && !key.is_empty()
            && !key.contains(['=', '!'])
        {
            return Ok((key.to_owned(), make(value.to_owned())));
        }
    }
    bail!(Usage(format!(
        "{text:?} is not a condition; write KEY=VALUE, KEY!=VALUE, KEY=~PATTERN or KEY!~PATTERN"
    )))
}

/// Which times.
#[derive(Debug, Args)]
pub(crate) struct RangeArgs {
    /// From this time on: RFC 3339, or nanoseconds since the epoch
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,

    /// Before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
}

impl RangeArgs {
    /// The first and the last nanosecond; `None` for a range that holds no time.
    pub(crate) fn first_and_last(&self) -> Result<Option<(i64, i64)>> {
        let from_ns = self.from.as_deref().map(time).transpose()?.unwrap_or(i64::MIN);
        let Some(to) = &self.to else { return Ok(Some((from_ns, i64::MAX))) };
        let to_ns = time(to)?;
        if to_ns < from_ns {
            let from = self.from.as_deref().unwrap_or_default();
            bail!(Usage(format!("--to {to} is before --from {from}")));
        }
        Ok(to_ns.checked_sub(1).filter(|last| *last >= from_ns).map(|last| (from_ns, last)))
    }
}

/// A time as RFC 3339, a date, or nanoseconds since the epoch.
pub(crate) fn time(text: &str) -> Result<i64> {
    Ok(moment::parse(text).map_err(Usage)?)
}

/// `synced`, `within=MS` or `buffered`.
pub(crate) fn durability(text: &str) -> Result<Durability, String> {
    match text.split_once('=') {
        None if text == "synced" => Ok(Durability::Synced),
        None if text == "buffered" => Ok(Durability::Buffered),
        Some(("within", milliseconds)) => {
            let milliseconds = milliseconds.parse::<u64>();
            let milliseconds = milliseconds.map_err(|_| format!("{text:?} has no milliseconds"))?;
            Ok(Durability::Within(std::time::Duration::from_millis(milliseconds)))
        }
        _ => Err(format!("{text:?} is not synced, within=MS or buffered")),
    }
}
