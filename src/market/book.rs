//! What an owner's node decides by: data contracts, and a policy for offers that name none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Coin;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{CoinId, Hash};
use chronolith_chain::ledger::{CertificateKey, Delivery, OpenOffer, Right, Subject};
use chronolith_chain::state::Overlay;
use chronolith_contract::rule::Value;
use chronolith_contract::{Amount, Compiled, Contract, FILE_BYTES_MAX, Metric as Named, Problems};
use chronolith_engine::{Level, Metric};

use super::offer;
use super::policy::{Policy, Verdict};
use super::purse::Purse;
use super::question::Questions;
use super::{MarketError, Venue, VenueError};
use crate::wallet::secret_of;

/// The most certificates of one buyer that rules are told.
const CERTIFICATES_MOST: usize = 64;

/// Why the owner is asked where a question is none that is answered without asking.
const UNKNOWN: &str =
    "its question is none that is answered without asking: chronolith market answer";

/// Why the owner is asked where an offer names something that decides, and it is not here.
const ELSEWHERE: &str = "the contract or policy that its offer names is not here";

/// Why a contract cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// Its file cannot be read.
    #[error("cannot read {}: {source}", place.display())]
    Disk {
        /// The file.
        place: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is none.
    #[error("{}:\n{problems}", place.display())]
    Problems {
        /// The file.
        place: PathBuf,
        /// All that is wrong with it.
        problems: Problems,
    },
    /// A list that contracts ask is not there.
    #[error("the contract {contract} asks the list {list:?}, which is not given")]
    List {
        /// The contract's name.
        contract: String,
        /// The list.
        list: String,
    },
}

/// Reads a contract from its file.
///
/// # Errors
/// Where it cannot be read or is none; all that is wrong is told.
pub fn read(place: &Path) -> Result<Compiled, BookError> {
    let disk = |source| BookError::Disk { place: place.to_owned(), source };
    let length = std::fs::metadata(place).map_err(disk)?.len();
    if length > FILE_BYTES_MAX as u64 {
        let most = format!("{length} bytes are no contract, which has at most {FILE_BYTES_MAX}");
        return Err(disk(std::io::Error::new(std::io::ErrorKind::InvalidData, most)));
    }
    let text = std::fs::read_to_string(place).map_err(disk)?;
    let problems = |problems| BookError::Problems { place: place.to_owned(), problems };
    Compiled::read(&text).map_err(problems)
}

/// The coin of a contract's amounts; none where it names something else.
pub(super) fn coin(contract: &Contract) -> Option<Coin> {
    match contract.price.coin.as_str() {
        "native" => Some(Coin::Native),
        id => secret_of(id).ok().map(|id| Coin::Issued(CoinId(id))),
    }
}

/// Whether a contract's metric is this one. Tags that the contract does not name may be there.
pub(crate) fn is_of(named: &Named, metric: &Metric) -> bool {
    let has = |(key, value): (&String, &String)| metric.tag_value(key) == Some(value);
    named.name == metric.name()
        && (named.device == "*" || named.device == metric.device())
        && named.tags.iter().all(has)
}

/// What offers name a contract by: the digest of its content id.
#[must_use]
pub fn hash(contract: &Compiled) -> Hash {
    Hash(contract.digest())
}

/// Contracts, what their rules ask beside the request, and a policy for all else.
#[derive(Debug, Clone, Default)]
pub struct Book {
    contracts: BTreeMap<Hash, Compiled>,
    lists: BTreeMap<String, Vec<String>>,
    policy: Policy,
    /// What is answered without asking, and what all answers about a device may cost: millionths of ε.
    questions: BTreeMap<ContentId, Option<u64>>,
    /// What the owner knows of what accounts ask for, by their addresses.
    purposes: BTreeMap<Address, String>,
}

/// What answers about a device cost so far, and may cost: millionths of ε.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    used_micro: u64,
    limit_micro: u64,
}

/// What became of a request, and why.
#[derive(Debug, Clone)]
pub struct Decided {
    /// What is to be done.
    pub verdict: Verdict,
    /// The rule that grants: `CONTRACT/NAME`.
    pub by: Option<String>,
    /// What each rule decided from, in canonical bytes, by its name: an arbiter can run it again.
    pub evaluations: Vec<(String, Vec<u8>)>,
}

impl Book {
    /// A policy alone.
    #[must_use]
    pub fn of_policy(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Contracts with the lists that they ask, and a policy.
    ///
    /// # Errors
    /// Where a list is missing.
    pub fn new(
        contracts: impl IntoIterator<Item = Compiled>,
        lists: BTreeMap<String, Vec<String>>,
        policy: Policy,
    ) -> Result<Self, BookError> {
        let contracts: BTreeMap<_, _> =
            contracts.into_iter().map(|contract| (hash(&contract), contract)).collect();
        for compiled in contracts.values() {
            let contract = compiled.contract();
            if let Some(list) = contract.lists.iter().find(|list| !lists.contains_key(*list)) {
                let (contract, list) = (contract.name.clone(), list.clone());
                return Err(BookError::List { contract, list });
            }
        }
        Ok(Self { contracts, lists, policy, ..Self::default() })
    }

    /// The same with questions that are answered where a request is granted; others wait for the owner.
    #[must_use]
    pub fn answering(self, questions: &Questions) -> Self {
        let questions = questions.all().map(|question| (question.id, question.limit_micro()));
        Self { questions: questions.collect(), ..self }
    }

    /// The same, which tells rules what accounts ask for: the owner's word, since nobody could check
    /// a buyer's.
    #[must_use]
    pub fn knowing(self, purposes: BTreeMap<Address, String>) -> Self {
        Self { purposes, ..self }
    }

    /// The contract that an offer names, by the hash that it has of it; none where it is not here.
    #[must_use]
    pub fn contract(&self, named: Hash) -> Option<&Compiled> {
        self.contracts.get(&named)
    }

    /// All contracts, by what offers name them by.
    pub fn contracts(&self) -> impl Iterator<Item = (Hash, &Compiled)> {
        self.contracts.iter().map(|(hash, compiled)| (*hash, compiled))
    }

    /// Decides a request: by the contract that its offer names, or by the policy where it names that or nothing.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn decide(
        &self,
        (venue, purse): (&Venue, &Purse),
        (right, open): (&Right, &OpenOffer),
        now: Now,
    ) -> Result<Decided, MarketError> {
        let delivery = offer::delivery(venue, right.offer)?;
        let budget = self.budget(purse, open, &delivery)?;
        let decided = self.judge(venue, (right, open), budget, now)?;
        let verdict = match (decided.verdict, delivery) {
            (Verdict::Grant, Delivery::Answers { query }) => {
                match self.questions.contains_key(&query) {
                    true => Verdict::Answer,
                    false => Verdict::Ask(UNKNOWN),
                }
            }
            (verdict, _) => verdict,
        };
        Ok(Decided { verdict, ..decided })
    }

    /// What answers about the device of an offer cost so far and may cost: millionths of ε; 0 of 0 where nothing noisy
    /// is sold.
    fn budget(
        &self,
        purse: &Purse,
        open: &OpenOffer,
        delivery: &Delivery,
    ) -> Result<Spent, MarketError> {
        let (Delivery::Answers { query }, Subject::Metrics { device, .. }) =
            (delivery, &open.offer.scope.subject)
        else {
            return Ok(Spent::default());
        };
        let Some(limit_micro) = self.questions.get(query).copied().flatten() else {
            return Ok(Spent::default());
        };
        let known = purse.budget(*device)?.map(|known| known.within(limit_micro));
        let (used_micro, left_micro) =
            known.map_or((0, limit_micro), |known| (known.spent_micro(), known.left_micro()));
        Ok(Spent { used_micro, limit_micro: used_micro.saturating_add(left_micro) })
    }

    /// The contract that decides; none where the policy does. Why the owner is asked, where the offer names what is
    /// not here: it may be stricter than the policy is.
    fn named(&self, named: Option<Hash>) -> Result<Option<&Compiled>, &'static str> {
        match named {
            None => Ok(None),
            Some(hash) => match self.contract(hash) {
                None if hash == self.policy.hash() => Ok(None),
                None => Err(ELSEWHERE),
                found => Ok(found),
            },
        }
    }

    /// What a contract or the policy says, whatever the offer sells.
    fn judge(
        &self,
        venue: &Venue,
        (right, open): (&Right, &OpenOffer),
        budget: Spent,
        now: Now,
    ) -> Result<Decided, MarketError> {
        let ask =
            |reason| Decided { verdict: Verdict::Ask(reason), by: None, evaluations: Vec::new() };
        let compiled = match self.named(open.offer.terms.auto_grant) {
            Ok(Some(compiled)) => compiled,
            Ok(None) => {
                let verdict = self.policy.decide(right, open);
                return Ok(Decided { verdict, by: None, evaluations: Vec::new() });
            }
            Err(reason) => return Ok(ask(reason)),
        };
        if open.offer.terms.level == Level::Secret.number() {
            return Ok(ask("level 1 needs the owner's word"));
        }
        let inputs = self.inputs(compiled, venue, (right, open), budget, now)?;
        let Ok(grant) = compiled.decide(&inputs) else {
            return Ok(ask("the contract's rules cannot be asked"));
        };
        let evaluations = grant.decisions.into_iter();
        let evaluations =
            evaluations.map(|(decision, bytes)| (decision.rule.replace('/', "-"), bytes)).collect();
        let by = grant.by.map(|rule| format!("{}/{rule}", compiled.contract().name));
        let verdict = match by {
            Some(_) => Verdict::Grant,
            None => Verdict::Ask("no rule of the contract grants it"),
        };
        Ok(Decided { verdict, by, evaluations })
    }

    fn inputs(
        &self,
        compiled: &Compiled,
        venue: &Venue,
        (right, open): (&Right, &OpenOffer),
        budget: Spent,
        now: Now,
    ) -> Result<Value, VenueError> {
        let integer = |value: u64| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        let metrics: Vec<String> = match &open.offer.scope.subject {
            Subject::Hidden(_) => Vec::new(),
            Subject::Metrics { metrics, .. } => {
                metrics.iter().map(|metric| metric.0.to_string()).collect()
            }
        };
        let certificates = certificates(venue, right.buyer, now)?;
        let hours = right.until_ms.saturating_sub(right.from_ms).div_ceil(3_600_000);
        let request = Value::record([
            ("buyer", Value::Text(right.buyer.to_string())),
            ("certificates", Value::List(certificates)),
            ("from_s", integer(right.from_ms / 1_000)),
            ("until_s", integer(right.until_ms / 1_000)),
            ("hours", integer(hours)),
            ("level", integer(open.offer.terms.level.into())),
            ("metrics", Value::texts(metrics.iter().map(String::as_str))),
            ("paid", Value::Amount(Amount(right.escrow.0))),
            ("purpose", Value::Text(self.purposes.get(&right.buyer).cloned().unwrap_or_default())),
        ]);
        let lists = compiled.contract().lists.iter().map(|name| {
            let known = self.lists.get(name).map(Vec::as_slice).unwrap_or_default();
            (name.as_str(), Value::texts(known.iter().map(String::as_str)))
        });
        Ok(Value::record([
            ("request", request),
            ("lists", Value::record(lists)),
            (
                "budget",
                Value::record([
                    ("limit", integer(budget.limit_micro)),
                    ("used", integer(budget.used_micro)),
                ]),
            ),
            (
                "now",
                Value::record([
                    ("height", integer(now.height)),
                    ("time_s", integer(now.time_ms / 1_000)),
                ]),
            ),
        ]))
    }
}

/// When something is decided: it is an input, so that the decision can be made again.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The height of the state.
    pub height: u64,
    /// The time of day: milliseconds since the epoch.
    pub time_ms: u64,
}

impl Now {
    /// The present moment, at a height.
    #[must_use]
    pub fn at(height: u64) -> Self {
        use chronolith_engine::Clock as _;
        let now_ns = chronolith_engine::SystemClock.now_ns();
        Self { height, time_ms: u64::try_from(now_ns / 1_000_000).unwrap_or(0) }
    }
}

/// The certificates of an account that hold.
fn certificates(venue: &Venue, subject: Address, now: Now) -> Result<Vec<Value>, VenueError> {
    venue.look(|state, _| {
        let mut found = Vec::new();
        Overlay::new(state).each(&[], |_: CertificateKey, certificate| {
            let certified = &certificate.certified;
            let holds = certified.subject == subject && certificate.holds(now.time_ms);
            if holds && found.len() < CERTIFICATES_MOST {
                let until_s = i64::try_from(certified.valid_until_ms / 1_000);
                found.push(Value::record([
                    ("issuer", Value::Text(certificate.issuer.to_string())),
                    ("role", Value::Text(certified.purpose.to_string())),
                    ("subject", Value::Text(certified.subject.to_string())),
                    ("until_s", Value::Integer(until_s.unwrap_or(i64::MAX))),
                ]));
            }
            Ok::<_, VenueError>(())
        })?;
        Ok(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An offer under a contract that the node did not have (any more) was decided by its policy, which may grant
    /// what the contract would not.
    #[test]
    fn the_policy_decides_for_no_contract_that_is_not_here() {
        let policy = Policy { levels: vec![3, 4], ..Policy::default() };
        let book = Book::of_policy(policy.clone());
        assert!(matches!(book.named(None), Ok(None)));
        assert!(matches!(book.named(Some(policy.hash())), Ok(None)), "the offer names the policy");
        assert!(matches!(book.named(Some(Hash([7; 32]))), Err(ELSEWHERE)));
        assert!(matches!(book.named(Some(Policy::default().hash())), Err(ELSEWHERE)));
    }
}
