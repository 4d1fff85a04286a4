//! The configuration of a node: one TOML file. Paths in it are relative to its folder.

mod process;
mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use chronolith_chain::hash::BlockId;
use chronolith_engine::Options;
use chronolith_net::network::KnownPeer;
use serde::{Deserialize, Serialize};

use super::{NodeError, ProducingSettings, SellingSettings};
use crate::http::HttpSettings;
#[cfg(feature = "mqtt")]
use crate::mqtt::MqttSettings;
use crate::wallet::secret_of;
pub use process::{AloneSettings, ProcessSettings};

/// What a node is told by its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// Where the file is, so that its paths can be found.
    #[serde(skip)]
    pub place: PathBuf,
    /// The chain that the node follows.
    pub chain: ChainSettings,
    /// How it reaches others, and they it.
    pub network: PeerSettings,
    /// Where it validates; a node without only follows.
    pub validator: Option<ValidatorSettings>,
    /// Where it keeps fragments for others.
    pub storage: Option<StorageSettings>,
    /// The database that it writes into and answers from.
    pub database: Option<DatabaseSettings>,
    /// How the database is served over HTTP.
    pub http: Option<HttpSettings>,
    /// The broker that the database takes records from.
    #[cfg(feature = "mqtt")]
    pub mqtt: Option<MqttSettings>,
    /// Where it anchors, packs and places what the database seals.
    pub producer: Option<ProducingSettings>,
    /// Where it answers requests for what the database holds.
    pub market: Option<SellingSettings>,
}

/// The database of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Its directory, which is made where there is none.
    #[serde(default = "default_database")]
    pub path: PathBuf,
    /// How often it is looked for windows to seal: seconds.
    #[serde(default = "default_seal_interval")]
    pub seal_interval_s: u64,
    /// How long after its end a window still waits for records before it is sealed: seconds.
    #[serde(default = "default_lateness")]
    pub lateness_s: u64,
}

impl DatabaseSettings {
    /// How the database is opened.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            seal_interval: Duration::from_secs(self.seal_interval_s.max(1)),
            lateness: Duration::from_secs(self.lateness_s),
            ..Options::default()
        }
    }
}

const fn default_seal_interval() -> u64 {
    60
}

const fn default_lateness() -> u64 {
    300
}

/// The chain that the node follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainSettings {
    /// The file of the genesis.
    pub genesis: PathBuf,
    /// The folder of state, blocks and log.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// The least time between two blocks, in milliseconds.
    #[serde(default = "default_interval")]
    pub interval_ms: u64,
    /// After how long a block is made although there is nothing to commit, in milliseconds.
    #[serde(default = "default_heartbeat")]
    pub heartbeat_ms: u64,
    /// Whether the node joins by a snapshot of the state: where this is not said, if its folder is empty;
    /// `true`: also in place of a chain that is far behind; `false`: never.
    #[serde(default)]
    pub snapshot: Option<bool>,
    /// A block that is trusted, which the way to a snapshot begins at: its height and its id, as
    /// `1200:HEX`. Without it that is the genesis.
    #[serde(default)]
    pub trust: Option<String>,
    /// A snapshot is made for others at every height that this divides; 0 for none.
    #[serde(default = "default_snapshot_blocks")]
    pub snapshot_blocks: u64,
}

/// How the node reaches others, and they it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSettings {
    /// The file of the key that connections are authenticated with.
    #[serde(default = "default_network_key")]
    pub key: PathBuf,
    /// Where to listen: `/ip4/0.0.0.0/tcp/4100`, `/ip4/0.0.0.0/udp/4100/quic-v1`.
    pub listen: Vec<String>,
    /// Peers to keep a connection with: `/ip4/192.0.2.1/tcp/4100/p2p/12D3…`.
    #[serde(default)]
    pub known: Vec<String>,
    /// Whether the node can be dialled where it listens. Without this, peers are asked to try it.
    pub reachable: Option<bool>,
    /// Whether it carries first words, and little else, to nodes that cannot be dialled.
    #[serde(default)]
    pub relay: bool,
    /// Whether addresses of private networks are believed: on where all peers are in one.
    #[serde(default)]
    pub private_addresses: bool,
    /// The folder of what others announced.
    #[serde(default = "default_announcements")]
    pub announcements: PathBuf,
    /// The most connections from one address; nodes of one house share theirs.
    #[serde(default = "default_per_source")]
    pub connections_per_source: u32,
}

/// How the node validates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorSettings {
    /// The file of the validator's secrets.
    #[serde(default = "default_validator_key")]
    pub key: PathBuf,
    /// The folder of what it signed last: best one that is not restored together with the data.
    #[serde(default = "default_guard")]
    pub guard: PathBuf,
}

/// How the node keeps fragments for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSettings {
    /// The file of the secret of the account that is paid.
    #[serde(default = "default_storage_key")]
    pub key: PathBuf,
    /// The folder of the fragments.
    #[serde(default = "default_fragments")]
    pub fragments: PathBuf,
    /// How many bytes are offered.
    pub capacity_bytes: u64,
    /// What is asked for a GiB and an epoch: coin as 12 or 0.5, or the smallest unit as 250motes.
    pub price_per_gib: String,
    /// Where others reach the node, where that is not the first address it listens on.
    pub address: Option<String>,
    /// Where it is: a country, a data centre; at most 16 characters.
    #[serde(default)]
    pub region: String,
}

pub(super) fn default_wallet() -> PathBuf {
    "wallet".into()
}

pub(super) fn default_account() -> String {
    "main".to_owned()
}

fn default_database() -> PathBuf {
    "database".into()
}

fn default_storage_key() -> PathBuf {
    "storage.key".into()
}

fn default_fragments() -> PathBuf {
    "fragments".into()
}

fn default_data() -> PathBuf {
    "data".into()
}

const fn default_interval() -> u64 {
    1_000
}

const fn default_heartbeat() -> u64 {
    60_000
}

/// How many blocks are between two snapshots, unless the configuration says otherwise.
const fn default_snapshot_blocks() -> u64 {
    1_000
}

fn default_network_key() -> PathBuf {
    "network.key".into()
}

fn default_announcements() -> PathBuf {
    "announcements".into()
}

const fn default_per_source() -> u32 {
    32
}

fn default_validator_key() -> PathBuf {
    "validator.key".into()
}

fn default_guard() -> PathBuf {
    "guard".into()
}

impl NodeSettings {
    /// Reads a file, and the variables of the environment that stand for its keys.
    ///
    /// # Errors
    /// What the disk says, or what is wrong with it, with line and column.
    pub fn read(place: &Path) -> Result<Self, NodeError> {
        Self::parse(place, &text::read(place)?, &text::variables())
    }

    fn parse(place: &Path, text: &str, variables: &[(String, String)]) -> Result<Self, NodeError> {
        let mut settings: Self = text::parse(place, text, variables)?;
        settings.place = place.to_owned();
        if settings.database.is_some() {
            return Ok(settings);
        }
        let needing =
            [("http", settings.http.is_some()), ("producer", settings.producer.is_some())];
        #[cfg(feature = "mqtt")]
        let needing = needing.into_iter().chain([("mqtt", settings.mqtt.is_some())]);
        match needing.into_iter().find(|(_, is_there)| *is_there) {
            None => Ok(settings),
            Some((section, _)) => Err(text::wrong(
                place,
                format!("[{section}] needs a database; add [database] with its path"),
            )),
        }
    }

    /// The text of a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        // There is nothing in it that TOML cannot say.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// The block that is trusted: its height and id.
    ///
    /// # Errors
    /// Where it is not written as one.
    pub(super) fn trusted_block(&self) -> Result<Option<(u64, BlockId)>, NodeError> {
        let Some(text) = &self.chain.trust else { return Ok(None) };
        let read = text.split_once(':').and_then(|(height, id)| {
            let height = height.parse().ok().filter(|height| *height > 0)?;
            Some((height, BlockId(secret_of(id).ok()?)))
        });
        read.map(Some).ok_or_else(|| NodeError::Settings {
            place: self.place.clone(),
            reason: format!(
                "chain.trust is {text:?}: write the height of a block and its id, as \
                 1200:HEX with 64 hexadecimal digits"
            ),
        })
    }

    /// The peers that are known beforehand.
    ///
    /// # Errors
    /// Where an address is none.
    pub(super) fn known(&self) -> Result<Vec<KnownPeer>, NodeError> {
        Ok(self.network.known.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
    }

    /// Where a path of the file leads.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.place.parent().unwrap_or(Path::new("")).join(path)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::fs;

    use super::*;

    #[test]
    fn short_files_have_defaults_and_mistakes_are_shown_where_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("node.toml");
        let read = |text: &str| {
            fs::write(&place, text).unwrap();
            NodeSettings::read(&place)
        };
        let text = "[chain]\ngenesis = 'g'\n[network]\nlisten = []\n";
        let settings = read(text).unwrap();
        assert_eq!(settings.chain.interval_ms, 1_000);
        assert_eq!((settings.network.reachable, settings.network.relay), (None, false));
        assert_eq!((settings.chain.snapshot, settings.chain.snapshot_blocks), (None, 1_000));
        assert_eq!(settings.trusted_block().unwrap(), None);
        assert_eq!(settings.path(&settings.network.key), directory.path().join("network.key"));
        assert_eq!(read(&settings.to_text()).unwrap(), settings);
        for (text, said) in [
            ("[chain]\ngenesis = 'g'\n[network]\nlisten = []\nknwon = []\n", "line 5"),
            ("[chain]\ngenesis = 'g'\n", "network"),
            ("[chain\n", "line 1"),
            ("[chain]\ngenesis = 7\n", "line 2"),
            ("[chain]\ngenesis = 'g'\n[network]\nlisten = []\n[http]\n", "[database]"),
            ("[chain]\ngenesis = 'g'\n[network]\nlisten = []\n[http]\nlsten = ''\n", "line 6"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_block_that_is_trusted_has_a_height_and_an_id() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("node.toml");
        let read = |trust: &str| {
            let text =
                format!("[chain]\ngenesis = 'g'\ntrust = '{trust}'\n[network]\nlisten = []\n");
            fs::write(&place, text).unwrap();
            NodeSettings::read(&place).unwrap().trusted_block()
        };
        let id = "ab".repeat(32);
        let expected = Some((1_200, BlockId([0xab; 32])));
        assert_eq!(read(&format!("1200:{id}")).unwrap(), expected);
        for wrong in ["", "1200", &id, &format!("0:{id}"), &format!("-1:{id}"), "1200:ab"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("1200:HEX"), "{error}");
        }
    }
}
