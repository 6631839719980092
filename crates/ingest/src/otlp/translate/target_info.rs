//! The series that tells about a resource.

use model::{AppendError, METRIC_NAME, Metadata, MetricType, SampleValue};
use smol_str::SmolStr;
use wire::otlp::ResourceMetrics;

use super::super::context::{
    Description, ResourceLabels, SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE,
};
use super::super::sink::{Sample, SampleError};
use super::series::identify;
use super::{Translator, Trouble};

/// The series that tells about a resource.
pub(super) const TARGET_INFO: &str = "target_info";
/// Samples of it in one request: two and a half years of them are a mistake in a timestamp.
const MAX_TARGET_INFO_SAMPLES: u64 = 1000;

impl Translator<'_> {
    /// Tells about a resource from its first point to its last, often enough for queries to find it anywhere
    /// between them.
    pub(super) fn target_info(
        &mut self,
        resource: &ResourceMetrics<'_>,
        labels: &ResourceLabels,
        (earliest_ns, latest_ns): (u64, u64),
    ) -> Result<(), Trouble> {
        const IDENTIFYING: [&str; 3] = [SERVICE_NAMESPACE, SERVICE_NAME, SERVICE_INSTANCE_ID];
        let mut has_more = false;
        for attribute in resource.attributes.iter() {
            has_more |= !IDENTIFYING.contains(&attribute?.key);
        }
        if !has_more {
            return Ok(());
        }
        let keeps = self.in_force.translation.keep_identifying_resource_attributes;
        let ignored: &[&str] = if keeps { &[] } else { &IDENTIFYING };
        self.attribute_labels(&resource.attributes, ignored, "resource")?;
        identify(&mut self.labels, labels);
        if self.labels.get("job").is_empty() && self.labels.get("instance").is_empty() {
            return Ok(());
        }
        let series_labels = self.labels.build(&[(METRIC_NAME, TARGET_INFO)]);
        let series = self.resolve(&series_labels)?;
        let help = SmolStr::new_static("Target metadata");
        let metadata = Metadata { metric_type: MetricType::Gauge, help, ..Metadata::default() };
        let description = Description { metadata: Some(metadata), is_empty: false };
        let interval_ns =
            u64::try_from(self.shared.options.lookback.as_nanos() / 2).unwrap_or(u64::MAX).max(1);
        let steps = (latest_ns - earliest_ns).div_ceil(interval_ns).min(MAX_TARGET_INFO_SAMPLES);
        let first_ns = earliest_ns.max(latest_ns.saturating_sub(steps.saturating_mul(interval_ns)));
        for step in 0..=steps {
            let t_ns = if step == steps { latest_ns } else { first_ns + step * interval_ns };
            let t_ms = (t_ns as i64) / 1_000_000;
            if !self.told.insert((series_labels.hash64(), t_ms)) {
                continue;
            }
            let sample = Sample { start_ms: 0, t_ms, value: SampleValue::Float(1.0) };
            match self.sink.append(series, &sample, &[], &description) {
                // Another request told about this time already.
                Ok(()) | Err(SampleError::Append(AppendError::OutOfOrder | AppendError::TooOld)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
