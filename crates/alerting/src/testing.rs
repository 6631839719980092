//! What the tests of this crate share.

use config::alertmanager::{AlertmanagerSettings, MatcherMode};
use model::Labels;

use crate::alert::{Alert, from_ms};

/// A configuration that must load.
pub(crate) fn settings(yaml: &str) -> AlertmanagerSettings {
    AlertmanagerSettings::from_bytes("alertmanager.yml".as_ref(), yaml.as_bytes(), MatcherMode::Fallback)
        .unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// An alert of these labels that fires from one moment to another, in milliseconds.
pub(crate) fn alert(labels: &[(&str, &str)], start_ms: i64, end_ms: i64) -> Alert {
    Alert {
        labels: Labels::from_pairs(labels.iter().copied()),
        annotations: Default::default(),
        starts_at: from_ms(start_ms),
        ends_at: Some(from_ms(end_ms)),
        updated_at: from_ms(start_ms),
        timeout: false,
        generator_url: "".into(),
        hashes: Default::default(),
    }
}
