//! Which proxy a URL needs.

use std::net::IpAddr;

use config::ProxyConfig;
use url::{Host, Url};

use crate::error::ClientError;

/// The proxies of one client.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    bypass: Vec<Bypass>,
    /// Whether this machine itself is always reached directly.
    local_is_direct: bool,
}

/// Targets reached without the proxy.
#[derive(Debug, PartialEq)]
enum Bypass {
    All,
    Network {
        ip: IpAddr,
        prefix_bits: u8,
        port: Option<u16>,
    },
    /// A domain and what is below it, or only what is below.
    Domain {
        name: String,
        below_only: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    /// The proxies `config` asks for; `env` looks up variables of the environment.
    pub(crate) fn new(
        config: &ProxyConfig,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ClientError> {
        if config.proxy_from_environment {
            // The upper-case HTTP_PROXY is not taken in a CGI process, where a client could set it.
            let cgi = env("REQUEST_METHOD").is_some();
            let get = |upper: &str, lower: &str| {
                env(upper).or_else(|| env(lower)).filter(|value| !value.is_empty())
            };
            let http = if cgi { env("http_proxy") } else { get("HTTP_PROXY", "http_proxy") };
            return Ok(Self {
                http: http.map(|text| parse(&text)).transpose()?,
                https: get("HTTPS_PROXY", "https_proxy").map(|text| parse(&text)).transpose()?,
                bypass: parse_bypass(&get("NO_PROXY", "no_proxy").unwrap_or_default()),
                local_is_direct: true,
            });
        }
        if config.proxy_url.as_str().is_empty() {
            return Ok(Self::default());
        }
        let proxy = parse(config.proxy_url.as_str())?;
        let bypass = parse_bypass(&config.no_proxy);
        let local_is_direct = !config.no_proxy.is_empty();
        Ok(Self { http: Some(proxy.clone()), https: Some(proxy), bypass, local_is_direct })
    }

    /// The proxy a request to `scheme`, `host` and `port` goes through.
    pub(crate) fn for_target(&self, https: bool, host: &Host<String>, port: u16) -> Option<&Url> {
        let proxy = if https { self.https.as_ref() } else { self.http.as_ref() }?;
        let local = match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        };
        let direct =
            local && self.local_is_direct || self.bypass.iter().any(|bypass| bypass.covers(host, port));
        (!direct).then_some(proxy)
    }
}

fn parse(text: &str) -> Result<Url, ClientError> {
    let wrong = |reason: &str| ClientError::Request(format!("proxy_url {text:?}: {reason}"));
    // Environment variables often hold host:port alone.
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&with_scheme).map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" | "socks5" | "socks5h" if url.has_host() => Ok(url),
        "http" | "https" | "socks5" | "socks5h" => Err(wrong("host is missing")),
        _ => Err(wrong("scheme must be http, https, socks5 or socks5h")),
    }
}

fn parse_bypass(list: &str) -> Vec<Bypass> {
    let items = list.split(',').map(|item| item.trim().to_lowercase()).filter(|item| !item.is_empty());
    items.filter_map(|item| Bypass::parse(&item)).collect()
}

impl Bypass {
    fn parse(item: &str) -> Option<Self> {
        if item == "*" {
            return Some(Self::All);
        }
        if let Some((ip, bits)) = item.split_once('/') {
            let (ip, prefix_bits) = (ip.parse().ok()?, bits.parse().ok()?);
            return Some(Self::Network { ip, prefix_bits, port: None });
        }
        let bare = item.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse() {
            return Some(Self::Network { ip, prefix_bits: 128, port: None });
        }
        let (name, port) = match item.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (item, None),
        };
        if let Ok(ip) = name.trim_start_matches('[').trim_end_matches(']').parse() {
            return Some(Self::Network { ip, prefix_bits: 128, port });
        }
        let below = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
        Some(Self::Domain { name: below.unwrap_or(name).to_owned(), below_only: below.is_some(), port })
    }

    fn covers(&self, host: &Host<String>, target_port: u16) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Network { ip, prefix_bits, port }, host) => {
                let same_port = port.is_none_or(|port| port == target_port);
                let within = match (ip, host) {
                    (IpAddr::V4(net), Host::Ipv4(ip)) => {
                        share_prefix(&net.octets(), &ip.octets(), *prefix_bits)
                    }
                    (IpAddr::V6(net), Host::Ipv6(ip)) => {
                        share_prefix(&net.octets(), &ip.octets(), *prefix_bits)
                    }
                    _ => false,
                };
                same_port && within
            }
            (Self::Domain { name, below_only, port }, Host::Domain(host)) => {
                let below = host.strip_suffix(name.as_str()).is_some_and(|front| front.ends_with('.'));
                port.is_none_or(|port| port == target_port) && (below || !below_only && host == name)
            }
            (Self::Domain { .. }, _) => false,
        }
    }
}

fn share_prefix(a: &[u8], b: &[u8], bits: u8) -> bool {
    let bits = usize::from(bits).min(a.len() * 8);
    let (whole, rest) = (bits / 8, bits % 8);
    a[..whole] == b[..whole] && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(url: &str, no_proxy: &str) -> Proxies {
        let config = ProxyConfig {
            proxy_url: config::Url::parse(url).unwrap(),
            no_proxy: no_proxy.to_owned(),
            ..ProxyConfig::default()
        };
        Proxies::new(&config, &|_| None).unwrap()
    }

    fn goes_through(proxies: &Proxies, url: &str) -> bool {
        let url = Url::parse(url).unwrap();
        let host = url.host().unwrap().to_owned();
        proxies.for_target(url.scheme() == "https", &host, url.port_or_known_default().unwrap()).is_some()
    }

    #[test]
    fn exceptions_name_domains_addresses_networks_and_ports() {
        let list =
            proxies("http://proxy:3128", "example.com, .below.org, 10.0.0.0/8, 192.168.1.1, host:81, [::2]");
        let direct = [
            "http://example.com/",
            "http://a.example.com/",
            "http://x.below.org/",
            "http://10.9.8.7/",
            "http://192.168.1.1:9/",
            "http://host:81/",
            "http://localhost/",
            "http://127.0.0.1:9090/",
            "http://[::2]/",
        ];
        let proxied = [
            "http://notexample.com/",
            "http://below.org/",
            "http://11.0.0.1/",
            "http://host:82/",
            "https://other/",
        ];
        for url in direct {
            assert!(!goes_through(&list, url), "{url}");
        }
        for url in proxied {
            assert!(goes_through(&list, url), "{url}");
        }
        assert!(!goes_through(&proxies("http://proxy", "*"), "http://any/"));
        // A proxy without exceptions is used for everything.
        assert!(goes_through(&proxies("http://proxy", ""), "http://localhost/"));
    }

    #[test]
    fn the_environment_is_used_when_asked_for() {
        let config = ProxyConfig { proxy_from_environment: true, ..ProxyConfig::default() };
        let env = |name: &str| match name {
            "HTTPS_PROXY" => Some("secure:1".to_owned()),
            "no_proxy" => Some("direct".to_owned()),
            _ => None,
        };
        let proxies = Proxies::new(&config, &env).unwrap();
        assert!(goes_through(&proxies, "https://a/"));
        assert!(!goes_through(&proxies, "http://a/"));
        assert!(!goes_through(&proxies, "https://direct/"));
    }
}
