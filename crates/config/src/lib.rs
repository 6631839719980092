//! Typed configuration with source positions.
