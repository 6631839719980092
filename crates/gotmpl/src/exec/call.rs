//! Calls of functions: arguments that fit, `and` and `or`, and what is wrong told at the right place.

use super::{Done, Run, innermost};
use crate::functions::{Arguments, Function};
use crate::node::{Command, Operand, OperandKind};
use crate::value::Value;
use crate::verbs;

impl Run<'_, '_> {
    pub(super) fn arguments(
        &mut self,
        operands: &[Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Done<Vec<Value>> {
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            let value = self.operand(operand, dot)?;
            // What is not there is handed over as nil: functions cannot tell them apart.
            arguments.push(if value.is_nil() { Value::Nil } else { value });
        }
        arguments.extend(last.map(|value| if value.is_nil() { Value::Nil } else { value }));
        Ok(arguments)
    }

    /// Arguments that fit the parameters of a function.
    fn arguments_of(
        &mut self,
        function: &Function,
        command: &Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Done<Vec<Value>> {
        let mut arguments = Vec::with_capacity(command.operands.len());
        for (i, operand) in command.operands[1..].iter().enumerate() {
            let parameter = function.parameter(i);
            let value = self.operand(operand, dot)?;
            let checked = match &operand.kind {
                OperandKind::Constant(value) => parameter.check_constant(value, operand.text.trim()),
                OperandKind::Nil => parameter.check_nil(),
                _ => parameter.check(&value),
            };
            checked.or_else(|message| self.fail(innermost(operand), message))?;
            arguments.push(if value.is_nil() { Value::Nil } else { value });
        }
        if let Some(value) = last {
            let parameter = function.parameter(arguments.len());
            let operand = command.operands.last().unwrap_or(&command.operands[0]);
            parameter.check(&value).or_else(|message| self.fail(innermost(operand), message))?;
            arguments.push(if value.is_nil() { Value::Nil } else { value });
        }
        Ok(arguments)
    }

    pub(super) fn function(
        &mut self,
        name: &str,
        command: &Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Done<Value> {
        let first = &command.operands[0];
        if name == "and" || name == "or" {
            return self.short_circuit(name == "or", command, dot, last);
        }
        let function = self.templates.functions.get(name).cloned();
        if let Some(function) = &function {
            let count = command.operands.len() - 1 + usize::from(last.is_some());
            if let Err(message) = function.check_count(name, count) {
                return self.fail(first, message);
            }
        }
        // Only what is not there and comes through a pipe is shown as an action shows it.
        let is_shown = last.as_ref().is_some_and(Value::is_nil);
        let arguments = match &function {
            Some(function) => self.arguments_of(function, command, dot, last)?,
            None => self.arguments(&command.operands[1..], dot, last)?,
        };
        if self.html.is_some() && matches!(name, "html" | "urlquery") {
            let text = if is_shown { verbs::print_shown(&arguments) } else { verbs::print(&arguments) };
            // What is written is escaped for HTML anyway; twice would be once too often.
            return Ok(if name == "html" { text } else { crate::escape::query(&text) }.into());
        }
        let call = |function: Function| {
            let value = function.call(&Arguments::new(arguments))?;
            self.bounds.made(&value).map(|()| value)
        };
        match function.map(call) {
            Some(Ok(value)) => Ok(value),
            Some(Err(message)) => {
                let message = format!("error calling {name}: {message}");
                Err(self.error(command.position, &command.text, message))
            }
            None => self.fail(first, format!("{name:?} is not a defined function")),
        }
    }

    /// `and` and `or` evaluate no more than they need.
    fn short_circuit(
        &mut self,
        stops_at: bool,
        command: &Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Done<Value> {
        let first = &command.operands[0];
        let mut value = None;
        for operand in &command.operands[1..] {
            let current = self.operand(operand, dot)?;
            if current.is_true() == stops_at {
                return Ok(current);
            }
            value = Some(current);
        }
        match last.or(value) {
            Some(value) => Ok(value),
            None => self.fail(
                first,
                format!("wrong number of args for {}: want at least 1 got 0", first.text.trim()),
            ),
        }
    }

    pub(super) fn apply(
        &self,
        name: &str,
        function: Option<Function>,
        operand: &Operand,
        arguments: Vec<Value>,
    ) -> Done<Value> {
        let Some(function) = function else {
            return self.fail(operand, format!("{name:?} is not a defined function"));
        };
        if let Err(message) = function.check_count(name, arguments.len()) {
            return self.fail(operand, message);
        }
        function
            .call(&Arguments::new(arguments))
            .or_else(|message| self.fail(operand, format!("error calling {name}: {message}")))
    }
}
