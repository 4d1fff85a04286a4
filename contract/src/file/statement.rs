//! Statements of queries: one question in SQL, by the parser that answers it.
//!
//! It is asked of files alone: whether a contract that stands on the ledger is valid must not change with
//! the version of a parser.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Ident, ObjectName, Query, SetExpr, Statement, TableFactor, Visit as _, Visitor, visit_relations,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use toml::de::{DeTable, DeValue};

use super::conform::Found;

/// The longest statement: bytes.
pub(super) const SQL_BYTES_MAX: usize = 4_096;
/// How deep expressions lie in each other.
const DEPTH_MAX: usize = 24;

/// Refuses what is not one question to the contract's metrics.
pub(super) fn check(root: &DeTable<'_>, found: &mut Found) {
    let metrics: BTreeSet<String> = super::array(root, "metric")
        .iter()
        .filter_map(|metric| {
            let name = metric.get_ref().as_table()?.get("name")?;
            name.get_ref().as_str().map(str::to_owned)
        })
        .collect();
    for (query, at) in super::array(root, "query").iter().zip(0..) {
        let sql = query.get_ref().as_table().and_then(|query| query.get("sql"));
        let Some((span, DeValue::String(sql))) = sql.map(|sql| (sql.span(), sql.get_ref())) else {
            continue;
        };
        if sql.len() > SQL_BYTES_MAX {
            continue;
        }
        if let Some(problem) = problem(sql, &metrics) {
            found.problems.push((format!("query.{at}.sql"), span, problem));
        }
    }
}

/// The tables that a statement reads, but for those that it makes itself.
#[derive(Default)]
struct Tables {
    read: Vec<String>,
    /// Those that each query which is being visited makes, from the outermost on.
    made: Vec<Vec<String>>,
    /// All that any query makes.
    named: BTreeSet<String>,
    /// A table that is made of one of its own name, or after it was read: which of the two is read is hard to see.
    doubtful: Option<String>,
    /// What rows are taken from and is no table by its name, as it is written.
    unnamed: Option<String>,
}

/// A name as the database reads it.
fn name_of(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

/// All names of tables in a query, whatever they stand for.
fn named_in(query: &Query) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // Nothing breaks off.
    let _ = visit_relations(query, |relation| {
        names.insert(dotted(relation));
        ControlFlow::<()>::Continue(())
    });
    names
}

fn dotted(relation: &ObjectName) -> String {
    let parts = relation.0.iter().map(|part| part.as_ident().map_or_else(String::new, name_of));
    parts.collect::<Vec<_>>().join(".")
}

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let made = query.with.iter().flat_map(|with| &with.cte_tables);
        let names: Vec<String> = made.clone().map(|table| name_of(&table.alias.name)).collect();
        for (table, place) in made.zip(0..) {
            let inside = named_in(&table.query);
            let later = names.iter().skip(place).find(|name| inside.contains(*name));
            self.doubtful = self.doubtful.take().or_else(|| later.cloned());
        }
        self.named.extend(names.iter().cloned());
        self.made.push(names);
        self.unnamed = self.unnamed.take().or_else(|| bare_table(&query.body));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.made.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let is_seen = matches!(
            factor,
            TableFactor::Table { .. }
                | TableFactor::Derived { .. }
                | TableFactor::NestedJoin { .. }
                | TableFactor::UNNEST { .. }
        );
        if !is_seen {
            self.unnamed.get_or_insert_with(|| factor.to_string());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = dotted(relation);
        if !self.made.iter().flatten().any(|made| *made == name) {
            self.read.push(name);
        }
        ControlFlow::Continue(())
    }
}

/// `TABLE name` in the place of a question; what lies in brackets is a question of its own.
fn bare_table(body: &SetExpr) -> Option<String> {
    match body {
        SetExpr::Table(table) => Some(table.to_string()),
        SetExpr::SetOperation { left, right, .. } => bare_table(left).or_else(|| bare_table(right)),
        _ => None,
    }
}

fn tables_of(question: &Query) -> Tables {
    let mut tables = Tables::default();
    // Nothing breaks off.
    let _ = question.visit(&mut tables);
    tables
}

fn parse(sql: &str) -> Result<Vec<Statement>, ParserError> {
    let parser = Parser::new(&GenericDialect {}).with_recursion_limit(DEPTH_MAX);
    parser.try_with_sql(sql).and_then(|mut parser| parser.parse_statements())
}

/// The tables that a statement reads; none where it is no question.
pub(crate) fn tables(sql: &str) -> BTreeSet<String> {
    match parse(sql).as_deref() {
        Ok([Statement::Query(question)]) => tables_of(question).read.into_iter().collect(),
        _ => BTreeSet::new(),
    }
}

fn problem(sql: &str, metrics: &BTreeSet<String>) -> Option<String> {
    match parse(sql).as_deref() {
        Ok([Statement::Query(question)]) => {
            let Tables { read, doubtful, named, unnamed, .. } = tables_of(question);
            if let Some(source) = unnamed {
                let source: String = source.chars().take(100).collect();
                return Some(format!(
                    "it reads {source:?}: write SELECT ... FROM and the names of metrics"
                ));
            }
            let hides = || named.intersection(metrics).next().cloned();
            if let Some(name) = doubtful.or_else(hides) {
                return Some(format!(
                    "it makes a table {name:?} of one that has that name: give it another"
                ));
            }
            // It would be taken for the metric that is named behind the schema.
            if let Some(name) = read.iter().find(|name| name.starts_with("metric.")) {
                return Some(format!("it reads {name:?}, which begins as metric.NAME does"));
            }
            let name = read.into_iter().find(|name| !metrics.contains(name))?;
            Some(format!("it reads {name:?}, which is no metric of the contract"))
        }
        Ok([_]) => Some("a query only asks: SELECT ...".to_owned()),
        Ok(statements) => Some(format!("{} statements where there is one", statements.len())),
        Err(error) => {
            let told: String = error.to_string().chars().take(200).collect();
            Some(format!("no SQL: {}", told.trim_start_matches("sql parser error: ")))
        }
    }
}
