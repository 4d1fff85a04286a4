//! What a market's reference prices are learnt from: sales and offers, in canonical bytes.

use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};
use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::canonical::depth_is_bounded;

/// The version of the canonical form: with 1, sales had a number of records.
const VERSION: u64 = 2;
/// The most sales of a history: the latest ones are handed in.
pub const SALES_MAX: usize = 1_024;
/// The most offers of a history.
pub const OFFERS_MAX: usize = 4_096;
/// The longest canonical form: bytes.
pub const HISTORY_BYTES_MAX: usize = 4 << 20;
/// The longest name of an account or a market: bytes.
const NAME_BYTES_MAX: usize = 128;

/// A right that was granted and paid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sold {
    /// When it was paid: milliseconds since the epoch.
    pub at_ms: u64,
    /// Who sold.
    pub owner: String,
    /// Who bought.
    pub buyer: String,
    /// What was paid.
    pub paid: Amount,
    /// For how many hours of data.
    pub hours: u64,
    /// How old the data was: hours from its end to the sale.
    pub age_hours: u64,
    /// How much of it there is, counted alike for all sales of a history, and 0 where nobody knows: records an
    /// hour, or what else the maker of the history can count.
    pub volume: u64,
}

/// An offer, as long as it stood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    /// When it was made: milliseconds since the epoch.
    pub from_ms: u64,
    /// When it was closed; none while it is open.
    pub until_ms: Option<u64>,
    /// Who offers.
    pub owner: String,
}

/// What happened in the market of one kind of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    v: u64,
    market: String,
    sales: Vec<Sold>,
    offers: Vec<Offered>,
    circulation: Vec<(u64, Amount)>,
}

/// Why there is no such history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// There are more sales, offers or amounts in circulation than a model is learnt from.
    #[error("{found} {what} where at most {most} are taken: hand in the latest ones")]
    Many {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are taken.
        most: usize,
    },
    /// A sale of no hours, or a name that is too long.
    #[error("{what} {position}: {problem}")]
    Wrong {
        /// Of what.
        what: &'static str,
        /// Which, from 0.
        position: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Bytes that are not the canonical form of one.
    #[error("not the canonical form of a history: {0}")]
    Bytes(String),
}

impl History {
    /// A history; its parts come in any order.
    ///
    /// `market` is the name of what is traded: a metric's name and its level, say. `circulation` is how much
    /// coin there was, from which moment on: milliseconds since the epoch.
    ///
    /// # Errors
    /// [`HistoryError`] where there is too much, a sale is of no hours, or a name is too long.
    pub fn new(
        market: &str,
        mut sales: Vec<Sold>,
        mut offers: Vec<Offered>,
        mut circulation: Vec<(u64, Amount)>,
    ) -> Result<Self, HistoryError> {
        for (what, found, most) in [
            ("sales", sales.len(), SALES_MAX),
            ("offers", offers.len(), OFFERS_MAX),
            ("amounts in circulation", circulation.len(), OFFERS_MAX),
        ] {
            if found > most {
                return Err(HistoryError::Many { what, found, most });
            }
        }
        sales.sort();
        offers.sort();
        circulation.sort();
        let is_long = |name: &str| name.is_empty() || name.len() > NAME_BYTES_MAX;
        let problem = "a name has 1 to 128 bytes";
        if is_long(market) {
            return Err(HistoryError::Wrong { what: "market", position: 0, problem });
        }
        for (sold, position) in sales.iter().zip(0..) {
            let problem = match sold {
                sold if sold.hours == 0 => "a sale is of an hour at least",
                sold if is_long(&sold.owner) || is_long(&sold.buyer) => problem,
                _ => continue,
            };
            return Err(HistoryError::Wrong { what: "sale", position, problem });
        }
        if let Some(position) = offers.iter().position(|offered| is_long(&offered.owner)) {
            return Err(HistoryError::Wrong { what: "offer", position, problem });
        }
        Ok(Self { v: VERSION, market: market.to_owned(), sales, offers, circulation })
    }

    /// What is traded.
    #[must_use]
    pub fn market(&self) -> &str {
        &self.market
    }

    /// The sales, oldest first.
    #[must_use]
    pub fn sales(&self) -> &[Sold] {
        &self.sales
    }

    /// The offers, oldest first.
    #[must_use]
    pub fn offers(&self) -> &[Offered] {
        &self.offers
    }

    /// How much coin there was at a moment.
    #[must_use]
    pub fn circulation(&self, at_ms: u64) -> Amount {
        let before = self.circulation.partition_point(|(from_ms, _)| *from_ms <= at_ms);
        let last = before.checked_sub(1).and_then(|last| self.circulation.get(last));
        last.map(|(_, amount)| *amount).unwrap_or_default()
    }

    /// The canonical bytes: DAG-CBOR.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts, whole numbers and lists always encode.
        serde_ipld_dagcbor::to_vec(self).unwrap_or_default()
    }

    /// The content id of the canonical bytes.
    #[must_use]
    pub fn cid(&self) -> Cid {
        content_id(DAG_CBOR, HashFunction::Sha256, &self.to_bytes())
    }

    /// Reads the canonical bytes; anything else is refused.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HistoryError> {
        let wrong = |problem: &str| HistoryError::Bytes(problem.to_owned());
        if bytes.len() > HISTORY_BYTES_MAX {
            return Err(wrong("it is longer than any"));
        }
        if !depth_is_bounded(bytes) {
            return Err(wrong("maps and lists lie too deep in each other"));
        }
        let read: Self = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| HistoryError::Bytes(error.to_string()))?;
        if read.v != VERSION {
            let problem = format!("version {}, and this program reads {VERSION}", read.v);
            return Err(HistoryError::Bytes(problem));
        }
        let history = Self::new(&read.market, read.sales, read.offers, read.circulation)?;
        if history.to_bytes() == bytes {
            Ok(history)
        } else {
            Err(wrong("it has another canonical form"))
        }
    }
}
