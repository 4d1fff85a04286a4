//! Padding of bodies whose length must say little.
//!
//! ```text
//! body · 0x80 · 0x00 ... up to the next length that Padmé allows
//! ```

/// What marks the end of the body; what follows it is zero.
const MARK: u8 = 0x80;

/// Bytes that are no padded body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PaddingError {
    /// No mark ends the body.
    #[error("{found} bytes without the mark that ends a padded body")]
    Unmarked {
        /// The length: bytes.
        found: usize,
    },
    /// The length is another one than padding makes.
    #[error("{found} bytes, where {body} bytes are padded to {expected}")]
    Length {
        /// The length: bytes.
        found: usize,
        /// What comes before the mark: bytes.
        body: usize,
        /// What that is padded to: bytes.
        expected: usize,
    },
}

/// The least length from `size` on that Padmé allows: the mantissa of a length has no more bits than
/// its exponent, so that the length of a body of n bytes says O(log log n) bits of it, and at most 12 %
/// are added (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
/// PURBs", PETS 2019, algorithm 1).
const fn padme(size: usize) -> usize {
    let Some(exponent) = size.checked_ilog2() else { return 0 };
    let Some(log) = exponent.checked_ilog2() else { return size };
    let mask = (1 << (exponent - (log + 1))) - 1;
    // Nothing in memory is so long that this could be beyond what is counted.
    size.saturating_add(mask) & !mask
}

/// How long a body of `size` bytes is when it is padded: bytes.
#[must_use]
pub const fn padded_bytes(size: usize) -> usize {
    padme(size.saturating_add(1))
}

/// Pads a body to a length that many other bodies have, too. It is to be encrypted after that: levels
/// 1 and 2 of privacy ask for it.
pub fn pad(body: &mut Vec<u8>) {
    let size = padded_bytes(body.len());
    body.reserve_exact(size.saturating_sub(body.len()));
    body.push(MARK);
    body.resize(size, 0);
}

/// The body of what [`pad`] made; anything else is refused, so that a body has one padded form.
///
/// # Errors
/// [`PaddingError`] where there is no mark, something else than zeros follows it, or they are too few
/// or too many.
pub fn unpad(padded: &[u8]) -> Result<&[u8], PaddingError> {
    let found = padded.len();
    let body = match padded.iter().rposition(|byte| *byte != 0) {
        Some(at) if padded.get(at) == Some(&MARK) => padded.get(..at),
        _ => None,
    };
    let body = body.ok_or(PaddingError::Unmarked { found })?;
    let expected = padded_bytes(body.len());
    if found == expected {
        Ok(body)
    } else {
        Err(PaddingError::Length { found, body: body.len(), expected })
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a test that cannot go on has failed"
    )]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_those_of_the_paper() {
        // By algorithm 1 of the paper: E = ⌊log2 L⌋, S = ⌊log2 E⌋ + 1, the low E - S bits are zero.
        for (size, expected) in [
            (1, 1),
            (2, 2),
            (3, 3),
            (8, 8),
            (9, 10),
            (17, 18),
            (100, 104),
            (129, 144),
            (1_000, 1_024),
            (1_048_577, 1_081_344),
        ] {
            assert_eq!(padme(size), expected, "{size}");
        }
        let classes: std::collections::BTreeSet<_> = (1 << 19..1 << 20).map(padded_bytes).collect();
        assert_eq!(classes.len(), 32, "a mebibyte is told from half of one in so few steps");
    }

    #[test]
    fn what_was_not_padded_so_is_refused() {
        let mut whole = vec![7; 1_000];
        pad(&mut whole);
        assert_eq!(whole.len(), 1_024);
        let refused = |bytes: &[u8]| unpad(bytes).unwrap_err();
        let unmarked = |found| PaddingError::Unmarked { found };
        assert_eq!(refused(&[]), unmarked(0));
        assert_eq!(refused(&[0; 9]), unmarked(9));
        assert_eq!(refused(&whole[..1_000]), unmarked(1_000));
        let length = |found| PaddingError::Length { found, body: 1_000, expected: 1_024 };
        assert_eq!(refused(&whole[..1_023]), length(1_023));
        assert_eq!(refused(&[&*whole, &[0]].concat()), length(1_025));
        for at in 1_000..1_024 {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(unpad(&changed).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn a_body_comes_back_and_little_is_added(mut body in prop::collection::vec(any::<u8>(), 0..5_000)) {
            let before = body.clone();
            pad(&mut body);
            prop_assert_eq!(unpad(&body), Ok(&*before));
            prop_assert!(body.len() <= before.len() + 1 + (before.len() + 1) / 8);
        }

        #[test]
        fn a_length_rises_with_the_body_and_is_its_own_class(size in 1_usize..1 << 40) {
            prop_assert!(padme(size) >= size && padme(size) <= padme(size + 1));
            prop_assert_eq!(padme(padme(size)), padme(size));
        }
    }
}
