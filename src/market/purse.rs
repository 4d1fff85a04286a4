//! What must not be lost of deals: in the wallet's folder `market`, in files that only their user may read.
//!
//! ```text
//! market/offers/ID.json      what a hidden offer is of, with its salt
//! market/decisions/ID/RULE.cbor   what a rule of a contract decided a request from
//! market/events/ID.json      what happened to a sale under a contract with webhooks
//! market/requests/ID.json    the secret of a request's one-time key, which its grant is sealed to
//! market/subscriptions/ID.json    the same of a subscription
//! market/budgets/DEVICE.budget   what noisy answers about a device told so far
//! market/answers/ID.answer   an answer that is made, sealed and not yet on the ledger
//! market/disputes/ID.dispute what shows the ledger that a key is wrong: a dispute without its secret
//! ```
//!
//! A file is there before the transaction that needs it is handed in. Those of bytes are in `purse/kept.rs`.

mod kept;

use std::fs;
use std::path::{Path, PathBuf};

use chronolith_chain::address::Address;
use chronolith_chain::hash::{ChainId, Hash, OfferId, RequestId, SubscriptionId};
use chronolith_chain::ledger::HiddenScope;
use chronolith_disk::RealDisk;
use chronolith_keys::OneTimeSecret;
use chronolith_keys::policy::{BUDGET_BYTES, Budget, BudgetError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::book::Decided;
use crate::wallet::{
    Wallet, WalletError, make_private_directory, read_private_up_to, secret_of, write_private,
};

const OFFER_FORMAT: &str = "chronolith hidden offer 1";
/// The folder of requests, and what its files say they are.
const REQUESTS: (&str, &str) = ("requests", "chronolith request 1");
/// The same of subscriptions.
const SUBSCRIPTIONS: (&str, &str) = ("subscriptions", "chronolith subscription 1");
const FOLDER: &str = "market";
/// The largest file that is read: bytes. A hidden offer names at most 32 key trees.
const BYTES_MAX: u64 = 16 << 10;

/// Why secrets of deals cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PurseError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The budget of a scope.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// A file does not hold what it must.
    #[error("{}: {reason}", place.display())]
    Content {
        /// The file.
        place: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Why what is kept or was told is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// It is something else.
    #[error("it has the format {found:?}, not {expected:?}")]
    Format {
        /// What it says that it is.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// It is of another offer or request.
    #[error("it is of {found}, not of {wanted}")]
    Other {
        /// Of which.
        found: String,
        /// Which was asked for.
        wanted: String,
    },
    /// It says no offer.
    #[error("it is of {0:?}, and an offer has 64 hexadecimal digits")]
    NoOffer(String),
}

/// What a hidden offer is of: for the owner, and for those who may buy it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    format: String,
    offer: String,
    /// What the ledger has the hash of.
    pub scope: HiddenScope,
}

impl Disclosure {
    /// What an offer hides.
    #[must_use]
    pub fn new(offer: OfferId, scope: HiddenScope) -> Self {
        Self { format: OFFER_FORMAT.to_owned(), offer: offer.to_string(), scope }
    }

    /// Reads what an owner told of an offer.
    ///
    /// # Errors
    /// Where it is something else, or of another offer.
    pub fn read(place: &Path, offer: OfferId) -> Result<Self, PurseError> {
        let told: Self = read(place)?;
        told.check(offer).map_err(|error| wrong(place, error.to_string()))?;
        Ok(told)
    }

    /// Reads what an owner told of whichever offer; which one it is of, and what that hides.
    ///
    /// # Errors
    /// Where it is something else, or says no offer.
    pub fn read_any(place: &Path) -> Result<(OfferId, HiddenScope), PurseError> {
        let told: Self = read(place)?;
        let offer = told.offer().map_err(|error| wrong(place, error.to_string()))?;
        Ok((offer, told.scope))
    }

    /// The offer that it says it is of.
    ///
    /// # Errors
    /// Where it is something else, or says no offer.
    pub fn offer(&self) -> Result<OfferId, Mismatch> {
        if self.format != OFFER_FORMAT {
            let (found, expected) = (self.format.clone(), OFFER_FORMAT.to_owned());
            return Err(Mismatch::Format { found, expected });
        }
        let id = secret_of(&self.offer).map_err(|_| Mismatch::NoOffer(self.offer.clone()))?;
        Ok(OfferId(id))
    }

    /// Refuses what is something else, or of another offer.
    ///
    /// # Errors
    /// What it is.
    pub fn check(&self, offer: OfferId) -> Result<(), Mismatch> {
        compare((&self.format, OFFER_FORMAT), (&self.offer, &offer.to_string()))
    }
}

/// A request, and the secret of its key. It is not printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    format: String,
    request: String,
    chain: String,
    offer: String,
    since: u64,
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<HiddenScope>,
}

/// A request that was made, and what opens its grant.
#[derive(Debug, Clone)]
pub struct Requested {
    /// The request.
    pub request: RequestId,
    /// On which chain.
    pub chain: ChainId,
    /// Of which offer.
    pub offer: OfferId,
    /// The height before it was handed in.
    pub since: u64,
    /// The secret of the one-time key.
    pub secret: OneTimeSecret,
    /// What a hidden offer is of.
    pub scope: Option<HiddenScope>,
}

/// The folder `market` of a wallet.
#[derive(Debug, Clone)]
pub struct Purse {
    folder: PathBuf,
}

impl Purse {
    /// That of a wallet.
    #[must_use]
    pub fn of(wallet: &Wallet) -> Self {
        Self { folder: wallet.directory().join(FOLDER) }
    }

    /// The folder of what happened to sales under contracts with webhooks.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.folder.join("events")
    }

    /// Keeps what a hidden offer is of.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_offer(&self, offer: OfferId, scope: &HiddenScope) -> Result<PathBuf, PurseError> {
        write(
            &self.folder.join("offers"),
            &offer.to_string(),
            &Disclosure::new(offer, scope.clone()),
        )
    }

    /// What a hidden offer is of; none where this wallet does not know.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn offer(&self, offer: OfferId) -> Result<Option<HiddenScope>, PurseError> {
        let place = self.folder.join("offers").join(format!("{offer}.json"));
        match place.exists() {
            true => Ok(Some(Disclosure::read(&place, offer)?.scope)),
            false => Ok(None),
        }
    }

    /// Keeps what the rules of a contract decided a request from, so that an arbiter can run them again.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_decision(&self, request: RequestId, decided: &Decided) -> Result<(), PurseError> {
        for (rule, bytes) in &decided.evaluations {
            let folder = self.folder.join("decisions").join(request.to_string());
            put(&folder, &format!("{rule}.cbor"), bytes)?;
        }
        Ok(())
    }

    /// Keeps a request.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_request(&self, requested: &Requested) -> Result<PathBuf, PurseError> {
        self.keep(REQUESTS, requested)
    }

    fn keep(
        &self,
        (folder, format): (&str, &str),
        requested: &Requested,
    ) -> Result<PathBuf, PurseError> {
        let Requested { request, chain, offer, since, secret, scope } = requested;
        let file = RequestFile {
            format: format.to_owned(),
            request: request.to_string(),
            chain: chain.to_string(),
            offer: offer.to_string(),
            since: *since,
            secret: Hash(*secret.bytes()).to_string(),
            scope: scope.clone(),
        };
        write(&self.folder.join(folder), &request.to_string(), &file)
    }

    /// A request of this wallet; none where it has none of that id.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn known(&self, request: RequestId) -> Result<Option<Requested>, PurseError> {
        self.found(REQUESTS, request)
    }

    fn found(&self, of: (&str, &str), request: RequestId) -> Result<Option<Requested>, PurseError> {
        let place = self.folder.join(of.0).join(format!("{request}.json"));
        if place.exists() { self.kept(of, request).map(Some) } else { Ok(None) }
    }

    /// A request of this wallet.
    ///
    /// # Errors
    /// Where it is not there or cannot be read.
    pub fn request(&self, request: RequestId) -> Result<Requested, PurseError> {
        self.kept(REQUESTS, request)
    }

    fn kept(
        &self,
        (folder, format): (&str, &str),
        request: RequestId,
    ) -> Result<Requested, PurseError> {
        let place = self.folder.join(folder).join(format!("{request}.json"));
        let file: RequestFile = read(&place)?;
        compare((&file.format, format), (&file.request, &request.to_string()))
            .map_err(|error| wrong(&place, error.to_string()))?;
        let bytes = |what, text: &str| {
            secret_of(text).map_err(|error| wrong(&place, format!("{what}: {error}")))
        };
        Ok(Requested {
            request,
            chain: ChainId(bytes("chain", &file.chain)?),
            offer: OfferId(bytes("offer", &file.offer)?),
            since: file.since,
            secret: OneTimeSecret::from_bytes(bytes("secret", &file.secret)?),
            scope: file.scope,
        })
    }

    /// Spends of the budget of a device what an answer costs, over all who ask and whatever they ask: millionths
    /// of ε. It is on the disk when this returns. Of several limits that were said, the smallest holds.
    ///
    /// # Errors
    /// Where too little is left, or the budget cannot be read or written.
    pub fn spend(
        &self,
        device: Address,
        cost_micro: u64,
        limit_micro: u64,
    ) -> Result<Budget, PurseError> {
        let folder = self.folder.join("budgets");
        let path = format!("{device}.budget");
        let place = folder.join(&path);
        let _lock = lock(&folder)?;
        let known = read_budget(&place)?;
        let mut budget = known.map_or(Budget::new(limit_micro), |known| known.within(limit_micro));
        budget.spend(cost_micro)?;
        put(&folder, &path, &budget.to_bytes())?;
        Ok(budget)
    }

    /// What noisy answers about a device cost so far and may cost, where one was given: millionths of ε.
    ///
    /// # Errors
    /// Where the budget cannot be read.
    pub fn budget(&self, device: Address) -> Result<Option<Budget>, PurseError> {
        read_budget(&self.folder.join("budgets").join(format!("{device}.budget")))
    }

    /// Keeps a subscription, in the place of a request.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_subscription(&self, requested: &Requested) -> Result<PathBuf, PurseError> {
        self.keep(SUBSCRIPTIONS, requested)
    }

    /// A subscription of this wallet, in the place of a request.
    ///
    /// # Errors
    /// Where it is not there or cannot be read.
    pub fn subscription(&self, subscription: SubscriptionId) -> Result<Requested, PurseError> {
        self.kept(SUBSCRIPTIONS, RequestId(subscription.0))
    }

    /// A subscription of this wallet, in the place of a request; none where it has none of that id.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn known_subscription(
        &self,
        subscription: SubscriptionId,
    ) -> Result<Option<Requested>, PurseError> {
        self.found(SUBSCRIPTIONS, RequestId(subscription.0))
    }

    /// The ids of all requests of this wallet, in order.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn requests(&self) -> Result<Vec<RequestId>, PurseError> {
        self.listed((REQUESTS.0, ".json"))
    }

    /// The ids that the names of a folder's files are of, in order.
    fn listed(&self, (folder, ending): (&str, &str)) -> Result<Vec<RequestId>, PurseError> {
        let folder = self.folder.join(folder);
        let failed = |source| {
            let place = folder.clone();
            PurseError::from(WalletError::Disk { what: "list", place, source })
        };
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(ending));
            found.extend(name.and_then(|name| secret_of(name).ok()).map(RequestId));
        }
        found.sort_unstable();
        Ok(found)
    }
}

fn wrong(place: &Path, reason: String) -> PurseError {
    PurseError::Content { place: place.to_owned(), reason }
}

/// Refuses another format, or something else of the same.
fn compare((format, expected): (&str, &str), (id, wanted): (&str, &str)) -> Result<(), Mismatch> {
    if format != expected {
        let (found, expected) = (format.to_owned(), expected.to_owned());
        return Err(Mismatch::Format { found, expected });
    }
    if id != wanted {
        return Err(Mismatch::Other { found: id.to_owned(), wanted: wanted.to_owned() });
    }
    Ok(())
}

fn read<T: DeserializeOwned>(place: &Path) -> Result<T, PurseError> {
    let text = read_private_up_to(place, BYTES_MAX)?;
    // What serde says would show a part of the secret where the secret is what is wrong.
    serde_json::from_str(&text)
        .map_err(|error| wrong(place, format!("line {} is not as it should be", error.line())))
}

fn write<T: Serialize>(folder: &Path, name: &str, file: &T) -> Result<PathBuf, PurseError> {
    let mut text = serde_json::to_string_pretty(file).unwrap_or_default();
    text.push('\n');
    put(folder, &format!("{name}.json"), text.as_bytes())
}

fn read_budget(place: &Path) -> Result<Option<Budget>, PurseError> {
    let bytes = match fs::read(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let place = place.to_owned();
            return Err(WalletError::Disk { what: "read", place, source }.into());
        }
        Ok(bytes) => bytes,
    };
    let bytes = <[u8; BUDGET_BYTES]>::try_from(bytes.as_slice());
    let bytes = bytes.map_err(|_| wrong(place, "it is no budget".to_owned()))?;
    Ok(Some(Budget::from_bytes(&bytes)?))
}

/// Holds a folder against other processes until it is dropped.
fn lock(folder: &Path) -> Result<fs::File, PurseError> {
    let failed = |what| {
        let place = folder.to_owned();
        move |source| WalletError::Disk { what, place, source }
    };
    make_private_directory(folder).map_err(failed("create"))?;
    let place = folder.join(".lock");
    let file = fs::File::options().write(true).create(true).truncate(false).open(place);
    let file = file.map_err(failed("lock"))?;
    file.lock().map_err(failed("lock"))?;
    Ok(file)
}

fn put(folder: &Path, path: &str, bytes: &[u8]) -> Result<PathBuf, PurseError> {
    let failed = |what| {
        let place = folder.to_owned();
        move |source| WalletError::Disk { what, place, source }
    };
    make_private_directory(folder).map_err(failed("create"))?;
    let disk = RealDisk::existing(folder).map_err(failed("open"))?;
    let written = write_private(&disk, &format!(".{path}.new"), path, bytes);
    written.map_err(failed("write to"))?;
    Ok(folder.join(path))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn a_disclosure_is_of_one_offer_and_comes_back_as_json() {
        let scope = HiddenScope {
            salt: [7; 32],
            device: Address([1; 32]),
            tree: 2,
            trees: Default::default(),
        };
        let (offer, other) = (OfferId([3; 32]), OfferId([4; 32]));
        let told = serde_json::to_value(Disclosure::new(offer, scope.clone())).unwrap();
        let back: Disclosure = serde_json::from_value(told.clone()).unwrap();
        assert_eq!((back.check(offer), &back.scope), (Ok(()), &scope));
        assert_eq!(back.offer(), Ok(offer));
        assert_eq!(back.scope.subject(), scope.subject(), "it has the hash of the ledger");
        assert!(matches!(back.check(other), Err(Mismatch::Other { .. })));
        let with = |name: &str, wrong: &str| -> Disclosure {
            let mut other = told.clone();
            other[name] = wrong.into();
            serde_json::from_value(other).unwrap()
        };
        let other = with("format", "chronolith request 1");
        assert!(matches!(other.check(offer), Err(Mismatch::Format { .. })));
        assert!(matches!(other.offer(), Err(Mismatch::Format { .. })));
        assert!(matches!(with("offer", "7").offer(), Err(Mismatch::NoOffer(_))));
    }
}
