//! A template as a tree.

use crate::value::Value;

/// A place in the text, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 0.
    pub column: u32,
}

/// A part of a template that is carried out.
#[derive(Debug)]
pub(crate) enum Node {
    /// Output as it stands.
    Text(Vec<u8>),
    /// A pipeline whose value is printed, unless it only sets variables.
    Action(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
    /// `{{template "name" pipeline}}`
    Template {
        name: String,
        argument: Option<Pipeline>,
        position: Position,
        text: String,
    },
}

/// What `if`, `with` and `range` share.
#[derive(Debug)]
pub(crate) struct Branch {
    pub pipeline: Pipeline,
    pub body: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// Commands, each of which gets the value of the one before as its last argument.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// Variables that are set, without their dollar sign.
    pub variables: Vec<String>,
    /// Whether they are set (`=`) instead of declared (`:=`).
    pub assigns: bool,
    pub commands: Vec<Command>,
}

/// An operand and its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    /// Never empty.
    pub operands: Vec<Operand>,
    pub position: Position,
    /// As written, for messages.
    pub text: String,
}

/// An operand and where it stands.
#[derive(Debug)]
pub(crate) struct Operand {
    pub kind: OperandKind,
    pub position: Position,
    /// As written, for messages.
    pub text: String,
}

#[derive(Debug)]
pub(crate) enum OperandKind {
    Dot,
    Nil,
    /// A constant: a truth value, a number or a text.
    Constant(Value),
    /// A whole number that no `int` holds: an error once it is evaluated.
    Overflow,
    /// `.a.b`
    Fields(Vec<String>),
    /// `$x.a.b`; the name has no dollar sign.
    Variable(String, Vec<String>),
    /// A function.
    Identifier(String),
    /// `( … )`
    Pipeline(Pipeline),
    /// `( … ).a.b` and functions with fields after them.
    Chain(Box<Operand>, Vec<String>),
}

impl OperandKind {
    /// Whether it can never take arguments or come after a pipe.
    pub fn is_constant(&self) -> bool {
        matches!(self, Self::Dot | Self::Nil | Self::Constant(_) | Self::Overflow)
    }
}
