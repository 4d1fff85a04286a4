//! Syntax: from `ASOF JOIN` to joins that DataFusion's parser and planner know.
//!
//! The parser knows `ASOF JOIN` with `MATCH_CONDITION` only, and the planner not at all. The words are
//! therefore exchanged between tokens and tree: `ASOF` becomes `GLOBAL`, a word of ClickHouse that the
//! parser notes at the join and the planner passes over, and `TOLERANCE '1m'` becomes a condition.
//! The right side of a join so noted becomes a subquery with the mark as its condition. Tokens keep
//! their places, so that errors show where they are.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, not_impl_err, plan_datafusion_err};
use datafusion::execution::SessionState;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Ident, Join, Query, Select, SetExpr, Statement as Tree, TableAlias, TableFactor, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use super::marks;

/// The statement that a text is, where it changes no data: one that would is refused before anything in it is looked
/// at.
pub(in crate::sql) fn question(state: &SessionState, sql: &str) -> Result<Statement> {
    let read = statement(state, sql)?;
    if let Statement::Statement(tree) = &read
        && matches!(**tree, Tree::Insert(_) | Tree::Update { .. } | Tree::Delete(_))
    {
        return Err(plan_datafusion_err!("DML not supported"));
    }
    Ok(read)
}

/// The statement that a text is.
pub(in crate::sql) fn statement(state: &SessionState, sql: &str) -> Result<Statement> {
    let options = &state.config().options().sql_parser;
    let has_asof = sql.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"asof"));
    if !has_asof {
        return state.sql_to_statement(sql, &options.dialect);
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location();
    let mut parser = DFParserBuilder::new(exchange(tokens.map_err(ParserError::from)?))
        .with_recursion_limit(options.recursion_limit.get())
        .build()?;
    let mut statements = parser.parse_statements()?;
    let (Some(mut statement), None) = (statements.pop_front(), statements.pop_front()) else {
        return not_impl_err!("The context currently only supports a single SQL statement");
    };
    match mark(&mut statement) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(error) => Err(error),
    }
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

fn word(value: &str, keyword: Keyword) -> Token {
    Token::Word(Word { value: value.to_owned(), quote_style: None, keyword })
}

/// Exchanges `ASOF` before joins and `TOLERANCE` behind them.
fn exchange(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let at = |index: usize| tokens.get(index).map_or(&Token::EOF, |token| &token.token);
    let mut exchanged = Vec::with_capacity(tokens.len() + 8);
    let (mut index, mut has_join) = (0, false);
    while let Some(current) = tokens.get(index) {
        let mut put = |token: Token| exchanged.push(TokenWithSpan { token, span: current.span });
        let next = at(index + 1);
        if is_word(&current.token, "ASOF")
            && ["JOIN", "LEFT", "INNER"].iter().any(|kind| is_word(next, kind))
        {
            has_join = true;
            put(word("GLOBAL", Keyword::GLOBAL));
        } else if has_join
            && is_word(&current.token, "TOLERANCE")
            && let Some((value, used)) = length(next, at(index + 2))
        {
            put(word("AND", Keyword::AND));
            put(word(marks::TOLERANCE, Keyword::NoKeyword));
            [Token::LParen, value, Token::RParen].into_iter().for_each(put);
            index += used;
        } else {
            exchanged.push(current.clone());
        }
        index += 1;
    }
    exchanged
}

/// The length of time that two tokens are, and how many of them: `'1m'`, `INTERVAL '1 minute'`, or
/// `1m`, which is a number and a word.
fn length(first: &Token, second: &Token) -> Option<(Token, usize)> {
    match (first, second) {
        (Token::SingleQuotedString(_), _) => Some((first.clone(), 1)),
        (Token::Number(number, _), Token::Word(unit)) => {
            Some((Token::SingleQuotedString(format!("{number}{}", unit.value)), 2))
        }
        (first, Token::SingleQuotedString(_)) if is_word(first, "INTERVAL") => {
            Some((second.clone(), 2))
        }
        _ => None,
    }
}

/// Marks the joins of a statement that were noted.
fn mark(statement: &mut Statement) -> ControlFlow<DataFusionError> {
    match statement {
        Statement::Statement(tree) => tree.visit(&mut Marker),
        Statement::Explain(explain) => mark(&mut explain.statement),
        _ => ControlFlow::Continue(()),
    }
}

struct Marker;

impl VisitorMut for Marker {
    type Break = DataFusionError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        select.from.iter_mut().flat_map(|table| &mut table.joins).try_for_each(mark_join)
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Self::Break> {
        match table {
            TableFactor::NestedJoin { table_with_joins, .. } => {
                table_with_joins.joins.iter_mut().try_for_each(mark_join)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Puts the mark on the right side of a join.
fn mark_join(join: &mut Join) -> ControlFlow<DataFusionError> {
    if !std::mem::take(&mut join.global) {
        return ControlFlow::Continue(());
    }
    match subquery() {
        Ok((mut query, alias)) => {
            let (name, inner) = name_of(&mut join.relation);
            let alias = name.unwrap_or(alias);
            if let SetExpr::Select(select) = &mut *query.body
                && let Some(table) = select.from.first_mut()
            {
                table.relation = inner;
            }
            let (subquery, alias) = (Box::new(query), Some(alias));
            join.relation = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    }
}

/// The name that other parts of the query call a table by, and the table without its alias.
fn name_of(table: &mut TableFactor) -> (Option<TableAlias>, TableFactor) {
    let name = match table {
        TableFactor::Table { name, alias, .. } => alias.take().or_else(|| {
            let last = name.0.last()?.as_ident()?.clone();
            Some(plain_alias(last))
        }),
        TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias.clone(),
        _ => None,
    };
    (name, table.clone())
}

const fn plain_alias(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

/// `SELECT * FROM t WHERE __asof()`, and an alias for what has none.
fn subquery() -> Result<(Query, TableAlias)> {
    let text = format!("SELECT * FROM t WHERE {}()", marks::ASOF);
    let mut parsed = Parser::parse_sql(&GenericDialect {}, &text)?;
    match parsed.pop() {
        Some(Tree::Query(query)) => Ok((*query, plain_alias(Ident::new("asof_right")))),
        _ => Err(plan_datafusion_err!("an as-of join cannot be read")),
    }
}
