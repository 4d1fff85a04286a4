//! Offers: those of the chain, and the node's own.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post};
use chronolith_chain::coin::{BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::OfferId;
use chronolith_chain::ledger::{Delivery, ExtensionKey, OfferKey};
use chronolith_chain::state::Overlay;
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{Asked, CoinSaid, Coins, Time, body, id};
use super::lists::Part;
use super::{admin, dealt, done, read};
use crate::chain::shown;
use crate::http::answer::json as answer;
use crate::http::chain::{ask, ending};
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::market::MarketError;
use crate::market::offer::{More, Wish};
use crate::market::purse::Disclosure;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route("/api/v1/market/offers", read(state, get(offers)).merge(admin(state, post(offer))))
        .route("/api/v1/market/offers/{offer}", admin(state, delete(close)))
        .route("/api/v1/market/offers/{offer}/disclosure", admin(state, get(disclosure)))
}

async fn offers(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let part = Part::of(request.uri().query().unwrap_or_default())?;
    let key = |id| OfferKey { offer: OfferId(id) };
    let found = part.read(&state, key, |_, open| open.is_open).await?;
    let ids: Vec<OfferId> = found.iter().map(|(key, _)| key.offer).collect();
    let asked = ask(&state, move |link| {
        let looked = link.chain().look(move |validator| {
            let chain = Overlay::new(validator.state());
            let asked = ids.into_iter().map(|offer| chain.get(&ExtensionKey { offer }));
            asked.collect::<Result<Vec<_>, _>>()
        });
        looked.ok_or_else(ending)?.map_err(|error| Problem::internal(error.to_string()))
    });
    let shown = found.into_iter().zip(asked.await?).map(|((key, open), extension)| {
        let mut shown = shown::offer(key.offer, &open);
        shown["question"] = match extension.map(|extension| extension.delivery) {
            Some(Delivery::Answers { query }) => json!(query),
            Some(Delivery::Keys) | None => Value::Null,
        };
        shown
    });
    Ok(answer(StatusCode::OK, &shown.collect()))
}

/// What is offered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferBody {
    device: String,
    #[serde(default)]
    metrics: Vec<String>,
    from: Option<Time>,
    until: Option<Time>,
    fixed: Option<Coins>,
    per_hour: Option<Coins>,
    /// The coin of the price; the chain's own, where none is said.
    coin: Option<CoinSaid>,
    check_blocks: Option<u32>,
    #[serde(default)]
    revocable: bool,
    /// What a revocation costs on top, in basis points of the price.
    #[serde(default)]
    revocation_fee_bp: u16,
    /// A contract of the node's configuration: price and terms are what it says, and its rules grant.
    contract: Option<ContentId>,
    /// Answers to it are sold instead of the keys.
    question: Option<Asked>,
    #[serde(default)]
    royalty_bp: u16,
    #[serde(default)]
    sources: Vec<OfferId>,
}

impl OfferBody {
    /// Refuses what is said twice, or of nothing.
    fn check(&self) -> Result<(), Problem> {
        let says_terms = self.fixed.is_some()
            || self.per_hour.is_some()
            || self.coin.is_some()
            || self.check_blocks.is_some()
            || self.revocable
            || self.revocation_fee_bp > 0
            || self.royalty_bp > 0;
        if self.contract.is_some() && says_terms {
            return Err(Problem::invalid(
                "the body: price, coin, time to check, revocation and royalty are what the contract says",
            ));
        }
        if self.revocation_fee_bp > 0 && !self.revocable {
            return Err(Problem::invalid("the body: revocation_fee_bp is of what is revocable"));
        }
        Ok(())
    }
}

async fn offer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let told: OfferBody = body(&state, request).await?;
    told.check()?;
    let contract = told.contract;
    let offered = dealt(&state, move |desk| {
        let question = told.question.as_ref().map(|asked| asked.among(desk.questions()));
        let question = question.transpose()?.map(|question| question.id);
        let more = More { question, royalty: BasisPoints(told.royalty_bp), sources: told.sources };
        let wish = Wish {
            device: told.device,
            metrics: told.metrics,
            from_ms: told.from.map(|from| from.0),
            until_ms: told.until.map(|until| until.0),
            coin: told.coin.map_or(Coin::Native, |said| said.0),
            fixed: told.fixed.unwrap_or_default().0,
            per_hour: told.per_hour.unwrap_or_default().0,
            check_blocks: told.check_blocks,
            is_revocable: told.revocable,
            revocation_fee: BasisPoints(told.revocation_fee_bp),
            auto_grant: None,
            more,
        };
        let wish = match contract {
            Some(id) => {
                let missing = || MarketError::Contract {
                    name: id.to_string(),
                    reason: "it is none of the node's configuration".to_owned(),
                };
                wish.under(desk.contracts().get(&id).ok_or_else(missing)?)?
            }
            None => wish,
        };
        Ok::<_, MarketError>((desk.offer(wish)?, question))
    });
    let (offered, question) = offered.await?;
    let disclosure = offered.hidden.map(|scope| Disclosure::new(offered.offer, scope));
    let shown = json!({
        "offer": offered.offer.to_string(),
        "level": offered.terms.terms.level,
        "coin": offered.terms.coin,
        "hidden": disclosure.is_some(),
        "disclosure": disclosure,
        "check_blocks": offered.terms.terms.check_blocks,
        "question": question,
        "contract": contract,
    });
    Ok(answer(StatusCode::CREATED, &done(shown, &offered.done)))
}

/// What a hidden offer is of. Whoever lost the answer to it has it from here.
async fn disclosure(
    State(state): State<HttpState>,
    Path(offer): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&offer, OfferId)?;
    let told = dealt(&state, move |desk| desk.disclosure(wanted)).await?;
    Ok(answer(StatusCode::OK, &json!(told)))
}

async fn close(
    State(state): State<HttpState>,
    Path(offer): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&offer, OfferId)?;
    let closed = dealt(&state, move |desk| desk.close(wanted)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"offer": offer}), &closed)))
}
