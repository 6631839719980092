//! Addresses in lines and labels.

use std::net::{IpAddr, Ipv4Addr};

/// Which addresses match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Addresses {
    One(IpAddr),
    Range(IpAddr, IpAddr),
    Network(IpAddr, u8),
}

impl Addresses {
    /// Reads `10.0.0.1`, `10.0.0.1-10.0.0.9` or `10.0.0.0/8`.
    pub fn new(pattern: &str) -> Result<Self, String> {
        Self::read(pattern).ok_or_else(|| format!("ip: invalid pattern: {:?}", pattern))
    }

    fn read(pattern: &str) -> Option<Self> {
        let pattern = pattern.trim();
        if let Some((first, last)) = pattern.split_once('-') {
            let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self::Range(first, last));
        }
        if let Some((address, bits)) = pattern.split_once('/') {
            let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Network(address, bits));
        }
        pattern.parse().ok().map(Self::One)
    }

    /// Whether an address is among them. Addresses of different families never are.
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            Self::One(one) => *one == address,
            Self::Range(first, last) => {
                first.is_ipv4() == address.is_ipv4() && *first <= address && address <= *last
            }
            Self::Network(network, bits) => match (network, address) {
                (IpAddr::V4(network), IpAddr::V4(address)) => {
                    let mask = mask32(*bits);
                    u32::from(*network) & mask == u32::from(address) & mask
                }
                (IpAddr::V6(network), IpAddr::V6(address)) => {
                    let mask = mask128(*bits);
                    u128::from(*network) & mask == u128::from(address) & mask
                }
                _ => false,
            },
        }
    }

    /// Whether a text is an address among them.
    pub fn contains_text(&self, text: &str) -> bool {
        text.parse().is_ok_and(|address| self.contains(address))
    }

    /// Whether such an address stands anywhere in a line.
    pub fn is_in(&self, line: &[u8]) -> bool {
        let mut at = 0;
        while at < line.len() {
            let is_part = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
            if !is_part(&line[at]) {
                at += 1;
                continue;
            }
            let len = line[at..].iter().take_while(|b| is_part(b)).count();
            if self.is_in_candidate(&line[at..at + len]) {
                return true;
            }
            at += len;
        }
        false
    }

    /// Looks at a sequence of digits, dots and colons: as a whole, and for addresses of version 4 inside.
    fn is_in_candidate(&self, candidate: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(candidate) else { return false };
        let trimmed = text.trim_end_matches(['.', ':']);
        let address = text.parse::<IpAddr>().or_else(|_| trimmed.parse());
        match address {
            Ok(address) => self.contains(address),
            Err(_) => text
                .split(|c: char| !(c.is_ascii_digit() || c == '.'))
                .filter_map(|part| part.trim_matches('.').parse::<Ipv4Addr>().ok())
                .any(|address| self.contains(IpAddr::V4(address))),
        }
    }
}

fn mask32(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

fn mask128(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_lines() {
        let network = Addresses::new("192.168.4.0/24").unwrap();
        assert!(network.is_in(b"by 192.168.4.5, from"));
        assert!(!network.is_in(b"by 192.168.5.5, from"));
        let six = Addresses::new("2001:db8::/32").unwrap();
        assert!(six.is_in(b"[2001:db8::5]:443"));
        assert!(Addresses::new("::/0").unwrap().contains("::1".parse().unwrap()));
        assert_eq!(Addresses::new("999.1.2.3").unwrap_err(), "ip: invalid pattern: \"999.1.2.3\"");
    }
}
