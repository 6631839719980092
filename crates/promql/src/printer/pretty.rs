//! Spreads long queries over lines.

use super::{Grouping, Operator, SubqueryRange};
use crate::ast::Expr;

/// Expressions longer than this are split.
const MAX_LINE_BYTES: usize = 100;

/// The query, with every expression too long for one line split into its parts, which are indented
/// by two blanks a level.
pub fn prettify(expr: &Expr) -> String {
    prettify_to_width(expr, MAX_LINE_BYTES)
}

/// As [`prettify`], with another length from which on expressions are split.
pub(super) fn prettify_to_width(expr: &Expr, max_line_bytes: usize) -> String {
    let mut out = String::new();
    Layout { max_line_bytes }.write(expr, 0, &mut out);
    out
}

fn indent(level: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", level));
}

struct Layout {
    max_line_bytes: usize,
}

impl Layout {
    fn write(&self, expr: &Expr, level: usize, out: &mut String) {
        let line = expr.to_string();
        let is_leaf = matches!(expr, Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_));
        if is_leaf
            || (line.len() <= self.max_line_bytes && !matches!(expr, Expr::Unary(_) | Expr::Subquery(_)))
        {
            indent(level, out);
            out.push_str(&line);
            return;
        }
        match expr {
            Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => {}
            // A subquery on one line stands where it is put: its parent has not indented it either.
            Expr::Subquery(_) if line.len() <= self.max_line_bytes => out.push_str(&line),
            Expr::Subquery(subquery) => {
                self.write(&subquery.expr, level, out);
                out.push_str(&SubqueryRange(subquery).to_string());
            }
            Expr::Unary(unary) => {
                let mut operand = String::new();
                self.write(&unary.expr, level, &mut operand);
                indent(level, out);
                out.push_str(unary.op.as_str());
                out.push_str(operand.trim());
            }
            Expr::Paren(paren) => {
                indent(level, out);
                self.block([&*paren.expr], level, out);
            }
            Expr::Call(call) => {
                indent(level, out);
                out.push_str(call.function.name);
                self.block(&call.args, level, out);
            }
            Expr::Aggregate(aggregate) => {
                indent(level, out);
                out.push_str(&Grouping(aggregate).to_string());
                self.block(aggregate.param.as_deref().into_iter().chain([&*aggregate.expr]), level, out);
            }
            Expr::Binary(binary) => {
                self.write(&binary.lhs, level + 1, out);
                out.push('\n');
                indent(level, out);
                out.push_str(&Operator(binary).to_string());
                out.push('\n');
                self.write(&binary.rhs, level + 1, out);
            }
        }
    }

    /// The parts on lines of their own, one level deeper, in parentheses.
    fn block<'a>(&self, parts: impl IntoIterator<Item = &'a Expr>, level: usize, out: &mut String) {
        out.push_str("(\n");
        for (i, part) in parts.into_iter().enumerate() {
            out.push_str(if i > 0 { ",\n" } else { "" });
            self.write(part, level + 1, out);
        }
        out.push('\n');
        indent(level, out);
        out.push(')');
    }
}
