//! The screens: the application that `make ui` builds, as it is compiled into the program, and the
//! paths of its pages. A program that was built without it says so on its front page.

use std::io::Read as _;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::error::plain;
use crate::handlers::{Shared, system};

/// A file of the application, in the forms it is kept in.
#[derive(Debug)]
struct File {
    name: &'static str,
    /// Changes with what the file holds.
    etag: &'static str,
    plain: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

/// By name, sorted.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

/// Where pages are that the application draws: `ui/src/app/routes.ts`. What is asked of them below is the application's
/// affair. Paths of APIs are not among them, nor what does not exist, so that both keep failing as they should.
const PAGES: [&str; 13] = [
    "/dashboards",
    "/d",
    "/explore",
    "/alerts",
    "/silences",
    "/rules",
    "/targets",
    "/routing",
    "/admin",
    "/profile",
    "/status",
    "/graph",
    "/login",
];

/// What the application may load and run: only what comes from here. Styles are written by its scripts.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
    object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

/// The paths of the application.
pub fn routes() -> Router<Shared> {
    let mut routes = Router::new().route("/", get(page)).route("/api/ui/session", get(nobody));
    if file("index.html").is_none() {
        return routes;
    }
    for path in PAGES {
        routes = routes.route(path, get(page)).route(&format!("{path}/{{*rest}}"), get(page));
    }
    for folder in ["assets", "public"] {
        let serve = move |Path(rest): Path<String>, headers: HeaderMap| async move {
            serve(&format!("{folder}/{rest}"), &headers)
        };
        routes = routes.route(&format!("/{folder}/{{*rest}}"), get(serve));
    }
    routes.route("/favicon.svg", get(|headers: HeaderMap| async move { serve("favicon.svg", &headers) }))
}

/// Who is looking, where neither users nor dashboards are kept: anybody, who may do what the APIs let them.
async fn nobody() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "isKept": false, "role": "admin" }))
}

/// Any page: the application finds out by itself which one it is.
pub async fn page(state: State<Shared>) -> Response {
    let Some(bytes) = file("index.html").and_then(|file| file.plain) else {
        return system::landing(state).await.into_response();
    };
    // Addresses within the application are relative to the base.
    let base = format!("<base href=\"{}/\"", system::escape_html(&state.options.route_prefix));
    let title = format!("<title>{}</title>", system::escape_html(&state.options.page_title));
    let html = String::from_utf8_lossy(bytes).replacen("<base href=\"/\"", &base, 1);
    let html = html.replacen("<title>Bartizan</title>", &title, 1);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (headers, html).into_response()
}

fn file(name: &str) -> Option<&'static File> {
    FILES.binary_search_by(|file| file.name.cmp(name)).ok().and_then(|at| FILES.get(at))
}

fn serve(name: &str, asked: &HeaderMap) -> Response {
    let Some(file) = file(name) else {
        return plain(StatusCode::NOT_FOUND, "404 page not found");
    };
    let mut response = if asked.get(header::IF_NONE_MATCH).is_some_and(|known| known == file.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body(file, asked)
    };
    // Names below `assets` change with what the files hold.
    let lasting = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=3600"
    };
    let fixed = [
        (header::ETAG, file.etag),
        (header::CACHE_CONTROL, lasting),
        (header::VARY, "Accept-Encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    response.headers_mut().extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

fn body(file: &'static File, asked: &HeaderMap) -> Response {
    let kind = content_type(file.name);
    let encoded = |bytes: &'static [u8], encoding: &'static str| {
        let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_ENCODING, encoding)];
        (headers, bytes).into_response()
    };
    if let Some(bytes) = file.brotli.filter(|_| accepts(asked, "br")) {
        return encoded(bytes, "br");
    }
    if let Some(bytes) = file.gzip.filter(|_| accepts(asked, "gzip")) {
        return encoded(bytes, "gzip");
    }
    if let Some(bytes) = file.plain {
        return ([(header::CONTENT_TYPE, kind)], bytes).into_response();
    }
    // Hardly anybody: what asks without naming an encoding is no browser.
    let mut bytes = Vec::new();
    match flate2::read::GzDecoder::new(file.gzip.unwrap_or_default()).read_to_end(&mut bytes) {
        Ok(_) => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// Whether an encoding is named, and not with a weight of nothing.
fn accepts(asked: &HeaderMap, encoding: &str) -> bool {
    let named = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|each| {
        let (name, weight) = each.split_once(';').unwrap_or((each, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(1.0, |text| text.parse().unwrap_or(0.0));
        name.trim().eq_ignore_ascii_case(encoding) && weight > 0.0
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(encodings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(encodings))])
    }

    #[test]
    fn an_encoding_is_taken_only_where_it_is_asked_for() {
        for (asked, brotli, gzip) in [
            ("gzip, deflate, br", true, true),
            ("gzip;q=1.0, br;q=0", false, true),
            ("BR;q=0.5", true, false),
            ("brotli", false, false),
            ("", false, false),
        ] {
            assert_eq!(accepts(&asking(asked), "br"), brotli, "{asked}");
            assert_eq!(accepts(&asking(asked), "gzip"), gzip, "{asked}");
        }
    }

    #[test]
    fn a_file_is_sent_in_the_form_asked_for() {
        // `printf plain | gzip -9n`
        static GZIP: &[u8] = &[
            0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0xc8, 0x49, 0xcc, 0xcc, 0x03,
            0x00, 0xcf, 0x62, 0x20, 0x19, 0x05, 0x00, 0x00, 0x00,
        ];
        static FILE: File = File {
            name: "assets/a.js",
            etag: "\"1\"",
            plain: None,
            gzip: Some(GZIP),
            brotli: Some(b"short"),
        };
        for (asked, encoding) in [("br", Some("br")), ("gzip", Some("gzip")), ("zstd", None)] {
            let response = body(&FILE, &asking(asked));
            let told = response.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!(told, encoding);
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        }
    }

    #[test]
    fn files_are_sorted_as_they_are_searched() {
        assert!(FILES.is_sorted_by(|a, b| a.name < b.name));
        assert!(file("no/such/file").is_none());
    }
}
