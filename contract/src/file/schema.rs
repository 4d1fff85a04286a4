//! The published JSON Schema, made from the list of fields.

use serde_json::{Map, Value, json};

use super::fields::{CONTRACT, Field, Holds};

/// The JSON Schema (2020-12) of a contract's file, for editors that complete and check TOML.
///
/// It says what stands where; what rules, policies and steps mean is checked when a contract is read.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(CONTRACT);
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("title".to_owned(), "Chronolith data contract, version 1".into());
    }
    schema
}

fn table(fields: &[Field]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let needed: Vec<_> =
        fields.iter().filter(|field| field.is_needed).map(|field| field.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": false,
    })
}

fn property(field: &Field) -> Value {
    let mut schema = match field.holds {
        Holds::Text(most) => json!({ "type": "string", "maxLength": most }),
        Holds::Name => json!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$" }),
        Holds::Integer(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Holds::Boolean => json!({ "type": "boolean" }),
        Holds::OneOf(words) => json!({ "enum": words }),
        Holds::Amount => {
            json!({ "type": "string", "pattern": "^(0|[1-9][0-9]*)(\\.[0-9]*[1-9])?$" })
        }
        Holds::Duration => json!({ "type": "string", "pattern": "^[1-9][0-9]*(ms|s|m|h|d)$" }),
        Holds::Deadline => {
            json!({ "type": "string", "pattern": "^[1-9][0-9]*(ms|s|m|h|d| blocks)$" })
        }
        Holds::Rule => json!({ "type": "string", "maxLength": crate::rule::RULE_BYTES_MAX }),
        Holds::Texts => json!({
            "type": "array",
            "items": { "type": "string", "maxLength": 128 },
            "maxItems": 256,
        }),
        Holds::TextMap => json!({
            "type": "object",
            "additionalProperties": { "type": "string", "maxLength": 128 },
        }),
        Holds::Table(fields) => table(fields),
        Holds::Tables(fields) => {
            json!({ "type": "array", "items": table(fields), "maxItems": 256 })
        }
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), field.about.into());
    }
    schema
}
