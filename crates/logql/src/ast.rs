//! Queries as trees.

use model::Matcher;
use syntax::Span;

/// A query.
#[derive(Debug, Clone)]
pub enum Expr {
    /// Selects lines.
    Log(LogExpr),
    /// Computes series.
    Metric(MetricExpr),
}

/// Which lines, and what is done with each.
#[derive(Debug, Clone)]
pub struct LogExpr {
    /// All must match the labels of the stream.
    pub matchers: Vec<Matcher>,
    /// What each line goes through.
    pub stages: Vec<Stage>,
    /// Of lines with equal values of these labels only the first one is taken, if there are any.
    pub distinct: Vec<String>,
    /// Where it stands.
    pub span: Span,
}

/// A step of a pipeline.
#[derive(Debug, Clone)]
pub enum Stage {
    /// `|= "x" or "y"`
    LineFilter(LineFilter),
    /// `| json`, `| logfmt`, ...
    Parser(Parser),
    /// `| level="error"`
    LabelFilter(LabelFilter),
    /// `| line_format "{{.msg}}"`
    LineFormat(String),
    /// `| label_format a=b, c="{{.d}}"`
    LabelFormat(Vec<LabelFormat>),
    /// `| drop a, b="c"`
    Drop(Vec<LabelSelection>),
    /// `| keep a, b="c"`
    Keep(Vec<LabelSelection>),
    /// `| decolorize`
    Decolorize,
}

/// How a line is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    NotContains,
    /// `|~`
    Match,
    /// `!~`
    NotMatch,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
}

impl LineOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "|=",
            Self::NotContains => "!=",
            Self::Match => "|~",
            Self::NotMatch => "!~",
            Self::Pattern => "|>",
            Self::NotPattern => "!>",
        }
    }

    /// Whether lines pass that do not match.
    pub fn is_negated(self) -> bool {
        matches!(self, Self::NotContains | Self::NotMatch | Self::NotPattern)
    }
}

/// A condition on the line.
#[derive(Debug, Clone)]
pub struct LineFilter {
    /// How all alternatives are compared.
    pub op: LineOp,
    /// One of them must hold; of a negated operator, all.
    pub alternatives: Vec<LineOperand>,
}

/// What a line is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineOperand {
    /// The text, pattern or address.
    pub text: String,
    /// Whether it is `ip("...")`.
    pub is_ip: bool,
}

/// Takes labels from the line.
#[derive(Debug, Clone)]
pub enum Parser {
    /// `json`, or `json a="b.c"`
    Json(Vec<Extraction>),
    /// `logfmt`, or `logfmt a, b="c"`
    Logfmt {
        /// `--strict`
        strict: bool,
        /// `--keep-empty`
        keep_empty: bool,
        /// Only these, if there are any.
        extractions: Vec<Extraction>,
    },
    /// `regexp "..."`
    Regexp(String),
    /// `pattern "..."`
    Pattern(String),
    /// `unpack`
    Unpack,
}

/// `label="expression"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    /// The label.
    pub label: String,
    /// Where its value is.
    pub expression: String,
}

/// `a=b` or `a="template"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFormat {
    /// The label that is set.
    pub label: String,
    /// The label it is renamed from, or a template.
    pub value: String,
    /// Whether it is a label.
    pub is_rename: bool,
}

/// A label to drop or keep, perhaps only with some values.
#[derive(Debug, Clone)]
pub struct LabelSelection {
    /// The label.
    pub name: String,
    /// The condition on its value.
    pub matcher: Option<Matcher>,
}

/// A condition on labels.
#[derive(Debug, Clone)]
pub enum LabelFilter {
    /// `a="b"`
    Text(Matcher),
    /// `a>5`
    Number(Comparison<f64>),
    /// `a>5s`, in nanoseconds
    Duration(Comparison<i64>),
    /// `a>5KB`
    Bytes(Comparison<u64>),
    /// `a=ip("10.0.0.0/8")`
    Ip {
        /// The label.
        name: String,
        /// The address, range or network.
        pattern: String,
        /// `!=`
        negated: bool,
    },
    /// Both.
    And(Box<LabelFilter>, Box<LabelFilter>),
    /// One of both.
    Or(Box<LabelFilter>, Box<LabelFilter>),
}

/// A comparison of a label's value.
#[derive(Debug, Clone)]
pub struct Comparison<T> {
    /// The label.
    pub name: String,
    /// How.
    pub op: CompareOp,
    /// With what.
    pub value: T,
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// `==` and `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
}

impl CompareOp {
    /// The operator as label filters are written back.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
        }
    }

    /// Whether a comparison with this outcome holds. What cannot be compared is only unequal.
    pub fn holds(self, ordering: Option<std::cmp::Ordering>) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match self {
            Self::Equal => ordering == Some(Equal),
            Self::NotEqual => ordering != Some(Equal),
            Self::Greater => ordering == Some(Greater),
            Self::GreaterEqual => matches!(ordering, Some(Greater | Equal)),
            Self::Less => ordering == Some(Less),
            Self::LessEqual => matches!(ordering, Some(Less | Equal)),
        }
    }
}

/// An expression whose value are series.
#[derive(Debug, Clone)]
pub enum MetricExpr {
    /// `rate({...}[5m])`
    Range(Box<RangeAggregation>),
    /// `max_over_time(...[1h:5m])`
    Subquery(Box<Subquery>),
    /// `sum by (a) (...)`
    Vector(Box<VectorAggregation>),
    /// `a + b`
    Binary(Box<Binary>),
    /// `5`
    Literal(f64),
    /// `vector(5)`
    Constant(f64),
    /// `label_replace(...)`
    LabelReplace(Box<LabelReplace>),
}

/// Functions over the lines or values of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum RangeOp {
    CountOverTime,
    Rate,
    RateCounter,
    BytesOverTime,
    BytesRate,
    AvgOverTime,
    SumOverTime,
    MinOverTime,
    MaxOverTime,
    StdvarOverTime,
    StddevOverTime,
    QuantileOverTime,
    FirstOverTime,
    LastOverTime,
    AbsentOverTime,
}

impl RangeOp {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 15] = [
        ("count_over_time", Self::CountOverTime),
        ("rate", Self::Rate),
        ("rate_counter", Self::RateCounter),
        ("bytes_over_time", Self::BytesOverTime),
        ("bytes_rate", Self::BytesRate),
        ("avg_over_time", Self::AvgOverTime),
        ("sum_over_time", Self::SumOverTime),
        ("min_over_time", Self::MinOverTime),
        ("max_over_time", Self::MaxOverTime),
        ("stdvar_over_time", Self::StdvarOverTime),
        ("stddev_over_time", Self::StddevOverTime),
        ("quantile_over_time", Self::QuantileOverTime),
        ("first_over_time", Self::FirstOverTime),
        ("last_over_time", Self::LastOverTime),
        ("absent_over_time", Self::AbsentOverTime),
    ];

    /// The name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    /// Whether it aggregates into groups of its own.
    pub fn allows_grouping(self) -> bool {
        matches!(
            self,
            Self::AvgOverTime
                | Self::StddevOverTime
                | Self::StdvarOverTime
                | Self::QuantileOverTime
                | Self::MaxOverTime
                | Self::MinOverTime
                | Self::FirstOverTime
                | Self::LastOverTime
        )
    }
}

/// A function over a range of lines.
#[derive(Debug, Clone)]
pub struct RangeAggregation {
    /// The function.
    pub op: RangeOp,
    /// The quantile of `quantile_over_time`.
    pub parameter: Option<f64>,
    /// The lines.
    pub log: LogExpr,
    /// The value taken from each.
    pub unwrap: Option<Unwrap>,
    /// The range, in nanoseconds.
    pub range_ns: i64,
    /// How far back all of it lies, in nanoseconds.
    pub offset_ns: i64,
    /// The time at which it is evaluated, if that is fixed.
    pub at: Option<At>,
    /// How the series of the result are grouped.
    pub grouping: Option<Grouping>,
}

/// A fixed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// `@ 1700000000`, in nanoseconds since the epoch.
    Time(i64),
    /// `@ start()`: the first time of the query.
    Start,
    /// `@ end()`: the last one.
    End,
}

/// A function over the values of an expression in a range.
#[derive(Debug, Clone)]
pub struct Subquery {
    /// The function.
    pub op: RangeOp,
    /// The quantile of `quantile_over_time`.
    pub parameter: Option<f64>,
    /// The expression.
    pub inner: MetricExpr,
    /// The range, in nanoseconds.
    pub range_ns: i64,
    /// The time between values, in nanoseconds; a minute if it is not said.
    pub step_ns: Option<i64>,
    /// How far back all of it lies, in nanoseconds.
    pub offset_ns: i64,
    /// The time at which it is evaluated, if that is fixed.
    pub at: Option<At>,
}

/// `| unwrap duration(took) | filter`
#[derive(Debug, Clone)]
pub struct Unwrap {
    /// The label.
    pub label: String,
    /// How its value becomes a number.
    pub conversion: Conversion,
    /// Conditions after it.
    pub filters: Vec<LabelFilter>,
}

/// How the value of a label becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// It is one.
    None,
    /// `bytes(x)`
    Bytes,
    /// `duration(x)`: seconds
    Duration,
    /// `duration_seconds(x)`: the same
    DurationSeconds,
}

impl Conversion {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::DurationSeconds => "duration_seconds",
        }
    }
}

/// `by (a, b)` or `without (a, b)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The labels.
    pub names: Vec<String>,
    /// Whether the other labels make the group.
    pub without: bool,
}

/// Functions over the series of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum VectorOp {
    Sum,
    Avg,
    Max,
    Min,
    Count,
    Stddev,
    Stdvar,
    Bottomk,
    Topk,
    ApproxTopk,
    Sort,
    SortDesc,
    CountValues,
}

impl VectorOp {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 13] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("max", Self::Max),
        ("min", Self::Min),
        ("count", Self::Count),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("bottomk", Self::Bottomk),
        ("topk", Self::Topk),
        ("approx_topk", Self::ApproxTopk),
        ("sort", Self::Sort),
        ("sort_desc", Self::SortDesc),
        ("count_values", Self::CountValues),
    ];

    /// The name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    /// Whether it takes how many series to keep.
    pub fn takes_count(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::ApproxTopk)
    }
}

/// A function over the series of an instant.
#[derive(Debug, Clone)]
pub struct VectorAggregation {
    /// The function.
    pub op: VectorOp,
    /// How many series are kept.
    pub count: usize,
    /// The label that holds the value in `count_values`.
    pub label: Option<String>,
    /// The series.
    pub inner: MetricExpr,
    /// How they are grouped.
    pub grouping: Option<Grouping>,
}

/// Operators between series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

impl BinaryOp {
    /// All of them, as written.
    pub const ALL: [(&'static str, Self); 15] = [
        ("or", Self::Or),
        ("and", Self::And),
        ("unless", Self::Unless),
        ("+", Self::Add),
        ("-", Self::Sub),
        ("*", Self::Mul),
        ("/", Self::Div),
        ("%", Self::Mod),
        ("^", Self::Pow),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        (">", Self::Greater),
        (">=", Self::GreaterEqual),
        ("<", Self::Less),
        ("<=", Self::LessEqual),
    ];

    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(text, _)| text)
    }

    /// Whether it works on sets of series.
    pub fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }

    /// The comparison it is, if it is one.
    pub fn comparison(self) -> Option<CompareOp> {
        Some(match self {
            Self::Equal => CompareOp::Equal,
            Self::NotEqual => CompareOp::NotEqual,
            Self::Greater => CompareOp::Greater,
            Self::GreaterEqual => CompareOp::GreaterEqual,
            Self::Less => CompareOp::Less,
            Self::LessEqual => CompareOp::LessEqual,
            _ => return None,
        })
    }
}

/// An operation between two expressions.
#[derive(Debug, Clone)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left operand.
    pub left: MetricExpr,
    /// The right operand.
    pub right: MetricExpr,
    /// Whether a comparison gives 0 or 1.
    pub returns_bool: bool,
    /// Which series belong together.
    pub matching: Matching,
}

/// Which series of two sides belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// Whether `on` or `ignoring` is written.
    pub is_explicit: bool,
    /// Whether they have these labels in common (`on`), or all but these.
    pub on: bool,
    /// The labels.
    pub names: Vec<String>,
    /// Which side may have many series for one of the other.
    pub many: Option<Side>,
    /// Labels taken from the side of one.
    pub include: Vec<String>,
}

/// A side of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// `label_replace(v, "dst", "replacement", "src", "regex")`
#[derive(Debug, Clone)]
pub struct LabelReplace {
    /// The series.
    pub inner: MetricExpr,
    /// The label that is set.
    pub destination: String,
    /// What to.
    pub replacement: String,
    /// The label that is matched.
    pub source: String,
    /// The pattern, as written.
    pub pattern: String,
    /// The pattern.
    pub regex: model::regex::AnchoredRegex,
}
