//! Exposition formats and capped decompression.
