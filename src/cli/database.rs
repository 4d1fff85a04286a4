//! Opening databases and naming metrics and times, for all commands alike.

use std::path::PathBuf;

use anyhow::{Result, bail};
use chronolith_engine::{Db, Durability, Maintenance, MetricId, Options, Selector};
use clap::Args;

use super::usage::Usage;

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
        Ok(Db::open(&self.db, Options::read_only())?)
    }

    /// Opens an existing database for a command that changes it.
    pub(crate) fn change(&self) -> Result<Db> {
        self.open(false)
    }

    /// Opens a database for writing and makes it where there is none.
    pub(crate) fn write(&self) -> Result<Db> {
        self.open(true)
    }

    fn open(&self, create: bool) -> Result<Db> {
        let options = Options { create, maintenance: Maintenance::Manual, ..Options::default() };
        Ok(Db::open(&self.db, options)?)
    }
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
    /// device was given.
    pub(crate) fn metrics(&self, db: &Db) -> Result<Vec<MetricId>> {
        let mut metrics = db.select(&self.selector()?)?;
        if metrics.is_empty() && (self.metric.is_some() || self.device.is_some()) {
            bail!("{}", self.nothing_found(db));
        }
        metrics.sort_by_cached_key(|id| db.definition(*id).map(|d| d.metric.clone()));
        Ok(metrics)
    }

    fn nothing_found(&self, db: &Db) -> String {
        let known = |label: &str| db.label_values(label).into_iter().map(|(value, _)| value);
        let missing = |what: &str, label: &str, wanted: &str| {
            let known: Vec<String> = known(label).take(8).collect();
            let more = if known.is_empty() {
                "the database has none".to_owned()
            } else {
                format!("there are for example {}", known.join(", "))
            };
            format!("there is no {what} {wanted:?}; {more}")
        };
        match (&self.metric, &self.device) {
            (Some(name), _) if known("name").all(|other| other != *name) => {
                missing("metric", "name", name)
            }
            (_, Some(device)) if known("device").all(|other| other != *device) => {
                missing("device", "device", device)
            }
            _ => "no metric fits all of these conditions".to_owned(),
        }
    }
}

/// `KEY=VALUE` and its relatives.
fn condition(text: &str) -> Result<(String, chronolith_engine::Match)> {
    use chronolith_engine::Match;
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
    if let Ok(time_ns) = text.parse::<i64>() {
        if (1_600..=2_400).contains(&time_ns) {
            bail!(Usage(format!(
                "{text} would be nanoseconds after 1970; where it is a year, write {text}-01-01"
            )));
        }
        return Ok(time_ns);
    }
    let timestamp = text.parse::<jiff::Timestamp>().or_else(|error| {
        let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| error)?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp())
    });
    let timestamp = timestamp.map_err(|_| {
        Usage(format!(
            "{text:?} is not a time; write 2026-01-31T08:00:00Z, 2026-01-31 or nanoseconds"
        ))
    })?;
    let time_ns = i64::try_from(timestamp.as_nanosecond());
    Ok(time_ns.map_err(|_| Usage(format!("{text} is outside of the years 1677 to 2262")))?)
}

/// A time for people and programs: RFC 3339 in UTC.
pub(crate) fn rfc3339(time_ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(time_ns.into()) {
        Ok(timestamp) => timestamp.to_string(),
        Err(_) => time_ns.to_string(),
    }
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
