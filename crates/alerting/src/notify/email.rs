//! Mails: headers and bodies.

use base::clock::SharedClock;
use config::alertmanager::receivers::mail::EmailConfig;
use gotmpl::time::Time;
use ring::rand::SecureRandom as _;

use super::{Render, SendError};
use crate::alert::from_ms;

/// A mail that is ready to be sent.
#[derive(Debug)]
pub(super) struct Mail {
    /// The address it comes from.
    pub from: String,
    /// The addresses it goes to.
    pub to: Vec<String>,
    /// Headers and body, lines ending in CR LF.
    pub message: Vec<u8>,
}

/// Takes the addresses out of a list such as `Team <team@example.org>, other@example.org`.
fn addresses(list: &str, what: &str) -> Result<Vec<String>, SendError> {
    let wrong = |reason: &str| SendError::fatal(format!("parse '{what}' addresses: {reason}"));
    if list.contains(char::is_control) {
        return Err(wrong("a control character"));
    }
    let (mut found, mut item, mut quoted) = (Vec::new(), String::new(), false);
    for c in list.chars().chain([',']) {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                let item = std::mem::take(&mut item);
                let bare = item
                    .rsplit_once('<')
                    .map_or(item.trim(), |(_, rest)| rest.trim().trim_end_matches('>').trim());
                let well_formed = bare
                    .split_once('@')
                    .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
                // What is sent to the server must stay one argument of one command.
                if !well_formed
                    || bare.contains(|c: char| c.is_whitespace() || c.is_control() || "<>".contains(c))
                {
                    return Err(wrong(&format!("{:?} is not an address", item.trim())));
                }
                found.push(bare.to_owned());
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    if quoted { Err(wrong("a quote is not closed")) } else { Ok(found) }
}

/// A header's value: as it is, or in encoded words when it is not plain ASCII.
fn header_value(value: &str) -> String {
    let is_plain = value.bytes().all(|b| (b' '..=b'~').contains(&b) || b == b'\t');
    if is_plain {
        return value.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in value.chars() {
        let mut encoded = String::new();
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            match byte {
                b' ' => encoded.push('_'),
                b'!'..=b'~' if !matches!(byte, b'=' | b'?' | b'_') => encoded.push(char::from(byte)),
                other => encoded.push_str(&format!("={other:02X}")),
            }
        }
        // An encoded word has at most 75 characters, and ends between two characters of the text.
        if word.len() + encoded.len() > 60 {
            words.push(std::mem::take(&mut word));
        }
        word.push_str(&encoded);
    }
    words.push(word);
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?q?{word}?=")).collect();
    words.join("\r\n ")
}

/// A body in quoted-printable: lines of at most 76 characters of printable ASCII.
fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push_str("\r\n");
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        let mut column = 0;
        for (at, byte) in line.bytes().enumerate() {
            let is_last = at + 1 == line.len();
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || matches!(byte, b' ' | b'\t') && !is_last;
            let width = if plain { 1 } else { 3 };
            if column + width > 75 {
                out.push_str("=\r\n");
                column = 0;
            }
            match plain {
                true => out.push(char::from(byte)),
                false => out.push_str(&format!("={byte:02X}")),
            }
            column += width;
        }
    }
    out
}

fn random_hex() -> Result<String, SendError> {
    let mut bytes = [0_u8; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| SendError::passing("the system gives no random numbers"))?;
    Ok(super::hex(&bytes))
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Renders a mail.
pub(super) fn compose(
    config: &EmailConfig,
    render: &Render<'_>,
    clock: &SharedClock,
) -> Result<Mail, SendError> {
    let (from, to) = (render.text(&config.from)?, render.text(&config.to)?);
    let senders = addresses(&from, "from")?;
    let [sender] = senders.as_slice() else {
        return Err(SendError::fatal(format!("must be exactly one 'from' address (got: {})", senders.len())));
    };
    let now = Time::utc(from_ms(clock.now_ms()));
    let mut head = String::new();
    let mut add = |name: &str, value: &str| {
        // A line break in a value would begin another header.
        let value = value.replace(['\r', '\n'], " ");
        head.push_str(&format!("{name}: {}\r\n", header_value(value.trim())));
    };
    for (name, value) in &config.headers {
        add(name, &render.text(value)?);
    }
    for (name, value) in
        [("Subject", "{{ template \"email.default.subject\" . }}"), ("To", &to), ("From", &from)]
    {
        if !config.headers.contains_key(name) {
            add(name, &render.text(value)?);
        }
    }
    if !config.headers.contains_key("Message-Id") {
        add("Message-Id", &format!("<{}@{}>", random_hex()?, host_name()));
    }
    if config.threading.enabled {
        // All mails on a group answer the same mail, which never was: readers show them as one thread.
        let day =
            if config.threading.thread_by_date == "none" { String::new() } else { now.format("2006-01-02") };
        let root = format!("<alert-{}-{day}@alertmanager>", &render.key_hash()[..16]);
        add("References", &root);
        add("In-Reply-To", &root);
    }
    add("Date", &now.format("Mon, 02 Jan 2006 15:04:05 -0700"));
    let boundary = random_hex()?;
    head.push_str(&format!(
        "Content-Type: multipart/alternative; boundary={boundary}\r\nMIME-Version: 1.0\r\n\r\n"
    ));
    let mut message = head;
    // The alternative to prefer comes last.
    let mut parts = Vec::new();
    if !config.text.is_empty() {
        parts.push(("text/plain", render.text(&config.text)?));
    }
    if !config.html.is_empty() {
        parts.push(("text/html", render.html(&config.html)?));
    }
    for (kind, body) in parts {
        message.push_str(&format!(
            "--{boundary}\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: {kind}; charset=UTF-8\r\n\r\n{}\r\n",
            quoted_printable(&body)
        ));
    }
    message.push_str(&format!("--{boundary}--\r\n"));
    Ok(Mail { from: sender.clone(), to: addresses(&to, "to")?, message: message.into_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_out_of_lists() {
        let found = addresses("Team <a@x>, \"Doe, J.\" <b@y>,c@z", "to").unwrap();
        assert_eq!(found, ["a@x", "b@y", "c@z"]);
        for wrong in ["", "a", "a@x>\r\nRCPT TO:<b@y", "\"a@x"] {
            assert!(addresses(wrong, "to").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn headers_and_bodies_are_encoded_for_old_paths() {
        assert_eq!(header_value("[FIRING:1] Down"), "[FIRING:1] Down");
        assert_eq!(header_value("Größe = 1?"), "=?utf-8?q?Gr=C3=B6=C3=9Fe_=3D_1=3F?=");
        assert!(header_value(&"ö".repeat(100)).lines().all(|line| line.trim().len() <= 75));
        assert_eq!(quoted_printable("a=b ö\r\nx "), "a=3Db =C3=B6\r\nx=20");
        let long = quoted_printable(&"x".repeat(200));
        assert!(long.lines().all(|line| line.len() <= 76));
        assert_eq!(long.replace("=\r\n", "").len(), 200);
    }
}
