//! A scripted HTTP/1.1 server, plain or with TLS, that remembers what it was asked.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A running server; dropping it ends it.
pub struct Server {
    pub port: u16,
    pub asked: mpsc::UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers each request, head and body as text, with the bytes `answer` makes of it.
pub type Answer = fn(&str) -> String;

impl Server {
    pub async fn plain(answer: Answer) -> Self {
        Self::start(None, answer).await
    }

    pub async fn start(tls: Option<Arc<ServerConfig>>, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, asked) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, sender) = (tls.clone(), sender.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, answer, sender).await,
                        Some(tls) => match tokio_rustls::TlsAcceptor::from(tls).accept(stream).await {
                            Ok(stream) => {
                                let name = stream.get_ref().1.server_name().unwrap_or("-").to_owned();
                                let client = stream.get_ref().1.peer_certificates().is_some();
                                let _ = sender.send(format!("TLS name={name} client={client}"));
                                serve(stream, answer, sender).await;
                            }
                            Err(_) => {
                                let _ = sender.send("TLS failed".to_owned());
                            }
                        },
                    }
                });
            }
        });
        Self { port, asked, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub async fn next(&mut self) -> String {
        self.asked.recv().await.unwrap()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: Answer,
    asked: mpsc::UnboundedSender<String>,
) {
    while let Some(request) = read_request(&mut stream).await {
        let _ = asked.send(request.clone());
        if stream.write_all(answer(&request).as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// Reads a head, and as much body as it announces.
pub async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes.clone()).ok()?;
    let announced = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; announced.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}

/// An answer with a body.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A client with the options of a YAML text.
pub fn client(options: &str) -> httpclient::Client {
    try_client(options).unwrap()
}

pub fn try_client(options: &str) -> Result<httpclient::Client, httpclient::ClientError> {
    let indented: String = options.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!("scrape_configs:\n- job_name: a\n{indented}");
    let loaded =
        config::Config::from_bytes("p.yml".as_ref(), text.as_bytes(), &config::LoadOptions::default());
    let loaded = loaded.unwrap_or_else(|error| panic!("{error}"));
    httpclient::Client::new(&loaded.jobs[0].http, base::SystemClock::shared())
}

/// GETs a URL and returns status and body.
pub async fn get(client: &httpclient::Client, url: &str) -> Result<(u16, String), httpclient::ClientError> {
    let request = httpclient::Request::get(url, std::time::Duration::from_secs(20));
    let mut response = client.send(request).await?;
    let mut body = Vec::new();
    response.read_body(&mut body, 1 << 20).await?;
    Ok((response.status().as_u16(), String::from_utf8(body).unwrap()))
}
