//! SMTP as a client: greeting, TLS, authentication, one mail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::alertmanager::receivers::mail::EmailConfig;
use md5::{Digest as _, Md5};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::SendError;
use super::email::Mail;

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

/// A mail, and all that sending it needs.
pub(super) struct Job {
    mail: Mail,
    host: String,
    port: u16,
    /// What the server is told who asks.
    hello: String,
    /// Whether TLS begins with the connection.
    implicit: bool,
    /// Whether there is nothing without TLS.
    require_tls: bool,
    tls: Result<Tls, SendError>,
    login: Login,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// Who sends; what is not given is empty.
#[derive(Clone)]
struct Login {
    user: String,
    identity: String,
    /// For PLAIN and LOGIN.
    password: String,
    /// For CRAM-MD5.
    secret: String,
}

struct Session {
    stream: BufReader<Box<dyn Stream>>,
    /// What the server can do, as the answer to the greeting says.
    extensions: Vec<String>,
    /// Whether nobody else can read what is said.
    is_private: bool,
}

impl Session {
    fn new(stream: Box<dyn Stream>, is_private: bool) -> Self {
        Self { stream: BufReader::new(stream), extensions: Vec::new(), is_private }
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
        match self.command("EHLO", &format!("EHLO {hello}"), &[250]).await {
            Ok(reply) => self.extensions = reply.lines.into_iter().skip(1).collect(),
            Err(_) => {
                self.command("HELO", &format!("HELO {hello}"), &[250]).await?;
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

    async fn authenticate(&mut self, login: &Login) -> Result<(), SendError> {
        let Some(mechanisms) = self.extension("AUTH").map(str::to_owned) else { return Ok(()) };
        if login.user.is_empty() {
            return Ok(());
        }
        let mut missing = Vec::new();
        for mechanism in mechanisms.split_whitespace() {
            let (given, what) = match mechanism {
                "CRAM-MD5" => (&login.secret, "secret"),
                "PLAIN" | "LOGIN" => (&login.password, "password"),
                other => {
                    missing.push(format!("unknown auth mechanism: {other}"));
                    continue;
                }
            };
            if given.is_empty() {
                missing.push(format!("missing {what} for {mechanism} auth mechanism"));
                continue;
            }
            return self.authenticate_by(mechanism, login).await;
        }
        Err(SendError::passing(format!("find auth mechanism: {}", missing.join("\n"))))
    }

    async fn authenticate_by(&mut self, mechanism: &str, login: &Login) -> Result<(), SendError> {
        let Login { user, identity, password, secret } = login;
        match mechanism {
            "CRAM-MD5" => {
                let reply = self.command("AUTH", "AUTH CRAM-MD5", &[334]).await?;
                let challenge = STANDARD.decode(reply.lines.join("")).unwrap_or_default();
                let answer = format!("{user} {}", hmac_md5(secret.as_bytes(), &challenge));
                self.command("AUTH", &STANDARD.encode(answer), &[235]).await?;
            }
            // Whoever listens would have the password.
            "PLAIN" if !self.is_private => {
                return Err(SendError::passing("plain auth: unencrypted connection"));
            }
            "PLAIN" => {
                let token = STANDARD.encode(format!("{identity}\0{user}\0{password}"));
                self.command("AUTH", &format!("AUTH PLAIN {token}"), &[235]).await?;
            }
            _ => {
                let mut reply = self.command("AUTH", "AUTH LOGIN", &[334]).await?;
                // The server says what it wants; most ask for the name, then the password.
                for turn in 0..2 {
                    let prompt =
                        STANDARD.decode(reply.lines.join("")).unwrap_or_default().to_ascii_lowercase();
                    let wants_password = match () {
                        () if prompt.starts_with(b"pass") => true,
                        () if prompt.starts_with(b"user") => false,
                        () => turn == 1,
                    };
                    let answer = STANDARD.encode(if wants_password { password } else { user });
                    reply = self.command("AUTH", &answer, &[334, 235]).await?;
                    if reply.code == 235 {
                        return Ok(());
                    }
                }
                return Err(SendError::passing(
                    "LOGIN auth: the server asks for more than name and password",
                ));
            }
        }
        Ok(())
    }

    async fn transmit(&mut self, mail: &Mail) -> Result<(), SendError> {
        self.command("MAIL", &format!("MAIL FROM:<{}>", mail.from), &[250]).await?;
        for address in &mail.to {
            self.command("RCPT", &format!("RCPT TO:<{address}>"), &[250, 251, 252]).await?;
        }
        self.command("DATA", "DATA", &[354]).await?;
        let failed = |error: std::io::Error| SendError::passing(format!("write mail: {error}"));
        self.stream.write_all(&dotted(&mail.message)).await.map_err(failed)?;
        self.stream.flush().await.map_err(failed)?;
        // A reply decides; without one the mail may be on its way.
        let reply = self.reply().await.map_err(|error| error.perhaps_told(true))?;
        if reply.code == 250 {
            return Ok(());
        }
        let text = reply.lines.join(" ");
        Err(SendError::passing(format!("send end of mail command: {} {text}", reply.code)))
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

/// Whether a server is on this machine, where nobody listens between.
fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

impl Job {
    /// Makes ready to send a mail as the configuration says. Reads files of secrets and certificates.
    pub fn new(config: &EmailConfig, mail: Mail) -> Result<Self, SendError> {
        let port: u16 = match config.smarthost.port.as_str() {
            "smtp" => 25,
            "submission" => 587,
            "smtps" | "submissions" => 465,
            port => port.parse().map_err(|_| SendError::fatal(format!("unknown port {port}")))?,
        };
        let given = |secret: &config::Secret, file: &str| {
            if secret.expose().is_empty() && file.is_empty() {
                return Ok(String::new());
            }
            super::secret(secret.expose(), file)
        };
        Ok(Self {
            mail,
            host: config.smarthost.host.clone(),
            port,
            hello: if config.hello.is_empty() { "localhost".to_owned() } else { config.hello.clone() },
            implicit: config.force_implicit_tls.unwrap_or(config.smarthost.port == "465"),
            require_tls: config.require_tls.unwrap_or(true),
            tls: Tls::of(config),
            login: Login {
                user: config.auth_username.clone(),
                identity: config.auth_identity.clone(),
                password: given(&config.auth_password, &config.auth_password_file)?,
                secret: given(&config.auth_secret, &config.auth_secret_file)?,
            },
        })
    }

    /// Sends the mail.
    pub async fn send(&self) -> Result<(), SendError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| SendError::passing(format!("establish connection to server: {error}")))?;
        let mut stream: Box<dyn Stream> = Box::new(stream);
        if self.implicit {
            stream = self.secure(stream).await?;
        }
        let mut session = Session::new(stream, self.implicit || is_local(&self.host));
        session.expect("greeting", &[220]).await?;
        session.greet(&self.hello).await?;
        if self.require_tls && !self.implicit {
            if session.extension("STARTTLS").is_none() {
                let server = format!("{}:{}", self.host, self.port);
                return Err(SendError::passing(format!(
                    "'require_tls' is true (default) but {server:?} does not advertise the STARTTLS extension"
                )));
            }
            session.command("STARTTLS", "STARTTLS", &[220]).await?;
            if !session.stream.buffer().is_empty() {
                // Whatever came before the encryption may be from anybody.
                return Err(SendError::passing("the mail server sent data before TLS began"));
            }
            session = Session::new(self.secure(session.stream.into_inner()).await?, true);
            session.greet(&self.hello).await?;
        }
        session.authenticate(&self.login).await?;
        session.transmit(&self.mail).await?;
        // The mail is accepted; how the farewell goes, and whether, does not matter.
        let _ = tokio::time::timeout(FAREWELL, session.command("QUIT", "QUIT", &[221])).await;
        Ok(())
    }

    async fn secure(&self, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, SendError> {
        let tls = self.tls.as_ref().map_err(Clone::clone)?;
        let secured = tls.connector.connect(tls.name.clone(), stream).await;
        secured
            .map(|stream| Box::new(stream) as Box<dyn Stream>)
            .map_err(|error| SendError::passing(format!("establish TLS connection to server: {error}")))
    }
}

impl Tls {
    fn of(config: &EmailConfig) -> Result<Self, SendError> {
        let tls = config.tls_config.clone().unwrap_or_default();
        let name = if tls.server_name.is_empty() { &config.smarthost.host } else { &tls.server_name };
        let options = httpclient::tls_config(&tls)
            .map_err(|error| SendError::fatal(format!("parse TLS configuration: {error}")))?;
        let name = ServerName::try_from(name.clone()).map_err(|error| SendError::fatal(error.to_string()))?;
        Ok(Self { connector: TlsConnector::from(options), name })
    }
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

    /// What a server that offers PLAIN hears.
    async fn heard(is_private: bool) -> (Result<(), SendError>, String) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let server = tokio::spawn(async move {
            let mut stream = BufReader::new(theirs);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            if !line.is_empty() {
                stream.write_all(b"235 fine\r\n").await.unwrap();
            }
            line
        });
        let mut session = Session::new(Box::new(ours), is_private);
        session.extensions = vec!["AUTH PLAIN".to_owned()];
        let login = Login {
            user: "me".to_owned(),
            identity: String::new(),
            password: "secret".to_owned(),
            secret: String::new(),
        };
        let outcome = session.authenticate(&login).await;
        drop(session);
        (outcome, server.await.unwrap())
    }

    #[tokio::test]
    async fn a_password_is_not_sent_where_others_can_read_it() {
        let (outcome, line) = heard(false).await;
        assert_eq!(
            (outcome.unwrap_err().message.as_str(), line.as_str()),
            ("plain auth: unencrypted connection", "")
        );
        let (outcome, line) = heard(true).await;
        assert!(outcome.is_ok() && line.starts_with("AUTH PLAIN "), "{line}");
    }
}
