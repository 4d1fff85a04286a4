//! `docs/ledger.md` is what the actions' own documentation says.
//!
//! `CHRONOLITH_WRITE_DOCUMENTS=1 cargo test -p chronolith-chain documents` writes it.

use std::fs;
use std::path::{Path, PathBuf};

use chronolith_chain::ledger::{Action, ParameterName};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The documentation in front of `pub struct NAME`, without its slashes.
fn documentation(source: &str, name: &str) -> Vec<String> {
    let lines: Vec<&str> = source.lines().collect();
    let is_it = |line: &&str| {
        line.strip_prefix(&format!("pub struct {name}")).is_some_and(|rest| {
            rest.starts_with(" {") || rest.starts_with(';') || rest.starts_with('(')
        })
    };
    let at =
        lines.iter().position(|line| is_it(&line.trim_end())).unwrap_or_else(|| panic!("{name}"));
    // Attributes may take several lines.
    let above = lines[..at]
        .iter()
        .rev()
        .take_while(|line| ["///", "#", "    ", ")]"].iter().any(|start| line.starts_with(start)));
    let mut found: Vec<String> = above
        .filter_map(|line| line.strip_prefix("///"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned())
        .collect();
    found.reverse();
    found
}

fn document() -> String {
    let mut out = String::from(
        "# The ledger's actions and parameters\n\n\
         Generated from the documentation of the code by `CHRONOLITH_WRITE_DOCUMENTS=1 cargo test -p chronolith-chain\n\
         documents`; a test checks that it is current.\n\n\
         Every transaction: its signature holds (ZIP-215), the chain is this one, the nonce is the sender's next, the height\n\
         is not above `valid_until`, and the fee is at least `fee_per_byte` for each byte and `fee_per_weight` for each unit of\n\
         weight. One that fails any of these cannot be in a block. An action whose rules fail is refused: its transaction stays\n\
         in the block, pays its fee, and changes nothing else.\n",
    );
    out.push_str("\n## Actions\n\n| number | action | group | since |\n|---|---|---|---|\n");
    for kind in Action::KINDS {
        let (tag, name, group, since) = (kind.tag, kind.name, kind.group, kind.since);
        let link = name.to_lowercase();
        out.push_str(&format!("| 0x{tag:02x} | [{name}](#{link}) | {group} | {since} |\n"));
    }
    let mut group = "";
    for kind in Action::KINDS {
        if kind.group != group {
            group = kind.group;
            out.push_str(&format!("\n## {}{}\n", group[..1].to_uppercase(), &group[1..]));
        }
        let path = root().join("chain/src/ledger").join(kind.file);
        let source = fs::read_to_string(&path).unwrap();
        out.push_str(&format!("\n### {}\n\n", kind.name));
        for line in documentation(&source, kind.name) {
            out.push_str(line.replace("[`", "`").replace("`]", "`").trim_end());
            out.push('\n');
        }
    }
    out.push_str("\n## Parameters\n\n| parameter | meaning | default | least | most |\n|---|---|---|---|---|\n");
    let shown = |value: u128| match value {
        u128::MAX => "–".to_owned(),
        value if value >= 1_000_000_000_000_000_000 && value % 1_000_000_000_000_000_000 == 0 => {
            format!("{} coin", value / 1_000_000_000_000_000_000)
        }
        value => value.to_string(),
    };
    for info in ParameterName::ALL {
        let (least, most) = (shown(info.minimum), shown(info.maximum));
        let default = shown(info.default);
        out.push_str(&format!(
            "| `{}` | {} | {default} | {least} | {most} |\n",
            info.text, info.meaning
        ));
    }
    out
}

#[test]
fn the_ledgers_page_is_current() {
    let path = root().join("docs/ledger.md");
    let expected = document();
    if std::env::var_os("CHRONOLITH_WRITE_DOCUMENTS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/ledger.md is not current; see the head of this test");
}

#[test]
fn every_action_has_rules_and_a_number_of_its_own() {
    let mut tags: Vec<u8> = Action::KINDS.iter().map(|kind| kind.tag).collect();
    let count = tags.len();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!((tags.len(), count), (55, 55));
    for kind in Action::KINDS {
        let path = root().join("chain/src/ledger").join(kind.file);
        let rules = documentation(&fs::read_to_string(path).unwrap(), kind.name);
        let has_rules = kind.name == "Unbond" || rules.iter().any(|line| line.starts_with("- "));
        assert!(has_rules, "{} has no rules", kind.name);
    }
}
