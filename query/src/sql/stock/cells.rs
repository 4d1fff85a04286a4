//! Answers as files of sqllogictest write them, by the rules of DataFusion's own runner.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};

/// The letters of some columns.
pub(super) fn letters(schema: &Schema) -> String {
    schema.fields().iter().map(|field| letter(field.data_type())).collect()
}

fn letter(data_type: &DataType) -> char {
    match data_type {
        DataType::Boolean => 'B',
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => 'D',
        DataType::Timestamp(..) => 'P',
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 'T',
        DataType::Dictionary(_, values) if values.is_string() => 'T',
        integer if integer.is_integer() => 'I',
        number if number.is_floating() || number.is_decimal() => 'R',
        _ => '?',
    }
}

/// The rows of a batch, a line each; more where the last cell has lines itself, as plans do.
pub(super) fn lines(batch: &RecordBatch) -> Vec<String> {
    let mut lines = Vec::new();
    for row in 0..batch.num_rows() {
        let mut cells: Vec<String> =
            batch.columns().iter().map(|column| cell(column, row)).collect();
        let last = cells.pop().unwrap_or_default();
        if !last.contains('\n') {
            cells.push(last);
            lines.push(cells.join(" ").trim_end().to_owned());
            continue;
        }
        lines.push(cells.join(" "));
        for (number, line) in last.split('\n').enumerate() {
            let content = line.trim_start();
            let indent = "-".repeat(line.len() - content.len());
            lines.push(format!("{:02}){indent}{content}", number + 1).trim_end().to_owned());
        }
    }
    lines
}

fn cell(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    match column.data_type() {
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => {
            let value = column.as_primitive::<Float32Type>().value(row);
            // By its own shortest digits, not by those of the float that is twice as long.
            if value.is_finite() { digits(&value.to_string()) } else { float(value.into()) }
        }
        data_type => {
            let options = FormatOptions::default()
                .with_null("NULL")
                .with_duration_format(DurationFormat::Pretty);
            let text = ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string();
            match data_type {
                text_type if text_type.is_string() && text.is_empty() => "(empty)".to_owned(),
                number if number.is_decimal() => digits(&text),
                _ => text.trim_end_matches('\n').to_owned(),
            }
        }
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let text = value.to_string();
    let is_long = text.split_once('.').is_some_and(|(_, fraction)| fraction.len() > 12);
    digits(&if is_long { format!("{value:.12}") } else { text })
}

/// A decimal without zeros at its end.
fn digits(text: &str) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}
