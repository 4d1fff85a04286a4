//! What a search found, as rows and as JSON.

use chronolith_query::search::remote::Offer;
use chronolith_query::search::{Answer, Hit, Target};
use serde_json::{Value, json};

use super::{Cell, rfc3339};

/// The names of the columns of what is listed.
pub(crate) const fn columns(target: Target) -> &'static [&'static str] {
    match target {
        Target::Metric => {
            &["device", "metric", "unit", "chunks", "records", "first", "last", "tags", "of"]
        }
        Target::Device => &["device", "metrics", "chunks", "records", "first", "last", "of"],
        Target::Offer => &[
            "devices",
            "metrics",
            "from",
            "until",
            "fixed",
            "per_hour",
            "coin",
            "level",
            "region",
            "description",
            "owner",
            "trust",
            "told_by",
            "id",
        ],
        Target::Chunk => &[
            "device",
            "metric",
            "unit",
            "records",
            "first",
            "last",
            "bytes",
            "window",
            "generation",
            "part",
            "cid",
            "of",
            "trust",
            "told_by",
        ],
    }
}

/// What is found as a row of them.
pub(crate) fn cells(target: Target, hit: &Hit) -> Vec<Cell> {
    if let Some(offer) = &hit.offer {
        return offer_cells(offer, hit);
    }
    let time = |time_ns: Option<i64>| Cell::from(time_ns.map(rfc3339).unwrap_or_default());
    let device = Cell::from(hit.device.as_str());
    let first = time(hit.span_ns.map(|(first, _)| first));
    let last = time(hit.span_ns.map(|(_, last)| last));
    let tags: Vec<String> = hit.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let (metric, unit) = (hit.metric.as_str().into(), hit.unit.as_str().into());
    let of = of(hit);
    match (target, &hit.chunk) {
        (Target::Device, _) => {
            let counts = [hit.metrics, hit.chunks, hit.records].map(Cell::from);
            [device].into_iter().chain(counts).chain([first, last, of]).collect()
        }
        (Target::Chunk, Some(chunk)) => vec![
            if chunk.is_hidden { "(hidden)".into() } else { device },
            metric,
            unit,
            hit.records.into(),
            first,
            last,
            hit.size_bytes.into(),
            chunk.window.into(),
            u64::from(chunk.generation).into(),
            u64::from(chunk.part).into(),
            chunk.cid.as_str().into(),
            of,
            trust_of(hit),
            told_by(hit),
        ],
        _ => vec![
            device,
            metric,
            unit,
            hit.chunks.into(),
            hit.records.into(),
            first,
            last,
            tags.join(",").into(),
            of,
        ],
    }
}

/// An answer as one object, with counts where they were asked for.
pub(crate) fn object(target: Target, answer: &Answer, counts: bool) -> Value {
    let object = |hit: &Hit| -> Value {
        let cells = cells(target, hit);
        columns(target)
            .iter()
            .zip(&cells)
            .map(|(name, cell)| ((*name).to_owned(), cell.json()))
            .collect()
    };
    let hits: Vec<Value> = answer.hits.iter().map(object).collect();
    let mut result = json!({"total": answer.total, "hits": hits});
    if counts {
        let of = |values: &[(String, u64)]| -> Vec<Value> {
            values.iter().map(|(value, count)| json!({"value": value, "count": count})).collect()
        };
        let counts = answer.counts.iter();
        result["counts"] = counts
            .map(|counts| (counts.facet.name().to_owned(), json!(of(&counts.values))))
            .collect();
    }
    if let Some(suggestion) = &answer.suggestion {
        result["suggestion"] = json!(suggestion);
    }
    result
}

/// Whose data something is: `local`, or the key of who made it.
fn of(hit: &Hit) -> Cell {
    match (hit.is_remote, hit.producer.is_empty()) {
        (false, _) => "local".into(),
        (true, true) => "(hidden)".into(),
        (true, false) => hit.producer.as_str().into(),
    }
}

/// How sure it is that the ledger knows of something; nothing for what is of this database.
fn trust_of(hit: &Hit) -> Cell {
    hit.provenance.as_ref().map_or("", |provenance| provenance.trust.name()).into()
}

fn told_by(hit: &Hit) -> Cell {
    hit.provenance.as_ref().map_or("", |provenance| &provenance.from).into()
}

fn offer_cells(offer: &Offer, hit: &Hit) -> Vec<Cell> {
    let listing = &offer.listing;
    let devices = match listing.devices.is_empty() {
        true => offer.device.clone(),
        false => listing.devices.join(","),
    };
    vec![
        devices.into(),
        offer.metrics.join(",").into(),
        rfc3339(offer.from_ns).into(),
        offer.until_ns.map(rfc3339).unwrap_or_default().into(),
        // As texts: JSON numbers of that size lose digits.
        offer.price.fixed.to_string().into(),
        offer.price.per_hour.to_string().into(),
        offer.price.coin.as_str().into(),
        u64::from(offer.level.number()).into(),
        listing.region.as_str().into(),
        listing.description.as_str().into(),
        offer.owner.as_str().into(),
        trust_of(hit),
        told_by(hit),
        offer.id.to_string().into(),
    ]
}
