//! The alternative names of a certificate (RFC 5280, 4.2.1.6), read from its DER encoding.

use std::net::{Ipv4Addr, Ipv6Addr};

const OBJECT_ID: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// Where the extensions stand in the signed part of a certificate.
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;

/// Names, mail addresses, addresses and URIs the certificate is for. One that cannot be read has none.
pub(super) fn alternative_names(certificate: &[u8]) -> Vec<String> {
    let Some(names) = subject_alt_name(certificate) else { return Vec::new() };
    Elements(names).filter_map(|(tag, content)| general_name(tag, content)).collect()
}

fn general_name(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        EMAIL | DNS | URI => std::str::from_utf8(content).ok().map(str::to_owned),
        IP => match (<[u8; 4]>::try_from(content), <[u8; 16]>::try_from(content)) {
            (Ok(bytes), _) => Some(Ipv4Addr::from(bytes).to_string()),
            (_, Ok(bytes)) => Some(Ipv6Addr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// The list of names, if the certificate has one.
fn subject_alt_name(certificate: &[u8]) -> Option<&[u8]> {
    let signed = find(find(certificate, SEQUENCE)?, SEQUENCE)?;
    let extensions = find(find(signed, EXTENSIONS)?, SEQUENCE)?;
    let mut extensions = Elements(extensions).map(|(_, extension)| extension);
    let extension = extensions.find(|extension| find(extension, OBJECT_ID) == Some(&SUBJECT_ALT_NAME))?;
    find(find(extension, OCTET_STRING)?, SEQUENCE)
}

/// The content of the first element with this tag.
fn find(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    Elements(bytes).find_map(|(found, content)| (found == tag).then_some(content))
}

/// Tags and contents of DER elements that stand side by side; ends early where the encoding is broken.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        // Short lengths stand for themselves, others say in how many bytes they follow.
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Vec<u8> {
        let names = ["a.example", "10.0.0.1", "2001:db8::1", "*.b.example"].map(str::to_owned).to_vec();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.subject_alt_names.push(rcgen::SanType::Rfc822Name("me@a.example".try_into().unwrap()));
        params.subject_alt_names.push(rcgen::SanType::URI("spiffe://a/b".try_into().unwrap()));
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn all_kinds_of_names_are_found() {
        let expected =
            ["a.example", "10.0.0.1", "2001:db8::1", "*.b.example", "me@a.example", "spiffe://a/b"];
        assert_eq!(alternative_names(&certificate()), expected);
        let key = rcgen::KeyPair::generate().unwrap();
        let nameless = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        assert_eq!(alternative_names(nameless.der()), [""; 0]);
    }

    #[test]
    fn broken_certificates_do_no_harm() {
        let whole = certificate();
        for len in 0..whole.len() {
            alternative_names(&whole[..len]);
        }
        for at in 0..whole.len() {
            for byte in [0x00, 0x7f, 0x84, 0xff] {
                let mut broken = whole.clone();
                broken[at] = byte;
                alternative_names(&broken);
            }
        }
    }
}
