//! Encodings of samples in chunks. No I/O.
