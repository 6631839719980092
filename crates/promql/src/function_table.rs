//! The functions a query may call: names, argument types, result types.

use crate::ast::ValueType;
use crate::ast::ValueType::{Matrix, Scalar, String, Vector};

use Arity::{Exactly, Unbounded, UpTo};

/// What a function takes and returns.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// The name.
    pub name: &'static str,
    /// The types of the arguments. With a variable number of arguments the last type stands for
    /// all further ones.
    pub args: &'static [ValueType],
    /// How many arguments there may be.
    pub arity: Arity,
    /// The type of the result.
    pub returns: ValueType,
    /// Whether it needs the feature of experimental functions.
    pub experimental: bool,
}

/// How many arguments a function with declared argument types takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// As many as are declared.
    Exactly,
    /// The last declared one may be left out, or be repeated up to this many times.
    UpTo(usize),
    /// The last declared one may be left out, or be repeated.
    Unbounded,
}

impl Function {
    const fn new(name: &'static str, args: &'static [ValueType], arity: Arity, returns: ValueType) -> Self {
        Self { name, args, arity, returns, experimental: false }
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }

    /// The fewest and the most arguments; `None` for no upper bound.
    pub fn arg_count(&self) -> (usize, Option<usize>) {
        let declared = self.args.len();
        match self.arity {
            Exactly => (declared, Some(declared)),
            UpTo(times) => (declared - 1, Some(declared - 1 + times)),
            Unbounded => (declared - 1, None),
        }
    }

    /// The type argument `i` must have; `None` when there can be no such argument.
    pub fn arg_type(&self, i: usize) -> Option<ValueType> {
        match self.arity {
            Exactly => self.args.get(i).copied(),
            UpTo(_) | Unbounded => self.args.get(i).or(self.args.last()).copied(),
        }
    }
}

/// The function called `name`. Names are case-sensitive.
pub fn lookup(name: &str) -> Option<&'static Function> {
    let at = FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok()?;
    Some(&FUNCTIONS[at])
}

/// All functions, by name.
pub fn all() -> &'static [Function] {
    FUNCTIONS
}

static FUNCTIONS: &[Function] = &[
    Function::new("abs", &[Vector], Exactly, Vector),
    Function::new("absent", &[Vector], Exactly, Vector),
    Function::new("absent_over_time", &[Matrix], Exactly, Vector),
    Function::new("acos", &[Vector], Exactly, Vector),
    Function::new("acosh", &[Vector], Exactly, Vector),
    Function::new("asin", &[Vector], Exactly, Vector),
    Function::new("asinh", &[Vector], Exactly, Vector),
    Function::new("atan", &[Vector], Exactly, Vector),
    Function::new("atanh", &[Vector], Exactly, Vector),
    Function::new("avg_over_time", &[Matrix], Exactly, Vector),
    Function::new("ceil", &[Vector], Exactly, Vector),
    Function::new("changes", &[Matrix], Exactly, Vector),
    Function::new("clamp", &[Vector, Scalar, Scalar], Exactly, Vector),
    Function::new("clamp_max", &[Vector, Scalar], Exactly, Vector),
    Function::new("clamp_min", &[Vector, Scalar], Exactly, Vector),
    Function::new("cos", &[Vector], Exactly, Vector),
    Function::new("cosh", &[Vector], Exactly, Vector),
    Function::new("count_over_time", &[Matrix], Exactly, Vector),
    Function::new("day_of_month", &[Vector], UpTo(1), Vector),
    Function::new("day_of_week", &[Vector], UpTo(1), Vector),
    Function::new("day_of_year", &[Vector], UpTo(1), Vector),
    Function::new("days_in_month", &[Vector], UpTo(1), Vector),
    Function::new("deg", &[Vector], Exactly, Vector),
    Function::new("delta", &[Matrix], Exactly, Vector),
    Function::new("deriv", &[Matrix], Exactly, Vector),
    Function::new("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Exactly, Vector).experimental(),
    Function::new("end", &[], Exactly, Scalar).experimental(),
    Function::new("exp", &[Vector], Exactly, Vector),
    Function::new("first_over_time", &[Matrix], Exactly, Vector),
    Function::new("floor", &[Vector], Exactly, Vector),
    Function::new("histogram_avg", &[Vector], Exactly, Vector),
    Function::new("histogram_count", &[Vector], Exactly, Vector),
    Function::new("histogram_fraction", &[Scalar, Scalar, Vector], Exactly, Vector),
    Function::new("histogram_quantile", &[Scalar, Vector], Exactly, Vector),
    Function::new("histogram_quantiles", &[Vector, String, Scalar, Scalar], UpTo(9), Vector).experimental(),
    Function::new("histogram_stddev", &[Vector], Exactly, Vector),
    Function::new("histogram_stdvar", &[Vector], Exactly, Vector),
    Function::new("histogram_sum", &[Vector], Exactly, Vector),
    Function::new("hour", &[Vector], UpTo(1), Vector),
    Function::new("idelta", &[Matrix], Exactly, Vector),
    Function::new("increase", &[Matrix], Exactly, Vector),
    Function::new("info", &[Vector, Vector], UpTo(1), Vector).experimental(),
    Function::new("irate", &[Matrix], Exactly, Vector),
    Function::new("label_join", &[Vector, String, String, String], Unbounded, Vector),
    Function::new("label_replace", &[Vector, String, String, String, String], Exactly, Vector),
    Function::new("last_over_time", &[Matrix], Exactly, Vector),
    Function::new("ln", &[Vector], Exactly, Vector),
    Function::new("log10", &[Vector], Exactly, Vector),
    Function::new("log2", &[Vector], Exactly, Vector),
    Function::new("mad_over_time", &[Matrix], Exactly, Vector).experimental(),
    Function::new("max_of", &[Scalar, Scalar], Exactly, Scalar).experimental(),
    Function::new("max_over_time", &[Matrix], Exactly, Vector),
    Function::new("min_of", &[Scalar, Scalar], Exactly, Scalar).experimental(),
    Function::new("min_over_time", &[Matrix], Exactly, Vector),
    Function::new("minute", &[Vector], UpTo(1), Vector),
    Function::new("month", &[Vector], UpTo(1), Vector),
    Function::new("pi", &[], Exactly, Scalar),
    Function::new("predict_linear", &[Matrix, Scalar], Exactly, Vector),
    Function::new("present_over_time", &[Matrix], Exactly, Vector),
    Function::new("quantile_over_time", &[Scalar, Matrix], Exactly, Vector),
    Function::new("rad", &[Vector], Exactly, Vector),
    Function::new("range", &[], Exactly, Scalar).experimental(),
    Function::new("rate", &[Matrix], Exactly, Vector),
    Function::new("resets", &[Matrix], Exactly, Vector),
    Function::new("round", &[Vector, Scalar], UpTo(1), Vector),
    Function::new("scalar", &[Vector], Exactly, Scalar),
    Function::new("sgn", &[Vector], Exactly, Vector),
    Function::new("sin", &[Vector], Exactly, Vector),
    Function::new("sinh", &[Vector], Exactly, Vector),
    Function::new("sort", &[Vector], Exactly, Vector),
    Function::new("sort_by_label", &[Vector, String], Unbounded, Vector).experimental(),
    Function::new("sort_by_label_desc", &[Vector, String], Unbounded, Vector).experimental(),
    Function::new("sort_desc", &[Vector], Exactly, Vector),
    Function::new("sqrt", &[Vector], Exactly, Vector),
    Function::new("start", &[], Exactly, Scalar).experimental(),
    Function::new("start_timestamp", &[Vector], Exactly, Vector).experimental(),
    Function::new("stddev_over_time", &[Matrix], Exactly, Vector),
    Function::new("stdvar_over_time", &[Matrix], Exactly, Vector),
    Function::new("step", &[], Exactly, Scalar).experimental(),
    Function::new("sum_over_time", &[Matrix], Exactly, Vector),
    Function::new("tan", &[Vector], Exactly, Vector),
    Function::new("tanh", &[Vector], Exactly, Vector),
    Function::new("time", &[], Exactly, Scalar),
    Function::new("timestamp", &[Vector], Exactly, Vector),
    Function::new("ts_of_first_over_time", &[Matrix], Exactly, Vector).experimental(),
    Function::new("ts_of_last_over_time", &[Matrix], Exactly, Vector).experimental(),
    Function::new("ts_of_max_over_time", &[Matrix], Exactly, Vector).experimental(),
    Function::new("ts_of_min_over_time", &[Matrix], Exactly, Vector).experimental(),
    Function::new("vector", &[Scalar], Exactly, Vector),
    Function::new("year", &[Vector], UpTo(1), Vector),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_lookup_finds_every_function() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for function in all() {
            assert_eq!(lookup(function.name), Some(function));
        }
        assert_eq!(lookup("RATE"), None);
    }

    #[test]
    fn variable_arguments_repeat_the_last_type() {
        let join = lookup("label_join").unwrap();
        assert_eq!(join.arg_count(), (3, None));
        assert_eq!(join.arg_type(9), Some(String));
        let round = lookup("round").unwrap();
        assert_eq!(round.arg_count(), (1, Some(2)));
        assert_eq!(lookup("rate").unwrap().arg_type(1), None);
    }
}
