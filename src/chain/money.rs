//! Amounts of the native coin as people write them.

use chronolith_chain::coin::{Amount, MOTES_PER_COIN};

/// How many digits an amount has behind the point.
const DECIMALS: usize = 18;

/// Reads `12`, `0.5` (coin) or `250motes`.
pub(crate) fn amount(text: &str) -> Result<Amount, String> {
    let wrong = || {
        format!("{text:?} is no amount: write coin as 12 or 0.5, or the smallest unit as 250motes")
    };
    let number = |digits: &str| -> Option<u128> {
        let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|_| is_plain)
    };
    if let Some(motes) = text.strip_suffix("motes") {
        return number(motes.trim_end()).map(Amount).ok_or_else(wrong);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() {
        return Err(wrong());
    }
    if fraction.len() > DECIMALS {
        return Err(format!("{text:?} has more than {DECIMALS} digits behind the point"));
    }
    let motes = || {
        let whole = number(whole)?.checked_mul(MOTES_PER_COIN)?;
        let fraction = number(&format!("{fraction:0<DECIMALS$}"))?;
        whole.checked_add(fraction).map(Amount)
    };
    motes().ok_or_else(wrong)
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
    }
}
