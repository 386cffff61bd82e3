//! What every request must pass, and every answer carries.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, UPGRADE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::ServerConfig;
use crate::{ApiError, AppState};

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What a page may load, where it does not say so itself: nothing but what is here.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses requests that a foreign page made a browser send, and gives every answer the headers
/// that keep pages apart.
///
/// A page elsewhere may give its own name this server's address (DNS rebinding), so the host that
/// a browser believes it speaks to must be one of ours; and a change must not come from a page of
/// another origin.
pub(crate) async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let checked = check(state.config(), &request);
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err((status, why)) => {
            let (method, path) = (request.method(), request.uri().path());
            let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_string());
            let host = request.headers().get(HOST);
            let origin = request.headers().get(ORIGIN);
            tracing::warn!(target: "audit", %method, path, peer, ?host, ?origin, why, "refused");
            ApiError::new(status, why).into_response()
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn check(config: &ServerConfig, request: &Request) -> Result<(), (StatusCode, &'static str)> {
    let headers = request.headers();
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| text(headers, &HOST));
    let host = host.ok_or((StatusCode::BAD_REQUEST, "the request names no host"))?;
    if !is_own_host(config, host) {
        let why = "the server is not known by this host name; allow it in its settings";
        return Err((StatusCode::FORBIDDEN, why));
    }
    let method = request.method();
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe && !headers.contains_key(UPGRADE) {
        return Ok(());
    }
    let foreign = (StatusCode::FORBIDDEN, "the request comes from a page of another origin");
    match headers.get(ORIGIN) {
        Some(origin) if !is_own_origin(config, host, origin) => Err(foreign),
        None if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") => {
            Err(foreign)
        }
        _ => Ok(()),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Tells whether an origin is the one that the browser speaks to, or the public one.
fn is_own_origin(config: &ServerConfig, host: &str, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    if config.public_url.as_deref().is_some_and(|public| origin_of(public) == Some(origin)) {
        return true;
    }
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn origin_of(url: &str) -> Option<&str> {
    let start = url.find("://")? + 3;
    let end = url[start..].find('/').map_or(url.len(), |slash| start + slash);
    Some(&url[..end])
}

fn is_own_host(config: &ServerConfig, authority: &str) -> bool {
    let host = host_of(authority);
    let bound = config.addr.ip();
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        // An address in place of a name cannot be given to another server.
        return ip.is_loopback() || bound.is_unspecified() || ip == bound || is_named(config, host);
    }
    let lower = host.to_ascii_lowercase();
    lower == "localhost" || lower.ends_with(".localhost") || is_named(config, host)
}

fn is_named(config: &ServerConfig, host: &str) -> bool {
    let public = config.public_url.as_deref().and_then(origin_of);
    let public = public.and_then(|origin| origin.split_once("://")).map(|(_, rest)| host_of(rest));
    let mut names = config.allowed_hosts.iter().map(String::as_str).chain(public);
    names.any(|name| name.eq_ignore_ascii_case(host))
}

/// Returns an authority without its port.
fn host_of(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.find(']').map_or(authority, |end| &authority[..=end]);
    }
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(addr: &str) -> ServerConfig {
        ServerConfig {
            addr: addr.parse().unwrap(),
            public_url: Some("https://tables.example.org/base".into()),
            allowed_hosts: vec!["other.example".into()],
            ..ServerConfig::default()
        }
    }

    #[track_caller]
    fn check_host(addr: &str, host: &str, expected: bool) {
        assert_eq!(is_own_host(&config(addr), host), expected, "{host} at {addr}");
    }

    #[test]
    fn hosts() {
        let local = "127.0.0.1:8080";
        for host in ["localhost:8080", "LOCALHOST", "a.localhost:1", "127.0.0.1:9", "127.9.9.9"] {
            check_host(local, host, true);
        }
        for host in ["[::1]:8080", "tables.example.org", "Other.Example:443"] {
            check_host(local, host, true);
        }
        for host in ["evil.example", "evil.example:8080", "10.0.0.1", "", ":8080", "localhost.evil"]
        {
            check_host(local, host, false);
        }
        check_host("10.0.0.1:1", "10.0.0.1:1", true);
        check_host("10.0.0.1:1", "10.0.0.2:1", false);
        check_host("0.0.0.0:1", "10.0.0.2:1", true);
        check_host("0.0.0.0:1", "evil.example", false);
    }

    #[track_caller]
    fn check_request(method: &str, headers: &[(&str, &str)], expected: bool) {
        let mut request = Request::builder().method(method).uri("/api/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        assert_eq!(check(&config("127.0.0.1:80"), &request).is_ok(), expected, "{headers:?}");
    }

    #[test]
    fn requests() {
        let host = ("host", "localhost:80");
        check_request("GET", &[host], true);
        check_request("GET", &[], false);
        check_request("GET", &[host, ("origin", "http://evil.example")], true);
        check_request("POST", &[host], true);
        check_request("POST", &[host, ("origin", "http://localhost:80")], true);
        check_request("POST", &[host, ("origin", "https://tables.example.org")], true);
        check_request("POST", &[host, ("origin", "http://localhost:81")], false);
        check_request("POST", &[host, ("origin", "http://evil.example")], false);
        check_request("POST", &[host, ("origin", "null")], false);
        check_request("DELETE", &[host, ("sec-fetch-site", "cross-site")], false);
        let upgrade = ("upgrade", "websocket");
        check_request("GET", &[host, upgrade, ("origin", "http://evil.example")], false);
        check_request("GET", &[host, upgrade, ("origin", "http://localhost:80")], true);
    }
}
