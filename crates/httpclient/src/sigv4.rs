//! AWS signature version 4 for requests. A request is signed when it is made: what the client adds of its own,
//! like the name of the program, is not part of it.
//!
//! Credentials come from the configuration, else the environment, else the shared files of AWS's tools, which are read
//! again for each request: they may be renewed by others.

use std::fmt::Write;
use std::path::PathBuf;

use base::clock::SharedClock;
use config::SigV4Config;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::{digest, hmac};

/// Why a request cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigV4Error {
    /// There is no region.
    #[error("region not configured in sigv4 or in default credentials chain")]
    Region,
    /// There are no credentials.
    #[error("could not get SigV4 credentials: none in the configuration, the environment or {}", .0.display())]
    Credentials(PathBuf),
    /// The URL or a header cannot be signed.
    #[error("failed to sign request: {0}")]
    Request(String),
}

/// Signs requests.
pub struct Signer {
    settings: SigV4Config,
    service: &'static str,
    region: String,
    clock: SharedClock,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

/// What proves who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Credentials {
    access_key: String,
    secret_key: String,
    session_token: String,
}

impl Signer {
    /// A signer for a service, unless the settings name another; fails without region or credentials.
    pub fn new(
        settings: &SigV4Config,
        service: &'static str,
        clock: SharedClock,
    ) -> Result<Self, SigV4Error> {
        let environment = Environment::of_process();
        credentials(settings, &environment)?;
        let region = region(settings, &environment)?;
        Ok(Self { settings: settings.clone(), service, region, clock })
    }

    /// The region requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The headers to add to a POST request of `body`, which carries `headers`. Reads files: it blocks for a moment.
    pub fn sign(&self, url: &str, headers: &HeaderMap, body: &[u8]) -> Result<HeaderMap, SigV4Error> {
        let credentials = credentials(&self.settings, &Environment::of_process())?;
        let service = match self.settings.service_name.as_str() {
            "" => self.service,
            named => named,
        };
        let scope = Scope { region: &self.region, service, now_ms: self.clock.now_ms() };
        sign(&credentials, &scope, url, headers, body)
    }
}

/// What a signature is for.
struct Scope<'a> {
    region: &'a str,
    service: &'a str,
    now_ms: i64,
}

/// Headers that others on the way may change.
const UNSIGNED: [&str; 3] = ["uber-trace-id", "user-agent", "retry-attempt"];

fn sign(
    credentials: &Credentials,
    scope: &Scope<'_>,
    url: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<HeaderMap, SigV4Error> {
    let invalid = |error: &dyn std::fmt::Display| SigV4Error::Request(error.to_string());
    let url = url::Url::parse(url).map_err(|error| invalid(&error))?;
    let now = jiff::Timestamp::from_millisecond(scope.now_ms).map_err(|error| invalid(&error))?;
    let (time, date) = (now.strftime("%Y%m%dT%H%M%SZ").to_string(), now.strftime("%Y%m%d").to_string());
    let hash = hex(digest::digest(&digest::SHA256, body).as_ref());

    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut signed = vec![("host".to_owned(), host), ("x-amz-date".to_owned(), time.clone())];
    if !credentials.session_token.is_empty() {
        signed.push(("x-amz-security-token".to_owned(), credentials.session_token.clone()));
    }
    for (name, value) in headers.iter().filter(|(name, _)| !UNSIGNED.contains(&name.as_str())) {
        let value = value.to_str().map_err(|error| invalid(&error))?;
        signed.push((name.as_str().to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    signed.sort();
    let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let mut canonical = format!("POST\n{}\n{}\n", canonical_path(&url), canonical_query(&url));
    for (name, value) in &signed {
        // Writing to a string cannot fail.
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{names}\n{hash}");

    let Scope { region, service, .. } = scope;
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let canonical_hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical_hash}");
    let mut key = format!("AWS4{}", credentials.secret_key).into_bytes();
    for part in [date.as_str(), region, service, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex(&mac(&key, &text));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.access_key
    );
    let mut added = HeaderMap::new();
    let mut add = |name: &'static str, value: &str| {
        let value = HeaderValue::try_from(value).map_err(|error| invalid(&error))?;
        added.insert(HeaderName::from_static(name), value);
        Ok(())
    };
    add("x-amz-date", &time)?;
    if !credentials.session_token.is_empty() {
        add("x-amz-security-token", &credentials.session_token)?;
    }
    add("authorization", &authorization)?;
    Ok(added)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The path, its escapes escaped once more as every service but S3 wants it.
fn canonical_path(url: &url::Url) -> String {
    let path = if url.path().is_empty() { "/" } else { url.path() };
    escape(path, true)
}

fn canonical_query(url: &url::Url) -> String {
    let mut pairs: Vec<_> =
        url.query_pairs().map(|(name, value)| (escape(&name, false), escape(&value, false))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn escape(text: &str, keep_slash: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b'/' if keep_slash => out.push('/'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Where AWS's tools leave what they know.
struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    fn of_process() -> Self {
        Self { variable: &|name| std::env::var(name).ok().filter(|value| !value.is_empty()) }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    fn file(&self, variable: &str, name: &str) -> PathBuf {
        match self.get(variable) {
            Some(path) => path.into(),
            None => PathBuf::from(self.get("HOME").unwrap_or_default()).join(".aws").join(name),
        }
    }

    fn profile(&self, settings: &SigV4Config) -> String {
        match settings.profile.as_str() {
            "" => self.get("AWS_PROFILE").unwrap_or_else(|| "default".to_owned()),
            given => given.to_owned(),
        }
    }
}

fn region(settings: &SigV4Config, environment: &Environment<'_>) -> Result<String, SigV4Error> {
    if !settings.region.is_empty() {
        return Ok(settings.region.clone());
    }
    let variable = environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION"));
    variable
        .or_else(|| {
            let file = std::fs::read_to_string(environment.file("AWS_CONFIG_FILE", "config")).ok()?;
            let profile = environment.profile(settings);
            ini_value(&file, &[&profile, &format!("profile {profile}")], "region")
        })
        .ok_or(SigV4Error::Region)
}

fn credentials(settings: &SigV4Config, environment: &Environment<'_>) -> Result<Credentials, SigV4Error> {
    if !settings.access_key.is_empty() {
        return Ok(Credentials {
            access_key: settings.access_key.clone(),
            secret_key: settings.secret_key.expose().to_owned(),
            session_token: String::new(),
        });
    }
    let keys = (environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY"));
    if let (Some(access_key), Some(secret_key)) = keys
        && settings.profile.is_empty()
    {
        let session_token = environment.get("AWS_SESSION_TOKEN").unwrap_or_default();
        return Ok(Credentials { access_key, secret_key, session_token });
    }
    let path = environment.file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    let profile = environment.profile(settings);
    let value = |name| ini_value(&file, &[&profile], name);
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(access_key), Some(secret_key)) => {
            let session_token = value("aws_session_token").unwrap_or_default();
            Ok(Credentials { access_key, secret_key, session_token })
        }
        _ => Err(SigV4Error::Credentials(path)),
    }
}

/// The value of `name` in one of the `sections` of a file with lines `name = value`.
fn ini_value(file: &str, sections: &[&str], name: &str) -> Option<String> {
    let mut inside = false;
    for line in file.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = sections.contains(&section.trim());
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && key.trim() == name
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> SigV4Config {
        SigV4Config { region: "us-east-1".to_owned(), ..SigV4Config::default() }
    }

    #[test]
    fn the_key_is_derived_as_documented() {
        // The worked example of AWS's documentation.
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for part in ["20120215", "us-east-1", "iam", "aws4_request"] {
            key = mac(&key, part);
        }
        assert_eq!(hex(&key), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    }

    /// What AWS's test suite for the signature (`aws-sig-v4-test-suite`) is made with.
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    #[test]
    fn signatures_are_those_of_the_published_test_suite() {
        type Headers = &'static [(&'static str, &'static str)];
        const FORM: Headers = &[("content-type", "application/x-www-form-urlencoded")];
        let cases: [(&str, Headers, &str, &str, &str); 5] = [
            ("/", &[], "", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "/?Param1=value1",
                &[],
                "",
                "",
                "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            ),
            (
                "/",
                &[("my-header1", "value1")],
                "",
                "",
                "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            ),
            (
                "/",
                FORM,
                "Param1=value1",
                "",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            ("/", &[], "", TOKEN, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
        ];
        for (path, given, body, token, expected) in cases {
            let credentials = Credentials {
                access_key: "AKIDEXAMPLE".to_owned(),
                secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                session_token: token.to_owned(),
            };
            // 30 August 2015, 12:36:00.
            let scope = Scope { region: "us-east-1", service: "service", now_ms: 1_440_938_160_000 };
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            let url = format!("https://example.amazonaws.com{path}");
            let added = sign(&credentials, &scope, &url, &headers, body.as_bytes()).unwrap();
            let authorization = added["authorization"].to_str().unwrap();
            let prefix = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=";
            assert!(authorization.starts_with(prefix), "{authorization}");
            assert!(authorization.ends_with(&format!(", Signature={expected}")), "{path}: {authorization}");
        }
    }

    #[test]
    fn a_request_is_signed_with_all_that_must_not_change() {
        let credentials = Credentials {
            access_key: "AKID".to_owned(),
            secret_key: "secret".to_owned(),
            session_token: "token".to_owned(),
        };
        let scope = Scope { region: "eu-west-1", service: "aps", now_ms: 1_445_412_480_000 };
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static("snappy"));
        headers.insert("user-agent", HeaderValue::from_static("x"));
        let signed = |body: &[u8], url: &str| {
            let added = sign(&credentials, &scope, url, &headers, body).unwrap();
            assert_eq!(added["x-amz-date"], "20151021T072800Z");
            assert_eq!(added["x-amz-security-token"], "token");
            added["authorization"].to_str().unwrap().to_owned()
        };
        let one = signed(b"a", "https://aps.example/workspaces/w/api/v1/remote_write");
        assert!(
            one.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKID/20151021/eu-west-1/aps/aws4_request, \
                 SignedHeaders=content-encoding;host;x-amz-date;x-amz-security-token, Signature="
            ),
            "{one}"
        );
        assert_ne!(one, signed(b"b", "https://aps.example/workspaces/w/api/v1/remote_write"));
        assert_ne!(one, signed(b"a", "https://aps.example/workspaces/v/api/v1/remote_write"));
        assert_ne!(one, signed(b"a", "https://aps.example:8443/workspaces/w/api/v1/remote_write"));
    }

    #[test]
    fn paths_and_queries_take_their_canonical_form() {
        let url = url::Url::parse("https://h/a%20b/c?z=1&a=x%20y&a=b/c").unwrap();
        assert_eq!(canonical_path(&url), "/a%2520b/c");
        assert_eq!(canonical_query(&url), "a=b%2Fc&a=x%20y&z=1");
    }

    #[test]
    fn credentials_come_from_configuration_environment_or_files_in_this_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        std::fs::write(
            &path,
            "[default]\naws_access_key_id = d\naws_secret_access_key = ds\n[other]\naws_access_key_id=o\n\
             aws_secret_access_key=os\naws_session_token = t\n",
        )
        .unwrap();
        let with = |pairs: Vec<(&'static str, String)>| {
            move |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        };
        let file = ("AWS_SHARED_CREDENTIALS_FILE", path.display().to_string());
        let from_files = with(vec![file.clone()]);
        let environment = Environment { variable: &from_files };
        assert_eq!(credentials(&settings(), &environment).unwrap().access_key, "d");
        let other = SigV4Config { profile: "other".to_owned(), ..settings() };
        let found = credentials(&other, &environment).unwrap();
        assert_eq!((found.secret_key.as_str(), found.session_token.as_str()), ("os", "t"));
        let variables = with(vec![
            file,
            ("AWS_ACCESS_KEY_ID", "e".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "es".to_owned()),
        ]);
        let environment = Environment { variable: &variables };
        assert_eq!(credentials(&settings(), &environment).unwrap().access_key, "e");
        let given =
            SigV4Config { access_key: "c".to_owned(), secret_key: config::Secret::new("cs"), ..settings() };
        assert_eq!(credentials(&given, &environment).unwrap().access_key, "c");
        let nothing = with(vec![("HOME", dir.path().display().to_string())]);
        let environment = Environment { variable: &nothing };
        assert!(credentials(&settings(), &environment).is_err());
        assert_eq!(region(&SigV4Config::default(), &environment), Err(SigV4Error::Region));
    }
}
