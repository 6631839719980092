//! `| regexp "(?P<name>...)"`

use model::regex::Regex;

use crate::labels::RowLabels;

/// Takes the named groups of the first match as labels.
#[derive(Debug)]
pub(crate) struct Regexp {
    regex: Regex,
}

impl Regexp {
    pub fn new(pattern: &str) -> Result<Self, String> {
        let regex = Regex::new(pattern).map_err(|problem| problem.to_string())?;
        let mut seen: Vec<&str> = Vec::new();
        for name in regex.names().iter().flatten() {
            if !model::labels::is_legacy_label_name(name) {
                return Err(format!("invalid extracted label name '{name}'"));
            }
            if seen.contains(&name.as_str()) {
                return Err(format!("duplicate extracted label name '{name}'"));
            }
            seen.push(name);
        }
        if seen.is_empty() {
            return Err("at least one named capture must be supplied".to_owned());
        }
        Ok(Self { regex })
    }

    pub fn run(&self, line: &str, labels: &mut RowLabels) {
        let Some(captures) = self.regex.captures(line) else { return };
        for (at, name) in self.regex.names().iter().enumerate() {
            let Some(name) = name else { continue };
            let name = labels.free_name(name);
            if !labels.parsed_has(&name) {
                labels.set(&name, captures.get(at + 1).unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Regexp;

    #[test]
    fn groups_are_named_as_labels_are() {
        let refused = |pattern: &str| Regexp::new(pattern).unwrap_err();
        assert_eq!(refused("(?P<1a>x)"), "invalid extracted label name '1a'");
        assert_eq!(refused("(?P<a>x)(?P<a>y)"), "duplicate extracted label name 'a'");
        assert_eq!(refused("(x)"), "at least one named capture must be supplied");
        assert!(Regexp::new("(?P<a>x)(y)(?<b>z)").is_ok());
    }
}
