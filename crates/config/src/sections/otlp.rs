//! How OTLP metrics become series.

use model::labels::Quoted;

use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::section::{Check, choice, section};

section! {
    /// How metrics received by OTLP become series.
    pub struct OtlpConfig ("otlp", "config.plain") {
        /// Whether all resource attributes become labels.
        set promote_all_resource_attributes: bool;
        /// Resource attributes that become labels.
        set promote_resource_attributes: Vec<String>;
        /// Resource attributes that do not become labels although all others do.
        set ignore_resource_attributes: Vec<String>;
        /// How names that are not legacy names are translated.
        set translation_strategy: TranslationStrategy = TranslationStrategy::UnderscoreEscapingWithSuffixes;
        /// Whether `service.name`, `service.namespace` and `service.instance.id` stay in `target_info` too.
        set keep_identifying_resource_attributes: bool;
        /// Whether explicit histograms become native ones with custom buckets.
        set convert_histograms_to_nhcb: bool;
        /// Whether name, version, schema and attributes of the scope become labels.
        set promote_scope_metadata: bool;
        /// Whether `key_` is put before labels that begin with an underscore.
        always label_name_underscore_sanitization: bool = true;
        /// Whether runs of underscores in label names are kept.
        always label_name_preserve_multiple_underscores: bool = true;
    }
}

choice! {
    /// How OTLP names become series names.
    pub enum TranslationStrategy {
        /// Illegal characters become underscores; unit and type are appended.
        UnderscoreEscapingWithSuffixes = "UnderscoreEscapingWithSuffixes",
        /// Illegal characters become underscores; nothing is appended.
        UnderscoreEscapingWithoutSuffixes = "UnderscoreEscapingWithoutSuffixes",
        /// Names stay as they are; unit and type are appended.
        NoUtf8EscapingWithSuffixes = "NoUTF8EscapingWithSuffixes",
        /// Names stay as they are.
        NoTranslation = "NoTranslation",
    }
    wrong |word| format!("unsupported OTLP translation strategy {}", Quoted(word))
}

impl TranslationStrategy {
    /// Whether names come out that are not legacy names.
    pub fn needs_utf8(self) -> bool {
        matches!(self, Self::NoUtf8EscapingWithSuffixes | Self::NoTranslation)
    }
}

impl Check for OtlpConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.promote_all_resource_attributes {
            if !self.promote_resource_attributes.is_empty() {
                let message = "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously";
                return Err(at.fault("promote_resource_attributes", message).remedy("remove one of them"));
            }
            return sanitize(
                &mut self.ignore_resource_attributes,
                "ignored",
                at,
                "ignore_resource_attributes",
            );
        }
        if !self.ignore_resource_attributes.is_empty() {
            let message = "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true";
            return Err(at
                .fault("ignore_resource_attributes", message)
                .remedy("add promote_all_resource_attributes: true"));
        }
        sanitize(&mut self.promote_resource_attributes, "promoted", at, "promote_resource_attributes")
    }
}

/// Trims attributes and refuses empty and repeated ones, all in one message.
fn sanitize(attributes: &mut [String], kind: &str, at: At<'_>, key: &str) -> Result<(), Fault> {
    let (mut wrong, mut first) = (Vec::new(), None);
    for i in 0..attributes.len() {
        attributes[i] = attributes[i].trim().to_owned();
        let attribute = &attributes[i];
        if attribute.is_empty() {
            wrong.push(format!("empty {kind} OTel resource attribute"));
        } else if attributes[..i].contains(attribute) {
            wrong.push(format!("duplicated {kind} OTel resource attribute {}", Quoted(attribute)));
        } else {
            continue;
        }
        first.get_or_insert(at.item(key, i).node.pos);
    }
    match first {
        Some(pos) => {
            Err(Fault::new(pos, format!("invalid '{key}': {}", wrong.join("\n"))).remedy("remove the item"))
        }
        None => Ok(()),
    }
}
