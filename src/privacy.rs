//! What is private in a database: the file `privacy.toml` in its directory says of metrics that are yet
//! to come which level they have, so that no program that writes has to know.
//!
//! Of the rules that fit a metric the last one holds, as with retention. A metric that is there keeps what its definition says;
//! `chronolith privacy set` makes it stricter.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronolith_engine::{Db, Definition, Level, Metric, Policies, Rules, Selector, WriteError};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::database::file::{self, Content, Failure};

/// The name of the file.
pub const FILE: &str = "privacy.toml";
/// The largest file that is read: bytes.
const BYTES_MAX: u64 = 1 << 20;
/// How much memory a pattern may take: bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacyFile {
    /// The rules; of those that fit a metric, the last one holds.
    #[serde(default, rename = "rule")]
    pub rules: Vec<PrivacyRule>,
}

/// How private some metrics are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacyRule {
    /// A regular expression for the whole name of the metric.
    #[serde(default = "all")]
    pub metric: String,
    /// A regular expression for the whole device.
    #[serde(default = "all")]
    pub device: String,
    /// 1 (highly sensitive) to 4 (bulk).
    pub level: u8,
    /// Whether its chunks are in the clear for everybody, although the database has keys; only at levels
    /// 3 and 4.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// What is done to its records as they are written, to hide whom they are of: `time:60000000000;round:0.5`
    /// (docs/format/policy.md). Of metrics that are yet to come alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policies: String,
}

fn all() -> String {
    ".*".to_owned()
}

/// Metrics that are there and that a rule fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fitting {
    /// Those that became stricter.
    pub changed: usize,
    /// Those whose records something else is done to, or nothing.
    pub other: usize,
}

/// Why a database's rules of privacy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivacyError {
    /// The file cannot be read or written.
    #[error("cannot {action} {}: {source}", place.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file.
        place: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It does not say what it must.
    #[error("{}: {reason}", place.display())]
    Content {
        /// The file.
        place: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl From<Failure> for PrivacyError {
    fn from(Failure { action, place, source }: Failure) -> Self {
        Self::Disk { action, place, source }
    }
}

impl PrivacyRule {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<Level, String> {
        let level = Level::from_number(self.level);
        let level = level.ok_or_else(|| format!("level {}; there are 1 to 4", self.level))?;
        if self.public && level.hides_metric() {
            return Err(format!("level {} is never public", self.level));
        }
        for pattern in [&self.metric, &self.device] {
            whole(pattern)?;
        }
        self.parsed()?;
        Ok(level)
    }

    fn parsed(&self) -> Result<Policies, String> {
        self.policies.parse().map_err(|error| format!("{:?}: {error}", self.policies))
    }

    /// Raises the levels of the metrics that are there and that it fits. What is sealed already stays as it is until
    /// it is written anew.
    ///
    /// # Errors
    /// Where the database cannot be read or changed, or the rule is none.
    pub fn make_stricter(self, db: &Db) -> Result<Fitting, WriteError> {
        let none = |reason| WriteError::Refused(format!("the rule is none: {reason}"));
        let (level, policies) = (self.check().map_err(none)?, self.policies.clone());
        let rules = PrivacyFile { rules: vec![self] }.compile().map_err(none)?;
        let mut fitting = Fitting::default();
        let all = db.select(&Selector::all());
        for id in all.map_err(|error| WriteError::Refused(error.to_string()))? {
            let Some(known) = db.definition(id) else { continue };
            if rules.rule(&known.metric).is_none() {
                continue;
            }
            fitting.other += usize::from(known.policies.to_string() != policies);
            if known.level > level {
                let is_public = known.is_public && !level.hides_metric();
                db.define(Definition { level, is_public, ..(*known).clone() })?;
                fitting.changed += 1;
            }
        }
        Ok(fitting)
    }

    /// What a definition becomes by it: never less strict than it is.
    #[must_use]
    pub fn apply(&self, definition: Definition) -> Definition {
        let (Ok(level), Ok(policies)) = (self.check(), self.parsed()) else { return definition };
        let level = level.min(definition.level);
        let is_public = self.public && !level.hides_metric();
        // One that comes with policies of its own keeps them.
        let policies = match definition.policies.as_slice().is_empty() {
            true => policies,
            false => definition.policies.clone(),
        };
        Definition { level, is_public, policies, ..definition }
    }
}

/// A pattern for a whole text.
fn whole(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_BYTES).build();
    built.map_err(|error| format!("{pattern:?}: {error}"))
}

impl PrivacyFile {
    /// The file of a database; without rules where it has none.
    ///
    /// # Errors
    /// Where it cannot be read, or says what it may not.
    pub fn read(database: &Path) -> Result<Self, PrivacyError> {
        let place = database.join(FILE);
        let wrong = |reason| PrivacyError::Content { place: place.clone(), reason };
        let text = match file::read(&place, BYTES_MAX)? {
            Content::Missing => return Ok(Self::default()),
            Content::Long(length) => {
                return Err(wrong(format!("{length} bytes are more than rules take")));
            }
            Content::Text(text) => text,
        };
        let read = toml::from_str(&text);
        let file: Self = read.map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        for (number, rule) in file.rules.iter().enumerate() {
            rule.check().map_err(|problem| wrong(format!("rule {}: {problem}", number + 1)))?;
        }
        Ok(file)
    }

    /// Writes the file of a database, whole or not at all.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, database: &Path) -> Result<(), PrivacyError> {
        let place = database.join(FILE);
        let text = toml::to_string_pretty(self).map_err(|error| PrivacyError::Content {
            place: place.clone(),
            reason: error.to_string(),
        })?;
        Ok(file::write(database, FILE, &text, 0o666)?)
    }

    /// The rules, ready to be asked.
    ///
    /// # Errors
    /// Which of them is none, in words.
    pub fn compile(self) -> Result<PrivacyRules, String> {
        let compiled = self.rules.into_iter().map(|rule| {
            rule.check()?;
            Ok((whole(&rule.device)?, whole(&rule.metric)?, rule))
        });
        Ok(PrivacyRules(compiled.collect::<Result<_, String>>()?))
    }

    /// The rules as an engine takes them; none where there are none.
    ///
    /// # Errors
    /// Which of them is none, in words.
    pub fn into_rules(self) -> Result<Option<Rules>, String> {
        let rules = self.compile()?;
        if rules.0.is_empty() {
            return Ok(None);
        }
        Ok(Some(Arc::new(move |definition| rules.apply(definition))))
    }
}

/// Rules of privacy, ready to be asked.
#[derive(Debug)]
pub struct PrivacyRules(Vec<(Regex, Regex, PrivacyRule)>);

impl PrivacyRules {
    /// The rule that holds for a metric.
    #[must_use]
    pub fn rule(&self, metric: &Metric) -> Option<&PrivacyRule> {
        let fits = |(device, name, _): &&(Regex, Regex, PrivacyRule)| {
            device.is_match(metric.device()) && name.is_match(metric.name())
        };
        self.0.iter().rev().find(fits).map(|(_, _, rule)| rule)
    }

    /// What a definition becomes by the rule that holds for it.
    #[must_use]
    pub fn apply(&self, definition: Definition) -> Definition {
        match self.rule(&definition.metric) {
            Some(rule) => rule.apply(definition),
            None => definition,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_engine::Kind;

    use std::fs;

    use super::*;

    #[test]
    fn the_last_rule_that_fits_holds_and_makes_nothing_less_strict() {
        let rule = |metric: &str, level| PrivacyRule {
            metric: metric.to_owned(),
            device: all(),
            level,
            public: level == 4,
            policies: if level == 3 { "round:0.5".to_owned() } else { String::new() },
        };
        let rules = vec![rule(".*", 3), rule("gps\\..*", 1), rule("gps.satellites", 4)];
        let rules = PrivacyFile { rules }.compile().unwrap();
        let found = |name: &str, level| {
            let metric = Metric::new("car-1", name);
            let made = rules.apply(Definition::new(metric, Kind::F64).level(level));
            assert_eq!(made.policies.to_string(), rules.rule(&made.metric).unwrap().policies);
            (made.level, made.is_public)
        };
        assert_eq!(found("speed", Level::Bulk), (Level::Regular, false));
        assert_eq!(found("gps.latitude", Level::Bulk), (Level::Secret, false));
        assert_eq!(found("gpsx", Level::Bulk), (Level::Regular, false));
        assert_eq!(found("gps.satellites", Level::Bulk), (Level::Bulk, true));
        assert_eq!(found("gps.satellites", Level::Personal), (Level::Personal, false));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("[[rule]]\nmetric = 'a'\nlevel = 5\n", "rule 1: level 5"),
            ("[[rule]]\nmetric = 'a'\nlevel = 1\npublic = true\n", "never public"),
            ("[[rule]]\nmetric = 'a'\nlevl = 1\n", "line 3"),
            ("[[rule]]\nmetric = '('\nlevel = 1\n", "rule 1"),
            ("[[rule]]\nmetric = 'a'\nlevel = 1\npolicies = 'round:0'\n", "policy 1"),
        ] {
            fs::write(folder.path().join(FILE), text).unwrap();
            let error = PrivacyFile::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(FILE), "{text}: {error}");
        }
    }
}
