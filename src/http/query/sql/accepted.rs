//! The format of an answer: the one that is named, or that the client would rather have.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};

use crate::http::problem::Problem;
use crate::rows::Format;

/// Formats by their short name and their media type; the first is that of a client without a wish.
const FORMATS: [(Format, &str, &str); 6] = [
    (Format::Json, "json", "application/json"),
    (Format::Ndjson, "ndjson", "application/x-ndjson"),
    (Format::Csv, "csv", "text/csv"),
    (Format::Table, "table", "text/plain"),
    (Format::Arrow, "arrow", "application/vnd.apache.arrow.stream"),
    (Format::Parquet, "parquet", "application/vnd.apache.parquet"),
];

/// The media type of a format.
pub(super) fn media_type(format: Format) -> &'static str {
    let found = FORMATS.iter().find(|(other, _, _)| *other == format);
    found.map_or("application/octet-stream", |(_, _, media)| media)
}

/// The format that is named, or else the one that `Accept` prefers.
pub(super) fn format(named: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
    if let Some(named) = named {
        let found = FORMATS.iter().find(|(_, name, _)| *name == named);
        return found.map(|(format, _, _)| *format).ok_or_else(|| {
            Problem::invalid(format!("format={named} is none of {}", names(|(_, name, _)| name)))
        });
    }
    let mut best = None;
    let mut is_named = false;
    for range in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        for range in range.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            if media.is_empty() {
                continue;
            }
            is_named = true;
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |weight| {
                weight.parse::<f32>().ok().filter(|weight| weight.is_finite()).unwrap_or(0.0)
            });
            // The most specific range counts, then the order in which they stand.
            let specific = match media.as_str() {
                "*/*" => 0,
                _ if media.ends_with("/*") => 1,
                _ => 2,
            };
            let Some(format) = FORMATS.iter().find(|(_, _, own)| fits(&media, own)) else {
                continue;
            };
            let is_better = best.is_none_or(|(_, other)| (weight, specific) > other);
            if weight > 0.0 && is_better {
                best = Some((format.0, (weight, specific)));
            }
        }
    }
    match best {
        Some((format, _)) => Ok(format),
        None if !is_named => Ok(FORMATS[0].0),
        None => Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
            format!("an answer has one of these forms: {}", names(|(_, _, media)| media)),
        )),
    }
}

/// Whether a media type is of a range such as `text/*`.
fn fits(range: &str, media: &str) -> bool {
    match range.strip_suffix('*') {
        Some("*/") => true,
        Some(kind) if kind.ends_with('/') => media.starts_with(kind),
        _ => range == media,
    }
}

fn names(name: impl Fn(&(Format, &'static str, &'static str)) -> &'static str) -> String {
    FORMATS.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn accepted(text: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(text).ok()?);
        format(None, &headers).ok()
    }

    #[test]
    fn the_client_chooses() {
        assert_eq!(format(None, &HeaderMap::new()).ok(), Some(Format::Json));
        assert_eq!(accepted("*/*"), Some(Format::Json));
        assert_eq!(accepted("text/csv"), Some(Format::Csv));
        assert_eq!(
            accepted("text/csv;q=0.5, application/vnd.apache.arrow.stream"),
            Some(Format::Arrow)
        );
        assert_eq!(accepted("*/*;q=0.1, text/csv;q=0.1"), Some(Format::Csv));
        assert_eq!(accepted("text/html, text/*;q=0.9"), Some(Format::Csv));
        assert_eq!(accepted("text/html"), None);
        assert_eq!(accepted("text/csv;q=0"), None);
        assert_eq!(accepted("text/csv;q=x"), None);
        assert_eq!(format(Some("parquet"), &HeaderMap::new()).ok(), Some(Format::Parquet));
        assert!(format(Some("xml"), &HeaderMap::new()).is_err());
    }
}
