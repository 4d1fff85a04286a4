//! The queries of a contract over the data of one deal: they see the contract's metrics in the deal's time, and
//! nothing else.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::file::tables;
use crate::model::{Contract, Metric};

/// Which data a deal is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extent {
    /// The devices that stand for `*`; none for all of them.
    pub devices: Vec<String>,
    /// The first time, as SQL has it: `2026-01-05T08:00:00Z`; none from the beginning.
    pub from: Option<String>,
    /// The first time that is no longer of it; none to the end.
    pub until: Option<String>,
}

fn quoted(text: &str, quote: char) -> String {
    let doubled = text.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}

impl Extent {
    /// The devices of a metric that are of the deal; none for all of them.
    #[must_use]
    pub fn devices_of<'a>(&'a self, metric: &'a Metric) -> &'a [String] {
        match metric.device.as_str() {
            "*" => &self.devices,
            _ => std::slice::from_ref(&metric.device),
        }
    }

    /// Which records of a metric's table are of the deal, as a condition of SQL.
    fn condition(&self, metric: &Metric) -> String {
        let mut conditions = Vec::new();
        let devices = self.devices_of(metric);
        if !devices.is_empty() {
            let devices: Vec<String> = devices.iter().map(|name| quoted(name, '\'')).collect();
            conditions.push(format!("device IN ({})", devices.join(", ")));
        }
        for (tag, value) in &metric.tags {
            conditions.push(format!("{} = {}", quoted(tag, '"'), quoted(value, '\'')));
        }
        let times = [(">=", &self.from), ("<", &self.until)];
        for (than, time) in times {
            if let Some(time) = time {
                conditions.push(format!("time {than} TIMESTAMP {}", quoted(time, '\'')));
            }
        }
        if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
    }
}

impl Contract {
    /// The names of the metrics that a statement of the contract reads.
    #[must_use]
    pub fn read_by(&self, sql: &str) -> BTreeSet<&str> {
        let read = tables(sql);
        let names = self.metrics.iter().map(|metric| metric.name.as_str());
        names.filter(|name| read.contains(*name)).collect()
    }

    /// A statement of the contract over the data of a deal: the tables that it names are those of the contract's
    /// metrics, with the deal's records alone.
    #[must_use]
    pub fn sql_over(&self, sql: &str, extent: &Extent) -> String {
        let read = self.read_by(sql);
        let mut tables: Vec<(&str, Vec<String>)> = Vec::new();
        for metric in self.metrics.iter().filter(|metric| read.contains(metric.name.as_str())) {
            let condition = extent.condition(metric);
            match tables.iter_mut().find(|(name, _)| *name == metric.name) {
                Some((_, conditions)) => conditions.push(condition),
                None => tables.push((&metric.name, vec![condition])),
            }
        }
        let mut text = String::new();
        for (name, conditions) in tables {
            let begin = if text.is_empty() { "WITH" } else { "," };
            let (name, conditions) = (quoted(name, '"'), conditions.join(") OR ("));
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "{begin} {name} AS (SELECT * FROM metric.{name} WHERE ({conditions}))"
            );
        }
        let sql = sql.trim().trim_end_matches(';');
        // A comment at the end ends with the line.
        format!("{text} SELECT * FROM (\n{sql}\n)")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use crate::template::builtin;

    #[test]
    fn a_statement_sees_the_records_of_the_deal_alone() {
        let template = builtin("cold-chain").unwrap().unwrap();
        let given = [("metric".to_owned(), "cargo \"t\"".to_owned())];
        assert!(template.instantiate(&given.into()).is_err(), "words of templates have no quotes");
        let contract = template.instantiate(&Default::default()).unwrap();
        let mut contract = contract.contract().clone();
        let metric = contract.metrics.first_mut().unwrap();
        metric.name = "cargo \"t\"".to_owned();
        metric.tags.insert("bay".to_owned(), "o'1".to_owned());
        let extent = Extent {
            devices: vec!["truck".to_owned(), "van".to_owned()],
            from: Some("2026-01-05T00:00:00Z".to_owned()),
            until: None,
        };
        assert_eq!(
            contract.sql_over("SELECT 1 FROM \"cargo \"\"t\"\"\"; ", &extent),
            "WITH \"cargo \"\"t\"\"\" AS (SELECT * FROM metric.\"cargo \"\"t\"\"\" WHERE (device IN ('truck', 'van') AND \
             \"bay\" = 'o''1' AND time >= TIMESTAMP '2026-01-05T00:00:00Z')) SELECT * FROM (\nSELECT 1 FROM \"cargo \"\"t\"\"\"\n)"
        );
        contract.metrics.first_mut().unwrap().device = "ship".to_owned();
        let sql = contract.sql_over("SELECT 1 FROM \"cargo \"\"t\"\"\"", &Extent::default());
        assert!(sql.contains("device IN ('ship') AND") && !sql.contains("time"), "{sql}");
    }

    /// A table of a statement that has the name of a metric, or of a table of the database, hides which of the two is
    /// read: the deal's records, or all that there are.
    #[test]
    fn a_statement_makes_no_table_that_hides_what_it_reads() {
        let text = builtin("cold-chain").unwrap().unwrap().fill(&Default::default()).unwrap();
        let asked = "SELECT CAST(ceil(max(value) * 10) AS BIGINT) FROM \\\"temperature\\\"";
        assert!(text.contains(asked), "{text}");
        let read = |sql: &str| crate::Compiled::read(&text.replace(asked, sql));
        for (sql, said) in [
            (
                "WITH temperature AS (SELECT * FROM temperature) SELECT 1 FROM temperature",
                "it makes a table",
            ),
            ("SELECT 1 FROM (WITH temperature AS (SELECT 1) SELECT 1)", "it makes a table"),
            (
                "WITH records AS (SELECT * FROM records) SELECT count(*) FROM records",
                "it makes a table",
            ),
            ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT 1 FROM a", "it makes a table"),
            (
                "SELECT 1 FROM records, (WITH records AS (SELECT 1) SELECT 1 FROM records)",
                "it reads \"records\"",
            ),
            ("SELECT 1 FROM (SELECT 1 FROM public.temperature)", "it reads \"public.temperature\""),
            ("SELECT (SELECT max(value) FROM speed) FROM temperature", "it reads \"speed\""),
            ("SELECT 1 FROM generate_series(1, 2)", "it reads \"generate_series\""),
        ] {
            let refused = read(sql).unwrap_err().to_string();
            assert!(refused.contains(said), "{sql}: {refused}");
        }
        for sql in [
            "WITH warm AS (SELECT * FROM temperature WHERE value > 8) SELECT count(*) FROM warm",
            "SELECT count(*) FROM (WITH warm AS (SELECT * FROM Temperature) SELECT 1 FROM warm)",
        ] {
            assert_eq!(read(sql).err(), None, "{sql}");
        }
    }
}
