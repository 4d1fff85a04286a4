//! Which device on the ledger a database's device is, and what of its chunks is anchored.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::encoding::{Bytes, List, decode};
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{Device, DeviceKey};
use chronolith_chain::state::Key;
use chronolith_engine::chunk::ChunkHeader;
use chronolith_engine::{
    Catalogue, CatalogueEntry, CatalogueScope, CatalogueSpan, Db, Listed, MetricId, Selector,
};

use super::MakeError;
use crate::answer::bundle::{DeviceProof, Identity, OtherMetric};
use crate::answer::ledger::Ledger;

/// How many of the last seal batches are looked at, a round after another: most often it is the last one.
const ROUNDS: [usize; 4] = [2, 14, 112, 896];

/// A device with its catalogue as it is on the ledger.
pub(super) struct Found {
    /// Its name in the database.
    pub(super) name: String,
    /// It on the ledger.
    pub(super) address: Address,
    pub(super) device: Device,
    /// The last seal batch that is in the catalogue.
    pub(super) batch: u64,
    pub(super) catalogue: Catalogue,
    /// The chunks of the catalogue, in order.
    pub(super) entries: Vec<CatalogueEntry>,
}

/// What the ledger has under some keys.
pub(super) fn values<K: Key>(
    ledger: &dyn Ledger,
    keys: &[K],
) -> Result<Vec<Option<K::Value>>, MakeError> {
    let values = ledger.values(keys.iter().map(Key::to_bytes).collect())?;
    let read = |value: Option<Vec<u8>>| match value {
        Some(bytes) => Ok(Some(decode(K::NAME, &bytes, usize::MAX)?)),
        None => Ok(None),
    };
    values.into_iter().map(read).collect()
}

fn digest(catalogue: &Catalogue) -> Hash {
    Hash(<[u8; 32]>::try_from(catalogue.root.hash().digest()).unwrap_or_default())
}

fn metrics(db: &Db, device: &str) -> Result<Vec<MetricId>, MakeError> {
    Ok(db.select(&Selector::all().device(device))?)
}

/// Finds some devices of a database on the ledger: those that are named there, the others by their
/// catalogues.
pub(super) fn find(
    db: &Db,
    ledger: &dyn Ledger,
    names: &BTreeSet<&str>,
    given: &BTreeMap<String, Address>,
) -> Result<Vec<Found>, MakeError> {
    names.iter().map(|name| find_one(db, ledger, name, given.get(*name).copied())).collect()
}

fn find_one(
    db: &Db,
    ledger: &dyn Ledger,
    name: &str,
    given: Option<Address>,
) -> Result<Found, MakeError> {
    let not_anchored = || MakeError::NotAnchored { device: name.to_owned() };
    let known = match given {
        Some(device) => {
            let known = values(ledger, &[DeviceKey { device }])?.into_iter().flatten().next();
            Some((device, known.ok_or_else(not_anchored)?))
        }
        None => None,
    };
    let mut batches = BTreeSet::new();
    for metric in metrics(db, name)? {
        batches.extend(db.chunks(metric, ..)?.iter().map(|chunk| chunk.batch));
    }
    let mut rest = batches.into_iter().rev();
    for round in ROUNDS {
        let mut roots = BTreeMap::new();
        for batch in rest.by_ref().take(round) {
            let catalogue = db.catalogue_until(name, batch)?;
            roots.insert(digest(&catalogue), (batch, catalogue));
        }
        if roots.is_empty() {
            break;
        }
        let on_ledger = match &known {
            Some((address, device)) => vec![(*address, device.clone())],
            None => {
                ledger.devices(roots.keys().copied().collect())?.into_values().flatten().collect()
            }
        };
        // The ledger has one catalogue of a device: the last of those that were anchored.
        let mut fit: Vec<(Address, Device)> = on_ledger;
        fit.retain(|(_, device)| roots.contains_key(&device.catalogue));
        if fit.len() > 1 {
            let addresses = fit.into_iter().map(|(address, _)| address).collect();
            return Err(MakeError::Ambiguous { device: name.to_owned(), addresses });
        }
        if let Some((address, device)) = fit.pop()
            && let Some((batch, catalogue)) = roots.remove(&device.catalogue)
        {
            let entries = catalogue.entries();
            let name = name.to_owned();
            return Ok(Found { name, address, device, batch, catalogue, entries });
        }
    }
    Err(not_anchored())
}

impl Found {
    /// The proof of what the catalogue lists of some spans, and, where it is wanted and can be told, which
    /// metrics beside those that are `read` there are.
    pub(super) fn prove(
        &self,
        db: &Db,
        mut spans: Vec<CatalogueSpan>,
        read: &BTreeSet<[u8; 32]>,
        all_metrics: bool,
    ) -> Result<DeviceProof, MakeError> {
        spans.sort();
        let failed = |reason| MakeError::Catalogue { device: self.name.clone(), reason };
        for metrics in [all_metrics, false] {
            let scope = CatalogueScope { spans: &spans, metrics };
            let proof = self.catalogue.prove(scope).map_err(failed)?;
            let mut others = None;
            if metrics {
                let listed = proof.listed(&self.device.catalogue.0, scope).map_err(failed)?;
                others = self.others(db, &listed, read)?;
                if others.is_none() {
                    continue;
                }
            }
            return Ok(DeviceProof {
                device: self.address,
                catalogue: Bytes::new(proof.to_bytes())?,
                others: others.map(List::new).transpose()?,
            });
        }
        Err(MakeError::NotAnchored { device: self.name.clone() })
    }

    /// The metrics of the catalogue that are not read; `None` where it cannot be told what one of them is.
    fn others(
        &self,
        db: &Db,
        listed: &Listed,
        read: &BTreeSet<[u8; 32]>,
    ) -> Result<Option<Vec<OtherMetric>>, MakeError> {
        let (mut named, mut hidden) = (BTreeMap::new(), Vec::new());
        for id in metrics(db, &self.name)? {
            let Some(definition) = db.definition(id) else { continue };
            named.insert(definition.metric.catalogue_name(), definition.metric.clone());
            if definition.level.hides_metric() {
                hidden.push(id);
            }
        }
        let mut others = Vec::new();
        for (name, headers) in listed.metrics.iter().filter(|(name, _)| !read.contains(*name)) {
            if let Some(metric) = named.get(name) {
                others.push(OtherMetric::Named(Identity::of(metric)?));
                continue;
            }
            let mut header = None;
            for id in &hidden {
                let chunks = db.chunks(*id, ..)?;
                let fits = chunks
                    .iter()
                    .rev()
                    .find(|chunk| chunk.body.is_some() && headers.contains(&chunk.cid));
                if let Some(chunk) = fits {
                    header = db.chunk_header(chunk.key)?;
                    break;
                }
            }
            let Some(header) = header else { return Ok(None) };
            if ChunkHeader::from_bytes(&header)?.pseudonym != Some(*name) {
                return Ok(None);
            }
            others.push(OtherMetric::Hidden(Bytes::new(header)?));
        }
        Ok(Some(others))
    }
}
