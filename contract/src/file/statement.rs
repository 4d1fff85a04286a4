//! Statements of queries: one question in SQL, by the parser that answers it.
//!
//! It is asked of files alone: whether a contract that stands on the ledger is valid must not change with
//! the version of a parser.

use sqlparser::ast::Statement;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use toml::de::{DeTable, DeValue};

use super::conform::Found;

/// The longest statement: bytes.
pub(super) const SQL_BYTES_MAX: usize = 4_096;
/// How deep expressions lie in each other.
const DEPTH_MAX: usize = 24;

/// Refuses what is not one question.
pub(super) fn check(root: &DeTable<'_>, found: &mut Found) {
    for (query, at) in super::array(root, "query").iter().zip(0..) {
        let sql = query.get_ref().as_table().and_then(|query| query.get("sql"));
        let Some((span, DeValue::String(sql))) = sql.map(|sql| (sql.span(), sql.get_ref())) else {
            continue;
        };
        if sql.len() > SQL_BYTES_MAX {
            continue;
        }
        if let Some(problem) = problem(sql) {
            found.problems.push((format!("query.{at}.sql"), span, problem));
        }
    }
}

fn problem(sql: &str) -> Option<String> {
    let parser = Parser::new(&GenericDialect {}).with_recursion_limit(DEPTH_MAX);
    let statements = parser.try_with_sql(sql).and_then(|mut parser| parser.parse_statements());
    match statements.as_deref() {
        Ok([Statement::Query(_)]) => None,
        Ok([_]) => Some("a query only asks: SELECT ...".to_owned()),
        Ok(statements) => Some(format!("{} statements where there is one", statements.len())),
        Err(error) => {
            let told: String = error.to_string().chars().take(200).collect();
            Some(format!("no SQL: {}", told.trim_start_matches("sql parser error: ")))
        }
    }
}
