//! Groups of targets, and reading them from documents.

use config::yaml::Node;
use model::Labels;

/// The label that holds `host:port` of a target.
pub const ADDRESS: &str = "__address__";

/// Targets that were found together and share labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetGroup {
    /// Where the group was found; unique within its provider.
    pub source: String,
    /// Labels of every target of the group.
    pub labels: Labels,
    /// Labels of each target, [`ADDRESS`] among them; they win over those of the group.
    pub targets: Vec<Labels>,
}

impl TargetGroup {
    /// A group of addresses.
    pub fn of_addresses<S: AsRef<str>>(source: String, labels: Labels, addresses: &[S]) -> Self {
        let target = |address: &S| Labels::from_pairs([(ADDRESS, address.as_ref())]);
        Self { source, labels, targets: addresses.iter().map(target).collect() }
    }

    /// The labels of each target, those of the group included.
    pub fn target_labels(&self) -> impl Iterator<Item = Labels> + '_ {
        self.targets.iter().map(|target| Labels::from_pairs(self.labels.iter().chain(target)))
    }
}

/// The groups a document lists: `[{"targets": ["host:port"], "labels": {"name": "value"}}]`, as JSON or YAML.
/// `extra` is added to the labels of each group; sources are `source:0`, `source:1`, ...
pub fn read_groups(root: &Node, source: &str, extra: &[(&str, &str)]) -> Result<Vec<TargetGroup>, String> {
    if !root.is_null() && root.items().is_empty() && (root.text().is_some() || !root.entries().is_empty()) {
        return Err(format!("line {}: expected a list of target groups", root.pos.line));
    }
    let read = |(i, node): (usize, &Node)| read_group(node, format!("{source}:{i}"), extra);
    root.items().iter().enumerate().map(read).collect()
}

fn read_group(node: &Node, source: String, extra: &[(&str, &str)]) -> Result<TargetGroup, String> {
    let at = |node: &Node, problem: &str| format!("line {}: {problem}", node.pos.line);
    if node.is_null() {
        return Err(at(node, "nil target group item found"));
    }
    let (mut addresses, mut labels) = (Vec::new(), Vec::new());
    for (key, value) in node.entries() {
        match key.text() {
            Some("targets") => {
                for item in value.items() {
                    addresses.push(item.text().ok_or_else(|| at(item, "a target must be a string"))?);
                }
            }
            Some("labels") => {
                for (name, value) in value.entries() {
                    let name_text = name.text().unwrap_or_default();
                    if !config::scalar::is_valid_label_name(name_text) {
                        return Err(at(name, &format!("{name_text:?} is not a valid label name")));
                    }
                    let value = value.text().ok_or_else(|| at(value, "a label value must be a string"))?;
                    labels.push((name_text, value));
                }
            }
            other => {
                let name = other.unwrap_or_default();
                return Err(at(key, &format!("unknown field {name:?}: a group has `targets` and `labels`")));
            }
        }
    }
    if node.entries().is_empty() {
        return Err(at(node, "expected a target group with `targets` and `labels`"));
    }
    let labels = Labels::from_pairs(labels.into_iter().chain(extra.iter().copied()));
    Ok(TargetGroup::of_addresses(source, labels, &addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<TargetGroup>, String> {
        let root = config::yaml::parse(text, config::yaml::Limits::default()).unwrap();
        read_groups(&root, "file", &[("__meta_filepath", "file")])
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let json = read(r#"[{"targets": ["a:1", "b:2"], "labels": {"env": "x"}}, {"targets": []}]"#).unwrap();
        let yaml = read("- targets: ['a:1', 'b:2']\n  labels:\n    env: x\n- targets: []\n").unwrap();
        assert_eq!(json, yaml);
        assert_eq!(json[0].source, "file:0");
        let first = json[0].target_labels().next().unwrap();
        assert_eq!(first.to_string(), r#"{__address__="a:1", __meta_filepath="file", env="x"}"#);
    }

    #[test]
    fn faults_name_the_line() {
        assert!(read("- targets: ['a:1']\n- null\n").unwrap_err().starts_with("line 2: nil target group"));
        assert!(
            read("- targets: ['a:1']\n  lables: {}\n")
                .unwrap_err()
                .contains("line 2: unknown field \"lables\"")
        );
        assert!(read("targets: []").unwrap_err().contains("expected a list"));
    }
}
