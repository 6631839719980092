//! The metrics storage engine.
