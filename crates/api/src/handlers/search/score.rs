//! How well a value fits what is searched for.

/// How values that do not contain the term are compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The characters of the term occur in order; long runs and early places score higher.
    Subsequence,
    /// A substring, or similar by Jaro and Winkler's measure when a threshold is set.
    JaroWinkler,
}

/// Scores values against any of several terms.
#[derive(Debug)]
pub struct Scorer {
    terms: Vec<Vec<char>>,
    algorithm: Algorithm,
    threshold: f64,
    case_sensitive: bool,
}

impl Scorer {
    /// A scorer; without terms everything fits perfectly. `threshold` is from 0 to 1.
    pub fn new(terms: &[&str], algorithm: Algorithm, threshold: f64, case_sensitive: bool) -> Self {
        let fold = |term: &&str| if case_sensitive { (*term).to_owned() } else { term.to_lowercase() };
        let terms = terms.iter().filter(|term| !term.is_empty()).map(|t| fold(t).chars().collect()).collect();
        Self { terms, algorithm, threshold, case_sensitive }
    }

    /// How well `value` fits the term it fits best, from 0 to 1; `None` when it fits none.
    pub fn score(&self, value: &str) -> Option<f64> {
        if self.terms.is_empty() {
            return Some(1.0);
        }
        let value: Vec<char> = if self.case_sensitive {
            value.chars().collect()
        } else {
            value.to_lowercase().chars().collect()
        };
        self.terms.iter().filter_map(|term| self.score_term(term, &value)).max_by(f64::total_cmp)
    }

    fn score_term(&self, term: &[char], value: &[char]) -> Option<f64> {
        match self.algorithm {
            Algorithm::Subsequence if value.starts_with(term) => Some(1.0),
            Algorithm::Subsequence => subsequence(term, value).filter(|&score| score >= self.threshold),
            Algorithm::JaroWinkler => substring(term, value).or_else(|| {
                let score = (self.threshold > 0.0).then(|| jaro_winkler(term, value))?;
                (score >= self.threshold).then_some(score)
            }),
        }
    }
}

/// 1 at the beginning, falling to 0.1 at the last place the term could stand.
fn substring(term: &[char], value: &[char]) -> Option<f64> {
    let at = value.windows(term.len()).position(|window| window == term)?;
    let last = value.len() - term.len();
    Some(if at == 0 { 1.0 } else { 1.0 - 0.9 * at as f64 / last as f64 })
}

/// What a match that is not the whole value or its beginning scores at most.
const INEXACT_SCALE: f64 = 0.999;

/// The best of all ways to find the term's characters in order, scored by the squares of its runs less
/// the share of the value that lies before, between and (at half weight) behind them.
fn subsequence(term: &[char], value: &[char]) -> Option<f64> {
    let best =
        (0..value.len()).filter_map(|start| subsequence_from(term, value, start)).max_by(f64::total_cmp)?;
    let perfect = (term.len() * term.len()) as f64;
    (best >= 0.0).then(|| (best / perfect).clamp(0.0, 1.0) * INEXACT_SCALE).filter(|&score| score > 0.0)
}

fn subsequence_from(term: &[char], value: &[char], start: usize) -> Option<f64> {
    if value[start] != term[0] {
        return None;
    }
    let unit = 1.0 / value.len() as f64;
    let (mut score, mut matched, mut end) = (0.0, 0, 0);
    while matched < term.len() {
        let from = if matched == 0 { start } else { end };
        let at = from + value[from..].iter().position(|c| *c == term[matched])?;
        let run = value[at..].iter().zip(&term[matched..]).take_while(|(v, t)| v == t).count();
        score += (run * run) as f64 - (at - end) as f64 * unit;
        matched += run;
        end = at + run;
    }
    Some(score - (value.len() - end) as f64 * unit * 0.5)
}

/// Jaro's similarity, raised for a common beginning of up to four characters.
fn jaro_winkler(a: &[char], b: &[char]) -> f64 {
    if a == b {
        return 1.0;
    }
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let reach = (long.len() / 2).saturating_sub(1);
    let mut taken = vec![false; long.len()];
    let mut common = Vec::new();
    for (i, c) in short.iter().enumerate() {
        let window = i.saturating_sub(reach)..(i + reach + 1).min(long.len());
        if let Some(j) = window.into_iter().find(|&j| !taken[j] && long[j] == *c) {
            taken[j] = true;
            common.push(*c);
        }
    }
    if common.is_empty() {
        return 0.0;
    }
    let in_long = long.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(c, _)| c);
    let transposed = common.iter().zip(in_long).filter(|(a, b)| a != b).count() as f64;
    let matches = common.len() as f64;
    let jaro =
        (matches / short.len() as f64 + matches / long.len() as f64 + (matches - transposed / 2.0) / matches)
            / 3.0;
    let prefix = short.iter().zip(long).take(4).take_while(|(a, b)| a == b).count() as f64;
    jaro + prefix * 0.1 * (1.0 - jaro)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(term: &str, value: &str, algorithm: Algorithm, threshold: f64) -> Option<f64> {
        Scorer::new(&[term], algorithm, threshold, true).score(value)
    }

    #[test]
    fn a_subsequence_scores_by_its_runs_and_its_place() {
        let of = |term, value| score(term, value, Algorithm::Subsequence, 0.0);
        assert_eq!(of("http", "http_requests_total"), Some(1.0));
        let (near, far) = (of("req", "http_requests_total").unwrap(), of("htt", "a_h_t_t").unwrap());
        assert!(near > far && near < 1.0, "{near} {far}");
        assert_eq!(of("xyz", "http_requests_total"), None);
        // One run of two in a value of four, one character before it: 4 - 1/4 - 1/8 of 4.
        let expected = (4.0 - 0.25 - 0.125) / 4.0 * INEXACT_SCALE;
        assert!((of("bc", "abcd").unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn similar_words_need_a_threshold_with_jaro_winkler() {
        assert_eq!(score("martha", "marhta", Algorithm::JaroWinkler, 0.0), None);
        let similar = score("martha", "marhta", Algorithm::JaroWinkler, 0.5).unwrap();
        assert!((similar - 0.961_111).abs() < 1e-5, "{similar}");
        let last = score("mart", "a_mart", Algorithm::JaroWinkler, 0.0).unwrap();
        assert!((last - 0.1).abs() < 1e-12, "{last}");
    }

    #[test]
    fn case_can_be_ignored() {
        let scorer = Scorer::new(&["HTTP"], Algorithm::Subsequence, 0.0, false);
        assert_eq!(scorer.score("http_requests"), Some(1.0));
        assert_eq!(score("HTTP", "http_requests", Algorithm::Subsequence, 0.0), None);
    }
}
