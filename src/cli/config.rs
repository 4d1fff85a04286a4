//! `chronolith config`: what a node's configuration can say.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::Outcome;
use super::output::say;
use crate::node::ProcessSettings;

/// What a node's configuration can say
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print a configuration with every key, what it means and what it is by default
    Keys,
    /// Read a configuration and print it whole, with what the environment changes
    Check(CheckCommand),
}

/// Read a configuration and print it whole, with what the environment changes.
#[derive(Debug, Args)]
pub(super) struct CheckCommand {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Every key with its meaning; a test compares it with what is read.
const KEYS: &str = include_str!("../node/settings/keys.toml");

impl ConfigCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Keys => say!("{}", KEYS.trim_end()),
            Self::Check(command) => {
                say!("{}", ProcessSettings::read(&command.file)?.to_text().trim_end());
            }
        }
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::collections::BTreeSet;

    use toml::{Table, Value};

    use super::*;

    fn keys(prefix: &str, table: &Table, found: &mut BTreeSet<String>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) if name != "tags" => keys(&key, inner, found),
                Value::Array(all) if all.first().is_some_and(Value::is_table) => {
                    all.iter().filter_map(Value::as_table).for_each(|one| keys(&key, one, found));
                }
                _ => drop(found.insert(key)),
            }
        }
    }

    #[test]
    fn the_example_has_every_key_and_reads_as_a_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("node.toml");
        std::fs::write(&place, KEYS).unwrap();
        let written = ProcessSettings::read(&place).unwrap().to_text();
        let (mut example, mut read) = (BTreeSet::new(), BTreeSet::new());
        keys("", &KEYS.parse().unwrap(), &mut example);
        keys("", &written.parse().unwrap(), &mut read);
        assert_eq!(example, read);
        // A key that nobody set is not written: those that may be absent are counted by hand.
        for key in ["chain.trust", "http.certificate", "mqtt.authorities", "storage.address"] {
            assert!(example.contains(key), "{key}");
        }
    }
}
