//! What every text that a pattern matches contains.

use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};
use regex_syntax::hir::{Hir, HirKind};

/// Longer lists of alternatives are no help to search for.
const MAX_LITERALS: usize = 32;

/// Byte strings one of which stands in every text with a match; the most selective such list that is easily found.
pub(super) fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut best = None;
    consider(hir, &mut best);
    best
}

/// Looks at a part that every match has, and at the parts of it that every match has.
fn consider(hir: &Hir, best: &mut Option<Vec<Vec<u8>>>) {
    for kind in [ExtractKind::Prefix, ExtractKind::Suffix] {
        let mut extractor = Extractor::new();
        extractor.kind(kind).limit_total(MAX_LITERALS);
        keep_better(&extractor.extract(hir), best);
    }
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().for_each(|part| consider(part, best)),
        HirKind::Capture(capture) => consider(&capture.sub, best),
        HirKind::Repetition(repetition) if repetition.min > 0 => consider(&repetition.sub, best),
        _ => {}
    }
}

/// The longer the shortest literal, the rarer a hit.
fn keep_better(found: &Seq, best: &mut Option<Vec<Vec<u8>>>) {
    let Some(literals) = found.literals() else { return };
    let shortest = |literals: &[Vec<u8>]| literals.iter().map(Vec::len).min().unwrap_or(0);
    let literals: Vec<Vec<u8>> = literals.iter().map(|literal| literal.as_bytes().to_vec()).collect();
    // Hardly a line is without any of several single bytes.
    let found_everywhere = shortest(&literals) < 2 && literals.len() > 1;
    if shortest(&literals) == 0 || literals.len() > MAX_LITERALS || found_everywhere {
        return;
    }
    let rank = |literals: &[Vec<u8>]| (shortest(literals), usize::MAX - literals.len());
    if best.as_deref().is_none_or(|best| rank(&literals) > rank(best)) {
        *best = Some(literals);
    }
}

#[cfg(test)]
mod tests {
    use crate::regex::Regex;

    fn required(pattern: &str) -> Option<Vec<String>> {
        let regex = Regex::new(pattern).unwrap();
        let texts = |literals: &[Vec<u8>]| {
            literals.iter().map(|literal| String::from_utf8_lossy(literal).into_owned()).collect()
        };
        regex.required_literals().map(texts)
    }

    #[test]
    fn what_every_match_contains_is_found() {
        assert_eq!(required("error.*timeout"), Some(vec!["timeout".to_owned()]));
        assert_eq!(
            required("a+-(order|other) x"),
            Some(vec!["a-order x".to_owned(), "a-other x".to_owned()])
        );
        assert_eq!(required("Null|Timeout"), Some(vec!["Null".to_owned(), "Timeout".to_owned()]));
        assert_eq!(required(r"\d+"), None);
        assert_eq!(required("(abc)?"), None);
        assert_eq!(required("x*"), None);
        assert_eq!(required("(?i)straße"), required("(?i)straße"));
    }
}
