//! The routing tree: which receivers an alert goes to, and how it is grouped on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use config::alertmanager::{Matchers, Route as RouteConfig};
use model::Labels;

/// The nodes of a tree, by index; children come before their parents.
#[derive(Debug)]
pub struct RouteTree {
    nodes: Vec<Route>,
}

/// A node of the tree with what it takes from those above it.
#[derive(Debug)]
pub struct Route {
    /// Its place in the tree.
    pub index: usize,
    /// What an alert must satisfy to get here.
    pub matchers: Matchers,
    /// The matchers from the root to here; not unique.
    pub key: String,
    /// As the key, with places among siblings; unique.
    pub id: String,
    /// Whether an alert that matched is offered to the next sibling too.
    pub continues: bool,
    /// The nodes below.
    pub children: Vec<usize>,
    /// The receiver.
    pub receiver: String,
    /// The labels that make a group.
    pub group_by: BTreeSet<String>,
    /// Whether all labels make a group.
    pub group_by_all: bool,
    /// How long to wait before the first notification of a group.
    pub group_wait: Duration,
    /// How long to wait between notifications on changes.
    pub group_interval: Duration,
    /// How long to wait before a notification is repeated.
    pub repeat_interval: Duration,
    /// Names of intervals in which nothing is sent.
    pub mute_intervals: Vec<String>,
    /// Names of the only intervals in which something is sent.
    pub active_intervals: Vec<String>,
    /// Labels of the route; values may be templates.
    pub labels: Arc<BTreeMap<String, String>>,
}

impl Route {
    /// The labels by which an alert is grouped here.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        if self.group_by_all {
            return labels.clone();
        }
        Labels::from_sorted(labels.iter().filter(|(name, _)| self.group_by.contains(*name)))
    }

    /// What the root has where the configuration says nothing.
    fn root() -> Self {
        Self {
            index: 0,
            matchers: Matchers::default(),
            key: String::new(),
            id: String::new(),
            continues: false,
            children: Vec::new(),
            receiver: String::new(),
            group_by: BTreeSet::new(),
            group_by_all: false,
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(5 * 60),
            repeat_interval: Duration::from_secs(4 * 3600),
            mute_intervals: Vec::new(),
            active_intervals: Vec::new(),
            labels: Arc::default(),
        }
    }

    /// A node of the configuration with what it takes from `above`.
    fn below(above: Option<&Self>, config: &RouteConfig, place: usize) -> Self {
        let matchers = config.all_matchers();
        let (key, id) = match above {
            None => (matchers.to_string(), matchers.to_string()),
            Some(above) => (format!("{}/{matchers}", above.key), format!("{}/{matchers}/{place}", above.id)),
        };
        let defaults = Self::root();
        let above = above.unwrap_or(&defaults);
        let mut route = Self {
            matchers,
            key,
            id,
            continues: config.r#continue,
            children: Vec::new(),
            receiver: if config.receiver.is_empty() {
                above.receiver.clone()
            } else {
                config.receiver.clone()
            },
            group_wait: config.group_wait.map_or(above.group_wait, |wait| wait.get()),
            group_interval: config.group_interval.map_or(above.group_interval, |interval| interval.get()),
            repeat_interval: config.repeat_interval.map_or(above.repeat_interval, |interval| interval.get()),
            // Intervals hold for one node only.
            mute_intervals: config.mute_time_intervals.clone(),
            active_intervals: config.active_time_intervals.clone(),
            group_by: above.group_by.clone(),
            group_by_all: above.group_by_all,
            labels: above.labels.clone(),
            index: 0,
        };
        let labels = Arc::make_mut(&mut route.labels);
        labels.extend(config.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        if config.groups_by_all() {
            route.group_by_all = true;
        } else if let Some(names) = &config.group_by {
            route.group_by = names.iter().cloned().collect();
            route.group_by_all = false;
        }
        route
    }
}

impl RouteTree {
    /// The tree of a configuration.
    pub fn new(config: &RouteConfig) -> Self {
        let mut nodes = Vec::new();
        grow(&mut nodes, Route::below(None, config, 0), config);
        Self { nodes }
    }

    /// The root.
    pub fn root(&self) -> &Route {
        self.nodes.last().expect("a tree is built from its root")
    }

    /// The node of an index.
    pub fn get(&self, index: usize) -> Option<&Route> {
        self.nodes.get(index)
    }

    /// All nodes, children before their parents.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.nodes.iter()
    }

    /// The nodes an alert of these labels goes to, never none: the deepest that match, the first of siblings
    /// unless it continues.
    pub fn matching(&self, labels: &Labels) -> Vec<&Route> {
        let mut found = Vec::new();
        self.collect(self.root(), labels, &mut found);
        found
    }

    fn collect<'t>(&'t self, route: &'t Route, labels: &Labels, found: &mut Vec<&'t Route>) -> bool {
        if !route.matchers.matches(|name| labels.get_or_empty(name)) {
            return false;
        }
        let before = found.len();
        for child in route.children.iter().map(|&index| &self.nodes[index]) {
            if self.collect(child, labels, found) && !child.continues {
                break;
            }
        }
        if found.len() == before {
            found.push(route);
        }
        true
    }
}

/// Adds a node behind those below it and gives its index.
fn grow(nodes: &mut Vec<Route>, mut route: Route, config: &RouteConfig) -> usize {
    for (place, child) in config.routes.iter().enumerate() {
        let below = Route::below(Some(&route), child, place);
        let index = grow(nodes, below, child);
        route.children.push(index);
    }
    route.index = nodes.len();
    nodes.push(route);
    nodes.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::settings;

    const TREE: &str = r#"
route:
  receiver: notify-def
  group_by: [alertname]
  routes:
  - matchers: ['owner="team-A"']
    receiver: notify-A
    routes:
    - matchers: ['env="testing"']
      receiver: notify-testing
      group_by: ['...']
    - matchers: ['env="production"']
      receiver: notify-productionA
      group_wait: 1m
      continue: true
    - matchers: ['env=~"produ.*"', 'job=~".*"']
      receiver: notify-productionB
      group_wait: 30s
      group_interval: 5m
      repeat_interval: 1h
      group_by: [job]
  - match_re: {owner: "team-(B|C)"}
    group_by: [foo, bar]
    group_wait: 2m
    receiver: notify-BC
receivers: [{name: notify-def}, {name: notify-A}, {name: notify-testing}, {name: notify-productionA}, {name: notify-productionB}, {name: notify-BC}]
"#;

    #[test]
    fn the_deepest_nodes_that_match_are_taken() {
        let tree = RouteTree::new(&settings(TREE).route);
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
        let cases: [Case<'_>; 6] = [
            (&[("owner", "team-A")], &["notify-A"]),
            (&[("owner", "team-A"), ("env", "unset")], &["notify-A"]),
            (&[("owner", "team-C")], &["notify-BC"]),
            (&[("owner", "team-A"), ("env", "testing")], &["notify-testing"]),
            (&[("owner", "team-A"), ("env", "production")], &["notify-productionA", "notify-productionB"]),
            (&[("owner", "nobody")], &["notify-def"]),
        ];
        for (labels, receivers) in cases {
            let found = tree.matching(&Labels::from_pairs(labels.iter().copied()));
            let names: Vec<&str> = found.iter().map(|route| route.receiver.as_str()).collect();
            assert_eq!(names, receivers, "{labels:?}");
        }
    }

    #[test]
    fn what_a_node_does_not_say_is_as_above() {
        let tree = RouteTree::new(&settings(TREE).route);
        let of = |receiver: &str| tree.iter().find(|route| route.receiver == receiver).unwrap();
        assert_eq!(of("notify-productionA").group_wait, Duration::from_secs(60));
        assert_eq!(of("notify-productionA").repeat_interval, Duration::from_secs(4 * 3600));
        assert!(of("notify-testing").group_by_all);
        assert!(of("notify-productionA").group_by.contains("alertname"));
        assert_eq!(of("notify-productionB").key, "{}/{owner=\"team-A\"}/{env=~\"produ.*\",job=~\".*\"}");
        assert_eq!(of("notify-productionA").id, "{}/{owner=\"team-A\"}/0/{env=\"production\"}/1");
        assert_eq!(tree.root().key, "{}");
    }
}
