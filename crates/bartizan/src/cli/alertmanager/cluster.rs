//! Flags of the cluster.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::duration;

/// How an instance belongs to a cluster.
#[derive(Args, Debug, Clone)]
pub struct ClusterArgs {
    /// Listen address for cluster. Set to empty string to disable HA mode. By default 0.0.0.0:9094; `bartizan up`
    /// belongs to a cluster only where this or --cluster.peer is given.
    #[arg(id = "cluster_listen_address", long = "cluster.listen-address", value_name = "ADDRESS")]
    pub listen_address: Option<String>,

    /// Explicit address to advertise in cluster.
    #[arg(
        id = "cluster_advertise_address",
        long = "cluster.advertise-address",
        default_value = "",
        hide_default_value = true,
        value_name = "ADDRESS"
    )]
    pub advertise_address: String,

    /// Explicit name of the peer, rather than generating a random one.
    #[arg(
        id = "cluster_peer_name",
        long = "cluster.peer-name",
        visible_alias = "cluster.name",
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    pub name: String,

    /// Initial peers. Can be repeated. A name that has several addresses stands for all of them.
    #[arg(id = "cluster_peer", long = "cluster.peer", value_name = "ADDRESS")]
    pub peers: Vec<String>,

    /// Time to wait between peers to send notifications.
    #[arg(id = "cluster_peer_timeout", long = "cluster.peer-timeout", default_value = "15s", value_parser = duration)]
    pub peer_timeout: Duration,

    /// Time to resolve peers.
    #[arg(id = "cluster_peers_resolve_timeout", long = "cluster.peers-resolve-timeout", default_value = "15s", value_parser = duration)]
    pub resolve_timeout: Duration,

    /// Interval between sending gossip messages.
    #[arg(id = "cluster_gossip_interval", long = "cluster.gossip-interval", default_value = "200ms", value_parser = duration)]
    pub gossip_interval: Duration,

    /// Interval for gossip state syncs.
    #[arg(id = "cluster_pushpull_interval", long = "cluster.pushpull-interval", default_value = "1m", value_parser = duration)]
    pub push_pull_interval: Duration,

    /// Timeout for establishing a stream connection with a remote node for a full state sync, and for stream read
    /// and write operations.
    #[arg(id = "cluster_tcp_timeout", long = "cluster.tcp-timeout", default_value = "10s", value_parser = duration)]
    pub tcp_timeout: Duration,

    /// Timeout to wait for an ack from a probed node before assuming it is unhealthy.
    #[arg(id = "cluster_probe_timeout", long = "cluster.probe-timeout", default_value = "500ms", value_parser = duration)]
    pub probe_timeout: Duration,

    /// Interval between random node probes.
    #[arg(id = "cluster_probe_interval", long = "cluster.probe-interval", default_value = "1s", value_parser = duration)]
    pub probe_interval: Duration,

    /// Maximum time to wait for cluster connections to settle before evaluating notifications.
    #[arg(id = "cluster_settle_timeout", long = "cluster.settle-timeout", default_value = "1m", value_parser = duration)]
    pub settle_timeout: Duration,

    /// Interval between attempting to reconnect to lost peers.
    #[arg(id = "cluster_reconnect_interval", long = "cluster.reconnect-interval", default_value = "10s", value_parser = duration)]
    pub reconnect_interval: Duration,

    /// Length of time to attempt to reconnect to a lost peer.
    #[arg(id = "cluster_reconnect_timeout", long = "cluster.reconnect-timeout", default_value = "6h", value_parser = duration)]
    pub reconnect_timeout: Duration,

    /// Path to config yaml file that enables mutual TLS within the gossip protocol.
    #[arg(id = "cluster_tls_config", long = "cluster.tls-config", value_name = "FILE")]
    pub tls_config: Option<PathBuf>,

    /// Allow to discover a public IP address and advertise it.
    #[arg(
        id = "cluster_allow_insecure_public_advertise_address_discovery",
        long = "cluster.allow-insecure-public-advertise-address-discovery",
        action = ArgAction::SetTrue
    )]
    pub allow_public_address: bool,

    /// The cluster label is an optional string to include on each packet and stream. It uniquely identifies the
    /// cluster and prevents cross-communication issues when sending gossip messages.
    #[arg(
        id = "cluster_label",
        long = "cluster.label",
        default_value = "",
        hide_default_value = true,
        value_name = "LABEL"
    )]
    pub label: String,
}

impl ClusterArgs {
    /// Where to listen; empty where there is to be no cluster.
    pub fn listen_address(&self) -> &str {
        self.listen_address.as_deref().unwrap_or("0.0.0.0:9094")
    }

    /// Whether the flags ask for a cluster where there is none by default.
    pub fn is_wanted(&self) -> bool {
        self.listen_address.as_ref().is_some_and(|address| !address.is_empty()) || !self.peers.is_empty()
    }
}
