//! The catalogue: schemas that find their tables when a query names them.
//!
//! | schema | its tables |
//! |---|---|
//! | `public` (the default) | metrics by name, else classes by the tag `class`; `records` |
//! | `metric` | metrics by name, whatever else has that name |
//! | `class` | classes, whatever else has that name |
//! | `system` | `devices`, `metrics`, `chunks`, `segments` |

use std::sync::Arc;

use async_trait::async_trait;
use chronolith_engine::{Db, Match, MetricId, ReadError, Selector, Snapshot};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, TableProvider,
};
use datafusion::common::{DataFusionError, Result};

use super::columns::Series;
use super::system::{self, SYSTEM_TABLES};
use super::table::MetricTable;
use super::wide::WideTable;

/// The one catalogue.
pub(crate) const CATALOG: &str = "chronolith";
/// The schema of names without one.
pub(crate) const PUBLIC: &str = "public";
const METRIC: &str = "metric";
const CLASS: &str = "class";
const SYSTEM: &str = "system";
/// All metrics in one table.
const RECORDS: &str = "records";

/// An error of the engine as one of DataFusion; [`super::problem`] finds it again.
pub(crate) fn read_error(error: ReadError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// What one query reads: the same state of the database for all of its tables.
#[derive(Clone)]
pub(crate) struct Lookup {
    pub(crate) db: Db,
    pub(crate) snapshot: Snapshot,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lookup")
    }
}

impl Lookup {
    pub(crate) fn new(db: Db) -> Self {
        let snapshot = db.live();
        Self { db, snapshot }
    }

    /// The metrics that a selector chooses, with their definitions.
    pub(crate) fn series(&self, selector: &Selector) -> Result<Vec<Series>> {
        let ids = self.db.select(selector).map_err(read_error)?;
        let series = |id: MetricId| Some(Series { id, definition: self.db.definition(id)? });
        Ok(ids.into_iter().filter_map(series).collect())
    }

    fn has(&self, label: &str, value: &str) -> bool {
        let wanted = Selector::all().label(label, Match::Equal(value.to_owned()));
        !value.is_empty() && self.db.select(&wanted).is_ok_and(|found| !found.is_empty())
    }

    fn names(&self, label: &str) -> Vec<String> {
        self.db.label_values(label).into_iter().map(|(value, _)| value).collect()
    }
}

/// The names of all tables, as a query may write them.
pub(crate) fn table_names(lookup: &Lookup) -> Vec<String> {
    let mut names = Schema { lookup: lookup.clone(), kind: SchemaKind::Public }.table_names();
    names.extend(SYSTEM_TABLES.iter().map(|table| format!("{SYSTEM}.{table}")));
    names
}

/// The catalogue list of a query.
pub(crate) fn list(lookup: &Lookup) -> Arc<dyn CatalogProviderList> {
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(Catalog { lookup: lookup.clone() }));
    Arc::new(list)
}

#[derive(Debug)]
struct Catalog {
    lookup: Lookup,
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        [PUBLIC, METRIC, CLASS, SYSTEM].map(str::to_owned).to_vec()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let kind = match name {
            PUBLIC => SchemaKind::Public,
            METRIC => SchemaKind::Metric,
            CLASS => SchemaKind::Class,
            SYSTEM => SchemaKind::System,
            _ => return None,
        };
        Some(Arc::new(Schema { lookup: self.lookup.clone(), kind }))
    }
}

#[derive(Debug, Clone, Copy)]
enum SchemaKind {
    Public,
    Metric,
    Class,
    System,
}

#[derive(Debug)]
struct Schema {
    lookup: Lookup,
    kind: SchemaKind,
}

impl Schema {
    fn metric(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if !self.lookup.has("name", name) {
            return Ok(None);
        }
        Ok(Some(Arc::new(MetricTable::of_name(&self.lookup, name)?)))
    }

    fn class(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if !self.lookup.has("class", name) {
            return Ok(None);
        }
        Ok(Some(Arc::new(WideTable::of_class(&self.lookup, name)?)))
    }

    fn public(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name == RECORDS {
            return Ok(Some(Arc::new(MetricTable::of_all(&self.lookup)?)));
        }
        match self.metric(name)? {
            Some(table) => Ok(Some(table)),
            None => self.class(name),
        }
    }
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        let (metrics, classes) = (|| self.lookup.names("name"), || self.lookup.names("class"));
        match self.kind {
            SchemaKind::Metric => metrics(),
            SchemaKind::Class => classes(),
            SchemaKind::System => SYSTEM_TABLES.map(str::to_owned).to_vec(),
            SchemaKind::Public => {
                let mut names = metrics();
                names.extend(classes());
                names.push(RECORDS.to_owned());
                names.sort_unstable();
                names.dedup();
                names
            }
        }
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        #[cfg(feature = "continuous")]
        if matches!(self.kind, SchemaKind::Public)
            && let Some(table) = super::continuous::table(&self.lookup.db, name)?
        {
            return Ok(Some(table));
        }
        match self.kind {
            SchemaKind::Metric => self.metric(name),
            SchemaKind::Class => self.class(name),
            SchemaKind::System => system::table(&self.lookup, name),
            SchemaKind::Public => self.public(name),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        match self.kind {
            SchemaKind::Metric => self.lookup.has("name", name),
            SchemaKind::Class => self.lookup.has("class", name),
            SchemaKind::System => SYSTEM_TABLES.contains(&name),
            SchemaKind::Public => {
                #[cfg(feature = "continuous")]
                if super::continuous::is_query(&self.lookup.db, name) {
                    return true;
                }
                name == RECORDS || self.lookup.has("name", name) || self.lookup.has("class", name)
            }
        }
    }
}
