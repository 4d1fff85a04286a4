//! Databases that are anchored on a chain, and answers that are proved from them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chronolith::answer::{
    AnswerBundle, AnswerRefused, Expected, Made, MakeError, MakeSettings, Supplies, Trust,
    VerifiedAnswer, make, verify,
};
use chronolith::chain::Chain;
use chronolith_chain::light::Options as LightOptions;
use chronolith_engine::{ChunkKeys, Db, Options};
use chronolith_query::{Limits, Sql};
use serde_json::Value;

use crate::run::{expect, json};

/// 2026-01-01T00:00:00Z.
pub(crate) const START_NS: i64 = 1_767_225_600_000_000_000;
pub(crate) const MINUTE_NS: i64 = 60_000_000_000;
pub(crate) const HOUR_NS: i64 = 60 * MINUTE_NS;

/// A directory with the database `db`, the chain `c` and the wallet `w`.
pub(crate) struct World {
    directory: tempfile::TempDir,
}

/// Records of a metric of the class `car`, one a minute, so many hours from an hour on: line protocol.
pub(crate) fn lines(metric: &str, from_hour: i64, hours: i64) -> String {
    let mut lines = String::new();
    let (name, tags) = metric.split_once(',').unwrap();
    for minute in from_hour * 60..(from_hour + hours) * 60 {
        let time_ns = START_NS + minute * MINUTE_NS;
        let value = 40.0 + (minute * minute % 977) as f64 / 10.0;
        writeln!(lines, "car,{tags} {name}={value} {time_ns}").unwrap();
    }
    lines
}

/// The condition that a time is of some hours from one on.
pub(crate) fn within(from_hour: i64, hours: i64) -> String {
    let time = |hour: i64| {
        let time = jiff::Timestamp::from_nanosecond((START_NS + hour * HOUR_NS).into());
        format!("TIMESTAMP '{}'", time.unwrap())
    };
    format!("time >= {} AND time < {}", time(from_hour), time(from_hour + hours))
}

impl World {
    /// A chain of four validators and no database yet.
    pub(crate) fn new() -> Self {
        Self::of_validators("4")
    }

    pub(crate) fn of_validators(count: &str) -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap() };
        let init =
            ["chain", "init", "--dir", "c", "--wallet", "w", "--validators", count, "--json"];
        json(world.path(), 0, &init);
        world
    }

    /// Two cars: one with two metrics of a name and a third, one with a metric; all anchored.
    pub(crate) fn cars() -> Self {
        Self::with([
            ("speed,device=car-1,axle=front", 0, 30),
            ("speed,device=car-1,axle=rear", 0, 30),
            ("rpm,device=car-1", 0, 30),
            ("speed,device=car-2,axle=front", 0, 30),
        ])
    }

    /// Metrics with records of so many hours from an hour on, sealed and anchored in one batch.
    pub(crate) fn with<'a>(metrics: impl IntoIterator<Item = (&'a str, i64, i64)>) -> Self {
        let world = Self::new();
        for (metric, from_hour, hours) in metrics {
            world.write(&lines(metric, from_hour, hours));
        }
        world.seal();
        world.anchor();
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, lines: &str) {
        fs::write(self.path().join("in.lp"), lines).unwrap();
        expect(self.path(), 0, &["ingest", "--db", "db", "in.lp"]);
    }

    pub(crate) fn seal(&self) {
        expect(self.path(), 0, &["seal", "--db", "db", "--all"]);
    }

    pub(crate) fn anchor(&self) -> Value {
        let anchor = ["chain", "anchor", "--db", "db", "--dir", "c", "--wallet", "w", "--json"];
        json(self.path(), 0, &anchor)
    }

    pub(crate) fn chain(&self) -> Chain {
        Chain::open(&self.path().join("c")).unwrap()
    }

    pub(crate) fn sql(&self) -> Sql {
        Sql::new(Db::open(self.path().join("db"), Options::read_only()).unwrap()).unwrap()
    }

    pub(crate) fn try_make(
        &self,
        question: &str,
        settings: &MakeSettings<'_>,
    ) -> Result<Made, MakeError> {
        make(&self.sql(), &self.chain(), question, settings)
    }

    pub(crate) fn make(&self, question: &str) -> Made {
        self.try_make(question, &MakeSettings::default()).unwrap()
    }

    pub(crate) fn bundle(&self, question: &str) -> AnswerBundle {
        self.make(question).bundle
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::Chain(self.chain().id())
    }

    pub(crate) fn verify(&self, bundle: &AnswerBundle) -> Result<VerifiedAnswer, AnswerRefused> {
        check(bundle, &self.trust(), &Expected::default())
    }
}

/// Verifies with nothing beside the bundle.
pub(crate) fn check(
    bundle: &AnswerBundle,
    trust: &Trust,
    expected: &Expected,
) -> Result<VerifiedAnswer, AnswerRefused> {
    check_with(bundle, trust, expected, None)
}

/// Verifies with keys.
pub(crate) fn check_with(
    bundle: &AnswerBundle,
    trust: &Trust,
    expected: &Expected,
    keys: Option<&ChunkKeys>,
) -> Result<VerifiedAnswer, AnswerRefused> {
    let supplies = Supplies {
        now_ns: u64::MAX / 2,
        options: LightOptions { trusting_period_ns: None, ..LightOptions::default() },
        bodies: &|_| None,
        keys,
        limits: Limits::default(),
    };
    verify(bundle, trust, expected, &supplies)
}
