//! What is kept of a webhook: where it sends, and how far it came.

use std::sync::Arc;

use chronolith_disk::{Disk, read_all};
use chronolith_query::continuous::Cursor;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::reach::address;
use super::signature::Secret;
use crate::wallet::write_private;

/// The longest name: bytes.
const NAME_MOST: usize = 64;

/// Why a webhook cannot be made or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HookError {
    /// It is not as it should be.
    #[error("{0}")]
    Wrong(String),
    /// There is one of this name.
    #[error("there is a webhook {0:?} already; delete it first, or choose another name")]
    Exists(String),
    /// There is none of this name.
    #[error("there is no webhook {0:?}")]
    Unknown(String),
    /// Its file cannot be read or written.
    #[error("the file of the webhook {name:?}: {source}")]
    Disk {
        /// Which.
        name: String,
        /// What the disk said.
        source: std::io::Error,
    },
}

/// A webhook, as its file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    query: String,
    url: String,
    secret: String,
    /// The change that was delivered last.
    cursor: Cursor,
    /// Why its receiver wants no more, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
}

/// A webhook.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    /// Its name, and that of its file.
    pub(crate) name: String,
    /// The continuous query.
    pub(crate) query: String,
    /// Where it sends.
    pub(crate) url: Url,
    /// What it signs with.
    pub(crate) secret: Secret,
    /// The change that was delivered last.
    pub(crate) cursor: Cursor,
    /// Why its receiver wants no more, if it said so.
    pub(crate) ended: Option<String>,
}

/// Whether a name can be that of a file, whatever the file system.
fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=NAME_MOST).contains(&name.len()) && name.bytes().all(is_letter)
}

impl Hook {
    /// A webhook that begins behind a change.
    pub(crate) fn new(
        name: String,
        query: String,
        url: &str,
        secret: Secret,
        cursor: Cursor,
    ) -> Result<Self, HookError> {
        if !is_name(&name) {
            let reason = "name: 1 to 64 letters of a-z, A-Z, 0-9, _ and -";
            return Err(HookError::Wrong(reason.to_owned()));
        }
        let url = address(url).map_err(|reason| HookError::Wrong(format!("url: {reason}")))?;
        Ok(Self { name, query, url, secret, cursor, ended: None })
    }

    fn file(&self) -> String {
        format!("{}.json", self.name)
    }

    fn disk(&self) -> impl FnOnce(std::io::Error) -> HookError {
        let name = self.name.clone();
        move |source| HookError::Disk { name, source }
    }

    /// Keeps it, and how far it came.
    pub(crate) fn save(&self, disk: &dyn Disk) -> Result<(), HookError> {
        let kept = Kept {
            query: self.query.clone(),
            url: self.url.to_string(),
            secret: self.secret.reveal().to_string(),
            cursor: self.cursor,
            ended: self.ended.clone(),
        };
        let text = serde_json::to_string(&kept).unwrap_or_default();
        let file = self.file();
        write_private(disk, &format!("{file}.new"), &file, text.as_bytes()).map_err(self.disk())
    }

    /// Forgets it.
    pub(crate) fn remove(&self, disk: &dyn Disk) -> Result<(), HookError> {
        disk.remove(&self.file()).and_then(|()| disk.sync_dir("")).map_err(self.disk())
    }

    /// All that are kept, and what cannot be read.
    pub(crate) fn load_all(disk: &Arc<dyn Disk>) -> std::io::Result<(Vec<Self>, Vec<HookError>)> {
        let (mut hooks, mut failed) = (Vec::new(), Vec::new());
        for file in disk.list("")? {
            let Some(name) = file.strip_suffix(".json") else { continue };
            match Self::load(&**disk, name, &file) {
                Ok(hook) => hooks.push(hook),
                Err(error) => failed.push(error),
            }
        }
        Ok((hooks, failed))
    }

    fn load(disk: &dyn Disk, name: &str, file: &str) -> Result<Self, HookError> {
        let failed = |source| HookError::Disk { name: name.to_owned(), source };
        let bytes = read_all(disk, file).map_err(failed)?;
        let kept: Kept =
            serde_json::from_slice(&bytes).map_err(|error| failed(std::io::Error::other(error)))?;
        let secret =
            Secret::parse(&kept.secret).map_err(|reason| HookError::Wrong(reason.to_owned()))?;
        let hook = Self::new(name.to_owned(), kept.query, &kept.url, secret, kept.cursor)?;
        Ok(Self { ended: kept.ended, ..hook })
    }
}
