//! Sessions: a database that answers SQL.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use chronolith_engine::{Db, Selector};
use datafusion::common::{DataFusionError, Result as PlanResult};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::answer::{Answer, Canceller, GLANCE};
use super::catalog::{self, Lookup};
use super::error::QueryError;
use super::planner::Planner;
use super::problem::{Problem, execution_error};
use super::reads::ReadLog;
use super::table::MetricTable;
use super::threads::Threads;
use super::watch::Watch;
use super::{aggregates, asof, bucket, functions, gapfill, guard};

/// Bounds on one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most rows of an answer; one more is an error.
    pub rows: Option<u64>,
    /// The longest time from the beginning of planning to the last row.
    pub time: Option<Duration>,
    /// The most memory of sorts, joins, aggregations and decoded chunks: bytes. What sorts and
    /// aggregations cannot hold goes to temporary files.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: None, time: None, memory_bytes: 512 << 20 }
    }
}

/// How many large consumers an error about memory names.
const NAMED_CONSUMERS: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN;
/// How far each partition of a sorted scan runs ahead of those that it is merged with: bytes.
const SORT_BUFFER_BYTES: usize = 1 << 20;
/// How much of a query may go to temporary files: bytes.
const TEMPORARY_BYTES_MAX: u64 = 8 << 30;
/// What one call of a function may make of a batch, as a part of the limit on memory.
const TEXT_PART: usize = 8;

/// A database that answers SQL.
///
/// It has threads of its own; queries may run at the same time. Do not call it from within
/// another Tokio runtime: its methods block.
#[derive(Clone)]
pub struct Sql {
    db: Db,
    state: SessionState,
    runtime: Arc<Threads>,
}

impl Sql {
    /// Makes a session on a database.
    pub fn new(db: Db) -> Result<Self, QueryError> {
        Self::of(db, std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Makes a session whose answers to a query are the same each time, also where it asks for no order:
    /// one thread does all of it.
    pub fn repeatable(db: Db) -> Result<Self, QueryError> {
        Self::of(db, 1)
    }

    fn of(db: Db, threads: usize) -> Result<Self, QueryError> {
        let runtime = Threads::new(threads).map_err(QueryError::Runtime)?;
        Ok(Self { db, state: state(threads), runtime: Arc::new(runtime) })
    }

    /// The database.
    #[must_use]
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// Plans a query and begins to answer it. Queries only: nothing that SQL says changes data.
    pub fn query(&self, sql: &str, limits: &Limits) -> Result<Answer, QueryError> {
        self.cancellable_query(sql, limits, &Canceller::default())
    }

    /// The same; the canceller ends it also while it is planned.
    pub fn cancellable_query(
        &self,
        sql: &str,
        limits: &Limits,
        canceller: &Canceller,
    ) -> Result<Answer, QueryError> {
        let watch = Arc::new(Watch::new(limits.time, canceller));
        let context = self.context(limits, &watch);
        let text = sql.to_owned();
        let task = async move { begin(&context.map_err(Box::new)?, &text).await.map_err(Box::new) };
        let stream = self.watched(sql, limits, &watch, task)?;
        Ok(Answer::new(sql, stream, Arc::clone(&self.runtime), watch, *limits))
    }

    /// A session's context in which what scans read is noted.
    pub(super) fn logging(&self, limits: &Limits, log: Arc<ReadLog>) -> PlanResult<SessionContext> {
        let watch = Arc::new(Watch::new(limits.time, &Canceller::default()));
        let context = self.context(limits, &watch)?;
        let state = context.state();
        let config = state.config().clone().with_extension(log);
        let state = SessionStateBuilder::new_from_existing(state).with_config(config).build();
        Ok(SessionContext::new_with_state(state))
    }

    /// Carries out what plans a query, and explains why it cannot be planned.
    pub(super) fn planned<T: Send + 'static>(
        &self,
        sql: &str,
        limits: &Limits,
        task: impl Future<Output = Result<T, Box<DataFusionError>>> + Send + 'static,
    ) -> Result<T, QueryError> {
        self.watched(sql, limits, &Watch::new(limits.time, &Canceller::default()), task)
    }

    fn watched<T: Send + 'static>(
        &self,
        sql: &str,
        limits: &Limits,
        watch: &Watch,
        task: impl Future<Output = Result<T, Box<DataFusionError>>> + Send + 'static,
    ) -> Result<T, QueryError> {
        guard::check(sql).map_err(|message| Box::new(Problem::new(message)))?;
        // On a thread of the runtime, whose stack is large enough for deep expressions.
        let mut planning = self.runtime.spawn(task);
        let begun = self.runtime.block_on(async {
            loop {
                if watch.check().is_err() {
                    planning.abort();
                    return None;
                }
                if let Ok(begun) = tokio::time::timeout(GLANCE, &mut planning).await {
                    return Some(begun);
                }
            }
        });
        match begun {
            None => Err(watch.stopped()),
            Some(Ok(Ok(begun))) => Ok(begun),
            Some(Ok(Err(error))) => Err(self.explain(sql, *error, limits)),
            Some(Err(join)) => Err(Box::new(Problem::new(format!(
                "the query cannot be planned: {join}; simplify it and report it"
            )))
            .into()),
        }
    }

    /// The records of some metrics from a first to a last time, as the table `records` shows them:
    /// ordered by device, name, tags and time.
    pub fn records(
        &self,
        selector: &Selector,
        range: RangeInclusive<i64>,
        limits: &Limits,
    ) -> Result<Answer, QueryError> {
        let watch = Arc::new(Watch::new(limits.time, &Canceller::default()));
        let begin = || {
            let lookup = Lookup::new(self.db.clone());
            let (from_ns, to_ns) = range.into_inner();
            let scan = MetricTable::ordered_scan(&lookup, selector.clone(), (from_ns, to_ns))?;
            scan.execute(0, self.context(limits, &watch)?.task_ctx())
        };
        let stream = begin().map_err(|error| execution_error(error, limits))?;
        Ok(Answer::new("", stream, Arc::clone(&self.runtime), watch, *limits))
    }

    /// The columns of a query's answer, without running it.
    pub fn columns(&self, sql: &str) -> Result<SchemaRef, QueryError> {
        Ok(self.query(sql, &Limits::default())?.schema())
    }

    /// The names of all tables: those of metrics and classes, then those of schemas.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        catalog::table_names(&Lookup::new(self.db.clone()))
    }

    /// The names of all functions.
    #[must_use]
    pub fn functions(&self) -> Vec<String> {
        let state = &self.state;
        let scalar = state.scalar_functions().keys();
        let names = scalar.chain(state.aggregate_functions().keys());
        let mut names: Vec<String> =
            names.chain(state.window_functions().keys()).cloned().collect();
        names.extend(state.table_functions().keys().cloned());
        // What begins with two underscores is no function that anybody writes.
        names.retain(|name| !name.starts_with("__"));
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(crate) fn explain(&self, sql: &str, error: DataFusionError, limits: &Limits) -> QueryError {
        super::problem::explain(self, sql, error, limits)
    }

    fn context(&self, limits: &Limits, watch: &Arc<Watch>) -> PlanResult<SessionContext> {
        let pool = FairSpillPool::new(limits.memory_bytes);
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::OsTmpDirectory);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, NAMED_CONSUMERS)))
            .with_disk_manager_builder(disk.with_max_temp_directory_size(TEMPORARY_BYTES_MAX))
            .build_arc()?;
        let config = self.state.config().clone().with_extension(Arc::clone(watch));
        let lookup = Lookup::new(self.db.clone());
        let state = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_config(config)
            .with_runtime_env(environment)
            .with_catalog_list(catalog::list(&lookup));
        let mut state = state.build();
        functions::bounded::bound(&mut state, limits.memory_bytes / TEXT_PART)?;
        Ok(SessionContext::new_with_state(state))
    }
}

/// Plans a query and starts its operators.
async fn begin(context: &SessionContext, sql: &str) -> PlanResult<SendableRecordBatchStream> {
    let options =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let state = context.state();
    let plan = state.statement_to_plan(asof::question(&state, sql)?).await?;
    options.verify_plan(&plan)?;
    let physical = state.create_physical_plan(&plan).await?;
    execute_stream(physical, state.task_ctx())
}

/// What all queries of a session share.
pub(super) fn state(threads: usize) -> SessionState {
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_information_schema(true)
        .with_default_catalog_and_schema(catalog::CATALOG, catalog::PUBLIC)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.collect_statistics = false;
    // Scans merge metrics without waiting; a larger buffer only holds records that nobody wants yet.
    options.execution.sort_pushdown_buffer_capacity = SORT_BUFFER_BYTES;
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    let builder = builder
        .with_analyzer_rule(Arc::new(aggregates::latest::LatestRule))
        .with_analyzer_rule(Arc::new(aggregates::per_metric::PerMetricRule));
    let builder = asof::install(gapfill::install(bucket::install(builder)));
    let mut state = builder.with_query_planner(Arc::new(Planner)).build();
    functions::register(&mut state);
    asof::register(&mut state);
    aggregates::register(&mut state);
    state
}
