//! Who calls by a certificate, and what the ledger lets him do.
//!
//! TLS shows that he has the key of a certificate, and that an authority of the settings made it. What he may
//! do follows from the ledger as it is now: the certificate must stand there and not be revoked; the settings
//! say what is open to whom the authority certified for a purpose, and the owner of the service gives access
//! for a time.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chronolith_chain::address::Address;
use chronolith_chain::hash::{Hash, ServiceId};
use chronolith_chain::ledger::ServiceKey;
use chronolith_chain::state::{Overlay, StateError, View};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::chain::{ask_in, ending};
use super::problem::Problem;
use super::query::Admission;
use super::state::HttpState;
use super::tokens::Scope;
use super::{HttpError, HttpSettings};
use crate::identity::certificate::{PeerCertificate, authority};
use crate::identity::pass::Pass;
use crate::identity::standing::{Standing, standing};
use crate::moment::now_ms;
use crate::wallet::secret_of;

/// How long what the ledger said is believed: so long somebody may go on after he was revoked.
pub(super) const FRESH: Duration = Duration::from_secs(2);
/// How many ask the ledger of callers at a time.
pub(super) const ASKING: usize = 2;
/// Of how many callers what the ledger said is kept.
const KEPT_MOST: usize = 4_096;

/// Whom a server believes who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthoritySettings {
    /// The authority's certificate as PEM: `chronolith identity authority` writes it.
    pub certificate: std::path::PathBuf,
    /// What it must have certified him for.
    pub purpose: String,
    /// What he may do then.
    #[serde(default)]
    pub scopes: Vec<Scope>,
}

/// What is open to whom an authority certified for a purpose.
#[derive(Debug, Clone)]
struct Rule {
    issuer: Address,
    purpose: String,
    scopes: Vec<Scope>,
}

/// What the ledger says of a caller.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    /// How his certificate stands.
    pub(super) standing: Standing,
    /// What he may do; nothing where it is not good.
    pub(super) scopes: Vec<Scope>,
}

impl Verdict {
    /// Whether something is open to him.
    pub(super) fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// What a verdict follows from, beside the ledger.
#[derive(Debug, Clone)]
struct Rules {
    rules: Arc<[Rule]>,
    service: Option<ServiceId>,
}

/// Who may call by a certificate.
pub(super) struct Callers {
    rules: Rules,
    known: Mutex<HashMap<Hash, (Instant, Arc<Verdict>)>>,
    /// Nobody waits here for a block.
    room: Admission,
}

impl Callers {
    /// Those of the settings; none where they name no authority.
    pub(super) fn new(settings: &HttpSettings) -> Result<Option<Self>, HttpError> {
        let service = settings.service.as_deref().map(|text| {
            secret_of(text).map(ServiceId).map_err(|_| HttpError::Service(text.to_owned()))
        });
        let service = service.transpose()?;
        if settings.authorities.is_empty() {
            return Ok(None);
        }
        let rules = settings.authorities.iter().map(|known| {
            let issuer = issuer(&known.certificate)?;
            let AuthoritySettings { purpose, scopes, .. } = known.clone();
            Ok(Rule { issuer, purpose, scopes })
        });
        let rules = rules.collect::<Result<Vec<_>, HttpError>>()?.into();
        let (rules, room) = (Rules { rules, service }, Admission::new(ASKING));
        Ok(Some(Self { rules, known: Mutex::default(), room }))
    }

    /// What the ledger says of a caller: now, or a moment ago.
    pub(super) async fn verdict(
        &self,
        state: &HttpState,
        caller: &PeerCertificate,
    ) -> Result<Arc<Verdict>, Problem> {
        let now = Instant::now();
        if let Some((then, verdict)) = self.known.lock().get(&caller.hash)
            && now.duration_since(*then) < FRESH
        {
            return Ok(Arc::clone(verdict));
        }
        let (rules, asked) = (self.rules.clone(), caller.clone());
        let looked = ask_in(&self.room, state, move |link| {
            let looked = link.chain().look(move |validator| rules.judge(validator.state(), &asked));
            looked.ok_or_else(ending)?.map_err(|error| Problem::internal(error.to_string()))
        });
        let verdict = Arc::new(looked.await?);
        let mut known = self.known.lock();
        if known.len() >= KEPT_MOST {
            known.clear();
        }
        known.insert(caller.hash, (now, Arc::clone(&verdict)));
        Ok(verdict)
    }
}

fn issuer(place: &Path) -> Result<Address, HttpError> {
    let wrong = |reason: String| HttpError::Tls { place: place.to_owned(), reason };
    let pem = fs::read(place).map_err(|error| wrong(error.to_string()))?;
    authority(&pem).map_err(|error| wrong(error.to_string()))
}

impl Rules {
    fn judge(&self, state: &dyn View, caller: &PeerCertificate) -> Result<Verdict, StateError> {
        let now_ms = now_ms();
        let (account, hash) = (caller.account, caller.hash);
        let standing = standing(state, caller.issuer, account, hash, now_ms)?;
        let Standing::Good { certified, .. } = &standing else {
            return Ok(Verdict { standing, scopes: Vec::new() });
        };
        let purpose = &*certified.purpose;
        let rules = self.rules.iter();
        let known = rules.filter(|rule| rule.issuer == caller.issuer && rule.purpose == purpose);
        let known: Vec<&Rule> = known.collect();
        // Who is certified for something else is nobody that the settings know.
        if known.is_empty() {
            return Ok(Verdict { standing, scopes: Vec::new() });
        }
        let scopes = known.into_iter().flat_map(|rule| rule.scopes.iter().copied());
        let mut scopes: Vec<Scope> = scopes.collect();
        scopes.extend(self.passes(state, account, now_ms)?);
        scopes.sort_unstable();
        scopes.dedup();
        Ok(Verdict { standing, scopes })
    }

    /// What the owner of the service gave an account.
    fn passes(
        &self,
        state: &dyn View,
        account: Address,
        now_ms: u64,
    ) -> Result<Vec<Scope>, StateError> {
        let Some(service) = self.service else { return Ok(Vec::new()) };
        let known = Overlay::new(state).get(&ServiceKey { service })?;
        // What has ended is open to nobody.
        let Some(known) = known.filter(|known| known.info.is_some()) else { return Ok(Vec::new()) };
        let mut scopes = Vec::new();
        for scope in [Scope::Read, Scope::Write, Scope::Admin] {
            let hash = Pass { service, account, scope }.hash();
            let standing = standing(state, known.owner, account, hash, now_ms)?;
            if matches!(standing, Standing::Good { .. }) {
                scopes.push(scope);
            }
        }
        Ok(scopes)
    }
}
