//! Catalogues by the ledger's facts, and headers by the catalogues.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::ledger::empty_catalogue;
use chronolith_engine::chunk::ChunkHeader;
use chronolith_engine::{
    CatalogueEntry, CatalogueError, CatalogueProof, CatalogueScope, CatalogueSpan, Definition,
    Listed, Metric,
};
use chronolith_merkle::matches;
use cid::Cid;

use super::{AnswerRefused, Expected, VerifiedMetric};
use crate::answer::bundle::{AnswerBundle, DeviceProof, MetricProof, OtherMetric};
use crate::answer::facts::DeviceFacts;
use crate::answer::windows::{Spans, definition, is_replaced, named, replaced};

/// What the catalogues show.
pub(super) struct Checked {
    pub(super) metrics: Vec<CheckedMetric>,
    /// Of each device, its other metrics; `None` where it is not proved that there are no more.
    pub(super) devices: Vec<Option<Others>>,
}

/// How many metrics the answer does not depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others {
    pub(super) all: usize,
    pub(super) hidden: usize,
}

/// A metric whose headers are those that the catalogue lists.
pub(super) struct CheckedMetric {
    pub(super) verified: VerifiedMetric,
    pub(super) definition: Definition,
    /// The headers, as many as the proof has chunks.
    pub(super) headers: Vec<ChunkHeader>,
    pub(super) is_witness: bool,
    /// The place of its device.
    pub(super) device: usize,
}

/// A metric of which nothing is checked but its form.
struct Claimed<'a> {
    proof: &'a MetricProof,
    metric: Metric,
    headers: Vec<ChunkHeader>,
    spans: Spans,
}

pub(super) fn check(
    bundle: &AnswerBundle,
    devices: &[DeviceFacts],
    expected: &Expected,
) -> Result<Checked, AnswerRefused> {
    if !bundle.metrics.is_sorted_by(|a, b| a.identity < b.identity) || bundle.metrics.is_empty() {
        return Err(AnswerRefused::Form("the metrics are none or not in order"));
    }
    let claimed = bundle.metrics.iter().map(claimed).collect::<Result<Vec<_>, _>>()?;
    let (mut metrics, mut others) = (Vec::new(), Vec::new());
    for (place, (facts, proof)) in devices.iter().zip(bundle.devices.iter()).enumerate() {
        let is_of = |claimed: &&Claimed<'_>| claimed.proof.device as usize == place;
        let of_device: Vec<&Claimed<'_>> = claimed.iter().filter(is_of).collect();
        let first = of_device.first().ok_or(AnswerRefused::Form("a device is of no metric"))?;
        let name = first.metric.device();
        if of_device.iter().any(|claimed| claimed.metric.device() != name) {
            return Err(AnswerRefused::Form("a device has two names"));
        }
        if let Some(wanted) = expected.devices.get(name)
            && *wanted != facts.device
        {
            let (name, found) = (name.to_owned(), facts.device);
            return Err(AnswerRefused::Device { name, wanted: *wanted, found });
        }
        let mut spans: Vec<CatalogueSpan> =
            of_device.iter().flat_map(|claimed| claimed.spans.all()).collect();
        spans.sort();
        let listed = listed(facts, proof, &spans)?;
        for claimed in &of_device {
            metrics.push((claimed.proof, claimed.check(place, facts, &spans, &listed)?));
        }
        others.push(check_others(facts, proof, &of_device, &listed)?);
    }
    if metrics.len() != claimed.len() {
        return Err(AnswerRefused::Form("a metric is of no device"));
    }
    metrics.sort_by(|(a, _), (b, _)| a.identity.cmp(&b.identity));
    let metrics = metrics.into_iter().map(|(_, metric)| metric).collect();
    Ok(Checked { metrics, devices: others })
}

fn claimed(proof: &MetricProof) -> Result<Claimed<'_>, AnswerRefused> {
    let metric = proof.identity.metric();
    let metric =
        metric.ok_or(AnswerRefused::Form("the name of a metric is not in its one form"))?;
    let headers = proof.chunks.iter().map(|chunk| ChunkHeader::from_bytes(&chunk.header));
    let headers = headers.collect::<Result<Vec<_>, _>>()?;
    let window_ns = headers.first().map(|header| header.window_ns);
    if headers.iter().any(|header| Some(header.window_ns) != window_ns || header.window_ns <= 0) {
        return Err(AnswerRefused::Form(
            "the chunks of a metric have windows of different lengths",
        ));
    }
    for header in &headers {
        let found = named(header);
        if found.as_ref() != Some(&metric) {
            let found = found.map_or("a metric that is hidden".to_owned(), |m| m.to_string());
            return Err(AnswerRefused::OtherMetric { metric, found });
        }
    }
    if proof.witness.is_some() && headers.len() != 1 {
        return Err(AnswerRefused::Form(
            "a metric without chunks in the range needs one beside it",
        ));
    }
    let range = (proof.from_ns, proof.to_ns);
    let spans = Spans::of(metric.catalogue_name(), range, window_ns, proof.witness);
    Ok(Claimed { proof, metric, headers, spans })
}

/// What the catalogue of a device lists of some spans.
fn listed(
    facts: &DeviceFacts,
    proof: &DeviceProof,
    spans: &[CatalogueSpan],
) -> Result<Listed, AnswerRefused> {
    let failed = |reason| AnswerRefused::Catalogue { device: facts.device, reason };
    // A device for which nothing was ever anchored has no node at all.
    if facts.now.catalogue == empty_catalogue() {
        if !proof.catalogue.is_empty() {
            return Err(failed(CatalogueError::Surplus));
        }
        return Ok(Listed { spans: vec![Vec::new(); spans.len()], ..Listed::default() });
    }
    let scope = CatalogueScope { spans, metrics: proof.others.is_some() };
    let catalogue = CatalogueProof::from_bytes(&proof.catalogue).map_err(failed)?;
    catalogue.listed(&facts.now.catalogue.0, scope).map_err(failed)
}

impl Claimed<'_> {
    fn check(
        &self,
        device: usize,
        facts: &DeviceFacts,
        spans: &[CatalogueSpan],
        listed: &Listed,
    ) -> Result<CheckedMetric, AnswerRefused> {
        let entries = |span: Option<CatalogueSpan>| {
            let at = span.and_then(|span| spans.iter().position(|other| *other == span));
            at.and_then(|at| listed.spans.get(at)).map(Vec::as_slice).unwrap_or_default()
        };
        let of_range = entries(self.spans.range);
        let (mut chunks, mut gone) = (Vec::new(), 0);
        if self.proof.witness.is_some() {
            if let Some(entry) = of_range.first() {
                return Err(self.left_out(entry));
            }
            let header = self.headers.first().zip(self.proof.chunks.first());
            let fits = |entry: &&CatalogueEntry| {
                header.is_some_and(|(header, part)| is_of(entry, header, &part.header))
            };
            if !entries(self.spans.witness).iter().any(|entry| fits(&entry)) {
                let window = self.proof.witness.unwrap_or_default();
                return Err(AnswerRefused::OtherChunk { metric: self.metric.clone(), window });
            }
        } else {
            (chunks, gone) = self.match_chunks(of_range)?;
        }
        let verified = VerifiedMetric {
            metric: self.metric.clone(),
            device: facts.device,
            from_ns: self.proof.from_ns,
            to_ns: self.proof.to_ns,
            chunks,
            replaced: gone,
        };
        Ok(CheckedMetric {
            verified,
            definition: definition(self.metric.clone(), self.headers.last()),
            headers: self.headers.clone(),
            is_witness: self.proof.witness.is_some(),
            device,
        })
    }

    /// The chunks by what the catalogue lists: one for each entry that no later chunk replaces, and how many
    /// are replaced.
    fn match_chunks(&self, entries: &[CatalogueEntry]) -> Result<(Vec<Cid>, usize), AnswerRefused> {
        let gone = replaced(self.headers.iter().map(|header| (header.window, header.supersedes)));
        let (mut chunks, mut count) = (Vec::new(), 0);
        let mut parts = self.headers.iter().zip(self.proof.chunks.iter());
        for entry in entries {
            if is_replaced(entry, &gone) {
                count += 1;
                continue;
            }
            let Some((header, part)) = parts.next() else { return Err(self.left_out(entry)) };
            if !is_of(entry, header, &part.header) {
                // Where it is listed further on, those between are left out.
                let place = (header.window, header.generation, header.part);
                let is_further = (entry.window, entry.generation, entry.part) < place
                    && entries.iter().any(|entry| is_of(entry, header, &part.header));
                if is_further {
                    return Err(self.left_out(entry));
                }
                let (metric, window) = (self.metric.clone(), header.window);
                return Err(AnswerRefused::OtherChunk { metric, window });
            }
            chunks.push(entry.header);
        }
        if let Some((header, _)) = parts.next() {
            let (metric, window) = (self.metric.clone(), header.window);
            return Err(AnswerRefused::OtherChunk { metric, window });
        }
        Ok((chunks, count))
    }

    fn left_out(&self, entry: &CatalogueEntry) -> AnswerRefused {
        AnswerRefused::LeftOut { metric: self.metric.clone(), window: entry.window }
    }
}

/// Whether a header is the one that an entry names, and says of itself what the entry does.
fn is_of(entry: &CatalogueEntry, header: &ChunkHeader, bytes: &[u8]) -> bool {
    let place = (header.window, header.generation, header.part);
    place == (entry.window, entry.generation, entry.part) && matches(&entry.header, bytes)
}

/// The other metrics of a device: exactly those that the catalogue lists.
fn check_others(
    facts: &DeviceFacts,
    proof: &DeviceProof,
    read: &[&Claimed<'_>],
    listed: &Listed,
) -> Result<Option<Others>, AnswerRefused> {
    let Some(others) = &proof.others else { return Ok(None) };
    let read: BTreeSet<[u8; 32]> =
        read.iter().map(|claimed| claimed.metric.catalogue_name()).collect();
    let mut expected: BTreeMap<&[u8; 32], &Vec<Cid>> = listed.metrics.iter().collect();
    expected.retain(|name, _| !read.contains(*name));
    let mut expected = expected.into_iter();
    let mut hidden = 0;
    for other in others.iter() {
        let next = expected.next();
        let (name, headers) =
            next.ok_or(AnswerRefused::Form("a metric is named that is not there"))?;
        match other {
            OtherMetric::Named(identity) => {
                let metric = identity.metric();
                let is_it = metric.is_some_and(|metric| metric.catalogue_name() == *name);
                if !is_it {
                    return Err(AnswerRefused::Form("a metric that is listed has another name"));
                }
            }
            OtherMetric::Hidden(bytes) => {
                let header = ChunkHeader::from_bytes(bytes)?;
                let is_listed = headers.iter().any(|header| matches(header, bytes));
                if !is_listed || header.pseudonym != Some(*name) {
                    return Err(AnswerRefused::Form("a metric that is listed is not a hidden one"));
                }
                hidden += 1;
            }
        }
    }
    match expected.next() {
        None => Ok(Some(Others { all: others.len(), hidden })),
        Some(_) => Err(AnswerRefused::MetricLeftOut { device: facts.device }),
    }
}
