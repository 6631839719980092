//! The HTTP client of all outgoing connections, as `object_store` wants one: there is one TLS stack in the process.

use std::time::Duration;

use async_trait::async_trait;
use base::clock::SharedClock;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use httpclient::{Client, ClientError, Request};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};

/// An answer may have this many bytes: parts of objects are read, never large ones as a whole.
const MAX_BODY_BYTES: usize = 1 << 30;

/// Makes clients.
#[derive(Clone)]
pub(crate) struct Connector {
    pub clock: SharedClock,
    pub timeout: Duration,
    pub tls: config::TlsConfig,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let config = config::HttpClientConfig {
            // A redirect would carry a signature that is not for where it leads.
            follow_redirects: false,
            tls_config: self.tls.clone(),
            ..Default::default()
        };
        let client = Client::new(&config, self.clock.clone());
        let client = client
            .map_err(|error| object_store::Error::Generic { store: "http", source: Box::new(error) })?;
        Ok(HttpClient::new(Service { client, timeout: self.timeout }))
    }
}

#[derive(Clone)]
struct Service {
    client: Client,
    timeout: Duration,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

fn failure(error: ClientError) -> HttpError {
    let kind = match &error {
        ClientError::Timeout { .. } => HttpErrorKind::Timeout,
        ClientError::Exchange { .. } => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body: Bytes = match body.as_bytes() {
            Some(whole) => whole.clone(),
            None => body.collect().await?.to_bytes(),
        };
        let request =
            Request::new(head.method, head.uri.to_string(), self.timeout).headers(&head.headers).body(body);
        let mut response = self.client.send(request).await.map_err(failure)?;
        let mut body = Vec::new();
        response.read_body(&mut body, MAX_BODY_BYTES).await.map_err(failure)?;
        let mut answer =
            http::Response::new(HttpResponseBody::new(Full::from(body).map_err(|never| match never {})));
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        Ok(answer)
    }
}
