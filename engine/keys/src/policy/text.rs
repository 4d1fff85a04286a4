//! Policies as a text of one form: `name`, `name:numbers`, with `;` between them.
//!
//! ```text
//! drop · pseudonym · round:STEP · grid:CELL · band:BOUND,BOUND,... · time:NANOSECONDS
//! local-laplace:STEP,NUMERATOR/DENOMINATOR
//! ```

use std::fmt;
use std::str::FromStr;

use super::{BANDS_MAX, Decimal, POLICIES_MAX, Policies, Policy, PolicyError, Scale};

/// The longest text: a few hundred bytes for each policy that can be long.
const TEXT_BYTES_MAX: usize = 4096;

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::Pseudonym => f.write_str("pseudonym"),
            Self::Round { step } => write!(f, "round:{step}"),
            Self::Grid { cell } => write!(f, "grid:{cell}"),
            Self::Band { bounds } => {
                f.write_str("band")?;
                let marks = [':'].into_iter().chain(std::iter::repeat(','));
                bounds.iter().zip(marks).try_for_each(|(bound, mark)| write!(f, "{mark}{bound}"))
            }
            Self::Time { unit_ns } => write!(f, "time:{unit_ns}"),
            Self::Noise { step, scale } => write!(f, "local-laplace:{step},{scale}"),
        }
    }
}

impl fmt::Display for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (policy, position) in self.as_slice().iter().zip(0..) {
            if position > 0 {
                f.write_str(";")?;
            }
            policy.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for Policies {
    type Err = PolicyError;

    /// Reads the one form that `Display` writes; the empty text is no policies.
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > TEXT_BYTES_MAX {
            let problem = "the text is longer than policies are";
            return Err(PolicyError::Text { position: 1, problem });
        }
        let found = text.split(';').count();
        if found > POLICIES_MAX {
            return Err(PolicyError::Many { found });
        }
        let policies = text.split(';').zip(1..).map(|(text, position)| {
            parse(text).map_err(|problem| PolicyError::Text { position, problem })
        });
        Self::new(policies.collect::<Result<_, _>>()?)
    }
}

fn parse(text: &str) -> Result<Policy, &'static str> {
    let decimal = |text: &str| {
        let form = "a number is not in its shortest form, or has more than 15 digits";
        Decimal::parse(text).ok_or(form)
    };
    let policy = match text.split_once(':') {
        None if text == "drop" => Policy::Drop,
        None if text == "pseudonym" => Policy::Pseudonym,
        Some(("round", step)) => Policy::Round { step: decimal(step)? },
        Some(("grid", cell)) => Policy::Grid { cell: decimal(cell)? },
        Some(("band", bounds)) => {
            if bounds.split(',').count() > BANDS_MAX {
                return Err("it must have from 1 to 64 bounds");
            }
            Policy::Band { bounds: bounds.split(',').map(decimal).collect::<Result<_, _>>()? }
        }
        Some(("time", unit)) => {
            let unit_ns = unit.parse().map_err(|_| "a unit is a whole number of nanoseconds")?;
            Policy::Time { unit_ns }
        }
        Some(("local-laplace", numbers)) => {
            let (step, scale) = numbers.split_once(',').ok_or("noise has a step and a scale")?;
            let scale = Scale::parse(scale).ok_or("a scale is a fraction in lowest terms")?;
            Policy::Noise { step: decimal(step)?, scale }
        }
        _ => return Err("there is no policy of that name"),
    };
    // Numbers of the standard library have several forms.
    if policy.to_string() == text { Ok(policy) } else { Err("it is not in its one form") }
}
