//! Names as Prometheus has them: of OpenTelemetry's metrics, units and attributes.
//!
//! The rules are those of "Prometheus and OpenMetrics Compatibility" in the specification of
//! OpenTelemetry, as Prometheus' own receiver follows them by default: other characters than letters,
//! digits, `_` and `:` become `_`, a unit is a suffix, and so is `_total` of what only grows.

use super::message::{AnyValue, OneValue};

/// The name of a metric.
pub(super) fn metric_name(name: &str, unit: &str, grows: bool, is_gauge: bool) -> String {
    let mut parts: Vec<String> = parts(name, true);
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let suffixes = [unit_word(main.trim()), per_word(per.trim())];
    for word in suffixes.iter().flatten() {
        if !ends_with(&parts, word) {
            parts.extend(word.split('_').map(str::to_owned));
        }
    }
    if unit.trim() == "1" && is_gauge && !ends_with(&parts, "ratio") {
        parts.push("ratio".to_owned());
    }
    if grows {
        parts.retain(|part| part != "total");
        parts.push("total".to_owned());
    }
    let mut name = parts.join("_");
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// The name of a label.
pub(super) fn label_name(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for letter in key.chars() {
        let letter = if letter.is_ascii_alphanumeric() { letter } else { '_' };
        // Several in a row are one.
        if letter != '_' || !name.ends_with('_') {
            name.push(letter);
        }
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert_str(0, "key_");
    }
    name
}

fn parts(name: &str, has_colons: bool) -> Vec<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || (has_colons && letter == ':');
    let parts = name.split(|letter| !is_part(letter)).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn ends_with(parts: &[String], word: &str) -> bool {
    let words: Vec<&str> = word.split('_').collect();
    words.iter().all(|word| parts.iter().any(|part| part == word))
}

/// The word of a unit; none for those that have no dimension or are in braces.
fn unit_word(unit: &str) -> Option<String> {
    let word = match unit {
        "" | "1" => return None,
        _ if unit.contains('{') => return None,
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        other => return Some(parts(other, false).join("_")).filter(|word| !word.is_empty()),
    };
    Some(word.to_owned())
}

fn per_word(unit: &str) -> Option<String> {
    let word = match unit {
        "" => return None,
        _ if unit.contains('{') => return None,
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => return Some(format!("per_{}", parts(other, false).join("_"))),
    };
    Some(format!("per_{word}"))
}

/// The value of an attribute as text; lists and maps as JSON.
pub(super) fn text_of(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        None => String::new(),
        Some(OneValue::Text(text)) => text.clone(),
        Some(OneValue::Bool(value)) => value.to_string(),
        Some(OneValue::Integer(value)) => value.to_string(),
        Some(OneValue::Float(value)) => value.to_string(),
        Some(OneValue::Bytes(bytes)) => {
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
        }
        Some(list) => json_of(list, 0).to_string(),
    }
}

/// How deep lists and maps are looked into.
const DEPTH_MOST: usize = 8;

fn json_of(value: &OneValue, depth: usize) -> serde_json::Value {
    let inner = |value: Option<&AnyValue>| match value.and_then(|value| value.value.as_ref()) {
        Some(value) if depth < DEPTH_MOST => json_of(value, depth + 1),
        _ => serde_json::Value::Null,
    };
    match value {
        OneValue::Text(text) => text.as_str().into(),
        OneValue::Bool(value) => (*value).into(),
        OneValue::Integer(value) => (*value).into(),
        OneValue::Float(value) => (*value).into(),
        OneValue::Bytes(bytes) => {
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes).into()
        }
        OneValue::Array(list) => list.values.iter().map(|value| inner(Some(value))).collect(),
        OneValue::Pairs(pairs) => serde_json::Value::Object(
            pairs
                .values
                .iter()
                .map(|pair| (pair.key.clone(), inner(pair.value.as_ref())))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_prometheus() {
        for (name, unit, grows, is_gauge, expected) in [
            ("http.server.duration", "s", false, false, "http_server_duration_seconds"),
            ("process.cpu.time", "s", true, false, "process_cpu_time_seconds_total"),
            ("requests_total", "{request}", true, false, "requests_total"),
            ("memory.usage", "By", false, true, "memory_usage_bytes"),
            ("memory_usage_bytes", "By", false, true, "memory_usage_bytes"),
            ("cache.hits", "1", false, true, "cache_hits_ratio"),
            ("speed", "m/s", false, true, "speed_meters_per_second"),
            ("2xx.count", "", true, false, "_2xx_count_total"),
            ("température", "Cel", false, true, "temp_rature_celsius"),
        ] {
            assert_eq!(metric_name(name, unit, grows, is_gauge), expected, "{name}");
        }
        for (key, expected) in [
            ("http.method", "http_method"),
            ("a..b", "a_b"),
            ("1st", "key_1st"),
            ("plain", "plain"),
        ] {
            assert_eq!(label_name(key), expected);
        }
    }
}
