//! Exemplars of points.

use model::{Exemplar, Labels};
use wire::otlp::{DecodeError, PointHead};

/// Characters the labels of an exemplar may have, as OpenMetrics limits them.
const MAX_CHARACTERS: usize = 128;

/// The exemplars of a point, in the order of the request. One without a value is none.
pub(super) fn all(head: &PointHead<'_>) -> Result<Vec<Exemplar>, DecodeError> {
    let mut exemplars = Vec::new();
    for exemplar in head.exemplars() {
        let exemplar = exemplar?;
        let Some(value) = exemplar.value else { continue };
        let (trace, span) = (hex(exemplar.trace_id), hex(exemplar.span_id));
        let mut pairs = Vec::with_capacity(2 + exemplar.attributes.len());
        let ids = [("trace_id", &trace), ("span_id", &span)];
        pairs.extend(
            ids.into_iter().filter(|(_, id)| !id.is_empty()).map(|(name, id)| (name, id.as_str().into())),
        );
        let ids = pairs.len();
        for attribute in exemplar.attributes.iter() {
            let attribute = attribute?;
            pairs.push((attribute.key, attribute.value.text()));
        }
        let characters =
            |(name, value): &(&str, std::borrow::Cow<'_, str>)| name.chars().count() + value.chars().count();
        // Rather the trace alone than nothing.
        if pairs.iter().map(characters).sum::<usize>() > MAX_CHARACTERS {
            pairs.truncate(ids);
        }
        let own_ms = exemplar.time_ms();
        exemplars.push(Exemplar {
            labels: Labels::from_pairs(pairs),
            value: value.as_f64(),
            timestamp_ms: if own_ms == 0 { head.time_ms() } else { own_ms },
            has_timestamp: own_ms != 0,
        });
    }
    Ok(exemplars)
}

/// Exemplars in the order of time, in which the storage wants them.
pub(super) fn by_time(exemplars: &[Exemplar]) -> Vec<Exemplar> {
    let mut sorted = exemplars.to_vec();
    sorted.sort_by_key(|exemplar| exemplar.timestamp_ms);
    sorted
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
