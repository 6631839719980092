//! Test files as they are written.

use std::collections::BTreeMap;
use std::path::Path;

use config::decode::{Cx, Fields, Setting};
use config::section::Shape;
use config::yaml::{Limits, Node, Out, parse};
use config::{ConfigError, Fault, PromDuration, Source};

/// A file of tests.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TestFile {
    /// Patterns of rule files, seen from the directory of the file.
    pub rule_files: Vec<String>,
    /// How often rules are evaluated; a minute by default.
    pub evaluation_interval: PromDuration,
    /// Groups that are evaluated in this order.
    pub group_eval_order: Vec<String>,
    /// The tests.
    pub tests: Vec<TestGroup>,
    /// Whether neighbouring floats are equal.
    pub fuzzy_compare: bool,
}

/// One test: series and what is expected with them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TestGroup {
    /// The distance of samples, and how often groups are evaluated that do not say it.
    pub interval: PromDuration,
    /// The series.
    pub input_series: Vec<InputSeries>,
    /// Alerts that are expected.
    pub alert_rule_test: Vec<AlertTest>,
    /// Results of expressions that are expected.
    pub promql_expr_test: Vec<ExprTest>,
    /// The external labels templates see.
    pub external_labels: BTreeMap<String, String>,
    /// The external URL templates see.
    pub external_url: String,
    /// The name of the test.
    pub name: String,
    /// When the first samples are, in milliseconds since the Unix epoch.
    pub start_timestamp: StartTimestamp,
}

/// A series in the notation of test scripts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InputSeries {
    /// The metric and its labels.
    pub series: String,
    /// The values, one per interval.
    pub values: String,
}

/// Alerts that are expected to fire at a time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlertTest {
    /// Since the start.
    pub eval_time: PromDuration,
    /// The name of the alerts.
    pub alertname: String,
    /// All of them.
    pub exp_alerts: Vec<ExpectedAlert>,
}

/// An alert that is expected to fire.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExpectedAlert {
    /// Its labels, but for its name.
    pub exp_labels: BTreeMap<String, String>,
    /// Its annotations.
    pub exp_annotations: BTreeMap<String, String>,
}

/// What an expression is expected to evaluate to at a time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExprTest {
    /// The expression.
    pub expr: String,
    /// Since the start.
    pub eval_time: PromDuration,
    /// All elements of the result.
    pub exp_samples: Vec<ExpectedSample>,
}

/// An element of an expected result.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExpectedSample {
    /// The metric and its labels.
    pub labels: String,
    /// The value of a float.
    pub value: f64,
    /// A histogram in the notation of test scripts; the value then means nothing.
    pub histogram: String,
}

/// A time as seconds since the Unix epoch, perhaps with a fraction, or as RFC 3339; in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StartTimestamp(pub i64);

impl TestFile {
    /// Reads a text. The error is promtool's.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root = parse(text, Limits::default()).map_err(|fault| fault.message)?;
        let cx = Cx::new(Path::new(""));
        let decoded = if root.is_null() { Ok(Self::default()) } else { Self::decode(&root, &cx) };
        let source = Source::new("", text);
        let mut file =
            cx.finish(decoded).map_err(|faults| ConfigError::new(&source, &faults).message().to_owned())?;
        let or = |interval: &mut PromDuration, default: PromDuration| {
            if interval.as_ms() == 0 {
                *interval = default;
            }
        };
        or(&mut file.evaluation_interval, PromDuration::from_secs(60));
        let default = file.evaluation_interval;
        file.tests.iter_mut().for_each(|test| or(&mut test.interval, default));
        Ok(file)
    }
}

impl Setting for StartTimestamp {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let text = String::decode(node, cx)?;
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
        if let Some(seconds) = seconds {
            return Ok(Self((seconds * 1e3).round() as i64));
        }
        match text.parse::<jiff::Timestamp>() {
            Ok(at) => Ok(Self(at.as_millisecond())),
            Err(_) => Err(Fault::new(node.pos, format!("cannot parse {text:?} to a valid timestamp"))),
        }
    }

    fn is_zero(&self) -> bool {
        self.0 == 0
    }

    fn emit(&self) -> Out {
        Out::Bare((self.0 as f64 / 1e3).to_string())
    }

    fn shape() -> Shape {
        Shape::Scalar("time")
    }
}

/// Makes a mapping of known keys readable. The keys are the names of the fields.
macro_rules! readable {
    ($ty:ident, $type_name:literal, { $($field:ident: $default:expr),* $(,)? }) => {
        impl Setting for $ty {
            fn zero() -> Self {
                Self::default()
            }

            fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
                let mut fields = Fields::new(node, $type_name, cx)?;
                let read = Self { $($field: fields.take(stringify!($field), || $default)?),* };
                fields.finish();
                Ok(read)
            }

            fn is_zero(&self) -> bool {
                *self == Self::default()
            }

            fn emit(&self) -> Out {
                Out::Map(vec![$((stringify!($field).to_owned(), self.$field.emit())),*])
            }

            fn shape() -> Shape {
                Shape::Scalar($type_name)
            }
        }
    };
}

readable!(TestFile, "main.unitTestFile", {
    rule_files: Vec::new(),
    evaluation_interval: PromDuration::default(),
    group_eval_order: Vec::new(),
    tests: Vec::new(),
    fuzzy_compare: false,
});
readable!(TestGroup, "main.testGroup", {
    interval: PromDuration::default(),
    input_series: Vec::new(),
    alert_rule_test: Vec::new(),
    promql_expr_test: Vec::new(),
    external_labels: BTreeMap::new(),
    external_url: String::new(),
    name: String::new(),
    start_timestamp: StartTimestamp::default(),
});
readable!(InputSeries, "main.series", { series: String::new(), values: String::new() });
readable!(AlertTest, "main.alertTestCase", {
    eval_time: PromDuration::default(),
    alertname: String::new(),
    exp_alerts: Vec::new(),
});
readable!(ExpectedAlert, "main.alert", {
    exp_labels: BTreeMap::new(),
    exp_annotations: BTreeMap::new(),
});
readable!(ExprTest, "main.promqlTestCase", {
    expr: String::new(),
    eval_time: PromDuration::default(),
    exp_samples: Vec::new(),
});
readable!(ExpectedSample, "main.sample", {
    labels: String::new(),
    value: 0.0,
    histogram: String::new(),
});
