//! A request as text, for operators who look for what a receiver refuses.

use std::fmt::Write;

use base::ByteBudget;
use wire::remote_write::MessageType;
use wire::remote_write::decode::decode;

/// Series that are written out.
const SERIES: usize = 2_000;

/// All series of a compressed request with their samples, or why it cannot be read.
pub fn describe(message: MessageType, body: &[u8]) -> String {
    try_describe(message, body).unwrap_or_else(|error| format!("unreadable request: {error}"))
}

fn try_describe(message: MessageType, body: &[u8]) -> Result<String, Box<dyn std::error::Error>> {
    let raw = snap::raw::Decoder::new().decompress_vec(body)?;
    let mut memory = ByteBudget::unlimited().reserve(0)?;
    let request = decode(message, &raw, &mut memory)?;
    let mut text = String::new();
    for i in 0..request.len().min(SERIES) {
        let series = request.series(i);
        text.push('{');
        let mut separator = "";
        series.for_each_label(|(name, value)| {
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{name}={value:?}");
            separator = ", ";
        })?;
        text.push('}');
        for sample in series.samples() {
            let _ = write!(text, " {}@{}", sample.value, sample.t_ms);
        }
        for histogram in series.histograms() {
            let histogram = histogram?;
            let _ = write!(text, " {:?}@{}", histogram.value, histogram.t_ms);
        }
        for exemplar in series.exemplars() {
            let exemplar = exemplar?;
            let _ = write!(text, " exemplar {}@{}", exemplar.value, exemplar.t_ms);
        }
        text.push_str("; ");
    }
    if request.len() > SERIES {
        let _ = write!(text, "and {} more", request.len() - SERIES);
    }
    Ok(text)
}
