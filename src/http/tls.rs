//! TLS: certificates and keys from files.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::{HttpError, HttpSettings};

/// What makes TLS of connections, where the settings have certificates. The provider of cryptography
/// is named here, so that no other in the same program is taken by chance.
pub(super) fn acceptor(settings: &HttpSettings) -> Result<Option<TlsAcceptor>, HttpError> {
    let (certificate, key) = match (&settings.certificate, &settings.key) {
        (None, None) if !settings.authorities.is_empty() => {
            return Err(HttpError::NoTlsForCertificates);
        }
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
    let callers = callers(settings)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = match callers {
                Some(callers) => builder.with_client_cert_verifier(callers),
                None => builder.with_no_client_auth(),
            };
            builder.with_single_cert(chain, secret)
        });
    let mut config = config.map_err(|error| wrong(key)(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// Who checks the certificates of those who come with one; who comes without may have a token.
fn callers(settings: &HttpSettings) -> Result<Option<Arc<dyn ClientCertVerifier>>, HttpError> {
    if settings.authorities.is_empty() {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    for authority in &settings.authorities {
        let place = &authority.certificate;
        let wrong = |reason: String| HttpError::Tls { place: place.clone(), reason };
        let certificate =
            CertificateDer::from_pem_file(place).map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let built = builder.allow_unauthenticated().build();
    let verifier = built.map_err(|error| HttpError::Tls {
        place: settings.authorities[0].certificate.clone(),
        reason: error.to_string(),
    })?;
    Ok(Some(verifier))
}
