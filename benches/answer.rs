//! Proved answers: checking one from a week of one metric, without and with its chunks, and making it.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

mod common;

use chronolith::answer::{
    AnswerBundle, Computed, Expected, MakeSettings, Supplies, Trust, make, verify,
};
use chronolith::chain::anchor::anchor;
use chronolith::chain::prove::Since;
use chronolith::chain::{Beginning, Chain, Foundation};
use chronolith::wallet::Wallet;
use chronolith_chain::coin::Amount;
use chronolith_chain::genesis::GenesisAccount;
use chronolith_chain::light::Options;
use chronolith_engine::{Db, Durability, Metric, SealScope};
use chronolith_query::{Limits, Sql};
use common::cpu::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};

/// 2026-01-01T00:00:00Z.
const START_NS: i64 = 1_767_225_600_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;
const WEEK_MINUTES: i64 = 7 * 24 * 60;
const QUESTION: &str = "SELECT avg(value) AS mean FROM speed WHERE device = 'car-17' \
                        AND time >= TIMESTAMP '2026-01-15' AND time < TIMESTAMP '2026-01-22'";

/// Five weeks of six metrics, a record a minute, anchored on a chain of 22 validators.
fn world(directory: &std::path::Path) -> (Sql, Chain) {
    let main = Wallet::at(directory.join("wallet")).create("main").unwrap();
    let accounts =
        vec![GenesisAccount { address: main.address, balance: Amount::coins(1_000_000) }];
    let beginning =
        Beginning { name: "bench".to_owned(), validators: 22, accounts, parameters: Vec::new() };
    let place = directory.join("chain");
    Foundation::new(&place, beginning).unwrap().create(|| Ok(())).unwrap();
    let db = Db::open(directory.join("db"), common::options()).unwrap();
    for name in ["speed", "rpm", "oil", "fuel", "torque", "brake"] {
        let metric = db.metric(Metric::new("car-17", name), chronolith_engine::Kind::F64).unwrap();
        let mut batch = db.batch();
        for minute in 0..5 * WEEK_MINUTES {
            let value = 50.0 + (minute * minute % 977) as f64 / 10.0;
            batch.push(metric, START_NS + minute * MINUTE_NS, value).unwrap();
        }
        db.write(&batch, Durability::Buffered).unwrap();
    }
    db.seal(SealScope::All).unwrap();
    let mut chain = Chain::open(&place).unwrap();
    anchor(&mut chain, &db, &main).unwrap();
    (Sql::new(db).unwrap(), chain)
}

fn check(bundle: &AnswerBundle, trust: &Trust, computed: Computed) {
    let supplies = Supplies {
        now_ns: u64::MAX / 2,
        options: Options { trusting_period_ns: None, ..Options::default() },
        bodies: &|_| None,
        keys: None,
        limits: Limits::default(),
    };
    let verified = verify(bundle, trust, &Expected::default(), &supplies).unwrap();
    assert_eq!(verified.computed, computed);
}

fn answers(criterion: &mut Criterion<CpuTime>) {
    let directory = tempfile::tempdir().unwrap();
    let (sql, chain) = world(directory.path());
    let height = chain.height().unwrap();
    let block = chain.block(height).unwrap().block.header.id();
    let settings =
        |bodies| MakeSettings { bodies, since: Since(height), ..MakeSettings::default() };
    let mut group = criterion.benchmark_group("answers of a week");
    group.sample_size(20);
    for (name, bodies, computed) in [
        ("without bodies", false, Computed::NoBodies { missing: 168 }),
        ("computed again", true, Computed::Same),
    ] {
        let made = make(&sql, &chain, QUESTION, &settings(bodies)).unwrap();
        let bytes = made.bundle.to_bytes().unwrap();
        let headers: usize = made.bundle.metrics[0].chunks.iter().map(|c| c.header.len()).sum();
        println!(
            "{name}: {} bytes, of them {headers} of headers, {} beyond headers and bodies",
            bytes.len(),
            made.bundle.proof_bytes()
        );
        let trust = Trust::Block(block);
        group.bench_function(format!("verify {name}"), |bencher| {
            bencher.iter(|| check(&AnswerBundle::from_bytes(&bytes).unwrap(), &trust, computed));
        });
    }
    group.bench_function("make", |bencher| {
        bencher.iter(|| make(&sql, &chain, QUESTION, &settings(true)).unwrap().bundle);
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::cpu::criterion();
    targets = answers
}
criterion_main!(benches);
