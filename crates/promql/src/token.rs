//! The words of PromQL.

use syntax::Span;

use crate::ast::{AggregateOp, BinaryOp};

/// A word of a query and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    End,
    Comma,
    Colon,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    /// `=`, which only matchers use.
    Assign,
    /// `=~`
    MatchRegex,
    /// `!~`
    MatchNotRegex,
    At,
    Operator(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
    /// A name without colons.
    Identifier,
    /// A name with colons.
    MetricIdentifier,
    Number,
    Duration,
    String,
}

/// Words with a meaning of their own in some places; elsewhere most of them are metric names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Anchored,
    Bool,
    By,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Smoothed,
    Without,
    End,
    MaxOf,
    MinOf,
    Range,
    Start,
    Step,
}

/// Keywords by their spelling; any mixture of cases is accepted.
pub(crate) const KEYWORDS: [(&str, Keyword); 19] = [
    ("anchored", Keyword::Anchored),
    ("bool", Keyword::Bool),
    ("by", Keyword::By),
    ("fill", Keyword::Fill),
    ("fill_left", Keyword::FillLeft),
    ("fill_right", Keyword::FillRight),
    ("group_left", Keyword::GroupLeft),
    ("group_right", Keyword::GroupRight),
    ("ignoring", Keyword::Ignoring),
    ("offset", Keyword::Offset),
    ("on", Keyword::On),
    ("smoothed", Keyword::Smoothed),
    ("without", Keyword::Without),
    ("end", Keyword::End),
    ("max_of", Keyword::MaxOf),
    ("min_of", Keyword::MinOf),
    ("range", Keyword::Range),
    ("start", Keyword::Start),
    ("step", Keyword::Step),
];

impl Keyword {
    /// Whether the word is followed by parentheses: the function-like keywords of `@` and durations.
    pub fn is_function_like(self) -> bool {
        matches!(self, Self::Start | Self::End | Self::Step | Self::Range | Self::MaxOf | Self::MinOf)
    }
}

impl TokenKind {
    /// The kind of a word that starts with a letter, colons allowed.
    pub fn of_word(word: &str) -> Self {
        let lower = word.to_ascii_lowercase();
        if let "inf" | "nan" = lower.as_str() {
            return Self::Number;
        }
        if let Some(&op) = [BinaryOp::And, BinaryOp::Or, BinaryOp::Unless, BinaryOp::Atan2]
            .iter()
            .find(|op| op.as_str() == lower)
        {
            return Self::Operator(op);
        }
        if let Some(&op) = AggregateOp::ALL.iter().find(|op| op.as_str() == lower) {
            return Self::Aggregate(op);
        }
        if let Some(&(_, keyword)) = KEYWORDS.iter().find(|(spelling, _)| *spelling == lower) {
            return Self::Keyword(keyword);
        }
        if word.contains(':') { Self::MetricIdentifier } else { Self::Identifier }
    }

    /// Whether the word may stand as a metric name where an operand is expected.
    pub fn is_metric_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) => true,
            Self::Operator(op) => op.is_set(),
            Self::Keyword(keyword) => {
                use Keyword::{Bool, GroupLeft, GroupRight, Ignoring, On};
                !matches!(keyword, Bool | GroupLeft | GroupRight | Ignoring | On)
            }
            _ => false,
        }
    }

    /// Whether the word may stand as a label name in a grouping.
    pub fn is_grouping_label(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) => true,
            Self::Operator(op) => op.is_set() || op == BinaryOp::Atan2,
            Self::Keyword(keyword) => keyword != Keyword::Without,
            _ => false,
        }
    }

    /// Whether an expression may start with the word.
    pub fn starts_expression(self) -> bool {
        use TokenKind::{Duration, LeftBrace, LeftParen, Number, Operator, String};
        self.is_metric_name()
            || matches!(self, Operator(BinaryOp::Add | BinaryOp::Sub))
            || matches!(self, Number | Duration | String | LeftParen | LeftBrace)
    }
}

impl Token {
    /// The word as messages name it.
    pub fn describe(&self, text: &str) -> String {
        let word = self.span.of(text);
        match self.kind {
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Identifier => format!("identifier {}", quoted(word)),
            TokenKind::MetricIdentifier => format!("metric identifier {}", quoted(word)),
            TokenKind::String => format!("string {}", shortened(word)),
            TokenKind::Number => format!("number {}", shortened(word)),
            TokenKind::Duration => format!("duration {}", shortened(word)),
            TokenKind::Aggregate(_) => format!("<aggr:{word}>"),
            TokenKind::Operator(_) | TokenKind::MatchRegex | TokenKind::MatchNotRegex | TokenKind::At => {
                format!("<op:{word}>")
            }
            TokenKind::Keyword(keyword) if !keyword.is_function_like() => format!("<{word}>"),
            _ => shortened(word),
        }
    }
}

fn quoted(word: &str) -> String {
    model::labels::Quoted(word).to_string()
}

/// Messages show at most this many characters of a word.
const SHOWN_CHARS: usize = 10;

fn shortened(word: &str) -> String {
    if word.len() <= SHOWN_CHARS {
        return quoted(word);
    }
    let shown: String = word.chars().take(SHOWN_CHARS).collect();
    format!("{}...", quoted(&shown))
}
