//! Stored samples, with what the tested rules write in place of what they wrote before.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{
    Exemplar, LabelRequest, Labels, METRIC_NAME, Matcher, QueryContext, SampleColumns, SelectRequest,
    SeriesSet, SeriesSource, SourceError, TimeRange,
};

use crate::alert::{ALERT_NAME, ALERTS, ALERTS_FOR_STATE};
use crate::file::RuleFile;

/// The series the tested rules write.
pub(super) struct Written {
    metrics: BTreeSet<String>,
    alerts: BTreeSet<String>,
}

impl Written {
    pub fn of(files: &[(String, RuleFile)]) -> Self {
        let rules = || files.iter().flat_map(|(_, file)| &file.groups).flat_map(|group| &group.rules);
        let named = |name: &String| (!name.is_empty()).then(|| name.clone());
        Self {
            metrics: rules().filter_map(|rule| named(&rule.record)).collect(),
            alerts: rules().filter_map(|rule| named(&rule.alert)).collect(),
        }
    }

    /// Whether the tested rules write series of this metric.
    fn has_metric(&self, name: &str) -> bool {
        self.metrics.contains(name) || !self.alerts.is_empty() && (name == ALERTS || name == ALERTS_FOR_STATE)
    }

    /// Whether the tested rules write the series.
    fn has(&self, labels: &Labels) -> bool {
        match labels.metric_name() {
            ALERTS | ALERTS_FOR_STATE => self.alerts.contains(labels.get_or_empty(ALERT_NAME)),
            name => self.metrics.contains(name),
        }
    }

    /// Whether a selection may have a series the tested rules write.
    fn concerns(&self, matchers: &[Matcher]) -> bool {
        let name = matchers.iter().find(|matcher| matcher.name == METRIC_NAME);
        let mut names = self.metrics.iter().map(String::as_str).chain([ALERTS, ALERTS_FOR_STATE]);
        names.any(|metric| self.has_metric(metric) && name.is_none_or(|name| name.matches(metric)))
    }
}

/// Both as one source.
pub(super) struct Overlay {
    scratch: Arc<dyn SeriesSource>,
    history: Arc<dyn SeriesSource>,
    written: Arc<Written>,
}

impl Overlay {
    pub fn new(
        scratch: Arc<dyn SeriesSource>,
        history: Arc<dyn SeriesSource>,
        written: Arc<Written>,
    ) -> Self {
        Self { scratch, history, written }
    }
}

impl SeriesSource for Overlay {
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        if !self.written.concerns(&request.matchers) {
            return self.history.select(request, ctx);
        }
        // Which series are hidden shows only in all of their labels, and a limit must count those that remain.
        let request = SelectRequest { projection: model::Projection::All, limit: 0, ..request.clone() };
        let parts = [self.scratch.select(&request, ctx)?, self.history.select(&request, ctx)?];
        let mut places = Vec::new();
        for (part, set) in parts.iter().enumerate() {
            for i in 0..set.len() {
                let labels = set.labels(i);
                if part == 0 || !self.written.has(&labels) {
                    places.push((labels, part, i));
                }
            }
        }
        places.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Box::new(OverlaySet { parts, places }))
    }

    fn label_names(&self, request: &LabelRequest, ctx: &QueryContext) -> Result<Vec<String>, SourceError> {
        Ok(joined(self.scratch.label_names(request, ctx)?, self.history.label_names(request, ctx)?))
    }

    fn label_values(
        &self,
        name: &str,
        request: &LabelRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, SourceError> {
        let scratch = self.scratch.label_values(name, request, ctx)?;
        Ok(joined(scratch, self.history.label_values(name, request, ctx)?))
    }

    fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        self.history.exemplars(range, matcher_sets, ctx)
    }
}

fn joined(mut a: Vec<String>, b: Vec<String>) -> Vec<String> {
    a.extend(b);
    a.sort_unstable();
    a.dedup();
    a
}

struct OverlaySet {
    parts: [Box<dyn SeriesSet>; 2],
    /// Labels, part and place in it, in label order.
    places: Vec<(Labels, usize, usize)>,
}

impl SeriesSet for OverlaySet {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.places[i].0.clone()
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let (_, part, at) = self.places[i];
        self.parts[part].read(at, range, out, ctx)
    }

    fn read_last(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let (_, part, at) = self.places[i];
        self.parts[part].read_last(at, range, out, ctx)
    }

    fn warnings(&self) -> Vec<String> {
        self.parts.iter().flat_map(|part| part.warnings()).collect()
    }
}
