//! Service discovery and relabelling.
