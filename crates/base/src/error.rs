//! What the caller of a failed operation can do about it.

/// The edge classification of an error. Crates keep rich error enums inside and expose this kind at
/// their edge; it is mapped once to HTTP and gRPC codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong: repeating it unchanged cannot succeed.
    InvalidInput,
    /// The request is well-formed but cannot be carried out on this data (a many-to-many match).
    Execution,
    /// A limit of bytes, samples or series would be exceeded.
    LimitExceeded,
    /// The deadline passed.
    Timeout,
    /// The caller went away or asked to stop.
    Canceled,
    /// What was asked for does not exist.
    NotFound,
    /// Not now; the same request may succeed later.
    Unavailable,
    /// Stored data is damaged.
    Corruption,
    /// The disk is full, read-only or failing.
    Storage,
    /// A defect in this program.
    Internal,
}
