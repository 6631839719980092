//! Where peers are, and where this instance says it is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// The addresses of peers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Each address once.
    pub addresses: Vec<SocketAddr>,
    /// Names for which there is no address now.
    pub missing: Vec<String>,
}

/// Splits `host:port`. An IPv6 address as host stands in brackets.
pub fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((host, port.parse().ok()?))
}

/// Finds all addresses of the names of peers, each `host:port`. One name may stand for many.
pub async fn resolve(peers: &[String], limit: Duration) -> Found {
    let mut found = Found::default();
    for peer in peers {
        let lookup = async {
            let (host, port) = split(peer)?;
            let host = if host.is_empty() { "127.0.0.1" } else { host };
            tokio::net::lookup_host((host, port)).await.ok().map(Iterator::collect::<Vec<_>>)
        };
        let addresses = tokio::time::timeout(limit, lookup).await.ok().flatten().unwrap_or_default();
        if addresses.is_empty() {
            found.missing.push(peer.clone());
        }
        for address in addresses {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            if !found.addresses.contains(&address) {
                found.addresses.push(address);
            }
        }
    }
    found
}

/// The address others are told, for a listener on `bound`: the one that is given, the one that is listened on, or
/// the one from which the peers are reached. The error is for the operator.
pub fn advertised(
    bound: SocketAddr,
    given: &str,
    peers: &[SocketAddr],
    allow_public: bool,
) -> Result<SocketAddr, String> {
    if !given.is_empty() {
        let (host, port) = split(given).ok_or_else(|| format!("invalid advertise address {given:?}"))?;
        let host: IpAddr = host.parse().map_err(|_| format!("failed to parse advertise addr '{host}'"))?;
        let port = if port == 0 { bound.port() } else { port };
        return Ok(SocketAddr::new(host, port));
    }
    if !bound.ip().is_unspecified() {
        return Ok(bound);
    }
    // Where the system would send packets from; connecting a socket of this kind sends none.
    let any = [SocketAddr::from((Ipv4Addr::new(10, 255, 255, 255), 9))];
    let from = |to: &SocketAddr| -> Option<IpAddr> {
        let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_unspecified())
    };
    let Some(address) = peers.iter().chain(&any).find_map(from) else {
        if peers.is_empty() {
            return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), bound.port()));
        }
        return Err("no private IP found, explicit advertise addr not provided".to_owned());
    };
    if !is_private(address) && !allow_public && !peers.is_empty() {
        return Err(format!(
            "no private IP found, explicit advertise addr not provided: peers are reached from {address}, which is public; give --cluster.advertise-address"
        ));
    }
    Ok(SocketAddr::new(address, bound.port()))
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
            address.is_private() || address.is_loopback() || address.is_link_local() || shared
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        assert_eq!(split("a.b:1"), Some(("a.b", 1)));
        assert_eq!(split("[::1]:9094"), Some(("::1", 9094)));
        assert_eq!(split(":9094"), Some(("", 9094)));
        for wrong in ["a.b", "::1", "a:b", "[::1:5", "a:70000"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_given_is_advertised_and_else_what_is_listened_on() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(advertised(at("0.0.0.0:5"), "10.0.0.1:0", &[], false), Ok(at("10.0.0.1:5")));
        assert_eq!(advertised(at("127.0.0.1:5"), "", &[], false), Ok(at("127.0.0.1:5")));
        assert_eq!(advertised(at("0.0.0.0:5"), "", &[at("127.0.0.1:9")], false), Ok(at("127.0.0.1:5")));
        assert!(advertised(at("0.0.0.0:5"), "example.org:1", &[], false).is_err());
    }

    #[tokio::test]
    async fn names_that_are_none_are_told() {
        let peers = ["127.0.0.1:1".to_owned(), "127.0.0.1:1".to_owned(), "no port".to_owned()];
        let found = resolve(&peers, Duration::from_secs(5)).await;
        assert_eq!(found.addresses, ["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(found.missing, ["no port"]);
    }
}
