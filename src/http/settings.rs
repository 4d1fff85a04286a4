//! Where to listen, who may come in, and what they may take.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::HttpError;
use super::callers::AuthoritySettings;

/// How a server is run; [`HttpSettings::default`] listens on loopback, where it needs no tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// The address to listen on: `127.0.0.1:8428`, `[::1]:0`.
    pub listen: String,
    /// The file of tokens. Without it everybody may do everything.
    pub tokens: Option<PathBuf>,
    /// The certificates of the server, its own first, as PEM. Without them there is no TLS.
    pub certificate: Option<PathBuf>,
    /// The key of the certificate, as PEM.
    pub key: Option<PathBuf>,
    /// Who is believed who a caller with a certificate is, and what is open to him then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<AuthoritySettings>,
    /// The service of the ledger that this server is: its owner gives access for a time.
    pub service: Option<String>,
    /// Whether to listen beyond loopback without TLS: for those who have it in front.
    pub allow_plain: bool,
    /// Whether to listen beyond loopback without tokens.
    pub allow_all: bool,
    /// The most connections.
    pub connections: usize,
    /// The most connections from one address.
    pub connections_per_source: usize,
    /// The longest head of a request: bytes.
    pub head_bytes: usize,
    /// The most headers of a request.
    pub headers: usize,
    /// How long the head of a request, or TLS, may take, and how long a connection may be idle: seconds.
    pub head_time_s: u64,
    /// The longest body, as it is sent and when it is unpacked: bytes.
    pub body_bytes: usize,
    /// The most that the bodies of all requests take in memory, with what messages are decoded into: bytes.
    pub bodies_bytes: usize,
    /// How long a client may send or take nothing in the middle of a body or an answer: seconds.
    pub stall_time_s: u64,
    /// The slowest that a body may come, behind its first seconds: bytes a second.
    pub body_bytes_per_s: usize,
    /// The longest time of a request until its answer begins: seconds.
    pub request_time_s: u64,
    /// How many bodies are taken apart at a time; 0 for as many as there are processors.
    pub writes: usize,
    /// How many queries run at a time; 0 for twice as many as there are processors.
    pub queries: usize,
    /// The most memory of one query: bytes.
    pub query_memory_bytes: usize,
    /// The most clients that follow continuous queries.
    pub followers: usize,
    /// How long requests may go on after the server is told to stop: seconds.
    pub stop_time_s: u64,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8428".to_owned(),
            tokens: None,
            certificate: None,
            key: None,
            authorities: Vec::new(),
            service: None,
            allow_plain: false,
            allow_all: false,
            connections: 1_024,
            connections_per_source: 512,
            head_bytes: 32 << 10,
            headers: 64,
            head_time_s: 30,
            body_bytes: 64 << 20,
            bodies_bytes: 256 << 20,
            stall_time_s: 20,
            body_bytes_per_s: 1_000,
            request_time_s: 60,
            writes: 0,
            queries: 0,
            query_memory_bytes: 256 << 20,
            followers: 256,
            stop_time_s: 10,
        }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl HttpSettings {
    /// Reads a file of TOML; its paths are relative to its folder.
    ///
    /// # Errors
    /// What the disk says, or what is wrong with it, with line and column.
    pub fn read(place: &Path) -> Result<Self, HttpError> {
        let wrong = |reason: String| HttpError::Settings { place: place.to_owned(), reason };
        let text = fs::read_to_string(place).map_err(|error| wrong(error.to_string()))?;
        let settings: Self = toml::from_str(&text)
            .map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        Ok(settings.beside(place))
    }

    /// The same with paths that are relative to the folder of a file.
    #[must_use]
    pub fn beside(mut self, file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        for place in [&mut self.tokens, &mut self.certificate, &mut self.key] {
            *place = place.take().map(|place| folder.join(place));
        }
        for authority in &mut self.authorities {
            authority.certificate = folder.join(&authority.certificate);
        }
        self
    }

    /// A length of time; none is shorter than a second.
    pub(super) const fn time(seconds: u64) -> Duration {
        Duration::from_secs(if seconds == 0 { 1 } else { seconds })
    }

    /// How many bodies are taken apart at a time.
    pub(super) fn writes(&self) -> usize {
        if self.writes == 0 { processors().max(2) } else { self.writes }
    }

    /// How many queries run at a time.
    pub(super) fn queries(&self) -> usize {
        if self.queries == 0 { 2 * processors() } else { self.queries }
    }
}
