//! What may be pushed to this server.

use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::ByteSize;
use crate::section::{Check, section};

section! {
    /// What a tenant may push to this server; without a limit, anything. Prometheus has no such section. Tenants are
    /// named by the header `X-Scope-OrgID`; requests without it are those of the tenant `anonymous`. For now limits
    /// are all that tells tenants apart: what they push is stored, and can be queried, together.
    pub struct LimitsConfig ("limits", "config.LimitsConfig") {
        /// Samples a second on average: floats, native histograms and exemplars.
        set ingestion_rate: Option<f64>;
        /// Samples at once; by default what `ingestion_rate` allows in a second. It must be as large as the
        /// largest request.
        set ingestion_burst_size: Option<u64>;
        /// Series the tenant may feed at a time. One that gets no samples for 10 to 20 minutes no longer counts.
        set max_global_series_per_user: Option<u64>;
        /// Labels of a series.
        set max_label_names_per_series: Option<u64>;
        /// Bytes of a label name.
        set max_label_name_length: Option<u64>;
        /// Bytes of a label value.
        set max_label_value_length: Option<u64>;
        /// Bytes of a request after decompression; at most what `--ingest.max-request-size` allows.
        set max_request_size: Option<ByteSize>;
    }
}

impl Check for LimitsConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        match self.ingestion_rate {
            Some(rate) if !(rate >= 0.0 && rate.is_finite()) => {
                let message = format!("ingestion_rate must be a number of samples a second, not {rate}");
                Err(at.fault("ingestion_rate", message).remedy("write 0 for no limit"))
            }
            _ => Ok(()),
        }
    }
}
