//! Who gets what at the end: each share rounded down, the rest to one party, together exactly what was there.

use crate::amount::Amount;

/// Splits an amount by shares in basis points. Shares that are more than there is get what there is, the
/// first ones first. Gives the amount of each share, and the rest.
#[must_use]
pub fn split(whole: Amount, shares: &[u16]) -> (Vec<Amount>, Amount) {
    let mut rest = whole;
    let amounts = shares.iter().map(|points| {
        let amount = whole.share(*points).min(rest);
        rest = Amount(rest.0.saturating_sub(amount.0));
        amount
    });
    let amounts = amounts.collect();
    (amounts, rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shares_and_rest_are_the_whole(whole: u128, shares in prop::collection::vec(0..=12_000_u16, 0..8)) {
            let (amounts, rest) = split(Amount(whole), &shares);
            let sum = amounts.iter().try_fold(rest.0, |sum, amount| sum.checked_add(amount.0));
            prop_assert_eq!(sum, Some(whole));
            prop_assert_eq!(amounts.len(), shares.len());
            if shares.iter().map(|points| u64::from((*points).min(10_000))).sum::<u64>() <= 10_000 {
                for (amount, points) in amounts.iter().zip(&shares) {
                    prop_assert_eq!(*amount, Amount(whole).share(*points));
                }
            }
        }
    }
}
