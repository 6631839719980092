//! From the bytes of an uncompressed request to samples.
