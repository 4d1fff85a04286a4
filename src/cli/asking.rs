//! Asking a node over HTTP.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::usage::Usage;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read: bytes.
const ANSWER_MOST: usize = 16 << 20;

/// Asks a node over HTTP.
pub(super) struct Asking {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: Url,
    token: Option<String>,
}

impl Asking {
    /// Whoever asks the node at an address, with a token where it wants one.
    pub(super) fn new(node: &str, token: Option<&str>) -> Result<Self> {
        let url = Url::parse(node).ok().filter(Url::has_host);
        let Some(url) = url else {
            bail!(Usage(format!("{node} is no address of a node; write http://HOST:PORT")));
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        Ok(Self {
            runtime: runtime.worker_threads(1).enable_all().build()?,
            client: reqwest::Client::builder().timeout(PATIENCE).build()?,
            url,
            token: token.map(|text| text.trim().to_owned()),
        })
    }

    /// The text of an answer; none where the node has no such thing.
    pub(super) fn text(&self, path: &str) -> Result<Option<String>> {
        let mut request = self.client.get(self.url.join(path)?);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        self.runtime.block_on(async {
            let mut answer =
                request.send().await.with_context(|| format!("{} does not answer", self.url))?;
            let status = answer.status();
            if status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let mut bytes = Vec::new();
            while let Some(piece) = answer.chunk().await? {
                if bytes.len() + piece.len() > ANSWER_MOST {
                    bail!("the answer to {path} is longer than {ANSWER_MOST} bytes");
                }
                bytes.extend_from_slice(&piece);
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if !status.is_success() {
                let said = serde_json::from_str::<Value>(&text).ok();
                let said = said.and_then(|said| Some(said["message"].as_str()?.to_owned()));
                bail!("{path} is refused: {}", said.unwrap_or_else(|| status.to_string()));
            }
            Ok(Some(text))
        })
    }

    /// The JSON of an answer; none where the node has no such thing.
    pub(super) fn value(&self, path: &str) -> Result<Option<Value>> {
        let Some(text) = self.text(path)? else { return Ok(None) };
        Ok(Some(serde_json::from_str(&text).with_context(|| format!("{path} answers no JSON"))?))
    }

    /// The address of the node.
    pub(super) const fn url(&self) -> &Url {
        &self.url
    }
}
