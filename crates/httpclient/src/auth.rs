//! The `Authorization` header: basic, any scheme with credentials, and OAuth 2.0 client credentials.

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::SharedClock;
use base64::Engine as _;
use config::{HttpClientConfig, OAuth2, Secret};
use http::{HeaderValue, Method, header};

use crate::client::{Client, Request};
use crate::error::ClientError;
use crate::files::Text;

/// How requests authenticate.
#[derive(Debug)]
pub(crate) enum Auth {
    None,
    Basic { username: Text, password: Text },
    Scheme { scheme: String, credentials: Text },
    OAuth2(Box<TokenSource>),
}

impl Auth {
    pub(crate) fn new(config: &HttpClientConfig, clock: &SharedClock) -> Result<Self, ClientError> {
        if let Some(basic) = &config.basic_auth {
            let refs = [&basic.username_ref, &basic.password_ref];
            refuse_refs(&refs)?;
            return Ok(Self::Basic {
                username: Text::new(&Secret::new(&*basic.username), "username_file", &basic.username_file),
                password: Text::new(&basic.password, "password_file", &basic.password_file),
            });
        }
        if let Some(authorization) = &config.authorization {
            refuse_refs(&[&authorization.credentials_ref])?;
            let credentials = Text::new(
                &authorization.credentials,
                "authorization credentials file",
                &authorization.credentials_file,
            );
            return Ok(Self::Scheme { scheme: authorization.r#type.clone(), credentials });
        }
        match &config.oauth2 {
            Some(oauth2) => Ok(Self::OAuth2(Box::new(TokenSource::new(oauth2, clock)?))),
            None => Ok(Self::None),
        }
    }

    /// The header for a request sent now.
    pub(crate) async fn header(&self) -> Result<Option<HeaderValue>, ClientError> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic { username, password } => {
                let pair = format!("{}:{}", username.get()?.expose(), password.get()?.expose());
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
            }
            Self::Scheme { scheme, credentials } => format!("{scheme} {}", credentials.get()?.expose()),
            Self::OAuth2(tokens) => tokens.token().await?,
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            ClientError::Request("the credentials hold characters that no header can".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// Secrets by reference need a secret manager, which this program does not have.
fn refuse_refs(refs: &[&String]) -> Result<(), ClientError> {
    match refs.iter().find(|name| !name.is_empty()) {
        Some(name) => Err(ClientError::Request(format!(
            "cannot look up secret {name:?}: no secret manager is configured"
        ))),
        None => Ok(()),
    }
}

/// Fetches tokens and keeps each until shortly before it expires.
#[derive(Debug)]
pub(crate) struct TokenSource {
    client: Client,
    url: String,
    client_id: String,
    client_secret: Text,
    scopes: Vec<String>,
    parameters: BTreeMap<String, String>,
    clock: SharedClockDebug,
    current: tokio::sync::Mutex<Option<Token>>,
}

/// A clock that can stand in a `Debug` struct.
struct SharedClockDebug(SharedClock);

impl std::fmt::Debug for SharedClockDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

#[derive(Debug)]
struct Token {
    header: Secret,
    /// The secret it was fetched with: a changed one makes the token old.
    secret: Secret,
    /// On the monotonic clock; `None` for a token that does not expire.
    expires: Option<Duration>,
}

/// A token is renewed this long before it expires, so that it does not expire on its way.
const EARLY: Duration = Duration::from_secs(10);
/// How long the token server may take.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer of a token server.
const TOKEN_BYTES: usize = 1 << 20;

#[derive(serde::Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

impl TokenSource {
    fn new(oauth2: &OAuth2, clock: &SharedClock) -> Result<Self, ClientError> {
        refuse_refs(&[&oauth2.client_secret_ref])?;
        if oauth2.is_jwt_grant() {
            return Err(ClientError::Token(
                "the JWT bearer grant is not supported; use client credentials".to_owned(),
            ));
        }
        let client = HttpClientConfig {
            tls_config: oauth2.tls_config.clone(),
            proxy: oauth2.proxy.clone(),
            ..HttpClientConfig::default()
        };
        Ok(Self {
            client: Client::new(&client, clock.clone())?,
            url: oauth2.token_url.clone(),
            client_id: oauth2.client_id.clone(),
            client_secret: Text::new(&oauth2.client_secret, "client secret file", &oauth2.client_secret_file),
            scopes: oauth2.scopes.clone(),
            parameters: oauth2.endpoint_params.clone(),
            clock: SharedClockDebug(clock.clone()),
            current: tokio::sync::Mutex::new(None),
        })
    }

    /// The header value of a token that is good now. One request at a time fetches; others wait for it.
    async fn token(&self) -> Result<String, ClientError> {
        let secret = self.client_secret.get()?;
        let mut current = self.current.lock().await;
        let now = self.clock.0.monotonic();
        if let Some(token) = &*current
            && token.secret == secret
            && token.expires.is_none_or(|expires| now + EARLY < expires)
        {
            return Ok(token.header.expose().to_owned());
        }
        let token = self.fetch(secret, now).await?;
        let header = token.header.expose().to_owned();
        *current = Some(token);
        Ok(header)
    }

    /// The body of a token request. Apart, because a form under construction cannot cross threads.
    fn form(&self) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.extend_pairs(&self.parameters);
        form.finish()
    }

    async fn fetch(&self, secret: Secret, now: Duration) -> Result<Token, ClientError> {
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret.expose()));
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let request = Request::new(Method::POST, self.url.clone(), TOKEN_TIMEOUT)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(
                header::AUTHORIZATION,
                HeaderValue::try_from(basic).map_err(|e| ClientError::Token(e.to_string()))?,
            )
            .body(self.form());
        // Boxed: a client may hold a token source, which holds a client.
        let mut response = Box::pin(self.client.send(request)).await?;
        let mut body = Vec::new();
        response.read_body(&mut body, TOKEN_BYTES).await?;
        if !response.status().is_success() {
            let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            return Err(ClientError::Token(format!(
                "cannot fetch token: {}\nResponse: {text}",
                response.status()
            )));
        }
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|error| {
            ClientError::Token(format!("cannot parse the token server's answer: {error}"))
        })?;
        if answer.access_token.is_empty() {
            return Err(ClientError::Token("server response missing access_token".to_owned()));
        }
        let scheme = match answer.token_type.to_lowercase().as_str() {
            "" | "bearer" => "Bearer".to_owned(),
            "mac" => "MAC".to_owned(),
            "basic" => "Basic".to_owned(),
            _ => answer.token_type.clone(),
        };
        // Some servers send the number as a string.
        let seconds =
            answer.expires_in.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        let expires = seconds.filter(|&s| s > 0).map(|s| now.saturating_add(Duration::from_secs(s)));
        Ok(Token { header: Secret::new(format!("{scheme} {}", answer.access_token)), secret, expires })
    }
}
