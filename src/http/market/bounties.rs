//! Bounties: data that nobody offers, with a reward set aside.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use chronolith_chain::coin::{BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{BountyId, OfferId};
use chronolith_chain::ledger::{BountyKey, Leftover, Ownership, SubmittedRight};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{CoinSaid, Coins, Time, body, id};
use super::lists::Part;
use super::{admin, dealt, done, found, read};
use crate::chain::shown;
use crate::http::answer::json as answer;
use crate::http::parameters::last;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::market::MarketError;
use crate::market::bounty::{self, Awards, GRANT_BLOCKS, Wish};
use crate::market::purse::Disclosure;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route(
            "/api/v1/market/bounties",
            read(state, get(bounties)).merge(admin(state, post(offer_reward))),
        )
        .route("/api/v1/market/bounties/{bounty}", read(state, get(show)))
        .route("/api/v1/market/bounties/{bounty}/submissions", admin(state, post(submit)))
        .route("/api/v1/market/bounties/{bounty}/awards", admin(state, post(award)))
}

async fn bounties(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let closed = match last(query, "closed").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(Problem::invalid(format!("closed is true or false, not {other:?}")));
        }
    };
    let key = |id| BountyKey { bounty: BountyId(id) };
    let found = Part::of(query)?.read(&state, key, |_, one| one.is_open || closed).await?;
    let shown = found.iter().map(|(key, one)| shown::bounty(key.bounty, one));
    Ok(answer(StatusCode::OK, &shown.collect()))
}

async fn show(
    State(state): State<HttpState>,
    Path(bounty): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&bounty, BountyId)?;
    found(&state, ("bounty", bounty), move |chain| {
        let Some(found) = chain.get(&BountyKey { bounty: wanted })? else { return Ok(None) };
        let all = bounty::submissions(chain, wanted)?;
        let all: Vec<Value> =
            all.iter().map(|(number, one)| shown::submission(*number, one)).collect();
        let mut shown = shown::bounty(wanted, &found);
        // The list in the place of its length.
        shown["submissions"] = Value::Array(all);
        Ok(Some(shown))
    })
    .await
}

/// Where goes what nobody was awarded.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rest {
    #[default]
    Poster,
    Submitters,
}

/// Whose the data is once it is awarded.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Owner {
    #[default]
    Submitter,
    Poster,
    Both,
}

/// What is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BountyBody {
    text: ContentId,
    /// The coin of the reward; the chain's own, where none is said.
    coin: Option<CoinSaid>,
    reward: Coins,
    submit_blocks: u64,
    award_blocks: u64,
    #[serde(default)]
    leftover: Rest,
    #[serde(default)]
    ownership: Owner,
}

async fn offer_reward(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let told: BountyBody = body(&state, request).await?;
    let wish = Wish {
        text: told.text,
        coin: told.coin.map_or(Coin::Native, |said| said.0),
        reward: told.reward.0,
        submit_blocks: told.submit_blocks,
        award_blocks: told.award_blocks,
        leftover: match told.leftover {
            Rest::Poster => Leftover::Poster,
            Rest::Submitters => Leftover::Submitters,
        },
        ownership: match told.ownership {
            Owner::Submitter => Ownership::Submitter,
            Owner::Poster => Ownership::Poster,
            Owner::Both => Ownership::Both,
        },
    };
    let posted = dealt(&state, move |desk| desk.post_bounty(wish)).await?;
    let shown = json!({
        "bounty": posted.bounty,
        "submit_until": posted.submit_until,
        "award_until": posted.award_until,
    });
    Ok(answer(StatusCode::CREATED, &done(shown, &posted.done)))
}

/// What is submitted; of encrypted data also an offer and a range.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmissionBody {
    content: ContentId,
    offer: Option<OfferId>,
    from: Option<Time>,
    until: Option<Time>,
}

async fn submit(
    State(state): State<HttpState>,
    Path(bounty): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let wanted = id(&bounty, BountyId)?;
    let told: SubmissionBody = body(&state, request).await?;
    let right = match (told.offer, told.from, told.until) {
        (Some(offer), Some(Time(from_ms)), Some(Time(until_ms))) => {
            Some(SubmittedRight { offer, from_ms, until_ms })
        }
        (None, None, None) => None,
        _ => {
            let what = "the body: offer, from and until go together: encrypted data is submitted by an offer and a range";
            return Err(Problem::invalid(what));
        }
    };
    let made = dealt(&state, move |desk| desk.submit(wanted, told.content, right)).await?;
    Ok(answer(StatusCode::CREATED, &done(json!({"bounty": bounty}), &made)))
}

/// A share of the reward.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareBody {
    /// The number of the submission.
    number: u32,
    /// Basis points.
    share: BasisPoints,
}

/// What is awarded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AwardBody {
    shares: Vec<ShareBody>,
    grant_blocks: Option<u32>,
    /// What the offers of hidden submissions are of: the JSON of the files that their owners told.
    #[serde(default)]
    disclosures: Vec<Disclosure>,
}

impl AwardBody {
    /// What is awarded.
    fn awards(self) -> Result<Awards, Problem> {
        let mut disclosures = BTreeMap::new();
        for told in self.disclosures {
            let offer = told.offer().map_err(|error| wrong_disclosures(&error))?;
            disclosures.insert(offer, told.scope);
        }
        Ok(Awards {
            shares: self.shares.iter().map(|one| (one.number, one.share)).collect(),
            grant_blocks: self.grant_blocks.unwrap_or(GRANT_BLOCKS),
            disclosures,
        })
    }
}

fn wrong_disclosures(error: &dyn std::fmt::Display) -> Problem {
    Problem::invalid(format!("the body: the disclosures: {error}")).with("field", "disclosures")
}

async fn award(
    State(state): State<HttpState>,
    Path(bounty): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let wanted = id(&bounty, BountyId)?;
    let awards = body::<AwardBody>(&state, request).await?.awards()?;
    let made = dealt(&state, move |desk| match desk.award(wanted, &awards) {
        Err(error @ MarketError::OtherDisclosure(_)) => Ok(Err(wrong_disclosures(&error))),
        made => made.map(Ok),
    });
    let made = made.await??;
    let shown = json!({"bounty": bounty, "requests": made.requests});
    Ok(answer(StatusCode::OK, &done(shown, &made.done)))
}
