//! Results of queries as templates see them.

use std::any::Any;
use std::sync::Arc;

use gotmpl::{Object, Type, Value};
use model::{FloatHistogram, Labels};

use crate::expression::Sample;

const SAMPLE_TYPE: &str = "*template.sample";

/// One element of a result: fields `Labels` and `Value`.
#[derive(Debug)]
pub(super) struct TemplateSample {
    pub labels: Labels,
    pub value: Value,
}

impl Object for TemplateSample {
    fn type_name(&self) -> &'static str {
        SAMPLE_TYPE
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Labels" => Some(Value::string_map(self.labels.iter())),
            "Value" => Some(self.value.clone()),
            _ => None,
        }
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// A histogram, which templates can only print.
#[derive(Debug)]
struct TemplateHistogram(Arc<FloatHistogram>);

impl Object for TemplateHistogram {
    fn type_name(&self) -> &'static str {
        "*histogram.FloatHistogram"
    }

    fn text(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

/// The value of a sample: a number or a histogram.
pub(super) fn value_of(sample: &Sample) -> Value {
    match &sample.histogram {
        Some(histogram) => Value::Object(Arc::new(TemplateHistogram(histogram.clone()))),
        None => Value::Float(sample.value),
    }
}

/// A result as a list.
pub(super) fn list_of(samples: &[Sample]) -> Value {
    let element = |sample: &Sample| {
        let sample = TemplateSample { labels: sample.labels.clone(), value: value_of(sample) };
        Value::Object(Arc::new(sample))
    };
    Value::list(samples.iter().map(element).collect(), Type::Named(SAMPLE_TYPE))
}

/// Hands the sample an argument is to `read`.
pub(super) fn with_sample<T>(value: &Value, read: impl FnOnce(&TemplateSample) -> T) -> Result<T, String> {
    let sample = match value {
        Value::Object(object) => object.as_any().and_then(|any| any.downcast_ref::<TemplateSample>()),
        _ => None,
    };
    let wrong = || format!("wrong type for value; expected {SAMPLE_TYPE}; got {}", value.type_name());
    sample.map(read).ok_or_else(wrong)
}
