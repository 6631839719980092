//! What templates can call.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::escape;
use crate::value::{Key, List, Map, Type, Value, equal, order};
use crate::verbs;

/// The arguments of a call.
#[derive(Debug)]
pub struct Arguments(Vec<Value>);

impl Arguments {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values)
    }

    /// All of them.
    pub fn all(&self) -> &[Value] {
        &self.0
    }

    /// The argument `i`, from 0; `nil` where there is none.
    pub fn get(&self, i: usize) -> &Value {
        self.0.get(i).unwrap_or(&Value::Nil)
    }

    /// The argument `i`, which must be a text.
    pub fn bytes(&self, i: usize) -> Result<&[u8], String> {
        match self.get(i) {
            Value::String(text) => Ok(text),
            Value::Missing | Value::Nil => Err("invalid value; expected string".to_owned()),
            other => Err(format!("wrong type for value; expected string; got {}", other.type_name())),
        }
    }

    /// The argument `i`, which must be a text, with what is not UTF-8 replaced.
    pub fn text(&self, i: usize) -> Result<std::borrow::Cow<'_, str>, String> {
        self.bytes(i).map(String::from_utf8_lossy)
    }
}

type Call = dyn Fn(&Arguments) -> Result<Value, String> + Send + Sync;

/// What a parameter of a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A point in time.
    Time,
}

impl Parameter {
    fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::Integer => "int",
            Self::Time => "time.Time",
        }
    }

    /// Checks a constant, which is written as `text`.
    pub(crate) fn check_constant(self, value: &Value, text: &str) -> Result<(), String> {
        match (self, value) {
            (Self::Any, _)
            | (Self::Text, Value::String(_))
            | (Self::Integer, Value::Int(..) | Value::Uint(..)) => Ok(()),
            (Self::Integer, Value::Float(number)) if number.fract() == 0.0 => Ok(()),
            (Self::Text, _) => Err(format!("expected string; found {text}")),
            (Self::Integer, _) => Err(format!("expected integer; found {text}")),
            (Self::Time, _) => Err(format!("can't handle {text} for arg of type time.Time")),
        }
    }

    /// Checks `nil` as it is written.
    pub(crate) fn check_nil(self) -> Result<(), String> {
        match self {
            Self::Any => Ok(()),
            _ => Err(format!("cannot assign nil to {}", self.type_name())),
        }
    }

    /// Checks a value that was computed.
    pub(crate) fn check(self, value: &Value) -> Result<(), String> {
        let name = self.type_name();
        let fits = match (self, value) {
            (Self::Any, _) => true,
            (_, Value::Missing | Value::Nil) => return Err(format!("invalid value; expected {name}")),
            (Self::Text, value) => matches!(value, Value::String(_)),
            (Self::Integer, value) => matches!(value, Value::Int(..) | Value::Uint(..)),
            (Self::Time, value) => crate::time::time_of(value).is_ok(),
        };
        match fits {
            true => Ok(()),
            false => Err(format!("wrong type for value; expected {name}; got {}", value.type_name())),
        }
    }
}

/// A function and how many arguments it takes.
#[derive(Clone)]
pub struct Function {
    min: usize,
    max: Option<usize>,
    parameters: &'static [Parameter],
    call: Arc<Call>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("min", &self.min).field("max", &self.max).finish_non_exhaustive()
    }
}

impl Function {
    /// A function of exactly `count` arguments.
    pub fn of(
        count: usize,
        call: impl Fn(&Arguments) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        Self { min: count, max: Some(count), parameters: &[], call: Arc::new(call) }
    }

    /// A function of at least `min` arguments.
    pub fn variadic(
        min: usize,
        call: impl Fn(&Arguments) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        Self { min, max: None, parameters: &[], call: Arc::new(call) }
    }

    /// The function with what its first parameters take: others are not called at all, and the message names the
    /// argument.
    #[must_use]
    pub fn taking(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    /// What the parameter `i`, from 0, takes.
    pub(crate) fn parameter(&self, i: usize) -> Parameter {
        self.parameters.get(i).copied().unwrap_or(Parameter::Any)
    }

    pub(crate) fn call(&self, arguments: &Arguments) -> Result<Value, String> {
        (self.call)(arguments)
    }

    pub(crate) fn check_count(&self, name: &str, count: usize) -> Result<(), String> {
        match self.max {
            None if count < self.min => {
                Err(format!("wrong number of args for {name}: want at least {} got {count}", self.min))
            }
            Some(max) if count != max => {
                Err(format!("wrong number of args for {name}: want {max} got {count}"))
            }
            _ => Ok(()),
        }
    }
}

/// Functions by name. Clones share them.
#[derive(Debug, Clone)]
pub struct Functions(Arc<BTreeMap<String, Function>>);

impl Default for Functions {
    /// The functions every template has.
    fn default() -> Self {
        Self(Arc::new(built_in().into_iter().map(|(name, f)| (name.to_owned(), f)).collect()))
    }
}

impl Functions {
    /// These functions and `more`, which replace those of their names.
    #[must_use]
    pub fn with<N: Into<String>>(&self, more: impl IntoIterator<Item = (N, Function)>) -> Self {
        let mut all = (*self.0).clone();
        all.extend(more.into_iter().map(|(name, function)| (name.into(), function)));
        Self(Arc::new(all))
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Function> {
        self.0.get(name)
    }
}

fn built_in() -> Vec<(&'static str, Function)> {
    let printed = |escape: fn(&[u8]) -> Vec<u8>| {
        Function::variadic(0, move |arguments| Ok(escape(&escape::source(arguments.all())).into()))
    };
    vec![
        // Evaluated by the executor, which stops at the first that decides; named here to be known.
        ("and", Function::variadic(1, |arguments| Ok(arguments.get(0).clone()))),
        ("or", Function::variadic(1, |arguments| Ok(arguments.get(0).clone()))),
        ("not", Function::of(1, |arguments| Ok((!arguments.get(0).is_true()).into()))),
        ("len", Function::of(1, |arguments| len(arguments.get(0)))),
        ("index", Function::variadic(1, |arguments| index(arguments.all()))),
        ("slice", Function::variadic(1, |arguments| slice(arguments.all()))),
        ("call", Function::variadic(1, |arguments| call(arguments.all()))),
        ("print", Function::variadic(0, |arguments| Ok(verbs::print(arguments.all()).into()))),
        ("println", Function::variadic(0, |arguments| Ok(verbs::println(arguments.all()).into()))),
        ("printf", Function::variadic(1, printf).taking(&[Parameter::Text])),
        ("html", printed(escape::html)),
        ("js", printed(escape::javascript)),
        ("urlquery", printed(escape::query)),
        ("eq", Function::variadic(1, |arguments| eq(arguments.all()))),
        (
            "ne",
            Function::of(2, |a| {
                equal(a.get(0), a.get(1)).and_then(|is| comparable(a.all()).map(|()| (!is).into()))
            }),
        ),
        ("lt", ordering(Ordering::is_lt)),
        ("le", ordering(Ordering::is_le)),
        ("gt", ordering(Ordering::is_gt)),
        ("ge", ordering(Ordering::is_ge)),
    ]
}

fn printf(arguments: &Arguments) -> Result<Value, String> {
    let format = arguments.bytes(0)?;
    Ok(verbs::sprintf(format, &arguments.all()[1..]).into())
}

fn ordering(holds: fn(Ordering) -> bool) -> Function {
    Function::of(2, move |arguments| {
        order(arguments.get(0), arguments.get(1)).map(|order| order.is_some_and(holds).into())
    })
}

/// Lists and maps cannot be compared but with nothing.
fn comparable(values: &[Value]) -> Result<(), String> {
    if values.iter().any(Value::is_nil) {
        return Ok(());
    }
    let is_container = |value: &&Value| matches!(value.underlying(), Value::List(_) | Value::Map(_));
    match values.iter().find(is_container) {
        Some(value) => {
            let text = verbs::print(std::slice::from_ref(value));
            let text = String::from_utf8_lossy(&text);
            Err(format!("non-comparable type {text}: {}", value.type_name()))
        }
        None => Ok(()),
    }
}

/// Whether the first is equal to any of the others.
fn eq(values: &[Value]) -> Result<Value, String> {
    let [first, others @ ..] = values else { return Err("missing argument for comparison".to_owned()) };
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        comparable(&[first.clone(), other.clone()])?;
        if equal(first, other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn len(value: &Value) -> Result<Value, String> {
    match value.underlying() {
        Value::String(text) => Ok(text.len().into()),
        Value::List(list) => Ok(list.items.len().into()),
        Value::Map(map) => Ok(map.entries.len().into()),
        Value::Missing | Value::Nil if value.is_nil() => {
            Err("reflect: call of reflect.Value.Type on zero Value".to_owned())
        }
        _ => Err(format!("len of type {}", value.type_name())),
    }
}

/// A number that may be used as an index up to and including `limit`.
fn position(value: &Value, limit: usize) -> Result<usize, String> {
    match value {
        Value::Missing | Value::Nil => Err("cannot index slice/array with nil".to_owned()),
        _ => {
            let number = value
                .as_integer()
                .ok_or_else(|| format!("cannot index slice/array with type {}", value.type_name()))?;
            let within = usize::try_from(number).ok().filter(|&i| i <= limit);
            within.ok_or_else(|| format!("index out of range: {number}"))
        }
    }
}

fn index(values: &[Value]) -> Result<Value, String> {
    let [first, keys @ ..] = values else { return Err("index of untyped nil".to_owned()) };
    if first.is_nil() {
        return Err("index of untyped nil".to_owned());
    }
    let mut value = first.clone();
    for key in keys {
        let out_of_range =
            |key: &Value| format!("index out of range: {}", key.as_integer().unwrap_or_default());
        value = match value.underlying() {
            Value::List(list) => {
                let at = position(key, list.items.len())?;
                let missing = || "reflect: slice index out of range".to_owned();
                list.items.get(at).cloned().ok_or_else(missing)?
            }
            Value::String(text) => {
                let at = position(key, text.len())?;
                let byte = text.get(at).ok_or_else(|| out_of_range(key))?;
                Value::Uint(u64::from(*byte), Type::Uint8)
            }
            Value::Map(map) => entry(&map, key)?,
            Value::Missing | Value::Nil => return Err("index of nil pointer".to_owned()),
            _ => return Err(format!("can't index item of type {}", value.type_name())),
        };
    }
    Ok(value)
}

fn entry(map: &Map, key: &Value) -> Result<Value, String> {
    let key = match (map.key, key) {
        (Type::String, Value::String(text)) => Key::String(text.clone()),
        (Type::Int | Type::Int64, Value::Int(number, _)) => Key::Int(*number),
        (_, Value::Missing | Value::Nil) => {
            return Err(format!("value is nil; should be of type {}", map.key.name()));
        }
        _ => return Err(format!("value has type {}; should be {}", key.type_name(), map.key.name())),
    };
    Ok(map.entries.get(&key).cloned().unwrap_or_else(|| map.element.zero()))
}

fn slice(values: &[Value]) -> Result<Value, String> {
    let [value, bounds @ ..] = values else { return Err("slice of untyped nil".to_owned()) };
    if value.is_nil() {
        return Err("slice of untyped nil".to_owned());
    }
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let container = value.underlying();
    let limit = match &container {
        Value::String(_) if bounds.len() == 3 => return Err("cannot 3-index slice a string".to_owned()),
        Value::String(text) => text.len(),
        Value::List(list) => list.items.len(),
        _ => return Err(format!("can't slice item of type {}", value.type_name())),
    };
    let mut at = [0, limit, limit];
    for (i, bound) in bounds.iter().enumerate() {
        at[i] = position(bound, limit)?;
    }
    let [start, end, capacity] = at;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    if end > capacity {
        return Err(format!("invalid slice index: {end} > {capacity}"));
    }
    Ok(match container {
        Value::List(list) => {
            Value::List(Arc::new(List { items: list.items[start..end].to_vec(), element: list.element }))
        }
        other => Value::String(other.as_bytes().unwrap_or_default()[start..end].into()),
    })
}

fn call(values: &[Value]) -> Result<Value, String> {
    match values {
        [Value::Function(function), arguments @ ..] => {
            function.check_count("call", arguments.len())?;
            function.call(&Arguments::new(arguments.to_vec()))
        }
        [Value::Missing | Value::Nil, ..] | [] => Err("call of nil".to_owned()),
        [other, ..] => Err(format!("non-function of type {}", other.type_name())),
    }
}
