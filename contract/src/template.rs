//! Templates: contracts with parameters.
//!
//! A template is a contract's file with `[[parameter]]` tables, and with `${name}` in its texts. A text
//! that is nothing but `"${name}"` becomes a number or a flag where the parameter is one. Whatever is put
//! in has a narrow form, so that no parameter can bring a rule, a statement or a field of its own with it.

mod builtin;
mod parameter;

use std::collections::BTreeMap;

use crate::compiled::Compiled;
use crate::file::{PARAMETER, Problem, Problems, parse, place, read};

pub use builtin::{BUILTIN, builtin};
pub use parameter::{Parameter, ParameterKind};

/// A contract with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parameters: Vec<Parameter>,
}

/// What is wrong with the parameters that were given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Parameters are missing, unknown or out of their bounds; all of them are named.
    #[error("{}", .0.join("\n"))]
    Parameters(Vec<String>),
    /// With these parameters it is no contract.
    #[error("with these parameters it is no contract:\n{0}")]
    Contract(Problems),
}

impl Template {
    /// Reads a template, and checks that it is a contract where every parameter has its example.
    ///
    /// # Errors
    /// [`Problems`] with everything that is wrong.
    pub fn read(text: &str) -> Result<Self, Problems> {
        let table = parse(text)?;
        let (parameters, problems) = parameter::read(table.get_ref(), text);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let template = Self { text: text.to_owned(), parameters };
        template.placeholders()?;
        let examples = template.parameters.iter();
        let examples =
            examples.map(|parameter| (parameter.name.clone(), parameter.example.clone()));
        read(&template.filled(&examples.collect()), Some(PARAMETER))?;
        Ok(template)
    }

    /// What it asks for.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The contract with these parameters; one that is not given has its default.
    ///
    /// # Errors
    /// [`TemplateError`]: all parameters that are missing, unknown or out of bounds, or what is wrong with
    /// the contract that they make.
    pub fn instantiate(&self, given: &BTreeMap<String, String>) -> Result<Compiled, TemplateError> {
        let text = self.filled(&self.values(given)?);
        read(&text, Some(PARAMETER)).map_err(TemplateError::Contract)
    }

    /// The file of the contract with these parameters, without their tables: to be edited or shown.
    ///
    /// # Errors
    /// As [`Template::instantiate`], and where the tables of the parameters cannot be told from the rest,
    /// because they are not written as `[[parameter]]` at the beginning of a line.
    pub fn fill(&self, given: &BTreeMap<String, String>) -> Result<String, TemplateError> {
        let whole = self.instantiate(given)?;
        let text = without_parameters(&self.filled(&self.values(given)?));
        match read(&text, None) {
            Ok(alone) if alone == whole => Ok(text),
            _ => Err(TemplateError::Parameters(vec![
                "the tables of the parameters cannot be told from the rest: write each as \
                 [[parameter]] at the beginning of a line"
                    .to_owned(),
            ])),
        }
    }

    /// The values of all parameters, checked.
    fn values(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, TemplateError> {
        let mut wrong = Vec::new();
        let mut values = BTreeMap::new();
        for parameter in &self.parameters {
            match parameter.value(given.get(&parameter.name).map(String::as_str)) {
                Ok(value) => {
                    values.insert(parameter.name.clone(), value);
                }
                Err(problem) => wrong.push(problem),
            }
        }
        let names = || self.parameters.iter().map(|parameter| parameter.name.as_str());
        for name in given.keys().filter(|name| !names().any(|other| other == *name)) {
            let hint = match crate::suggest::did_you_mean(name, names()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there is {}", names().collect::<Vec<_>>().join(", ")),
            };
            let shown: String = name.chars().take(64).collect();
            wrong.push(format!("there is no parameter {shown:?}; {hint}"));
        }
        if wrong.is_empty() { Ok(values) } else { Err(TemplateError::Parameters(wrong)) }
    }

    /// The text with values in the place of names. Values have no quotes, backslashes and line breaks.
    fn filled(&self, values: &BTreeMap<String, String>) -> String {
        let mut text = self.text.clone();
        for parameter in &self.parameters {
            let Some(value) = values.get(&parameter.name) else { continue };
            let name = format!("${{{}}}", parameter.name);
            if parameter.kind.is_bare() {
                text = text.replace(&format!("\"{name}\""), value);
            }
            text = text.replace(&name, value);
        }
        text
    }

    /// Every name that is used is a parameter, and every parameter is used.
    fn placeholders(&self) -> Result<(), Problems> {
        let mut problems = Vec::new();
        let mut used = Vec::new();
        for (offset, _) in self.text.match_indices("${") {
            let rest = self.text.get(offset + 2..).unwrap_or_default();
            let name = rest.split('}').next().unwrap_or_default();
            let is_known = self.parameters.iter().any(|parameter| parameter.name == name);
            if is_known {
                used.push(name);
                continue;
            }
            let names = self.parameters.iter().map(|parameter| parameter.name.as_str());
            let shown: String = name.chars().take(64).collect();
            let message = match crate::suggest::did_you_mean(&shown, names) {
                Some(near) => format!("there is no parameter {shown:?}; did you mean {near}?"),
                None => format!("there is no parameter {shown:?}: declare it with [[parameter]]"),
            };
            let (line, column) = place(&self.text, offset);
            problems.push(Problem { line, column, path: String::new(), message });
        }
        for parameter in &self.parameters {
            if !used.contains(&parameter.name.as_str()) {
                let message = format!("the parameter {} is used nowhere", parameter.name);
                problems.push(Problem { line: 1, column: 1, path: PARAMETER.to_owned(), message });
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}
/// A template's text without the tables of its parameters: the file of a contract.
fn without_parameters(text: &str) -> String {
    let (mut kept, mut is_parameter) = (String::with_capacity(text.len()), false);
    for line in text.lines() {
        if line.starts_with('[') {
            is_parameter = line.starts_with("[[parameter]]");
        }
        if !is_parameter {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}
