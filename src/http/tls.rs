//! TLS: certificates and keys from files.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{HttpError, HttpSettings};

/// What makes TLS of connections, where the settings have certificates. The provider of cryptography
/// is named here, so that no other in the same program is taken by chance.
pub(super) fn acceptor(settings: &HttpSettings) -> Result<Option<TlsAcceptor>, HttpError> {
    let (certificate, key) = match (&settings.certificate, &settings.key) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(HttpError::HalfOfTls("key")),
        (None, Some(_)) => return Err(HttpError::HalfOfTls("certificate")),
        (Some(certificate), Some(key)) => (certificate, key),
    };
    let wrong = |place: &Path| {
        let place = place.to_owned();
        move |reason: String| HttpError::Tls { place, reason }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(certificate)(error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(certificate)("there is no certificate in it".to_owned()));
    }
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key)(error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
    let mut config = config.map_err(|error| wrong(key)(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
