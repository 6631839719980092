//! What lines look alike.
//!
//! A template miner in the manner of Drain: lines are cut into tokens; lines with the same number of tokens and the same
//! first tokens are compared with the templates found so far, and where enough tokens agree, those that differ become
//! placeholders.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use model::Matcher;
use model::logs::{LogRange, Page, PageRun};

use super::scan::{Wanted, scan, select};
use super::{Engine, Steps};
use crate::error::QueryError;
use crate::stage::Pipeline;
use crate::stage::hints::Hints;
use crate::text::lossy;

/// The label that tells the level of a line.
const LEVEL: &str = "detected_level";
/// What stands for tokens that differ.
const PLACEHOLDER: &str = "<_>";
/// The share of tokens that agree between lines of one template.
const MIN_SIMILARITY: f64 = 0.3;
/// Templates of one level.
const MAX_TEMPLATES: usize = 300;
/// Tokens of a line: longer ones are no templates.
const MAX_TOKENS: usize = 80;
/// Tokens of a line: shorter ones are all alike.
const MIN_TOKENS: usize = 4;
/// Bytes of a line.
const MAX_LINE_BYTES: usize = 3000;
/// Lines of a template that is told.
const MIN_LINES: u64 = 30;
/// Lines that are looked at.
const MAX_LINES: usize = 100_000;

/// Lines that look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The text that they have in common.
    pub pattern: String,
    /// Their level.
    pub level: String,
    /// How many there are from each step, in seconds since the epoch.
    pub samples: Vec<(i64, u64)>,
}

struct Template {
    tokens: Vec<Option<String>>,
    separators: Vec<String>,
    lines: BTreeMap<i64, u64>,
}

/// Finds templates of lines.
#[derive(Default)]
struct Miner {
    templates: Vec<Template>,
    /// Templates by their number of tokens and first token.
    places: HashMap<(usize, String), Vec<usize>>,
}

impl Engine<'_> {
    /// The templates of lines of streams, by how many lines they have. When there are very many lines, some of each part of
    /// the range are looked at, and stand for those around them.
    pub fn patterns(&self, matchers: &[Matcher], steps: Steps) -> Result<Vec<Pattern>, QueryError> {
        let pipeline = Pipeline::new(&[], Hints::all(&[], None))?;
        let range = LogRange { start_ns: steps.start_ns, end_ns: steps.end_ns.saturating_add(1) };
        let groups = select(self, matchers, &[], &pipeline, range)?;
        let lines: usize = groups.iter().flat_map(|group| &group.runs).map(|run| run.rows.len()).sum();
        let each = lines.div_ceil(MAX_LINES).max(1);
        let mut miners: BTreeMap<(String, String), Miner> = BTreeMap::new();
        for group in &groups {
            let runs: Vec<&PageRun> = group.runs.iter().collect();
            let wanted = Wanted { pipeline: &pipeline, range, lines: true, metadata: true };
            let Some(scanned) = scan(self, group, &runs, &wanted)? else { continue };
            for run in runs {
                let rows = scanned.rows_of(run);
                for some in rows.chunks(each) {
                    self.mine(&scanned.page, run, some, steps, &mut miners);
                }
            }
        }
        let mut told: Vec<Pattern> = Vec::new();
        for ((_, level), miner) in miners {
            let templates = miner
                .templates
                .into_iter()
                .filter(|template| template.lines.values().sum::<u64>() >= MIN_LINES);
            told.extend(templates.map(|template| Pattern {
                pattern: template.text(),
                level: level.clone(),
                samples: template.lines.into_iter().collect(),
            }));
        }
        let total = |pattern: &Pattern| pattern.samples.iter().map(|(_, lines)| lines).sum::<u64>();
        told.sort_by(|a, b| total(b).cmp(&total(a)).then_with(|| a.pattern.cmp(&b.pattern)));
        Ok(told)
    }

    /// Adds a line that stands for all of some rows.
    fn mine(
        &self,
        page: &Page,
        run: &PageRun,
        rows: &[u32],
        steps: Steps,
        miners: &mut BTreeMap<(String, String), Miner>,
    ) {
        let Some(row) = rows.get(rows.len() / 2).map(|&row| row as usize) else { return };
        let in_metadata = page.metadata.row(row).find(|(name, _)| &***name == LEVEL);
        let level = match (run.stream.get(LEVEL), in_metadata) {
            (Some(level), _) => level.to_owned(),
            (None, Some((_, level))) => lossy(level).into_owned(),
            (None, None) => "unknown".to_owned(),
        };
        let service = run.stream.get("service_name").unwrap_or_default().to_owned();
        let step = page.timestamps_ns[row].saturating_sub(steps.start_ns) / steps.step_ns.max(1);
        let miner = miners.entry((service, level)).or_default();
        miner.add(&lossy(page.lines.get(row)), steps.at(step as usize) / 1_000_000_000, rows.len() as u64);
    }
}

impl Miner {
    /// Adds a line that stands for so many.
    fn add(&mut self, line: &str, step: i64, count: u64) {
        if line.len() > MAX_LINE_BYTES || line.contains('\n') {
            return;
        }
        let (tokens, separators) = tokens_of(line);
        if !(MIN_TOKENS..=MAX_TOKENS).contains(&tokens.len()) {
            return;
        }
        let first = if varies(tokens[0]) { PLACEHOLDER } else { tokens[0] };
        let candidates = self.places.entry((tokens.len(), first.to_owned())).or_default();
        let similarity = |at: usize| {
            let template = &self.templates[at];
            let same_shape = template.separators == separators;
            let agrees = |(known, token): (&Option<String>, &&str)| known.as_deref() == Some(token);
            let agreeing = template.tokens.iter().zip(&tokens).filter(|pair| agrees(*pair)).count();
            if same_shape { agreeing as f64 / tokens.len() as f64 } else { 0.0 }
        };
        // Words must agree: only what looks like a value may differ.
        let fits = |at: &usize| {
            let pairs = self.templates[*at].tokens.iter().zip(&tokens);
            pairs
                .into_iter()
                .all(|(known, token)| known.as_deref().map_or_else(|| varies(token), |known| known == *token))
        };
        let best = candidates.iter().copied().filter(fits).map(|at| (at, similarity(at)));
        let best =
            best.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, similarity)| *similarity >= MIN_SIMILARITY);
        let at = match best {
            Some((at, _)) => at,
            None if self.templates.len() >= MAX_TEMPLATES => return,
            None => {
                candidates.push(self.templates.len());
                self.templates.push(Template {
                    tokens: tokens
                        .iter()
                        .map(|token| (!varies(token)).then(|| (*token).to_owned()))
                        .collect(),
                    separators: separators.iter().map(|separator| (*separator).to_owned()).collect(),
                    lines: BTreeMap::new(),
                });
                self.templates.len() - 1
            }
        };
        let template = &mut self.templates[at];
        for (known, token) in template.tokens.iter_mut().zip(&tokens) {
            if known.as_deref().is_some_and(|known| known != *token) {
                *known = None;
            }
        }
        *template.lines.entry(step).or_default() += count;
    }
}

impl Template {
    fn text(&self) -> String {
        let mut out = String::new();
        for (token, separator) in self.tokens.iter().zip(&self.separators) {
            let token = token.as_deref().unwrap_or(PLACEHOLDER);
            // What is cut inside of a value is one value.
            if !(token == PLACEHOLDER && out.ends_with(PLACEHOLDER)) {
                out.push_str(token);
            }
            out.push_str(separator);
        }
        out
    }
}

/// Whether a token looks like a value: numbers, addresses, identifiers.
fn varies(token: &str) -> bool {
    token.bytes().any(|b| b.is_ascii_digit()) || token.contains("::")
}

/// The tokens of a line with what follows each.
fn tokens_of(line: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut tokens, mut separators) = (Vec::new(), Vec::new());
    let mut rest = line;
    let is_separator =
        |c: char| matches!(c, ' ' | '\t' | '=' | '"' | ',' | '[' | ']' | '(' | ')' | '{' | '}' | ';');
    while !rest.is_empty() {
        let end = rest.find(is_separator).unwrap_or(rest.len());
        let (token, tail) = rest.split_at(end);
        let next = tail.find(|c| !is_separator(c)).unwrap_or(tail.len());
        tokens.push(token);
        separators.push(&tail[..next]);
        rest = &tail[next..];
    }
    (tokens, separators)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_in_values_are_one_pattern() {
        let mut miner = Miner::default();
        for n in 0..20 {
            miner.add(&format!("INFO  worker-{} finished batch {n}", n % 4), 0, 1);
            miner.add(&format!("action={} src=10.0.0.{n} bytes={n}", ["allow", "deny"][n % 2]), 0, 1);
        }
        let texts: Vec<String> = miner.templates.iter().map(Template::text).collect();
        assert_eq!(
            texts,
            [
                "INFO  <_> finished batch <_>",
                "action=allow src=<_> bytes=<_>",
                "action=deny src=<_> bytes=<_>"
            ]
        );
    }
}
