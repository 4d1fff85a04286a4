//! The promises of fragments, one behaviour per file.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod blocks_are_proved;
mod codes_agree;
mod formats_do_not_drift;
mod oracle;
mod wrong_rows_are_shown;

/// Bytes that look random and follow from a number.
fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}
