//! Targets found by DNS queries.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base::clock::SharedClock;
use config::DnsSd;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use model::Labels;
use tokio::task::JoinSet;

use crate::TargetGroup;
use crate::group::ADDRESS;
use crate::metrics::Metrics;
use crate::provider::{DiscoveryError, Refresh, Session, refresh_every};

const NAME: &str = "__meta_dns_name";
const SRV_TARGET: &str = "__meta_dns_srv_record_target";
const SRV_PORT: &str = "__meta_dns_srv_record_port";
const MX_TARGET: &str = "__meta_dns_mx_record_target";
const NS_TARGET: &str = "__meta_dns_ns_record_target";

/// Queries the names now and every refresh interval.
pub(crate) async fn run(
    settings: &DnsSd,
    session: &Session<'_>,
    clock: &SharedClock,
) -> Result<(), DiscoveryError> {
    let failed =
        |error: &dyn std::fmt::Display| DiscoveryError(format!("could not load resolv.conf: {error}"));
    let builder = TokioResolver::builder_tokio().map_err(|error| failed(&error))?;
    let resolver = builder.build().map_err(|error| failed(&error))?;
    let provider = Names::new(resolver, settings, session.metrics);
    refresh_every(settings.refresh_interval.get(), session, "dns", clock, provider).await;
    Ok(())
}

/// The names of one provider and what they meant last.
struct Names<'a> {
    resolver: TokioResolver,
    settings: &'a DnsSd,
    record_type: RecordType,
    known: BTreeMap<String, TargetGroup>,
    metrics: &'a Metrics,
}

impl<'a> Names<'a> {
    fn new(resolver: TokioResolver, settings: &'a DnsSd, metrics: &'a Metrics) -> Self {
        let record_type = record_type(&settings.r#type);
        Self { resolver, settings, record_type, known: BTreeMap::new(), metrics }
    }
}

impl Refresh for Names<'_> {
    async fn refresh(&mut self) -> Result<Vec<TargetGroup>, DiscoveryError> {
        let mut lookups = JoinSet::new();
        for name in &self.settings.names {
            self.metrics.dns_lookups.inc();
            let (resolver, name) = (self.resolver.clone(), name.clone());
            let (record_type, port) = (self.record_type, self.settings.port);
            lookups.spawn(async move {
                let found = look_up(&resolver, &name, record_type, port).await;
                (name, found)
            });
        }
        while let Some(done) = lookups.join_next().await {
            match done {
                Ok((name, Ok(group))) => {
                    self.known.insert(name, group);
                }
                Ok((name, Err(error))) => {
                    // One name that cannot be resolved keeps what it had.
                    self.metrics.dns_failures.inc();
                    tracing::error!(name, %error, "error refreshing DNS targets");
                }
                Err(error) => return Err(DiscoveryError(error.to_string())),
            }
        }
        Ok(self.known.values().cloned().collect())
    }
}

fn record_type(text: &str) -> RecordType {
    match text.to_uppercase().as_str() {
        "A" => RecordType::A,
        "AAAA" => RecordType::AAAA,
        "MX" => RecordType::MX,
        "NS" => RecordType::NS,
        // The configuration allows only these and SRV.
        _ => RecordType::SRV,
    }
}

async fn look_up(
    resolver: &TokioResolver,
    name: &str,
    record_type: RecordType,
    port: u16,
) -> Result<TargetGroup, DiscoveryError> {
    let records = match resolver.lookup(name, record_type).await {
        Ok(lookup) => lookup.answers().iter().map(|record| record.data.clone()).collect::<Vec<_>>(),
        // The name, or a record of this type, does not exist: an answer, with no targets.
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => Vec::new(),
        Err(error) => return Err(DiscoveryError(format!("could not resolve {name:?}: {error}"))),
    };
    let targets = records.iter().filter_map(|record| target(name, record, port)).collect();
    Ok(TargetGroup { source: name.to_owned(), labels: Labels::empty(), targets })
}

/// The labels of the target a record names.
fn target(name: &str, record: &RData, port: u16) -> Option<Labels> {
    let rooted = |host: &str| host.trim_end_matches('.').to_owned();
    let (address, meta) = match record {
        RData::A(a) => (join(&IpAddr::V4(a.0).to_string(), port), vec![]),
        RData::AAAA(aaaa) => (join(&IpAddr::V6(aaaa.0).to_string(), port), vec![]),
        RData::SRV(srv) => {
            let host = srv.target.to_string();
            (join(&rooted(&host), srv.port), vec![(SRV_TARGET, host), (SRV_PORT, srv.port.to_string())])
        }
        RData::MX(mx) => {
            let host = mx.exchange.to_string();
            (join(&rooted(&host), port), vec![(MX_TARGET, host)])
        }
        RData::NS(ns) => {
            let host = ns.0.to_string();
            (join(&rooted(&host), port), vec![(NS_TARGET, host)])
        }
        // An alias on the way to the address.
        _ => return None,
    };
    let all = [(ADDRESS, address), (NAME, name.to_owned())].into_iter().chain(meta);
    Some(Labels::from_pairs(all))
}

fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, AAAA, MX, SRV};
    use hickory_resolver::proto::rr::{Name, Record};
    use parking_lot::Mutex;
    use tokio::net::UdpSocket;

    use super::*;

    #[test]
    fn records_become_targets_with_their_labels() {
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let text = |record: &RData| target("web.example", record, 80).unwrap().to_string();
        assert_eq!(
            text(&RData::A(A::new(192, 0, 2, 2))),
            r#"{__address__="192.0.2.2:80", __meta_dns_name="web.example"}"#
        );
        assert_eq!(
            text(&RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 1))),
            r#"{__address__="[::1]:80", __meta_dns_name="web.example"}"#
        );
        let srv = RData::SRV(SRV::new(0, 0, 3306, name("db1.example.com.")));
        let expected = concat!(
            r#"{__address__="db1.example.com:3306", __meta_dns_name="web.example", "#,
            r#"__meta_dns_srv_record_port="3306", __meta_dns_srv_record_target="db1.example.com."}"#
        );
        assert_eq!(text(&srv), expected);
        let mx = RData::MX(MX::new(0, name("smtp1.example.com.")));
        assert!(text(&mx).contains(r#"__address__="smtp1.example.com:80""#));
    }

    /// What the test's name server says next.
    #[derive(Debug, Clone, Copy)]
    enum Says {
        Two,
        NoSuchName,
        Failure,
    }

    /// A name server on the loopback interface that knows the SRV records of one name.
    async fn name_server(says: Arc<Mutex<Says>>) -> TokioResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut packet = [0; 1024];
            loop {
                let (len, from) = socket.recv_from(&mut packet).await.unwrap();
                let asked = Message::from_vec(&packet[..len]).unwrap();
                let mut answer = asked.clone().into_response();
                let name = asked.queries[0].name().clone();
                let srv =
                    |port, host: &str| RData::SRV(SRV::new(0, 0, port, Name::from_ascii(host).unwrap()));
                match *says.lock() {
                    Says::Two => {
                        answer.add_answer(Record::from_rdata(name.clone(), 0, srv(1, "a.test.")));
                        answer.add_answer(Record::from_rdata(name, 0, srv(2, "b.test.")));
                    }
                    Says::NoSuchName => answer.metadata.response_code = ResponseCode::NXDomain,
                    Says::Failure => answer.metadata.response_code = ResponseCode::ServFail,
                }
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        let mut connection = ConnectionConfig::udp();
        connection.port = port;
        let server = NameServerConfig::new(IpAddr::from([127, 0, 0, 1]), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
    }

    #[tokio::test]
    async fn a_failure_keeps_targets_and_a_name_that_is_gone_loses_them() {
        let says = Arc::new(Mutex::new(Says::Two));
        let resolver = name_server(says.clone()).await;
        let settings = DnsSd { names: vec!["_metrics._tcp.test.".to_owned()], ..DnsSd::default() };
        let metrics = Metrics::new(&base::metrics::Registry::new());
        let mut names = Names::new(resolver, &settings, &metrics);
        let addresses = |groups: Vec<TargetGroup>| -> Vec<String> {
            let all = groups.iter().flat_map(|group| &group.targets);
            all.map(|target| target.get_or_empty(ADDRESS).to_owned()).collect()
        };
        let mut found = addresses(names.refresh().await.unwrap());
        found.sort();
        assert_eq!(found, ["a.test:1", "b.test:2"]);
        *says.lock() = Says::Failure;
        assert_eq!(addresses(names.refresh().await.unwrap()).len(), 2);
        assert_eq!(metrics.dns_failures.get(), 1);
        *says.lock() = Says::NoSuchName;
        assert!(addresses(names.refresh().await.unwrap()).is_empty());
        assert_eq!((metrics.dns_lookups.get(), metrics.dns_failures.get()), (3, 1));
    }
}
