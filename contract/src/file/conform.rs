//! Compares a file with its fields: unknown and missing ones, kinds of values, bounds.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{Field, Holds};
use super::quantity::{deadline, duration_ms};
use crate::amount::Amount;
use crate::suggest::did_you_mean;

/// The most elements of a list, and fields of a table of texts.
const ELEMENTS_MAX: usize = 256;

/// What was found on the way through a file.
pub(super) struct Found {
    /// Where values are, by the way to them.
    pub(super) spans: HashMap<String, Range<usize>>,
    /// What is wrong.
    pub(super) problems: Vec<(String, Range<usize>, String)>,
    /// How many digits behind the point amounts have.
    decimals: u8,
}

impl Found {
    pub(super) fn new(decimals: u8) -> Self {
        Self { spans: HashMap::new(), problems: Vec::new(), decimals }
    }

    fn wrong(&mut self, path: &str, span: Range<usize>, message: impl Into<String>) {
        self.problems.push((path.to_owned(), span, message.into()));
    }

    /// Compares a table with its fields.
    pub(super) fn table(
        &mut self,
        path: &str,
        span: Range<usize>,
        table: &DeTable<'_>,
        fields: &'static [Field],
        passed_over: Option<&str>,
    ) {
        self.spans.insert(path.to_owned(), span.clone());
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let below = join(path, name);
            match fields.iter().find(|field| field.name == name) {
                Some(field) => {
                    self.spans.insert(below.clone(), value.span());
                    self.value(&below, value, field);
                }
                None if passed_over == Some(name) => {}
                None => {
                    let names = fields.iter().map(|field| field.name);
                    let hint = match did_you_mean(name, names.clone()) {
                        Some(near) => format!("did you mean {near}?"),
                        None => format!("there is {}", names.collect::<Vec<_>>().join(", ")),
                    };
                    let shown = short(name);
                    self.wrong(&below, key.span(), format!("there is no field {shown}; {hint}"));
                }
            }
        }
        for field in fields.iter().filter(|field| field.is_needed) {
            if !table.contains_key(field.name) {
                let message =
                    format!("it is missing. {} It is {}", field.about, field.holds.said());
                self.wrong(&join(path, field.name), span.clone(), message);
            }
        }
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>, field: &Field) {
        let span = value.span();
        let problem = match (field.holds, value.get_ref()) {
            (Holds::Table(fields), DeValue::Table(table)) => {
                return self.table(path, span, table, fields, None);
            }
            (Holds::Tables(fields), DeValue::Array(values)) => {
                return self.tables(path, span, values, fields);
            }
            (Holds::Texts, DeValue::Array(values)) => {
                return self.texts(path, span, values);
            }
            (Holds::TextMap, DeValue::Table(texts)) => {
                return self.text_map(path, span, texts);
            }
            (Holds::Boolean, DeValue::Boolean(_)) => None,
            (Holds::Integer(least, most), DeValue::Integer(number)) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                let is_within = number.is_some_and(|number| (least..=most).contains(&number));
                (!is_within).then(|| format!("it is {}", field.holds.said()))
            }
            (holds, DeValue::String(text)) => holds.problem(text, self.decimals),
            (holds, other) => Some(format!("it is {}, and this is {}", holds.said(), said(other))),
        };
        if let Some(problem) = problem {
            self.wrong(path, span, problem);
        }
    }

    fn tables(
        &mut self,
        path: &str,
        span: Range<usize>,
        values: &[Spanned<DeValue<'_>>],
        fields: &'static [Field],
    ) {
        if values.len() > ELEMENTS_MAX {
            let message = format!("{} where at most {ELEMENTS_MAX} are read", values.len());
            return self.wrong(path, span, message);
        }
        for (value, at) in values.iter().zip(0..) {
            let below = join(path, &format!("{at}"));
            match value.get_ref() {
                DeValue::Table(table) => self.table(&below, value.span(), table, fields, None),
                other => {
                    self.wrong(
                        &below,
                        value.span(),
                        format!("it is a table, and this is {}", said(other)),
                    );
                }
            }
        }
    }

    fn texts(&mut self, path: &str, span: Range<usize>, values: &[Spanned<DeValue<'_>>]) {
        if values.len() > ELEMENTS_MAX {
            let message = format!("{} where at most {ELEMENTS_MAX} are read", values.len());
            return self.wrong(path, span, message);
        }
        for (value, at) in values.iter().zip(0..) {
            let below = join(path, &format!("{at}"));
            self.spans.insert(below.clone(), value.span());
            let problem = match value.get_ref() {
                DeValue::String(text) => Holds::Text(128).problem(text, 0),
                other => Some(format!("it is a text, and this is {}", said(other))),
            };
            if let Some(problem) = problem {
                self.wrong(&below, value.span(), problem);
            }
        }
    }

    fn text_map(&mut self, path: &str, span: Range<usize>, texts: &DeTable<'_>) {
        if texts.len() > ELEMENTS_MAX {
            let message = format!("{} where at most {ELEMENTS_MAX} are read", texts.len());
            return self.wrong(path, span, message);
        }
        for (key, value) in texts.iter() {
            let below = join(path, key.get_ref());
            let problem = match value.get_ref() {
                DeValue::String(text) => {
                    Holds::Text(128).problem(text, 0).or(Holds::Text(128).problem(key.get_ref(), 0))
                }
                other => Some(format!("it is a text, and this is {}", said(other))),
            };
            if let Some(problem) = problem {
                self.wrong(&below, value.span(), problem);
            }
        }
    }
}

/// A name that somebody else chose, as far as it is shown.
fn short(name: &str) -> String {
    let shown: String = name.chars().take(64).collect();
    format!("{shown:?}")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn said(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl Holds {
    /// What it holds, in words.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::Text(most) => format!("a text of at most {most} bytes"),
            Self::Name => {
                "1 to 64 small letters, digits, - and _, that begin with a letter".to_owned()
            }
            Self::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Self::Boolean => "true or false".to_owned(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::Amount => "a number of coins as a text: \"2.5\"".to_owned(),
            Self::Duration => "a time: \"500ms\", \"10s\", \"5m\", \"2h\", \"30d\"".to_owned(),
            Self::Deadline => "blocks or a time: \"20 blocks\", \"2h\"".to_owned(),
            Self::Rule => "a rule in CEL, as a text".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::TextMap => "a table of texts".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Tables(_) => "a list of tables: [[...]]".to_owned(),
        }
    }

    /// What is wrong with a text in its place.
    fn problem(&self, text: &str, decimals: u8) -> Option<String> {
        let is_right = match self {
            Self::Text(most) => text.len() <= *most && !text.contains('\0'),
            // How long a rule is at most is said by the rule's check.
            Self::Rule => true,
            Self::Name => is_name(text),
            Self::OneOf(words) => {
                if words.contains(&text) {
                    return None;
                }
                let hint = did_you_mean(text, words.iter().copied());
                return Some(match hint {
                    Some(near) => format!("there is no {}; did you mean {near}?", short(text)),
                    None => format!("it is {}", self.said()),
                });
            }
            Self::Amount => match Amount::parse(text, decimals) {
                Ok(_) => true,
                Err(error) => return Some(format!("no amount: {error}")),
            },
            Self::Duration => duration_ms(text).is_some(),
            Self::Deadline => deadline(text).is_some(),
            _ => return Some(format!("it is {}, and this is a text", self.said())),
        };
        (!is_right).then(|| format!("it is {}", self.said()))
    }
}

/// Whether a text is a name.
pub(crate) fn is_name(text: &str) -> bool {
    let is_first = text.starts_with(|first: char| first.is_ascii_lowercase());
    let is_sign =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    is_first && text.len() <= 64 && text.bytes().all(is_sign)
}
