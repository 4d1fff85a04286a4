//! What the configuration says of the broker and its topics.

use std::path::{Path, PathBuf};

use chronolith_engine::Kind;
use serde::{Deserialize, Serialize};

use super::topic::{Filter, Pattern};
use crate::ingest::TimeFormat;

/// The longest payload that a bridge takes where nothing else is said: 1 MiB.
const fn default_payload() -> usize {
    1 << 20
}

const fn default_quality() -> u8 {
    1
}

/// A broker, and what is taken from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSettings {
    /// Where the broker is: `mqtt://HOST:1883`, or `mqtts://HOST:8883` by TLS.
    pub broker: String,
    /// The name that the broker keeps the session by. Two bridges of one name throw each other out.
    pub client_id: String,
    /// The user, where the broker asks for one.
    pub user: Option<String>,
    /// The file of the password.
    pub password_file: Option<PathBuf>,
    /// The file of the authorities that the broker's certificate may be of (PEM); those of the
    /// system where absent.
    pub authorities: Option<PathBuf>,
    /// The longest message that is taken: bytes.
    #[serde(default = "default_payload")]
    pub payload_bytes: usize,
    /// What is subscribed to. A message is read by the first one that it matches.
    pub topics: Vec<TopicSettings>,
}

/// Messages of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSettings {
    /// The topics: `fleet/+/telemetry`, `sensors/#`.
    pub filter: String,
    /// What the messages hold.
    pub payload: Payload,
    /// How times of JSON are written: s, ms, us, ns, rfc3339 or a pattern; as RFC 3339 where absent.
    pub time_format: Option<String>,
    /// The quality of service that is asked for: 0, 1 or 2.
    #[serde(default = "default_quality")]
    pub quality: u8,
    /// The device, where the payload names none: `{2}` is the second level of the topic.
    pub device: Option<String>,
    /// The name of the metric of single values; the last level of the topic where absent.
    pub metric: Option<String>,
    /// The kind of single values; by their looks where absent: `true` and `false`, numbers, text.
    pub kind: Option<String>,
    /// The unit of single values.
    #[serde(default)]
    pub unit: String,
    /// Tags of every record: `site = "{1}"`.
    #[serde(default)]
    pub tags: std::collections::BTreeMap<String, String>,
}

/// What a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// Influx line protocol, any number of lines.
    Line,
    /// JSON objects, one a line. One without a time has that of its arrival.
    Json,
    /// One value as text, of the time of its arrival.
    Value,
}

/// Why a bridge cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MqttError {
    /// A setting that cannot be.
    #[error("mqtt.{key} is {value:?}: {reason}")]
    Setting {
        /// The key of the configuration.
        key: String,
        /// What it says.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("{file} cannot be read: {reason}")]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// No thread could be started.
    #[error("the thread of the bridge cannot be started: {0}")]
    Thread(std::io::Error),
}

impl MqttError {
    pub(super) fn setting(key: impl Into<String>, value: &str, reason: &str) -> Self {
        Self::Setting { key: key.into(), value: value.to_owned(), reason: reason.to_owned() }
    }
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

/// What is done with messages of one kind, checked.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) filter: Filter,
    pub(super) quality: u8,
    pub(super) payload: Payload,
    pub(super) time_format: Option<TimeFormat>,
    pub(super) device: Option<Pattern>,
    pub(super) metric: Option<Pattern>,
    pub(super) kind: Option<Kind>,
    pub(super) unit: String,
    pub(super) tags: Vec<(String, Pattern)>,
}

impl MqttSettings {
    pub(super) fn broker(&self) -> Result<Broker, MqttError> {
        let wrong = || {
            let reason = "write it as mqtt://HOST:1883, or mqtts://HOST:8883 for TLS";
            MqttError::setting("broker", &self.broker, reason)
        };
        let (scheme, rest) = self.broker.split_once("://").ok_or_else(wrong)?;
        let (tls, usual) = match scheme {
            "mqtt" | "tcp" => (false, 1_883),
            "mqtts" | "ssl" => (true, 8_883),
            _ => return Err(wrong()),
        };
        let place = rest.strip_suffix('/').unwrap_or(rest);
        // The colons of an address of IPv6 are in brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (place, usual),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['/', '@', '?']) {
            return Err(wrong());
        }
        Ok(Broker { host: host.to_owned(), port, tls })
    }

    pub(super) fn topics(&self) -> Result<Vec<Topic>, MqttError> {
        if self.topics.is_empty() {
            return Err(MqttError::setting("topics", "", "name at least one filter of topics"));
        }
        self.topics.iter().enumerate().map(|(at, topic)| topic.checked(at)).collect()
    }

    /// The user and the password, where there are any.
    pub(super) fn login(&self, folder: &Path) -> Result<Option<(String, String)>, MqttError> {
        let Some(user) = &self.user else { return Ok(None) };
        let password = match &self.password_file {
            Some(file) => {
                let file = folder.join(file);
                let read = std::fs::read_to_string(&file);
                let read =
                    read.map_err(|error| MqttError::File { file, reason: error.to_string() })?;
                read.trim_end_matches(['\r', '\n']).to_owned()
            }
            None => String::new(),
        };
        Ok(Some((user.clone(), password)))
    }
}

impl TopicSettings {
    fn checked(&self, at: usize) -> Result<Topic, MqttError> {
        let key = |name: &str| format!("topics[{at}].{name}");
        let filter = Filter::parse(&self.filter)
            .map_err(|reason| MqttError::setting(key("filter"), &self.filter, reason))?;
        let pattern = |name: &str, text: &str| {
            Pattern::parse(text).map_err(|reason| MqttError::setting(key(name), text, reason))
        };
        let optional = |name: &str, text: &Option<String>| {
            text.as_deref().map(|text| pattern(name, text)).transpose()
        };
        if self.quality > 2 {
            let quality = self.quality.to_string();
            return Err(MqttError::setting(key("quality"), &quality, "it is 0, 1 or 2"));
        }
        let kind = self.kind.as_deref().map(|text| {
            let wrong = "kinds are f64, i64, u64, bool, text and bytes";
            text.parse().map_err(|_| MqttError::setting(key("kind"), text, wrong))
        });
        let time_format = self.time_format.as_deref().map(|text| {
            TimeFormat::parse(text)
                .map_err(|reason| MqttError::setting(key("time_format"), text, &reason))
        });
        let only_values = [("metric", &self.metric), ("kind", &self.kind)];
        if self.payload != Payload::Value {
            for (name, text) in only_values {
                if let Some(text) = text {
                    let reason = "it is for payload = \"value\"; lines and JSON name their own";
                    return Err(MqttError::setting(key(name), text, reason));
                }
            }
        }
        Ok(Topic {
            filter,
            quality: self.quality,
            payload: self.payload,
            time_format: time_format.transpose()?,
            device: optional("device", &self.device)?,
            metric: optional("metric", &self.metric)?,
            kind: kind.transpose()?,
            unit: self.unit.clone(),
            tags: self
                .tags
                .iter()
                .map(|(name, text)| Ok((name.clone(), pattern(&format!("tags.{name}"), text)?)))
                .collect::<Result<_, MqttError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn settings(broker: &str) -> MqttSettings {
        let text = format!(
            "broker = '{broker}'\nclient_id = 'c'\n[[topics]]\nfilter = 'a/+/b'\npayload = 'line'\n"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn brokers_are_written_as_addresses() {
        let at = |text: &str| {
            settings(text).broker().map(|broker| (broker.host, broker.port, broker.tls))
        };
        assert_eq!(at("mqtt://broker").unwrap(), ("broker".to_owned(), 1_883, false));
        assert_eq!(at("mqtts://broker:99/").unwrap(), ("broker".to_owned(), 99, true));
        assert_eq!(at("mqtt://[::1]:1884").unwrap(), ("::1".to_owned(), 1_884, false));
        assert_eq!(at("mqtt://[::1]").unwrap(), ("::1".to_owned(), 1_883, false));
        for wrong in [
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://a:b",
            "mqtt://user:pass@host:1",
            "mqtt://a:70000",
        ] {
            let error = at(wrong).unwrap_err().to_string();
            assert!(error.contains("mqtt.broker") && error.contains("mqtts://"), "{error}");
        }
    }

    #[test]
    fn topics_that_cannot_be_are_named_by_their_key() {
        let with = |change: &dyn Fn(&mut TopicSettings)| {
            let mut settings = settings("mqtt://b");
            change(&mut settings.topics[0]);
            settings.topics().map(|topics| topics.len())
        };
        assert_eq!(with(&|_| ()).unwrap(), 1);
        let error = |change: &dyn Fn(&mut TopicSettings)| with(change).unwrap_err().to_string();
        assert!(error(&|topic| topic.filter = "a/#/b".into()).contains("topics[0].filter"));
        assert!(error(&|topic| topic.quality = 3).contains("topics[0].quality"));
        assert!(error(&|topic| topic.device = Some("{0}".into())).contains("topics[0].device"));
        assert!(error(&|topic| topic.metric = Some("speed".into())).contains("payload"));
        let tag = error(&|topic| drop(topic.tags.insert("site".into(), "{x}".into())));
        assert!(tag.contains("topics[0].tags.site"), "{tag}");
        let kind = error(&|topic| {
            topic.payload = Payload::Value;
            topic.kind = Some("float".into());
        });
        assert!(kind.contains("f64"), "{kind}");
    }
}
