//! SMTP as a client: greeting, TLS, authentication, one mail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::alertmanager::receivers::mail::EmailConfig;
use md5::{Digest as _, Md5};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::email::Mail;
use super::{SendError, secret};

/// How long a server that has taken a mail is waited for.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);

/// The longest line of a reply that is read, and the most lines.
const MAX_LINE_BYTES: usize = 4096;
const MAX_LINES: usize = 100;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A reply: its code and the text of its lines.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

struct Session {
    stream: BufReader<Box<dyn Stream>>,
    /// What the server can do, as the answer to the greeting says.
    extensions: Vec<String>,
}

impl Session {
    fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream: BufReader::new(stream), extensions: Vec::new() }
    }

    async fn reply(&mut self) -> Result<Reply, SendError> {
        let failed =
            |error: std::io::Error| SendError::passing(format!("read reply of mail server: {error}"));
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let mut limited = tokio::io::AsyncReadExt::take(&mut self.stream, MAX_LINE_BYTES as u64);
            limited.read_until(b'\n', &mut line).await.map_err(failed)?;
            if !line.ends_with(b"\n") || lines.len() == MAX_LINES {
                return Err(SendError::passing("the mail server closed the connection or sent too much"));
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let code: u16 = text.get(..3).and_then(|code| code.parse().ok()).ok_or_else(|| {
                SendError::passing(format!("the mail server sent what is no reply: {text:?}"))
            })?;
            lines.push(text.get(4..).unwrap_or_default().to_owned());
            if text.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    /// Sends a command and takes the reply, which must be one of `good`.
    async fn command(&mut self, what: &str, command: &str, good: &[u16]) -> Result<Reply, SendError> {
        let failed = |error: std::io::Error| SendError::passing(format!("send {what} command: {error}"));
        self.stream.write_all(format!("{command}\r\n").as_bytes()).await.map_err(failed)?;
        self.stream.flush().await.map_err(failed)?;
        self.expect(what, good).await
    }

    async fn expect(&mut self, what: &str, good: &[u16]) -> Result<Reply, SendError> {
        let reply = self.reply().await?;
        if good.contains(&reply.code) {
            return Ok(reply);
        }
        // A code of the fives would be final, but the reference tries again too: what is refused today may be
        // what somebody is just setting right.
        Err(SendError::passing(format!("send {what} command: {} {}", reply.code, reply.lines.join(" "))))
    }

    async fn greet(&mut self, hello: &str) -> Result<(), SendError> {
        let name = if hello.is_empty() { "localhost" } else { hello };
        match self.command("EHLO", &format!("EHLO {name}"), &[250]).await {
            Ok(reply) => self.extensions = reply.lines.into_iter().skip(1).collect(),
            Err(_) => {
                self.command("HELO", &format!("HELO {name}"), &[250]).await?;
                self.extensions.clear();
            }
        }
        Ok(())
    }

    /// The parameters of an extension, if the server has it.
    fn extension(&self, name: &str) -> Option<&str> {
        self.extensions.iter().find_map(|line| {
            let (word, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            word.eq_ignore_ascii_case(name).then_some(rest)
        })
    }

    async fn authenticate(&mut self, config: &EmailConfig) -> Result<(), SendError> {
        let Some(mechanisms) = self.extension("AUTH").map(str::to_owned) else { return Ok(()) };
        let user = &config.auth_username;
        if user.is_empty() {
            return Ok(());
        }
        let password = || secret(config.auth_password.expose(), &config.auth_password_file);
        let mut missing = Vec::new();
        for mechanism in mechanisms.split_whitespace() {
            let usable = match mechanism {
                "CRAM-MD5" => !config.auth_secret.expose().is_empty() || !config.auth_secret_file.is_empty(),
                "PLAIN" | "LOGIN" => {
                    !config.auth_password.expose().is_empty() || !config.auth_password_file.is_empty()
                }
                other => {
                    missing.push(format!("unknown auth mechanism: {other}"));
                    continue;
                }
            };
            if !usable {
                let what = if mechanism == "CRAM-MD5" { "secret" } else { "password" };
                missing.push(format!("missing {what} for {mechanism} auth mechanism"));
                continue;
            }
            return match mechanism {
                "CRAM-MD5" => {
                    let secret = secret(config.auth_secret.expose(), &config.auth_secret_file)?;
                    let reply = self.command("AUTH", "AUTH CRAM-MD5", &[334]).await?;
                    let challenge = STANDARD.decode(reply.lines.join("")).unwrap_or_default();
                    let answer = format!("{user} {}", hmac_md5(secret.as_bytes(), &challenge));
                    self.command("AUTH", &STANDARD.encode(answer), &[235]).await
                }
                "PLAIN" => {
                    let token = format!("{}\0{user}\0{}", config.auth_identity, password()?);
                    self.command("AUTH", &format!("AUTH PLAIN {}", STANDARD.encode(token)), &[235]).await
                }
                _ => {
                    self.command("AUTH", "AUTH LOGIN", &[334]).await?;
                    self.command("AUTH", &STANDARD.encode(user), &[334]).await?;
                    self.command("AUTH", &STANDARD.encode(password()?), &[235]).await
                }
            }
            .map(|_| ());
        }
        Err(SendError::passing(format!("find auth mechanism: {}", missing.join("\n"))))
    }

    async fn transmit(&mut self, mail: &Mail) -> Result<(), SendError> {
        self.command("MAIL", &format!("MAIL FROM:<{}>", mail.from), &[250]).await?;
        for address in &mail.to {
            self.command("RCPT", &format!("RCPT TO:<{address}>"), &[250, 251]).await?;
        }
        self.command("DATA", "DATA", &[354]).await?;
        let failed = |error: std::io::Error| SendError::passing(format!("write mail: {error}"));
        self.stream.write_all(&dotted(&mail.message)).await.map_err(failed)?;
        self.stream.flush().await.map_err(failed)?;
        self.expect("end of mail", &[250]).await?;
        Ok(())
    }
}

/// The message with lines that begin with a dot given another, and the line that ends it.
fn dotted(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// HMAC-MD5 as lower-case hexadecimal digits, which CRAM-MD5 asks for.
fn hmac_md5(key: &[u8], message: &[u8]) -> String {
    const BLOCK: usize = 64;
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..16].copy_from_slice(&Md5::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Md5::new().chain_update(pad(0x36)).chain_update(message).finalize();
    let outer = Md5::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn secure(config: &EmailConfig, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, SendError> {
    let tls = config.tls_config.clone().unwrap_or_default();
    let name =
        if tls.server_name.is_empty() { config.smarthost.host.clone() } else { tls.server_name.clone() };
    let options = httpclient::tls_config(&tls)
        .map_err(|error| SendError::fatal(format!("parse TLS configuration: {error}")))?;
    let name = ServerName::try_from(name).map_err(|error| SendError::fatal(error.to_string()))?;
    let secured = TlsConnector::from(options).connect(name, stream).await;
    secured
        .map(|stream| Box::new(stream) as Box<dyn Stream>)
        .map_err(|error| SendError::passing(format!("establish TLS connection to server: {error}")))
}

/// Sends a mail as the configuration says.
pub(super) async fn send(config: &EmailConfig, mail: &Mail) -> Result<(), SendError> {
    let implicit = config.force_implicit_tls.unwrap_or(config.smarthost.port == "465");
    let port: u16 = match config.smarthost.port.as_str() {
        "smtp" => 25,
        "submission" => 587,
        "smtps" | "submissions" => 465,
        port => port.parse().map_err(|_| SendError::fatal(format!("unknown port {port}")))?,
    };
    let connected = TcpStream::connect((config.smarthost.host.as_str(), port)).await;
    let stream =
        connected.map_err(|error| SendError::passing(format!("establish connection to server: {error}")))?;
    let mut stream: Box<dyn Stream> = Box::new(stream);
    if implicit {
        stream = secure(config, stream).await?;
    }
    let mut session = Session::new(stream);
    session.expect("greeting", &[220]).await?;
    session.greet(&config.hello).await?;
    if config.require_tls.unwrap_or(true) && !implicit {
        if session.extension("STARTTLS").is_none() {
            return Err(SendError::passing(format!(
                "'require_tls' is true (default) but {:?} does not advertise the STARTTLS extension",
                config.smarthost.to_string()
            )));
        }
        session.command("STARTTLS", "STARTTLS", &[220]).await?;
        if !session.stream.buffer().is_empty() {
            // Whatever came before the encryption may be from anybody.
            return Err(SendError::passing("the mail server sent data before TLS began"));
        }
        session = Session::new(secure(config, session.stream.into_inner()).await?);
        session.greet(&config.hello).await?;
    }
    session.authenticate(config).await?;
    session.transmit(mail).await?;
    // The mail is accepted; how the farewell goes, and whether, does not matter.
    let _ = tokio::time::timeout(FAREWELL, session.command("QUIT", "QUIT", &[221])).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // RFC 2195.
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        assert_eq!(hmac_md5(b"tanstaaftanstaaf", challenge), "b913a602c7eda7a495b4e6e7334d3890");
    }

    #[test]
    fn a_dot_at_the_start_of_a_line_does_not_end_the_mail() {
        assert_eq!(dotted(b"a\r\n.\r\n..b\r\n"), b"a\r\n..\r\n...b\r\n.\r\n");
    }
}
