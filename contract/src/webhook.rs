//! Webhooks in: messages signed by Standard Webhooks (<https://www.standardwebhooks.com>), each taken once.
//!
//! A message counts when its signature is made with the shared secret, its time is near, and its id was not
//! seen before. How many ids are remembered is bounded: while all of them are still near in time, further
//! messages are refused and sent again later, instead of forgetting one that could then be replayed.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What a secret begins with as text.
const PREFIX: &str = "whsec_";
/// How many bytes a secret has: at least and at most.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How far a message's time may be from now: seconds, as the standard's own libraries have it.
pub const TOLERANCE_S: u64 = 300;
/// The longest id of a message: bytes.
pub const ID_BYTES_MAX: usize = 256;
/// The most signatures in a header: a sender that changes its secret sends two.
const SIGNATURES_MAX: usize = 8;
/// The longest body: bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What sender and receiver share. It is not printed, and leaves no copy behind.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// The headers of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since the epoch.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// A header is not of its form.
    #[error("the header {0} is not of its form")]
    Header(&'static str),
    /// The body is too long.
    #[error("the body has more than {BODY_BYTES_MAX} bytes")]
    Long,
    /// The time is too long ago, or to come.
    #[error("the message is of second {at}, and now is {now}: at most {TOLERANCE_S} seconds apart")]
    Time {
        /// The message's time.
        at: u64,
        /// The time of the receiver.
        now: u64,
    },
    /// No signature is made with a secret of the receiver.
    #[error("no signature is made with the shared secret")]
    Signature,
    /// The message was taken before.
    #[error("the message was taken before")]
    Again,
    /// As many messages as are remembered came within a few minutes.
    #[error("too many messages at once: send it again in a few minutes")]
    Full,
}

impl WebhookError {
    /// The status to answer with: 2xx for a message that was taken before, so that nobody sends it again.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Again => 200,
            Self::Long => 413,
            Self::Full => 503,
            Self::Signature => 401,
            Self::Header(_) | Self::Time { .. } => 400,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<[u8; 32]> for Secret {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl Secret {
    /// A secret of random bytes.
    ///
    /// # Errors
    /// A sentence, where there are less than 24 bytes or more than 64.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err("a secret has 24 to 64 bytes");
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let digits = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = STANDARD.decode(digits).map_err(|_| "a secret is whsec_ and base64")?;
        Self::from_bytes(&Zeroizing::new(bytes))
    }

    /// As text, for who is entitled to it.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(&*self.0)))
    }

    fn mac(&self, id: &str, timestamp_s: u64, body: &[u8]) -> Option<Hmac<Sha256>> {
        // Keys of any length are taken.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        Some(mac)
    }

    /// The header `webhook-signature` of a message.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        match self.mac(id, timestamp_s, body) {
            Some(mac) => format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())),
            None => String::new(),
        }
    }

    /// Whether one of the signatures of a header is made with this secret. It takes as long wherever they
    /// differ.
    fn is_signed(&self, headers: Headers<'_>, timestamp_s: u64, body: &[u8]) -> bool {
        let signatures = headers.signature.split(' ').take(SIGNATURES_MAX);
        let of_version = signatures.filter_map(|one| one.strip_prefix("v1,"));
        of_version.filter_map(|digits| STANDARD.decode(digits).ok()).any(|signature| {
            let mac = self.mac(headers.id, timestamp_s, body);
            mac.is_some_and(|mac| mac.verify_slice(&signature).is_ok())
        })
    }
}

/// Verifies messages and remembers which it took.
#[derive(Debug)]
pub struct Receiver {
    secrets: Vec<Secret>,
    ids_max: usize,
    /// The latest time at which a message was taken.
    latest_s: u64,
    /// When an id can be forgotten: it is too old to be taken again.
    ids: HashMap<String, u64>,
    by_time: BTreeSet<(u64, String)>,
}

impl Receiver {
    /// A receiver that remembers at most so many ids of at most [`ID_BYTES_MAX`] bytes. While a secret is
    /// changed, there are two.
    #[must_use]
    pub fn new(secrets: Vec<Secret>, ids_max: usize) -> Self {
        Self { secrets, ids_max, latest_s: 0, ids: HashMap::new(), by_time: BTreeSet::new() }
    }

    /// Whether a message would be taken. Who can use it only after something else has succeeded takes it then, so that one
    /// that could not be used may be sent again.
    ///
    /// # Errors
    /// As [`Receiver::take`].
    pub fn look(
        &mut self,
        headers: Headers<'_>,
        body: &[u8],
        now_s: u64,
    ) -> Result<(), WebhookError> {
        let now_s = now_s.max(self.latest_s);
        let at = check(headers, body, now_s)?;
        if !self.secrets.iter().any(|secret| secret.is_signed(headers, at, body)) {
            return Err(WebhookError::Signature);
        }
        // Only a message that is signed moves the time on.
        self.latest_s = now_s;
        self.forget(now_s);
        if self.ids.contains_key(headers.id) {
            return Err(WebhookError::Again);
        }
        if self.ids.len() >= self.ids_max {
            return Err(WebhookError::Full);
        }
        Ok(())
    }

    /// Takes a message, once. `now_s` is the time of the receiver: seconds since the epoch. A clock that
    /// goes back stands still here, so that nothing is taken twice.
    ///
    /// # Errors
    /// [`WebhookError`]; nothing is remembered then.
    pub fn take(
        &mut self,
        headers: Headers<'_>,
        body: &[u8],
        now_s: u64,
    ) -> Result<(), WebhookError> {
        self.look(headers, body, now_s)?;
        let now_s = self.latest_s;
        // Another message may come with the same id and a later time, so that the id is kept as long as
        // any message that could be taken now is near.
        let until = now_s.saturating_add(2 * TOLERANCE_S);
        self.ids.insert(headers.id.to_owned(), until);
        self.by_time.insert((until, headers.id.to_owned()));
        Ok(())
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.ids.len()
    }

    fn forget(&mut self, now_s: u64) {
        while let Some((until, id)) = self.by_time.first().cloned() {
            if until >= now_s {
                return;
            }
            self.by_time.pop_first();
            self.ids.remove(&id);
        }
    }
}

/// What can be told without a secret: the message's time.
fn check(headers: Headers<'_>, body: &[u8], now_s: u64) -> Result<u64, WebhookError> {
    if headers.id.is_empty() || headers.id.len() > ID_BYTES_MAX || headers.id.contains('.') {
        return Err(WebhookError::Header("webhook-id"));
    }
    if body.len() > BODY_BYTES_MAX {
        return Err(WebhookError::Long);
    }
    let is_digits = headers.timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let at: u64 = match headers.timestamp.parse() {
        Ok(at) if is_digits => at,
        _ => return Err(WebhookError::Header("webhook-timestamp")),
    };
    if at.abs_diff(now_s) > TOLERANCE_S {
        return Err(WebhookError::Time { at, now: now_s });
    }
    Ok(at)
}
