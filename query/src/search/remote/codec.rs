//! How what is kept is written. See `docs/format/remote.md`.

use std::collections::BTreeMap;

use chronolith_engine::Level;

use super::entry::{Anchor, Provenance, Trust};
use super::offer::{Listing, Offer, OfferId, Price};
use crate::bytes::{Bytes, put_bytes, put_i64, put_texts, put_u32, put_u64};

/// A content id of a header: CIDv1, one byte each of version, codec, hash and length, and 32 of digest.
pub(super) type ShortCid = [u8; 36];
/// What stands for device, name, tags and producer of a metric.
pub(super) type MetricKey = [u8; 16];

/// Where a header stands among those of its metric; the greatest describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) window: i64,
    pub(super) generation: u32,
    pub(super) part: u32,
    /// The header's own number.
    pub(super) sequence: u64,
}

/// Whose records a header is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) metric: u32,
    pub(super) key: MetricKey,
    /// Whether the metric is new with this header.
    pub(super) is_first: bool,
    /// Whether it is this header that describes the metric from now on.
    pub(super) describes: bool,
}

/// A header that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeaderEntry<'a> {
    pub(super) place: Place,
    pub(super) cid: ShortCid,
    /// `None` where the header hides it.
    pub(super) of: Option<Of>,
    /// The number under which the same header was kept before.
    pub(super) replaces: Option<u64>,
    pub(super) provenance: Provenance,
    pub(super) bytes: &'a [u8],
}

/// A change of what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one at a time is made and used")]
pub(super) enum Operation<'a> {
    /// A header is taken, or what is known of its provenance rises.
    Header(HeaderEntry<'a>),
    /// A header is taken out.
    Forget { sequence: u64 },
    /// Another header describes a metric from now on: these are its bytes.
    Describe { metric: u32, sequence: u64, bytes: &'a [u8] },
    /// A metric has no headers any more.
    Undescribe { metric: u32 },
    /// An offer is taken, or more is known of it.
    Offer { number: u32, is_new: bool, provenance: Provenance, offer: Offer },
    /// An offer is taken out; `was` is its number, where there is one.
    Close { id: OfferId, was: Option<u32> },
    /// An offer is taken out, and may come again.
    Withdraw { id: OfferId, was: u32 },
}

const HEADER: u8 = 1;
const FORGET: u8 = 2;
const DESCRIBE: u8 = 3;
const UNDESCRIBE: u8 = 4;
const OFFER: u8 = 5;
const CLOSE: u8 = 6;
const WITHDRAW: u8 = 7;

fn put_number(out: &mut Vec<u8>, number: Option<u64>) {
    out.push(u8::from(number.is_some()));
    number.into_iter().for_each(|number| put_u64(out, number));
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Appends where something comes from.
pub(in crate::search) fn put_provenance(out: &mut Vec<u8>, provenance: &Provenance) {
    put_text(out, &provenance.from);
    out.push(provenance.trust as u8);
    out.push(u8::from(provenance.anchor.is_some()));
    if let Some(Anchor { account, height, time_ms }) = &provenance.anchor {
        put_text(out, account);
        put_u64(out, *height);
        put_u64(out, *time_ms);
    }
}

/// Appends an offer.
pub(in crate::search) fn put_offer(out: &mut Vec<u8>, offer: &Offer) {
    out.extend_from_slice(&offer.id.0);
    put_text(out, &offer.owner);
    put_text(out, &offer.device);
    put_texts(out, &offer.metrics);
    put_i64(out, offer.from_ns);
    put_number(out, offer.until_ns.map(|until_ns| until_ns as u64));
    put_text(out, &offer.price.coin);
    out.extend_from_slice(&offer.price.fixed.to_le_bytes());
    out.extend_from_slice(&offer.price.per_hour.to_le_bytes());
    out.push(offer.level.number());
    put_texts(out, &offer.listing.devices);
    put_u32(out, offer.listing.tags.len() as u32);
    for (key, value) in &offer.listing.tags {
        put_text(out, key);
        put_text(out, value);
    }
    put_text(out, &offer.listing.region);
    put_text(out, &offer.listing.description);
}

/// Appends an operation.
pub(super) fn put(out: &mut Vec<u8>, operation: &Operation<'_>) {
    match operation {
        Operation::Header(entry) => {
            out.push(HEADER);
            put_u64(out, entry.place.sequence);
            out.extend_from_slice(&entry.cid);
            put_i64(out, entry.place.window);
            put_u32(out, entry.place.generation);
            put_u32(out, entry.place.part);
            match &entry.of {
                None => out.push(0),
                Some(of) => {
                    out.push(1 | u8::from(of.is_first) << 1 | u8::from(of.describes) << 2);
                    put_u32(out, of.metric);
                    out.extend_from_slice(&of.key);
                }
            }
            put_number(out, entry.replaces);
            put_provenance(out, &entry.provenance);
            put_bytes(out, entry.bytes);
        }
        Operation::Forget { sequence } => {
            out.push(FORGET);
            put_u64(out, *sequence);
        }
        Operation::Describe { metric, sequence, bytes } => {
            out.push(DESCRIBE);
            put_u32(out, *metric);
            put_u64(out, *sequence);
            put_bytes(out, bytes);
        }
        Operation::Undescribe { metric } => {
            out.push(UNDESCRIBE);
            put_u32(out, *metric);
        }
        Operation::Offer { number, is_new, provenance, offer } => {
            out.push(OFFER);
            put_u32(out, *number);
            out.push(u8::from(*is_new));
            put_provenance(out, provenance);
            put_offer(out, offer);
        }
        Operation::Close { id, was } => {
            out.push(CLOSE);
            out.extend_from_slice(&id.0);
            put_number(out, was.map(u64::from));
        }
        Operation::Withdraw { id, was } => {
            out.push(WITHDRAW);
            out.extend_from_slice(&id.0);
            put_u32(out, *was);
        }
    }
}

fn flag(bytes: &mut Bytes<'_>) -> Result<bool, String> {
    match bytes.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(format!("a flag of {other}")),
    }
}

fn number(bytes: &mut Bytes<'_>) -> Result<Option<u64>, String> {
    flag(bytes)?.then(|| bytes.u64()).transpose()
}

/// Reads where something comes from.
pub(in crate::search) fn provenance(bytes: &mut Bytes<'_>) -> Result<Provenance, String> {
    let from = bytes.text()?;
    let trust = Trust::from_number(bytes.u8()?).ok_or("no such trust")?;
    let anchor = match flag(bytes)? {
        true => {
            let account = bytes.text()?;
            Some(Anchor { account, height: bytes.u64()?, time_ms: bytes.u64()? })
        }
        false => None,
    };
    Ok(Provenance { from, trust, anchor })
}

/// Reads an offer.
pub(in crate::search) fn offer(bytes: &mut Bytes<'_>) -> Result<Offer, String> {
    let id = OfferId(bytes.array()?);
    let (owner, device, metrics) = (bytes.text()?, bytes.text()?, bytes.texts()?);
    let from_ns = bytes.i64()?;
    let until_ns = number(bytes)?.map(|until_ns| until_ns as i64);
    let coin = bytes.text()?;
    let fixed = u128::from_le_bytes(bytes.array()?);
    let per_hour = u128::from_le_bytes(bytes.array()?);
    let level = Level::from_number(bytes.u8()?).ok_or("no such level")?;
    let devices = bytes.texts()?;
    let mut tags = BTreeMap::new();
    for _ in 0..bytes.u32()? {
        let (key, value) = (bytes.text()?, bytes.text()?);
        if tags.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err("tags that do not rise".to_owned());
        }
        tags.insert(key, value);
    }
    let (region, description) = (bytes.text()?, bytes.text()?);
    let price = Price { coin, fixed, per_hour };
    let listing = Listing { devices, tags, region, description };
    Ok(Offer { id, owner, device, metrics, from_ns, until_ns, price, level, listing })
}

fn header<'a>(bytes: &mut Bytes<'a>) -> Result<HeaderEntry<'a>, String> {
    let sequence = bytes.u64()?;
    let cid = bytes.array()?;
    let (window, generation, part) = (bytes.i64()?, bytes.u32()?, bytes.u32()?);
    let of = match bytes.u8()? {
        0 => None,
        flags if flags & 1 == 1 && flags < 8 => {
            let (metric, key) = (bytes.u32()?, bytes.array()?);
            let (is_first, describes) = (flags & 2 != 0, flags & 4 != 0);
            Some(Of { metric, key, is_first, describes })
        }
        other => return Err(format!("flags of {other}")),
    };
    let replaces = number(bytes)?;
    let provenance = provenance(bytes)?;
    let place = Place { window, generation, part, sequence };
    Ok(HeaderEntry { place, cid, of, replaces, provenance, bytes: bytes.sized()? })
}

/// Reads the operation that some bytes begin with.
pub(super) fn get<'a>(bytes: &mut Bytes<'a>) -> Result<Operation<'a>, String> {
    Ok(match bytes.u8()? {
        HEADER => Operation::Header(header(bytes)?),
        FORGET => Operation::Forget { sequence: bytes.u64()? },
        DESCRIBE => {
            let (metric, sequence) = (bytes.u32()?, bytes.u64()?);
            Operation::Describe { metric, sequence, bytes: bytes.sized()? }
        }
        UNDESCRIBE => Operation::Undescribe { metric: bytes.u32()? },
        OFFER => {
            let (number, is_new) = (bytes.u32()?, flag(bytes)?);
            let provenance = provenance(bytes)?;
            Operation::Offer { number, is_new, provenance, offer: offer(bytes)? }
        }
        CLOSE => {
            let id = OfferId(bytes.array()?);
            let was = number(bytes)?.map(u32::try_from).transpose();
            Operation::Close { id, was: was.map_err(|_| "a number beyond all offers")? }
        }
        WITHDRAW => Operation::Withdraw { id: OfferId(bytes.array()?), was: bytes.u32()? },
        other => return Err(format!("no operation has the number {other}")),
    })
}
