//! What a process is to be: a node of a chain, or a database that is served alone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;

use super::text::{parse, read, variables, wrong};
use super::{DatabaseSettings, NodeSettings};
use crate::http::HttpSettings;
#[cfg(feature = "mqtt")]
use crate::mqtt::MqttSettings;
use crate::node::NodeError;

/// Sections that make a process a node of a chain.
const OF_NODES: [&str; 6] = ["chain", "network", "validator", "storage", "producer", "market"];

/// What a configuration makes of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessSettings {
    /// A node that follows a chain, with any roles.
    Node(Box<NodeSettings>),
    /// A database without a chain.
    Alone(Box<AloneSettings>),
}

/// A database without a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AloneSettings {
    /// Where the file is, so that its paths can be found.
    #[serde(skip)]
    pub place: PathBuf,
    /// The database.
    pub database: DatabaseSettings,
    /// How it is served over HTTP.
    pub http: Option<HttpSettings>,
    /// The broker that it takes records from.
    #[cfg(feature = "mqtt")]
    pub mqtt: Option<MqttSettings>,
}

impl ProcessSettings {
    /// Reads a file, and the variables of the environment that stand for its keys.
    ///
    /// # Errors
    /// What the disk says, or what is wrong with it, with line and column.
    pub fn read(place: &Path) -> Result<Self, NodeError> {
        let (text, variables) = (read(place)?, variables());
        let table: Table = parse(place, &text, &variables)?;
        if OF_NODES.iter().any(|section| table.contains_key(*section)) {
            return Ok(Self::Node(Box::new(NodeSettings::parse(place, &text, &variables)?)));
        }
        if table.is_empty() {
            let reason = "it has no section; `chronolith config` prints all of them".to_owned();
            return Err(wrong(place, reason));
        }
        let settings: AloneSettings = parse(place, &text, &variables)?;
        Ok(Self::Alone(Box::new(AloneSettings { place: place.to_owned(), ..settings })))
    }

    /// The text of a file that says the same.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Node(settings) => settings.to_text(),
            // There is nothing in it that TOML cannot say.
            Self::Alone(settings) => toml::to_string_pretty(settings).unwrap_or_default(),
        }
    }
}
