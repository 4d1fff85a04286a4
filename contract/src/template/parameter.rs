//! Parameters: their kinds, bounds and defaults.

use toml::de::{DeTable, DeValue};

use crate::amount::{Amount, DECIMALS_MAX};
use crate::file::{Problem, deadline, duration_ms, is_name, place};

/// The most parameters.
const PARAMETERS_MAX: usize = 64;
/// The fields of a parameter.
const FIELDS: [&str; 7] = ["name", "kind", "about", "default", "example", "min", "max"];

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterKind {
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A number of coins.
    Amount,
    /// A time: `2h`.
    Duration,
    /// Blocks or a time.
    Deadline,
    /// Letters, digits, spaces and `. , _ - : / *`: names of devices and metrics, regions, addresses.
    Word,
}

/// A parameter of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ParameterKind,
    /// What it means, for people.
    pub about: String,
    /// What it is when it is not given; none where it must be given.
    pub default: Option<String>,
    /// What it may be: the default, or an example where there is none.
    pub example: String,
    /// The least that it may be, where there is a least.
    pub min: Option<String>,
    /// The most that it may be, where there is a most.
    pub max: Option<String>,
}

impl ParameterKind {
    const ALL: [(&str, Self); 6] = [
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("amount", Self::Amount),
        ("duration", Self::Duration),
        ("deadline", Self::Deadline),
        ("word", Self::Word),
    ];

    /// The name in templates.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether it stands without quotes where it stands alone.
    pub(super) const fn is_bare(self) -> bool {
        matches!(self, Self::Integer | Self::Boolean)
    }

    /// How large a value is, to be compared with bounds; an error where it is none of this kind.
    fn size(self, text: &str) -> Result<i128, &'static str> {
        match self {
            Self::Integer => match text.parse::<i64>() {
                Ok(number) if number.to_string() == text => Ok(number.into()),
                _ => Err("a whole number"),
            },
            Self::Boolean => match text {
                "true" => Ok(1),
                "false" => Ok(0),
                _ => Err("true or false"),
            },
            Self::Amount => {
                // With 18 digits, as the native coin has.
                let amount = Amount::parse(text, 18).or_else(|_| Amount::parse(text, DECIMALS_MAX));
                let amount = amount.map_err(|_| "a number of coins: 2.5")?;
                Ok(i128::try_from(amount.0).unwrap_or(i128::MAX))
            }
            Self::Duration => {
                duration_ms(text).map(i128::from).ok_or("a time: 500ms, 10s, 5m, 2h, 30d")
            }
            Self::Deadline => deadline(text)
                .map(|(_, within)| within.into())
                .ok_or("blocks or a time: 20 blocks, 2h"),
            Self::Word => {
                let is_sign =
                    |sign: char| sign.is_ascii_alphanumeric() || " .,_-:/*".contains(sign);
                let is_word = (1..=128).contains(&text.len()) && text.chars().all(is_sign);
                let length = i128::try_from(text.len()).unwrap_or(i128::MAX);
                is_word
                    .then_some(length)
                    .ok_or("1 to 128 letters, digits, spaces and . , _ - : / *")
            }
        }
    }
}

impl Parameter {
    /// The value that is given, or the default.
    pub(super) fn value(&self, given: Option<&str>) -> Result<String, String> {
        let name = &self.name;
        let Some(value) = given.or(self.default.as_deref()) else {
            return Err(format!("{name} is missing: {}. For example {}", self.about, self.example));
        };
        let size = self.kind.size(value);
        let size = size.map_err(|kind| format!("{name} is {kind}, such as {}", self.example))?;
        let bound =
            |bound: &Option<String>| bound.as_ref().and_then(|text| self.kind.size(text).ok());
        let is_below = bound(&self.min).is_some_and(|least| size < least);
        let is_above = bound(&self.max).is_some_and(|most| size > most);
        match (is_below, is_above) {
            (true, _) => {
                Err(format!("{name} is at least {}", self.min.as_deref().unwrap_or_default()))
            }
            (_, true) => {
                Err(format!("{name} is at most {}", self.max.as_deref().unwrap_or_default()))
            }
            _ => Ok(value.to_owned()),
        }
    }
}

/// The parameters of a template, and what is wrong with them.
pub(super) fn read(root: &DeTable<'_>, text: &str) -> (Vec<Parameter>, Vec<Problem>) {
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut problems = Vec::new();
    let values = root.get(crate::file::PARAMETER).map(|value| (value.span(), value.get_ref()));
    let tables = match values {
        None => return (parameters, problems),
        Some((_, DeValue::Array(values))) if values.len() <= PARAMETERS_MAX => values,
        Some((span, _)) => {
            let message = format!("at most {PARAMETERS_MAX} tables: [[parameter]]");
            problems.push(problem(text, span.start, 0, message));
            return (parameters, problems);
        }
    };
    for (table, at) in tables.iter().zip(0..) {
        let read = match table.get_ref() {
            DeValue::Table(table) => parameter(table),
            _ => Err("it is a table: [[parameter]]".to_owned()),
        };
        match read {
            Ok(parameter) if parameters.iter().any(|other| other.name == parameter.name) => {
                let message = format!("the name {} is taken", parameter.name);
                problems.push(problem(text, table.span().start, at, message));
            }
            Ok(parameter) => parameters.push(parameter),
            Err(message) => problems.push(problem(text, table.span().start, at, message)),
        }
    }
    (parameters, problems)
}

fn problem(text: &str, offset: usize, at: usize, message: String) -> Problem {
    let (line, column) = place(text, offset);
    Problem { line, column, path: format!("parameter.{at}"), message }
}

fn parameter(table: &DeTable<'_>) -> Result<Parameter, String> {
    if let Some(name) =
        table.keys().map(|key| key.get_ref()).find(|name| !FIELDS.contains(&name.as_ref()))
    {
        let shown: String = name.chars().take(64).collect();
        let hint = match crate::suggest::did_you_mean(name, FIELDS) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there is {}", FIELDS.join(", ")),
        };
        return Err(format!("there is no field {shown:?}; {hint}"));
    }
    // Defaults and bounds may be written as what they are, or as texts.
    let field = |name: &str| {
        table.get(name).and_then(|value| match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            _ => None,
        })
    };
    let name = field("name").filter(|name| is_name(name) && !name.contains('-'));
    let name = name.ok_or("its name is 1 to 64 small letters, digits and _")?;
    let kind = field("kind").unwrap_or_default();
    let kinds = ParameterKind::ALL;
    let kind = kinds.iter().find(|(other, _)| *other == kind).map(|(_, kind)| *kind);
    let kind = kind.ok_or_else(|| {
        let names: Vec<_> = kinds.iter().map(|(name, _)| *name).collect();
        format!("the kind of {name} is one of {}", names.join(", "))
    })?;
    let default = field("default");
    let example = default.clone().or_else(|| field("example"));
    let example = example.ok_or_else(|| format!("{name} needs a default, or an example"))?;
    let about = field("about").ok_or_else(|| format!("{name} needs about: what it means"))?;
    let parameter =
        Parameter { name, kind, about, default, example, min: field("min"), max: field("max") };
    for bound in [&parameter.min, &parameter.max].into_iter().flatten() {
        let is_kind = kind.size(bound);
        is_kind.map_err(|kind| format!("a bound of {} is {kind}", parameter.name))?;
    }
    parameter.value(Some(&parameter.example))?;
    Ok(parameter)
}
