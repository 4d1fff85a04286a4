//! Bodies and headers of chunks.

use chronolith_keys::{Encryption, TreeId};
use chronolith_merkle::{HashFunction, RAW, content_id};

use crate::block::Block;
use crate::chunk::body::{BodyView, assemble, encode_columns};
use crate::chunk::codec::Policy;
use crate::chunk::{ChunkHeader, ChunkKey, Shown, Statistics};
use crate::encoding::Reader;
use crate::model::{Column, Kind, Level, VarColumn};

use super::{POLICIES, a_definition, block_of, deep};

/// A body of a chunk: `kind code · count u16 · body`. What decodes, and the length of the body.
#[must_use]
pub fn body_decode(data: &[u8]) -> Option<Block> {
    let (head, body) = data.split_first_chunk::<3>()?;
    let kind = Kind::from_code(head[0])?;
    let view = BodyView::parse(body, u16::from_le_bytes([head[1], head[2]]).into()).ok()?;
    let _ = (view.codec_names(), view.times().map(|times| times.lower_bound(0)));
    let _ = Shown::from_inner(view.inner());
    view.decode(kind).ok()
}

/// What [`body_decode`] returned must come back from a new encoding, in statistics, too.
pub fn body_round_trip(block: &Block) {
    let kind = block.values().kind();
    for policy in POLICIES {
        let columns = encode_columns(block, policy);
        let body = assemble(b"inner", &columns);
        let view = BodyView::parse(&body, block.len()).expect("an own body parses");
        assert_eq!(view.inner(), b"inner");
        assert_eq!(&view.decode(kind).expect("an own body decodes"), block);
    }
    if let Some(statistics) = Statistics::of(block.values()) {
        let mut bytes = Vec::new();
        statistics.put(kind, &mut bytes);
        let reader = &mut Reader::new(&bytes);
        assert_eq!(Statistics::read(kind, reader), Ok(statistics));
        assert!(reader.is_empty());
    }
}

/// A header, and an inner header.
pub fn header(data: &[u8]) {
    if let Ok(header) = ChunkHeader::from_bytes(data) {
        assert_eq!(header.to_bytes(), data);
    }
    if let Ok((shown, pseudonym)) = Shown::from_inner(data) {
        let again = shown.to_inner(&pseudonym);
        assert_eq!(Shown::from_inner(&again), Ok((shown, pseudonym)));
    }
}

pub(super) fn seeds(seeds: &mut Vec<(&'static str, Vec<u8>)>) {
    for kind in Kind::ALL {
        for policy in POLICIES {
            let mut body = vec![kind.code(), 40, 0];
            body.extend(assemble(&[], &encode_columns(&block_of(kind, 40), policy)));
            seeds.push(("chunk_body", body));
        }
    }
    let key = ChunkKey { metric: 1, window: 490_000, generation: 1, part: 2 };
    let open = a_definition(Level::Regular);
    let shown = Shown::new(&open, 1, 2, 3, "grid/decimal".to_owned());
    let body = content_id(RAW, HashFunction::Sha256, b"body");
    let named = ChunkHeader {
        supersedes: Some(0),
        body,
        shown: Some(shown.clone()),
        ..ChunkHeader::of(&open, key)
    };
    let encryption = Encryption { tree: TreeId([5; 32]), commitment: [6; 32] };
    let encrypted = ChunkHeader { encryption: Some(encryption), ..named.clone() };
    let hidden = ChunkHeader {
        body,
        pseudonym: Some([3; 32]),
        ..ChunkHeader::of(&a_definition(Level::Secret), key)
    };
    for bytes in [
        named.to_bytes(),
        encrypted.to_bytes(),
        hidden.to_bytes(),
        shown.to_inner(&[3; 32]),
        deep(),
    ] {
        seeds.push(("chunk_header", bytes));
    }
    let mut text = VarColumn::default();
    text.push(b"\xFF");
    let block = Block::from_columns(vec![1], Column::Text(text));
    let mut body = vec![Kind::Text.code(), 1, 0];
    body.extend(assemble(&[], &encode_columns(&block, Policy::Fastest)));
    seeds.push(("chunk_body", body));
}
