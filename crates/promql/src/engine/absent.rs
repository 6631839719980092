//! `absent` and `absent_over_time`.

use std::sync::Arc;

use model::Labels;

use super::env::Env;
use super::error::EvalResult;
use super::operator::{HeldRows, HeldSeries, Materialized, Operator, SharedOperator, drive};
use super::value::{StepVector, is_absent};

/// 1 with `labels` at each step where `input` has no value.
pub(crate) fn open_absent(
    env: &Arc<Env>,
    input: &dyn Operator,
    labels: Labels,
    steps: usize,
) -> EvalResult<SharedOperator> {
    let mut values = StepVector::constant(1.0, steps);
    let before = env.samples.current();
    drive(input, env, steps, |_, rows| {
        for row in rows.iter() {
            for step in 0..steps {
                if !is_absent(row.values[step]) {
                    values.clear_step(step);
                }
            }
        }
        Ok(())
    })?;
    env.samples.settle(before, steps as i64)?;
    let mut rows = HeldRows::new(env)?;
    if !values.is_all_absent() {
        rows.push(HeldSeries::new(labels, values))?;
    }
    Ok(Materialized::new(rows).shared())
}
