//! How chunks are cut and where they are kept: as the data contracts say that name their metrics, and as
//! the producer's settings say for all others.
//!
//! A pack holds chunks of one [`Keeping`] alone, so that no contract's chunks are kept by another's. Where
//! several contracts name a metric, the strictest of each holds: the regions that all of them allow, and of
//! their cuts the one that may lose the largest share of its fragments.

use std::cmp::Ordering;

use chronolith_chain::content::ContentId;
use chronolith_contract::{Compiled, Placement};
use chronolith_engine::Metric;
use chronolith_fragment::{Cut, Profile, ShapeError};
use chronolith_net::pack::PackError;

use crate::market::book::is_of;

/// How many peers keep a fragment: the ledger knows one lease of each.
const REPLICAS: u8 = 1;

/// Why chunks cannot be kept as contracts say. They wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// More than one peer is to keep each fragment.
    #[error(
        "{metric} waits: the contract {contract} wants {replicas} replicas of each fragment, and the ledger \
         leases a fragment to one peer; write replicas = 1 and more parity"
    )]
    Replicas {
        /// The metric.
        metric: String,
        /// The contract's name.
        contract: String,
        /// How many it wants.
        replicas: u8,
    },
    /// There is no such way to cut a pack.
    #[error("{metric} waits: the placement of the contract {contract}: {source}")]
    Cut {
        /// The metric.
        metric: String,
        /// The contract's name.
        contract: String,
        /// What is wrong.
        source: ShapeError,
    },
    /// There is no region that all contracts allow.
    #[error("{metric} waits: the contracts {} have no region in common", contracts.join(", "))]
    Regions {
        /// The metric.
        metric: String,
        /// The names of the contracts.
        contracts: Vec<String>,
    },
    /// Fragments would be larger than what peers can be handed.
    #[error("the chunk {chunk} waits: {source}")]
    Large {
        /// The chunk.
        chunk: ContentId,
        /// What is wrong.
        source: PackError,
    },
}

/// How a pack is cut, and where its fragments may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keeping {
    /// How it is cut.
    pub cut: Cut,
    /// The regions that its peers may be in, in order; empty for anywhere.
    pub regions: Vec<String>,
}

/// The contracts, and how what they do not name is kept.
#[derive(Debug, Clone)]
pub struct Placements {
    contracts: Vec<Compiled>,
    otherwise: Keeping,
}

/// How a contract has a metric kept.
///
/// # Errors
/// Where that cannot be.
pub fn keeping(
    metric: &str,
    contract: &str,
    placement: &Placement,
) -> Result<Keeping, PlacementError> {
    let (metric, contract) = (metric.to_owned(), contract.to_owned());
    let replicas = placement.replicas;
    if replicas != REPLICAS {
        return Err(PlacementError::Replicas { metric, contract, replicas });
    }
    let cut = Cut::new(placement.data, placement.data.saturating_add(placement.parity));
    let cut = cut.map_err(|source| PlacementError::Cut { metric, contract, source })?;
    Ok(Keeping { cut, regions: placement.regions.clone() })
}

impl Placements {
    /// Contracts, and the profile of what they do not name.
    #[must_use]
    pub fn new(contracts: Vec<Compiled>, profile: Profile) -> Self {
        Self { contracts, otherwise: Keeping { cut: profile.into(), regions: Vec::new() } }
    }

    /// How chunks of a metric are kept.
    ///
    /// # Errors
    /// Where they cannot be kept as the contracts say.
    pub fn of(&self, metric: &Metric) -> Result<Keeping, PlacementError> {
        let mut found: Option<Keeping> = None;
        let mut names = Vec::new();
        for compiled in &self.contracts {
            let contract = compiled.contract();
            let Some(placement) = &contract.placement else { continue };
            if !contract.metrics.iter().any(|named| is_of(named, metric)) {
                continue;
            }
            let next = keeping(&metric.to_string(), &contract.name, placement)?;
            names.push(contract.name.clone());
            found = Some(match found {
                None => next,
                Some(before) => strictest(before, next).ok_or_else(|| {
                    let (metric, contracts) = (metric.to_string(), names.clone());
                    PlacementError::Regions { metric, contracts }
                })?,
            });
        }
        Ok(found.unwrap_or_else(|| self.otherwise.clone()))
    }
}

/// What keeps to both; none where they have no region in common.
fn strictest(one: Keeping, other: Keeping) -> Option<Keeping> {
    let cut = match by_losses(one.cut, other.cut) {
        Ordering::Less => other.cut,
        _ => one.cut,
    };
    let regions = match (one.regions.is_empty(), other.regions.is_empty()) {
        (true, _) => other.regions,
        (_, true) => one.regions,
        _ => {
            let mut common = one.regions;
            common.retain(|region| other.regions.contains(region));
            if common.is_empty() {
                return None;
            }
            common
        }
    };
    Some(Keeping { cut, regions })
}

/// Which of two cuts may lose the larger share of its fragments; of two alike, which has more of them.
fn by_losses(one: Cut, other: Cut) -> Ordering {
    let product = |a: u8, b: u8| u16::from(a) * u16::from(b);
    // The share that is needed, as a fraction: the smaller one may lose more.
    let needed = product(other.needed(), one.fragments());
    let share = needed.cmp(&product(one.needed(), other.fragments()));
    share.then(one.fragments().cmp(&other.fragments()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn contract(name: &str, metric: &str, placement: &str) -> Compiled {
        let text = format!(
            "contract = 1\nname = \"{name}\"\n\n[[metric]]\n{metric}\nkind = \"f64\"\nlevel = 3\n\n\
             {placement}\n[price]\nfixed = \"1\"\n\n[terms]\ncheck_blocks = 10\n\n\
             [steps]\nbegins = \"asked\"\n\n[[step]]\nname = \"asked\"\ndue = \"owner\"\n\
             within = \"20 blocks\"\nthen = \"over\"\n\n[[end]]\nname = \"over\"\nrest = \"buyer\"\n"
        );
        Compiled::read(&text).unwrap()
    }

    fn placement(regions: &str, data: u8, parity: u8) -> String {
        format!("[placement]\nregions = [{regions}]\ndata = {data}\nparity = {parity}\n")
    }

    #[test]
    fn metrics_that_no_contract_names_are_kept_as_the_settings_say() {
        let placed = placement("\"eu\"", 3, 2);
        let all = [
            contract("of-van", "name = \"speed\"\ndevice = \"van\"", &placed),
            contract("left", "name = \"door\"\ntags = { side = \"left\" }", &placed),
            contract("unplaced", "name = \"rpm\"", ""),
        ];
        let placements = Placements::new(all.to_vec(), Profile::Lab);
        let by = |metric: Metric| placements.of(&metric).unwrap();
        let (lab, eu) = (
            Keeping { cut: Profile::Lab.into(), regions: Vec::new() },
            Keeping { cut: Cut::new(3, 5).unwrap(), regions: vec!["eu".to_owned()] },
        );
        assert_eq!(by(Metric::new("van", "speed").tag("axle", "1")), eu);
        assert_eq!(by(Metric::new("car", "speed")), lab);
        assert_eq!(by(Metric::new("car", "door").tag("side", "left")), eu);
        assert_eq!(by(Metric::new("car", "door").tag("side", "right")), lab);
        assert_eq!(by(Metric::new("car", "rpm")), lab);
    }

    #[test]
    fn of_several_contracts_the_strictest_holds() {
        let speed = "name = \"speed\"";
        let one = contract("one", speed, &placement("\"de\", \"fr\"", 4, 2));
        let other = contract("other", speed, &placement("\"fr\", \"kr\"", 10, 20));
        let anywhere = contract("anywhere", speed, &placement("", 8, 4));
        let metric = Metric::new("van", "speed");
        for all in [[&one, &other, &anywhere], [&anywhere, &other, &one]] {
            let placements = Placements::new(all.map(Clone::clone).to_vec(), Profile::Wide);
            let found = placements.of(&metric).unwrap();
            assert_eq!(found.cut, Profile::Standard.into(), "20 of 30 may be lost");
            assert_eq!(found.regions, ["fr"]);
        }
        // Of shares that are alike, the one with more fragments.
        let alike = Placements::new(vec![one.clone(), anywhere], Profile::Wide);
        assert_eq!(alike.of(&metric).unwrap().cut, Cut::new(8, 12).unwrap());
        let apart = contract("apart", speed, &placement("\"us\"", 4, 2));
        let refused = Placements::new(vec![one, apart], Profile::Lab).of(&metric).unwrap_err();
        assert!(refused.to_string().contains("one, apart have no region in common"), "{refused}");
    }

    #[test]
    fn what_the_ledger_cannot_keep_is_refused_with_the_reason() {
        let metric = Metric::new("van", "speed");
        for (placed, said) in [
            ("[placement]\ndata = 4\nparity = 2\nreplicas = 2\n", "wants 2 replicas"),
            ("[placement]\ndata = 4\nparity = 0\n", "4 of 4 fragments"),
        ] {
            let one = contract("one", "name = \"speed\"", placed);
            let refused = Placements::new(vec![one], Profile::Lab).of(&metric).unwrap_err();
            let told = refused.to_string();
            assert!(told.contains("speed waits") && told.contains(said), "{told}");
            assert!(told.contains("contract one"), "{told}");
        }
    }
}
