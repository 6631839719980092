//! From tree to typed settings and back: the [`Setting`] trait, the reader of a mapping's fields, and
//! how plain Rust types are read, written and documented.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::alertmanager::MatcherMode;
use crate::error::{Fault, nearest};
use crate::section::Shape;
use crate::yaml::{Node, Out, Pos, Value};

/// What all readers of one file share.
#[derive(Debug)]
pub struct Cx<'c> {
    /// The file, as the user named it.
    pub file: &'c Path,
    /// The directory relative paths in the file start from.
    pub dir: &'c Path,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<String>>,
    matcher_mode: MatcherMode,
}

impl<'c> Cx<'c> {
    /// A context for reading `file`.
    pub fn new(file: &'c Path) -> Self {
        let dir = file.parent().unwrap_or(Path::new(""));
        let (faults, warnings) = (RefCell::default(), RefCell::default());
        Self { file, dir, faults, warnings, matcher_mode: MatcherMode::default() }
    }

    /// The context with another notation of alert matchers.
    #[must_use]
    pub(crate) fn with_matchers(mut self, mode: MatcherMode) -> Self {
        self.matcher_mode = mode;
        self
    }

    /// The notation alert matchers are read in.
    pub(crate) fn matcher_mode(&self) -> MatcherMode {
        self.matcher_mode
    }

    /// Notes what an operator should know although the file loads.
    pub(crate) fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// The warnings noted so far.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Notes a fault that does not stop the reading of the rest.
    pub(crate) fn note(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// Whether a fault was noted.
    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.borrow().is_empty()
    }

    /// Ends the reading: the value, or all faults, in source order.
    pub fn finish<T>(self, decoded: Result<T, Fault>) -> Result<T, Vec<Fault>> {
        match decoded {
            Ok(value) if !self.has_faults() => Ok(value),
            decoded => {
                self.faults.borrow_mut().extend(decoded.err());
                Err(self.into_faults())
            }
        }
    }

    /// The faults noted, in source order.
    fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.pos.start);
        faults.dedup();
        faults
    }
}

/// A value that a configuration file can hold.
pub trait Setting: Sized {
    /// What an explicit null means.
    fn zero() -> Self;
    /// Reads a node that is not null.
    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault>;
    /// Whether the value is left out when the configuration is written back.
    fn is_zero(&self) -> bool;
    /// The value as written back; secrets are masked.
    fn emit(&self) -> Out;
    /// How the generated reference describes the type.
    fn shape() -> Shape;
}

/// A mapping whose fields are checked against each other, with the places of its keys.
#[derive(Debug, Clone, Copy)]
pub struct At<'n> {
    /// The mapping.
    pub node: &'n Node,
}

impl<'n> At<'n> {
    /// The value of a key that is there and not null.
    pub fn value(&self, key: &str) -> Option<&'n Node> {
        self.node.get(key).filter(|value| !value.is_null())
    }

    /// Whether a key is there, even if null.
    pub fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// Whether a key is there and null.
    pub fn is_null(&self, key: &str) -> bool {
        self.node.get(key).is_some_and(Node::is_null)
    }

    /// The text of a scalar, or the empty string.
    pub fn text(&self, key: &str) -> &'n str {
        self.value(key).and_then(Node::text).unwrap_or_default()
    }

    /// The items of a list.
    pub fn items(&self, key: &str) -> &'n [Node] {
        self.value(key).map_or(&[], Node::items)
    }

    /// The mapping under a key.
    pub fn child(&self, key: &str) -> At<'n> {
        At { node: self.value(key).unwrap_or(self.node) }
    }

    /// The `i`-th item of the list under a key.
    pub fn item(&self, key: &str, i: usize) -> At<'n> {
        At { node: self.items(key).get(i).unwrap_or(self.node) }
    }

    /// A fault at the value of `key`, or at the key when its value has no text of its own, or at the
    /// mapping when the key is missing.
    pub fn fault(&self, key: &str, message: impl Into<String>) -> Fault {
        let pos = match self.node.entry(key) {
            Some((_, value)) if matches!(&value.value, Value::Scalar(s) if !s.text.is_empty()) => value.pos,
            Some((key, _)) => key.pos,
            None => self.place(),
        };
        Fault::new(pos, message)
    }

    /// The place of the mapping: its first key, which is where it becomes visible.
    pub fn place(&self) -> Pos {
        self.node.entries().first().map_or(self.node.pos, |(key, _)| key.pos)
    }

    /// Fails when the list under `key` has a null item.
    pub fn no_null_items(&self, key: &str, message: &str) -> Result<(), Fault> {
        match self.items(key).iter().find(|item| item.is_null()) {
            Some(item) => {
                let pos = if item.pos.line > 0 { item.pos } else { self.fault(key, "").pos };
                Err(Fault::new(pos, message).remedy("remove the lone dash, or fill in the item"))
            }
            None => Ok(()),
        }
    }
}

/// Reads the fields of one mapping and refuses what is left over.
#[derive(Debug)]
pub struct Fields<'n, 'c> {
    node: &'n Node,
    type_name: &'static str,
    cx: &'c Cx<'c>,
    known: Vec<&'static str>,
}

impl<'n, 'c> Fields<'n, 'c> {
    /// A reader of `node`, which messages call `type_name`.
    pub fn new(node: &'n Node, type_name: &'static str, cx: &'c Cx<'c>) -> Result<Self, Fault> {
        match &node.value {
            Value::Mapping(_) => Ok(Self { node, type_name, cx, known: Vec::new() }),
            _ => Err(wrong_shape(node, type_name)
                .remedy("write `key: value` lines, indented below the section's name")),
        }
    }

    /// What readers share.
    pub fn cx(&self) -> &'c Cx<'c> {
        self.cx
    }

    /// Marks a key as known without reading it, and returns its value.
    pub fn raw(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        let mut found = self.node.entries().iter().filter(|(k, _)| k.text() == Some(key));
        let first = found.next()?;
        for (again, _) in found {
            let message = format!("field {key} already set in type {}", self.type_name);
            let remedy = format!("join it with the one on line {}", first.0.pos.line);
            self.cx.note(Fault::unmarshal(again.pos, message).remedy(remedy));
        }
        Some(&first.1)
    }

    /// Reads a field; absent, it is `default`. A value of the wrong shape is noted, and reading goes on.
    pub fn take<T: Setting>(&mut self, key: &'static str, default: impl FnOnce() -> T) -> Result<T, Fault> {
        match self.raw(key) {
            None => Ok(default()),
            Some(node) if node.is_null() => Ok(T::zero()),
            Some(node) => match T::decode(node, self.cx) {
                Err(fault) if fault.unmarshal => {
                    self.cx.note(fault);
                    Ok(default())
                }
                other => other,
            },
        }
    }

    /// Warns of every key that nothing has read.
    pub(crate) fn finish_with_warnings(self) {
        for (key, _) in self.node.entries() {
            let name = key.text().unwrap_or_default();
            if !self.known.contains(&name) {
                let (file, line) = (self.cx.file.display(), key.pos.line);
                self.cx.warn(format!("{file}: line {line}: {name} of a {} has no effect", self.type_name));
            }
        }
    }

    /// Notes every key that nothing has read.
    pub fn finish(self) {
        for (key, _) in self.node.entries() {
            let name = key.text().unwrap_or_default();
            if self.known.contains(&name) {
                continue;
            }
            let fault =
                Fault::unmarshal(key.pos, format!("field {name} not found in type {}", self.type_name));
            self.cx.note(match nearest(name, self.known.iter().copied()) {
                Some(meant) => fault.remedy(format!("did you mean {meant:?}?")),
                None => fault.remedy(format!("remove it; known here: {}", self.known.join(", "))),
            });
        }
    }
}

/// The fault of a node that cannot become a `type_name`.
pub(crate) fn wrong_shape(node: &Node, type_name: &str) -> Fault {
    let value = match node.text() {
        Some(text) if text.chars().count() > 10 => {
            format!(" `{}...`", text.chars().take(7).collect::<String>())
        }
        Some(text) => format!(" `{text}`"),
        None => String::new(),
    };
    Fault::unmarshal(node.pos, format!("cannot unmarshal {}{value} into {type_name}", node.tag()))
        .remedy("write a single value")
}

/// The text of a scalar node that is to become a `type_name`.
pub(crate) fn scalar_text<'n>(node: &'n Node, type_name: &str) -> Result<&'n str, Fault> {
    match &node.value {
        Value::Scalar(scalar) if scalar.invalid_utf8.is_some() => {
            let message = format!("{} is not valid UTF-8", quote_bytes(node));
            Err(Fault::new(node.pos, message).remedy("write UTF-8 text"))
        }
        Value::Scalar(scalar) => Ok(&scalar.text),
        _ => Err(wrong_shape(node, type_name)),
    }
}

/// The text of a scalar, quoted, with bytes that are not UTF-8 as `\xNN`.
pub(crate) fn quote_bytes(node: &Node) -> String {
    let Value::Scalar(scalar) = &node.value else { return String::new() };
    let bytes = scalar.invalid_utf8.as_deref().unwrap_or(scalar.text.as_bytes());
    let mut quoted = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let valid = model::labels::Quoted(chunk.valid()).to_string();
        quoted.push_str(&valid[1..valid.len() - 1]);
        chunk.invalid().iter().for_each(|byte| quoted.push_str(&format!("\\x{byte:02x}")));
    }
    quoted + "\""
}

impl Setting for bool {
    fn zero() -> Self {
        false
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let wrong = || wrong_shape(node, "bool").remedy("write true or false");
        match &node.value {
            Value::Scalar(scalar) if scalar.plain => match scalar.text.as_str() {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Ok(true),
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
                    Ok(false)
                }
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }

    fn is_zero(&self) -> bool {
        !self
    }

    fn emit(&self) -> Out {
        Out::Bare(self.to_string())
    }

    fn shape() -> Shape {
        Shape::Scalar("boolean")
    }
}

macro_rules! integer_setting {
    ($($ty:ty, $name:literal, $shape:literal;)*) => {$(
        impl Setting for $ty {
            fn zero() -> Self {
                0
            }

            fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
                let plain = matches!(&node.value, Value::Scalar(scalar) if scalar.plain);
                let number = node.text().filter(|_| plain).and_then(crate::yaml::parse_int);
                number.and_then(|n| <$ty>::try_from(n).ok()).ok_or_else(|| {
                    wrong_shape(node, $name).remedy(concat!("write a whole number (", $shape, ") without quotes"))
                })
            }

            fn is_zero(&self) -> bool {
                *self == 0
            }

            fn emit(&self) -> Out {
                Out::Bare(self.to_string())
            }

            fn shape() -> Shape {
                Shape::Scalar($shape)
            }
        }
    )*};
}

integer_setting! {
    u64, "uint", "integer, not negative";
    i64, "int", "integer";
    u16, "uint16", "integer from 0 to 65535";
}

impl Setting for f64 {
    fn zero() -> Self {
        0.0
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let plain = matches!(&node.value, Value::Scalar(scalar) if scalar.plain);
        let number = node.text().filter(|_| plain).and_then(|text| text.replace('_', "").parse().ok());
        number.ok_or_else(|| wrong_shape(node, "float64").remedy("write a number without quotes"))
    }

    fn is_zero(&self) -> bool {
        *self == 0.0
    }

    fn emit(&self) -> Out {
        Out::Bare(self.to_string())
    }

    fn shape() -> Shape {
        Shape::Scalar("number")
    }
}

impl Setting for String {
    fn zero() -> Self {
        String::new()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        scalar_text(node, "string").map(str::to_owned)
    }

    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn emit(&self) -> Out {
        Out::Text(self.clone())
    }

    fn shape() -> Shape {
        Shape::Scalar("string")
    }
}

/// A path of a file; relative ones start from the directory of the configuration file.
impl Setting for PathBuf {
    fn zero() -> Self {
        PathBuf::new()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        Ok(join_dir(cx.dir, scalar_text(node, "string")?))
    }

    fn is_zero(&self) -> bool {
        self.as_os_str().is_empty()
    }

    fn emit(&self) -> Out {
        Out::Text(self.display().to_string())
    }

    fn shape() -> Shape {
        Shape::Scalar("path")
    }
}

/// `path` seen from `dir`, without `.` and `..` steps that cancel; absolute and empty paths stay.
pub fn join_dir(dir: &Path, path: &str) -> PathBuf {
    use std::path::Component;
    if path.is_empty() || Path::new(path).is_absolute() {
        return PathBuf::from(path);
    }
    let mut joined = PathBuf::new();
    for part in dir.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(joined.components().next_back(), Some(Component::Normal(_))) => {
                joined.pop();
            }
            part => joined.push(part),
        }
    }
    joined
}

impl<T: Setting> Setting for Option<T> {
    fn zero() -> Self {
        None
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        // An empty word chooses nothing.
        if node.text() == Some("") && matches!(T::shape(), Shape::OneOf(_)) {
            return Ok(None);
        }
        T::decode(node, cx).map(Some)
    }

    fn is_zero(&self) -> bool {
        self.is_none()
    }

    fn emit(&self) -> Out {
        self.as_ref().map_or(Out::Null, T::emit)
    }

    fn shape() -> Shape {
        T::shape()
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn zero() -> Self {
        Vec::new()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let items = match &node.value {
            Value::Sequence(items) => items.as_slice(),
            // The reference takes a lone scalar for a list of one.
            Value::Scalar(_) if matches!(T::shape(), Shape::Scalar(_)) => std::slice::from_ref(node),
            _ => {
                return Err(
                    wrong_shape(node, "[]string").remedy("write a list: one `- item` a line, or [a, b]")
                );
            }
        };
        let mut decoded = Vec::with_capacity(items.len());
        for item in items {
            if item.is_null() {
                decoded.push(T::zero());
                continue;
            }
            match T::decode(item, cx) {
                Ok(value) => decoded.push(value),
                Err(fault) if fault.unmarshal => cx.note(fault),
                Err(fault) => return Err(fault),
            }
        }
        Ok(decoded)
    }

    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn emit(&self) -> Out {
        Out::List(self.iter().map(T::emit).collect())
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

impl<T: Setting> Setting for BTreeMap<String, T> {
    fn zero() -> Self {
        BTreeMap::new()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let Value::Mapping(entries) = &node.value else {
            return Err(wrong_shape(node, "map[string]string").remedy("write `name: value` lines"));
        };
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let name = scalar_text(key, "string")?.to_owned();
            let decoded = if value.is_null() { T::zero() } else { T::decode(value, cx)? };
            if map.insert(name.clone(), decoded).is_some() {
                cx.note(
                    Fault::unmarshal(key.pos, format!("key {name:?} already set in map"))
                        .remedy("keep one of them"),
                );
            }
        }
        Ok(map)
    }

    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn emit(&self) -> Out {
        Out::Map(self.iter().map(|(name, value)| (name.clone(), value.emit())).collect())
    }

    fn shape() -> Shape {
        Shape::Map(Box::new(T::shape()))
    }
}
