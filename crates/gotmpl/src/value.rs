//! What templates work on: Go's values as far as templates can tell them apart.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::functions::Function;

/// A type, as messages and `%T` name it and as the elements of lists and maps have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Values of any type.
    Any,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint`
    Uint,
    /// `uint8`
    Uint8,
    /// `float64`
    Float,
    /// `string`
    String,
    /// A type with a name of its own.
    Named(&'static str),
}

impl Type {
    /// The name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint => "uint",
            Self::Uint8 => "uint8",
            Self::Float => "float64",
            Self::String => "string",
            Self::Named(name) => name,
        }
    }

    /// What a variable of the type holds that nothing was put into.
    pub fn zero(self) -> Value {
        match self {
            Self::Any | Self::Named(_) => Value::Nil,
            Self::Bool => Value::Bool(false),
            Self::Int | Self::Int64 => Value::Int(0, self),
            Self::Uint | Self::Uint8 => Value::Uint(0, self),
            Self::Float => Value::Float(0.0),
            Self::String => Value::from(""),
        }
    }
}

/// A list and the type of its elements.
#[derive(Debug, Clone)]
pub struct List {
    /// The elements.
    pub items: Vec<Value>,
    /// Their type.
    pub element: Type,
}

/// A map and the types of its keys and values.
#[derive(Debug, Clone)]
pub struct Map {
    /// The entries, in the order templates range over them.
    pub entries: BTreeMap<Key, Value>,
    /// The type of the keys.
    pub key: Type,
    /// The type of the values.
    pub element: Type,
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A number.
    Int(i64),
    /// A text.
    String(Arc<[u8]>),
}

impl Key {
    /// The key as a value.
    pub fn value(&self) -> Value {
        match self {
            Self::Int(number) => Value::Int(*number, Type::Int),
            Self::String(text) => Value::String(text.clone()),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::String(text.as_bytes().into())
    }
}

/// A value with methods: a named type over an underlying value, or a record with fields.
pub trait Object: std::fmt::Debug + Send + Sync {
    /// The name of the type.
    fn type_name(&self) -> &'static str;

    /// The field `name`, of records.
    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    /// Calls the method `name`; `None` when there is none. The error is the text of the method's own.
    fn call(&self, _name: &str, _arguments: &[Value]) -> Option<Result<Value, String>> {
        None
    }

    /// What is ranged over, indexed and measured; [`Value::Nil`] when nothing is.
    fn underlying(&self) -> Value {
        Value::Nil
    }

    /// The names of a record's fields, in the order they are printed.
    fn fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether this is the same as another value; `None` where they cannot be compared.
    fn equals(&self, _other: &Value) -> Option<bool> {
        None
    }

    /// The value itself, for functions that know its type.
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }

    /// How the value reads in the output; `None` to print what it is made of.
    fn text(&self) -> Option<String> {
        None
    }
}

/// A value.
#[derive(Debug, Clone)]
pub enum Value {
    /// There is no value: a key that is not in its map.
    Missing,
    /// `nil`
    Nil,
    /// A truth value.
    Bool(bool),
    /// A signed number of the type.
    Int(i64, Type),
    /// An unsigned number of the type.
    Uint(u64, Type),
    /// A float.
    Float(f64),
    /// A text: bytes, mostly UTF-8.
    String(Arc<[u8]>),
    /// A list.
    List(Arc<List>),
    /// A map.
    Map(Arc<Map>),
    /// A value with methods.
    Object(Arc<dyn Object>),
    /// A function.
    Function(Function),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.as_bytes().into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into_bytes().into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(text: Vec<u8>) -> Self {
        Self::String(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value, Type::Int)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(value as i64, Type::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl Value {
    /// A list of values of type `element`.
    pub fn list(items: Vec<Value>, element: Type) -> Self {
        Self::List(Arc::new(List { items, element }))
    }

    /// A map from texts to texts.
    pub fn string_map<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let entries = entries.into_iter().map(|(name, text)| (Key::from(name), text.into())).collect();
        Self::Map(Arc::new(Map { entries, key: Type::String, element: Type::String }))
    }

    /// A map from texts to values of any type.
    pub fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        let entries = entries.into_iter().map(|(name, value)| (Key::from(name.as_str()), value)).collect();
        Self::Map(Arc::new(Map { entries, key: Type::String, element: Type::Any }))
    }

    /// The name of the type, as `%T` prints it.
    pub fn type_name(&self) -> String {
        match self {
            Self::Missing | Self::Nil => "<nil>".to_owned(),
            Self::Bool(_) => "bool".to_owned(),
            Self::Int(_, of) | Self::Uint(_, of) => of.name().to_owned(),
            Self::Float(_) => "float64".to_owned(),
            Self::String(_) => "string".to_owned(),
            Self::List(list) => format!("[]{}", list.element.name()),
            Self::Map(map) => format!("map[{}]{}", map.key.name(), map.element.name()),
            Self::Object(object) => object.type_name().to_owned(),
            Self::Function(_) => "func()".to_owned(),
        }
    }

    /// Whether `if` takes the value for true: all but zero and what is empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value, _) => *value != 0,
            Self::Uint(value, _) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Object(object) => match object.underlying() {
                Self::Nil => true,
                underlying => underlying.is_true(),
            },
            Self::Function(_) => true,
        }
    }

    /// Whether there is nothing: neither a type nor a value.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Missing | Self::Nil)
    }

    /// The text of a string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value below the methods, if it has any.
    pub fn underlying(&self) -> Value {
        match self {
            Self::Object(object) => object.underlying(),
            other => other.clone(),
        }
    }

    /// The whole number, signed and unsigned ones alike.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Int(value, _) => Some(i128::from(*value)),
            Self::Uint(value, _) => Some(i128::from(*value)),
            _ => None,
        }
    }
}

/// A value as it is compared: a number or text with methods as a number or text.
fn plain(value: &Value) -> Value {
    match value.underlying() {
        Value::Missing | Value::Nil | Value::List(_) | Value::Map(_) => value.clone(),
        simple => simple,
    }
}

/// What two values can be compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Integer,
    Float,
    String,
}

fn basic(value: &Value) -> Option<Basic> {
    match value {
        Value::Bool(_) => Some(Basic::Bool),
        Value::Int(..) | Value::Uint(..) => Some(Basic::Integer),
        Value::Float(_) => Some(Basic::Float),
        Value::String(_) => Some(Basic::String),
        _ => None,
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())
}

/// `eq` of two values.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (&plain(a), &plain(b)) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::String(a), Value::String(b)) => Ok(a == b),
        (plain_a, plain_b) => match (plain_a.as_integer(), plain_b.as_integer()) {
            (Some(a), Some(b)) => Ok(a == b),
            _ if a.is_nil() || b.is_nil() => Ok(a.is_nil() == b.is_nil()),
            _ if basic(plain_a) != basic(plain_b) => Err(incompatible(a, b)),
            _ => match a {
                Value::Object(object) => object.equals(b),
                _ => None,
            }
            .ok_or_else(|| format!("non-comparable types {}, {}", a.type_name(), b.type_name())),
        },
    }
}

/// The order of two values, for `lt` and its kin.
pub(crate) fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (&plain(a), &plain(b)) {
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::String(a), Value::String(b)) => Ok(Some(a.cmp(b))),
        (plain_a, plain_b) => match (plain_a.as_integer(), plain_b.as_integer()) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(&b))),
            _ => match (basic(plain_a), basic(plain_b)) {
                (Some(of_a), Some(of_b)) if of_a != of_b => Err(incompatible(a, b)),
                _ => Err("invalid type for comparison".to_owned()),
            },
        },
    }
}
