//! Scripted query tests and other test support.
