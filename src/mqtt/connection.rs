//! How the broker is reached.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::settings::{MqttError, MqttSettings};

/// How often the broker hears of a bridge that has nothing to say.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// What a message has beside its payload: its topic and a few numbers.
const HEAD_BYTES: usize = (64 << 10) + 16;

/// Options of a session that the broker keeps, and whose messages are acknowledged by hand.
pub(super) fn options(settings: &MqttSettings, folder: &Path) -> Result<MqttOptions, MqttError> {
    let broker = settings.broker()?;
    let client = &settings.client_id;
    if client.is_empty() || client.len() > 128 {
        let reason = "it is a name of 1 to 128 bytes, by which the broker keeps the session";
        return Err(MqttError::setting("client_id", client, reason));
    }
    let mut options = MqttOptions::new(client.clone(), broker.host, broker.port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(false);
    options.set_manual_acks(true);
    options.set_max_packet_size(settings.payload_bytes.saturating_add(HEAD_BYTES), HEAD_BYTES);
    if let Some((user, password)) = settings.login(folder)? {
        options.set_credentials(user, password);
    }
    if broker.tls {
        let config = tls(settings, folder)?;
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
    }
    Ok(options)
}

/// TLS that trusts the named authorities, or those of the system.
fn tls(settings: &MqttSettings, folder: &Path) -> Result<Arc<ClientConfig>, MqttError> {
    let mut roots = RootCertStore::empty();
    let none = match &settings.authorities {
        Some(file) => {
            let file = folder.join(file);
            let wrong = |reason: String| MqttError::File { file: file.clone(), reason };
            let read =
                CertificateDer::pem_file_iter(&file).map_err(|error| wrong(error.to_string()))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
            wrong("it holds no certificate in PEM".to_owned())
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let reason = "the system has no list of authorities; name a file in mqtt.authorities";
            MqttError::setting("broker", &settings.broker, reason)
        }
    };
    if roots.is_empty() {
        return Err(none);
    }
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| MqttError::setting("broker", &settings.broker, &error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
