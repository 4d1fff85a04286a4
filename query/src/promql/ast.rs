//! What a query says: the tree that the parser makes and the evaluator walks.

use super::functions::Function;
use super::source::Matcher;

/// A part of a query with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The byte of the query where it begins.
    pub(crate) offset: usize,
    pub(crate) expr: Expr,
}

/// What a part of a query is.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Number(f64),
    Text(String),
    Paren(Box<Node>),
    Selector(Selector),
    Range { selector: Selector, range: Span },
    Subquery { inner: Box<Node>, range: Span, step: Option<Span>, shift: Shift },
    Negate(Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call { function: Function, arguments: Vec<Node> },
}

/// What a part of a query gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Text,
    Vector,
    Range,
}

impl Type {
    /// As Prometheus names it in messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Text => "string",
            Self::Vector => "instant vector",
            Self::Range => "range vector",
        }
    }
}

impl Node {
    /// What it gives.
    pub(crate) fn kind(&self) -> Type {
        match &self.expr {
            Expr::Number(_) => Type::Scalar,
            Expr::Text(_) => Type::Text,
            Expr::Paren(inner) | Expr::Negate(inner) => inner.kind(),
            Expr::Selector(_) | Expr::Aggregate(_) => Type::Vector,
            Expr::Range { .. } | Expr::Subquery { .. } => Type::Range,
            Expr::Binary(binary) => match (binary.left.kind(), binary.right.kind()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            Expr::Call { function, .. } => function.gives(),
        }
    }

    /// Which series it and what is in it ask for, in the order of the text.
    pub(crate) fn selectors<'a>(&'a self, found: &mut Vec<&'a [Matcher]>) {
        match &self.expr {
            Expr::Number(_) | Expr::Text(_) => {}
            Expr::Paren(inner) | Expr::Negate(inner) | Expr::Subquery { inner, .. } => {
                inner.selectors(found);
            }
            Expr::Selector(selector) | Expr::Range { selector, .. } => {
                found.push(&selector.matchers);
            }
            Expr::Binary(binary) => {
                binary.left.selectors(found);
                binary.right.selectors(found);
            }
            Expr::Aggregate(aggregate) => {
                if let Some(parameter) = &aggregate.parameter {
                    parameter.selectors(found);
                }
                aggregate.inner.selectors(found);
            }
            Expr::Call { arguments, .. } => {
                arguments.iter().for_each(|argument| argument.selectors(found));
            }
        }
    }

    /// Without parentheses around it.
    pub(crate) fn bare(&self) -> &Self {
        let mut node = self;
        while let Expr::Paren(inner) = &node.expr {
            node = inner;
        }
        node
    }
}

/// Which series, and at which time relative to that of the evaluation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) shift: Shift,
}

/// `@` and `offset`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shift {
    pub(crate) at: Option<At>,
    pub(crate) offset: Option<Span>,
}

/// A fixed time of evaluation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    Start,
    End,
    Nanoseconds(i64),
}

/// A length of time; what is not a literal is known only when the query runs.
#[derive(Debug, Clone)]
pub(crate) enum Span {
    Seconds(f64),
    /// The step of the evaluation.
    Step,
    /// The range of the evaluation.
    Range,
    Negate(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
    Least(Box<Self>, Box<Self>),
    Most(Box<Self>, Box<Self>),
}

/// Operators between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    Unless,
}

impl Operator {
    pub(crate) const fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterEqual
                | Self::LessEqual
        )
    }

    pub(crate) const fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// How tightly it binds.
    pub(crate) const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide | Self::Modulo | Self::Atan2 => 5,
            Self::Power => 6,
            _ => 3,
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }
}

/// Two expressions and how their series find each other.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) operator: Operator,
    pub(crate) left: Node,
    pub(crate) right: Node,
    /// A comparison gives 0 or 1 instead of dropping.
    pub(crate) returns_bool: bool,
    pub(crate) matching: Matching,
}

/// How many series of each side may belong together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Cardinality {
    #[default]
    OneToOne,
    ManyToOne,
    OneToMany,
}

/// Which series of two vectors belong together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matching {
    pub(crate) cardinality: Cardinality,
    /// Whether `labels` are those that must agree, and not those that need not.
    pub(crate) on: bool,
    pub(crate) labels: Vec<String>,
    /// What the one side adds to the labels of the many side.
    pub(crate) include: Vec<String>,
    /// The value of a series that one side does not have: left, right.
    pub(crate) fill: (Option<f64>, Option<f64>),
}

/// How a vector becomes a shorter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregator {
    Sum,
    Average,
    Count,
    Least,
    Most,
    Group,
    StandardDeviation,
    StandardVariance,
    Top,
    Bottom,
    CountValues,
    Quantile,
    Limit,
    LimitRatio,
}

impl Aggregator {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sum" => Self::Sum,
            "avg" => Self::Average,
            "count" => Self::Count,
            "min" => Self::Least,
            "max" => Self::Most,
            "group" => Self::Group,
            "stddev" => Self::StandardDeviation,
            "stdvar" => Self::StandardVariance,
            "topk" => Self::Top,
            "bottomk" => Self::Bottom,
            "count_values" => Self::CountValues,
            "quantile" => Self::Quantile,
            "limitk" => Self::Limit,
            "limit_ratio" => Self::LimitRatio,
            _ => return None,
        })
    }

    /// What its first argument is, where it has two.
    pub(crate) const fn parameter(self) -> Option<Type> {
        match self {
            Self::CountValues => Some(Type::Text),
            Self::Top | Self::Bottom | Self::Quantile | Self::Limit | Self::LimitRatio => {
                Some(Type::Scalar)
            }
            _ => None,
        }
    }
}

/// An aggregation and its groups.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) aggregator: Aggregator,
    pub(crate) inner: Node,
    pub(crate) parameter: Option<Node>,
    /// Whether `labels` are those that are left out.
    pub(crate) without: bool,
    pub(crate) labels: Vec<String>,
}
