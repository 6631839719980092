//! Visiting the nodes of a tree.

use super::{Expr, VectorSelector};
use model::Matcher;

impl Expr {
    /// The expressions directly below, in the order they are written; an aggregation's parameter
    /// comes after its vector. A range selector has none: its vector selector is part of it.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => Vec::new(),
            Self::Unary(e) => vec![&e.expr],
            Self::Binary(e) => vec![&e.lhs, &e.rhs],
            Self::Aggregate(e) => std::iter::once(&*e.expr).chain(e.param.as_deref()).collect(),
            Self::Call(e) => e.args.iter().collect(),
            Self::Paren(e) => vec![&e.expr],
            Self::Subquery(e) => vec![&e.expr],
        }
    }

    /// The expressions directly below, in the order of [`Expr::children`], to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => Vec::new(),
            Self::Unary(e) => vec![&mut e.expr],
            Self::Binary(e) => vec![&mut e.lhs, &mut e.rhs],
            Self::Aggregate(e) => std::iter::once(&mut *e.expr).chain(e.param.as_deref_mut()).collect(),
            Self::Call(e) => e.args.iter_mut().collect(),
            Self::Paren(e) => vec![&mut e.expr],
            Self::Subquery(e) => vec![&mut e.expr],
        }
    }

    /// Calls `visit` for this expression and everything below, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// Calls `visit` for this expression and everything below, parents first.
    pub fn walk_mut(&mut self, visit: &mut impl FnMut(&mut Expr)) {
        visit(self);
        for child in self.children_mut() {
            child.walk_mut(visit);
        }
    }

    /// All vector selectors, those of range selectors included, in the order they are written.
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.walk(&mut |expr| match expr {
            Self::Vector(selector) => found.push(selector),
            Self::Matrix(matrix) => found.push(&matrix.selector),
            _ => {}
        });
        found
    }

    /// The matchers of all selectors.
    pub fn matcher_sets(&self) -> Vec<Vec<Matcher>> {
        self.selectors().into_iter().map(|selector| selector.matchers.clone()).collect()
    }
}
