//! `chronolith contract plan`: the plan of a deal on the ledger that goes by a contract.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::chain::amount;
use crate::cli::Outcome;
use crate::cli::chain::{WalletArgs, print_fields};
use crate::cli::usage::{Usage, duration};
use crate::cli::whole;
use crate::market::agreement::{Agreed, Member, check, plan};
use crate::market::book;

/// Write the plan of a deal that goes by a contract, for `market deal open`. Conditions and data are for the arbiter
/// to judge, by `contract follow`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PlanCommand {
    /// The contract
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// A party's account by its address or the name of its key, and what it sets aside where that is not what the contract
    /// says; for each party of the contract
    #[arg(long = "party", value_name = "NAME=ACCOUNT[=AMOUNT]", required = true)]
    parties: Vec<String>,

    /// Who judges: a party of the contract, or an account
    #[arg(long, value_name = "PARTY")]
    arbiter: Option<String>,

    /// The last height at which parties can join
    #[arg(long, value_name = "HEIGHT")]
    join_until: u64,

    /// How long a block takes, for a contract that counts time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    block_time: Option<Duration>,

    /// How many blocks the arbiter has where the contract does not say
    #[arg(long, value_name = "BLOCKS", default_value_t = 10_000)]
    arbiter_blocks: u32,

    /// Where the plan is written
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    wallet: WalletArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl PlanCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let compiled = book::read(&self.file)?;
        let mut parties = BTreeMap::new();
        for text in &self.parties {
            let mut parts = text.splitn(3, '=');
            let (Some(name), Some(account)) = (parts.next(), parts.next()) else {
                let problem =
                    format!("{text:?} is no party; write NAME=ACCOUNT or NAME=ACCOUNT=AMOUNT");
                return Err(Usage(problem).into());
            };
            let amount = parts.next().map(amount).transpose().map_err(Usage)?;
            let member = Member { account: self.wallet.address(account)?, amount };
            if parties.insert(name.to_owned(), member).is_some() {
                return Err(Usage(format!("the party {name:?} is there twice")).into());
            }
        }
        let arbiter = self.arbiter.as_deref().map(|who| match parties.get(who) {
            Some(member) => Ok(member.account),
            None => self.wallet.address(who),
        });
        let block_ms = self.block_time.map(|time| u64::try_from(time.as_millis()));
        let agreed = Agreed {
            arbiter: arbiter.transpose()?,
            parties,
            join_until: self.join_until,
            block_ms: block_ms.transpose()?,
            arbiter_blocks: self.arbiter_blocks,
        };
        let plan = plan(&compiled, &agreed)?;
        // What nobody who asks would join is not written.
        let rows = check(&compiled, &plan)?.rows;
        whole::create(&self.output, |out| {
            use std::io::Write as _;
            Ok(writeln!(out, "{:#}", serde_json::to_value(&plan)?)?)
        })?;
        let numbered = rows.iter().enumerate();
        let numbered = numbered.map(|(number, row)| format!("{number} {}", row.name));
        let names: Vec<&str> = compiled.contract().party_names().collect();
        let shown = json!({
            "contract": compiled.contract().name,
            "cid": plan.contract,
            "parties": names.join(", "),
            "steps": numbered.collect::<Vec<_>>().join(", "),
            "outcomes": plan.outcomes.len(),
        });
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}
