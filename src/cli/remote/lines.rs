//! Headers and offers as JSON, one object a line.
//!
//! ```json
//! {"cid": "bafyrei...", "header": "<hexadecimal digits>"}
//! {"offer": {"id": "<64 hexadecimal digits>", "owner": "chron1...", "coin": "coin", "per_hour": "5", ...}}
//! {"close": "<64 hexadecimal digits>"}
//! ```

use std::collections::BTreeMap;

use chronolith_engine::Level;
use chronolith_query::search::remote::{
    Change, HEADER_BYTES_MAX, Listing, Offer, OfferId, Price, Provenance,
};
use cid::Cid;
use serde::Deserialize;

use crate::cli::database::time;
use crate::cli::output::hex;

/// The longest line: bytes. A header has two digits for each of its bytes.
pub(super) const LINE_BYTES_MAX: usize = 2 * HEADER_BYTES_MAX + 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine {
    cid: String,
    header: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferLine {
    offer: OfferFields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseLine {
    close: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferFields {
    id: String,
    owner: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    metrics: Vec<String>,
    from: String,
    until: Option<String>,
    coin: String,
    #[serde(default)]
    fixed: Option<String>,
    #[serde(default)]
    per_hour: Option<String>,
    level: u8,
    #[serde(default)]
    devices: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    region: String,
    #[serde(default)]
    description: String,
}

/// A line as a header is written.
pub(in crate::cli) fn header_line(cid: &Cid, header: &[u8]) -> String {
    format!("{{\"cid\":\"{cid}\",\"header\":\"{}\"}}", hex(header))
}

/// Reads a line that somebody told.
pub(super) fn change(line: &str, from: &str) -> Result<Change, String> {
    let object: serde_json::Value =
        serde_json::from_str(line).map_err(|error| format!("this is no JSON: {error}"))?;
    let provenance = Provenance::told(from);
    let fields = |error: serde_json::Error| error.to_string();
    if object.get("offer").is_some() {
        let line: OfferLine = serde_json::from_value(object).map_err(fields)?;
        return Ok(Change::Offer { offer: offer(line.offer)?, provenance });
    }
    if object.get("close").is_some() {
        let line: CloseLine = serde_json::from_value(object).map_err(fields)?;
        return Ok(Change::Close { offer: id(&line.close)?, provenance });
    }
    if object.get("cid").is_none() {
        return Err("a line has cid and header, or offer, or close".to_owned());
    }
    let line: HeaderLine = serde_json::from_value(object).map_err(fields)?;
    let cid = Cid::try_from(line.cid.as_str());
    let cid = cid.map_err(|_| format!("{:?} is no content id", line.cid))?;
    let bytes = digits(&line.header).ok_or("the header is not in hexadecimal digits")?;
    Ok(Change::Header { cid, bytes, provenance })
}

fn digits(text: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((value(*high)? << 4 | value(*low)?) as u8),
        _ => None,
    });
    pairs.collect()
}

fn id(text: &str) -> Result<OfferId, String> {
    let bytes = digits(text).and_then(|bytes| bytes.try_into().ok());
    bytes.map(OfferId).ok_or_else(|| format!("{text:?} is no id: 64 hexadecimal digits"))
}

fn offer(fields: OfferFields) -> Result<Offer, String> {
    let amount = |name: &str, text: Option<String>| {
        let Some(text) = text else { return Ok(0) };
        let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
        let amount = text.parse::<u128>().ok().filter(|_| is_whole);
        amount.ok_or_else(|| format!("{name} {text:?} is no whole number of up to 128 bits"))
    };
    let moment = |text: &str| time(text).map_err(|error| error.to_string());
    let OfferFields { owner, device, metrics, coin, devices, tags, region, description, .. } =
        fields;
    Ok(Offer {
        id: id(&fields.id)?,
        owner,
        device,
        metrics,
        from_ns: moment(&fields.from)?,
        until_ns: fields.until.as_deref().map(moment).transpose()?,
        price: Price {
            coin,
            fixed: amount("fixed", fields.fixed)?,
            per_hour: amount("per_hour", fields.per_hour)?,
        },
        level: Level::from_number(fields.level)
            .ok_or_else(|| format!("there is no level {}; levels are 1 to 4", fields.level))?,
        listing: Listing { devices, tags, region, description },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_or_explained() {
        let offer = r#"{"offer": {"id": "ID", "owner": "o", "from": "2026-01-01", "coin": "coin",
            "per_hour": "340282366920938463463374607431768211455", "level": 3, "region": "Bavaria"}}"#;
        let read = change(&offer.replace("ID", &"07".repeat(32)), "peer");
        assert!(
            matches!(&read, Ok(Change::Offer { offer, provenance })
                if (offer.price.per_hour, offer.id.0) == (u128::MAX, [7; 32])
                    && (offer.from_ns, offer.until_ns) == (1_767_225_600_000_000_000, None)
                    && *provenance == Provenance::told("peer")),
            "{read:?}"
        );
        for (line, part) in [
            ("nonsense", "no JSON"),
            ("[]", "cid and header, or offer, or close"),
            (offer, "64 hexadecimal digits"),
            (r#"{"close": "07"}"#, "64 hexadecimal digits"),
            (r#"{"cid": "x", "header": "00"}"#, "no content id"),
            (r#"{"cid": "x", "header": "00", "more": 1}"#, "unknown field"),
            (r#"{"offer": {"id": "x", "colour": 1}}"#, "unknown field"),
            (r#"{"offer": {"id": "x"}}"#, "missing field"),
        ] {
            let problem = change(line, "peer").err().unwrap_or_default();
            assert!(problem.contains(part), "{line}: {problem}");
        }
        let level = offer.replace("ID", &"07".repeat(32));
        for (from, to, part) in [
            ("\"level\": 3", "\"level\": 5", "no level 5"),
            ("340282366920938463463374607431768211455", "-1", "no whole number"),
            ("340282366920938463463374607431768211455", "1e3", "no whole number"),
            ("2026-01-01", "yesterday", "is not a time"),
        ] {
            let problem = change(&level.replace(from, to), "peer").err().unwrap_or_default();
            assert!(problem.contains(part), "{to}: {problem}");
        }
    }
}
