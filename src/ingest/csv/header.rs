//! Column names, units, and what the header says of the file.

use std::collections::{HashMap, HashSet};

use crate::ingest::IngestOptions;
use crate::ingest::error::nearest;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct Column {
    /// The header's text, trimmed.
    pub(in crate::ingest) header: String,
    /// The metric's name: the header without its unit, made unique.
    pub(in crate::ingest) name: String,
    /// The unit, from `(...)` or `[...]` at the end of the header.
    pub(in crate::ingest) unit: String,
}

/// The columns of a file.
#[derive(Debug, Clone)]
pub(in crate::ingest) struct Header {
    pub(in crate::ingest) columns: Vec<Column>,
    /// The first column whose name another had already.
    copy: Option<usize>,
}

/// So many columns are looked at as the time at most: each value column is compared with all.
const MAX_TIME_COLUMNS: usize = 64;

/// What `chronolith export` writes before the tags.
const EXPORT: [&str; 4] = ["time", "device", "metric", "value"];

/// Names of time columns, without case, blanks and signs, the likeliest first.
const TIME_NAMES: [&str; 22] = [
    "timestamp",
    "datetime",
    "time",
    "timestamputc",
    "datetimeutc",
    "timeutc",
    "utctime",
    "utc",
    "ts",
    "eventtime",
    "recordedat",
    "createdat",
    "localtime",
    "dateandtime",
    "date",
    "timestamplocal",
    "timens",
    "timeus",
    "timems",
    "times",
    "seconds",
    "t",
];

impl Header {
    /// Columns of these headers. Columns whose names would be equal keep their units in the name,
    /// or get a number; a column without a name is called by its number.
    pub(in crate::ingest) fn new(headers: &[String]) -> Self {
        if is_export(headers.iter().map(String::as_str)) {
            // Tags of an export keep their names to the letter.
            let column = |header: &String| Column {
                header: header.clone(),
                name: header.clone(),
                unit: String::new(),
            };
            return Self { columns: headers.iter().map(column).collect(), copy: None };
        }
        let headers: Vec<&str> = headers.iter().map(|header| header.trim()).collect();
        let parts: Vec<(&str, &str)> = headers.iter().map(|header| unit_of(header)).collect();
        let mut columns: Vec<Column> = Vec::with_capacity(headers.len());
        let mut with_name: HashMap<&str, usize> = HashMap::new();
        parts.iter().for_each(|(bare, _)| *with_name.entry(bare).or_default() += 1);
        let (mut taken, mut copies) = (HashSet::new(), HashMap::new());
        let mut first_copy = None;
        for (index, (header, (bare, unit))) in headers.iter().zip(&parts).enumerate() {
            let shared = with_name.get(bare).is_some_and(|count| *count > 1);
            let wanted = match (header.is_empty(), shared) {
                (true, _) => format!("column_{}", index + 1),
                (_, true) => (*header).to_owned(),
                (_, false) => (*bare).to_owned(),
            };
            let mut name = wanted.clone();
            let copy = copies.entry(wanted.clone()).or_insert(1_usize);
            while !taken.insert(name.clone()) {
                *copy += 1;
                first_copy.get_or_insert(index);
                name = format!("{wanted}_{copy}");
            }
            columns.push(Column { header: (*header).to_owned(), name, unit: (*unit).to_owned() });
        }
        Self { columns, copy: first_copy }
    }

    /// Gives columns without a unit these.
    pub(super) fn set_units(&mut self, units: &[String]) {
        for (column, unit) in self.columns.iter_mut().zip(units) {
            if column.unit.is_empty() {
                column.unit = unit.trim_matches(['[', ']', '(', ')']).to_owned();
            }
        }
    }

    /// The header of a column, quoted for messages.
    pub(super) fn name(&self, column: usize) -> String {
        self.columns.get(column).map_or_else(String::new, |column| format!("{:?}", column.header))
    }

    /// What the user should know of the names.
    pub(super) fn notes(&self) -> Option<String> {
        let column = self.columns.get(self.copy?)?;
        Some(format!(
            "several columns are called {:?}; column {} is the metric {:?}",
            column.header,
            self.copy? + 1,
            column.name
        ))
    }

    /// Whether each row is one record: asked for, or the header of our own export.
    pub(super) fn is_long(&self, options: &IngestOptions) -> bool {
        options.metric_column.is_some() || self.is_export() && options.tag_columns.is_empty()
    }

    /// Whether the columns are those of `chronolith export`.
    pub(super) fn is_export(&self) -> bool {
        is_export(self.columns.iter().map(|column| column.header.as_str()))
    }

    /// The number of a column: by header, by name, or by either without regard to case.
    pub(in crate::ingest) fn find(&self, wanted: &str) -> Option<usize> {
        let wanted = wanted.trim();
        let by = |test: &dyn Fn(&Column) -> bool| self.columns.iter().position(test);
        by(&|column| column.header == wanted)
            .or_else(|| by(&|column| column.name == wanted))
            .or_else(|| by(&|column| column.header.eq_ignore_ascii_case(wanted)))
            .or_else(|| by(&|column| column.name.eq_ignore_ascii_case(wanted)))
    }

    /// The number of a column that an option names, or a message with the columns there are.
    pub(in crate::ingest) fn require(&self, option: &str, wanted: &str) -> Result<usize, String> {
        self.find(wanted).ok_or_else(|| {
            let headers = || self.columns.iter().map(|column| column.header.as_str());
            let hint = nearest(wanted, headers())
                .map_or_else(String::new, |near| format!("did you mean {near:?}? "));
            format!("{option}: there is no column {wanted:?}; {hint}columns are {}", self.list())
        })
    }

    /// The columns, as messages list them.
    pub(in crate::ingest) fn list(&self) -> String {
        let shown = self.columns.iter().take(50).map(|column| format!("{:?}", column.header));
        let mut list = shown.collect::<Vec<_>>().join(", ");
        if self.columns.len() > 50 {
            list.push_str(&format!(" and {} more", self.columns.len() - 50));
        }
        list
    }

    /// Columns with the usual names of times, the likeliest first.
    pub(in crate::ingest) fn time_candidates(&self) -> Vec<usize> {
        let plain = |text: &str| -> String {
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        let rank = |column: &Column| {
            let (header, name) = (plain(&column.header), plain(&column.name));
            TIME_NAMES.iter().position(|usual| *usual == header || *usual == name)
        };
        let ranked = self.columns.iter().enumerate();
        let mut ranked: Vec<(usize, usize)> =
            ranked.filter_map(|(index, column)| Some((rank(column)?, index))).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, index)| index).take(MAX_TIME_COLUMNS).collect()
    }
}

fn is_export<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    EXPORT.iter().all(|own| names.next() == Some(*own))
}

/// A header without its unit, and the unit: `Speed(m/s)`, `speed [km/h]`, `ENGINE_RPM ()`.
fn unit_of(header: &str) -> (&str, &str) {
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some((name, unit)) =
            header.strip_suffix(close).and_then(|inner| inner.rsplit_once(open))
            && !name.trim().is_empty()
        {
            return (name.trim_end(), unit.trim());
        }
    }
    (header, "")
}

/// The delimiter that the first line that is not blank has most of; a comma where it has none.
pub(super) fn sniff_delimiter(window: &[u8]) -> u8 {
    let lines = window.split(|byte| *byte == b'\n');
    let line = lines.map(<[u8]>::trim_ascii_end).find(|line| !line.is_empty()).unwrap_or_default();
    let mut quoted = false;
    let mut counts = [(0, b','), (0, b';'), (0, b'\t'), (0, b'|')];
    for byte in line {
        quoted ^= *byte == b'"';
        for (count, delimiter) in &mut counts {
            *count += u32::from(!quoted && byte == delimiter);
        }
    }
    let mut best = counts[0];
    for candidate in counts {
        if candidate.0 > best.0 {
            best = candidate;
        }
    }
    best.1
}

/// Whether a header is that of the CAN logs of GVRET and SavvyCAN.
pub(in crate::ingest) fn is_gvret_header(line: &str) -> bool {
    line.starts_with("Time Stamp,ID,Extended,")
}
