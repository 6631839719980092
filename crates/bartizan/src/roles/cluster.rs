//! The cluster an Alertmanager is a member of.

use std::path::Path;
use std::sync::Arc;

use alerting::cluster::{Cluster, ClusterError, ClusterOptions, ClusterTls};
use anyhow::Context;
use base::clock::SharedClock;
use config::{ClusterTlsConfig, WebConfig};

use crate::cli::alertmanager::cluster::ClusterArgs;

/// Opens the cluster the flags describe; `None` when there is to be none.
///
/// An instance that knows no peers and cannot listen stands alone: several of them may run on one machine without
/// any flag. One that knows peers fails instead, because alone it would tell everything once more.
pub async fn open(args: &ClusterArgs, clock: SharedClock) -> anyhow::Result<Option<Arc<Cluster>>> {
    if args.listen_address().is_empty() {
        anyhow::ensure!(
            args.peers.is_empty(),
            "--cluster.peer is given, but --cluster.listen-address is empty: an instance that silently stood alone would tell everything twice"
        );
        return Ok(None);
    }
    let options = ClusterOptions {
        listen_address: args.listen_address().to_owned(),
        advertise_address: args.advertise_address.clone(),
        peers: args.peers.clone(),
        name: args.name.clone(),
        label: args.label.clone(),
        peer_timeout: args.peer_timeout,
        resolve_timeout: args.resolve_timeout,
        gossip_interval: args.gossip_interval,
        push_pull_interval: args.push_pull_interval,
        tcp_timeout: args.tcp_timeout,
        probe_timeout: args.probe_timeout,
        probe_interval: args.probe_interval,
        settle_timeout: args.settle_timeout,
        reconnect_interval: args.reconnect_interval,
        reconnect_timeout: args.reconnect_timeout,
        allow_public_address: args.allow_public_address,
        tls: args.tls_config.as_deref().map(tls).transpose()?,
    };
    match Cluster::open(options, clock).await {
        Ok(cluster) => Ok(Some(cluster)),
        Err(error @ ClusterError::Listen { .. }) if args.peers.is_empty() => {
            tracing::warn!("there is no cluster: {error}");
            Ok(None)
        }
        Err(error) => Err(anyhow::Error::new(error).context("unable to initialize gossip mesh")),
    }
}

fn tls(file: &Path) -> anyhow::Result<ClusterTls> {
    let failed = || format!("--cluster.tls-config={}", file.display());
    let file = file.canonicalize().with_context(failed)?;
    let ClusterTlsConfig { tls_server_config, tls_client_config } =
        ClusterTlsConfig::load(&file).with_context(failed)?;
    let server = WebConfig { tls_server_config, ..WebConfig::default() };
    let options = super::tls_options(&file, &server).with_context(failed)?;
    let acceptor =
        api::server::acceptor(&options).map_err(|error| anyhow::anyhow!(error)).with_context(failed)?;
    let client = httpclient::tls_config(&tls_client_config).with_context(failed)?;
    let server_name = match tls_client_config.server_name.as_str() {
        "" => None,
        name => Some(name.to_owned().try_into().with_context(failed)?),
    };
    Ok(ClusterTls { acceptor, connector: client.into(), server_name })
}
