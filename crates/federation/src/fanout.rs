//! A storage of one's own, joined with others that do their best.

use std::sync::Arc;

use arc_swap::ArcSwap;
use model::{
    Exemplar, LabelRequest, Labels, Matcher, Projection, QueryContext, RawChunk, SampleColumns,
    SelectRequest, SeriesSet, SeriesSource, SourceError, TimeRange,
};
use tsdb::merge::{MergedSet, Part, merge_sorted};

/// The primary source, and secondary ones whose series are added to it. What fails in the primary fails; what
/// fails in a secondary is missing from the answer, with a warning. Of samples at the same time the primary's
/// is taken, then that of the secondary listed first.
pub struct FanOut {
    primary: Arc<dyn SeriesSource>,
    secondaries: ArcSwap<Vec<Arc<dyn SeriesSource>>>,
}

impl std::fmt::Debug for FanOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FanOut").field("secondaries", &self.secondaries.load().len()).finish_non_exhaustive()
    }
}

impl FanOut {
    /// Only the primary, until secondaries are set.
    pub fn new(primary: Arc<dyn SeriesSource>) -> Self {
        Self { primary, secondaries: ArcSwap::default() }
    }

    /// Replaces the secondaries, for queries that begin from now on.
    pub fn set_secondaries(&self, secondaries: Vec<Arc<dyn SeriesSource>>) {
        self.secondaries.store(Arc::new(secondaries));
    }

    /// Asks all sources at once: the primary's answer, those of the secondaries that have one, and what
    /// became of the others.
    fn ask<T: Send>(
        &self,
        secondaries: &[Arc<dyn SeriesSource>],
        ctx: &QueryContext,
        ask: impl Fn(&dyn SeriesSource) -> Result<T, SourceError> + Sync,
    ) -> Result<Answers<T>, SourceError> {
        let ask = &ask;
        let (primary, others) = std::thread::scope(|scope| {
            // They wait for the network: threads of their own, not those that compute.
            let asked: Vec<_> =
                secondaries.iter().map(|source| scope.spawn(move || ask(&**source))).collect();
            let primary = ask(&*self.primary);
            if primary.is_err() {
                // Nobody will look at what the others say.
                ctx.cancel.cancel();
            }
            let failed = |_| Err(SourceError::Storage("reading a secondary storage ended early".to_owned()));
            (primary, asked.into_iter().map(|asked| asked.join().unwrap_or_else(failed)).collect::<Vec<_>>())
        });
        let mut answers = Answers { primary: primary?, secondaries: Vec::new(), warnings: Vec::new() };
        for answer in others {
            match answer {
                Ok(answer) => answers.secondaries.push(answer),
                // A limit of the query itself, not a fault of the source.
                Err(SourceError::Stopped(stop)) => return Err(stop.into()),
                Err(error) => answers.warnings.push(error.to_string()),
            }
        }
        Ok(answers)
    }

    fn lists(
        &self,
        limit: usize,
        ctx: &QueryContext,
        ask: impl Fn(&dyn SeriesSource) -> Result<Vec<String>, SourceError> + Sync,
    ) -> Result<Vec<String>, SourceError> {
        let secondaries = self.secondaries.load_full();
        if secondaries.is_empty() {
            return ask(&*self.primary);
        }
        let Answers { primary, secondaries: mut lists, warnings } = self.ask(&secondaries, ctx, ask)?;
        warnings.into_iter().for_each(|warning| ctx.warn(warning));
        lists.insert(0, primary);
        Ok(merge_sorted(lists, limit))
    }
}

struct Answers<T> {
    primary: T,
    secondaries: Vec<T>,
    warnings: Vec<String>,
}

impl SeriesSource for FanOut {
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        let secondaries = self.secondaries.load_full();
        if secondaries.is_empty() {
            return self.primary.select(request, ctx);
        }
        let full = SelectRequest {
            projection: Projection::All,
            // A source may leave out a series another one has, unless all are in order.
            limit: if request.sorted { request.limit } else { 0 },
            ..request.clone()
        };
        let Answers { primary, secondaries, warnings } =
            self.ask(&secondaries, ctx, |source| source.select(&full, ctx))?;
        let mut sets = secondaries;
        sets.retain(|set| !set.is_empty());
        let is_as_asked = full.limit == request.limit && request.projection == Projection::All;
        if sets.is_empty() && warnings.is_empty() && is_as_asked {
            return Ok(primary);
        }
        sets.insert(0, primary);
        let parts = sets.into_iter().map(|set| Part::of(set, i64::MAX)).collect();
        let (projection, sorted, limit) = (request.projection.clone(), request.sorted, request.limit);
        let merged = MergedSet::new(parts, projection, sorted, limit, ctx)?;
        Ok(Box::new(Warned { set: merged, warnings }))
    }

    fn label_names(&self, request: &LabelRequest, ctx: &QueryContext) -> Result<Vec<String>, SourceError> {
        self.lists(request.limit, ctx, |source| source.label_names(request, ctx))
    }

    fn label_values(
        &self,
        name: &str,
        request: &LabelRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, SourceError> {
        self.lists(request.limit, ctx, |source| source.label_values(name, request, ctx))
    }

    /// Only the primary has exemplars: no protocol asks others for them.
    fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        self.primary.exemplars(range, matcher_sets, ctx)
    }
}

/// A set from which something is missing.
struct Warned {
    set: MergedSet,
    warnings: Vec<String>,
}

impl SeriesSet for Warned {
    fn len(&self) -> usize {
        self.set.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.set.labels(i)
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.set.visit_labels(i, visit);
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        self.set.read(i, range, out, ctx)
    }

    fn read_last(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        self.set.read_last(i, range, out, ctx)
    }

    fn chunks(
        &self,
        i: usize,
        range: TimeRange,
        ctx: &QueryContext,
    ) -> Result<Option<Vec<RawChunk>>, SourceError> {
        self.set.chunks(i, range, ctx)
    }

    fn warnings(&self) -> Vec<String> {
        let mut all = self.warnings.clone();
        all.extend(self.set.warnings());
        all
    }
}

#[cfg(test)]
mod tests;
