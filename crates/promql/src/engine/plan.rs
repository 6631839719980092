//! From the syntax tree to a plan: what to evaluate once, and what is the same.
//!
//! The plan is a graph without duplicates: equal subexpressions are one node, whatever their place in
//! the text. Durations, `@` and `offset` are resolved to milliseconds, the query-context functions
//! (`start()` and the like) to numbers, and what does not depend on the step is marked by
//! [`Kind::Once`].

mod lower;

use std::collections::HashMap;

use model::{Labels, Matcher};
use syntax::Span;

use super::selector::TimeShift;
use super::value::RangeExtension;
use crate::ast::{AggregateOp, BinaryOp, Cardinality, ValueType};

pub(crate) use lower::{QueryTimes, lower};

/// A node of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

/// A number compared by its bits, so that nodes can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bits(u64);

impl Bits {
    pub fn new(value: f64) -> Self {
        Self(value.to_bits())
    }

    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// Which series, and when to look at them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Selector {
    pub matchers: Vec<Matcher>,
    pub shift: TimeShift,
    pub extension: RangeExtension,
    /// Whether of its histograms only count and sum are looked at.
    pub statistics: bool,
}

/// The labels an aggregation groups by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Grouping {
    /// Sorted, without duplicates.
    pub labels: Vec<String>,
    pub without: bool,
}

/// How elements of two vectors find each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Matching {
    pub cardinality: Cardinality,
    pub on: bool,
    /// Sorted, without duplicates.
    pub labels: Vec<String>,
    pub include: Vec<String>,
    pub fill_left: Option<Bits>,
    pub fill_right: Option<Bits>,
}

/// What a node computes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A scalar constant.
    Number(Bits),
    /// A string constant.
    String(String),
    /// An instant vector selector.
    Selector(Selector),
    /// A range vector selector.
    Range {
        selector: Selector,
        range_ms: i64,
    },
    /// An expression evaluated over a range.
    Subquery {
        inner: NodeId,
        range_ms: i64,
        step_ms: Option<i64>,
        shift: TimeShift,
    },
    /// An expression whose value does not depend on the step.
    Once(NodeId),
    /// Unary minus.
    Negate(NodeId),
    Binary {
        op: BinaryOp,
        return_bool: bool,
        lhs: NodeId,
        rhs: NodeId,
        /// Present exactly when both sides are vectors.
        matching: Option<Matching>,
    },
    Aggregate {
        op: AggregateOp,
        grouping: Grouping,
        param: Option<NodeId>,
        input: NodeId,
    },
    /// `absent` and `absent_over_time`: 1 with these labels where `input` has no value.
    Absent {
        input: NodeId,
        labels: Labels,
    },
    /// `info`.
    Info {
        input: NodeId,
        /// The second argument.
        conditions: Option<Vec<Matcher>>,
        /// When info series are looked at: as the first selector of `input`.
        shift: TimeShift,
    },
    /// Every other function.
    Call {
        name: &'static str,
        args: Vec<NodeId>,
    },
}

impl Kind {
    fn children(&self) -> Vec<NodeId> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Selector(_) | Self::Range { .. } => Vec::new(),
            Self::Subquery { inner, .. } | Self::Once(inner) | Self::Negate(inner) => vec![*inner],
            Self::Binary { lhs, rhs, .. } => vec![*lhs, *rhs],
            Self::Aggregate { param, input, .. } => param.iter().copied().chain([*input]).collect(),
            Self::Absent { input, .. } | Self::Info { input, .. } => vec![*input],
            Self::Call { args, .. } => args.clone(),
        }
    }
}

/// A node with what is known of it.
#[derive(Debug)]
pub(crate) struct Node {
    pub kind: Kind,
    pub value_type: ValueType,
    /// Where the expression first stands, for annotations.
    pub span: Span,
    /// Where its arguments stand, in the order of the text: an equal argument may first have stood
    /// elsewhere.
    pub arg_spans: Vec<Span>,
    /// How many nodes use it.
    pub uses: usize,
}

/// A query ready to be opened for evaluation.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    nodes: Vec<Node>,
    index: HashMap<Kind, NodeId>,
    root: Option<NodeId>,
}

impl Plan {
    /// The node of the whole query.
    pub fn root(&self) -> NodeId {
        self.root.expect("lowering sets the root before it returns a plan")
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn add(&mut self, kind: Kind, value_type: ValueType, span: Span, arg_spans: Vec<Span>) -> NodeId {
        if let Some(&known) = self.index.get(&kind) {
            return known;
        }
        for child in kind.children() {
            self.nodes[child.0 as usize].uses += 1;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).expect("a query text has fewer than 2^32 nodes"));
        self.index.insert(kind.clone(), id);
        self.nodes.push(Node { kind, value_type, span, arg_spans, uses: 0 });
        id
    }
}
