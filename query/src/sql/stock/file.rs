//! Files of sqllogictest: statements and queries with what is to come of them.
//!
//! The format is SQLite's (<https://sqlite.org/sqllogictest/doc/trunk/about.wiki>) as
//! DataFusion writes it: a letter for each column, rows with a space between their cells.

use regex::Regex;

/// A statement or a query, and what is expected of it.
#[derive(Debug)]
pub(super) struct Record {
    /// The number of its first line.
    pub(super) line: usize,
    pub(super) sql: String,
    pub(super) expected: Expected,
}

#[derive(Debug)]
pub(super) enum Expected {
    /// A statement that is carried out.
    Done,
    /// Rows in some order, each a line, of columns with these letters.
    Rows { types: String, is_sorted: bool, lines: Vec<String> },
    /// An error: any, one that a pattern is found in, or one of this text.
    Error(Wording),
}

#[derive(Debug)]
pub(super) enum Wording {
    Any,
    Pattern(Regex),
    Text(String),
}

impl Wording {
    pub(super) fn fits(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Pattern(pattern) => pattern.is_match(message),
            Self::Text(text) => text.trim() == message.trim(),
        }
    }
}

/// The records of a file. What the format does not have is a panic, since no record may be lost.
pub(super) fn records(text: &str) -> Vec<Record> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some(head) = lines.get(at).copied() {
        if head.trim().is_empty() || head.starts_with('#') {
            at += 1;
            continue;
        }
        let line = at + 1;
        let until = |from: usize, is_end: &dyn Fn(usize) -> bool| {
            (from..lines.len()).find(|at| is_end(*at)).unwrap_or(lines.len())
        };
        let is_blank = |at: usize| lines.get(at).is_none_or(|line| line.is_empty());
        let sql_end = until(line, &|at| is_blank(at) || lines[at] == "----");
        let sql = lines[line..sql_end].join("\n");
        let has_results = lines.get(sql_end) == Some(&"----");
        let words: Vec<&str> = head.split_whitespace().collect();
        let is_error = words.get(1) == Some(&"error");
        // The text of an error ends with two empty lines, rows with one.
        let end = match (has_results, is_error) {
            (false, _) => sql_end,
            (true, true) => until(sql_end + 1, &|at| is_blank(at) && is_blank(at + 1)),
            (true, false) => until(sql_end + 1, &is_blank),
        };
        let results = lines.get(sql_end + 1..end).unwrap_or_default();
        let expected = match words[..] {
            ["statement", "ok"] | ["statement", "count", _] => Expected::Done,
            ["statement" | "query", "error"] if has_results => {
                Expected::Error(Wording::Text(results.join("\n")))
            }
            ["statement" | "query", "error"] => Expected::Error(Wording::Any),
            ["statement" | "query", "error", ..] => {
                Expected::Error(Wording::Pattern(Regex::new(&words[2..].join(" ")).unwrap()))
            }
            ["query", types, ref order @ ..] => Expected::Rows {
                types: types.to_owned(),
                is_sorted: order == ["rowsort"],
                lines: results.iter().map(|line| line.trim_end().to_owned()).collect(),
            },
            _ => panic!("line {line} is no record: {head}"),
        };
        records.push(Record { line, sql, expected });
        at = end;
    }
    records
}

#[test]
fn every_kind_of_record_is_read() {
    let text = "# a remark\nstatement ok\nCREATE TABLE t\n\nquery TI rowsort\nSELECT *\nFROM t\n\
                ----\na 1\nb 2\n\nquery error no +such\nSELECT x\n\nstatement error\nSELECT y\n\
                ----\nfirst\n\nlast\n\n\nquery error\nSELECT z\n";
    let records = records(text);
    let lines: Vec<usize> = records.iter().map(|record| record.line).collect();
    assert_eq!(lines, [2, 5, 12, 15, 23]);
    assert_eq!(records[1].sql, "SELECT *\nFROM t");
    let Expected::Rows { types, is_sorted: true, lines } = &records[1].expected else {
        panic!("{:?}", records[1]);
    };
    assert_eq!((types.as_str(), &lines[..]), ("TI", &["a 1".to_owned(), "b 2".to_owned()][..]));
    let wording = |record: &Record, message: &str| match &record.expected {
        Expected::Error(wording) => wording.fits(message),
        other => panic!("{other:?}"),
    };
    assert!(wording(&records[2], "there is no  such column"));
    assert!(!wording(&records[2], "another error"));
    assert!(wording(&records[3], "first\n\nlast") && !wording(&records[3], "first"));
    assert!(wording(&records[4], "anything"));
}
