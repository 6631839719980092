//! Lines as they come: what a query of lines makes of entries that were just stored.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use model::logs::LogBatch;
use model::{Labels, Matcher};

use super::lines::{Entry, sets};
use super::stream_matchers;
use crate::ast::LogExpr;
use crate::error::ParseError;
use crate::labels::{LabelSet, RowLabels};
use crate::stage::hints::Hints;
use crate::stage::{Pipeline, Row};

/// A query of lines that is asked of each entry once.
#[derive(Debug)]
pub struct Live {
    matchers: Vec<Matcher>,
    pipeline: Pipeline,
    categorize: bool,
}

impl Live {
    /// Makes a query ready. With `categorize`, labels are told apart by where they come from.
    pub fn new(query: &LogExpr, categorize: bool) -> Result<Self, ParseError> {
        let pipeline = Pipeline::new(&query.stages, Hints::all(&query.stages, None))?;
        Ok(Self { matchers: stream_matchers(&query.matchers), pipeline, categorize })
    }

    /// Whether entries of a stream are asked for.
    pub fn selects(&self, stream: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(stream.get_or_empty(&matcher.name)))
    }

    /// The entries of a stream that pass, with their labels, in the order in which they were sent.
    pub fn run(&self, batch: &LogBatch) -> Vec<(LabelSet, Entry)> {
        let mut labels = RowLabels::new(Arc::new(batch.stream.clone()));
        let mut passed = Vec::new();
        for entry in &batch.entries {
            if !self.pipeline.leading.iter().all(|filter| filter.matches(&entry.line)) {
                continue;
            }
            labels.reset();
            for (name, value) in &entry.metadata {
                labels.add_metadata(name, value);
            }
            let mut row = Row { timestamp_ns: entry.timestamp_ns, line: crate::text::lossy(&entry.line) };
            if !self.pipeline.run(&mut row, &mut labels) {
                continue;
            }
            let line = match row.line {
                Cow::Owned(line) if !self.pipeline.is_trivial() => Bytes::from(line),
                _ => entry.line.clone(),
            };
            let (set, extra) = sets(&labels, self.categorize);
            passed.push((set, Entry { timestamp_ns: row.timestamp_ns, line, extra }));
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use model::logs::LogEntry;

    use super::*;

    #[test]
    fn entries_pass_as_they_would_when_they_are_read() {
        let query =
            crate::parse_log(r#"{app="a"} |= "x" | json | level="warn" | line_format "{{.msg}}!""#).unwrap();
        let live = Live::new(&query, false).unwrap();
        let entry = |line: &'static str| LogEntry {
            timestamp_ns: 7,
            line: Bytes::from_static(line.as_bytes()),
            metadata: vec![("trace".into(), "t".into())],
        };
        let stream = Labels::from_pairs([("app", "a")]);
        assert!(live.selects(&stream) && !live.selects(&Labels::from_pairs([("app", "b")])));
        let lines = [
            r#"{"level":"warn","msg":"x1"}"#,
            r#"{"level":"info","msg":"x2"}"#,
            r#"{"level":"warn","msg":"y"}"#,
        ];
        let found = live.run(&LogBatch { stream, entries: lines.map(entry).to_vec() });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.to_string(), r#"{app="a", level="warn", msg="x1", trace="t"}"#);
        assert_eq!(found[0].1.line, Bytes::from_static(b"x1!"));
    }
}
