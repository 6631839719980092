//! Functions that read a distribution out of native histograms, or out of the series of a classic one.

use std::sync::Arc;

use model::{FloatHistogram, Labels, LabelsBuilder};
use rayon::prelude::*;

use super::env::{Env, HeldBytes, Scratch};
use super::error::{EvalResult, QueryError};
use super::grouping::{GroupKey, group_series};
use super::names::LabelEffect;
use super::operator::{Collision, Operator, SharedOperator, effective, resolve_collisions};
use super::value::{StepGrid, StepValue, StepVector};
use crate::annotations::{Annotation, Annotations};
use crate::functions::native::{native_fraction, native_quantile};
use crate::functions::quantile::{ClassicBucket, classic_fraction, classic_quantile};

/// The label that holds the bound of a classic bucket.
const BUCKET_LABEL: &str = "le";

/// What is read out of a distribution. Scalars have one value per step.
pub(crate) enum Reading {
    /// `histogram_quantile`.
    Quantile(Arc<[f64]>),
    /// `histogram_quantiles`: one series per quantile, told apart by a label.
    Quantiles {
        /// The label.
        label: String,
        /// The quantiles.
        quantiles: Vec<Arc<[f64]>>,
    },
    /// `histogram_fraction` between two bounds.
    Fraction(Arc<[f64]>, Arc<[f64]>),
}

/// The series of one distribution: equal labels but for the bucket's bound.
#[derive(Debug, Default)]
struct Family {
    /// By ascending bound.
    members: Vec<Member>,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    series: usize,
    /// The bound, if the label that holds it is there and a number. A series without may be a native
    /// histogram.
    bound: Option<f64>,
}

impl Member {
    /// By this number members are sorted: a bound may be NaN, too.
    fn order(&self) -> f64 {
        self.bound.unwrap_or(f64::NEG_INFINITY)
    }
}

/// One output series: a family, and for several quantiles the text of one.
#[derive(Debug)]
struct Output {
    family: usize,
    quantile: Option<String>,
}

/// Reads quantiles or fractions out of histograms.
pub(crate) struct HistogramReading {
    env: Arc<Env>,
    input: SharedOperator,
    families: Vec<Family>,
    outputs: Vec<Output>,
    reading: Reading,
    /// Where the vector argument starts in the query.
    vector_start: usize,
    grid: StepGrid,
    is_unique: bool,
    _held: HeldBytes,
}

struct FamilyKey;

impl GroupKey for FamilyKey {
    fn takes(&self, _at: &mut usize, name: &str) -> bool {
        name != BUCKET_LABEL
    }
}

impl HistogramReading {
    /// Prepares `reading` of the histograms in `input`.
    pub fn open(
        env: &Arc<Env>,
        input: SharedOperator,
        reading: Reading,
        vector_start: usize,
        grid: StepGrid,
    ) -> EvalResult<SharedOperator> {
        let mut held = HeldBytes::new(env)?;
        let families = families_of(env, &*input, &mut held)?;
        let outputs = outputs_of(families.len(), &reading, &mut held)?;
        // Every thread evaluates all members of a family at once.
        let largest = families.iter().map(|family| family.members.len()).max().unwrap_or(0);
        let row_bytes = grid.len * size_of::<f64>() + size_of::<StepVector>();
        held.add(largest.saturating_mul(row_bytes * rayon::current_num_threads()))?;
        let is_unique = input.is_unique_without_metadata();
        let opened = Self {
            env: env.clone(),
            input,
            families,
            outputs,
            reading,
            vector_start,
            grid,
            is_unique: true,
            _held: held,
        };
        if is_unique || env.settings.delayed_name_removal {
            return Ok(Arc::new(opened));
        }
        resolve_collisions(Arc::new(opened), env, grid.len, Collision::MergeSteps)
    }

    /// The labels all members share, the metric name included.
    fn family_labels(&self, family: &Family) -> Labels {
        self.input.labels(family.members[0].series).drop(&[BUCKET_LABEL])
    }

    /// The value of one distribution at a step.
    fn read_native(
        &self,
        histogram: &FloatHistogram,
        q: f64,
        step: usize,
        name: &str,
        notes: &mut Annotations,
    ) -> f64 {
        let (value, note) = match &self.reading {
            Reading::Fraction(lower, upper) => native_fraction(lower[step], upper[step], histogram),
            _ => native_quantile(q, histogram),
        };
        if let Some(note) = note {
            notes.add(note.annotation(name), self.vector_start);
        }
        value
    }

    fn read_classic(
        &self,
        buckets: &mut Vec<ClassicBucket>,
        q: f64,
        step: usize,
        name: &str,
        notes: &mut Annotations,
    ) -> f64 {
        if let Reading::Fraction(lower, upper) = &self.reading {
            return classic_fraction(lower[step], upper[step], buckets);
        }
        let (value, fix) = classic_quantile(q, buckets);
        if let Some(fix) = fix {
            notes.add_forced_monotonicity(name, self.vector_start, self.grid.time_ms(step), fix);
        }
        value
    }

    /// The quantile output `output` shows at a step, or `None` when it shows none there.
    fn quantile_at(&self, output: &Output, step: usize) -> EvalResult<Option<f64>> {
        match &self.reading {
            Reading::Quantile(quantiles) => Ok(Some(quantiles[step])),
            Reading::Fraction(..) => Ok(Some(0.0)),
            Reading::Quantiles { quantiles, .. } => {
                let shown = |q: &f64| Some(quantile_text(*q)) == output.quantile;
                let mut found = quantiles.iter().map(|q| q[step]).filter(shown);
                let first = found.next();
                if found.next().is_some() { Err(QueryError::same_labelset()) } else { Ok(first) }
            }
        }
    }

    fn evaluate_family(
        &self,
        output: &Output,
        rows: &[StepVector],
        annotations: &mut Annotations,
        out: &mut StepVector,
    ) -> EvalResult<()> {
        let family = &self.families[output.family];
        // Without delayed name removal, the reference has already removed the name.
        let labels =
            if self.env.settings.delayed_name_removal { self.family_labels(family) } else { Labels::empty() };
        let name = labels.metric_name();
        let mut buckets = Vec::with_capacity(rows.len());
        for step in 0..self.grid.len {
            buckets.clear();
            let mut native = None;
            for (member, row) in family.members.iter().zip(rows) {
                match (row.get(step), member.bound) {
                    (None, _) => {}
                    (Some(StepValue::Histogram(histogram)), _) => native = Some(histogram),
                    (Some(StepValue::Float(count)), Some(upper_bound)) => {
                        buckets.push(ClassicBucket { upper_bound, count });
                    }
                    (Some(StepValue::Float(_)), None) => {
                        let labels = self.input.labels(member.series);
                        let label = labels.get_or_empty(BUCKET_LABEL).into();
                        annotations.add(
                            Annotation::BadBucketLabel { metric: name.into(), label },
                            self.vector_start,
                        );
                    }
                }
            }
            let Some(q) = self.quantile_at(output, step)? else { continue };
            match native {
                Some(_) if !buckets.is_empty() => {
                    annotations.add(Annotation::MixedClassicNativeHistograms(name.into()), self.vector_start);
                }
                Some(histogram) => {
                    out.set_float(step, self.read_native(histogram, q, step, name, annotations));
                }
                None if buckets.is_empty() => {}
                None => out.set_float(step, self.read_classic(&mut buckets, q, step, name, annotations)),
            }
        }
        Ok(())
    }
}

/// Bounds of buckets that are read by one task.
const BOUNDS_AT_ONCE: usize = 4096;

fn families_of(env: &Env, input: &dyn Operator, held: &mut HeldBytes) -> EvalResult<Vec<Family>> {
    let groups = group_series(env, input, &FamilyKey)?;
    let _working = HeldBytes::of(env, input.len() * size_of::<Option<f64>>())?;
    // Vectors that grow have up to as much room again.
    held.add(groups.first_series.len() * size_of::<Family>() + input.len() * 2 * size_of::<Member>())?;
    let bound_of =
        |series: usize| model::number::parse_float(input.labels(series).get_or_empty(BUCKET_LABEL)).ok();
    let bounds: Vec<Option<f64>> = match input.len() {
        // Handing even one piece to another thread costs more than a few.
        few if few < BOUNDS_AT_ONCE => (0..few).map(bound_of).collect(),
        many => (0..many).into_par_iter().with_min_len(BOUNDS_AT_ONCE).map(bound_of).collect(),
    };
    let mut families: Vec<Family> = Vec::new();
    families.resize_with(groups.first_series.len(), Family::default);
    for ((series, &group), bound) in groups.of_series.iter().enumerate().zip(bounds) {
        families[group as usize].members.push(Member { series, bound });
    }
    for family in &mut families {
        family.members.sort_by(|a, b| a.order().total_cmp(&b.order()));
    }
    Ok(families)
}

fn outputs_of(families: usize, reading: &Reading, held: &mut HeldBytes) -> EvalResult<Vec<Output>> {
    let Reading::Quantiles { quantiles, .. } = reading else {
        held.add(families * size_of::<Output>())?;
        return Ok((0..families).map(|family| Output { family, quantile: None }).collect());
    };
    let mut texts: Vec<String> = Vec::new();
    for text in quantiles.iter().flat_map(|q| q.iter()).map(|&q| quantile_text(q)) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    // A short text takes as much as the smallest allocation.
    held.add(texts.len() * families * (2 * size_of::<Output>() + 16))?;
    let of_text = |text: &String| {
        let text = text.clone();
        (0..families).map(move |family| Output { family, quantile: Some(text.clone()) })
    };
    Ok(texts.iter().flat_map(of_text).collect())
}

/// A quantile as the value of a label: as OpenMetrics writes floats.
fn quantile_text(q: f64) -> String {
    let text = model::number::general(q).to_string();
    if text.contains(['.', 'e', 'I', 'N']) { text } else { text + ".0" }
}

impl Operator for HistogramReading {
    fn len(&self) -> usize {
        self.outputs.len()
    }

    fn labels(&self, i: usize) -> Labels {
        let output = &self.outputs[i];
        let labels = self.family_labels(&self.families[output.family]);
        let labels = effective(&self.env, LabelEffect::DropMetadata).apply(labels);
        match (&self.reading, &output.quantile) {
            (Reading::Quantiles { label, .. }, Some(text)) => {
                LabelsBuilder::from_labels(&labels).set(label, text).build()
            }
            _ => labels,
        }
    }

    fn drop_name(&self, _i: usize) -> bool {
        true
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.is_unique && !self.env.settings.delayed_name_removal
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        out.reset(self.grid.len);
        let output = &self.outputs[i];
        let members = &self.families[output.family].members;
        let mut rows = Vec::with_capacity(members.len());
        for member in members {
            let mut row = scratch.vector(self.grid.len);
            self.input.evaluate(member.series, scratch, &mut row)?;
            rows.push(row);
        }
        let result = self.evaluate_family(output, &rows, &mut scratch.annotations, out);
        rows.into_iter().for_each(|row| scratch.put_vector(row));
        result
    }
}
