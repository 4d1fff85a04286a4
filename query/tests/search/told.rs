//! What others tell, made up: headers, offers, and a store that is a map.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_engine::chunk::{ChunkHeader, Shown};
use chronolith_engine::{Kind, Level, Policies};
use chronolith_merkle::{HashFunction, RAW, content_id};
use chronolith_query::search::remote::{
    Anchor, Change, Listing, Offer, OfferId, Price, Provenance, Refused, Taken, Trust,
};
use cid::Cid;

pub(crate) const HOUR_NS: i64 = 3_600_000_000_000;

/// A header of one of a few metrics. `variant` changes what is said of the metric.
pub(crate) fn header(device: u8, window: i64, generation: u32, variant: u8) -> ChunkHeader {
    let is_hidden = device == 3;
    let texts = |pairs: &[(&str, String)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    };
    let shown = Shown {
        device: format!("van-{device}"),
        name: "speed".to_owned(),
        tags: texts(&[("class", format!("class{device}"))]),
        unit: format!("unit{variant}"),
        place: None,
        metadata: texts(&[("price", (1000 * u32::from(variant)).to_string())]),
        policies: Policies::default(),
        first_ns: window * HOUR_NS,
        last_ns: window * HOUR_NS + 7,
        count: 8,
        codec: "times/values".to_owned(),
    };
    ChunkHeader {
        kind: Kind::F64,
        level: if is_hidden { Level::Personal } else { Level::Regular },
        window_ns: HOUR_NS,
        window,
        generation,
        part: 0,
        supersedes: None,
        encryption: None,
        body: content_id(RAW, HashFunction::Sha256, &[device, variant]),
        body_bytes: 100,
        producer: [device % 2; 32],
        pseudonym: is_hidden.then_some([9; 32]),
        shown: (!is_hidden).then_some(shown),
    }
}

pub(crate) fn named(header: &ChunkHeader) -> (Cid, Vec<u8>) {
    (header.content_id(HashFunction::Sha256), header.to_bytes())
}

pub(crate) fn provenance(from: &str, trust: Trust) -> Provenance {
    let anchor = Anchor { account: "chron1owner".to_owned(), height: 7, time_ms: 8 };
    let anchor = (trust > Trust::Told).then_some(anchor);
    Provenance { from: from.to_owned(), trust, anchor }
}

/// One of a few offers. `variant` changes its price, `listed` how it is listed.
pub(crate) fn offer(id: u8, variant: u8, listed: u8) -> Offer {
    let regions = ["Bavaria", "Texas", "Kyoto"];
    let listing = match listed {
        0 => Listing::default(),
        _ => Listing {
            devices: vec![format!("van-{id}"), "van-x".to_owned()],
            tags: BTreeMap::from([("class".to_owned(), "van".to_owned())]),
            region: regions[usize::from(listed) % 3].to_owned(),
            description: format!("deliveries number{listed}"),
        },
    };
    let prices = [0, 5, 1 << 70, u128::MAX / 3, u128::MAX - 1];
    Offer {
        id: OfferId([id; 32]),
        owner: format!("chron1owner{}", id % 2),
        device: "chron1device".to_owned(),
        metrics: vec!["speed".to_owned(), format!("metric{}", id % 3)],
        from_ns: i64::from(id) * HOUR_NS,
        until_ns: id.is_multiple_of(2).then_some(i64::from(id) * HOUR_NS + 10 * HOUR_NS),
        price: Price {
            coin: if id.is_multiple_of(3) { "coin" } else { "mile" }.to_owned(),
            fixed: prices[usize::from(variant) % prices.len()],
            per_hour: u128::from(variant),
        },
        level: Level::Regular,
        listing,
    }
}

/// A header that the model keeps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) header: ChunkHeader,
    pub(crate) from: String,
    pub(crate) trust: Trust,
    /// When it was taken last.
    pub(crate) order: usize,
}

/// What a store must keep, without bounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) headers: BTreeMap<Vec<u8>, Kept>,
    pub(crate) offers: BTreeMap<OfferId, (Offer, Provenance)>,
    pub(crate) closed: BTreeSet<OfferId>,
    order: usize,
}

impl Model {
    /// What becomes of a change.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<Taken, Refused> {
        self.order += 1;
        match change {
            Change::Header { cid, bytes, provenance } => {
                let before = self.headers.get(&cid.to_bytes());
                if before.is_some_and(|kept| kept.trust >= provenance.trust) {
                    return Ok(Taken::Known);
                }
                let taken = if before.is_some() { Taken::Risen } else { Taken::New };
                let header = ChunkHeader::from_bytes(bytes).unwrap();
                let (from, trust, order) = (provenance.from.clone(), provenance.trust, self.order);
                self.headers.insert(cid.to_bytes(), Kept { header, from, trust, order });
                Ok(taken)
            }
            Change::Forget { cid } => match self.headers.remove(&cid.to_bytes()) {
                Some(_) => Ok(Taken::Gone),
                None => Ok(Taken::Absent),
            },
            Change::Offer { offer, provenance } => self.offer(offer, provenance),
            Change::Close { offer, provenance } => self.close(*offer, provenance),
            Change::ForgetTeller { from } => {
                let before = self.headers.len() + self.offers.len();
                self.headers.retain(|_, kept| kept.from != *from);
                self.offers.retain(|_, (_, provenance)| provenance.from != *from);
                let is_less = self.headers.len() + self.offers.len() < before;
                Ok(if is_less { Taken::Gone } else { Taken::Absent })
            }
        }
    }

    fn close(&mut self, id: OfferId, told: &Provenance) -> Result<Taken, Refused> {
        if self.closed.contains(&id) {
            return Ok(Taken::Known);
        }
        let known = self.offers.get(&id).map(|(_, provenance)| provenance.clone());
        if told.trust > Trust::Told {
            self.closed.insert(id);
        } else if known.as_ref().is_some_and(|known| known != told) {
            return Err(Refused::Contradicts("that it is open"));
        }
        self.offers.remove(&id);
        Ok(if known.is_some() { Taken::Gone } else { Taken::Absent })
    }

    fn offer(&mut self, offer: &Offer, told: &Provenance) -> Result<Taken, Refused> {
        if self.closed.contains(&offer.id) {
            return Err(Refused::Closed);
        }
        let Some((known, before)) = self.offers.get(&offer.id).cloned() else {
            self.offers.insert(offer.id, (offer.clone(), told.clone()));
            return Ok(Taken::New);
        };
        let bare = |offer: &Offer| Offer { listing: Listing::default(), ..offer.clone() };
        let agrees = bare(&known) == bare(offer);
        let is_own = before.from == told.from && before.trust == told.trust;
        let is_surer = told.trust > before.trust;
        if !agrees && !is_own && !is_surer {
            return Err(Refused::Contradicts("its scope, price, level or owner"));
        }
        let mut now = offer.clone();
        if agrees && offer.listing == Listing::default() {
            now.listing = known.listing.clone();
        } else if agrees
            && known.listing != Listing::default()
            && known.listing != offer.listing
            && !is_own
        {
            return Err(Refused::Contradicts("how it is listed"));
        }
        let provenance = if is_surer { told.clone() } else { before.clone() };
        if (&now, &provenance) == (&known, &before) {
            return Ok(Taken::Known);
        }
        self.offers.insert(offer.id, (now, provenance));
        Ok(Taken::Risen)
    }

    /// The header that describes each metric, by producer and device.
    pub(crate) fn described(&self) -> BTreeMap<(u8, String), &ChunkHeader> {
        let mut greatest: BTreeMap<(u8, String), &Kept> = BTreeMap::new();
        for kept in self.headers.values() {
            let Some(shown) = &kept.header.shown else { continue };
            let place = |kept: &Kept| {
                (kept.header.window, kept.header.generation, kept.header.part, kept.order)
            };
            let key = (kept.header.producer[0], shown.device.clone());
            let slot = greatest.entry(key).or_insert(kept);
            if place(kept) > place(slot) {
                *slot = kept;
            }
        }
        greatest.into_iter().map(|(key, kept)| (key, &kept.header)).collect()
    }
}
