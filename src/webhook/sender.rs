//! Sending one message once, and how long to wait before it is sent again.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};

use super::reach::Receivers;
use super::signature::Secret;

/// How long a receiver may take for its answer.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// How long the first wait after a failure is, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));

/// Why a message is not delivered.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// It is tried again, not before this time where the receiver said one.
    Later(String, Option<Duration>),
    /// The receiver wants no more.
    Never(String),
}

/// Sends messages; cloning is cheap.
#[derive(Clone)]
pub(crate) struct Sender {
    client: Client,
}

impl Sender {
    /// One that goes to no address of the link, and follows nobody elsewhere.
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(ANSWER_TIME)
            // An address that was checked is not left for another.
            .redirect(Policy::none())
            .dns_resolver(Arc::new(Receivers))
            .user_agent(concat!("chronolith/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client })
    }

    /// Sends a message, signed with a secret at the present time.
    pub(crate) async fn send(
        &self,
        url: &Url,
        secret: &Secret,
        id: &str,
        body: &str,
    ) -> Result<(), Undelivered> {
        let timestamp_s = now().as_secs();
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", secret.sign(id, timestamp_s, body.as_bytes()))
            .body(body.to_owned());
        let answer = match request.send().await {
            Ok(answer) => answer,
            // Without the address, which may hold a secret of its own.
            Err(error) => return Err(Undelivered::Later(error.without_url().to_string(), None)),
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let reason = format!("the receiver answers {status}");
        if status == StatusCode::GONE {
            return Err(Undelivered::Never(reason));
        }
        let wanted = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wanted = wanted.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        Err(Undelivered::Later(reason, wanted))
    }
}

/// The waits between tries: each twice as long as the one before.
pub(crate) struct Waits {
    next: Duration,
}

impl Waits {
    /// Those after a first try.
    pub(crate) const fn new() -> Self {
        Self { next: RETRY.0 }
    }

    /// How long to wait now; as long as the receiver wants, within bounds.
    pub(crate) fn next(&mut self, wanted: Option<Duration>) -> Duration {
        let wait = wanted.unwrap_or(self.next).clamp(RETRY.0, RETRY.1);
        self.next = (2 * self.next).min(RETRY.1);
        wait
    }
}

/// The time of day since the epoch.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_keep_to_what_the_receiver_says() {
        let mut waits = Waits::new();
        let seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 3_600];
        for expected in seconds {
            assert_eq!(waits.next(None), Duration::from_secs(expected));
        }
        assert_eq!(waits.next(Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(waits.next(Some(Duration::ZERO)), Duration::from_secs(1));
        assert_eq!(waits.next(Some(Duration::from_secs(90_000))), Duration::from_secs(3_600));
    }
}
