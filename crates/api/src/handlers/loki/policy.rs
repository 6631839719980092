//! Queries that an operator does not want: by their text, by their kind, or because their selectors are too wide.

use std::collections::BTreeSet;

use logql::ast::{Expr, LogExpr, MetricExpr};
use model::QueryContext;
use model::regex::Regex;

use super::LogState;
use super::limits::LogQueryLimits;
use super::respond::Failure;

/// The kind of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKind {
    /// It computes series.
    Metric,
    /// It selects lines, with stages behind the selector.
    Filter,
    /// It selects lines by streams alone.
    Limited,
}

/// Which texts a [`BlockedQuery`] is about.
#[derive(Debug, Clone)]
pub enum BlockedText {
    /// All.
    Any,
    /// This one, without spaces around it.
    Exactly(String),
    /// Those that match as a whole.
    Matching(Regex),
}

/// Queries that are refused: those with this hash, and those of these texts and kinds.
#[derive(Debug, Clone)]
pub struct BlockedQuery {
    /// The hash of the text, 0 for none.
    pub hash: u32,
    /// Which texts.
    pub text: BlockedText,
    /// Which kinds; none for all.
    pub kinds: Vec<QueryKind>,
}

impl BlockedQuery {
    fn is_about(&self, text: &str, kind: QueryKind) -> bool {
        if self.hash != 0 {
            return self.hash == hash(text) && self.is_of(kind);
        }
        let is_text = match &self.text {
            BlockedText::Any => true,
            BlockedText::Exactly(blocked) => blocked.trim() == text.trim(),
            BlockedText::Matching(regex) => regex.is_match(text),
        };
        is_text && self.is_of(kind)
    }

    fn is_of(&self, kind: QueryKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}

/// FNV-1 of 32 bits: the hash of a query as operators find it in the log of a Loki.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte))
}

/// Refuses a query its tenant may not ask.
pub(super) fn admit(state: &LogState, ctx: &QueryContext, text: &str, query: &Expr) -> Result<(), Failure> {
    let limits = state.limits_of(&ctx.tenant);
    let mut selectors = Vec::new();
    let kind = match query {
        Expr::Log(log) => {
            selectors.push(log);
            if log.stages.is_empty() { QueryKind::Limited } else { QueryKind::Filter }
        }
        Expr::Metric(metric) => {
            selectors_of(metric, &mut selectors);
            QueryKind::Metric
        }
    };
    if limits.blocked.iter().any(|blocked| blocked.is_about(text, kind)) {
        tracing::info!(tenant = &*ctx.tenant.0, query = text, "query blocked by policy");
        return Err(Failure::bad("query blocked by policy"));
    }
    selectors.into_iter().try_for_each(|log| admit_selector(&limits, log))
}

fn admit_selector(limits: &LogQueryLimits, log: &LogExpr) -> Result<(), Failure> {
    let (count, most) = (log.matchers.len(), limits.max_matchers);
    if most > 0 && count > most {
        return Err(Failure::bad(format!(
            "max streams matchers per query exceeded, matchers-count > limit ({count} > {most})"
        )));
    }
    let present: BTreeSet<&str> = log.matchers.iter().map(|matcher| matcher.name.as_str()).collect();
    let joined = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
    let shown = joined(&mut present.iter().copied());
    let mut missing =
        limits.required_labels.iter().map(String::as_str).filter(|name| !present.contains(name)).peekable();
    if missing.peek().is_some() {
        let missing = joined(&mut missing);
        return Err(Failure::bad(format!(
            "stream selector is missing required matchers [{missing}], labels present in the query were [{shown}]"
        )));
    }
    let (count, least) = (present.len(), limits.min_labels);
    if count < least {
        return Err(Failure::bad(format!(
            "stream selector has less label matchers than required: (present: [{shown}], number_present: {count}, required_number_label_matchers: {least})"
        )));
    }
    Ok(())
}

fn selectors_of<'q>(query: &'q MetricExpr, out: &mut Vec<&'q LogExpr>) {
    match query {
        MetricExpr::Range(range) => out.push(&range.log),
        MetricExpr::Subquery(sub) => selectors_of(&sub.inner, out),
        MetricExpr::Vector(vector) => selectors_of(&vector.inner, out),
        MetricExpr::Binary(binary) => {
            selectors_of(&binary.left, out);
            selectors_of(&binary.right, out);
        }
        MetricExpr::LabelReplace(replace) => selectors_of(&replace.inner, out),
        MetricExpr::Literal(_) | MetricExpr::Constant(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(limits: &LogQueryLimits, text: &str) -> Option<String> {
        let Expr::Metric(metric) = logql::parse(text).unwrap() else { panic!("{text}") };
        let mut selectors = Vec::new();
        selectors_of(&metric, &mut selectors);
        selectors.into_iter().find_map(|log| admit_selector(limits, log).err()).map(|failure| failure.text)
    }

    #[test]
    fn each_selector_has_the_labels_that_are_required() {
        let limits = LogQueryLimits {
            required_labels: vec!["app".to_owned(), "env".to_owned()],
            min_labels: 3,
            max_matchers: 3,
            ..LogQueryLimits::default()
        };
        assert_eq!(refused(&limits, "rate({app=\"a\",env=\"b\",c=\"d\"}[1m])"), None);
        assert_eq!(
            refused(
                &limits,
                "rate({app=\"a\",env=\"b\",c=\"d\"}[1m]) / sum(rate({pod=\"b\", app!=\"\"}[1m]))"
            )
            .unwrap(),
            "stream selector is missing required matchers [env], labels present in the query were [app, pod]"
        );
        assert_eq!(
            refused(&limits, "rate({app=\"a\",env=\"b\",env!=\"c\"}[1m])").unwrap(),
            "stream selector has less label matchers than required: (present: [app, env], number_present: 2, required_number_label_matchers: 3)"
        );
        assert_eq!(
            refused(&limits, "rate({a=\"a\",b=\"b\",c=\"c\",d=\"d\"}[1m])").unwrap(),
            "max streams matchers per query exceeded, matchers-count > limit (4 > 3)"
        );
    }

    #[test]
    fn queries_are_blocked_by_hash_text_and_kind() {
        let any = BlockedQuery { hash: 0, text: BlockedText::Any, kinds: vec![QueryKind::Metric] };
        assert!(any.is_about("x", QueryKind::Metric) && !any.is_about("x", QueryKind::Filter));
        let text = BlockedText::Exactly(" {a=\"b\"}".to_owned());
        let exactly = BlockedQuery { hash: 0, text, kinds: Vec::new() };
        assert!(exactly.is_about("{a=\"b\"} ", QueryKind::Limited));
        assert!(!exactly.is_about("{a=\"c\"}", QueryKind::Limited));
        let text = BlockedText::Matching(Regex::new(".*prod.*").unwrap());
        let matching = BlockedQuery { hash: 0, text, kinds: Vec::new() };
        assert!(matching.is_about("{env=\"prod\"}", QueryKind::Limited));
        assert!(!matching.is_about("{env=\"test\"}", QueryKind::Limited));
        // The one that Loki's documentation tells.
        let known = r#"{stream="stdout",pod="loki-canary-9w49x"}"#;
        let hashed = BlockedQuery { hash: 2_943_214_005, text: BlockedText::Any, kinds: Vec::new() };
        assert!(
            hashed.is_about(known, QueryKind::Limited) && !hashed.is_about("{a=\"b\"}", QueryKind::Limited)
        );
    }
}
