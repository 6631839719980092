//! Trees to output. Calls of functions are in [`call`].

mod call;

use crate::bounds::Bounds;
use crate::html::Html;
use crate::node::{Branch, Command, Node, Operand, OperandKind, Pipeline, Position};
use crate::parse::Templates;
use crate::value::{Key, Map, Type, Value};
use crate::verbs;

/// A template that failed while it was carried out; what it had written before stays written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {template}:{place}: executing {name:?} at <{context}>: {message}", place = place(.position))]
pub struct ExecError {
    /// The template that was asked for.
    pub template: String,
    /// The template that failed: the same, or one it called.
    pub name: String,
    /// Line from 1 and column from 0.
    pub position: (u32, u32),
    /// The part that failed.
    pub context: String,
    /// What is wrong.
    pub message: String,
}

fn place((line, column): &(u32, u32)) -> String {
    format!("{line}:{column}")
}

/// What a key yields that is not in its map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// Nothing, printed as `<no value>`.
    #[default]
    Invalid,
    /// The zero value of the map's element type.
    Zero,
    /// An error.
    Error,
}

impl Templates {
    /// Carries out the template `name` with `data` as dot and appends what it writes to `out`, also when it
    /// fails.
    pub fn render(
        &self,
        name: &str,
        data: Value,
        missing_key: MissingKey,
        out: &mut Vec<u8>,
    ) -> Result<(), ExecError> {
        self.execute(name, data, missing_key, out, None)
    }

    /// Carries out a template as [`Templates::render`] does, each value escaped for the place in HTML it is
    /// written to. What this engine does not allow is found before anything is written.
    pub fn render_html(
        &self,
        name: &str,
        data: Value,
        missing_key: MissingKey,
        out: &mut Vec<u8>,
    ) -> Result<(), ExecError> {
        if let Some((position, context, message)) = self.html_fault(name) {
            let (template, name) = (name.to_owned(), name.to_owned());
            return Err(ExecError {
                template,
                name,
                position: (position.line, position.column),
                context,
                message,
            });
        }
        self.execute(name, data, missing_key, out, Some(Html::default()))
    }

    fn execute(
        &self,
        name: &str,
        data: Value,
        missing_key: MissingKey,
        out: &mut Vec<u8>,
        html: Option<Html>,
    ) -> Result<(), ExecError> {
        let data = if data.is_nil() { Value::Missing } else { data };
        let mut run = Run {
            templates: self,
            missing_key,
            out,
            html,
            variables: vec![(String::new(), data.clone())],
            name: name.to_owned(),
            bounds: Bounds::default(),
        };
        let Some(tree) = self.trees.get(name).cloned() else {
            return Err(run.error(
                Position { line: 1, column: 0 },
                name,
                format!("{name:?} is an incomplete or empty template"),
            ));
        };
        let flow = run.list(&tree, &data);
        flow.map(|_| ()).map_err(|mut error| {
            error.template = name.to_owned();
            error
        })
    }
}

/// How a list of nodes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Run<'t, 'o> {
    templates: &'t Templates,
    missing_key: MissingKey,
    out: &'o mut Vec<u8>,
    /// Where in HTML the output stands, when it is HTML.
    html: Option<Html>,
    /// Variables in scope, the innermost last; the first one, without a name, is `$`.
    variables: Vec<(String, Value)>,
    /// The template being carried out.
    name: String,
    bounds: Bounds,
}

type Done<T> = Result<T, ExecError>;

impl Run<'_, '_> {
    fn error(&self, position: Position, context: &str, message: impl Into<String>) -> ExecError {
        ExecError {
            template: self.name.clone(),
            name: self.name.clone(),
            position: (position.line, position.column),
            context: context.to_owned(),
            message: message.into(),
        }
    }

    fn fail<T>(&self, operand: &Operand, message: impl Into<String>) -> Done<T> {
        Err(self.error(operand.position, &operand.text, message))
    }

    fn list(&mut self, nodes: &[Node], dot: &Value) -> Done<Flow> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Carries out the nodes within another, which a command is the beginning of.
    fn nested(&mut self, nodes: &[Node], dot: &Value, command: &Command) -> Done<Flow> {
        let entered = self.bounds.enter(self.out.len());
        entered.map_err(|message| self.error(command.position, &command.text, message))?;
        let flow = self.list(nodes, dot);
        self.bounds.leave();
        flow
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Done<Flow> {
        match node {
            Node::Text(text) => match &mut self.html {
                Some(html) => html.literal(self.out, text),
                None => self.out.extend_from_slice(text),
            },
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.print(pipeline, &value)?;
                }
            }
            Node::If(branch) => return self.choose(branch, dot, false),
            Node::With(branch) => return self.choose(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Template { name, argument, position, text } => {
                self.call_template(name, argument.as_ref(), dot, *position, text)?;
            }
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, pipeline: &Pipeline, value: &Value) -> Done<()> {
        let command = &pipeline.commands[0];
        if matches!(value, Value::Function(_)) {
            let message = format!("can't print {} of type func", command.text);
            return Err(self.error(command.position, &command.text, message));
        }
        match &mut self.html {
            Some(html) => html.value(self.out, value),
            None => verbs::print_value(self.out, value),
        }
        let bounded = self.bounds.check_written(self.out.len());
        bounded.map_err(|message| self.error(command.position, &command.text, message))
    }

    fn choose(&mut self, branch: &Branch, dot: &Value, is_with: bool) -> Done<Flow> {
        let scope = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let command = &branch.pipeline.commands[0];
        let flow = match value.is_true() {
            true if is_with => self.nested(&branch.body, &value, command),
            true => self.nested(&branch.body, dot, command),
            false => self.nested(&branch.otherwise, dot, command),
        };
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Done<Flow> {
        let scope = self.variables.len();
        let over = self.commands(&branch.pipeline, dot)?;
        // Variables of a range are declared for each element, but those that are there are set to the whole before.
        if branch.pipeline.assigns {
            for name in &branch.pipeline.variables {
                self.set(name, over.clone(), true, &branch.pipeline.commands[0])?;
            }
        }
        let elements: Vec<(Value, Value)> = match over.underlying() {
            Value::List(list) => {
                list.items.iter().enumerate().map(|(i, item)| (Value::from(i), item.clone())).collect()
            }
            Value::Map(map) => map.entries.iter().map(|(key, value)| (key.value(), value.clone())).collect(),
            Value::Missing | Value::Nil if !matches!(over, Value::Object(_)) => Vec::new(),
            number @ (Value::Int(..) | Value::Uint(..)) => return self.count(branch, dot, &number),
            _ => {
                let command = &branch.pipeline.commands[0];
                let text = verbs::print(std::slice::from_ref(&over));
                let message = format!("range can't iterate over {}", String::from_utf8_lossy(&text));
                return Err(self.error(command.position, &command.text, message));
            }
        };
        let flow = if elements.is_empty() {
            self.nested(&branch.otherwise, dot, &branch.pipeline.commands[0])?
        } else {
            for (index, element) in elements {
                if self.iteration(branch, index, element)? == Flow::Break {
                    break;
                }
            }
            Flow::Next
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    /// `range` over a number counts from zero.
    fn count(&mut self, branch: &Branch, dot: &Value, number: &Value) -> Done<Flow> {
        let scope = self.variables.len();
        let end = number.as_integer().unwrap_or_default();
        if branch.pipeline.variables.len() > 1 {
            let command = &branch.pipeline.commands[0];
            let message = format!("can't use {end} to iterate over more than one variable");
            return Err(self.error(command.position, &command.text, message));
        }
        if end <= 0 {
            return self.nested(&branch.otherwise, dot, &branch.pipeline.commands[0]);
        }
        for i in 0..end {
            let element = Value::Int(i64::try_from(i).unwrap_or(i64::MAX), Type::Int);
            if self.iteration(branch, element.clone(), element)? == Flow::Break {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(Flow::Next)
    }

    fn iteration(&mut self, branch: &Branch, index: Value, element: Value) -> Done<Flow> {
        let scope = self.variables.len();
        let names = &branch.pipeline.variables;
        let values = match names.len() {
            2 => vec![index, element.clone()],
            _ => vec![element.clone()],
        };
        let command = &branch.pipeline.commands[0];
        for (name, value) in names.iter().zip(values) {
            self.set(name, value, branch.pipeline.assigns, command)?;
        }
        let flow = self.nested(&branch.body, &element, command);
        self.variables.truncate(scope);
        flow
    }

    fn set(&mut self, name: &str, value: Value, assigns: bool, command: &Command) -> Done<()> {
        if !assigns {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        match self.variables.iter_mut().rev().find(|(other, _)| other == name) {
            Some((_, variable)) => {
                *variable = value;
                Ok(())
            }
            None => Err(self.error(command.position, &command.text, format!("undefined variable: ${name}"))),
        }
    }

    fn call_template(
        &mut self,
        name: &str,
        argument: Option<&Pipeline>,
        dot: &Value,
        position: Position,
        text: &str,
    ) -> Done<()> {
        let Some(tree) = self.templates.trees.get(name).cloned() else {
            return Err(self.error(position, text, format!("template {name:?} not defined")));
        };
        let dot = match argument {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Missing,
        };
        let written_bytes = self.out.len();
        let begun = self.bounds.begin_call().and_then(|()| self.bounds.enter(written_bytes));
        begun.map_err(|message| self.error(position, text, message))?;
        let outer = std::mem::replace(&mut self.variables, vec![(String::new(), dot.clone())]);
        let caller = std::mem::replace(&mut self.name, name.to_owned());
        let done = self.list(&tree, &dot);
        self.bounds.leave();
        self.bounds.end_call();
        (self.variables, self.name) = (outer, caller);
        done.map(|_| ())
    }

    /// The value of a pipeline; its variables are set to it.
    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Done<Value> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            self.set(name, value.clone(), pipeline.assigns, &pipeline.commands[0])?;
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Done<Value> {
        let mut value = None;
        for command in &pipeline.commands {
            let result = self.command(command, dot, value.take())?;
            // Behind a pipeline nothing tells `nil` from what is not there.
            value = Some(if result.is_nil() { Value::Missing } else { result });
        }
        Ok(value.unwrap_or(Value::Missing))
    }

    /// Carries out a command; `last` is the value piped into it.
    fn command(&mut self, command: &Command, dot: &Value, last: Option<Value>) -> Done<Value> {
        let first = &command.operands[0];
        let has_arguments = command.operands.len() > 1 || last.is_some();
        match &first.kind {
            OperandKind::Fields(path) => self.fields(dot.clone(), path, command, dot, last),
            OperandKind::Chain(base, path) => {
                let receiver = self.chain_base(base, dot)?;
                self.fields(receiver, path, command, dot, last)
            }
            OperandKind::Identifier(name) => self.function(name, command, dot, last),
            OperandKind::Variable(name, path) if !path.is_empty() => {
                let receiver = self.variable(first, name)?;
                self.fields(receiver, path, command, dot, last)
            }
            _ if has_arguments => {
                self.fail(first, format!("can't give argument to non-function {}", first.text.trim()))
            }
            OperandKind::Nil => self.fail(first, "nil is not a command"),
            _ => self.operand(first, dot),
        }
    }

    /// The value of an operand that stands for itself.
    fn operand(&mut self, operand: &Operand, dot: &Value) -> Done<Value> {
        match &operand.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Nil => Ok(Value::Nil),
            OperandKind::Constant(value) => Ok(value.clone()),
            OperandKind::Overflow => self.fail(operand, format!("{} overflows int", operand.text)),
            OperandKind::Pipeline(pipeline) => self.pipeline(pipeline, dot),
            OperandKind::Variable(name, path) => {
                let value = self.variable(operand, name)?;
                self.path(value, path, operand)
            }
            OperandKind::Fields(path) => self.path(dot.clone(), path, operand),
            OperandKind::Chain(base, path) => {
                let value = self.chain_base(base, dot)?;
                self.path(value, path, innermost(operand))
            }
            OperandKind::Identifier(name) => {
                let function = self.templates.functions.get(name).cloned();
                self.apply(name, function, operand, Vec::new())
            }
        }
    }

    fn chain_base(&mut self, base: &Operand, dot: &Value) -> Done<Value> {
        match base.kind {
            OperandKind::Nil => self.fail(base, "indirection through explicit nil"),
            _ => self.operand(base, dot),
        }
    }

    fn variable(&self, operand: &Operand, name: &str) -> Done<Value> {
        match self.variables.iter().rev().find(|(other, _)| other == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.fail(operand, format!("undefined variable: ${name}")),
        }
    }

    /// Follows fields without arguments.
    fn path(&mut self, mut value: Value, path: &[String], operand: &Operand) -> Done<Value> {
        let mut is_any = false;
        for name in path {
            let found = self.field(&value, name, operand, None).map_err(|mut error| {
                if is_any && error.message.starts_with("can't evaluate field") {
                    error.message = format!("can't evaluate field {name} in type interface {{}}");
                }
                error
            })?;
            is_any = holds_anything(&value);
            value = found;
        }
        Ok(value)
    }

    /// Follows fields; the last one gets the arguments of the command.
    fn fields(
        &mut self,
        receiver: Value,
        path: &[String],
        command: &Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Done<Value> {
        let first = &command.operands[0];
        let Some((name, before)) = path.split_last() else { return Ok(receiver) };
        let base = innermost(first);
        if command.operands.len() == 1 && last.is_none() {
            return self.path(receiver, path, base);
        }
        let receiver = self.path(receiver, before, base)?;
        let arguments = self.arguments(&command.operands[1..], dot, last)?;
        self.field(&receiver, name, first, Some(arguments))
    }

    /// A field, a method's result or the value of a key.
    fn field(
        &self,
        receiver: &Value,
        name: &str,
        operand: &Operand,
        arguments: Option<Vec<Value>>,
    ) -> Done<Value> {
        let container = match receiver {
            Value::Missing if self.missing_key == MissingKey::Error => {
                return self.fail(operand, format!("nil data; no entry for key {name:?}"));
            }
            Value::Missing => return Ok(Value::Missing),
            Value::Nil => {
                return self.fail(operand, format!("nil pointer evaluating interface {{}}.{name}"));
            }
            Value::Object(object) => {
                let given = arguments.as_deref().unwrap_or_default();
                if let Some(result) = object.call(name, given) {
                    let failed = |error: String| format!("error calling {name}: {error}");
                    return result.or_else(|error| self.fail(operand, failed(error)));
                }
                if let Some(value) = object.field(name) {
                    return match arguments {
                        Some(_) => self
                            .fail(operand, format!("{name} has arguments but cannot be invoked as function")),
                        None => Ok(value),
                    };
                }
                object.underlying()
            }
            other => other.clone(),
        };
        match container {
            Value::Map(map) if map.key == Type::String => match arguments {
                Some(_) => self.fail(operand, format!("{name} is not a method but has arguments")),
                None => self.entry(&map, name, operand),
            },
            _ => self.fail(operand, format!("can't evaluate field {name} in type {}", receiver.type_name())),
        }
    }

    fn entry(&self, map: &Map, name: &str, operand: &Operand) -> Done<Value> {
        match (map.entries.get(&Key::from(name)), self.missing_key) {
            (Some(value), _) => Ok(value.clone()),
            (None, MissingKey::Invalid) => Ok(Value::Missing),
            (None, MissingKey::Zero) => Ok(map.element.zero()),
            (None, MissingKey::Error) => self.fail(operand, format!("map has no entry for key {name:?}")),
        }
    }
}

/// Whether what a container holds may be of any type, by which messages call it.
fn holds_anything(container: &Value) -> bool {
    match container.underlying() {
        Value::Map(map) => map.element == Type::Any,
        _ => false,
    }
}

/// What was evaluated last for the value of an operand: messages about the value name that.
fn innermost(operand: &Operand) -> &Operand {
    let inner = match &operand.kind {
        OperandKind::Pipeline(pipeline) => {
            pipeline.commands.last().and_then(|command| command.operands.last())
        }
        OperandKind::Chain(base, _) => Some(&**base),
        _ => None,
    };
    inner.map_or(operand, innermost)
}
