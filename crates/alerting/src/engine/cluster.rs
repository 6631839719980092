//! The manager as one of several: what is decided is shared, and what is heard is written down.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::metrics::Registry;

use super::Alertmanager;
use crate::cluster::net::Host;
use crate::cluster::{Cluster, Effects};
use crate::core::Core;
use crate::nflog::LogEntry;
use crate::silence::{self, SilenceRecord};

impl Alertmanager {
    /// Makes it a member of a cluster, from when it runs on. Only the first cluster counts.
    pub fn join(&self, cluster: Arc<Cluster>, registry: &Registry) {
        crate::cluster::metrics::publish(&cluster, registry);
        let _ = self.cluster.set(cluster);
    }

    /// The cluster it is a member of.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.get()
    }

    /// Whether anything may be told: not before the others were found, or waited for long enough.
    pub(super) fn may_tell(&self) -> bool {
        self.cluster().is_none_or(|cluster| cluster.is_settled())
    }

    /// To be called after each decision: gives the others what they must know.
    pub(super) fn share(&self, entries: &[LogEntry]) {
        if let Some(cluster) = self.cluster() {
            cluster.told(entries);
        }
    }

    /// Writes down silences that others made.
    fn write_silences(&self, records: &[SilenceRecord]) {
        let encoded: Vec<Vec<u8>> = records.iter().map(silence::encode).collect();
        if let Err(error) = self.silences.lock().append(encoded.iter().map(Vec::as_slice)) {
            // The others have it, and give it again after a restart.
            tracing::error!(%error, "cannot write down the silences of a peer");
        }
    }
}

impl Host for Alertmanager {
    fn with_core_mut(&self, work: &mut dyn FnMut(&mut Core)) {
        work(&mut self.core.lock());
    }

    fn carry_out(self: Arc<Self>, effects: Effects) {
        let Effects { deliveries, entries, heard, silences, .. } = effects;
        if !silences.is_empty() {
            self.write_silences(&silences);
        }
        self.share(&entries);
        self.note(entries);
        self.note(heard);
        // What is begun while this instance ends would be told again by the next one.
        if !deliveries.is_empty() && !self.is_ending.load(Ordering::Acquire) {
            let loaded = self.loaded.load_full();
            self.deliver_all(deliveries, &loaded);
        }
    }

    fn wake(&self) {
        self.wake.notify_one();
    }
}
