//! Where segments go, as a person writes it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

/// A secret that no message shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for who signs with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// A segment store. What is not said is taken from the environment, by the names that all tools for
/// S3 use: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`,
/// `AWS_ENDPOINT_URL`; without keys there the machine's role is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `s3://BUCKET/PREFIX`, or `file:///FOLDER`.
    pub url: String,
    /// The address of a server other than Amazon's: `https://minio.example.org:9000`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region; `us-east-1` where neither this nor the environment says one.
    #[serde(default)]
    pub region: Option<String>,
    /// Whether the bucket stands in the path and not in the host name: by default with an endpoint,
    /// since few other servers have a host name for each bucket.
    #[serde(default)]
    pub path_style: Option<bool>,
    /// The key's id.
    #[serde(default)]
    pub access_key: Option<Secret>,
    /// The key's secret.
    #[serde(default)]
    pub secret_key: Option<Secret>,
    /// Whether what is stored may cross a network in the clear, to an endpoint that begins with
    /// `http://` and is not on this machine.
    #[serde(default)]
    pub allow_http: bool,
    /// How long one request may take with all its repetitions: seconds.
    #[serde(default = "default_deadline_s")]
    pub deadline_s: u64,
}

const fn default_deadline_s() -> u64 {
    30
}

/// The longest deadline: seconds.
const DEADLINE_S_MAX: u64 = 3_600;

/// Why settings name no store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not an address of a store.
    #[error("{url:?} is no segment store: {reason}; write s3://BUCKET/PREFIX or file:///FOLDER")]
    Url {
        /// What was written.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An endpoint that cannot be used.
    #[error("{endpoint:?} is no endpoint of a segment store: {reason}")]
    Endpoint {
        /// What was written.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Keys that are not whole.
    #[error("{0}")]
    Keys(&'static str),
    /// A deadline that is none.
    #[error("a deadline of {0} seconds is not between 1 and {DEADLINE_S_MAX}")]
    Deadline(u64),
    /// The client could not be made.
    #[error("the segment store {store} cannot be used: {reason}")]
    Client {
        /// The store.
        store: String,
        /// Why.
        reason: String,
    },
}

/// What an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Folder(PathBuf),
    Bucket { bucket: String, prefix: String },
}

impl StoreSettings {
    /// The settings of a store by its address, with everything else as it is by default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            endpoint: None,
            region: None,
            path_style: None,
            access_key: None,
            secret_key: None,
            allow_http: false,
            deadline_s: default_deadline_s(),
        }
    }

    pub(crate) fn place(&self) -> Result<Place, SettingsError> {
        let wrong = |reason: String| {
            // An address may have been written with keys in it: they are not repeated.
            let url = match self.url.contains('@') {
                true => "an address with a name or password".to_owned(),
                false => self.url.clone(),
            };
            SettingsError::Url { url, reason }
        };
        let url = Url::parse(&self.url).map_err(|error| wrong(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            let what = "keys have no place in an address; set access_key and secret_key, or \
                        AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(wrong(what.to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
            return Err(wrong("it has a port, a query or a fragment".to_owned()));
        }
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(folder) => Ok(Place::Folder(folder)),
                Err(()) => Err(wrong("the folder is not absolute".to_owned())),
            },
            "s3" => {
                let bucket = url.host_str().unwrap_or_default().to_owned();
                if bucket.is_empty() {
                    return Err(wrong("it has no bucket".to_owned()));
                }
                let prefix = url.path().trim_matches('/').to_owned();
                if prefix.split('/').any(|part| matches!(part, "." | "..")) || prefix.contains("//")
                {
                    return Err(wrong("its prefix has empty parts, or dots alone".to_owned()));
                }
                Ok(Place::Bucket { bucket, prefix })
            }
            other => Err(wrong(format!("{other} is not s3 or file"))),
        }
    }

    /// How long one request may take.
    pub(crate) fn deadline(&self) -> Result<Duration, SettingsError> {
        match self.deadline_s {
            1..=DEADLINE_S_MAX => Ok(Duration::from_secs(self.deadline_s)),
            other => Err(SettingsError::Deadline(other)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<Place, String> {
        StoreSettings::new(url).place().map_err(|error| error.to_string())
    }

    fn bucket(bucket: &str, prefix: &str) -> Result<Place, String> {
        Ok(Place::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    #[test]
    fn addresses_name_a_bucket_or_a_folder() {
        assert_eq!(place("s3://fleet"), bucket("fleet", ""));
        assert_eq!(place("s3://fleet/"), bucket("fleet", ""));
        assert_eq!(place("s3://fleet/cars/2026/"), bucket("fleet", "cars/2026"));
        assert_eq!(place("file:///var/cold"), Ok(Place::Folder("/var/cold".into())));
        assert_eq!(place("file:///var/with%20space"), Ok(Place::Folder("/var/with space".into())));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for url in [
            "",
            "fleet",
            "/var/cold",
            "http://example.org/fleet",
            "s3://",
            "s3:///cars",
            "s3://fleet/cars?versions",
            "s3://fleet:9000/cars",
            "s3://fleet/a//b",
            "file://host/x",
        ] {
            let error = place(url).unwrap_err();
            assert!(error.contains("s3://BUCKET/PREFIX"), "{url}: {error}");
        }
    }

    #[test]
    fn keys_are_shown_nowhere() {
        let url = "s3://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI@fleet/cars";
        let error = place(url).unwrap_err();
        assert!(error.contains("access_key") && !error.contains("wJalr"), "{error}");
        let mut settings = StoreSettings::new("s3://fleet");
        settings.access_key = Some(Secret::new("AKIAIOSFODNN7EXAMPLE"));
        settings.secret_key = Some(Secret::new("wJalrXUtnFEMI"));
        let shown = format!("{settings:?}");
        assert!(!shown.contains("wJalr") && !shown.contains("AKIA"), "{shown}");
    }
}
