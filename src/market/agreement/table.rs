//! The plan of a deal that a contract's steps make.

use std::collections::BTreeMap;

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{List, TooLong};
use chronolith_chain::ledger::{DealOutcome, Next, Parties, Party, Plan, SHARES_MOST, Share, Step};
use chronolith_contract::steps::{Forward, Lead, Row, Said};
use chronolith_contract::{BUYER, Clock, Compiled, Contract};

use super::AgreementError;
use crate::market::book;

/// Whose account a party is, and what it sets aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: Address,
    /// What it sets aside; none for what the contract says: its fixed price from the buyer, nothing from others.
    pub amount: Option<Amount>,
}

/// What a contract leaves open of a deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The parties, by the contract's names.
    pub parties: BTreeMap<String, Member>,
    /// Who judges; one of the parties or somebody else, and none where nothing is to be judged.
    pub arbiter: Option<Address>,
    /// The last height at which parties can join.
    pub join_until: u64,
    /// How long a block takes, for contracts that count time: milliseconds.
    pub block_ms: Option<u64>,
    /// How many blocks the arbiter has where the contract does not say.
    pub arbiter_blocks: u32,
}

/// The content id of a contract.
pub(super) fn content(compiled: &Compiled) -> ContentId {
    ContentId::of_dag_cbor(chronolith_merkle::HashFunction::Sha256, &compiled.to_bytes())
}

/// The rows of a contract.
fn forward(compiled: &Compiled) -> Result<Forward, AgreementError> {
    Forward::of(compiled).map_err(|reason| AgreementError::Forward {
        name: compiled.contract().name.clone(),
        reason,
    })
}

/// The name of the party that an account is; empty where it is none.
pub(super) fn name_of(contract: &Contract, parties: &[Party], account: Option<Address>) -> String {
    let is_account = |party: &Party| Some(party.account) == account;
    let mut named = contract.party_names().zip(parties);
    named.find(|(_, party)| is_account(party)).map(|(name, _)| name.to_owned()).unwrap_or_default()
}

/// The plan of a deal by a contract.
///
/// # Errors
/// Where the contract's steps are none that the ledger has, or somebody is missing.
pub fn plan(compiled: &Compiled, agreed: &Agreed) -> Result<Plan, AgreementError> {
    let contract = compiled.contract();
    let parties = parties(contract, agreed)?;
    let forward = forward(compiled)?;
    // Where the contract leaves decisions to one of its parties, nobody else judges.
    let named = forward.arbiter.as_ref().and_then(|name| agreed.parties.get(name));
    let arbiter = match (named, agreed.arbiter) {
        (Some(member), Some(other)) if member.account != other => {
            let name = forward.arbiter.unwrap_or_default();
            return Err(AgreementError::OtherArbiter(name));
        }
        (Some(member), _) => Some(member.account),
        (None, arbiter) => arbiter,
    };
    if forward.needs_arbiter() && arbiter.is_none() {
        return Err(AgreementError::NoArbiter);
    }
    let blocks = |name: &str, within: u64| {
        let blocks = match (contract.steps.clock, agreed.block_ms) {
            (Clock::Blocks, _) => within,
            (Clock::Time, Some(block_ms)) => within.div_ceil(block_ms.max(1)),
            (Clock::Time, None) => return Err(AgreementError::NoPace),
        };
        u32::try_from(blocks.max(1)).map_err(|_| AgreementError::Long(name.to_owned()))
    };
    let mut table = Table { contract, parties: &parties, outcomes: Vec::new() };
    let mut steps = Vec::new();
    for row in &forward.rows {
        let within = |within: Option<u64>| match within {
            Some(within) => blocks(&row.name, within),
            None => Ok(agreed.arbiter_blocks),
        };
        steps.push(table.step(row, blocks(&row.name, row.within)?, within)?);
    }
    let outcomes = table.outcomes.into_iter().map(|(_, shares)| DealOutcome { shares });
    Ok(Plan {
        contract: content(compiled),
        arbiter,
        join_until: agreed.join_until,
        steps: List::new(steps)?,
        outcomes: List::new(outcomes.collect::<Vec<_>>())?,
        parties: List::new(parties)?,
    })
}

/// The contract's steps by a deal's numbers. How long the arbiter has, and how long a block is for a contract that
/// counts time, is for the parties to agree; and who judges, where the contract names nobody.
///
/// # Errors
/// Where the deal's plan is not the contract's.
pub fn check(compiled: &Compiled, found: &Plan) -> Result<Forward, AgreementError> {
    let (contract, this) = (compiled.contract(), content(compiled));
    if found.contract != this {
        return Err(AgreementError::Contract { found: found.contract, this });
    }
    if found.parties.len() != contract.party_names().count() {
        return Err(AgreementError::Plan("parties"));
    }
    let forward = forward(compiled)?;
    let judge = name_of(contract, &found.parties, found.arbiter);
    if forward.arbiter.as_ref().is_some_and(|arbiter| *arbiter != judge) {
        return Err(AgreementError::Plan("arbiter"));
    }
    let payment = contract.party_names().zip(found.parties.iter()).find(|(name, _)| *name == BUYER);
    if payment.is_none_or(|(_, buyer)| buyer.amount.0 < contract.price.fixed.0) {
        return Err(AgreementError::Plan("amounts"));
    }
    let mut table = Table { contract, parties: &found.parties, outcomes: Vec::new() };
    let steps = forward.rows.iter().map(|row| table.step(row, 0, |_| Ok(0)));
    let steps = steps.collect::<Result<Vec<_>, AgreementError>>()?;
    if !found.steps.iter().map(timeless).eq(steps.iter().map(timeless)) {
        return Err(AgreementError::Plan("steps"));
    }
    if !is_paced(contract.steps.clock, &forward, &found.steps) {
        return Err(AgreementError::Plan("deadlines"));
    }
    let outcomes = table.outcomes.iter().map(|(_, shares)| shares);
    if !found.outcomes.iter().map(|outcome| &outcome.shares).eq(outcomes) {
        return Err(AgreementError::Plan("outcomes"));
    }
    let coin = coin(contract)?;
    if found.parties.iter().any(|party| party.coin != coin) {
        return Err(AgreementError::Plan("coins"));
    }
    Ok(forward)
}

/// Whether the blocks of steps, and those that the contract gives its arbiter, are the contract's: as they are, or those
/// of one pace where it counts time.
fn is_paced(clock: Clock, forward: &Forward, steps: &[Step]) -> bool {
    let given = |lead: &Lead, next: Next| match (lead, next) {
        (Lead::Arbiter { within: Some(within), .. }, Next::Arbiter { blocks, .. }) => {
            Some((*within, blocks))
        }
        _ => None,
    };
    let pairs = forward.rows.iter().zip(steps).flat_map(|(row, step)| {
        let said = |said: &Option<Said>, next| said.as_ref().and_then(|said| given(&said.to, next));
        let arbiter = [
            given(&row.late, step.on_timeout),
            said(&row.done, step.on_done),
            said(&row.objected, step.on_objection),
        ];
        [Some((row.within, step.blocks))].into_iter().chain(arbiter).flatten()
    });
    let mut pairs = pairs.map(|(within, blocks)| (within.max(1), u64::from(blocks)));
    match clock {
        Clock::Blocks => pairs.all(|(within, blocks)| within == blocks),
        Clock::Time => {
            // A block of so many milliseconds, rounded up to whole blocks, makes each of them.
            let (mut least, mut most) = (1, u64::MAX);
            for (within, blocks) in pairs {
                least = least.max(within.div_ceil(blocks.max(1)));
                if blocks > 1 {
                    most = most.min(within.div_ceil(blocks - 1).saturating_sub(1));
                }
            }
            least <= most
        }
    }
}

/// A step without its blocks, and those of the arbiter.
fn timeless(step: &Step) -> Step {
    let lead = |next| match next {
        Next::Arbiter { otherwise, .. } => Next::Arbiter { blocks: 0, otherwise },
        other => other,
    };
    Step {
        blocks: 0,
        on_done: lead(step.on_done),
        on_timeout: lead(step.on_timeout),
        on_objection: lead(step.on_objection),
        ..*step
    }
}

fn coin(contract: &Contract) -> Result<Coin, AgreementError> {
    let coin = book::coin(contract);
    coin.ok_or_else(|| AgreementError::Coin(contract.price.coin.clone()))
}

fn parties(contract: &Contract, agreed: &Agreed) -> Result<Vec<Party>, AgreementError> {
    let known: Vec<&str> = contract.party_names().collect();
    if let Some(found) = agreed.parties.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(AgreementError::Stranger { found: found.clone(), known: known.join(", ") });
    }
    let coin = coin(contract)?;
    let parties = known.into_iter().map(|name| {
        let member = agreed.parties.get(name);
        let member = member.ok_or_else(|| AgreementError::NoParty(name.to_owned()))?;
        let usual = if name == BUYER { Amount(contract.price.fixed.0) } else { Amount::ZERO };
        Ok(Party { account: member.account, coin, amount: member.amount.unwrap_or(usual) })
    });
    parties.collect()
}

/// The steps and outcomes of a plan, as they are found.
struct Table<'a> {
    contract: &'a Contract,
    parties: &'a [Party],
    /// By the names of ends; none is that everybody gets back what is his.
    outcomes: Vec<(Option<String>, List<Share, SHARES_MOST>)>,
}

impl Table<'_> {
    fn step(
        &mut self,
        row: &Row,
        blocks: u32,
        within: impl Fn(Option<u64>) -> Result<u32, AgreementError>,
    ) -> Result<Step, AgreementError> {
        let on_timeout = self.next(&row.late, &within)?;
        let mut said = |said: &Option<Said>| match said {
            Some(said) => Ok((self.set(said), self.next(&said.to, &within)?)),
            // Nobody can say it, so it leads nowhere.
            None => Ok::<_, AgreementError>((Parties::default(), on_timeout)),
        };
        let (done_by, on_done) = said(&row.done)?;
        let (objected_by, on_objection) = said(&row.objected)?;
        Ok(Step { done_by, objected_by, blocks, on_done, on_timeout, on_objection })
    }

    fn set(&self, said: &Said) -> Parties {
        let names = self.contract.party_names().enumerate();
        let named = names.filter(|(_, name)| said.by.contains_key(*name));
        named.fold(Parties::default(), |set, (number, _)| set.with(number))
    }

    fn next(
        &mut self,
        lead: &Lead,
        within: impl Fn(Option<u64>) -> Result<u32, AgreementError>,
    ) -> Result<Next, AgreementError> {
        Ok(match lead {
            // There are at most 32.
            Lead::Row(number) => Next::Step(u8::try_from(*number).unwrap_or(u8::MAX)),
            Lead::End(name) => Next::Outcome(self.outcome(Some(name))?),
            Lead::Arbiter { within: given, otherwise } => Next::Arbiter {
                blocks: within(*given)?,
                otherwise: self.outcome(otherwise.as_deref())?,
            },
        })
    }

    /// The number of an outcome, which is new where it was not asked for before.
    fn outcome(&mut self, name: Option<&str>) -> Result<u8, TooLong> {
        let known = self.outcomes.iter().position(|(known, _)| known.as_deref() == name);
        let number = match known {
            Some(number) => number,
            None => {
                let end = name.and_then(|name| self.contract.steps.end(name));
                let shares = end
                    .and_then(|end| end.fixed())
                    .unwrap_or_else(|| vec![(BUYER.to_owned(), BasisPoints::WHOLE.0)]);
                self.outcomes.push((
                    name.map(str::to_owned),
                    divided(self.contract, self.parties, &shares)?,
                ));
                self.outcomes.len().saturating_sub(1)
            }
        };
        Ok(u8::try_from(number).unwrap_or(u8::MAX))
    }
}

/// Who gets what: the buyer's part as a contract says it, everybody else's back. What rounding leaves of a part is
/// for who comes first, as the contract has it for who gets the rest.
pub(super) fn divided(
    contract: &Contract,
    parties: &[Party],
    shares: &[(String, u16)],
) -> Result<List<Share, SHARES_MOST>, TooLong> {
    let names: Vec<&str> = contract.party_names().collect();
    let number = |name: &str| names.iter().position(|known| *known == name);
    let small = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    let mut all = Vec::new();
    for (of, _) in parties.iter().enumerate().filter(|(_, party)| !party.amount.is_zero()) {
        if names.get(of) == Some(&BUYER) {
            all.extend(shares.iter().filter_map(|(name, points)| {
                let to = small(number(name)?);
                Some(Share { of: small(of), to, share: BasisPoints(*points) })
            }));
        } else {
            all.push(Share { of: small(of), to: small(of), share: BasisPoints::WHOLE });
        }
    }
    List::new(all)
}
