//! What somebody sends to an authority: a key of his, and the word of his account that it is his.

use chronolith_chain::address::Address;
use chronolith_chain::hash::{ChainId, Domain, Hash};
use chronolith_chain::keys::{SecretKey, Signature, verify};
use rcgen::{CertificateParams, CertificateSigningRequestParams, KeyPair};
use serde::{Deserialize, Serialize};

use super::IdentityError;

/// What the file says it is.
const FORMAT: &str = "chronolith certificate request 1";

/// A request for a certificate, as its file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRequest {
    format: String,
    /// The account, or the device, that the key is of.
    account: Address,
    /// The key's request (PKCS #10) as PEM.
    request: String,
    /// The account's signature of [`CertificateRequest::message`].
    signature: Signature,
}

/// A request that was signed by its account and by its key.
#[derive(Debug)]
pub struct CheckedRequest(CertificateRequest);

impl CertificateRequest {
    /// Makes a TLS key and the request for its certificate: the key as PEM, and the request.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn new(chain: ChainId, account: &SecretKey) -> Result<(String, Self), IdentityError> {
        let make = |source| IdentityError::Make { what: "make a key and its request", source };
        let key = KeyPair::generate().map_err(make)?;
        let request = CertificateParams::default().serialize_request(&key).map_err(make)?;
        let request = request.pem().map_err(make)?;
        let address = Address::from(account.public());
        let signature = account.sign(&Self::message(chain, address, &request));
        let format = FORMAT.to_owned();
        Ok((key.serialize_pem(), Self { format, account: address, request, signature }))
    }

    /// What the account signs.
    fn message(chain: ChainId, account: Address, request: &str) -> Hash {
        Domain::CertificateRequest.hash_of(&(chain, account, request))
    }

    /// Checks that the account signed it for a chain, and that whoever asks has the key.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(self, chain: ChainId) -> Result<CheckedRequest, IdentityError> {
        if self.format != FORMAT {
            let reason = format!("it has the format {:?}, not {FORMAT:?}", self.format);
            return Err(IdentityError::Certificate(reason));
        }
        let message = Self::message(chain, self.account, &self.request);
        if !verify(&self.account.key(), &message, &self.signature) {
            return Err(IdentityError::NotSigned(self.account));
        }
        let checked = CheckedRequest(self);
        checked.asked()?;
        Ok(checked)
    }
}

impl CheckedRequest {
    /// The account that it is of.
    #[must_use]
    pub const fn account(&self) -> Address {
        self.0.account
    }

    /// What the key's request asks for; its signature is checked.
    pub(super) fn asked(&self) -> Result<CertificateSigningRequestParams, IdentityError> {
        CertificateSigningRequestParams::from_pem(&self.0.request)
            .map_err(|source| IdentityError::Make { what: "read the request of the key", source })
    }
}
