//! A small pack whose encodings are the seeds.

use std::sync::OnceLock;

use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{AssignedFragment, Fragment as Named};
use chronolith_fragment::{Encoder, Fragment, MaskSecret, Profile, Shape, Shown};
use chronolith_net::audit::{Answer, Assigned, Question};
use chronolith_net::pack::{Item, Pack, Packer};

/// The secret of the masks.
pub const SECRET: [u8; 32] = [5; 32];

pub struct Seed {
    pub pack: Pack,
    pub fragments: Vec<Fragment>,
    pub question: Question,
    pub answer: Answer,
}

/// The pack, made once.
pub fn seed() -> &'static Seed {
    static SEED: OnceLock<Seed> = OnceLock::new();
    SEED.get_or_init(make)
}

fn make() -> Seed {
    let mut packer = Packer::default();
    for number in 0..12_u8 {
        let block = vec![number; 40 + 50 * usize::from(number)];
        let item = Item::block(ContentId::of_raw(&block), block).expect("a block");
        assert!(packer.add(item).is_none());
    }
    let body = packer.finish().expect("items");
    let (pack, encoded) =
        Pack::make(body, Profile::Lab, &MaskSecret::new(SECRET)).expect("a pack");
    let fragments = encoded.into_fragments();
    let key = SecretKey::from_seed(&[1; 32]);
    let mut assigned = Assigned::new();
    for (slot, fragment) in (0..).zip(&fragments[..2]) {
        let named = Named { pack: pack.content_id(), index: fragment.index };
        let (root, blocks) = (Hash(fragment.tree().root()), pack.header().shape.blocks());
        let leased = vec![AssignedFragment { fragment: named, root, blocks }];
        assigned.set(slot, leased).expect("few");
    }
    let root = assigned.root().expect("two");
    let peer = key.public().into();
    let question = Question::new(ChainId([1; 32]), 3, Hash([2; 32]), peer, root, 3);
    let block = |of: &AssignedFragment, row: u32| {
        let fragment = &fragments[usize::from(of.fragment.index)];
        let block = fragment.bytes.chunks(256).nth(row as usize)?.try_into().ok()?;
        Some((block, fragment.tree().prove(&[row as usize]).ok()?))
    };
    let answer = Answer::make(&question, &assigned, &key, block).expect("honest");
    Seed { pack, fragments, question, answer }
}

/// The root of an honest encoding, and its second row as a report would show it.
pub fn row() -> &'static ([u8; 32], Vec<u8>) {
    static ROW: OnceLock<([u8; 32], Vec<u8>)> = OnceLock::new();
    ROW.get_or_init(|| {
        let shape = Shape::new(2, 4, 3).expect("sound");
        let encoder = Encoder::new(shape).expect("a code");
        let body: Vec<u8> = (0..1_500_u32).map(|byte| (byte * 7) as u8).collect();
        let encoded = encoder.encode(&body, &MaskSecret::new(SECRET)).expect("it fits");
        let mut report = vec![1];
        for fragment in &encoded.fragments()[..3] {
            let shown = Shown::of(shape, fragment, &fragment.tree(), 1..2).expect("a row");
            report.push(fragment.index);
            report.extend_from_slice(shown.blocks());
            shown.hashes().for_each(|hash| report.extend_from_slice(hash));
        }
        (encoded.root(), report)
    })
}
