//! Names of lines.

use chronolith_engine::Definition;

/// A metric, and what is drawn of it.
pub(super) fn of_metric(definition: &Definition, function: Option<&str>) -> String {
    let metric = &definition.metric;
    let unit = match definition.unit.as_str() {
        "" => String::new(),
        unit => format!(" ({unit})"),
    };
    match function {
        Some(function) => format!("{function} of {metric}{unit}"),
        None => format!("{metric}{unit}"),
    }
}
