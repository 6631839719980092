//! Load generators and side-by-side comparisons with real peers.
