//! The client of a store that speaks S3.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use crate::settings::{SettingsError, StoreSettings};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a request is repeated.
const RETRIES: usize = 4;
/// The longest pause before a repetition.
const PAUSE_MAX: Duration = Duration::from_secs(4);

pub(crate) fn client(
    settings: &StoreSettings,
    bucket: &str,
) -> Result<Arc<dyn ObjectStore>, SettingsError> {
    let deadline = settings.deadline()?;
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: PAUSE_MAX, ..BackoffConfig::default() },
        max_retries: RETRIES,
        retry_timeout: deadline,
    };
    let endpoint = settings.endpoint.clone().or_else(endpoint_of_environment);
    let (allows_http, has_endpoint) = match &endpoint {
        Some(endpoint) => (check_endpoint(endpoint, settings.allow_http)?, true),
        None => (false, false),
    };
    let options = ClientOptions::new()
        .with_timeout(deadline)
        .with_connect_timeout(CONNECT.min(deadline))
        .with_allow_http(allows_http);
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_virtual_hosted_style_request(!settings.path_style.unwrap_or(has_endpoint))
        .with_retry(retry)
        .with_client_options(options);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    match (&settings.access_key, &settings.secret_key) {
        (Some(id), Some(secret)) => {
            builder =
                builder.with_access_key_id(id.reveal()).with_secret_access_key(secret.reveal());
        }
        (None, None) => {}
        _ => {
            return Err(SettingsError::Keys("access_key and secret_key belong together: set both"));
        }
    }
    let client = builder.build().map_err(|error| SettingsError::Client {
        store: settings.url.clone(),
        reason: error.to_string(),
    })?;
    Ok(Arc::new(client))
}

fn endpoint_of_environment() -> Option<String> {
    ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Checks an endpoint; whether it is one without TLS.
fn check_endpoint(endpoint: &str, allow_http: bool) -> Result<bool, SettingsError> {
    let wrong = |reason: &str| SettingsError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason: reason.to_owned(),
    };
    let url = Url::parse(endpoint).map_err(|error| wrong(&error.to_string()))?;
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(wrong("it has no host; write https://HOST:PORT")),
    };
    match url.scheme() {
        "https" => Ok(false),
        "http" if is_local || allow_http => Ok(true),
        "http" => Err(wrong(
            "what is stored would cross the network in the clear; write https, or set allow_http \
             where the network is your own",
        )),
        _ => Err(wrong("write https://HOST:PORT")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_in_the_clear_are_local_or_asked_for() {
        let check = |endpoint: &str, allow: bool| check_endpoint(endpoint, allow).ok();
        assert_eq!(check("https://s3.example.org", false), Some(false));
        assert_eq!(check("http://127.0.0.1:9000", false), Some(true));
        assert_eq!(check("http://[::1]:9000", false), Some(true));
        assert_eq!(check("http://localhost:9000", false), Some(true));
        assert_eq!(check("http://192.168.1.4:9000", false), None);
        assert_eq!(check("http://192.168.1.4:9000", true), Some(true));
        assert_eq!(check("http://127.0.0.1.example.org", false), None);
        assert_eq!(check("ftp://127.0.0.1", true), None);
        assert_eq!(check("minio:9000", true), None);
    }
}
