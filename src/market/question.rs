//! Questions: what is answered instead of giving data, as a file that an offer names by its content id.
//!
//! ```toml
//! format = "chronolith question 1"
//! sql = "SELECT count(*) AS records, avg(value) AS mean FROM speed WHERE time >= $from AND time < $until"
//! least = { column = "records", count = 60 }
//! noise = [{ column = "mean", step = "1", scale = "5/1", changes = 2 }]
//! budget = "3.5"
//! ```
//!
//! The SQL is asked over the time of the right: `$from` and `$until` stand for it. Rows of which `least`'s column
//! says that too few stand behind them are left out (k-anonymity, where it counts devices or people), and noise is
//! drawn onto columns of numbers. Each row that one person changes by `changes` steps costs ε = changes / scale; the
//! costs of all answers about a device, over all who ask, stay within its budget.

use std::collections::BTreeMap;
use std::path::Path;

use chronolith_chain::content::ContentId;
use chronolith_engine::KeyRandom;
use chronolith_keys::policy::{Policies, Policy, ValueKind};
use chronolith_merkle::{HashFunction, RAW, content_id};
use serde::Deserialize;
use serde_json::{Value, json};

use super::MarketError;

/// What the file says it is.
const FORMAT: &str = "chronolith question 1";
/// The longest file: bytes.
const BYTES_MOST: u64 = 64 << 10;
/// Millionths of ε in one.
const MICRO: u64 = 1_000_000;

/// Why a question cannot be asked, or not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// The file is none.
    #[error("{}: {reason}", place.display())]
    File {
        /// Which.
        place: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The offer names another.
    #[error("the offer is of the question {expected}, and this file is {found}")]
    Other {
        /// Which.
        expected: ContentId,
        /// What the file is.
        found: ContentId,
    },
    /// It reads what is not sold.
    #[error("the question reads {0}, which is none of the metrics of the offer")]
    Scope(String),
    /// The answer is not what the question says.
    #[error("the answer has no column {0:?} of numbers, which the question says something of")]
    Column(String),
    /// The answer is too long.
    #[error("the answer has {found} bytes, and at most {most} fit into a block: ask for less")]
    TooLong {
        /// How many.
        found: usize,
        /// The most.
        most: usize,
    },
    /// The database does not answer.
    #[error("{0}")]
    Sql(String),
    /// There was not enough time or memory, or the database cannot be read: another time it may answer.
    #[error("{0}")]
    Limit(String),
    /// The answer is of another kind.
    #[error("the answer is {found}, and {expected} was expected: one row of one column")]
    Answer {
        /// What it is.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The question is not at hand.
    #[error("the offer is of the question {0}, which is none that is known here: give it along")]
    Unknown(ContentId),
    /// There is nothing that could answer.
    #[error(
        "this program was built without SQL, which questions are asked by: build it with the feature sql"
    )]
    NoSql,
}

impl QuestionError {
    /// Whether it fails each time that the same is asked of the same records.
    #[must_use]
    pub const fn comes_again(&self) -> bool {
        matches!(self, Self::Sql(_) | Self::Answer { .. })
    }
}

/// The least that must stand behind a row.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Least {
    column: String,
    count: u64,
}

/// Noise on a column.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noise {
    column: String,
    step: String,
    scale: String,
    changes: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    sql: String,
    least: Option<Least>,
    #[serde(default)]
    noise: Vec<Noise>,
    budget: Option<String>,
}

/// A question, checked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its content id: that of the file's bytes.
    pub id: ContentId,
    file: File,
    noise: Vec<(String, Policies)>,
    cost_micro: u64,
    budget_micro: Option<u64>,
}

/// Questions, by their content ids.
#[derive(Debug, Clone, Default)]
pub struct Questions(BTreeMap<ContentId, Question>);

impl Questions {
    /// Reads files.
    ///
    /// # Errors
    /// What is wrong with the first that is none.
    pub fn read(places: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, MarketError> {
        let questions = places.into_iter().map(|place| {
            let question = Question::read(place.as_ref())?;
            Ok((question.id, question))
        });
        Ok(Self(questions.collect::<Result<_, MarketError>>()?))
    }

    /// All of them, in the order of their content ids.
    pub fn all(&self) -> impl Iterator<Item = &Question> {
        self.0.values()
    }

    /// Their content ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = ContentId> {
        self.0.keys().copied()
    }

    /// A question.
    ///
    /// # Errors
    /// Where it is none of these.
    pub fn get(&self, id: ContentId) -> Result<&Question, MarketError> {
        self.0.get(&id).ok_or_else(|| QuestionError::Unknown(id).into())
    }
}

/// An answer as its buyer gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerText {
    /// Its bytes: canonical JSON.
    pub bytes: Vec<u8>,
    /// Their content id.
    pub id: ContentId,
}

pub(super) fn cid(bytes: &[u8]) -> Result<ContentId, MarketError> {
    let found = content_id(RAW, HashFunction::Sha256, bytes);
    let found = ContentId::try_from(&found);
    found.map_err(|error| QuestionError::Sql(error.to_string()).into())
}

/// A number of ε, in millionths.
fn micro(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(MICRO)?.checked_add(part)
}

impl Question {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(place: &Path) -> Result<Self, MarketError> {
        let wrong = |reason: String| QuestionError::File { place: place.to_owned(), reason };
        let length = std::fs::metadata(place).map_err(|error| wrong(error.to_string()))?.len();
        if length > BYTES_MOST {
            return Err(wrong(format!("{length} bytes are more than a question has")).into());
        }
        let bytes = std::fs::read(place).map_err(|error| wrong(error.to_string()))?;
        Self::parse(&bytes).map_err(|reason| wrong(reason).into())
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > BYTES_MOST {
            return Err(format!("{} bytes are more than a question has", bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let file: File =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if file.format != FORMAT {
            return Err(format!("it has the format {:?}, not {FORMAT:?}", file.format));
        }
        for word in ["$from", "$until"] {
            if !file.sql.contains(word) {
                return Err(format!(
                    "the SQL has no {word}: it would answer of other times than were bought"
                ));
            }
        }
        let (mut noise, mut cost_micro) = (Vec::new(), 0_u64);
        for one in &file.noise {
            let of = |error: &dyn std::fmt::Display| format!("noise on {:?}: {error}", one.column);
            let policies: Policies = format!("local-laplace:{},{}", one.step, one.scale)
                .parse()
                .map_err(|error| of(&error))?;
            if one.changes == 0 {
                return Err(of(&"what nobody changes needs none; changes is at least 1"));
            }
            policies.check(ValueKind::F64).map_err(|error| of(&error))?;
            let Some(Policy::Noise { scale, .. }) = policies.as_slice().first() else {
                return Err(of(&"it is none"));
            };
            cost_micro = cost_micro.saturating_add(scale.epsilon_micro(one.changes));
            noise.push((one.column.clone(), policies));
        }
        let budget_micro = match &file.budget {
            None if noise.is_empty() => None,
            None => {
                return Err(
                    "noise needs a budget: asked often enough, it tells everything".to_owned()
                );
            }
            Some(text) => Some(
                micro(text).ok_or_else(|| format!("budget {text:?} is no number such as 3.5"))?,
            ),
        };
        let id = cid(bytes).map_err(|error| error.to_string())?;
        Ok(Self { id, file, noise, cost_micro, budget_micro })
    }

    /// What an answer of so many rows costs, and what all may cost: millionths of ε; none where there is no noise.
    #[must_use]
    pub fn budget(&self, rows: usize) -> Option<(u64, u64)> {
        let cost_micro = self.cost_micro.saturating_mul(rows as u64);
        self.budget_micro.map(|budget_micro| (cost_micro, budget_micro))
    }

    /// What all answers about a device may cost together: millionths of ε; none where there is no noise.
    #[must_use]
    pub const fn limit_micro(&self) -> Option<u64> {
        self.budget_micro
    }

    /// The SQL over a range of time, in milliseconds since the epoch.
    #[must_use]
    pub fn sql(&self, from_ms: u64, until_ms: u64) -> String {
        let time = |ms| format!("TIMESTAMP '{}'", crate::chain::shown::milliseconds(ms));
        self.file.sql.replace("$from", &time(from_ms)).replace("$until", &time(until_ms))
    }

    /// The answer that rows make: those with enough behind them, with noise; and how many they are.
    ///
    /// # Errors
    /// Where a column is missing or is no number, or the answer is too long.
    pub fn answer(
        &self,
        (from_ms, until_ms): (u64, u64),
        columns: &[String],
        rows: Vec<Vec<Value>>,
        most: usize,
        random: &mut KeyRandom,
    ) -> Result<(AnswerText, usize), MarketError> {
        let place = |name: &str| {
            let found = columns.iter().position(|column| column == name);
            found.ok_or_else(|| QuestionError::Column(name.to_owned()))
        };
        let least = match &self.file.least {
            Some(least) => Some((place(&least.column)?, least)),
            None => None,
        };
        let noise = self.noise.iter().map(|(name, policies)| Ok((place(name)?, name, policies)));
        let noise = noise.collect::<Result<Vec<_>, QuestionError>>()?;
        let (mut kept, mut left_out) = (Vec::new(), 0_u64);
        for mut row in rows {
            if let Some((at, least)) = &least {
                let found = row.get(*at).and_then(Value::as_u64);
                let found = found.ok_or_else(|| QuestionError::Column(least.column.clone()))?;
                if found < least.count {
                    left_out += 1;
                    continue;
                }
            }
            for (at, name, policies) in &noise {
                let Some(cell) = row.get_mut(*at) else { continue };
                if cell.is_null() {
                    continue;
                }
                let value = cell.as_f64().ok_or_else(|| QuestionError::Column((*name).clone()))?;
                *cell = json!(policies.f64(value, random));
            }
            kept.push(Value::Array(row));
        }
        let (time, count) = (crate::chain::shown::milliseconds, kept.len());
        let shown = json!({
            "question": self.id,
            "from": time(from_ms),
            "until": time(until_ms),
            "columns": columns,
            "rows": kept,
            "left_out": left_out,
        });
        let bytes = shown.to_string().into_bytes();
        if bytes.len() > most {
            return Err(QuestionError::TooLong { found: bytes.len(), most }.into());
        }
        let id = cid(&bytes)?;
        Ok((AnswerText { bytes, id }, count))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    const QUESTION: &str = "format = 'chronolith question 1'\n\
        sql = 'SELECT records, mean FROM speed WHERE time >= $from AND time < $until'\n\
        least = { column = 'records', count = 60 }\n\
        noise = [{ column = 'mean', step = '0.5', scale = '5/1', changes = 2 }]\n\
        budget = '3.5'\n";

    #[test]
    fn rows_of_too_few_are_left_out_and_noise_is_paid_from_the_budget() {
        let question = Question::parse(QUESTION.as_bytes()).unwrap();
        assert_eq!(question.budget(2), Some((800_000, 3_500_000)));
        assert!(question.sql(0, 1_000).contains("time < TIMESTAMP '1970-01-01T00:00:01"));
        let columns = ["records".to_owned(), "mean".to_owned()];
        let rows = vec![vec![json!(59), json!(10.0)], vec![json!(60), json!(20.0)]];
        let mut random = KeyRandom::new().unwrap();
        let mut means = Vec::new();
        for _ in 0..64 {
            let answer = question.answer((0, 1), &columns, rows.clone(), 4_096, &mut random);
            let (answer, count) = answer.unwrap();
            assert_eq!(count, 1);
            let shown: Value = serde_json::from_slice(&answer.bytes).unwrap();
            assert_eq!(
                (&shown["left_out"], shown["rows"].as_array().unwrap().len()),
                (&json!(1), 1)
            );
            means.push(shown["rows"][0][1].as_f64().unwrap());
        }
        assert!(means.iter().all(|mean| (mean * 2.0).fract() == 0.0), "multiples of the step");
        assert!(means.iter().any(|mean| mean != &means[0]), "{means:?}");
        let missing = question.answer((0, 1), &columns[..1], Vec::new(), 4_096, &mut random);
        assert!(missing.unwrap_err().to_string().contains("\"mean\""));
        let long = question.answer((0, 1), &columns, rows, 10, &mut random).unwrap_err();
        assert!(long.to_string().contains("at most 10 fit"), "{long}");
    }

    #[test]
    fn what_would_tell_too_much_is_no_question() {
        for (from, to, said) in [
            ("budget = '3.5'\n", "", "needs a budget"),
            ("$until", "now()", "no $until"),
            ("'0.5'", "'0'", "noise on"),
            ("changes = 2", "changes = 0", "at least 1"),
            ("'3.5'", "'-1'", "is no number"),
            ("question 1", "question 2", "format"),
            ("count = 60", "cuont = 60", "line 3"),
        ] {
            let problem = Question::parse(QUESTION.replace(from, to).as_bytes()).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
        assert_eq!(micro("0.000001"), Some(1));
        assert_eq!(micro("0.0000001"), None);
    }
}
