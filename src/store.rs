//! The segment store of a database: the file `store.toml` in its directory, so that every command
//! and every server finds it.

/// The name of the file.
pub const FILE: &str = "store.toml";

/// Why a database's segment store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFileError {
    /// The file cannot be read or written.
    #[error("cannot {action} {file}: {source}")]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file does not say what it must.
    #[error("{file}: {reason}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong, with line and column.
        reason: String,
    },
}

#[cfg(not(feature = "s3"))]
/// No store: this program was built without. What was moved to one cannot be read.
///
/// # Errors
/// None.
pub fn segment_store(
    _database: &std::path::Path,
) -> Result<Option<chronolith_engine::SegmentStoreOptions>, StoreFileError> {
    Ok(None)
}

#[cfg(feature = "s3")]
pub use with_stores::{StoreFile, segment_store};

#[cfg(feature = "s3")]
mod with_stores {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use chronolith_engine::SegmentStoreOptions;
    use chronolith_tier::{ObjectSegments, Secret, StoreSettings};
    use serde::{Deserialize, Serialize};

    use super::{FILE, StoreFileError};
    use crate::database::file::{self, Content, Failure};

    /// The longest file that is read: bytes.
    const BYTES_MAX: u64 = 64 << 10;
    /// Pieces of fewer bytes than this cost more requests than they spare, and of more than the most
    /// take long to come.
    const PIECE_BYTES: std::ops::RangeInclusive<u32> = (64 << 10)..=(64 << 20);

    /// What the file says. Keys that it does not have are those of the environment.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct StoreFile {
        /// `s3://BUCKET/PREFIX`, or `file:///FOLDER`.
        pub url: String,
        /// The address of a server other than Amazon's: `https://minio.example.org:9000`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub endpoint: Option<String>,
        /// The region.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub region: Option<String>,
        /// Whether the bucket stands in the path and not in the host name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub path_style: Option<bool>,
        /// The id of the key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub access_key: Option<Secret>,
        /// The secret of the key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub secret_key: Option<Secret>,
        /// Whether an endpoint on another machine may be without TLS.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub allow_http: bool,
        /// How long one request may take: seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub deadline_s: Option<u64>,
        /// A segment is moved when its last window ended longer ago than this: seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after_s: Option<u64>,
        /// How much of the store's content is kept on this disk: bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cache_bytes: Option<u64>,
        /// What is fetched and kept at once, at least: bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub piece_bytes: Option<u32>,
        /// How long an object that nothing needs stays for readers in other processes: seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub removal_grace_s: Option<u64>,
    }

    impl From<Failure> for StoreFileError {
        fn from(Failure { action, place, source }: Failure) -> Self {
            Self::Disk { action, file: place.display().to_string(), source }
        }
    }

    impl StoreFile {
        /// A file that says where, and nothing else.
        #[must_use]
        pub fn new(url: impl Into<String>) -> Self {
            Self { url: url.into(), ..Self::default() }
        }

        /// The file of a database, where it has one.
        ///
        /// # Errors
        /// Where it cannot be read, or says what it may not.
        pub fn read(database: &Path) -> Result<Option<Self>, StoreFileError> {
            let place = database.join(FILE);
            let wrong = |reason: String| {
                let file = place.display().to_string();
                StoreFileError::Content { file, reason }
            };
            let text = match file::read(&place, BYTES_MAX)? {
                Content::Missing => return Ok(None),
                Content::Long(length) => {
                    let reason = format!("{length} bytes are no settings of a segment store");
                    return Err(wrong(reason));
                }
                Content::Text(text) => text,
            };
            // Of what is wrong only the place is told: the text may hold a key.
            let read = toml::from_str(&text);
            let file: Self = read.map_err(|error| wrong(told(&error, &text)))?;
            file.options().map_err(wrong)?;
            Ok(Some(file))
        }

        /// Writes the file of a database, readable for its owner alone; whole or not at all.
        ///
        /// # Errors
        /// Where it cannot be written, or says what it may not.
        pub fn write(&self, database: &Path) -> Result<(), StoreFileError> {
            let place = database.join(FILE);
            let wrong = |reason: String| {
                let file = place.display().to_string();
                StoreFileError::Content { file, reason }
            };
            self.options().map_err(wrong)?;
            let text = toml::to_string_pretty(self).map_err(|error| wrong(error.to_string()))?;
            Ok(file::write(database, FILE, &text, 0o600)?)
        }

        fn settings(&self) -> StoreSettings {
            let mut settings = StoreSettings::new(&self.url);
            settings.endpoint.clone_from(&self.endpoint);
            settings.region.clone_from(&self.region);
            settings.path_style = self.path_style;
            settings.access_key.clone_from(&self.access_key);
            settings.secret_key.clone_from(&self.secret_key);
            settings.allow_http = self.allow_http;
            settings.deadline_s = self.deadline_s.unwrap_or(settings.deadline_s);
            settings
        }

        /// The store for the engine, or what is wrong.
        fn options(&self) -> Result<SegmentStoreOptions, String> {
            let store =
                ObjectSegments::open(&self.settings()).map_err(|error| error.to_string())?;
            let mut options = SegmentStoreOptions::new(Arc::new(store));
            options.after = self.after_s.map_or(options.after, Duration::from_secs);
            options.cache_bytes = self.cache_bytes.unwrap_or(options.cache_bytes);
            options.piece_bytes = self.piece_bytes.unwrap_or(options.piece_bytes);
            options.removal_grace =
                self.removal_grace_s.map_or(options.removal_grace, Duration::from_secs);
            if !PIECE_BYTES.contains(&options.piece_bytes) {
                let (least, most) = (PIECE_BYTES.start(), PIECE_BYTES.end());
                return Err(format!(
                    "pieces of {} bytes are not between {least} and {most}",
                    options.piece_bytes
                ));
            }
            Ok(options)
        }
    }

    /// What is wrong with a text, and where, without showing any of it.
    fn told(error: &toml::de::Error, text: &str) -> String {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {}", error.message())
    }

    /// The segment store of a database, where its file names one.
    ///
    /// # Errors
    /// Where the file cannot be read, or says what it may not.
    pub fn segment_store(database: &Path) -> Result<Option<SegmentStoreOptions>, StoreFileError> {
        let Some(file) = StoreFile::read(database)? else { return Ok(None) };
        let place = database.join(FILE).display().to_string();
        let options = file.options();
        options.map(Some).map_err(|reason| StoreFileError::Content { file: place, reason })
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    mod tests {
        use std::fs;

        use super::*;

        #[test]
        fn what_is_written_is_read_back_and_is_the_owners() {
            use std::os::unix::fs::PermissionsExt;
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(StoreFile::read(folder.path()).unwrap(), None);
            assert!(segment_store(folder.path()).unwrap().is_none());
            let mut file = StoreFile::new("s3://fleet/cars");
            file.endpoint = Some("https://s3.example.org".to_owned());
            file.after_s = Some(86_400);
            file.access_key = Some(Secret::new("an-id"));
            file.secret_key = Some(Secret::new("a-secret"));
            file.write(folder.path()).unwrap();
            assert_eq!(StoreFile::read(folder.path()).unwrap(), Some(file));
            let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
            let options = segment_store(folder.path()).unwrap().unwrap();
            assert_eq!(options.after, Duration::from_secs(86_400));
            assert_eq!(options.store.describe(), "s3://fleet/cars");
        }

        #[test]
        fn what_is_wrong_is_named_with_its_place_and_no_key() {
            let folder = tempfile::tempdir().unwrap();
            for (text, expected) in [
                ("url = 's3://fleet'\nsecret_kee = 'hush'\n", "line 2"),
                ("url = 's3://fleet'\nsecret_key = hush\n", "line 2"),
                ("url = 's3://fleet'\nsecret_key = 'hush'\n", "set both"),
                ("url = 'ftp://fleet'\n", "s3://BUCKET/PREFIX"),
                ("url = 's3://fleet'\npiece_bytes = 1\n", "pieces of 1 bytes"),
                ("", "url"),
            ] {
                fs::write(folder.path().join(FILE), text).unwrap();
                let error = StoreFile::read(folder.path()).unwrap_err().to_string();
                assert!(error.contains(expected) && error.contains(FILE), "{text}: {error}");
                assert!(!error.contains("hush"), "{error}");
            }
        }
    }
}
