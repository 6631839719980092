//! Scalars: one value per step.

use std::sync::Arc;

use super::error::{EvalResult, QueryError};
use super::open::{Opener, Scope, once};
use super::operator::{SharedOperator, drive};
use super::plan::{Kind, NodeId};
use super::value::{StepVector, is_absent};
use crate::functions::{arith, math};

impl Opener<'_> {
    /// The values of a node of type scalar at the steps of `scope`.
    pub fn scalar(&mut self, id: NodeId, scope: Scope) -> EvalResult<Arc<[f64]>> {
        let steps = scope.grid.len;
        let plan = self.plan;
        let node = plan.node(id);
        Ok(match &node.kind {
            Kind::Number(value) => vec![value.value(); steps].into(),
            Kind::Once(inner) => {
                let values = self.scalar(*inner, once(scope))?;
                vec![values.first().copied().unwrap_or(f64::NAN); steps].into()
            }
            Kind::Negate(inner) => self.scalar(*inner, scope)?.iter().map(|v| -v).collect(),
            Kind::Binary { op, lhs, rhs, .. } => {
                let (lhs, rhs) = (self.scalar(*lhs, scope)?, self.scalar(*rhs, scope)?);
                lhs.iter().zip(&rhs[..]).map(|(&l, &r)| arith::floats(*op, l, r)).collect()
            }
            Kind::Call { name: "time", .. } => {
                (0..steps).map(|step| scope.grid.time_ms(step) as f64 / 1000.0).collect()
            }
            Kind::Call { name: "scalar", args } => {
                let input = self.vector(args[0], scope)?;
                self.only_value(input, steps)?.into()
            }
            Kind::Call { name: name @ ("min_of" | "max_of"), args } => {
                let (a, b) = (self.scalar(args[0], scope)?, self.scalar(args[1], scope)?);
                let choose = if *name == "min_of" { math::min } else { math::max };
                a.iter().zip(&b[..]).map(|(&a, &b)| choose(a, b)).collect()
            }
            _ => return Err(QueryError::Execution(format!("expected a scalar, got {}", node.value_type))),
        })
    }

    /// The one float of a vector at each step; NaN where there is none or more than one.
    fn only_value(&self, input: SharedOperator, steps: usize) -> EvalResult<Vec<f64>> {
        let mut found = vec![0_u32; steps];
        let mut values = vec![f64::NAN; steps];
        let before = self.env.samples.current();
        drive(&*input, &self.env, steps, |_, rows| {
            rows.iter().for_each(|row| note_floats(row, &mut found, &mut values));
            Ok(())
        })?;
        self.env.samples.settle(before, steps as i64)?;
        for (value, found) in values.iter_mut().zip(found) {
            if found > 1 {
                *value = f64::NAN;
            }
        }
        Ok(values)
    }
}

fn note_floats(row: &StepVector, found: &mut [u32], values: &mut [f64]) {
    for step in 0..row.len() {
        if !is_absent(row.values[step]) && row.histogram(step).is_none() {
            found[step] += 1;
            values[step] = row.values[step];
        }
    }
}
