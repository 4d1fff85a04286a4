//! `chronolith chain status`, `block`, `account`, `validators` and `lot`: what is on the chain.

use anyhow::Result;
use chronolith_chain::header::Header;
use chronolith_chain::ledger::{
    AccountKey, DelegationKey, HoldingKey, ScheduleKey, SeatsKey, SupplyKey, ValidatorKey,
    Validators,
};
use chronolith_chain::state::{Key as _, Overlay};
use clap::Args;
use serde_json::{Value, json};

use super::{ChainArgs, ProveArgs, WalletArgs, coins, print_fields};
use crate::cli::Outcome;
use crate::rows::rfc3339;

fn time(time_ns: u64) -> String {
    i64::try_from(time_ns).map_or_else(|_| time_ns.to_string(), rfc3339)
}

/// Show where a chain is.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl StatusCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let state = Overlay::new(chain.state()?);
        let supply = state.get(&SupplyKey {})?.unwrap_or_default();
        let tip = chain.blocks()?.tip();
        let mut shown = json!({
            "chain": chain.id(),
            "name": *chain.genesis().name,
            "height": tip.height,
            "block": tip.block,
            "time": time(tip.time_ns),
            "state_root": chain.state()?.head().root,
            "oldest_block": chain.blocks()?.oldest(),
            "validators": Validators::of(chain.state()?)?.next.len(),
            "minted": coins(supply.minted),
            "burnt": coins(supply.burnt),
        });
        let keys = [SupplyKey {}.to_bytes(), SeatsKey {}.to_bytes()];
        self.prove.save(&mut shown, |since| since.entries(&chain, &keys))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Show a block.
#[derive(Debug, Args)]
pub(in crate::cli) struct BlockCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Its height [default: the last one]
    #[arg(value_name = "HEIGHT")]
    height: Option<u64>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn header_json(header: &Header) -> Value {
    json!({
        "height": header.height,
        "block": header.id(),
        "time": time(header.time_ns),
        "previous": header.previous,
        "proposer": header.proposer,
        "state_root": header.state_root,
        "transactions_root": header.transactions.root,
        "receipts_root": header.receipts.root,
        "history_root": header.history_root,
        "validators_hash": header.validators,
        "next_validators_hash": header.next_validators,
    })
}

impl BlockCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let height = self.height.map_or_else(|| chain.height(), Ok)?;
        let decided = chain.block(height)?;
        let transactions: Vec<Value> = decided
            .block
            .transactions
            .iter()
            .map(|transaction| {
                json!({
                    "id": transaction.body.id(),
                    "action": transaction.body.action.kind().name,
                    "sender": transaction.body.sender,
                    "nonce": transaction.body.nonce,
                    "fee": coins(transaction.body.fee),
                })
            })
            .collect();
        let mut shown = header_json(&decided.block.header);
        if let Some(fields) = shown.as_object_mut() {
            let certificate = &decided.certificate;
            fields.insert("round".to_owned(), json!(certificate.round()));
            fields.insert("signatures".to_owned(), json!(certificate.signatures().len()));
            fields.insert("evidence".to_owned(), json!(decided.block.evidence.len()));
            fields.insert("transactions".to_owned(), json!(transactions));
        }
        self.prove.save(&mut shown, |since| since.header(&chain, height))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Show what an account has.
#[derive(Debug, Args)]
pub(in crate::cli) struct AccountCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Its address, or the name of its key in the wallet
    #[arg(value_name = "ACCOUNT")]
    account: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl AccountCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let address = self.wallet.address(&self.account)?;
        let chain = self.chain.open()?;
        let key = AccountKey { address };
        let state = Overlay::new(chain.state()?);
        let account = state.get(&key)?;
        let exists = account.is_some();
        let account = account.unwrap_or_default();
        let mut holdings = Vec::new();
        for (HoldingKey { coin, .. }, amount) in state.scan::<HoldingKey>(&address.0, usize::MAX)? {
            holdings.push(json!({"coin": coin, "amount": amount}));
        }
        let mut delegations = Vec::new();
        for (DelegationKey { validator, .. }, shares) in
            state.scan::<DelegationKey>(&address.0, usize::MAX)?
        {
            delegations.push(json!({"validator": validator, "shares": shares.to_string()}));
        }
        let mut shown = json!({
            "account": address,
            "exists": exists,
            "height": chain.height()?,
            "balance": coins(account.balance),
            "motes": account.balance,
            "nonce": account.nonce,
            "fees_burnt": coins(account.fees_burnt),
            "issued_coin": holdings,
            "delegations": delegations,
        });
        self.prove.save(&mut shown, |since| since.state(&chain, &key))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// List the validators.
#[derive(Debug, Args)]
pub(in crate::cli) struct ValidatorsCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ValidatorsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let state = Overlay::new(chain.state()?);
        let seats = Validators::of(chain.state()?)?.next;
        let mut validators = Vec::new();
        let mut keys = vec![SeatsKey {}.to_bytes()];
        for (ValidatorKey { validator }, entry) in state.scan::<ValidatorKey>(&[], usize::MAX)? {
            keys.push(ValidatorKey { validator }.to_bytes());
            let seat = seats.iter().find(|seat| seat.validator == validator);
            validators.push(json!({
                "validator": validator,
                "consensus_key": entry.consensus_key,
                "stake": coins(entry.stake),
                "commission": entry.commission,
                "power": seat.map(|seat| seat.power),
                "is_seated": seat.is_some(),
            }));
        }
        let mut shown = json!({"height": chain.height()?, "validators": validators});
        self.prove.save(&mut shown, |since| since.entries(&chain, &keys))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Show the running lot and term.
#[derive(Debug, Args)]
pub(in crate::cli) struct LotCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl LotCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let schedule = Overlay::new(chain.state()?).get(&ScheduleKey {})?.unwrap_or_default();
        let mut shown = serde_json::to_value(schedule)?;
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("height".to_owned(), json!(chain.height()?));
        }
        self.prove.save(&mut shown, |since| since.state(&chain, &ScheduleKey {}))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}
