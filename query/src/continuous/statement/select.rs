//! `SELECT`: keys, one window and aggregates; anything else is told what is possible.

use chronolith_engine::{Function as Plain, Match, Selector};
use sqlparser::ast::{
    Expr, GroupByExpr, ObjectName, Query as Parsed, Select, SelectItem, SetExpr, TableFactor, Value,
};

use crate::continuous::window::Windows;

use super::call::{Argument, arguments, hopping, is_time, session, tumbling};
use super::conditions::{Where, column};
use super::{Aggregate, Column, Key, Query, QueryOptions, Source};

const SHAPE: &str = "a continuous query is SELECT keys, time_bucket('5m', time), aggregates FROM a \
                     metric, a class or records [WHERE …] GROUP BY keys and the bucket";
const FUNCTIONS: &str = "count, sum, avg, min, max, first, last, stddev, rate, increase, delta, \
                         time_weighted_avg";
/// The most columns of an answer.
const COLUMNS_MAX: usize = 64;

/// A query that was read.
pub(super) struct Selected {
    source: Source,
    conditions: Where,
    keys: Vec<Key>,
    windows: Windows,
    window_name: String,
    columns: Vec<Column>,
}

/// One thing that is selected.
enum Item {
    Key(Key),
    Window(Windows, String),
    Column(Column),
}

pub(super) fn read(parsed: Parsed) -> Result<Selected, String> {
    let only = |has: bool, what: &str| match has {
        true => Err(format!("{what} cannot be kept up to date; {SHAPE}")),
        false => Ok(()),
    };
    only(parsed.with.is_some(), "WITH before SELECT")?;
    only(parsed.order_by.is_some(), "ORDER BY")?;
    only(parsed.limit_clause.is_some() || parsed.fetch.is_some(), "LIMIT")?;
    only(!parsed.locks.is_empty() || parsed.for_clause.is_some(), "FOR")?;
    only(!parsed.pipe_operators.is_empty(), "a pipe")?;
    let select = match *parsed.body {
        SetExpr::Select(select) => *select,
        _ => return Err(format!("this is no plain SELECT; {SHAPE}")),
    };
    only(select.distinct.is_some(), "DISTINCT")?;
    only(select.having.is_some(), "HAVING")?;
    only(select.qualify.is_some() || !select.named_window.is_empty(), "a window function")?;
    only(select.into.is_some(), "INTO behind SELECT")?;
    only(select.top.is_some(), "TOP")?;
    only(!select.lateral_views.is_empty(), "LATERAL VIEW")?;
    only(select.prewhere.is_some() || !select.connect_by.is_empty(), "this SELECT")?;
    only(!select.cluster_by.is_empty() || !select.distribute_by.is_empty(), "CLUSTER BY")?;
    only(!select.sort_by.is_empty(), "SORT BY")?;
    let source = source(&select)?;
    let mut items = Vec::new();
    for item in &select.projection {
        items.push(self::item(item, &source)?);
    }
    check_groups(&select, &items)?;
    let selector = match &source {
        Source::Metric(name) => Selector::all().name(name),
        Source::Class(class) => Selector::all().label("class", Match::Equal(class.clone())),
        Source::Records => Selector::all(),
    };
    let mut conditions = Where::new(selector, !matches!(source, Source::Class(_)));
    if let Some(selection) = &select.selection {
        conditions.add(selection)?;
    }
    let (mut keys, mut windows, mut columns) = (Vec::<Key>::new(), None, Vec::<Column>::new());
    for item in items {
        match item {
            Item::Key(key) if keys.iter().any(|other| other.label == key.label) => {
                return Err(format!("the key {} is selected twice", key.label));
            }
            Item::Key(key) => keys.push(key),
            Item::Column(column) => columns.push(column),
            Item::Window(..) if windows.is_some() => {
                return Err(format!("there are two windows; {SHAPE}"));
            }
            Item::Window(window, name) => windows = Some((window, name)),
        }
    }
    let Some((windows, window_name)) = windows else {
        return Err(format!(
            "there is no window: add time_bucket('5m', time), hop('10m', '1m', time) or \
             session('5m', time); {SHAPE}"
        ));
    };
    if columns.is_empty() {
        return Err(format!("there is no aggregate; {SHAPE}"));
    }
    name_columns(&keys, &window_name, &mut columns)?;
    Ok(Selected { source, conditions, keys, windows, window_name, columns })
}

impl Selected {
    pub(super) fn query(
        self,
        name: String,
        into: String,
        options: QueryOptions,
        text: String,
    ) -> Result<Query, String> {
        let Self { source, conditions: Where { selector, conditions, .. }, .. } = self;
        if matches!(&source, Source::Metric(metric) if *metric == into) {
            return Err(format!(
                "the query would read what it writes: choose INTO another metric than {into}"
            ));
        }
        let Self { keys, windows, window_name, columns, .. } = self;
        Ok(Query {
            name,
            into,
            source,
            selector,
            conditions,
            keys,
            windows,
            window_name,
            columns,
            options,
            text,
        })
    }
}

fn object_name(name: &ObjectName) -> Option<Vec<String>> {
    let part = |part: &sqlparser::ast::ObjectNamePart| {
        let name = part.as_ident()?;
        let quoted = name.quote_style.is_some();
        Some(if quoted { name.value.clone() } else { name.value.to_lowercase() })
    };
    name.0.iter().map(part).collect()
}

fn source(select: &Select) -> Result<Source, String> {
    let [from] = &select.from[..] else {
        return Err(format!("there must be one table behind FROM; {SHAPE}"));
    };
    let TableFactor::Table { name, args: None, sample: None, version: None, .. } = &from.relation
    else {
        return Err(format!("{} cannot be followed; {SHAPE}", from.relation));
    };
    if !from.joins.is_empty() {
        return Err(format!("JOIN cannot be kept up to date; {SHAPE}"));
    }
    let parts = object_name(name).unwrap_or_default();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        ["records"] | ["public", "records"] => Ok(Source::Records),
        [name] | ["metric" | "public", name] => Ok(Source::Metric(name.to_owned())),
        ["class", name] => Ok(Source::Class(name.to_owned())),
        _ => Err(format!(
            "{name} is no table of records; write a metric's name, class.name or records"
        )),
    }
}

fn item(item: &SelectItem, source: &Source) -> Result<Item, String> {
    let (expression, alias) = match item {
        SelectItem::UnnamedExpr(expression) => (expression, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.value.clone())),
        other => return Err(format!("{other} cannot be selected; {SHAPE}")),
    };
    if let Some(label) = column(expression) {
        if label == "time" || label == "value" {
            return Err(format!(
                "{label} by itself is no key; put it into time_bucket('5m', time) or an aggregate"
            ));
        }
        let alias = alias.unwrap_or_else(|| label.clone());
        return Ok(Item::Key(Key { label, alias }));
    }
    let Expr::Function(function) = expression else {
        return Err(format!("{expression} cannot be kept up to date; {SHAPE}"));
    };
    let name = object_name(&function.name).unwrap_or_default().join(".");
    let arguments = arguments(function)?;
    let window = match name.as_str() {
        "time_bucket" => Some(tumbling(&arguments)?),
        "hop" => Some(hopping(&arguments)?),
        "session" => Some(session(&arguments)?),
        _ => None,
    };
    if let Some(window) = window {
        return Ok(Item::Window(window, alias.unwrap_or(name)));
    }
    let (aggregate, metric) = aggregate(&name, &arguments, source)?;
    let default = || match &metric {
        Some(metric) => format!("{name}_{metric}"),
        None => name.clone(),
    };
    let alias = alias.unwrap_or_else(default);
    Ok(Item::Column(Column { alias, aggregate, metric }))
}

fn aggregate(
    name: &str,
    arguments: &[Argument<'_>],
    source: &Source,
) -> Result<(Aggregate, Option<String>), String> {
    let aggregate = match name {
        "count" => Aggregate::Plain(Plain::Count),
        "sum" => Aggregate::Plain(Plain::Sum),
        "avg" | "mean" => Aggregate::Plain(Plain::Avg),
        "min" => Aggregate::Plain(Plain::Min),
        "max" => Aggregate::Plain(Plain::Max),
        "first" => Aggregate::Plain(Plain::First),
        "last" => Aggregate::Plain(Plain::Last),
        "stddev" | "stddev_samp" => Aggregate::Plain(Plain::Stddev),
        "rate" => Aggregate::Rate,
        "increase" => Aggregate::Increase,
        "delta" => Aggregate::Delta,
        "time_weighted_avg" => Aggregate::TimeWeighted,
        _ => {
            return Err(format!(
                "the function {name} cannot be kept up to date; there are {FUNCTIONS}"
            ));
        }
    };
    let takes_time = !matches!(aggregate, Aggregate::Plain(function)
        if !matches!(function, Plain::First | Plain::Last));
    let (value, rest) = match arguments {
        [value, rest @ ..] => (*value, rest),
        [] => return Err(format!("{name} wants the value: {name}(value)")),
    };
    if !(rest.is_empty() || (takes_time && rest.len() == 1 && is_time(rest.first()))) {
        return Err(format!(
            "{name} wants {}",
            if takes_time { "(value, time)" } else { "(value)" }
        ));
    }
    let column = match value {
        None if name == "count" && !matches!(source, Source::Class(_)) => {
            return Ok((aggregate, None));
        }
        None => return Err(format!("{name}(*) is not known here; name a column")),
        Some(Expr::Value(value)) if name == "count" && matches!(value.value, Value::Number(..)) => {
            "value".to_owned()
        }
        Some(expression) => {
            column(expression).ok_or_else(|| format!("{name} wants a column, not {expression}"))?
        }
    };
    match source {
        Source::Class(_) => Ok((aggregate, Some(column))),
        _ if column == "value" => Ok((aggregate, None)),
        _ => Err(format!("{name} wants the column value, not {column}")),
    }
}

/// Checks that what is grouped by is what is selected and no aggregate.
fn check_groups(select: &Select, items: &[Item]) -> Result<(), String> {
    let GroupByExpr::Expressions(expressions, modifiers) = &select.group_by else {
        return match &select.group_by {
            GroupByExpr::All(modifiers) if modifiers.is_empty() => Ok(()),
            _ => Err("GROUP BY ALL takes no modifiers here".to_owned()),
        };
    };
    if !modifiers.is_empty() {
        return Err(format!("ROLLUP, CUBE and TOTALS cannot be kept up to date; {SHAPE}"));
    }
    let is_grouped = |index: usize| !matches!(items.get(index), Some(Item::Column(_)) | None);
    let mut grouped = vec![false; items.len()];
    for expression in expressions {
        let position = match expression {
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => text.parse::<usize>().ok().and_then(|n| n.checked_sub(1)),
                _ => None,
            },
            _ => select.projection.iter().position(|item| match item {
                SelectItem::UnnamedExpr(selected) => selected == expression,
                SelectItem::ExprWithAlias { expr, alias } => {
                    expr == expression
                        || column(expression).is_some_and(|name| {
                            name == alias.value || name == alias.value.to_lowercase()
                        })
                }
                _ => false,
            }),
        };
        match position {
            Some(position) if is_grouped(position) => grouped[position] = true,
            _ => return Err(format!("GROUP BY {expression} must be selected as well; {SHAPE}")),
        }
    }
    let missing = (0..items.len()).find(|index| is_grouped(*index) && !grouped[*index]);
    match missing.and_then(|index| select.projection.get(index)) {
        Some(item) => Err(format!("{item} must stand in GROUP BY as well; {SHAPE}")),
        None => Ok(()),
    }
}

/// Gives columns of one name different ones, and refuses names that clash with keys.
fn name_columns(keys: &[Key], window: &str, columns: &mut [Column]) -> Result<(), String> {
    if columns.len() > COLUMNS_MAX {
        return Err(format!("there are more than {COLUMNS_MAX} aggregates"));
    }
    let mut names: Vec<String> = keys.iter().map(|key| key.alias.clone()).collect();
    names.push(window.to_owned());
    names.extend(columns.iter().map(|column| column.alias.clone()));
    names.extend(["window_end".to_owned()]);
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two columns are called {}; rename one with AS", pair[0])),
        None => Ok(()),
    }
}
