//! Spreads long queries over lines.

use super::{Grouping, Operator, SubqueryRange};
use crate::ast::Expr;

/// Expressions longer than this are split.
const MAX_LINE_BYTES: usize = 100;

/// The query, with every expression too long for one line split into its parts, which are indented
/// by two blanks a level.
pub fn prettify(expr: &Expr) -> String {
    let mut out = String::new();
    write(expr, 0, &mut out);
    out
}

fn indent(level: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn write(expr: &Expr, level: usize, out: &mut String) {
    let line = expr.to_string();
    let is_leaf = matches!(expr, Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_));
    if is_leaf || (line.len() <= MAX_LINE_BYTES && !matches!(expr, Expr::Unary(_) | Expr::Subquery(_))) {
        indent(level, out);
        out.push_str(&line);
        return;
    }
    match expr {
        Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => {}
        // A subquery on one line stands where it is put: its parent has not indented it either.
        Expr::Subquery(_) if line.len() <= MAX_LINE_BYTES => out.push_str(&line),
        Expr::Subquery(subquery) => {
            write(&subquery.expr, level, out);
            out.push_str(&SubqueryRange(subquery).to_string());
        }
        Expr::Unary(unary) => {
            let mut operand = String::new();
            write(&unary.expr, level, &mut operand);
            indent(level, out);
            out.push_str(unary.op.as_str());
            out.push_str(operand.trim());
        }
        Expr::Paren(paren) => {
            indent(level, out);
            block([&*paren.expr], level, out);
        }
        Expr::Call(call) => {
            indent(level, out);
            out.push_str(call.function.name);
            block(&call.args, level, out);
        }
        Expr::Aggregate(aggregate) => {
            indent(level, out);
            out.push_str(&Grouping(aggregate).to_string());
            block(aggregate.param.as_deref().into_iter().chain([&*aggregate.expr]), level, out);
        }
        Expr::Binary(binary) => {
            write(&binary.lhs, level + 1, out);
            out.push('\n');
            indent(level, out);
            out.push_str(&Operator(binary).to_string());
            out.push('\n');
            write(&binary.rhs, level + 1, out);
        }
    }
}

/// The parts on lines of their own, one level deeper, in parentheses.
fn block<'a>(parts: impl IntoIterator<Item = &'a Expr>, level: usize, out: &mut String) {
    out.push_str("(\n");
    for (i, part) in parts.into_iter().enumerate() {
        out.push_str(if i > 0 { ",\n" } else { "" });
        write(part, level + 1, out);
    }
    out.push('\n');
    indent(level, out);
    out.push(')');
}
