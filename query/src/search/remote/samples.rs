//! One of each thing that is written, for golden bytes and as seeds of fuzz targets.

use std::collections::BTreeMap;

use chronolith_engine::chunk::ChunkHeader;
use chronolith_engine::{Kind, Level};
use cid::Cid;

use super::codec::{HeaderEntry, Of, Operation, Place};
use super::entry::{Anchor, Provenance, Trust};
use super::offer::{Listing, Offer, OfferId, Price};

/// A header of level 1: it has no names.
pub(super) fn header() -> ChunkHeader {
    ChunkHeader {
        kind: Kind::F64,
        level: Level::Secret,
        window_ns: 3_600_000_000_000,
        window: 491_000,
        generation: 1,
        part: 2,
        supersedes: Some(0),
        encryption: None,
        body: Cid::default(),
        body_bytes: 77,
        producer: [5; 32],
        pseudonym: Some([6; 32]),
        shown: None,
    }
}

pub(super) fn offer() -> Offer {
    Offer {
        id: OfferId([7; 32]),
        owner: "owner".to_owned(),
        device: "device".to_owned(),
        metrics: vec!["speed".to_owned()],
        from_ns: -1,
        until_ns: Some(1 << 40),
        price: Price { coin: "coin".to_owned(), fixed: 1 << 100, per_hour: 3 },
        level: Level::Bulk,
        listing: Listing {
            devices: vec!["van-1".to_owned()],
            tags: BTreeMap::from([("class".to_owned(), "van".to_owned())]),
            region: "Bavaria".to_owned(),
            description: "Größe".to_owned(),
        },
    }
}

/// One of each operation; what they are about need not be there.
pub(super) fn operations(bytes: &[u8]) -> Vec<Operation<'_>> {
    let place = Place { window: 491_000, generation: 1, part: 2, sequence: 3 };
    let of = Of { metric: 4, key: [8; 16], is_first: true, describes: true };
    let account = "account".to_owned();
    let anchor = Some(Anchor { account, height: 9, time_ms: 10 });
    let provenance = Provenance { from: "peer".to_owned(), trust: Trust::Proved, anchor };
    let entry =
        HeaderEntry { place, cid: [1; 36], of: Some(of), replaces: Some(2), provenance, bytes };
    let told = Provenance::told("file");
    let hidden =
        HeaderEntry { of: None, replaces: None, provenance: told.clone(), ..entry.clone() };
    vec![
        Operation::Header(entry),
        Operation::Header(hidden),
        Operation::Forget { sequence: 3 },
        Operation::Describe { metric: 4, sequence: 5, bytes },
        Operation::Undescribe { metric: 4 },
        Operation::Offer { number: 6, is_new: true, provenance: told, offer: offer() },
        Operation::Close { id: OfferId([7; 32]), was: Some(6) },
        Operation::Close { id: OfferId([7; 32]), was: None },
        Operation::Withdraw { id: OfferId([7; 32]), was: 6 },
    ]
}
