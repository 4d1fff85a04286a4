//! A definition as bytes, in the log and in the definitions' file.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_keys::policy::Policies;

use crate::encoding::{Malformed, Reader, put_bytes, put_signed, put_varint};
use crate::model::{Definition, Kind, Level, Metric, Place};

use super::Defined;

const HAS_PLACE: u8 = 1;
const IS_PUBLIC: u8 = 2;
const HAS_POLICIES: u8 = 4;

/// A metric's identity as bytes: device, name, tags.
pub(crate) fn metric_bytes(metric: &Metric) -> Vec<u8> {
    let mut out = Vec::new();
    put_metric(&mut out, metric);
    out
}

fn put_metric(out: &mut Vec<u8>, metric: &Metric) {
    put_bytes(out, metric.device().as_bytes());
    put_bytes(out, metric.name().as_bytes());
    put_varint(out, metric.tags().len() as u64);
    for (key, value) in metric.tags() {
        put_bytes(out, key.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

/// Appends a numbered definition.
pub(crate) fn put_defined(out: &mut Vec<u8>, defined: &Defined) {
    put_varint(out, u64::from(defined.metric));
    put_definition(out, &defined.definition);
}

/// How long a numbered definition is at most: bytes.
pub(super) fn defined_bytes(definition: &Definition) -> usize {
    let mut out = Vec::new();
    put_definition(&mut out, definition);
    out.len() + 5
}

fn put_definition(out: &mut Vec<u8>, definition: &Definition) {
    put_metric(out, &definition.metric);
    out.push(definition.kind.code());
    out.push(definition.level.number());
    put_signed(out, definition.window_ns);
    put_bytes(out, definition.unit.as_bytes());
    let policies = definition.policies.to_string();
    let mut flags = if definition.is_public { IS_PUBLIC } else { 0 };
    if !policies.is_empty() {
        flags |= HAS_POLICIES;
    }
    match definition.place {
        None => out.push(flags),
        Some(place) => {
            out.push(HAS_PLACE | flags);
            put_signed(out, place.latitude_centidegrees.into());
            put_signed(out, place.longitude_centidegrees.into());
        }
    }
    if !policies.is_empty() {
        put_bytes(out, policies.as_bytes());
    }
    put_varint(out, definition.metadata.len() as u64);
    for (key, value) in &definition.metadata {
        put_bytes(out, key.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

/// Reads a numbered definition.
pub(crate) fn read_defined(reader: &mut Reader<'_>) -> Result<Defined, Malformed> {
    let number = reader.varint_u32()?;
    let mut metric = Metric::new(reader.text()?, reader.text()?);
    for _ in 0..reader.varint_usize(reader.remaining())? {
        metric = metric.tag(reader.text()?, reader.text()?);
    }
    let kind = Kind::from_code(reader.u8()?).ok_or(reader.malformed("no such kind"))?;
    let level = Level::from_number(reader.u8()?).ok_or(reader.malformed("no such level"))?;
    let window_ns = reader.signed()?;
    if !(Definition::MIN_WINDOW_NS..=Definition::MAX_WINDOW_NS).contains(&window_ns) {
        return Err(reader.malformed("an impossible window length"));
    }
    let unit = reader.text()?.to_owned();
    let flags = reader.u8()?;
    if flags & !(HAS_PLACE | IS_PUBLIC | HAS_POLICIES) != 0 {
        return Err(reader.malformed("a flag of a definition that is not known"));
    }
    let is_public = flags & IS_PUBLIC != 0;
    let place = match flags & HAS_PLACE {
        0 => None,
        _ => Some(Place {
            latitude_centidegrees: centidegrees(reader)?,
            longitude_centidegrees: centidegrees(reader)?,
        }),
    };
    let policies = match flags & HAS_POLICIES {
        0 => Policies::default(),
        _ => {
            let text = reader.text()?;
            let policies = text.parse::<Policies>();
            let policies = policies.map_err(|_| reader.malformed("policies that are none"))?;
            if text.is_empty() {
                return Err(reader.malformed("policies that are none"));
            }
            policies
        }
    };
    let mut metadata = BTreeMap::new();
    for _ in 0..reader.varint_usize(reader.remaining())? {
        metadata.insert(reader.text()?.to_owned(), reader.text()?.to_owned());
    }
    let definition =
        Definition { metric, kind, unit, level, window_ns, place, is_public, policies, metadata };
    Ok(Defined { metric: number, definition: Arc::new(definition) })
}

fn centidegrees(reader: &mut Reader<'_>) -> Result<i32, Malformed> {
    i32::try_from(reader.signed()?).map_err(|_| reader.malformed("an impossible place"))
}
