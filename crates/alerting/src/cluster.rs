//! High availability: instances that find each other, share silences and the log of notifications, and take turns.
//!
//! The protocol is that of hashicorp/memberlist, as Alertmanager speaks it, so that instances of both can be
//! members of one cluster while one takes the place of the other. In reading order: [`msgpack`] and [`lzw`] (how
//! messages are encoded), [`message`] (what they say), [`queue`] (gossip that waits), [`random`], [`membership`]
//! (who lives), [`state`] (what is shared), [`counts`], [`peer`] (all of that with the decisions, without I/O),
//! [`address`] (where peers are), [`net`] (all of it on sockets, with or without TLS), [`metrics`].

pub mod address;
pub mod counts;
pub mod lzw;
pub mod membership;
pub mod message;
pub mod metrics;
pub mod msgpack;
pub mod net;
pub mod peer;
pub mod queue;
pub mod random;
pub mod state;

pub use net::{Cluster, ClusterError, ClusterOptions, ClusterTls};
pub use peer::{Effects, Now, Peer, PeerOptions};
