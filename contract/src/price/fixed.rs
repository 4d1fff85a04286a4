//! Logarithms and powers of 2 in integers, so that every machine finds the same bits.

/// Digits behind the binary point of logarithms.
pub(super) const FRACTION: u32 = 16;
/// Digits behind the binary point of what is between 1 and 2.
const MANTISSA: u32 = 62;

/// The binary logarithm in units of 2^-16, rounded down; that of 0 is that of 1.
///
/// Bit by bit, by squaring: Knuth, The Art of Computer Programming 1, 1.2.2, exercise 25 and its answer.
pub(super) fn log2(value: u128) -> i64 {
    let value = value.max(1);
    let whole = value.ilog2();
    // Between 1 and 2, with 62 digits behind the point.
    let mut mantissa = value << (127 - whole) >> (127 - MANTISSA);
    let mut log = i64::from(whole);
    for _ in 0..FRACTION {
        mantissa = (mantissa * mantissa) >> MANTISSA;
        let is_above = mantissa >> (MANTISSA + 1) == 1;
        log = log << 1 | i64::from(is_above);
        mantissa >>= u32::from(is_above);
    }
    log
}

/// 2 to so many units of 2^-16, rounded down; 1 for everything below, the largest number for everything
/// above.
pub(super) fn exp2(log: i64) -> u128 {
    let Ok(log) = u64::try_from(log) else { return 1 };
    let (whole, fraction) = (log >> FRACTION, log & ((1 << FRACTION) - 1));
    let Some(whole) = u32::try_from(whole).ok().filter(|whole| *whole < 128) else {
        return u128::MAX;
    };
    // Square roots of 2, one after the other: each is the power that the next digit stands for.
    let (mut root, mut mantissa) = (2_u128 << MANTISSA, 1_u128 << MANTISSA);
    for digit in (0..FRACTION).rev() {
        root = (root << MANTISSA).isqrt();
        if fraction >> digit & 1 == 1 {
            mantissa = (mantissa * root) >> MANTISSA;
        }
    }
    match whole.checked_sub(MANTISSA) {
        Some(more) => {
            mantissa.checked_shl(more).filter(|sum| sum >> more == mantissa).unwrap_or(u128::MAX)
        }
        None => mantissa >> (MANTISSA - whole),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn powers_of_two_are_exact() {
        for whole in 0..128 {
            assert_eq!(log2(1 << whole), i64::from(whole) << 16);
            assert_eq!(exp2(i64::from(whole) << 16), 1 << whole);
        }
        assert_eq!((log2(0), exp2(-5), exp2(i64::MAX)), (0, 1, u128::MAX));
        // log2(10) is 3.32192809...
        assert_eq!(log2(10), 217_705);
    }

    proptest! {
        #[test]
        fn there_and_back_is_near(value in 1_u128..) {
            let log = log2(value);
            prop_assert!((log as f64 / 65_536.0 - (value as f64).log2()).abs() < 0.000_02);
            // 2^(1/65536) is about 1.0000106, and below 2^20 whole numbers are coarser than that.
            prop_assert!(exp2(log) <= value);
            prop_assert!(value - exp2(log) <= value / 90_000 + 1);
        }

        #[test]
        fn larger_ones_are_not_smaller(one: u128, other: u128) {
            prop_assert_eq!(one <= other || log2(one) >= log2(other), true);
            prop_assert_eq!(one >= other || log2(one) <= log2(other), true);
        }
    }
}
