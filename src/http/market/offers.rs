//! Offers: those of the chain, and the node's own.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post};
use chronolith_chain::coin::{BasisPoints, Coin};
use chronolith_chain::hash::OfferId;
use chronolith_chain::ledger::{Delivery, ExtensionKey};
use chronolith_chain::state::{Overlay, StateError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{Asked, Coins, Time, body, id};
use super::{admin, dealt, done, read};
use crate::chain::shown;
use crate::http::answer::json as answer;
use crate::http::chain::look;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::market::MarketError;
use crate::market::offer::{More, Wish};
use crate::market::queue::open_offers;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route("/api/v1/market/offers", read(state, get(offers)).merge(admin(state, post(offer))))
        .route("/api/v1/market/offers/{offer}", admin(state, delete(close)))
}

async fn offers(State(state): State<HttpState>) -> Result<Response, Problem> {
    let show = |chain: &Overlay<'_>| -> Result<Value, StateError> {
        let all = open_offers(chain)?.into_iter().map(|(id, open)| {
            let mut shown = shown::offer(id, &open);
            let extension = chain.get(&ExtensionKey { offer: id })?;
            shown["question"] = match extension.map(|extension| extension.delivery) {
                Some(Delivery::Answers { query }) => json!(query),
                Some(Delivery::Keys) | None => Value::Null,
            };
            Ok(shown)
        });
        all.collect()
    };
    look(&state, move |chain, _| show(&Overlay::new(chain))).await
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
    check_blocks: Option<u32>,
    #[serde(default)]
    revocable: bool,
    /// Answers to it are sold instead of the keys.
    question: Option<Asked>,
    #[serde(default)]
    royalty_bp: u16,
    #[serde(default)]
    sources: Vec<OfferId>,
}

async fn offer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let told: OfferBody = body(&state, request).await?;
    let offered = dealt(&state, move |desk| {
        let question = told.question.as_ref().map(|asked| asked.among(desk.questions()));
        let question = question.transpose()?.map(|question| question.id);
        let more = More { question, royalty: BasisPoints(told.royalty_bp), sources: told.sources };
        let wish = Wish {
            device: told.device,
            metrics: told.metrics,
            from_ms: told.from.map_or(0, |from| from.0),
            until_ms: told.until.map(|until| until.0),
            coin: Coin::Native,
            fixed: told.fixed.unwrap_or_default().0,
            per_hour: told.per_hour.unwrap_or_default().0,
            check_blocks: told.check_blocks,
            is_revocable: told.revocable,
            revocation_fee: BasisPoints(0),
            auto_grant: None,
            more,
        };
        Ok::<_, MarketError>((desk.offer(wish)?, question))
    });
    let (offered, question) = offered.await?;
    let shown = json!({
        "offer": offered.offer.to_string(),
        "level": offered.terms.terms.level,
        "hidden": offered.hidden.is_some(),
        "check_blocks": offered.terms.terms.check_blocks,
        "question": question,
    });
    Ok(answer(StatusCode::CREATED, &done(shown, &offered.done)))
}

async fn close(
    State(state): State<HttpState>,
    Path(offer): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&offer, OfferId)?;
    let closed = dealt(&state, move |desk| desk.close(wanted)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"offer": offer}), &closed)))
}
