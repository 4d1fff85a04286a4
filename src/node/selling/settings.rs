//! What the configuration says of the market's role.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chronolith_contract::Compiled;
use serde::{Deserialize, Serialize};

use crate::market::book;
use crate::market::policy::Policy;
use crate::node::{NodeError, NodeSettings, settings};

/// What the configuration says of the owner's role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SellingSettings {
    /// The folder of the wallet with the account that offers.
    #[serde(default = "settings::default_wallet")]
    pub wallet: PathBuf,
    /// The name of the account's key.
    #[serde(default = "settings::default_account")]
    pub account: String,
    /// What is granted without asking where an offer names no contract; nothing, where it is not said.
    #[serde(default)]
    pub policy: Policy,
    /// Files of data contracts: requests for offers that name one are decided by its rules.
    #[serde(default)]
    pub contracts: Vec<PathBuf>,
    /// Files of secrets, by the names of the webhooks of contracts, or `CONTRACT/WEBHOOK`: what they send is
    /// signed with them. A webhook without one sends nothing until it has one.
    #[serde(default)]
    pub webhooks: BTreeMap<String, PathBuf>,
    /// Files of secrets, by the names of others' programs: what these tell of steps of deals is said on the ledger.
    #[serde(default)]
    pub incoming: BTreeMap<String, PathBuf>,
    /// Files of questions: requests for answers to them are answered where a contract or the policy grants them.
    #[serde(default)]
    pub questions: Vec<PathBuf>,
    /// Lists that rules of contracts ask.
    #[serde(default)]
    pub lists: BTreeMap<String, Vec<String>>,
    /// What the owner knows of what accounts ask for, by their addresses: rules of contracts ask it.
    #[serde(default)]
    pub purposes: BTreeMap<String, String>,
    /// The folder of notes to buyers.
    #[serde(default = "default_notes")]
    pub notes: PathBuf,
    /// The folder of packs and their secrets, where the producer's role keeps them elsewhere.
    pub packs: Option<PathBuf>,
    /// How many seconds lie between two looks.
    #[serde(default = "default_every")]
    pub every_s: u64,
    /// How many seconds a block is waited for.
    #[serde(default = "default_deadline")]
    pub deadline_s: u64,
}

fn default_notes() -> PathBuf {
    "notes".into()
}

const fn default_every() -> u64 {
    5
}

const fn default_deadline() -> u64 {
    120
}

impl SellingSettings {
    /// Reads the contracts.
    ///
    /// # Errors
    /// Where one cannot be read or is none.
    pub(crate) fn read_contracts(&self, node: &NodeSettings) -> Result<Vec<Compiled>, NodeError> {
        let contracts = self.contracts.iter().map(|file| book::read(&node.path(file)));
        contracts.collect::<Result<_, _>>().map_err(|error| NodeError::Settings {
            place: node.place.clone(),
            reason: format!("market.contracts: {error}"),
        })
    }
}
