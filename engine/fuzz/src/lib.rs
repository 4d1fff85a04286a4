//! What the fuzz targets share: a bound on what a decoder allocates, and inputs taken apart.

mod allocation;

pub use allocation::within;

use chronolith_engine::chunk::codec::{Policy, decode_values, encode_values};
use chronolith_engine::{Column, Kind};
use chronolith_keys::{GrantContext, OneTimeSecret};

/// What the codecs promise to allocate at most (`engine/src/chunk/codec.rs`).
#[must_use]
pub const fn promised(input: usize, count: usize) -> usize {
    8 * input + 32 * count + (1 << 20)
}

/// A bound for decoders that promise to stay in proportion to their input; the factor covers the
/// structures of the smallest items, and the new encoding that is compared. serde reserves up to
/// 1 MiB for a list by its claimed length; the rest is small change.
#[must_use]
pub const fn in_proportion(input: usize) -> usize {
    64 * input + (1 << 20) + (64 << 10)
}

/// Who the sealed grants of the seeds are for.
#[must_use]
pub fn buyer() -> (OneTimeSecret, GrantContext) {
    (OneTimeSecret::from_bytes([7; 32]), GrantContext { chain: [1; 32], request: [2; 32] })
}

/// `count u16 · bytes`: small counts, so that the bound on allocation is a tight one.
#[must_use]
pub fn counted(data: &[u8]) -> Option<(usize, &[u8])> {
    let (count, bytes) = data.split_first_chunk::<2>()?;
    Some((u16::from_le_bytes(*count).into(), bytes))
}

/// The values of a kind: decoding stays within the promise, and what decodes comes back.
pub fn values(kind: Kind, data: &[u8]) {
    let Some((count, bytes)) = counted(data) else { return };
    let mut column = Column::new(kind);
    let decoded =
        within(promised(bytes.len(), count), || decode_values(kind, bytes, count, &mut column));
    match decoded {
        Err(_) => {
            let is_var = matches!(kind, Kind::Text | Kind::Bytes);
            assert!(is_var || column.is_empty(), "what was appended before an error stayed");
        }
        Ok(()) => {
            assert_eq!(column.len(), count);
            for policy in [Policy::Smallest, Policy::Fastest] {
                let mut encoded = Vec::new();
                encode_values(&column, policy, &mut encoded);
                let mut again = Column::new(kind);
                within(promised(encoded.len(), count), || {
                    decode_values(kind, &encoded, count, &mut again)
                })
                .expect("an own encoding decodes");
                assert!(again == column, "the values changed in a new encoding");
            }
        }
    }
}
