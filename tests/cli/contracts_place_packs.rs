//! The placement of a data contract decides how packs of its metrics are cut and which peers keep them; what
//! cannot be had so waits, and says why.

use std::path::Path;

use serde_json::{Value, json};

use crate::run::{chronolith, expect, json as run, source};
use crate::storage_peers_keep_packs::{PEERS, VALIDATORS, config, network, open_storage};

const NODE: [&str; 4] = ["--config", "net/nodes/0/node.toml", "--wallet", "net/wallet"];

/// A contract about one metric.
fn contract(directory: &Path, name: &str, metric: &str, placement: &str) {
    let text = format!(
        "contract = 1\nname = \"{name}\"\n\n[[metric]]\nname = \"{metric}\"\nkind = \"f64\"\nlevel = 3\n\n\
         [placement]\n{placement}\n\n[price]\nfixed = \"1\"\n\n[terms]\ncheck_blocks = 100\n\n\
         [steps]\nbegins = \"asked\"\n\n[[step]]\nname = \"asked\"\ndue = \"owner\"\n\
         within = \"20 blocks\"\nthen = \"over\"\n\n[[end]]\nname = \"over\"\nrest = \"buyer\"\n"
    );
    std::fs::write(directory.join(format!("{name}.toml")), text).unwrap();
}

/// The peers that lease something, by the numbers of their nodes.
fn holders(directory: &Path) -> Vec<usize> {
    let holds = |number: &usize| {
        let leases = ["storage", "leases", "--config", &config(*number), "--json"];
        !run(directory, 0, &leases).as_array().unwrap().is_empty()
    };
    (VALIDATORS..VALIDATORS + PEERS).filter(holds).collect()
}

/// One round; what it shows, and what it says beside that.
fn produce(directory: &Path, contracts: &[&str]) -> (Value, String) {
    let produce = ["produce", "--db", "fleet.db", "--packs", "packs", "--profile", "lab"];
    let terms = ["--epochs", "500", "--price", "0.01", "--deadline", "100", "--once", "--json"];
    let named = contracts.iter().flat_map(|file| ["--contract", *file]).collect::<Vec<_>>();
    let output = chronolith(directory, &[&produce[..], &terms, &NODE, &named].concat());
    // What cannot be had is told, and is no failure.
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    let shown = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
    (shown, String::from_utf8(output.stderr).unwrap())
}

fn inspect(directory: &Path, pack: &Value) -> Value {
    let file = format!("packs/{}.car", pack.as_str().unwrap());
    run(directory, 0, &["pack", "inspect", &file, "--json"])
}

/// Peers are in four regions, two in each: node `n` is in `region-(n % 4)`.
#[test]
fn packs_of_a_contracts_metrics_go_to_its_regions_and_are_cut_as_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let _nodes = network(directory);
    open_storage(directory);
    let regions = "regions = [\"region-0\", \"region-1\", \"region-2\"]";
    contract(directory, "near", "speed", &format!("{regions}\ndata = 3\nparity = 2"));
    contract(directory, "hand", "speed", &format!("{regions}\ndata = 2\nparity = 2"));
    contract(directory, "nowhere", "rpm", "regions = [\"region-9\"]\ndata = 4\nparity = 2");
    contract(directory, "twice", "door", "data = 4\nparity = 2\nreplicas = 2");
    let lines = "van,device=car speed=7 1893456000000000000\nvan,device=car rpm=8 1893456000000000000\n\
                 van,device=car door=1 1893456000000000000\n";
    std::fs::write(directory.join("car.lp"), lines).unwrap();
    expect(directory, 0, &["ingest", "--db", "fleet.db", "car.lp"]);
    expect(directory, 0, &["seal", "--db", "fleet.db", "--all"]);

    // What cannot be kept as a contract says holds up nothing else, and says why.
    let all = ["near.toml", "nowhere.toml", "twice.toml"];
    let (shown, problem) = produce(directory, &all);
    assert!(problem.contains("waits: the contract twice wants 2 replicas"), "{problem}");
    assert_eq!((&shown["waiting_chunks"], &shown["unplaced_packs"]), (&json!(1), &json!(1)));
    let placed = shown["placed"].as_array().unwrap();
    assert_eq!((placed.len(), shown["packed"].as_array().unwrap().len()), (1, 2), "{shown}");
    let near = inspect(directory, &placed[0]);
    assert_eq!((&near["needed"], &near["fragments"]), (&json!(3), &json!(5)));
    let inside: Vec<usize> =
        (VALIDATORS..VALIDATORS + PEERS).filter(|number| number % 4 != 3).collect();
    let first = holders(directory);
    assert_eq!(first.len(), 5);
    assert!(first.iter().all(|number| inside.contains(number)), "{first:?}");

    // A peer leaves: its fragment goes to the only one of the regions that keeps none of the pack. When another
    // leaves, there is nobody, although two peers elsewhere keep nothing at all.
    let leave = |number: usize| {
        run(directory, 0, &["storage", "leave", "--config", &config(number), "--json"]);
    };
    leave(first[0]);
    let (shown, problem) = produce(directory, &all);
    assert_eq!(shown["moved_leases"], 1, "{shown}: {problem}");
    let spare = inside.iter().find(|number| !first.contains(number)).unwrap();
    let second = holders(directory);
    assert!(second.contains(spare), "{second:?}");
    leave(first[1]);
    let (shown, problem) = produce(directory, &all);
    assert_eq!(shown["moved_leases"], 0, "{shown}: {problem}");
    let told =
        "0 peers of the regions region-0, region-1, region-2 have room at this price where 1 are";
    let refused = shown["refused"].as_array().unwrap();
    assert!(refused.iter().any(|reason| reason.as_str().unwrap().contains(told)), "{shown}");
    assert!(problem.contains(told), "{problem}");
    assert!(holders(directory).iter().all(|number| inside.contains(number)));

    // The contract is gone; where its packs may be is written beside them.
    let (shown, problem) = produce(directory, &["twice.toml"]);
    assert_eq!((&shown["packed"], &shown["placed"]), (&json!([]), &json!([])), "{shown}");
    assert!(problem.contains("wants 2 replicas"), "{problem}");
    let (shown, problem) = produce(directory, &[]);
    let told = "0 peers of the region region-9 have room at this price where 6 are needed";
    assert!(problem.contains(told), "{problem}");
    // What waited is packed by the settings now, and kept anywhere.
    let placed = shown["placed"].as_array().unwrap();
    assert_eq!((placed.len(), &shown["unplaced_packs"]), (1, &json!(1)), "{shown}");
    assert_eq!(inspect(directory, &placed[0])["profile"], "lab");

    // By hand: packs are made by the contract, and refused where a repairer would draw from anywhere.
    let drive = source("testdata/drives/us06.csv");
    let make = ["pack", "make", drive.to_str().unwrap(), "--contract", "hand.toml"];
    let made = run(directory, 0, &[&make[..], &["--into", "hand", "--json"]].concat());
    let car = format!("hand/{}.car", made["packs"][0].as_str().unwrap());
    let place = ["pack", "place", &car, "--epochs", "60", "--price", "0.1", "--json"];
    let account = ["storage", "status", "--config", &config(VALIDATORS + 3), "--json"];
    let account = run(directory, 0, &account)["account"].as_str().unwrap().to_owned();
    let repaired = [&place[..], &NODE, &["--repairer", &account]].concat();
    let refused = chronolith(directory, &repaired);
    let problem = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{problem}");
    assert!(problem.contains("is to stay in region-0, region-1, region-2"), "{problem}");
    let placed = run(directory, 0, &[&place[..], &NODE].concat());
    assert_eq!(placed["leased_fragments"], 4, "{placed}");
}
