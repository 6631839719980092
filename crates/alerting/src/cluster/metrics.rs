//! Metrics of the cluster, under Alertmanager's names.

use std::sync::{Arc, Weak};

use base::metrics::{Counter, Family, Kind, Registry};

use super::counts::{Counts, Oversized, Traffic, TransportCounts};
use super::net::Cluster;

/// Publishes all metrics of a cluster for as long as it lives.
pub fn publish(cluster: &Arc<Cluster>, registry: &Registry) {
    let cluster: Weak<Cluster> = Arc::downgrade(cluster);
    registry.collect_with(move |families| {
        if let Some(cluster) = cluster.upgrade() {
            collect(&cluster, families);
        }
    });
}

fn collect(cluster: &Cluster, families: &mut Vec<Family>) {
    cluster.with_peer(|peer| {
        let (membership, counts) = (peer.membership(), peer.counts());
        let mut gauge = |name: &str, help: &str, value: f64| {
            families.push(Family::new(format!("alertmanager_{name}"), help, Kind::Gauge).with(&[], value));
        };
        gauge(
            "cluster_members",
            "Number indicating current number of members in cluster.",
            membership.working().count() as f64,
        );
        gauge(
            "peer_position",
            "Position the Alertmanager instance believes it's in. The position determines a peer's behavior in the cluster.",
            membership.position() as f64,
        );
        gauge(
            "cluster_health_score",
            "Health score of the cluster. Lower values are better and zero means 'totally healthy'.",
            f64::from(membership.health()),
        );
        gauge(
            "cluster_messages_queued",
            "Number of cluster messages which are queued.",
            membership.queue().len() as f64,
        );
        gauge(
            "cluster_failed_peers",
            "Number indicating the current number of failed peers in the cluster.",
            peer.failed_count() as f64,
        );
        let info = "A metric with a constant '1' value labeled by peer name.";
        families.push(
            Family::new("alertmanager_cluster_peer_info", info, Kind::Gauge)
                .with(&[("peer", cluster.name())], 1.0),
        );
        let pruned = "Total number of cluster messages pruned.";
        families.push(
            Family::new("alertmanager_cluster_messages_pruned_total", pruned, Kind::Counter)
                .with(&[], membership.queue().dropped() as f64),
        );
        counters(counts, families);
        traffic("received", &counts.states_received, &counts.updates_received, families);
        traffic("sent", &counts.states_sent, &counts.updates_sent, families);
        by_peer(counts, families);
    });
    oversized(&cluster.transport, families);
    if cluster.has_tls() {
        tls(&cluster.transport, families);
    }
}

fn oversized(counts: &TransportCounts, families: &mut Vec<Family>) {
    let keys = [("nfl", &counts.log), ("sil", &counts.silences)];
    let mut add = |name: &str, help: &str, value: fn(&Oversized) -> u64| {
        let mut family =
            Family::new(format!("alertmanager_oversized_gossip_message_{name}"), help, Kind::Counter);
        keys.iter().for_each(|(key, counts)| family.push(&[("key", key)], value(counts) as f64));
        families.push(family);
    };
    add("sent_total", "Number of oversized gossip message sent.", |counts| counts.sent.get());
    add("failure_total", "Number of oversized gossip message sends that failed.", |counts| {
        counts.failed.get()
    });
    // They wait for as long as it takes, each on its own.
    add(
        "dropped_total",
        "Number of oversized gossip messages that were dropped due to a full message queue.",
        |_| 0,
    );
    let mut took = Family::new(
        "alertmanager_oversize_gossip_message_duration_seconds",
        "Duration of oversized gossip message requests.",
        Kind::Histogram,
    );
    for (key, counts) in keys {
        let labels = vec![("key".to_owned(), key.to_owned())];
        took.points.push(base::metrics::Point { labels, value: counts.took.value() });
    }
    families.push(took);
}

fn tls(counts: &TransportCounts, families: &mut Vec<Family>) {
    let mut add = |name: &str, help: &str, points: &[(&[(&str, &str)], &Counter)]| {
        let mut family = Family::new(format!("alertmanager_tls_transport_{name}"), help, Kind::Counter);
        points.iter().for_each(|(labels, counter)| family.push(labels, counter.get() as f64));
        families.push(family);
    };
    add(
        "packet_bytes_sent_total",
        "The number of packet bytes sent to outgoing connections (excluding internal metadata).",
        &[(&[], &counts.packet_bytes_sent)],
    );
    add(
        "packet_bytes_received_total",
        "The number of packet bytes received from incoming connections (excluding internal metadata).",
        &[(&[], &counts.packet_bytes_received)],
    );
    add(
        "stream_connections_sent_total",
        "The number of stream connections sent.",
        &[(&[], &counts.streams_sent)],
    );
    add(
        "stream_connections_received_total",
        "The number of stream connections received.",
        &[(&[], &counts.streams_received)],
    );
    add(
        "read_errors_total",
        "The number of errors encountered while reading from incoming connections.",
        &[(&[], &counts.read_errors)],
    );
    add(
        "write_errors_total",
        "The number of errors encountered while writing to outgoing connections.",
        &[
            (&[("connection_type", "packet")], &counts.packet_errors),
            (&[("connection_type", "stream")], &counts.stream_errors),
        ],
    );
}

fn counters(counts: &Counts, families: &mut Vec<Family>) {
    let counters: [(&str, &str, &Counter); 8] = [
        ("peers_joined_total", "A counter of the number of peers that have joined.", &counts.joined),
        ("peers_left_total", "A counter of the number of peers that have left.", &counts.left),
        (
            "peers_update_total",
            "A counter of the number of peers that have updated metadata.",
            &counts.updated,
        ),
        (
            "peer_name_conflicts_total",
            "Total number of times memberlist has noticed conflicting peer names",
            &counts.conflicts,
        ),
        (
            "reconnections_total",
            "A counter of the number of cluster peer reconnections.",
            &counts.reconnections,
        ),
        (
            "reconnections_failed_total",
            "A counter of the number of failed cluster peer reconnection attempts.",
            &counts.reconnections_failed,
        ),
        (
            "refresh_join_total",
            "A counter of the number of cluster peer joined via refresh.",
            &counts.refreshed,
        ),
        (
            "refresh_join_failed_total",
            "A counter of the number of failed cluster peer joined attempts via refresh.",
            &counts.refresh_failed,
        ),
    ];
    for (name, help, counter) in counters {
        let name = format!("alertmanager_cluster_{name}");
        families.push(Family::new(name, help, Kind::Counter).with(&[], counter.get() as f64));
    }
}

fn by_peer(counts: &Counts, families: &mut Vec<Family>) {
    let mut alive = Family::new(
        "alertmanager_cluster_alive_messages_total",
        "Total number of received alive messages.",
        Kind::Counter,
    );
    counts.alive.iter().for_each(|(peer, count)| alive.push(&[("peer", peer)], *count as f64));
    families.push(alive);
    let mut pings = Family::new(
        "alertmanager_cluster_pings_seconds",
        "Histogram of latencies for ping messages.",
        Kind::Histogram,
    );
    for (peer, histogram) in &counts.pings {
        pings.points.push(base::metrics::Point {
            labels: vec![("peer".to_owned(), peer.clone())],
            value: histogram.value(),
        });
    }
    families.push(pings);
}

fn traffic(what: &str, states: &Traffic, updates: &Traffic, families: &mut Vec<Family>) {
    let mut add = |name: String, help: String, state: &Counter, update: &Counter| {
        families.push(
            Family::new(name, help, Kind::Counter)
                .with(&[("msg_type", "full_state")], state.get() as f64)
                .with(&[("msg_type", "update")], update.get() as f64),
        );
    };
    add(
        format!("alertmanager_cluster_messages_{what}_total"),
        format!("Total number of cluster messages {what}."),
        &states.messages,
        &updates.messages,
    );
    add(
        format!("alertmanager_cluster_messages_{what}_size_total"),
        format!("Total size of cluster messages {what}."),
        &states.bytes,
        &updates.bytes,
    );
}
