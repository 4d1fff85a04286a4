//! Packs to try things on.

use chronolith_chain::content::ContentId;
use chronolith_chain::simulate::Random;
use chronolith_fragment::{Fragment, MaskSecret, Profile};
use chronolith_merkle::HashFunction;
use chronolith_net::pack::{Item, Pack, PackBody, Packer};
use chronolith_net::stored::StoredFragment;
use cid::Cid;
use serde::Serialize;

/// How often a campaign does what it does; fewer times in the ordinary tests.
pub(crate) fn count(name: &str, usually: u64) -> u64 {
    std::env::var(name).map_or(usually, |text| text.parse().unwrap())
}

pub(crate) fn bytes(random: &mut Random, count: usize) -> Vec<u8> {
    (0..count.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(count).collect()
}

/// A chunk's header, as far as a pack is concerned.
#[derive(Serialize)]
struct Header {
    body: Cid,
    device: String,
    kind: &'static str,
    number: u64,
}

/// A chunk of this many bytes of body.
pub(crate) fn chunk(random: &mut Random, body_bytes: usize) -> Item {
    let body = bytes(random, body_bytes);
    let header = Header {
        body: ContentId::of_raw(&body).into(),
        device: "car-17".to_owned(),
        kind: "float",
        number: random.next() >> 1,
    };
    let lead = serde_ipld_dagcbor::to_vec(&header).unwrap();
    let cid = ContentId::of_dag_cbor(HashFunction::Sha256, &lead);
    Item::chunk(cid, lead, body).unwrap()
}

/// A full pack's body of chunks of about this size.
pub(crate) fn body(random: &mut Random, chunk_bytes: usize) -> PackBody {
    let mut packer = Packer::default();
    loop {
        if let Some(body) = packer.add(chunk(random, chunk_bytes)) {
            return body;
        }
    }
}

/// A body of a few small chunks.
pub(crate) fn small_body(random: &mut Random, chunks: usize, chunk_bytes: usize) -> PackBody {
    let mut packer = Packer::default();
    for _ in 0..chunks {
        assert_eq!(packer.add(chunk(random, chunk_bytes)), None);
    }
    packer.finish().unwrap()
}

pub(crate) fn secret(random: &mut Random) -> MaskSecret {
    MaskSecret::new(bytes(random, 32).try_into().unwrap())
}

/// A pack, its secret, and its fragments as peers send them.
pub(crate) struct Made {
    pub(crate) pack: Pack,
    pub(crate) secret: MaskSecret,
    pub(crate) fragments: Vec<Fragment>,
    pub(crate) sent: Vec<Vec<u8>>,
}

pub(crate) fn make(random: &mut Random, body: PackBody, profile: Profile) -> Made {
    let secret = secret(random);
    let (pack, encoded) = Pack::make(body, profile, &secret).unwrap();
    let (id, shape) = (pack.content_id(), pack.header().shape);
    let fragments = encoded.into_fragments();
    let send = |fragment: &Fragment| {
        StoredFragment { pack: id, shape, fragment: fragment.clone() }.to_bytes()
    };
    let sent = fragments.iter().map(send).collect();
    Made { pack, secret, fragments, sent }
}
