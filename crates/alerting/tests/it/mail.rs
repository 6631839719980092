//! Mails to a real server: aiosmtpd, from PyPI.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use crate::support::{alert, runtime, start};

/// Prints its port, then each mail as one line of JSON.
const SERVER: &str = r#"
import json, ssl, sys
from email import message_from_bytes
from email.policy import default
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=default)
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None,
            "user": session.auth_data.decode() if session.auth_data else None,
            "headers": {name: str(value) for name, value in mail.items()},
            "parts": {part.get_content_type(): part.get_content() for part in mail.iter_parts()},
        }), flush=True)
        return "250 OK"

def authenticator(server, session, envelope, mechanism, auth_data):
    good = auth_data.login == b"me" and auth_data.password == b"secret"
    return AuthResult(success=good, auth_data=auth_data.login)

mode, cert = sys.argv[1], sys.argv[2]
context = None
if mode != "plain":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert + ".crt", cert + ".key")
options = dict(authenticator=authenticator, auth_required=True, auth_require_tls=mode == "starttls")
if mode == "starttls":
    options.update(tls_context=context, require_starttls=True)
if mode == "tls":
    options.update(ssl_context=context)
import socket
probe = socket.socket(); probe.bind(("127.0.0.1", 0)); port = probe.getsockname()[1]; probe.close()
controller = Controller(Handler(), hostname="127.0.0.1", port=port, **options)
controller.start()
print(json.dumps({"port": port}), flush=True)
sys.stdin.read()
"#;

/// A Python that has the mail server; `None`, and a word about it, when there is none.
fn python(test: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/python");
    let has = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", "import aiosmtpd"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = [tools, PathBuf::from("python3")].into_iter().find(has);
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{test}: no Python with aiosmtpd");
        println!("skipped: {test}: no Python with aiosmtpd (make setup)");
    }
    found
}

/// A running mail server; dropping it ends it.
struct Server {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u64,
}

impl Server {
    fn start(python: &Path, mode: &str, dir: &Path) -> Self {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let path = dir.join("server");
        std::fs::write(path.with_extension("crt"), pair.cert.pem()).unwrap();
        std::fs::write(path.with_extension("key"), pair.signing_key.serialize_pem()).unwrap();
        let mut child = Command::new(python)
            .args(["-c", SERVER, mode])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told: Json = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let port = told["port"].as_u64().unwrap();
        Self { child, lines, port }
    }

    fn next(&mut self) -> Json {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.child.stdin.take() {
            let _ = stdin.flush();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn mails_arrive_in_all_ways_of_connecting() {
    let Some(python) = python("mails_arrive_in_all_ways_of_connecting") else { return };
    for (mode, more) in [
        ("plain", "require_tls: false"),
        ("starttls", "tls_config: {ca_file: server.crt, server_name: localhost}"),
        ("tls", "force_implicit_tls: true, tls_config: {insecure_skip_verify: true}"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::start(&python, mode, dir.path());
        let runtime = runtime();
        std::fs::write(dir.path().join("password"), "secret\n").unwrap();
        let password = dir.path().join("password").display().to_string();
        let yaml = format!(
            "  email_configs:\n  - {{to: 'Ops <ops@example.org>, b@example.org', from: am@example.org, smarthost: 'localhost:{}', auth_username: me, auth_password_file: {password}, send_resolved: true, text: 'is {{{{ .Status }}}}: ä', threading: {{enabled: true, thread_by_date: none}}, headers: {{X-Team: a}}, {more}}}\n",
            server.port
        );
        let manager = start(dir.path(), &yaml, &runtime);
        manager.post(vec![alert("Größe", false)]).unwrap();
        let mail = server.next();
        assert_eq!(mail["from"], "am@example.org", "{mode}");
        assert_eq!(mail["to"], serde_json::json!(["ops@example.org", "b@example.org"]));
        assert_eq!((mail["tls"] == true, &mail["user"]), (mode != "plain", &Json::from("me")));
        let headers = &mail["headers"];
        assert_eq!(headers["Subject"], "[FIRING:1] Größe (api critical)");
        assert_eq!(
            (&headers["X-Team"], &headers["To"]),
            (&Json::from("a"), &Json::from("Ops <ops@example.org>, b@example.org"))
        );
        assert_eq!(headers["References"], headers["In-Reply-To"]);
        assert!(headers["Message-Id"].as_str().unwrap().contains('@'));
        assert_eq!(mail["parts"]["text/plain"].as_str().unwrap().trim(), "is firing: ä");
        assert!(mail["parts"]["text/html"].as_str().unwrap().contains("5 &lt; 6 &amp; so on"));
        // What follows is in the same thread.
        manager.post(vec![alert("Größe", true)]).unwrap();
        let next = server.next();
        assert_eq!(next["headers"]["References"], headers["References"]);
        assert_eq!(next["headers"]["Subject"], "[RESOLVED] Größe (api critical)");
    }
}
