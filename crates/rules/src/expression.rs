//! What a rule asks, and who answers: the traits in which query languages and rules meet.

mod logql;
mod promql;

use std::sync::Arc;

use base::CancelFlag;
use model::{FloatHistogram, Labels, Matcher};

pub use self::logql::{LogQl, LogQlLanguage};
pub use self::promql::{PromQl, PromQlLanguage, QueryLimits};

/// An expression that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// The expression as the language writes it.
    pub text: String,
    /// The conditions of each of its selectors.
    pub selectors: Vec<Vec<Matcher>>,
}

/// A query language, as far as rule files need it.
pub trait Language: Send + Sync {
    /// Checks an expression. The error is for its author.
    fn parse(&self, text: &str) -> Result<Expression, String>;
}

/// One element of what an expression evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: Labels,
    /// The float; 0 for a histogram.
    pub value: f64,
    /// The histogram, if it is one.
    pub histogram: Option<Arc<FloatHistogram>>,
}

/// Why an expression has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryFailure {
    /// What happened.
    pub message: String,
    /// Whether it was stopped on purpose, which is no fault of the rule.
    pub canceled: bool,
}

/// Evaluates expressions.
pub trait Queries: Send + Sync {
    /// Evaluates `expression` at `t_ms`, in milliseconds since the Unix epoch; a number becomes one sample
    /// without labels. It blocks.
    fn instant(&self, expression: &str, t_ms: i64, cancel: &CancelFlag) -> Result<Vec<Sample>, QueryFailure>;
}
