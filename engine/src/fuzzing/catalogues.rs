//! Proofs of what catalogues list.

use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};

use crate::catalogue::{Catalogue, CatalogueEntry, CatalogueProof, CatalogueScope, CatalogueSpan};
use crate::chunk::ChunkKey;

const SPANS: [CatalogueSpan; 2] = [
    CatalogueSpan { metric: [1; 32], first: 3, last: 5 },
    CatalogueSpan { metric: [2; 32], first: 100, last: 200 },
];

/// A proof: what is read has one encoding, and a walk over it ends, also where nothing of it is true.
pub fn catalogue_proof(data: &[u8]) {
    let Ok(proof) = CatalogueProof::from_bytes(data) else { return };
    assert_eq!(proof.to_bytes(), data);
    let scope = CatalogueScope { spans: &SPANS, metrics: true };
    // The root is whatever the first node is, so that the walk begins.
    let root = proof.first_digest().unwrap_or_default();
    let _ = proof.listed(&root, scope);
}

pub(super) fn seeds(seeds: &mut Vec<(&'static str, Vec<u8>)>) {
    for (count, metrics) in [(0, true), (1, true), (40, false), (600, true), (600, false)] {
        let entry = |number: u64| {
            let header = content_id(DAG_CBOR, HashFunction::Sha256, &number.to_le_bytes());
            let window = number as i64 / 3;
            let key = ChunkKey { metric: 0, window, generation: 0, part: 0 };
            CatalogueEntry::new([(number % 3) as u8; 32], key, header)
        };
        let catalogue = Catalogue::build((0..count).map(entry).collect(), HashFunction::Sha256);
        let proof = catalogue.prove(CatalogueScope { spans: &SPANS, metrics });
        seeds.push(("catalogue_proof", proof.map(|proof| proof.to_bytes()).unwrap_or_default()));
    }
}
