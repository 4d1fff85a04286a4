//! Offering data, and taking an offer back.

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::Rising;
use chronolith_chain::hash::{Hash, OfferId};
use chronolith_chain::ledger::{
    Action, CloseOffer, Delivery, EraKey, ExtensionKey, HiddenScope, Offer, OfferExtended,
    OfferKey, OpenOffer, ParameterName, Parameters, ParametersKey, Scope, Source, Subject, Terms,
};
use chronolith_chain::state::Overlay;
use chronolith_contract::Compiled;
use chronolith_engine::{ChunkKeys, Db, DeviceAccount};

use super::book::{coin, hash};
use super::purse::Purse;
use super::scope::{Metrics, ScopeError};
use super::{MarketError, Venue, VenueError};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// What an owner wants to offer.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The device, by its name in the database.
    pub device: String,
    /// The names of metrics; none means all that are not hidden, also those to come.
    pub metrics: Vec<String>,
    /// The beginning, in milliseconds since the epoch; since when the device is the owner's where none is said.
    pub from_ms: Option<u64>,
    /// The end, if there is one.
    pub until_ms: Option<u64>,
    /// The coin of the price.
    pub coin: Coin,
    /// What a right costs, whatever its length.
    pub fixed: Amount,
    /// What it costs for each hour of data.
    pub per_hour: Amount,
    /// How many blocks a buyer has to check a grant; the least that the ledger allows where none is said.
    pub check_blocks: Option<u32>,
    /// Whether the owner may revoke after he was paid.
    pub is_revocable: bool,
    /// What a revocation costs him on top, in basis points of the price.
    pub revocation_fee: BasisPoints,
    /// The hash of the policy by which his node grants by itself, if it does.
    pub auto_grant: Option<Hash>,
    /// What else is agreed.
    pub more: More,
}

/// What else an offer may say.
#[derive(Debug, Clone, Default)]
pub struct More {
    /// The question that is answered, where answers are sold instead of keys.
    pub question: Option<ContentId>,
    /// What is asked of sales of what is made of this data, in basis points of their price.
    pub royalty: BasisPoints,
    /// The offers that the data was made of.
    pub sources: Vec<OfferId>,
}

impl More {
    /// The action that offers with it.
    fn action(self, offer: Offer) -> Result<Action, MarketError> {
        if self.question.is_none() && self.royalty.0 == 0 && self.sources.is_empty() {
            return Ok(offer.into());
        }
        let delivery = self.question.map_or(Delivery::Keys, |query| Delivery::Answers { query });
        let mut sources = self.sources;
        sources.sort_unstable();
        sources.dedup();
        let sources: Vec<Source> =
            sources.into_iter().map(|offer| Source { offer, content: None }).collect();
        let sources = Rising::new(sources).map_err(ScopeError::from)?;
        Ok(OfferExtended { offer, delivery, royalty: self.royalty, sources }.into())
    }
}

impl Wish {
    /// The same under a contract: price and terms are what it says, and its rules grant.
    ///
    /// # Errors
    /// Where the contract sells answers alone, and no question is named.
    pub fn under(self, contract: &Compiled) -> Result<Self, MarketError> {
        let (price, terms) = (&contract.contract().price, &contract.contract().terms);
        let wrong = |reason: &dyn std::fmt::Display| MarketError::Contract {
            name: contract.contract().name.clone(),
            reason: reason.to_string(),
        };
        if terms.answers_only && self.more.question.is_none() {
            return Err(wrong(&"it sells answers alone: name the question"));
        }
        let coin = coin(contract.contract()).ok_or_else(|| wrong(&"its coin is none"))?;
        Ok(Self {
            coin,
            fixed: Amount(price.fixed.0),
            per_hour: Amount(price.per_hour.0),
            check_blocks: Some(terms.check_blocks),
            is_revocable: terms.revocable,
            revocation_fee: BasisPoints(terms.revocation_fee_bp),
            auto_grant: Some(hash(contract)),
            more: More { royalty: BasisPoints(terms.royalty_bp), ..self.more },
            ..self
        })
    }
}

/// An offer that is on the ledger.
#[derive(Debug, Clone)]
pub struct Offered {
    /// Its id.
    pub offer: OfferId,
    /// What is on the ledger.
    pub terms: Offer,
    /// What the ledger is not told of hidden data; it is in the purse.
    pub hidden: Option<HiddenScope>,
    /// The block.
    pub done: Done,
}

/// Offers data of a database. What a hidden offer is of is kept before the ledger has it.
///
/// # Errors
/// Where there are no such metrics, or the ledger refuses.
pub fn offer(
    venue: &mut Venue,
    db: &Db,
    keys: &ChunkKeys,
    owner: &AccountKey,
    purse: &Purse,
    wish: Wish,
) -> Result<Offered, MarketError> {
    let metrics = Metrics::named(db, &wish.device, &wish.metrics)?;
    let (subject, hidden) = metrics.subject(keys, wish.metrics.is_empty())?;
    let DeviceAccount { key, era } = keys.account(&wish.device);
    let (least, owned_from_ms) = venue.look(|state, _| {
        let state = Overlay::new(state);
        let parameters: Parameters = state.get(&ParametersKey {})?.unwrap_or_default();
        let era = state.get(&EraKey { device: Address(key), tree: era })?;
        let least = parameters.get(ParameterName::CheckBlocksLeast);
        Ok::<_, VenueError>((least, era.map_or(0, |era| era.from_ms)))
    })?;
    let terms = Terms {
        level: metrics.level().number(),
        check_blocks: wish.check_blocks.unwrap_or_else(|| u32::try_from(least).unwrap_or(u32::MAX)),
        is_revocable: wish.is_revocable,
        revocation_fee: wish.revocation_fee,
        auto_grant: wish.auto_grant,
    };
    let from_ms = wish.from_ms.unwrap_or(owned_from_ms);
    let scope = Scope { subject, from_ms, until_ms: wish.until_ms };
    let Wish { coin, fixed, per_hour, .. } = wish;
    let action = Offer { scope, coin, fixed, per_hour, terms };
    let keep = |made_by| {
        let id = OfferId::made_by(made_by);
        if let Some(hidden) = &hidden {
            purse.keep_offer(id, hidden)?;
        }
        Ok::<_, MarketError>(id)
    };
    let more = wish.more.action(action.clone())?;
    let (offer, done) = venue.commit_kept("offer data", &owner.signer(), more, keep)?;
    Ok(Offered { offer, terms: action, hidden, done })
}

/// Takes an offer back; what was bought of it stays.
///
/// # Errors
/// Where it is another's, or the ledger refuses.
pub fn close(venue: &mut Venue, owner: &AccountKey, offer: OfferId) -> Result<Done, MarketError> {
    let open = find(venue, offer)?;
    if open.owner != owner.address {
        return Err(MarketError::Other { what: "offer", id: offer.to_string() });
    }
    Ok(venue.commit("close an offer", &owner.signer(), CloseOffer { offer })?)
}

/// An offer of the ledger.
///
/// # Errors
/// Where there is none of that id.
pub fn find(venue: &Venue, offer: OfferId) -> Result<OpenOffer, MarketError> {
    venue.look(|state, _| {
        let found = Overlay::new(state).get(&OfferKey { offer }).map_err(VenueError::from)?;
        found.ok_or_else(|| missing("offer", &offer))
    })
}

/// What an offer says that its buyers get.
///
/// # Errors
/// Where the state cannot be read.
pub fn delivery(venue: &Venue, offer: OfferId) -> Result<Delivery, VenueError> {
    venue.look(|state, _| {
        let found = Overlay::new(state).get(&ExtensionKey { offer })?;
        Ok(found.map_or(Delivery::Keys, |extension| extension.delivery))
    })
}

/// Refuses to pay for keys of what its buyer was not told, and could neither check nor open, and what was told of
/// something else. An answer is bought without: whether it is the one that was signed is seen from itself.
///
/// # Errors
/// Where the offer hides what was not told, or something else.
pub fn ensure_disclosed(
    offer: OfferId,
    subject: &Subject,
    delivery: Delivery,
    told: Option<&HiddenScope>,
) -> Result<(), MarketError> {
    match (subject, told) {
        (Subject::Hidden(_), None) if delivery == Delivery::Keys => {
            Err(MarketError::Undisclosed(offer))
        }
        (subject, Some(scope)) if scope.subject() != *subject => {
            Err(MarketError::OtherDisclosure(offer))
        }
        _ => Ok(()),
    }
}

pub(super) fn missing(what: &'static str, id: &dyn std::fmt::Display) -> MarketError {
    MarketError::Missing { what, id: id.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever asked for an answer over hidden metrics had to be told what they are, which the answer is sold instead of.
    #[test]
    fn keys_of_what_is_hidden_are_bought_by_those_who_were_told_and_answers_by_all() {
        let scope = |salt| HiddenScope {
            salt: [salt; 32],
            device: Address([1; 32]),
            tree: 2,
            trees: Default::default(),
        };
        let (offer, hidden, other) = (OfferId([3; 32]), scope(7), scope(8));
        let (subject, answers) =
            (hidden.subject(), Delivery::Answers { query: ContentId::of_raw(b"a question") });
        let check = |delivery, told| ensure_disclosed(offer, &subject, delivery, told);
        assert!(check(Delivery::Keys, Some(&hidden)).is_ok());
        assert!(matches!(check(Delivery::Keys, None), Err(MarketError::Undisclosed(_))));
        assert!(check(answers, None).is_ok() && check(answers, Some(&hidden)).is_ok());
        for delivery in [Delivery::Keys, answers] {
            let told = check(delivery, Some(&other));
            assert!(matches!(told, Err(MarketError::OtherDisclosure(_))));
        }
        // What hides nothing needs no disclosure, and has none.
        let (device, tree, metrics) = (Address([1; 32]), 2, Default::default());
        let open = Subject::Metrics { device, tree, metrics };
        let check = |told| ensure_disclosed(offer, &open, Delivery::Keys, told);
        assert!(check(None).is_ok());
        assert!(matches!(check(Some(&hidden)), Err(MarketError::OtherDisclosure(_))));
    }
}
