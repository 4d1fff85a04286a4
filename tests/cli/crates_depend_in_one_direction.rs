//! The crates depend on each other in one direction: nothing points back.

use std::process::Command;

/// Who may depend on whom, as the house is drawn in `docs/architecture.md`.
const ALLOWED: [(&str, &[&str]); 11] = [
    (
        "chronolith",
        &[
            "chronolith-chain",
            "chronolith-contract",
            "chronolith-net",
            "chronolith-query",
            "chronolith-engine",
            "chronolith-disk",
            "chronolith-fragment",
            "chronolith-keys",
            "chronolith-merkle",
            "chronolith-tier",
        ],
    ),
    ("chronolith-tier", &["chronolith-engine"]),
    ("chronolith-contract", &["chronolith-keys", "chronolith-merkle"]),
    (
        "chronolith-net",
        &["chronolith-chain", "chronolith-disk", "chronolith-fragment", "chronolith-merkle"],
    ),
    ("chronolith-query", &["chronolith-engine", "chronolith-disk", "chronolith-merkle"]),
    // The chain never sees a record, the engine never sees a coin.
    (
        "chronolith-chain",
        &["chronolith-disk", "chronolith-fragment", "chronolith-keys", "chronolith-merkle"],
    ),
    ("chronolith-engine", &["chronolith-disk", "chronolith-keys", "chronolith-merkle"]),
    ("chronolith-fragment", &["chronolith-merkle"]),
    ("chronolith-disk", &[]),
    ("chronolith-keys", &["chronolith-disk"]),
    ("chronolith-merkle", &[]),
];

#[test]
fn crates_depend_in_one_direction_only() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), ALLOWED.len(), "a crate without a rule in this test");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let (_, allowed) = ALLOWED.iter().find(|(other, _)| *other == name).unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            // Tests may stand on the simulated disk.
            let is_for_tests = dependency["kind"] == "dev" && on == "chronolith-disk";
            let is_ours = !is_for_tests && ALLOWED.iter().any(|(other, _)| *other == on);
            assert!(!is_ours || allowed.contains(&on), "{name} must not depend on {on}");
        }
    }
}
