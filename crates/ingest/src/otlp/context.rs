//! What all points of a resource, a scope or a metric share: worked out once for each.

use std::cell::OnceCell;

use model::{Metadata, MetricType};
use wire::otlp::{Attributes, Data, DecodeError, Metric, ResourceMetrics, ScopeMetrics, Temporality};

use super::labels::LabelText;
use super::names::{self, NameError, NamedAs, Namer};
use super::settings::Translation;
use crate::cache::{Key, Secret};

pub(super) const SERVICE_NAME: &str = "service.name";
pub(super) const SERVICE_NAMESPACE: &str = "service.namespace";
pub(super) const SERVICE_INSTANCE_ID: &str = "service.instance.id";

/// Why a resource or a scope gives no labels.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContextError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Name(#[from] NameError),
}

/// The labels a resource gives its series.
#[derive(Debug, Default)]
pub(super) struct ResourceLabels {
    pub job: String,
    pub instance: String,
    pub promoted: Vec<(String, String)>,
}

impl ResourceLabels {
    pub fn new(
        resource: &ResourceMetrics<'_>,
        translation: &Translation,
        namer: &Namer,
    ) -> Result<Self, ContextError> {
        let (mut labels, mut promoted) = (Self::default(), LabelText::default());
        let (mut name, mut namespace) = (None, None);
        for attribute in resource.attributes.iter() {
            let attribute = attribute?;
            let text = attribute.value.text();
            if translation.promotion.includes(attribute.key) {
                promoted.set(&namer.label(attribute.key)?, &text);
            }
            match attribute.key {
                // The first of equal names counts.
                SERVICE_NAME if name.is_none() => name = Some(text),
                SERVICE_NAMESPACE if namespace.is_none() => namespace = Some(text),
                SERVICE_INSTANCE_ID if labels.instance.is_empty() => labels.instance = text.into_owned(),
                _ => {}
            }
        }
        labels.job = match (name, namespace) {
            (Some(name), Some(namespace)) => format!("{namespace}/{name}"),
            (Some(name), None) => name.into_owned(),
            (None, _) => String::new(),
        };
        labels.promoted = promoted.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(labels)
    }
}

/// The labels a scope gives its series.
#[derive(Debug, Default)]
pub(super) struct ScopeLabels(Vec<(String, String)>);

impl ScopeLabels {
    /// None unless they are asked for and the scope has a name.
    pub fn new(
        scope: &ScopeMetrics<'_>,
        translation: &Translation,
        namer: &Namer,
    ) -> Result<Self, ContextError> {
        if !translation.promote_scope_metadata || scope.name.is_empty() {
            return Ok(Self::default());
        }
        let mut labels = LabelText::default();
        for attribute in scope.attributes.iter() {
            let attribute = attribute?;
            let name = format!("otel_scope_{}", attribute.key);
            labels.set(&namer.label(&name)?, &attribute.value.text());
        }
        let fixed = [
            ("otel_scope_name", scope.name),
            ("otel_scope_version", scope.version),
            ("otel_scope_schema_url", scope.schema_url),
        ];
        let own = labels.iter().filter(|(name, _)| fixed.iter().all(|(fixed, _)| fixed != name));
        let all = own.chain(fixed).map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self(all.collect()))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What all points of a metric share. Its name is only made where a series is not known yet.
#[derive(Debug)]
pub(super) struct MetricContext<'r> {
    /// The name in the request.
    pub name: &'r str,
    /// The unit in the request.
    pub unit: &'r str,
    pub named_as: NamedAs,
    pub kind: MetricType,
    pub family: OnceCell<String>,
    pub description: Description,
    pub resource: &'r ResourceLabels,
    pub scope: &'r ScopeLabels,
    /// Tells its series from those of other metrics, resources and scopes.
    pub key: Key,
}

impl MetricContext<'_> {
    /// The name of the family.
    pub fn family(&self, namer: &Namer) -> Result<&str, NameError> {
        if let Some(family) = self.family.get() {
            return Ok(family);
        }
        let family = namer.metric(self.name, self.unit, self.named_as)?;
        Ok(self.family.get_or_init(|| family))
    }
}

/// What is known about a metric.
#[derive(Debug)]
pub(super) struct Description {
    /// Where the storage keeps it.
    pub metadata: Option<Metadata>,
    /// Whether nothing is known.
    pub is_empty: bool,
}

impl Description {
    pub fn of(metric: &Metric<'_>, is_kept: bool) -> Self {
        let metric_type = metric_type(&metric.data);
        let unit = || names::unit(metric.unit, false);
        let is_empty =
            metric_type == MetricType::Unknown && metric.description.is_empty() && unit().is_empty();
        let metadata = || Metadata { metric_type, unit: unit().into(), help: metric.description.into() };
        Self { metadata: is_kept.then(metadata), is_empty }
    }
}

pub(super) fn named_as(data: &Data<'_>) -> NamedAs {
    match data {
        Data::Gauge(_) => NamedAs::Gauge,
        Data::Sum { is_monotonic: true, .. } => NamedAs::Counter,
        _ => NamedAs::Other,
    }
}

/// Deltas have no type of their own yet.
pub(super) fn metric_type(data: &Data<'_>) -> MetricType {
    match data {
        _ if data.temporality() == Some(Temporality::Delta) => MetricType::Unknown,
        Data::Unknown => MetricType::Unknown,
        Data::Gauge(_) => MetricType::Gauge,
        Data::Sum { is_monotonic, .. } => {
            if *is_monotonic {
                MetricType::Counter
            } else {
                MetricType::Gauge
            }
        }
        Data::Histogram(..) | Data::ExponentialHistogram(..) => MetricType::Histogram,
        Data::Summary(_) => MetricType::Summary,
    }
}

/// Puts texts into one key: each with its length, so that none runs into the next.
#[derive(Debug, Default)]
pub(super) struct KeyText(Vec<u8>);

impl KeyText {
    pub fn begin(&mut self, with: Key) -> &mut Self {
        self.0.clear();
        self.number(with.0[0]).number(with.0[1])
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub fn text(&mut self, text: &[u8]) -> &mut Self {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text);
        self
    }

    pub fn pairs<'t>(&mut self, pairs: impl Iterator<Item = (&'t str, &'t str)>) -> &mut Self {
        for (name, value) in pairs {
            self.text(name.as_bytes()).text(value.as_bytes());
        }
        // No text is as long.
        self.number(u64::MAX)
    }

    /// Attributes as they are written: the same ones in another order are another key.
    pub fn attributes(&mut self, attributes: &Attributes<'_>) -> &mut Self {
        for attribute in attributes.encoded() {
            self.text(attribute);
        }
        self.number(u64::MAX)
    }

    /// Attributes in one order, however they are written.
    pub fn sorted_attributes(&mut self, attributes: &Attributes<'_>) -> &mut Self {
        let mut sorted: Vec<_> = attributes.encoded().collect();
        sorted.sort_unstable();
        for attribute in sorted {
            self.text(attribute);
        }
        self.number(u64::MAX)
    }

    pub fn key(&self, secret: &Secret) -> Key {
        Key::of(&self.0, secret)
    }
}

/// The attributes of a point as labels, in the order of their names so that those which fall together do so in
/// one order always; what fell together is told to `collided`.
pub(super) fn put_attributes(
    attributes: &Attributes<'_>,
    ignored: &[&str],
    namer: &Namer,
    labels: &mut LabelText,
    mut collided: impl FnMut(&str, &[&str]),
) -> Result<(), ContextError> {
    let mut sorted = Vec::with_capacity(attributes.len());
    for attribute in attributes.iter() {
        let attribute = attribute?;
        if !ignored.contains(&attribute.key) {
            sorted.push(attribute);
        }
    }
    sorted.sort_by(|a, b| a.key.cmp(b.key));
    for attribute in &sorted {
        let value = attribute.value.text();
        if !namer.escapes() {
            if attribute.key.is_empty() {
                namer.label("")?;
            }
            labels.set(attribute.key, &value);
            continue;
        }
        let name = namer.label(attribute.key)?;
        if labels.get(&name).is_empty() {
            labels.set(&name, &value);
            continue;
        }
        labels.join(&name, &value);
        let same = |other: &&str| namer.label(other).is_ok_and(|other| other == name);
        let keys: Vec<&str> = sorted.iter().map(|attribute| attribute.key).filter(same).collect();
        collided(&name, &keys);
    }
    Ok(())
}

/// The unit as the value of a label.
pub(super) fn unit_label(unit: &str, namer: &Namer) -> String {
    // The label is made of the name of the unit, as the reference has it.
    names::unit(&names::unit(unit, false), !namer.escapes())
}
