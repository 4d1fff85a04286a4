//! What a certificate says: which account its key is of, and which account vouches for that.

use chronolith_chain::address::Address;
use chronolith_chain::hash::Hash;
use chronolith_chain::keys::{PublicKey, Signature, verify_bytes};
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;

use super::IdentityError;

/// What the name of an account in a certificate begins with.
const URI: &str = "urn:chronolith:account:";

/// The name of an account in a certificate.
pub(super) fn account_uri(account: Address) -> String {
    format!("{URI}{account}")
}

/// What a certificate says. Its issuer's signature holds, and its time is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The account that its key is of.
    pub account: Address,
    /// The account that vouches for it.
    pub issuer: Address,
    /// Its SHA-256 hash, which the ledger has: its fingerprint, as other programs show it.
    pub hash: Hash,
    /// Whom or what it is of, for people.
    pub name: String,
    /// Its end, in milliseconds since the epoch.
    pub valid_until_ms: u64,
}

fn wrong(reason: impl ToString) -> IdentityError {
    IdentityError::Certificate(reason.to_string())
}

fn common_name<'a>(name: &'a x509_parser::x509::X509Name<'_>) -> Option<&'a str> {
    let mut names = name.iter_common_name();
    let first = names.next()?.as_str().ok()?;
    names.next().is_none().then_some(first)
}

impl PeerCertificate {
    /// Reads the bytes of a certificate and checks its signature.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(der: &[u8]) -> Result<Self, IdentityError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(wrong)?;
        if !rest.is_empty() {
            return Err(wrong("there are bytes behind it"));
        }
        let issuer = common_name(certificate.issuer()).and_then(|name| name.parse().ok());
        let issuer: Address =
            issuer.ok_or_else(|| wrong("its issuer's name is no address of an account"))?;
        check_signature(&certificate, issuer)?;
        let names = certificate.subject_alternative_name().map_err(wrong)?;
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let mut accounts = names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix(URI),
            _ => None,
        });
        let account = match (accounts.next(), accounts.next()) {
            (Some(account), None) => account.parse().map_err(wrong)?,
            (None, _) => return Err(wrong(format!("it has no name {URI}ADDRESS"))),
            (Some(_), Some(_)) => return Err(wrong("it names several accounts")),
        };
        let end_s = certificate.validity().not_after.timestamp();
        Ok(Self {
            account,
            issuer,
            hash: Hash(Sha256::digest(der).into()),
            name: common_name(certificate.subject()).unwrap_or_default().to_owned(),
            valid_until_ms: u64::try_from(end_s).unwrap_or_default().saturating_mul(1_000),
        })
    }

    /// The same of a file of PEM.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_pem(pem: &[u8]) -> Result<Self, IdentityError> {
        Self::parse(&contents(pem)?)
    }
}

/// The bytes of the first certificate of a file of PEM.
fn contents(pem: &[u8]) -> Result<Vec<u8>, IdentityError> {
    let (_, pem) = parse_x509_pem(pem).map_err(wrong)?;
    if pem.label != "CERTIFICATE" {
        return Err(wrong(format!("it is a {}", pem.label)));
    }
    Ok(pem.contents)
}

/// Checks that the key of an account made a certificate.
fn check_signature(
    certificate: &X509Certificate<'_>,
    issuer: Address,
) -> Result<(), IdentityError> {
    let signature = certificate.signature_value.data.as_ref();
    let signature = <[u8; 64]>::try_from(signature).ok().map(Signature);
    let signed = certificate.tbs_certificate.as_ref();
    let holds = signature.is_some_and(|signature| verify_bytes(&issuer.key(), signed, &signature));
    if holds { Ok(()) } else { Err(wrong(format!("it is not signed by {issuer}"))) }
}

/// The account of an authority by its certificate as PEM.
///
/// # Errors
/// Where it is not an authority's, self-signed with the key of the account that it names.
pub fn authority(pem: &[u8]) -> Result<Address, IdentityError> {
    let der = contents(pem)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(wrong)?;
    let named: Option<Address> =
        common_name(certificate.subject()).and_then(|name| name.parse().ok());
    let address = named.ok_or_else(|| wrong("its name is no address of an account"))?;
    let key = certificate.public_key().subject_public_key.data.as_ref();
    if <[u8; 32]>::try_from(key).ok().map(PublicKey) != Some(address.key()) {
        return Err(wrong("its key is not that of the account that it names"));
    }
    if !certificate.is_ca() {
        return Err(wrong("it is no authority's"));
    }
    check_signature(&certificate, address)?;
    Ok(address)
}
