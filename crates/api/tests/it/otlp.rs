//! OpenTelemetry metrics over HTTP and gRPC, as far as the protocols go: what is stored is another crate's.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use api::server::{Pem, Security, ServerOptions, TlsOptions};
use api::state::{OtlpReceiver, OtlpState};
use base::ByteBudget;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::HeaderMap;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::TenantId;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use wire::otlp::answer::{Code, ExportResponse, Status};

use crate::server::{TestServer, options, server_options};

const METRICS: &str = "/api/v1/otlp/v1/metrics";
const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const MAX_BODY_BYTES: usize = 1 << 20;
const JSON: &str = r#"{"resourceMetrics":[{"schemaUrl":"x"}]}"#;
/// The same in protobuf.
const PROTOBUF: &[u8] = b"\x0a\x03\x1a\x01x";

/// Notes what it is given, and answers as it is told.
struct Receiver {
    requests: Mutex<Vec<(TenantId, Vec<u8>)>>,
    outcome: Mutex<Result<ExportResponse, Status>>,
}

impl OtlpReceiver for Receiver {
    fn export(&self, tenant: &TenantId, request: &[u8]) -> Result<ExportResponse, Status> {
        self.requests.lock().push((tenant.clone(), request.to_vec()));
        self.outcome.lock().clone()
    }
}

struct Fixture {
    server: TestServer,
    receiver: Arc<Receiver>,
    budget: ByteBudget,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Code and message of gRPC, wherever they are.
    fn grpc(&self) -> (u8, String) {
        assert_eq!((self.status, self.header("content-type")), (200, "application/grpc"));
        let places = [&self.headers, &self.trailers];
        let all = |name: &str| places.iter().find_map(|place| place.get(name)).map(|v| v.to_str().unwrap());
        (all("grpc-status").unwrap().parse().unwrap(), all("grpc-message").unwrap_or_default().to_owned())
    }
}

impl Fixture {
    async fn start() -> Self {
        Self::start_at("").await
    }

    async fn start_at(route_prefix: &str) -> Self {
        Self::start_with(route_prefix, server_options()).await
    }

    async fn start_with(route_prefix: &str, listen: ServerOptions) -> Self {
        let outcome = Mutex::new(Ok(ExportResponse::default()));
        let receiver = Arc::new(Receiver { requests: Mutex::default(), outcome });
        let budget = ByteBudget::new("ingest.max-memory", 8 << 20);
        let state =
            OtlpState { receiver: receiver.clone(), budget: budget.clone(), max_body_bytes: MAX_BODY_BYTES };
        let options = api::ApiOptions { route_prefix: route_prefix.to_owned(), ..options() };
        let server =
            TestServer::start_receiving(options, listen, Security::default(), Some(Arc::new(state))).await;
        Self { server, receiver, budget }
    }

    fn answers(&self, outcome: Result<ExportResponse, Status>) {
        *self.receiver.outcome.lock() = outcome;
    }

    fn received(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.receiver.requests.lock()).into_iter().map(|(_, body)| body).collect()
    }

    async fn post(&self, content_type: &str, encoding: &str, body: impl Into<Bytes>) -> Answer {
        let headers = [("content-type", content_type), ("content-encoding", encoding)];
        send(self.server.address, Version::HTTP_11, METRICS, &headers, body.into()).await
    }

    async fn export(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut all = vec![("content-type", "application/grpc"), ("te", "trailers")];
        all.extend_from_slice(headers);
        send(self.server.address, Version::HTTP_2, EXPORT, &all, body.into()).await
    }
}

async fn send(
    address: std::net::SocketAddr,
    version: Version,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    send_over(stream, address, version, path, headers, body).await
}

async fn send_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: std::net::SocketAddr,
    version: Version,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let stream = TokioIo::new(stream);
    let mut request = Request::post(format!("http://{address}{path}")).version(version);
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).unwrap();
    let response = if version == Version::HTTP_2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Answer { status: head.status.as_u16(), headers: head.headers, body: collected.to_bytes(), trailers }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A message with its prefix.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut body = vec![flag];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(message);
    body
}

#[tokio::test]
async fn requests_arrive_as_protobuf_however_they_are_written_and_compressed() {
    let fixture = Fixture::start().await;
    let protobuf = fixture.post("application/x-protobuf", "", PROTOBUF).await;
    assert_eq!((protobuf.status, protobuf.header("content-type")), (200, "application/x-protobuf"));
    assert!(protobuf.body.is_empty());
    let json = fixture.post("application/json; charset=utf-8", "", JSON).await;
    assert_eq!((json.status, json.header("content-type"), json.text()), (200, "application/json", "{}"));
    assert_eq!(fixture.post("application/x-protobuf", "gzip", gzip(PROTOBUF)).await.status, 200);
    assert_eq!(fixture.post("application/json", "gzip", gzip(JSON.as_bytes())).await.status, 200);
    assert_eq!(fixture.post("application/x-protobuf", "identity", PROTOBUF).await.status, 200);
    assert_eq!(fixture.received(), vec![PROTOBUF; 5]);
    assert_eq!(fixture.budget.used_bytes(), 0);
}

#[tokio::test]
async fn answers_come_in_the_encoding_of_the_request() {
    let fixture = Fixture::start().await;
    let partial = ExportResponse { rejected_data_points: 2, error_message: "too old".to_owned() };
    fixture.answers(Ok(partial.clone()));
    let json = fixture.post("application/json", "", JSON).await;
    assert_eq!(json.text(), r#"{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"too old"}}"#);
    assert_eq!(fixture.post("application/x-protobuf", "", PROTOBUF).await.body, partial.to_protobuf());

    let cases = [
        (Code::InvalidArgument, 400),
        (Code::ResourceExhausted, 429),
        (Code::Unavailable, 503),
        (Code::Internal, 500),
    ];
    for (code, http) in cases {
        let status = Status { code, message: "why".to_owned() };
        fixture.answers(Err(status.clone()));
        let protobuf = fixture.post("application/x-protobuf", "", PROTOBUF).await;
        assert_eq!((protobuf.status, &protobuf.body[..]), (http, &status.to_protobuf()[..]));
        assert_eq!(protobuf.header("retry-after"), if http == 503 { "1" } else { "" });
        let json = fixture.post("application/json", "", JSON).await;
        assert_eq!((json.status, json.text().to_owned()), (http, status.to_json()));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_the_reason() {
    let fixture = Fixture::start().await;
    let refused = fixture.post("text/plain", "", PROTOBUF).await;
    assert_eq!(
        (refused.status, refused.text()),
        (
            415,
            "unsupported content type: text/plain, supported: [application/json, application/x-protobuf]\n"
        )
    );
    let refused = fixture.post("application/json", "br", JSON).await;
    assert_eq!(refused.status, 415);
    assert!(refused.text().starts_with("unsupported compression: br. Only \"gzip\""), "{}", refused.text());
    let refused = fixture.post("application/json", "", "{]").await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.text(), r#"{"code":3,"message":"JSON: expected '\"', found ']' at byte 1"}"#);
    assert_eq!(fixture.post("application/x-protobuf", "gzip", PROTOBUF).await.status, 400);
    assert!(fixture.received().is_empty());
}

#[tokio::test]
async fn bodies_are_bounded_before_and_after_decompression() {
    let fixture = Fixture::start().await;
    let large = vec![0; MAX_BODY_BYTES + 1];
    assert_eq!(fixture.post("application/x-protobuf", "", large.clone()).await.status, 413);
    let bomb = fixture.post("application/x-protobuf", "gzip", gzip(&large)).await;
    assert_eq!(bomb.status, 400);
    assert!(String::from_utf8_lossy(&bomb.body).contains("ingest.max-request-size: "));
    assert_eq!(fixture.post("application/x-protobuf", "gzip", gzip(&large[1..])).await.status, 200);
    assert_eq!(fixture.received().len(), 1);
    let held = fixture.budget.reserve(8 << 20).unwrap();
    let busy = fixture.post("application/x-protobuf", "", PROTOBUF).await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, "1"));
    assert!(busy.text().starts_with("ingest.max-memory: "), "{}", busy.text());
    drop(held);
    assert_eq!(fixture.budget.used_bytes(), 0);
}

#[tokio::test]
async fn a_receiver_that_is_off_says_how_to_switch_it_on() {
    let server = TestServer::start().await;
    let json = [("content-type", "application/json")];
    let off = send(server.address, Version::HTTP_11, METRICS, &json, JSON.into()).await;
    assert_eq!(
        (off.status, off.text()),
        (404, "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n")
    );
    let grpc = [("content-type", "application/grpc")];
    let off = send(server.address, Version::HTTP_2, EXPORT, &grpc, framed(0, PROTOBUF).into()).await;
    assert_eq!(off.grpc().0, Code::Unimplemented as u8);
}

#[tokio::test]
async fn grpc_takes_one_message_and_answers_one() {
    let fixture = Fixture::start_at("/prefix").await;
    let answer = fixture.export(&[], framed(0, PROTOBUF)).await;
    assert_eq!(answer.grpc(), (0, String::new()));
    assert_eq!(answer.body, framed(0, &[]));
    assert!(answer.trailers.contains_key("grpc-status"));
    let packed = framed(1, &gzip(PROTOBUF));
    assert_eq!(fixture.export(&[("grpc-encoding", "gzip")], packed.clone()).await.grpc().0, 0);
    // What is named need not be used.
    assert_eq!(fixture.export(&[("grpc-encoding", "gzip")], framed(0, PROTOBUF)).await.grpc().0, 0);
    let in_time = [("content-type", "application/grpc+proto"), ("grpc-timeout", "60S")];
    assert_eq!(fixture.export(&in_time[1..], framed(0, PROTOBUF)).await.grpc().0, 0);
    assert_eq!(fixture.received(), vec![PROTOBUF; 4]);

    let partial = ExportResponse { rejected_data_points: 2, error_message: "too old".to_owned() };
    fixture.answers(Ok(partial.clone()));
    assert_eq!(fixture.export(&[], framed(0, PROTOBUF)).await.body, framed(0, &partial.to_protobuf()));
    fixture.answers(Err(Status { code: Code::InvalidArgument, message: "100% wrong é".to_owned() }));
    let refused = fixture.export(&[], framed(0, PROTOBUF)).await;
    assert_eq!(refused.grpc(), (3, "100%25 wrong %C3%A9".to_owned()));
    assert!(refused.body.is_empty());
}

#[tokio::test]
async fn grpc_tells_what_is_wrong_by_its_codes() {
    let fixture = Fixture::start().await;
    let code = async |headers: &[(&str, &str)], body: Vec<u8>| fixture.export(headers, body).await.grpc().0;
    assert_eq!(code(&[("grpc-encoding", "deflate")], framed(1, PROTOBUF)).await, Code::Unimplemented as u8);
    assert_eq!(code(&[], framed(1, PROTOBUF)).await, Code::Internal as u8);
    assert_eq!(code(&[], vec![0, 0, 0]).await, Code::Internal as u8);
    assert_eq!(code(&[], framed(0, PROTOBUF)[..8].to_vec()).await, Code::Internal as u8);
    assert_eq!(code(&[("grpc-timeout", "soon")], framed(0, PROTOBUF)).await, Code::Internal as u8);
    assert_eq!(code(&[("grpc-timeout", "0n")], framed(0, PROTOBUF)).await, Code::DeadlineExceeded as u8);
    let large = framed(0, &vec![0; MAX_BODY_BYTES + 1]);
    assert_eq!(code(&[], large).await, Code::ResourceExhausted as u8);
    let bomb = framed(1, &gzip(&vec![0; MAX_BODY_BYTES + 1]));
    assert_eq!(code(&[("grpc-encoding", "gzip")], bomb).await, Code::InvalidArgument as u8);
    assert!(fixture.received().is_empty());
    fixture.server.calls.ready.store(false, Ordering::SeqCst);
    assert_eq!(code(&[], framed(0, PROTOBUF)).await, Code::Unavailable as u8);

    let json = [("content-type", "application/grpc+json")];
    let address = fixture.server.address;
    assert_eq!(send(address, Version::HTTP_2, EXPORT, &json, Bytes::new()).await.status, 415);
    let grpc = [("content-type", "application/grpc")];
    assert_eq!(send(address, Version::HTTP_11, EXPORT, &grpc, Bytes::new()).await.status, 505);
    assert_eq!(fixture.budget.used_bytes(), 0);
}

#[tokio::test]
async fn tenants_are_told_apart() {
    let fixture = Fixture::start().await;
    let headers = [("content-type", "application/json"), ("x-scope-orgid", "team")];
    send(fixture.server.address, Version::HTTP_11, METRICS, &headers, JSON.into()).await;
    fixture.export(&[("x-scope-orgid", "other")], framed(0, PROTOBUF)).await;
    let requests = fixture.receiver.requests.lock();
    let tenants: Vec<_> = requests.iter().map(|(tenant, _)| tenant.0.as_str()).collect();
    assert_eq!(tenants, ["team", "other"]);
}

#[tokio::test]
async fn grpc_is_spoken_over_tls_where_both_sides_offer_http2() {
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (pem, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let tls = TlsOptions::new(Pem::Inline(pem), Pem::Inline(key));
    let listen = ServerOptions { tls: Some(tls), ..server_options() };
    let fixture = Fixture::start_with("", listen).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let address = fixture.server.address;
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let body = framed(0, PROTOBUF).into();
    let answer = send_over(stream, address, Version::HTTP_2, EXPORT, &headers, body).await;
    assert_eq!(answer.grpc().0, 0);
    assert_eq!(fixture.received(), [PROTOBUF]);
}
