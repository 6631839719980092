//! Host metrics.
