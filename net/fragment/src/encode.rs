//! From a body to fragments, and back.

use std::collections::BTreeMap;

use chronolith_merkle::{Digest, Proof};

use crate::code::{CodeError, ErasureCode, Piece, fastest};
use crate::mask::{MaskKey, MaskSecret};
use crate::shape::Shape;
use crate::tree::{FragmentTree, fragments_tree, path_root};
use crate::{BLOCK_BYTES, FragmentFault};

/// How many bytes of each fragment are coded and masked at a time: those of all fragments of a wide
/// shape fit into a second-level cache. A multiple of the blocks of the keystream.
const STRIPE_BYTES: usize = 4 << 10;

/// A fragment, and its way to the root over all fragments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Which of the fragments.
    pub index: u8,
    /// Its bytes, masked.
    pub bytes: Vec<u8>,
    /// The hashes beside the way from the fragment to the root over all.
    pub path: Proof,
}

impl Fragment {
    /// The tree over its blocks.
    #[must_use]
    pub fn tree(&self) -> FragmentTree {
        FragmentTree::of(&self.bytes)
    }

    /// Checks that this is, in every byte, the fragment that a root over all fragments commits to.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, shape: Shape, root: &Digest) -> Result<(), FragmentFault> {
        if self.index >= shape.fragments() {
            return Err(FragmentFault::Index { found: self.index, fragments: shape.fragments() });
        }
        let (expected, found) = (shape.fragment_bytes(), self.bytes.len());
        if expected != found {
            return Err(FragmentFault::Length { expected, found });
        }
        match path_root(shape, self.index, &self.tree().root(), &self.path) {
            Ok(found) if found == *root => Ok(()),
            _ => Err(FragmentFault::Root),
        }
    }
}

/// All fragments of a body.
#[derive(Debug, Clone)]
pub struct Encoded {
    root: Digest,
    fragments: Vec<Fragment>,
}

impl Encoded {
    /// Puts the trees over masked fragments, which are all of a shape in their order.
    ///
    /// # Errors
    /// [`CodeError::Pieces`] for another number of them, or other lengths.
    pub fn of_pieces(shape: Shape, pieces: Vec<Vec<u8>>) -> Result<Self, CodeError> {
        let size = shape.fragment_bytes();
        let are_all = pieces.len() == usize::from(shape.fragments());
        if !are_all || pieces.iter().any(|piece| piece.len() != size) {
            let (count, fragments) = (pieces.len(), shape.fragments());
            let reason = format!("{count} pieces for {fragments} fragments of {size} bytes");
            return Err(CodeError::Pieces { reason });
        }
        let roots: Vec<Digest> =
            pieces.iter().map(|piece| FragmentTree::of(piece).root()).collect();
        let tree = fragments_tree(shape, &roots);
        let fragment = |(index, bytes): (usize, Vec<u8>)| {
            // The index is below the number of leaves.
            let path = tree.prove(&[index]).unwrap_or(Proof { hashes: Vec::new() });
            Fragment { index: index as u8, bytes, path }
        };
        let fragments = pieces.into_iter().enumerate().map(fragment).collect();
        Ok(Self { root: tree.root(), fragments })
    }

    /// The root over all fragments.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// The fragments in their order.
    #[must_use]
    pub fn fragments(&self) -> &[Fragment] {
        &self.fragments
    }

    /// The fragments in their order.
    #[must_use]
    pub fn into_fragments(self) -> Vec<Fragment> {
        self.fragments
    }
}

/// Makes fragments of one shape.
pub struct Encoder {
    shape: Shape,
    code: Box<dyn ErasureCode>,
}

impl Encoder {
    /// An encoder by the fastest code that this processor runs.
    ///
    /// # Errors
    /// [`CodeError::Pieces`] where the code has no such counts.
    pub fn new(shape: Shape) -> Result<Self, CodeError> {
        Ok(Self::with(shape, fastest(shape.needed(), shape.fragments())?))
    }

    /// An encoder by a code of one's own choice.
    #[must_use]
    pub fn with(shape: Shape, code: Box<dyn ErasureCode>) -> Self {
        Self { shape, code }
    }

    /// Codes and masks a body, and puts the trees over the fragments. The same body, shape and
    /// secret give the same bytes, whoever does it.
    ///
    /// # Errors
    /// [`CodeError::Body`] for a body that is longer than the data fragments.
    pub fn encode(&self, body: &[u8], secret: &MaskSecret) -> Result<Encoded, CodeError> {
        Encoded::of_pieces(self.shape, self.pieces(body, secret)?)
    }

    /// Codes and masks a body: the bytes of the fragments alone.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn pieces(&self, body: &[u8], secret: &MaskSecret) -> Result<Vec<Vec<u8>>, CodeError> {
        let (shape, size) = (self.shape, self.shape.fragment_bytes());
        if body.len() > shape.data_bytes() {
            return Err(CodeError::Body { found: body.len(), room: shape.data_bytes() });
        }
        let mut parts = body.chunks(size);
        let data = (0..shape.needed()).map(|_| {
            let mut piece = Vec::with_capacity(size);
            piece.extend_from_slice(parts.next().unwrap_or_default());
            piece.resize(size, 0);
            piece
        });
        let parity = (shape.needed()..shape.fragments()).map(|_| vec![0; size]);
        let mut pieces: Vec<Vec<u8>> = data.chain(parity).collect();
        let mut masks: Vec<_> =
            (0..shape.fragments()).map(|index| secret.key(index).stream()).collect();
        let mut stripes: Vec<_> =
            pieces.iter_mut().map(|piece| piece.chunks_mut(STRIPE_BYTES)).collect();
        loop {
            let mut stripe: Vec<&mut [u8]> =
                stripes.iter_mut().filter_map(Iterator::next).collect();
            if stripe.is_empty() {
                break;
            }
            // There is at least one parity fragment in every shape.
            let (data, parity) = stripe.split_at_mut(shape.needed().into());
            let data: Vec<&[u8]> = data.iter().map(|piece| &**piece).collect();
            self.code.encode(&data, parity)?;
            for (mask, piece) in masks.iter_mut().zip(stripe) {
                mask.apply(piece);
            }
        }
        Ok(pieces)
    }
}

/// The data of a body, with what fills it up, from fragments that were checked. Data fragments are
/// taken before parity, which costs decoding.
///
/// # Errors
/// Fewer different fragments than are needed, or a missing key of one that is.
pub fn restore(
    shape: Shape,
    fragments: &[&Fragment],
    key: impl Fn(u8) -> Option<MaskKey>,
) -> Result<Vec<u8>, CodeError> {
    let size = shape.fragment_bytes();
    let is_sound =
        |fragment: &&&Fragment| fragment.index < shape.fragments() && fragment.bytes.len() == size;
    let chosen: BTreeMap<u8, &Fragment> =
        fragments.iter().filter(is_sound).map(|fragment| (fragment.index, *fragment)).collect();
    let needed = usize::from(shape.needed());
    if chosen.len() < needed {
        return Err(CodeError::TooFew { needed: shape.needed(), found: chosen.len() as u8 });
    }
    let mut data = vec![0; shape.data_bytes()];
    let mut parity = vec![Vec::new(); usize::from(shape.fragments()) - needed];
    let mut known = vec![false; shape.fragments().into()];
    // Rising by index: data comes first.
    for (index, fragment) in chosen.into_iter().take(needed) {
        let place = usize::from(index);
        let key = key(index).ok_or(CodeError::MissingKey { fragment: index })?;
        let target: &mut [u8] = match place.checked_sub(needed) {
            None => data.get_mut(place * size..(place + 1) * size).unwrap_or_default(),
            Some(place) => {
                let piece = parity.get_mut(place).map(|piece| {
                    piece.resize(size, 0);
                    piece.as_mut_slice()
                });
                piece.unwrap_or_default()
            }
        };
        target.copy_from_slice(&fragment.bytes);
        key.apply(0, target);
        if let Some(known) = known.get_mut(place) {
            *known = true;
        }
    }
    if known.iter().take(needed).all(|known| *known) {
        return Ok(data);
    }
    let code = fastest(shape.needed(), shape.fragments())?;
    let pieces = data.chunks_mut(size).chain(parity.iter_mut().map(Vec::as_mut_slice));
    let mut stripes: Vec<_> = pieces.map(|piece| piece.chunks_mut(STRIPE_BYTES)).collect();
    for _ in 0..size.div_ceil(STRIPE_BYTES) {
        let next = stripes.iter_mut().map(|stripes| stripes.next().unwrap_or_default());
        let mut stripe: Vec<Piece<'_>> = next.zip(known.iter().copied()).collect();
        code.restore_data(&mut stripe)?;
    }
    Ok(data)
}

/// The unmasked bytes of one fragment at some rows, from those of others at the same rows.
///
/// # Errors
/// Fewer different fragments than are needed, or ones of another length.
pub fn restore_rows(
    code: &dyn ErasureCode,
    shape: Shape,
    known: &BTreeMap<u8, Vec<u8>>,
    wanted: u8,
) -> Result<Vec<u8>, CodeError> {
    if wanted >= shape.fragments() {
        return Err(CodeError::Pieces { reason: format!("there is no fragment {wanted}") });
    }
    if let Some(found) = known.get(&wanted) {
        return Ok(found.clone());
    }
    let needed = usize::from(shape.needed());
    let length = known.values().next().map_or(0, Vec::len);
    let mut pieces: Vec<(Vec<u8>, bool)> = (0..shape.fragments())
        .map(|index| match known.get(&index) {
            Some(bytes) => (bytes.clone(), true),
            None => (vec![0; length], false),
        })
        .collect();
    let count = pieces.iter().filter(|(_, is_known)| *is_known).count();
    if count < needed {
        return Err(CodeError::TooFew { needed: shape.needed(), found: count as u8 });
    }
    let mut borrowed: Vec<Piece<'_>> =
        pieces.iter_mut().map(|(bytes, is_known)| (bytes.as_mut_slice(), *is_known)).collect();
    code.restore_data(&mut borrowed)?;
    let wanted = usize::from(wanted);
    if wanted >= needed {
        let (data, parity) = pieces.split_at_mut(needed);
        let data: Vec<&[u8]> = data.iter().map(|(bytes, _)| bytes.as_slice()).collect();
        let mut made: Vec<Vec<u8>> = parity.iter().map(|_| vec![0; length]).collect();
        let mut borrowed: Vec<&mut [u8]> = made.iter_mut().map(Vec::as_mut_slice).collect();
        code.encode(&data, &mut borrowed)?;
        return Ok(made.into_iter().nth(wanted - needed).unwrap_or_default());
    }
    Ok(pieces.into_iter().nth(wanted).map(|(bytes, _)| bytes).unwrap_or_default())
}

/// Stripes must not cut blocks of the tree or of the keystream.
const _: () = assert!(STRIPE_BYTES.is_multiple_of(BLOCK_BYTES));
