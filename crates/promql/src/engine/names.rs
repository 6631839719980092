//! When a series loses its metric name.

use model::{Labels, METRIC_NAME};

/// The label of a metric's declared type, where that is stored as a label.
pub(crate) const TYPE_LABEL: &str = "__type__";
/// The label of a metric's unit, where that is stored as a label.
pub(crate) const UNIT_LABEL: &str = "__unit__";

/// What a function or operator does to the labels of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LabelEffect {
    /// Nothing: the value is still one of the metric's.
    Keep,
    /// Removes the metric's name, type and unit.
    DropMetadata,
    /// Removes the metric's name alone.
    DropName,
}

impl LabelEffect {
    /// `labels` after the effect.
    pub fn apply(self, labels: Labels) -> Labels {
        match self {
            Self::Keep => labels,
            Self::DropMetadata => drop_metadata(labels),
            Self::DropName => labels.without_name(),
        }
    }
}

impl LabelEffect {
    /// Whether a label of this name is left.
    pub fn keeps(self, name: &str) -> bool {
        match self {
            Self::Keep => true,
            Self::DropMetadata => !is_metadata_label(name),
            Self::DropName => name != METRIC_NAME,
        }
    }

    /// Calls `visit_all` with what passes on to `visit` the labels that are left.
    pub fn visit(
        self,
        visit: &mut dyn FnMut(&str, &str),
        visit_all: impl FnOnce(&mut dyn FnMut(&str, &str)),
    ) {
        if self == Self::Keep {
            return visit_all(visit);
        }
        visit_all(&mut |name, value| {
            if self.keeps(name) {
                visit(name, value);
            }
        });
    }
}

/// Whether a label is part of the metric's metadata rather than of the series' identity within it.
pub(crate) fn is_metadata_label(name: &str) -> bool {
    name == METRIC_NAME || name == TYPE_LABEL || name == UNIT_LABEL
}

/// `labels` without the metric's name, type and unit.
pub(crate) fn drop_metadata(labels: Labels) -> Labels {
    // All three names begin with an underscore: the scan ends at the first lower-case name.
    let mut first_names = labels.iter().map(|(name, _)| name).take_while(|&name| name < "a");
    if first_names.any(is_metadata_label) {
        labels.drop(&[METRIC_NAME, TYPE_LABEL, UNIT_LABEL])
    } else {
        labels
    }
}

/// Whether a query may use `name` as a label. Bytes of a string literal that are no UTF-8 have become
/// U+FFFD when it was read; no label holds them.
pub(crate) fn is_valid_label_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER)
}
