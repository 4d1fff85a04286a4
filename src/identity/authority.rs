//! An account that issues X.509 certificates.
//!
//! The authority's certificate is self-signed with the account's own key (RFC 8410), so that it is the same
//! whenever it is made, and whoever knows the account's address can check it. What it issues is signed with
//! that key, too. Nothing that the ledger signs can pass for a certificate: the ledger signs 32 bytes, and no
//! certificate is as short.

use std::net::IpAddr;

use chronolith_chain::address::Address;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber,
    string::Ia5String,
};
use time::{Duration, OffsetDateTime};

use super::IdentityError;
use super::certificate::{PeerCertificate, account_uri};
use super::request::CheckedRequest;
use crate::wallet::{AccountKey, random};

/// A certificate begins to hold so much before it is made: clocks differ.
const BEFORE: Duration = Duration::minutes(5);

/// What a certificate is to say.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whom or what it is of, for people.
    pub name: String,
    /// Names and addresses that a server with it has; none for one that only asks.
    pub hosts: Vec<String>,
    /// Its end, in milliseconds since the epoch.
    pub valid_until_ms: u64,
}

/// A certificate that was made.
#[derive(Debug, Clone)]
pub struct Issued {
    /// As PEM.
    pub pem: String,
    /// What it says.
    pub certificate: PeerCertificate,
}

/// An account that issues certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

fn making(what: &'static str) -> impl Fn(rcgen::Error) -> IdentityError {
    move |source| IdentityError::Make { what, source }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn time_of(ms: u64) -> Result<OffsetDateTime, IdentityError> {
    let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds);
    time.map_err(|error| IdentityError::Time(error.to_string()))
}

fn serial(bytes: [u8; 32]) -> SerialNumber {
    // 20 bytes are the most; a first bit that is not set keeps the number positive.
    let mut serial: Vec<u8> = bytes[..16].to_vec();
    serial[0] = serial[0] & 0x7F | 0x40;
    SerialNumber::from(serial)
}

impl Authority {
    /// The authority of an account.
    ///
    /// # Errors
    /// Where the library refuses its key.
    pub fn of(account: &AccountKey) -> Result<Self, IdentityError> {
        let address = account.address;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(
            &account.pkcs8().as_slice().into(),
            &PKCS_ED25519,
        )
        .map_err(making("use the account's key"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&address.to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        // The account has no end: RFC 5280 says so with this one.
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
        params.serial_number = Some(serial(blake3::hash(&address.0).into()));
        let made = CertifiedIssuer::self_signed(params, key);
        Ok(Self(made.map_err(making("make the authority's certificate"))?))
    }

    /// Its certificate as PEM, which whoever relies on it keeps.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues what a request asks for.
    ///
    /// # Errors
    /// Where a name is none, or the library refuses.
    pub fn issue(&self, request: &CheckedRequest, terms: &Terms) -> Result<Issued, IdentityError> {
        let mut asked = request.asked()?;
        // What the request says beside its key is not looked at: the authority vouches for what it says itself.
        asked.params = certificate(request.account(), terms)?;
        let made: Certificate = asked.signed_by(&self.0).map_err(making("make the certificate"))?;
        let certificate = PeerCertificate::parse(made.der())?;
        Ok(Issued { pem: made.pem(), certificate })
    }
}

fn certificate(account: Address, terms: &Terms) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&terms.name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = OffsetDateTime::now_utc() - BEFORE;
    params.not_after = time_of(terms.valid_until_ms)?;
    params.serial_number = Some(serial(random()?));
    let uri = Ia5String::try_from(account_uri(account)).map_err(making("name the account"))?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    for name in &terms.hosts {
        let host = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(
                Ia5String::try_from(name.as_str())
                    .map_err(|source| IdentityError::Host { name: name.clone(), source })?,
            ),
        };
        params.subject_alt_names.push(host);
    }
    if !terms.hosts.is_empty() {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    Ok(params)
}
