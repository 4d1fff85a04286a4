//! What a call says.

use chronolith_chain::coin::{Amount, Coin};
use chronolith_contract::Compiled;
use serde_json::{Value, json};

use super::record::{Call, Record, SaleId, Told};
use crate::rows::rfc3339;

/// A message of a call, the same however often it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id: of the webhook, the sale, and what is told.
    pub id: String,
    /// The sale.
    pub sale: SaleId,
    /// The call.
    pub call: Call,
    /// What is sent.
    pub body: String,
}

/// The message of a call.
#[must_use]
pub fn message(compiled: &Compiled, record: &Record, call: &Call) -> Message {
    let Call { webhook, on, number, told, seen } = call;
    let contract = compiled.contract();
    let mut data = json!({
        "contract": contract.name,
        "contract_cid": compiled.cid().to_string(),
        "webhook": webhook,
        "buyer": record.offered.buyer,
        "price": price(compiled, record.offered.coin, record.offered.price),
        "coin": record.offered.coin,
        "height": seen.height,
    });
    if let Some(owner) = record.offered.owner {
        data["owner"] = json!(owner);
    }
    if let Some(offer) = record.offered.offer {
        data["offer"] = json!(offer);
    }
    data[record.sale.kind()] = json!(record.sale.to_string());
    match told {
        Told::Step => data["step"] = json!(on),
        Told::End => data["end"] = json!(on),
        Told::Said(by) => {
            data["event"] = json!(on);
            data["by"] = json!(by);
        }
        Told::Event(fact) => {
            data["event"] = json!(on);
            data["by"] = json!(fact.by.name());
            data["price"] = Value::String(price(compiled, record.offered.coin, fact.price));
            if let Some(period) = fact.period {
                data["period"] = json!(period);
            }
        }
    }
    let time_ns = i64::try_from(u128::from(seen.time_ms) * 1_000_000).unwrap_or(i64::MAX);
    let body = json!({
        "type": format!("contract.{on}"),
        "timestamp": rfc3339(time_ns),
        "data": data,
    });
    Message {
        id: format!("{webhook}-{}-{on}-{number}", record.sale),
        sale: record.sale,
        call: call.clone(),
        body: body.to_string(),
    }
}

/// An amount as people write it; of a coin that the contract does not tell the decimals of, its smallest units.
fn price(compiled: &Compiled, coin: Coin, amount: Amount) -> String {
    let told = &compiled.contract().price;
    let decimals = match coin {
        Coin::Native => 18,
        Coin::Issued(id) if id.to_string() == told.coin => told.decimals,
        Coin::Issued(_) => 0,
    };
    chronolith_contract::Amount(amount.0).to_coins(decimals)
}
