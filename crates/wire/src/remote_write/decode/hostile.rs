//! Any bytes at all: reading them ends with a request or an error, never with a panic or more memory than
//! allowed. The fuzz targets drive this too.

use base::ByteBudget;

use super::{LabelsError, decode};
use crate::remote_write::MessageType;

/// What a request may take in memory here.
const MEMORY_BYTES: usize = 1 << 20;

/// Reads everything there is in a body; the text of the first error otherwise.
pub fn drive(message: MessageType, body: &[u8]) -> Result<(), String> {
    let budget = ByteBudget::new("hostile", MEMORY_BYTES);
    let mut memory = budget.reserve(0).map_err(|error| error.to_string())?;
    let request = decode(message, body, &mut memory).map_err(|error| error.to_string())?;
    assert!(memory.bytes() <= MEMORY_BYTES);
    let (mut samples, mut histograms, mut exemplars) = (0, 0, 0);
    let mut first = Ok(());
    let mut note = |told: Result<(), String>| {
        if first.is_ok() {
            first = told;
        }
    };
    for i in 0..request.len() {
        let series = request.series(i);
        let labels = series.for_each_label(|_| {});
        note(labels.map_err(|error: LabelsError| error.to_string()));
        note(series.metadata().map(drop).map_err(|error| error.to_string()));
        samples += series.samples().len();
        for histogram in series.histograms() {
            histograms += 1;
            note(histogram.map(drop).map_err(|error| error.to_string()));
        }
        for exemplar in series.exemplars() {
            exemplars += 1;
            let read = exemplar.map_err(LabelsError::from).and_then(|one| one.for_each_label(|_| {}));
            note(read.map_err(|error| error.to_string()));
        }
    }
    assert_eq!(samples, request.samples(), "every sample belongs to a series");
    assert_eq!(histograms, request.histograms(), "every histogram belongs to a series");
    assert_eq!(exemplars, request.exemplars(), "every exemplar belongs to a series");
    note(request.families().try_for_each(|family| family.map(drop)).map_err(|error| error.to_string()));
    first
}
