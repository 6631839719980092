//! What is refused before anything is written: templates in which the place of a value depends on what was chosen
//! before it, and escapers that are not the last of their pipeline.

use std::collections::HashSet;

use super::{Html, State};
use crate::node::{Branch, Node, OperandKind, Pipeline, Position};
use crate::parse::Templates;

/// Where, in what text, and what is wrong.
pub(crate) type Fault = (Position, String, String);

impl Templates {
    /// What the templates reached from `name` do that is not allowed where values are escaped by themselves.
    pub(crate) fn html_fault(&self, name: &str) -> Option<Fault> {
        let mut reached = vec![name.to_owned()];
        let mut at = 0;
        while at < reached.len() {
            let tree = self.trees.get(&reached[at]).cloned();
            at += 1;
            if let Some(fault) = tree.and_then(|tree| self.fault_in(&tree, &mut reached)) {
                return Some(fault);
            }
        }
        let mut walk = Walk { templates: self, busy: HashSet::new() };
        let tree = self.trees.get(name)?.clone();
        walk.list(&tree, &mut Html::default()).err()
    }

    fn fault_in(&self, nodes: &[Node], reached: &mut Vec<String>) -> Option<Fault> {
        nodes.iter().find_map(|node| match node {
            Node::Text(_) | Node::Break | Node::Continue => None,
            Node::Action(pipeline) => misplaced_escaper(pipeline),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                self.fault_in(&branch.body, reached).or_else(|| self.fault_in(&branch.otherwise, reached))
            }
            Node::Template { name, position, text, .. } => {
                if !self.trees.contains_key(name) {
                    return Some((*position, text.clone(), format!("no such template {name:?}")));
                }
                if !reached.contains(name) {
                    reached.push(name.clone());
                }
                None
            }
        })
    }
}

/// An escaper may only come last: what follows it would work on escaped text.
fn misplaced_escaper(pipeline: &Pipeline) -> Option<Fault> {
    let before_last = pipeline.commands.split_last().map_or(&[][..], |(_, before)| before);
    let is_html = |kind: &OperandKind| matches!(kind, OperandKind::Identifier(name) if name == "html");
    let misplaced = before_last.iter().find(|command| is_html(&command.operands[0].kind))?;
    let message = "predefined escaper \"html\" disallowed in template".to_owned();
    Some((misplaced.position, misplaced.text.clone(), message))
}

/// Follows the literal text on all ways through templates.
struct Walk<'t> {
    templates: &'t Templates,
    /// Templates being walked, and where they began.
    busy: HashSet<(String, String)>,
}

impl Html {
    /// Whether another text may go on where this one ends.
    fn is_like(&self, other: &Self) -> bool {
        let in_element = matches!(self.state, State::Raw(_));
        self.state == other.state
            && (!in_element || self.element == other.element)
            && self.script.is_like(&other.script)
    }

    fn shown(&self) -> String {
        format!("{:?}", self.state)
    }
}

/// Where a branch stands, for messages.
fn position(branch: &Branch) -> (Position, String) {
    let command = branch.pipeline.commands.first();
    command.map_or((Position { line: 1, column: 0 }, String::new()), |command| {
        (command.position, command.text.clone())
    })
}

impl Walk<'_> {
    fn list(&mut self, nodes: &[Node], html: &mut Html) -> Result<(), Fault> {
        nodes.iter().try_for_each(|node| self.node(node, html))
    }

    fn node(&mut self, node: &Node, html: &mut Html) -> Result<(), Fault> {
        match node {
            Node::Text(text) => html.literal(&mut Vec::new(), text),
            Node::Action(pipeline) if pipeline.variables.is_empty() => html.any_value(),
            Node::Action(_) | Node::Break | Node::Continue => {}
            Node::If(branch) => self.branch("if", branch, html)?,
            Node::With(branch) => self.branch("with", branch, html)?,
            Node::Range(branch) => {
                let before = html.clone();
                let mut after = html.clone();
                self.list(&branch.body, &mut after)?;
                if !before.is_like(&after) {
                    let (at, text) = position(branch);
                    let (before, after) = (before.shown(), after.shown());
                    let message = format!(
                        "on range loop re-entry: {{{{range}}}} begins in {before} and ends in {after}"
                    );
                    return Err((at, text, message));
                }
                self.branch("range", branch, html)?;
            }
            Node::Template { name, .. } => {
                let Some(tree) = self.templates.trees.get(name).cloned() else { return Ok(()) };
                let place = (name.clone(), html.shown());
                // One that calls itself is taken to end where it began.
                if self.busy.insert(place.clone()) {
                    let walked = self.list(&tree, html);
                    self.busy.remove(&place);
                    walked?;
                }
            }
        }
        Ok(())
    }

    fn branch(&mut self, kind: &str, branch: &Branch, html: &mut Html) -> Result<(), Fault> {
        let mut other = html.clone();
        self.list(&branch.body, html)?;
        self.list(&branch.otherwise, &mut other)?;
        if html.is_like(&other) {
            return Ok(());
        }
        let (at, text) = position(branch);
        let (one, other) = (html.shown(), other.shown());
        Err((at, text, format!("{{{{{kind}}}}} branches end in different contexts: {one}, {other}")))
    }
}
