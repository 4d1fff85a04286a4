//! The secret that messages are signed with: as those that are received have it.

pub(crate) use chronolith_contract::webhook::Secret;

#[cfg(feature = "continuous")]
use crate::wallet::{WalletError, random};

/// A random secret.
#[cfg(feature = "continuous")]
pub(crate) fn random_secret() -> Result<Secret, WalletError> {
    Ok(Secret::from(random()?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(secret.reveal().as_str(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[cfg(feature = "continuous")]
    #[test]
    fn secrets_are_long_enough_and_read_back() {
        let secret = random_secret().unwrap();
        assert_eq!(Secret::parse(&secret.reveal()).unwrap(), secret);
        assert_ne!(random_secret().unwrap(), secret);
        for wrong in ["", "whsec_", "whsec_AAAA", "whsec_not base64!", "abc"] {
            assert!(Secret::parse(wrong).is_err(), "{wrong}");
        }
    }
}
