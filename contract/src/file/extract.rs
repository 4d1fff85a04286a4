//! Takes a contract out of a file. What [`super::conform`] found wrong has an empty value here.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::quantity::{deadline, duration_ms};
use crate::amount::{Amount, DECIMALS_MAX};
use crate::model::{
    AnswerKind, Clock, Contract, Deadline, Draw, End, EventKind, GrantRule, Kind, Metric, Party,
    Placement, Price, Query, Share, ShareOf, Step, Steps, Terms, Transition, VERSION, Webhook,
};

/// The digits behind the point of the native coin.
const DECIMALS: u8 = 18;

/// A table that is read leniently.
#[derive(Clone, Copy)]
struct Table<'a>(Option<&'a DeTable<'a>>);

impl<'a> Table<'a> {
    fn get(self, name: &str) -> Option<&'a DeValue<'a>> {
        self.0?.get(name).map(Spanned::get_ref)
    }

    fn text(self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    fn owned(self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    fn integer<T: TryFrom<i64>>(self, name: &str) -> Option<T> {
        let number = self.get(name)?.as_integer()?;
        T::try_from(i64::from_str_radix(number.as_str(), number.radix()).ok()?).ok()
    }

    fn boolean(self, name: &str) -> bool {
        self.get(name).and_then(DeValue::as_bool).unwrap_or_default()
    }

    fn table(self, name: &str) -> Table<'a> {
        Table(self.get(name).and_then(DeValue::as_table))
    }

    fn tables<T>(self, name: &str, read: impl Fn(Table<'a>) -> T) -> Vec<T> {
        let values = self.get(name).and_then(DeValue::as_array).map(|values| values.iter());
        let tables = values.into_iter().flatten();
        tables.map(|value| read(Table(value.get_ref().as_table()))).collect()
    }

    fn texts(self, name: &str) -> Vec<String> {
        let values = self.get(name).and_then(DeValue::as_array).map(|values| values.iter());
        let text =
            |value: &Spanned<DeValue<'_>>| value.get_ref().as_str().unwrap_or_default().to_owned();
        values.into_iter().flatten().map(text).collect()
    }

    fn amount(self, name: &str, decimals: u8) -> Amount {
        self.text(name).and_then(|text| Amount::parse(text, decimals).ok()).unwrap_or_default()
    }
}

/// How many digits behind the point the amounts of a file have.
pub(super) fn decimals(table: &DeTable<'_>) -> u8 {
    let price = Table(Some(table)).table("price");
    price.integer("decimals").unwrap_or(DECIMALS).min(DECIMALS_MAX)
}

/// The contract of a file.
pub(super) fn contract(table: &DeTable<'_>) -> Contract {
    let file = Table(Some(table));
    let price = file.table("price");
    let decimals = decimals(table);
    Contract {
        contract: file.integer("contract").unwrap_or(VERSION),
        name: file.owned("name"),
        about: file.owned("about"),
        parties: file.tables("party", |party| Party {
            name: party.owned("name"),
            about: party.owned("about"),
        }),
        metrics: file.tables("metric", metric),
        placement: file.get("placement").map(|_| placement(file.table("placement"))),
        price: Price {
            coin: price.text("coin").unwrap_or("native").to_owned(),
            decimals,
            fixed: price.amount("fixed", decimals),
            per_hour: price.amount("per_hour", decimals),
        },
        terms: terms(file.table("terms")),
        lists: file.texts("lists"),
        grants: file.tables("grant", |grant| GrantRule {
            name: grant.owned("name"),
            when: grant.owned("when"),
        }),
        queries: file.tables("query", query),
        steps: steps(file, decimals),
        webhooks: file.tables("webhook", |hook| Webhook {
            name: hook.owned("name"),
            url: hook.owned("url"),
            on: hook.texts("on"),
        }),
    }
}

fn metric(metric: Table<'_>) -> Metric {
    let tags = metric.table("tags").0.map(|tags| tags.iter()).into_iter().flatten();
    let tag = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        (key.clone().into_owned(), value.get_ref().as_str().unwrap_or_default().to_owned())
    };
    Metric {
        device: metric.text("device").unwrap_or("*").to_owned(),
        name: metric.owned("name"),
        tags: tags.map(tag).collect::<BTreeMap<_, _>>(),
        kind: match metric.text("kind") {
            Some("i64") => Kind::I64,
            Some("u64") => Kind::U64,
            Some("bool") => Kind::Bool,
            Some("text") => Kind::Text,
            Some("bytes") => Kind::Bytes,
            _ => Kind::F64,
        },
        unit: metric.owned("unit"),
        level: metric.integer("level").unwrap_or(3),
        policy: metric.owned("policy"),
        every_ms: metric.text("every").and_then(duration_ms),
        processing: metric.owned("processing"),
    }
}

fn placement(placement: Table<'_>) -> Placement {
    Placement {
        regions: placement.texts("regions"),
        data: placement.integer("data").unwrap_or(1),
        parity: placement.integer("parity").unwrap_or(0),
        replicas: placement.integer("replicas").unwrap_or(1),
    }
}

fn terms(terms: Table<'_>) -> Terms {
    Terms {
        check_blocks: terms.integer("check_blocks").unwrap_or_default(),
        revocable: terms.boolean("revocable"),
        revocation_fee_bp: terms.integer("revocation_fee_bp").unwrap_or_default(),
        royalty_bp: terms.integer("royalty_bp").unwrap_or_default(),
        answers_only: terms.boolean("answers_only"),
    }
}

fn query(query: Table<'_>) -> Query {
    Query {
        name: query.owned("name"),
        sql: query.owned("sql"),
        answer: match query.text("answer") {
            Some("boolean") => AnswerKind::Boolean,
            Some("text") => AnswerKind::Text,
            _ => AnswerKind::Integer,
        },
        unit: query.owned("unit"),
        about: query.owned("about"),
    }
}

fn steps(file: Table<'_>, decimals: u8) -> Steps {
    let whole = file.table("steps");
    let until = |table: Table<'_>| {
        let (_, within) = table.text("within").and_then(deadline).unwrap_or((Clock::Blocks, 1));
        Deadline { within, then: table.owned("then") }
    };
    let clock = file.tables("step", |step| step.text("within").and_then(deadline));
    let is_overall = whole.get("within").is_some() || whole.get("then").is_some();
    Steps {
        begins: whole.owned("begins"),
        clock: clock.into_iter().flatten().next().map_or(Clock::Blocks, |(clock, _)| clock),
        overall: is_overall.then(|| until(whole)),
        steps: file.tables("step", |step| Step {
            name: step.owned("name"),
            about: step.owned("about"),
            due: step.owned("due"),
            deadline: until(step),
            on: step.tables("on", |on| transition(on, decimals)),
        }),
        ends: file.tables("end", |end| End {
            name: end.owned("name"),
            about: end.owned("about"),
            pay: end.tables("pay", |pay| Share {
                to: pay.owned("to"),
                share: match pay.text("rule") {
                    Some(rule) => ShareOf::Rule(rule.to_owned()),
                    None => ShareOf::Bp(pay.integer("bp").unwrap_or_default()),
                },
            }),
            rest: end.owned("rest"),
        }),
    }
}

fn transition(on: Table<'_>, decimals: u8) -> Transition {
    let event = on.text("event").unwrap_or_default();
    let draw = |draw: Table<'_>| Draw {
        to: draw.owned("to"),
        amount: draw.amount("amount", decimals),
        spent: draw.owned("spent"),
    };
    Transition {
        event: EventKind::ALL
            .into_iter()
            .find(|kind| kind.name() == event)
            .unwrap_or(EventKind::Accepted),
        by: on.owned("by"),
        when: on.owned("when"),
        to: on.owned("to"),
        draw: on.get("draw").map(|_| draw(on.table("draw"))),
    }
}
