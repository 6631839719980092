//! Mail.

use std::collections::BTreeMap;

use model::labels::Quoted;

use super::super::values::HostPort;
use super::template;
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::Secret;
use crate::section::{Check, section};
use crate::sections::http::TlsConfig;

section! {
    /// Notifications by mail. What is absent is as in `global`.
    pub struct EmailConfig ("email", "config.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool;
        /// The addresses to send to, separated by commas.
        set to: String;
        /// The sender.
        set from: String;
        /// The name given in the greeting.
        set hello: String;
        /// The mail server.
        set smarthost: HostPort;
        /// The user to authenticate as.
        set auth_username: String;
        /// The password, for LOGIN and PLAIN.
        set auth_password: Secret;
        /// A file with the password.
        set auth_password_file: String;
        /// The secret, for CRAM-MD5.
        set auth_secret: Secret;
        /// A file with the secret.
        set auth_secret_file: String;
        /// The identity, for PLAIN.
        set auth_identity: String;
        /// Further headers; values are templates. `Subject` is one of them.
        set headers: BTreeMap<String, String>;
        /// The body as HTML.
        set html: String = template("email.default.html");
        /// The body as plain text.
        set text: String;
        /// Whether mails are only sent over TLS.
        set require_tls: Option<bool>;
        /// TLS of the connection.
        set tls_config: Option<TlsConfig>;
        /// Whether the connection begins with TLS; absent, it does at port 465.
        set force_implicit_tls: Option<bool>;
        /// Whether mails of one group form a thread.
        set threading: Threading;
    }
}

section! {
    /// Whether mails of one group form a thread.
    pub struct Threading ("threading", "config.ThreadingConfig") {
        /// Whether they do.
        set enabled: bool;
        /// `daily` for a new thread each day, or `none`.
        set thread_by_date: String;
    }
}

impl Check for Threading {}

/// `content-type` as `Content-Type`.
fn canonical(name: &str) -> String {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.bytes().all(is_token) {
        return name.to_owned();
    }
    let mut upper = true;
    let letter = |c: char| {
        let cased = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        upper = c == '-';
        cased
    };
    name.chars().map(letter).collect()
}

impl Check for EmailConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.to.is_empty() {
            return Err(at.fault("to", "missing to address in email config").remedy("add to"));
        }
        let mut headers = BTreeMap::new();
        for (name, value) in std::mem::take(&mut self.headers) {
            let canonical = canonical(&name);
            if headers.insert(canonical.clone(), value).is_some() {
                let message = format!("duplicate header {} in email config", Quoted(&canonical));
                return Err(at.child("headers").fault(&name, message).remedy("keep one of them"));
            }
        }
        self.headers = headers;
        if !self.threading.enabled {
            return Ok(());
        }
        for header in ["References", "In-Reply-To"] {
            if self.headers.contains_key(header) {
                let message = format!(
                    "conflicting configuration: threading.enabled conflicts with custom {header} header"
                );
                return Err(at.fault("headers", message).remedy("remove the header, or threading"));
            }
        }
        if !matches!(self.threading.thread_by_date.as_str(), "none" | "daily") {
            let message = "threading.thread_by_date must be either 'none' or 'daily'";
            return Err(at.child("threading").fault("thread_by_date", message).remedy("write none or daily"));
        }
        Ok(())
    }
}
