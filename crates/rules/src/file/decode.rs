//! From YAML to what is written.

use std::collections::BTreeMap;
use std::path::Path;

use config::decode::{Cx, Fields, Setting};
use config::section::Shape;
use config::yaml::{Limits, Node, Out, Pos, Value, parse};
use config::{ConfigError, Fault, PromDuration, Source};

use super::{FileFault, RuleFile, RuleGroup, RulePlaces, RuleSpec};

const MORE_DOCUMENTS: &str =
    "Multiple document yaml rules files are not supported, only the first document is processed";

/// Reads the tree; faults are about its shape.
pub(super) fn read(text: &str, ignore_unknown: bool) -> Result<RuleFile, Vec<FileFault>> {
    let mut file: RuleFile = read_as(text, ignore_unknown.then_some(FILE_KEYS))?;
    if has_more_documents(text) {
        file.warnings.push(MORE_DOCUMENTS.to_owned());
    }
    Ok(file)
}

/// Reads the tree of a single group.
pub(super) fn read_group(text: &str, ignore_unknown: bool) -> Result<RuleGroup, Vec<FileFault>> {
    read_as(text, ignore_unknown.then_some(&GROUP_KEYS))
}

/// Reads a tree; with `known`, other keys are passed over.
fn read_as<T: Setting>(text: &str, known: Option<&Keys>) -> Result<T, Vec<FileFault>> {
    let fault =
        |message: &str| vec![FileFault { places: Vec::new(), rule: None, message: message.to_owned() }];
    let mut root = parse(text, Limits::default()).map_err(|error| fault(&error.message))?;
    if let Some(known) = known {
        keep_known(&mut root, known);
    }
    let cx = Cx::new(Path::new(""));
    let decoded = if root.is_null() { Ok(T::zero()) } else { T::decode(&root, &cx) };
    let source = Source::new("", text);
    cx.finish(decoded).map_err(|faults| fault(ConfigError::new(&source, &faults).message()))
}

/// Whether a document begins behind the first one.
fn has_more_documents(text: &str) -> bool {
    let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim_end());
    // A mark before the first content only begins it.
    lines.by_ref().find(|line| !line.is_empty() && *line != "---" && !line.starts_with('%')).is_some()
        && lines.skip_while(|line| *line != "---").skip(1).any(|line| !line.is_empty())
}

/// The keys of a mapping, and those of the mappings listed under one of them.
struct Keys {
    known: &'static [&'static str],
    list: Option<(&'static str, &'static Keys)>,
}

static RULE_KEYS: Keys = Keys {
    known: &["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"],
    list: None,
};
static GROUP_KEYS: Keys = Keys {
    known: &["name", "interval", "query_offset", "limit", "rules", "labels"],
    list: Some(("rules", &RULE_KEYS)),
};
static FILE_KEYS: &Keys = &Keys { known: &["groups"], list: Some(("groups", &GROUP_KEYS)) };

/// Removes what is not known.
fn keep_known(node: &mut Node, keys: &Keys) {
    let Value::Mapping(entries) = &mut node.value else { return };
    entries.retain(|(key, _)| key.text().is_some_and(|key| keys.known.contains(&key)));
    let Some((list, inner)) = keys.list else { return };
    for (key, value) in entries {
        if let (Some(name), Value::Sequence(items)) = (key.text(), &mut value.value)
            && name == list
        {
            items.iter_mut().for_each(|item| keep_known(item, inner));
        }
    }
}

/// Where a mapping becomes visible: at its first key.
fn place(node: &Node) -> Pos {
    node.entries().first().map_or(node.pos, |(key, _)| key.pos)
}

impl Setting for RuleFile {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let mut fields = Fields::new(node, "rulefmt.RuleGroups", cx)?;
        let groups = fields.take("groups", Vec::new)?;
        fields.finish();
        Ok(Self { groups, warnings: Vec::new() })
    }

    fn is_zero(&self) -> bool {
        self.groups.is_empty()
    }

    fn emit(&self) -> Out {
        Out::Map(vec![("groups".to_owned(), self.groups.emit())])
    }

    fn shape() -> Shape {
        Shape::Scalar("rule file")
    }
}

impl Setting for RuleGroup {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let mut fields = Fields::new(node, "rulefmt.RuleGroup", cx)?;
        let group = Self {
            name: fields.take("name", String::new)?,
            interval: fields.take("interval", PromDuration::default)?,
            query_offset: fields.take("query_offset", || None)?,
            limit: fields.take("limit", || 0)?,
            rules: fields.take("rules", Vec::new)?,
            labels: fields.take("labels", BTreeMap::new)?,
            place: Some(place(node)),
        };
        fields.finish();
        Ok(group)
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn emit(&self) -> Out {
        let mut out = vec![("name".to_owned(), self.name.emit())];
        push(&mut out, "interval", &self.interval);
        push(&mut out, "query_offset", &self.query_offset);
        push(&mut out, "limit", &self.limit);
        out.push(("rules".to_owned(), self.rules.emit()));
        push(&mut out, "labels", &self.labels);
        Out::Map(out)
    }

    fn shape() -> Shape {
        Shape::Scalar("rule group")
    }
}

impl Setting for RuleSpec {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let mut fields = Fields::new(node, "rulefmt.Rule", cx)?;
        let at = |key: &str| node.get(key).map(|value| value.pos);
        let rule = Self {
            record: fields.take("record", String::new)?,
            alert: fields.take("alert", String::new)?,
            expr: fields.take("expr", String::new)?,
            hold: fields.take("for", PromDuration::default)?,
            keep_firing_for: fields.take("keep_firing_for", PromDuration::default)?,
            labels: fields.take("labels", BTreeMap::new)?,
            annotations: fields.take("annotations", BTreeMap::new)?,
            places: RulePlaces { record: at("record"), alert: at("alert"), expr: at("expr") },
        };
        fields.finish();
        Ok(rule)
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn emit(&self) -> Out {
        let mut out = Vec::new();
        push(&mut out, "record", &self.record);
        push(&mut out, "alert", &self.alert);
        out.push(("expr".to_owned(), self.expr.emit()));
        push(&mut out, "for", &self.hold);
        push(&mut out, "keep_firing_for", &self.keep_firing_for);
        push(&mut out, "labels", &self.labels);
        push(&mut out, "annotations", &self.annotations);
        Out::Map(out)
    }

    fn shape() -> Shape {
        Shape::Scalar("rule")
    }
}

fn push(out: &mut Vec<(String, Out)>, key: &str, value: &impl Setting) {
    if !value.is_zero() {
        out.push((key.to_owned(), value.emit()));
    }
}

impl RuleFile {
    /// The file as YAML, without what is left at its default.
    pub fn to_yaml(&self) -> String {
        config::yaml::to_string(&self.emit())
    }
}

impl RuleGroup {
    /// The group as YAML, without what is left at its default.
    pub fn to_yaml(&self) -> String {
        config::yaml::to_string(&self.emit())
    }
}

/// Groups by namespace as YAML.
pub fn namespaces_yaml(namespaces: &BTreeMap<String, Vec<RuleGroup>>) -> String {
    config::yaml::to_string(&Out::Map(
        namespaces.iter().map(|(name, groups)| (name.clone(), groups.emit())).collect(),
    ))
}

impl RuleSpec {
    /// The rule as YAML, without what is left at its default.
    pub fn to_yaml(&self) -> String {
        config::yaml::to_string(&self.emit())
    }
}
