//! From the text of a configuration to settings: errors with their place, suggestions for keys that
//! are none, and variables of the environment in place of what the file says.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::ingest::nearest;
use crate::node::NodeError;

/// The largest file that is read: bytes.
const FILE_MOST: u64 = 1 << 20;
/// What variables that stand for keys begin with: `CHRONOLITH__HTTP__LISTEN` is `[http] listen`.
const PREFIX: &str = "CHRONOLITH__";

/// The text of a file.
pub(super) fn read(place: &Path) -> Result<String, NodeError> {
    let length = fs::metadata(place).map_err(NodeError::disk("read", place))?.len();
    if length > FILE_MOST {
        return Err(wrong(place, format!("{length} bytes are no configuration")));
    }
    fs::read_to_string(place).map_err(NodeError::disk("read", place))
}

pub(super) fn wrong(place: &Path, reason: String) -> NodeError {
    NodeError::Settings { place: place.to_owned(), reason }
}

/// Settings by a text, and by variables that replace what it says.
pub(super) fn parse<T: DeserializeOwned>(
    place: &Path,
    text: &str,
    variables: &[(String, String)],
) -> Result<T, NodeError> {
    if variables.is_empty() {
        return toml::from_str(text).map_err(|error| wrong(place, told(&error)));
    }
    let mut table: Table = toml::from_str(text).map_err(|error| wrong(place, told(&error)))?;
    for (name, value) in variables {
        replace(&mut table, name, value)
            .map_err(|reason| wrong(place, format!("the variable {name}: {reason}")))?;
    }
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    table.try_into().map_err(|error| {
        // Without a place: it may be of a variable.
        wrong(place, format!("with {} of the environment: {}", names.join(", "), told(&error)))
    })
}

/// The variables of this process that stand for keys, by their names.
pub(super) fn variables() -> Vec<(String, String)> {
    let all = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut found: Vec<_> = all.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    found.sort();
    found
}

/// Sets the key that a variable stands for.
fn replace(table: &mut Table, name: &str, value: &str) -> Result<(), &'static str> {
    let path = name.strip_prefix(PREFIX).unwrap_or_default().to_lowercase();
    let mut keys: Vec<&str> = path.split("__").collect();
    let last = keys.pop().filter(|last| !last.is_empty());
    let (Some(last), false) = (last, keys.iter().any(|key| key.is_empty())) else {
        return Err("write CHRONOLITH__SECTION__KEY");
    };
    let mut at = table;
    for key in keys {
        let inner = at.entry(key).or_insert_with(|| Value::Table(Table::new()));
        at = inner.as_table_mut().ok_or("it is of a section that is none")?;
    }
    // A number, a list or a truth value where it reads as one, else text. What was text stays it.
    let was_text = matches!(at.get(last), Some(Value::String(_)));
    let read = format!("value = {value}").parse::<Table>().ok();
    let read = read.and_then(|mut one| one.remove("value")).filter(|_| !was_text);
    at.insert(last.to_owned(), read.unwrap_or_else(|| Value::String(value.to_owned())));
    Ok(())
}

/// An error with a suggestion, where it is of a key that is none.
fn told(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let text = text.trim_end();
    let message = error.message();
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
    let Some((key, known)) = unknown else { return text.to_owned() };
    let known = known.split('`').skip(1).step_by(2);
    match nearest(key, known) {
        Some(known) => format!("{text}\ndid you mean {known}?"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        http: Inner,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        listen: String,
        #[serde(default)]
        connections: usize,
    }

    fn parsed(text: &str, variables: &[(&str, &str)]) -> Result<Outer, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<_> = variables.iter().map(own).collect();
        parse(Path::new("node.toml"), text, &variables).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_that_are_none_are_named_with_what_was_meant() {
        let error = parsed("[http]\nlisten = 'a'\nconections = 7\n", &[]).unwrap_err();
        assert!(error.contains("line 3") && error.contains("did you mean connections?"), "{error}");
        let error = parsed("[http]\nlisten = 'a'\nzzzzzzzz = 7\n", &[]).unwrap_err();
        assert!(error.contains("zzzzzzzz") && !error.contains("did you mean"), "{error}");
    }

    #[test]
    fn variables_stand_for_keys() {
        let text = "[http]\nlisten = 'a'\n";
        let both = [("CHRONOLITH__HTTP__LISTEN", "1"), ("CHRONOLITH__HTTP__CONNECTIONS", "9")];
        let expected = Outer { http: Inner { listen: "1".to_owned(), connections: 9 } };
        assert_eq!(parsed(text, &both), Ok(expected));
        let made = [("CHRONOLITH__HTTP__LISTEN", "0.0.0.0:1")];
        let expected = Outer { http: Inner { listen: "0.0.0.0:1".to_owned(), connections: 0 } };
        assert_eq!(parsed("", &made), Ok(expected));
        for (name, value) in [
            ("CHRONOLITH__HTTP__CONNECTIONS", "many"),
            ("CHRONOLITH__HTTP__CONECTIONS", "1"),
            ("CHRONOLITH__HTTP__", "1"),
            ("CHRONOLITH__HTTP__LISTEN__MORE", "1"),
        ] {
            let error = parsed(text, &[(name, value)]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }
}
