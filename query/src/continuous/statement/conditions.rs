//! `WHERE`: conditions on labels, times and values, joined by `AND`.

use chronolith_engine::{Match, Selector};
use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use super::{Comparison, Conditions, Number, ValueCondition};

const KNOWN: &str = "WHERE knows conditions joined by AND: label = 'x', <>, IN ('x', 'y'), LIKE \
                     'x%', ~ 'pattern', !~ 'pattern'; time >= '2026-01-31T08:00:00Z', BETWEEN; \
                     value > 3";

/// The most conditions on values.
const VALUES_MAX: usize = 16;

/// Conditions on their way.
pub(super) struct Where {
    pub(super) selector: Selector,
    pub(super) conditions: Conditions,
    /// Whether there is a column `value`.
    pub(super) has_value: bool,
}

impl Where {
    pub(super) fn new(selector: Selector, has_value: bool) -> Self {
        let conditions = Conditions { from_ns: i64::MIN, to_ns: i64::MAX, values: Vec::new() };
        Self { selector, conditions, has_value }
    }

    fn label(&mut self, label: String, condition: Match) {
        self.selector = std::mem::take(&mut self.selector).label(label, condition);
    }

    pub(super) fn add(&mut self, expression: &Expr) -> Result<(), String> {
        match expression {
            Expr::Nested(inner) => self.add(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.add(left)?;
                self.add(right)
            }
            Expr::BinaryOp { left, op, right } => {
                if column(left).is_some() {
                    return self.compare(left, op, right);
                }
                // A constant on the left.
                let turned = match op {
                    BinaryOperator::Lt => BinaryOperator::Gt,
                    BinaryOperator::LtEq => BinaryOperator::GtEq,
                    BinaryOperator::Gt => BinaryOperator::Lt,
                    BinaryOperator::GtEq => BinaryOperator::LtEq,
                    BinaryOperator::Eq | BinaryOperator::NotEq => op.clone(),
                    _ => return Err(unknown(expression)),
                };
                self.compare(right, &turned, left)
            }
            Expr::Between { expr, negated: false, low, high } => {
                self.compare(expr, &BinaryOperator::GtEq, low)?;
                self.compare(expr, &BinaryOperator::LtEq, high)
            }
            Expr::InList { expr, list, negated } => {
                let label = self.label_name(expr, expression)?;
                let values = list.iter().map(text).collect::<Option<Vec<String>>>();
                let values = values.ok_or_else(|| unknown(expression))?;
                match negated {
                    false => self.label(label, Match::OneOf(values)),
                    true => values
                        .into_iter()
                        .for_each(|value| self.label(label.clone(), Match::NotEqual(value))),
                }
                Ok(())
            }
            Expr::Like { negated: false, any: false, expr, pattern, escape_char: None } => {
                let label = self.label_name(expr, expression)?;
                let pattern = text(pattern).ok_or_else(|| unknown(expression))?;
                let plain = |text: &str| !text.contains(['%', '_']);
                let condition = match pattern.strip_suffix('%') {
                    Some(prefix) if plain(prefix) => Match::Prefix(prefix.to_owned()),
                    None if plain(&pattern) => Match::Equal(pattern),
                    _ => return Err(format!("LIKE knows 'begin%'; {KNOWN}")),
                };
                self.label(label, condition);
                Ok(())
            }
            _ => Err(unknown(expression)),
        }
    }

    fn label_name(&self, expr: &Expr, whole: &Expr) -> Result<String, String> {
        match column(expr) {
            Some(name) if name == "time" || (name == "value" && self.has_value) => {
                Err(unknown(whole))
            }
            Some(name) => Ok(name),
            None => Err(unknown(whole)),
        }
    }

    fn compare(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<(), String> {
        let whole = || {
            let (left, op, right) = (left.clone(), op.clone(), right.clone());
            unknown(&Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) })
        };
        let name = column(left).ok_or_else(whole)?;
        if name == "time" {
            let time_ns = time(right)?.ok_or_else(whole)?;
            return self.time(op, time_ns).ok_or_else(whole);
        }
        if name == "value" && self.has_value {
            let comparison = comparison(op).ok_or_else(whole)?;
            let constant = number(right).ok_or_else(whole)?;
            if self.conditions.values.len() == VALUES_MAX {
                return Err(format!("there are more than {VALUES_MAX} conditions on the value"));
            }
            self.conditions.values.push(ValueCondition { comparison, constant });
            return Ok(());
        }
        let value = text(right).ok_or_else(whole)?;
        let condition = match op {
            BinaryOperator::Eq => Match::Equal(value),
            BinaryOperator::NotEq => Match::NotEqual(value),
            BinaryOperator::PGRegexMatch => Match::Pattern(value),
            BinaryOperator::PGRegexNotMatch => Match::NotPattern(value),
            _ => return Err(whole()),
        };
        self.label(name, condition);
        Ok(())
    }

    fn time(&mut self, op: &BinaryOperator, time_ns: i64) -> Option<()> {
        let Conditions { from_ns, to_ns, .. } = &mut self.conditions;
        // An empty range where a bound is beyond the ends of time.
        let (mut from, mut to) = (i64::MIN, i64::MAX);
        match op {
            BinaryOperator::GtEq => from = time_ns,
            BinaryOperator::Gt => match time_ns.checked_add(1) {
                Some(next) => from = next,
                None => (from, to) = (i64::MAX, i64::MIN),
            },
            BinaryOperator::LtEq => to = time_ns,
            BinaryOperator::Lt => match time_ns.checked_sub(1) {
                Some(before) => to = before,
                None => (from, to) = (i64::MAX, i64::MIN),
            },
            BinaryOperator::Eq => (from, to) = (time_ns, time_ns),
            _ => return None,
        }
        (*from_ns, *to_ns) = ((*from_ns).max(from), (*to_ns).min(to));
        Some(())
    }
}

fn unknown(expression: &Expr) -> String {
    format!("the condition {expression} is none that a continuous query knows; {KNOWN}")
}

fn comparison(op: &BinaryOperator) -> Option<Comparison> {
    Some(match op {
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        _ => return None,
    })
}

/// The name of a column.
pub(super) fn column(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(name) if name.quote_style.is_some() => Some(name.value.clone()),
        Expr::Identifier(name) => Some(name.value.to_lowercase()),
        Expr::Nested(inner) => column(inner),
        _ => None,
    }
}

/// A constant text.
pub(super) fn text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        Expr::Nested(inner) => text(inner),
        _ => None,
    }
}

fn number(expression: &Expr) -> Option<Number> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => match text.parse::<i128>() {
                Ok(integer) => Some(Number::Integer(integer)),
                Err(_) => text.parse().ok().map(Number::Float),
            },
            Value::Boolean(flag) => Some(Number::Integer(i128::from(*flag))),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match number(expr)? {
            Number::Integer(integer) => integer.checked_neg().map(Number::Integer),
            Number::Float(float) => Some(Number::Float(-float)),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } | Expr::Nested(expr) => number(expr),
        _ => None,
    }
}

/// A constant time: a text, or `TIMESTAMP '…'`.
pub(super) fn time(expression: &Expr) -> Result<Option<i64>, String> {
    let text = match expression {
        Expr::TypedString(typed) => match &typed.value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => Some(text.clone()),
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    text.map(|text| time_ns(&text)).transpose()
}

/// A time as RFC 3339, a date or nanoseconds: nanoseconds since the epoch.
pub(super) fn time_ns(text: &str) -> Result<i64, String> {
    if let Ok(time_ns) = text.parse::<i64>() {
        return Ok(time_ns);
    }
    let timestamp = text.parse::<jiff::Timestamp>().or_else(|error| {
        let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| error)?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp())
    });
    let problem = || format!("{text:?} is not a time; write 2026-01-31T08:00:00Z or 2026-01-31");
    i64::try_from(timestamp.map_err(|_| problem())?.as_nanosecond()).map_err(|_| problem())
}
