//! The objects of a store, as the engine asks for them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use chronolith_engine::{SegmentStore, StoreError, StoreProblem};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};

use crate::calls::Calls;
use crate::folder;
use crate::settings::{Place, SettingsError, StoreSettings};

/// What is sent in one request: bytes. S3 takes no smaller parts than 5 MiB, and at most 10,000.
const PART_BYTES: usize = 8 << 20;
/// The most parts of an object.
const PARTS_MAX: usize = 10_000;

/// Where the objects are.
enum Client {
    Folder(PathBuf),
    #[cfg(feature = "s3")]
    Bucket(Arc<dyn ObjectStore>),
}

/// A store of segments: a bucket of an S3-compatible server with a prefix, or a folder.
pub struct ObjectSegments {
    client: Client,
    /// What is before each object's name; ends in `/` where it is not empty.
    prefix: String,
    store: String,
    calls: Calls,
}

impl fmt::Debug for ObjectSegments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectSegments({})", self.store)
    }
}

/// An upload, and what became of the part that it sent last.
type SentPart = (Box<dyn MultipartUpload>, Result<(), StoreProblem>);

impl ObjectSegments {
    /// The store that settings name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// Where the settings name no store, or contradict each other.
    pub fn open(settings: &StoreSettings) -> Result<Self, SettingsError> {
        let failed = |reason: String| SettingsError::Client { store: settings.url.clone(), reason };
        let (client, prefix, store) = match settings.place()? {
            Place::Folder(folder) => {
                let store = format!("file://{}", folder.display());
                (Client::Folder(folder), String::new(), store)
            }
            Place::Bucket { bucket, prefix } => {
                let store = format!("s3://{bucket}/{prefix}");
                let prefix = if prefix.is_empty() { prefix } else { format!("{prefix}/") };
                (bucket_client(settings, &bucket)?, prefix, store.trim_end_matches('/').to_owned())
            }
        };
        let calls = Calls::new(settings.deadline()?).map_err(|error| failed(error.to_string()))?;
        Ok(Self { client, prefix, store, calls })
    }

    fn client(&self) -> Result<Arc<dyn ObjectStore>, StoreProblem> {
        match &self.client {
            Client::Folder(folder) => folder::client(folder),
            #[cfg(feature = "s3")]
            Client::Bucket(client) => Ok(Arc::clone(client)),
        }
    }

    fn path(&self, object: &str) -> Path {
        Path::from(format!("{}{object}", self.prefix))
    }

    fn at<T>(
        &self,
        action: &'static str,
        object: &str,
        result: Result<T, StoreProblem>,
    ) -> Result<T, StoreError> {
        result.map_err(|problem| StoreError {
            action,
            store: self.store.clone(),
            object: object.to_owned(),
            problem,
        })
    }

    fn put_whole(&self, path: Path, bytes: &[u8]) -> Result<(), StoreProblem> {
        let (client, payload) = (self.client()?, PutPayload::from(bytes.to_vec()));
        self.calls.run(async move { client.put(&path, payload).await.map(drop) })
    }

    fn put_parts(
        &self,
        path: Path,
        bytes: &[u8],
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), StoreProblem> {
        let client = self.client()?;
        let mut upload = self.calls.run(async move { client.put_multipart(&path).await })?;
        for part in bytes.chunks(PART_BYTES.max(bytes.len().div_ceil(PARTS_MAX))) {
            let sent = match go_on() {
                true => self.send_part(upload, part.to_vec())?,
                false => (upload, Err(StoreProblem::Stopped)),
            };
            upload = sent.0;
            if let Err(problem) = sent.1 {
                // The parts are no object; what is not removed here the bucket's rules may.
                let _ = self.calls.run(async move { upload.abort().await });
                return Err(problem);
            }
        }
        self.calls.run(async move { upload.complete().await.map(drop) })
    }

    /// Sends a part; the upload comes back with what became of it.
    fn send_part(
        &self,
        mut upload: Box<dyn MultipartUpload>,
        part: Vec<u8>,
    ) -> Result<SentPart, StoreProblem> {
        self.calls.run_with(async move {
            let sent = upload.put_part(PutPayload::from(part)).await;
            (upload, sent.map_err(|error| crate::problem::problem(&error)))
        })
    }

    fn make_durable(&self, object: &str) -> Result<(), StoreProblem> {
        match &self.client {
            Client::Folder(folder) => folder::make_durable(folder, object),
            #[cfg(feature = "s3")]
            Client::Bucket(_) => Ok(()),
        }
    }

    fn make_removal_durable(&self, object: &str) -> Result<(), StoreProblem> {
        match &self.client {
            Client::Folder(folder) => folder::make_removal_durable(folder, object),
            #[cfg(feature = "s3")]
            Client::Bucket(_) => Ok(()),
        }
    }
}

#[cfg(feature = "s3")]
fn bucket_client(settings: &StoreSettings, bucket: &str) -> Result<Client, SettingsError> {
    crate::s3::client(settings, bucket).map(Client::Bucket)
}

#[cfg(not(feature = "s3"))]
fn bucket_client(settings: &StoreSettings, _bucket: &str) -> Result<Client, SettingsError> {
    let (store, reason) = (settings.url.clone(), "this program was built without S3".to_owned());
    Err(SettingsError::Client { store, reason })
}

impl SegmentStore for ObjectSegments {
    fn describe(&self) -> String {
        self.store.clone()
    }

    fn put(&self, object: &str, bytes: &[u8], go_on: &dyn Fn() -> bool) -> Result<(), StoreError> {
        let path = self.path(object);
        let put = match bytes.len() <= PART_BYTES {
            true => self.put_whole(path, bytes),
            false => self.put_parts(path, bytes, go_on),
        };
        self.at("store", object, put.and_then(|()| self.make_durable(object)))
    }

    fn get_range(&self, object: &str, offset: u64, len: u64) -> Result<Vec<u8>, StoreError> {
        let (path, end) = (self.path(object), offset.saturating_add(len));
        let got = self.client().and_then(|client| {
            self.calls.run(async move { client.get_range(&path, offset..end).await })
        });
        Ok(self.at("read", object, got)?.to_vec())
    }

    fn size(&self, object: &str) -> Result<Option<u64>, StoreError> {
        let path = self.path(object);
        let found = self
            .client()
            .and_then(|client| self.calls.run(async move { client.head(&path).await }));
        match found {
            Ok(meta) => Ok(Some(meta.size)),
            Err(StoreProblem::Missing) => Ok(None),
            Err(problem) => self.at("look for", object, Err(problem)),
        }
    }

    fn remove(&self, object: &str) -> Result<(), StoreError> {
        let path = self.path(object);
        let removed = self
            .client()
            .and_then(|client| self.calls.run(async move { client.delete(&path).await }));
        let removed = match removed {
            Err(StoreProblem::Missing) => Ok(()),
            // Not every server says in its answer what it removed.
            Err(StoreProblem::Other(_)) if self.size(object) == Ok(None) => Ok(()),
            removed => removed,
        };
        self.at("remove", object, removed.and_then(|()| self.make_removal_durable(object)))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let path = self.path(folder.trim_end_matches('/'));
        let listed = self.client().and_then(|client| {
            self.calls.run(async move {
                let names = client.list(Some(&path)).map_ok(|meta| meta.location.to_string());
                names.try_collect::<Vec<String>>().await
            })
        });
        let listed = self.at("list", folder, listed)?;
        let names = listed.iter().filter_map(|name| name.strip_prefix(&self.prefix));
        Ok(names.map(str::to_owned).collect())
    }
}
