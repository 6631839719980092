//! What query languages share.
