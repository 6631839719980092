//! Relabelling rules.

use model::labels::{Quoted, is_legacy_label_name};
use model::regex::AnchoredRegex;

use crate::decode::{At, Cx, Setting, scalar_text};
use crate::error::Fault;
use crate::scalar::is_valid_label_name;
use crate::section::{Check, Shape, choice, section};
use crate::yaml::{Node, Out};

choice! {
    /// Which names of metrics and labels are accepted.
    pub enum NameValidation {
        /// Any UTF-8 text.
        Utf8 = "utf8",
        /// `[a-zA-Z_][a-zA-Z0-9_]*`, and `:` in metric names.
        Legacy = "legacy",
    }
    wrong |word| format!("unrecognized ValidationScheme: {}", Quoted(word))
}

impl NameValidation {
    /// Whether `name` may be a label name.
    pub fn is_valid_label_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => is_valid_label_name(name),
            Self::Legacy => is_legacy_label_name(name),
        }
    }

    /// Whether `name` may be the name of a metric.
    pub fn is_valid_metric_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => model::labels::is_legacy_metric_name(name),
        }
    }
}

/// What a relabelling rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RelabelAction {
    /// Sets the target label to the replacement, if the regex matches.
    #[default]
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops what differs from the target label.
    KeepEqual,
    /// Drops what equals the target label.
    DropEqual,
    /// Sets the target label to a hash of the source, modulo.
    HashMod,
    /// Copies labels whose name matches to the replaced name.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets the target label to the source in lower case.
    Lowercase,
    /// Sets the target label to the source in upper case.
    Uppercase,
}

const ACTIONS: [(&str, RelabelAction); 11] = [
    ("replace", RelabelAction::Replace),
    ("keep", RelabelAction::Keep),
    ("drop", RelabelAction::Drop),
    ("keepequal", RelabelAction::KeepEqual),
    ("dropequal", RelabelAction::DropEqual),
    ("hashmod", RelabelAction::HashMod),
    ("labelmap", RelabelAction::LabelMap),
    ("labeldrop", RelabelAction::LabelDrop),
    ("labelkeep", RelabelAction::LabelKeep),
    ("lowercase", RelabelAction::Lowercase),
    ("uppercase", RelabelAction::Uppercase),
];

const ACTION_WORDS: [&str; 11] = {
    let mut words = [""; 11];
    let mut i = 0;
    while i < words.len() {
        words[i] = ACTIONS[i].0;
        i += 1;
    }
    words
};

impl RelabelAction {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        ACTIONS.iter().find(|(_, action)| *action == self).map_or("", |(word, _)| word)
    }
}

impl Setting for RelabelAction {
    fn zero() -> Self {
        Self::Replace
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let text = scalar_text(node, "string")?;
        let lower = text.to_lowercase();
        ACTIONS.iter().find(|(word, _)| *word == lower).map(|(_, action)| *action).ok_or_else(|| {
            let fault = Fault::new(node.pos, format!("unknown relabel action {}", Quoted(text)));
            match crate::error::nearest(&lower, ACTION_WORDS) {
                Some(meant) => fault.remedy(format!("did you mean {meant:?}?")),
                None => fault.remedy(format!("write one of: {}", ACTION_WORDS.join(", "))),
            }
        })
    }

    fn is_zero(&self) -> bool {
        false
    }

    fn emit(&self) -> Out {
        Out::Text(self.as_str().to_owned())
    }

    fn shape() -> Shape {
        Shape::OneOf(&ACTION_WORDS)
    }
}

/// An anchored regular expression of the configuration, compiled.
#[derive(Debug, Clone)]
pub struct Regex {
    pattern: String,
    compiled: AnchoredRegex,
}

/// The pattern that matches everything and captures it.
const ANYTHING: &str = "(.*)";

impl Regex {
    /// Compiles a pattern; the error is worded as Go's.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let compiled = AnchoredRegex::new(pattern).map_err(|error| {
            let known = error.message.starts_with("error parsing regexp");
            if known { error.message } else { format!("error parsing regexp: {}", error.message) }
        })?;
        Ok(Self { pattern: pattern.to_owned(), compiled })
    }

    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The compiled pattern.
    pub fn compiled(&self) -> &AnchoredRegex {
        &self.compiled
    }

    /// Whether this is the default, `(.*)`.
    pub fn is_anything(&self) -> bool {
        self.pattern == ANYTHING
    }
}

impl Default for Regex {
    fn default() -> Self {
        Self::new(ANYTHING).expect("the default pattern is well-formed")
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Setting for Regex {
    fn zero() -> Self {
        Self::new("").expect("the empty pattern is well-formed")
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        Self::new(scalar_text(node, "string")?).map_err(|message| {
            Fault::new(node.pos, message).remedy("correct the pattern (RE2 syntax, anchored at both ends)")
        })
    }

    fn is_zero(&self) -> bool {
        self.is_anything()
    }

    fn emit(&self) -> Out {
        Out::Text(self.pattern.clone())
    }

    fn shape() -> Shape {
        Shape::Scalar("regex")
    }
}

/// Names of labels, written back on one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelNames(pub Vec<String>);

impl Setting for LabelNames {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let names = Vec::<String>::decode(node, cx)?;
        if names.iter().any(|name| !is_valid_label_name(name)) {
            return Err(
                Fault::new(node.pos, "\"\" is not a valid label name").remedy("remove the empty name")
            );
        }
        Ok(Self(names))
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Out {
        Out::Flow(self.0.iter().map(|name| Out::Text(name.clone())).collect())
    }

    fn shape() -> Shape {
        Shape::List(Box::new(Shape::Scalar("label name")))
    }
}

section! {
    /// One step of relabelling. Steps run in order on the labels of a target or a sample.
    pub struct RelabelConfig ("Relabelling rule", "relabel.plain") {
        /// Labels whose values are joined to the source text.
        set source_labels: LabelNames;
        /// What stands between the joined values.
        always separator: String = ";".to_owned();
        /// What the source text, or a label's name, must match as a whole.
        set regex: Regex = Regex::default();
        /// The modulus of `hashmod`.
        set modulus: u64;
        /// The label that is set; may refer to captures of the regex in `replace`.
        set target_label: String;
        /// The value that is set; may refer to captures of the regex.
        always replacement: String = "$1".to_owned();
        /// What the rule does.
        set action: RelabelAction = RelabelAction::Replace;
        /// Which label names the rule may set.
        inline scheme: RelabelScheme;
    }
}

/// The validation scheme a rule was validated with; not part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelabelScheme(pub NameValidation);

impl crate::section::Section for RelabelScheme {
    const TYPE_NAME: &'static str = "";

    fn read(_: &mut crate::decode::Fields<'_, '_>) -> Result<Self, Fault> {
        Ok(Self::default())
    }

    fn write(&self, _: &mut Vec<(String, Out)>) {}

    fn doc() -> crate::section::SectionDoc {
        crate::section::SectionDoc { title: "", doc: String::new(), fields: Vec::new() }
    }
}

impl Setting for RelabelScheme {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(_: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        Ok(Self::default())
    }

    fn is_zero(&self) -> bool {
        true
    }

    fn emit(&self) -> Out {
        Out::Null
    }

    fn shape() -> Shape {
        Shape::Scalar("")
    }
}

impl Check for RelabelConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        // The scheme is not known yet; what the rule's fields say by themselves is checked with it, in
        // `validate`. Only an explicit null action must be remembered now.
        if at.is_null("action") || at.has("action") && at.text("action").is_empty() {
            return Err(at
                .fault("action", "relabel action cannot be empty")
                .remedy("remove the line for the default, replace"));
        }
        Ok(())
    }
}

impl RelabelConfig {
    /// Checks the rule for a job with this validation scheme. `at` is where the rule stands.
    pub fn validate(&mut self, scheme: NameValidation, at: At<'_>) -> Result<(), Fault> {
        use RelabelAction as A;
        self.scheme = RelabelScheme(scheme);
        let action = self.action.as_str();
        let needs_target = matches!(
            self.action,
            A::Replace | A::HashMod | A::Lowercase | A::Uppercase | A::KeepEqual | A::DropEqual
        );
        if self.action == A::HashMod && self.modulus == 0 {
            return Err(at
                .fault("modulus", "relabel configuration for hashmod requires non-zero modulus")
                .remedy("add modulus, the number of shards"));
        }
        if needs_target && self.target_label.is_empty() {
            let message = format!("relabel configuration for {action} action requires 'target_label' value");
            return Err(at
                .fault("target_label", message)
                .remedy("add target_label, the label to set or compare"));
        }
        self.validate_names(scheme, at)?;
        let compares = matches!(self.action, A::KeepEqual | A::DropEqual);
        let others =
            at.has("regex") || self.modulus != 0 || self.separator != ";" || self.replacement != "$1";
        if compares && others {
            let message = format!(
                "{action} action requires only 'source_labels' and `target_label`, and no other fields"
            );
            return Err(at
                .fault(Self::first_of(at, &["regex", "modulus", "separator", "replacement"]), message)
                .remedy("remove the field"));
        }
        let by_name = matches!(self.action, A::LabelDrop | A::LabelKeep);
        let others =
            at.value("source_labels").is_some() || !self.target_label.is_empty() || self.modulus != 0;
        if by_name && (others || self.separator != ";" || self.replacement != "$1") {
            let message = format!("{action} action requires only 'regex', and no other fields");
            let keys = ["source_labels", "target_label", "modulus", "separator", "replacement"];
            return Err(at.fault(Self::first_of(at, &keys), message).remedy("remove the field"));
        }
        Ok(())
    }

    fn validate_names(&self, scheme: NameValidation, at: At<'_>) -> Result<(), Fault> {
        use RelabelAction as A;
        let action = self.action.as_str();
        let template_fits = |text: &str| match scheme {
            NameValidation::Utf8 => is_valid_label_name(text),
            NameValidation::Legacy => is_legacy_template(text),
        };
        let cases = matches!(self.action, A::Lowercase | A::Uppercase | A::KeepEqual | A::DropEqual);
        let target_fits = match self.action {
            A::Replace if self.target_label.contains('$') => template_fits(&self.target_label),
            A::Replace | A::HashMod => scheme.is_valid_label_name(&self.target_label),
            _ if cases => scheme.is_valid_label_name(&self.target_label),
            _ => true,
        };
        if !target_fits {
            let message =
                format!("{} is invalid 'target_label' for {action} action", Quoted(&self.target_label));
            return Err(at
                .fault("target_label", message)
                .remedy("use letters, digits and underscores, or set metric_name_validation_scheme: utf8"));
        }
        if cases && self.replacement != "$1" {
            let message = format!("'replacement' can not be set for {action} action");
            return Err(at.fault("replacement", message).remedy("remove replacement"));
        }
        if self.action == A::LabelMap && !template_fits(&self.replacement) {
            let message =
                format!("{} is invalid 'replacement' for {action} action", Quoted(&self.replacement));
            return Err(at.fault("replacement", message).remedy("use letters, digits, underscores and $1"));
        }
        Ok(())
    }

    fn first_of<'k>(at: At<'_>, keys: &[&'k str]) -> &'k str {
        keys.iter().find(|key| at.has(key)).copied().unwrap_or("action")
    }
}

/// Checks the rules under `key` of `at`.
pub(crate) fn validate_all(
    rules: &mut [RelabelConfig],
    scheme: NameValidation,
    at: At<'_>,
    key: &str,
) -> Result<(), Fault> {
    rules.iter_mut().enumerate().try_for_each(|(i, rule)| rule.validate(scheme, at.item(key, i)))
}

/// Whether a text is a legacy label name once its `$1` and `${name}` are replaced.
fn is_legacy_template(text: &str) -> bool {
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let mut rest = text.as_bytes();
    let mut first = true;
    while let Some(&byte) = rest.first() {
        let taken = match byte {
            b'$' if rest.get(1) == Some(&b'{') => {
                let name = rest[2..].iter().take_while(|b| word(b)).count();
                if name == 0 || rest.get(2 + name) != Some(&b'}') {
                    return false;
                }
                name + 3
            }
            b'$' => match rest[1..].iter().take_while(|b| word(b)).count() {
                0 => return false,
                name => name + 1,
            },
            b if first && b.is_ascii_digit() || !word(&b) => return false,
            _ => 1,
        };
        first = false;
        rest = &rest[taken..];
    }
    !first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_templates_are_names_with_variables() {
        for good in ["a", "_a1", "${1}", "$1", "a${name}_b", "$1$2", "${1}5"] {
            assert!(is_legacy_template(good), "{good}");
        }
        for bad in ["", "1a", "a-b", "$", "${}", "${1", "a b", "${a-b}"] {
            assert!(!is_legacy_template(bad), "{bad}");
        }
    }
}
