//! Offers: what owners ask for the right to use data.

use std::collections::BTreeMap;
use std::fmt;

use chronolith_engine::{Level, Limits};

use super::entry::{Refused, check_tags, implausible, no_longer};

/// The most metrics that an offer names, as on the ledger.
const METRICS_MAX: usize = 32;
/// The most devices that a listing names.
const DEVICES_MAX: usize = 64;
/// The longest name of an owner, a device, a coin or a region: bytes.
const NAME_BYTES_MAX: usize = 256;
/// The longest description: bytes.
const DESCRIPTION_BYTES_MAX: usize = 16 << 10;

/// The ledger's name of an offer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId(
    /// The bytes.
    pub [u8; 32],
);

/// As hexadecimal digits.
impl fmt::Display for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a right costs. Amounts are in the smallest unit of the coin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Price {
    /// The coin.
    pub coin: String,
    /// What a right costs, whatever its length.
    pub fixed: u128,
    /// What it costs for each hour of data that is begun.
    pub per_hour: u128,
}

impl Price {
    /// The least that anybody pays: for one hour. Offers are found and ordered by it.
    #[must_use]
    pub const fn least(&self) -> u128 {
        self.fixed.saturating_add(self.per_hour)
    }
}

/// What an owner says of an offer beside what the ledger has of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The names of the devices.
    pub devices: Vec<String>,
    /// Tags that the metrics have.
    pub tags: BTreeMap<String, String>,
    /// Where the data is from.
    pub region: String,
    /// What it is.
    pub description: String,
}

/// An offer of the right to use data. All but the listing is what the ledger has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub id: OfferId,
    /// The account of the owner.
    pub owner: String,
    /// The device, as the ledger names it; empty where it is hidden.
    pub device: String,
    /// The names of the metrics; none means all, or that they are hidden.
    pub metrics: Vec<String>,
    /// The first time of what is offered: nanoseconds since the epoch.
    pub from_ns: i64,
    /// The time before which it ends; `None` where whatever will come is offered.
    pub until_ns: Option<i64>,
    /// What it costs.
    pub price: Price,
    /// How private the data is.
    pub level: Level,
    /// What else is said of it.
    pub listing: Listing,
}

impl Offer {
    /// The first and the last time of what is offered: nanoseconds since the epoch.
    #[must_use]
    pub const fn span_ns(&self) -> (i64, i64) {
        match self.until_ns {
            Some(until_ns) => (self.from_ns, until_ns.saturating_sub(1)),
            None => (self.from_ns, i64::MAX),
        }
    }

    /// The same with another listing.
    pub(super) fn with(&self, listing: Listing) -> Self {
        Self { listing, ..self.clone() }
    }

    pub(super) fn check(&self) -> Result<(), Refused> {
        let names = [
            ("the owner", &self.owner),
            ("the device", &self.device),
            ("the coin", &self.price.coin),
            ("the region", &self.listing.region),
        ];
        for (what, name) in names {
            no_longer(what, name.len(), NAME_BYTES_MAX)?;
        }
        no_longer("the list of metrics", self.metrics.len(), METRICS_MAX)?;
        no_longer("the list of devices", self.listing.devices.len(), DEVICES_MAX)?;
        for name in self.metrics.iter().chain(&self.listing.devices) {
            no_longer("a name", name.len(), Limits::default().name_bytes)?;
        }
        check_tags(&self.listing.tags)?;
        no_longer("the description", self.listing.description.len(), DESCRIPTION_BYTES_MAX)?;
        if self.until_ns.is_some_and(|until_ns| until_ns <= self.from_ns) {
            return Err(implausible("it ends before it begins"));
        }
        if self.price.coin.is_empty() {
            return Err(implausible("a price in no coin"));
        }
        Ok(())
    }
}
