//! Which format an input has: by the end of its name and by its first lines.

use super::csv::is_gvret_header;
use super::{Format, IngestError, can, line, nmea};

/// How much of the input is looked at.
pub(super) const SAMPLE_BYTES: usize = 64 << 10;

/// Why an input is not read as Parquet.
pub(super) const NO_PARQUET: &str = "this is no Parquet file that can be read here: give the file \
    itself, not a pipe and not packed, to a build with SQL";

/// The format of an input that starts with `sample`.
pub(super) fn format(name: &str, sample: &[u8], skip_lines: u64) -> Result<Format, IngestError> {
    let by_name = of_name(name);
    let by_contents = of_contents(sample, skip_lines);
    match (by_name, by_contents) {
        (Some(Format::Csv), Some(Format::Gvret)) => Ok(Format::Gvret),
        (Some(named), None) => Ok(named),
        (None, Some(seen)) => Ok(seen),
        // The name decides: a first line that does not look like it is a row that is rejected.
        (Some(named), Some(_)) => Ok(named),
        (None, None) => Err(IngestError::UnknownFormat {
            file: name.to_owned(),
            why: "neither its name nor its first lines tell".to_owned(),
        }),
    }
}

/// A format that was given, as far as the contents say it more exactly.
pub(super) fn refine(format: Format, sample: &[u8]) -> Format {
    match first_lines(sample, 0).next() {
        Some(header) if format == Format::Csv && is_gvret_header(header) => Format::Gvret,
        _ => format,
    }
}

fn of_name(name: &str) -> Option<Format> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "csv" | "tsv" => Some(Format::Csv),
        "lp" | "line" | "influx" => Some(Format::Line),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "candump" => Some(Format::Candump),
        "asc" => Some(Format::Asc),
        "nmea" => Some(Format::Nmea),
        "parquet" => Some(Format::Parquet),
        "arrow" | "arrows" | "feather" => Some(Format::Arrow),
        _ => None,
    }
}

/// Whether this is the beginning of a file of Arrow IPC, or of a stream.
pub(super) fn is_arrow(sample: &[u8]) -> bool {
    sample.starts_with(b"ARROW1") || sample.starts_with(&[0xff; 4])
}

fn of_contents(sample: &[u8], skip_lines: u64) -> Option<Format> {
    if sample.starts_with(b"PAR1") {
        return Some(Format::Parquet);
    }
    if is_arrow(sample) {
        return Some(Format::Arrow);
    }
    let first = first_lines(sample, skip_lines).next()?;
    if first.starts_with('{') {
        return Some(Format::Jsonl);
    }
    if is_gvret_header(first) {
        return Some(Format::Gvret);
    }
    if can::looks_like_asc(first) {
        return Some(Format::Asc);
    }
    let some = |test: fn(&str) -> bool| first_lines(sample, skip_lines).take(3).any(test);
    if some(can::looks_like_candump) {
        return Some(Format::Candump);
    }
    if some(nmea::looks_like) {
        return Some(Format::Nmea);
    }
    if line::looks_like(first) {
        return Some(Format::Line);
    }
    let has_columns = first.contains([',', ';', '\t']);
    (has_columns && !first.contains('\0')).then_some(Format::Csv)
}

/// The lines of the sample that are whole, not blank and no comment.
fn first_lines(sample: &[u8], skip_lines: u64) -> impl Iterator<Item = &str> {
    let skip = usize::try_from(skip_lines).unwrap_or(usize::MAX);
    sample
        .split(|byte| *byte == b'\n')
        .skip(skip)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn contents_tell_the_format() {
        for (text, expected) in [
            ("time,device,metric,value\n", Format::Csv),
            ("Rec#\tCyc#\tStep\n1\t2\t3\n", Format::Csv),
            ("# telegraf\ncpu,host=a usage=1.5,n=2i 1465839830100400200\n", Format::Line),
            ("cpu usage=1.5\n", Format::Line),
            ("{\"time\":1}\n", Format::Jsonl),
            ("(1410714882.622188) can0 09F80102#36729A16021AB80D\n", Format::Candump),
            (" (000.000) can0  123   [2]  00 11\n", Format::Candump),
            (
                "date Thu, 09 Nov 2023 20:36:33 GMT\r\nbase hex  timestamps absolute\r\n",
                Format::Asc,
            ),
            ("Time Stamp,ID,Extended,Bus,LEN,D1\n", Format::Gvret),
            ("$GPRMC,,V,,,,,,,,,,N*53\n", Format::Nmea),
        ] {
            assert_eq!(format("-", text.as_bytes(), 0).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_ambiguous_asks_for_the_format() {
        for (name, text) in [("-", "hello\n"), ("-", "")] {
            let error = format(name, text.as_bytes(), 0).unwrap_err().to_string();
            assert!(error.contains("--format"), "{error}");
        }
        assert_eq!(format("empty.csv.gz", b"", 0).unwrap(), Format::Csv);
        // One broken line at the top does not make another format of a file.
        assert_eq!(format("a.lp", b"cpu,host=a v=NaN 1\n", 0).unwrap(), Format::Line);
        assert_eq!(format("a.jsonl", b"oops\n{}\n", 0).unwrap(), Format::Jsonl);
    }
}
