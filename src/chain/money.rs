//! Amounts of the native coin as people write them.

use chronolith_chain::coin::{Amount, MOTES_PER_COIN};

/// How many digits an amount has behind the point.
const DECIMALS: usize = 18;

/// Reads `12`, `0.5` (coin) or `250motes`.
pub(crate) fn amount(text: &str) -> Result<Amount, String> {
    let wrong = || {
        format!("{text:?} is no amount: write coin as 12 or 0.5, or the smallest unit as 250motes")
    };
    let much = || format!("{text:?} is more than there can be: up to 2^128 - 1 motes");
    let number = |digits: &str| -> Result<u128, String> {
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(wrong());
        }
        digits.parse().map_err(|_| much())
    };
    if let Some(motes) = text.strip_suffix("motes") {
        return number(motes.trim_end()).map(Amount);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() {
        return Err(wrong());
    }
    if fraction.len() > DECIMALS {
        return Err(format!("{text:?} has more than {DECIMALS} digits behind the point"));
    }
    let fraction = number(&format!("{fraction:0<DECIMALS$}"))?;
    let motes = number(whole)?.checked_mul(MOTES_PER_COIN);
    motes.and_then(|motes| motes.checked_add(fraction)).map(Amount).ok_or_else(much)
}

/// An amount in coin, with as many digits as it needs.
pub(crate) fn coins(amount: Amount) -> String {
    let (whole, fraction) = (amount.0 / MOTES_PER_COIN, amount.0 % MOTES_PER_COIN);
    let text = format!("{whole}.{fraction:0DECIMALS$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_come_back_as_they_are_written() {
        for text in ["0", "1", "0.5", "12.000000000000000001", "340282366920938463463"] {
            assert_eq!(amount(text).map(coins), Ok(text.to_owned()));
        }
        assert_eq!(amount("250motes"), Ok(Amount(250)));
        assert_eq!(amount("1.50"), Ok(Amount(3 * MOTES_PER_COIN / 2)));
    }

    #[test]
    fn other_texts_are_refused() {
        let most = "340282366920938463463374607431768211456";
        for text in
            ["", ".", "1.", "-1", "+1", "1e3", "1,5", "0.0000000000000000001", "motes", most]
        {
            assert!(amount(text).is_err(), "{text}");
        }
        for text in [format!("{most}motes"), most.to_owned(), "340282366920938463464".to_owned()] {
            assert!(amount(&text).is_err_and(|told| told.contains("more than")), "{text}");
        }
    }
}
