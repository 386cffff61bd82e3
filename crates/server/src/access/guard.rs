//! Checks for every request, and headers for every response.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, IF_RANGE, ORIGIN,
    RANGE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, TRANSFER_ENCODING, UPGRADE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use streamtable_server_core::{Authority, WebOrigin};

use crate::ApiError;
use crate::config::ServerConfig;

/// The address of a request's peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Content security policy of pages without their own: only files of this server.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Headers of which a request may have only one: each value would mean something else.
const ONCE: [HeaderName; 11] = [
    AUTHORIZATION,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    IF_RANGE,
    RANGE,
    TRANSFER_ENCODING,
    HeaderName::from_static("stream-offset"),
    HeaderName::from_static("stream-writer"),
    HeaderName::from_static("x-streamtable-columns"),
    HeaderName::from_static("x-wandb-async-client-id"),
    HeaderName::from_static("x-wandb-use-async-filestream"),
];

/// Makes browsers use TLS only for this host, for one year.
const STRICT_TRANSPORT: &str = "max-age=31536000";

/// Rejects requests that a foreign page made a browser send, and adds the headers that isolate
/// pages to every response.
///
/// A foreign page may point its own name to this server's address (DNS rebinding), so the host in
/// the request must be one of this server's. A change must not come from a page of another origin.
pub(crate) async fn guard(
    State(config): State<Arc<ServerConfig>>,
    request: Request,
    next: Next,
) -> Response {
    let checked = check(&config, &request);
    let is_strict = checked.as_ref().is_ok_and(|authority| is_strict(&config, authority));
    let mut response = match checked {
        Ok(_) => next.run(request).await,
        Err((status, why)) => {
            let (method, path) = (request.method(), request.uri().path());
            let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_string());
            let host: Vec<_> = request.headers().get_all(HOST).iter().collect();
            let origin: Vec<_> = request.headers().get_all(ORIGIN).iter().collect();
            tracing::warn!(target: "audit", %method, path, peer, ?host, ?origin, why, "rejected");
            ApiError::new(status, why).into_response()
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_strict {
        let value = HeaderValue::from_static(STRICT_TRANSPORT);
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// Returns whether browsers should use only TLS for this host. Browsers apply this to every port of
/// the host, so on this machine it would break other servers.
fn is_strict(config: &ServerConfig, authority: &Authority) -> bool {
    config.tls.is_some() && !authority.is_loopback()
}

fn check(config: &ServerConfig, request: &Request) -> Result<Authority, (StatusCode, String)> {
    let headers = request.headers();
    let authority = Authority::of_request(request.uri(), headers)
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    if !is_own_host(config, &authority) {
        let why = "this host name is not allowed; add it to the server's settings";
        return Err((StatusCode::FORBIDDEN, why.to_owned()));
    }
    check_headers(headers)?;
    let method = request.method();
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe && !headers.contains_key(UPGRADE) {
        return Ok(authority);
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let is_own = match (origins.next(), origins.next()) {
        (Some(origin), None) => is_own_origin(config, &authority, origin),
        (Some(_), Some(_)) => false,
        (None, _) => headers.get("sec-fetch-site").is_none_or(|site| site != "cross-site"),
    };
    if is_own {
        return Ok(authority);
    }
    let why = "the request comes from a page of another origin";
    Err((StatusCode::FORBIDDEN, why.to_owned()))
}

/// Rejects headers that are ambiguous, and bodies in an encoding that is not decoded.
fn check_headers(headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
    let is_repeated = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    if let Some(name) = ONCE.iter().find(is_repeated) {
        return Err((StatusCode::BAD_REQUEST, format!("the request has {name} more than once")));
    }
    // hyper decodes `chunked` if it is the last of several encodings, and leaves the others.
    match headers.get(TRANSFER_ENCODING) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            let why = "Transfer-Encoding must be chunked; use Content-Encoding for gzip";
            Err((StatusCode::NOT_IMPLEMENTED, why.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Returns whether an origin is that of this request's host, or that of the public URL.
fn is_own_origin(config: &ServerConfig, authority: &Authority, origin: &HeaderValue) -> bool {
    let Some(origin) = origin.to_str().ok().and_then(|origin| origin.parse::<WebOrigin>().ok())
    else {
        return false;
    };
    origin.is_at(authority) || public_origin(config).is_some_and(|public| public == origin)
}

fn public_origin(config: &ServerConfig) -> Option<WebOrigin> {
    WebOrigin::of_url(config.public_url.as_deref()?).ok()
}

fn is_own_host(config: &ServerConfig, authority: &Authority) -> bool {
    // DNS rebinding needs a name, so the server's own IP address is safe.
    let bound = config.addr.ip();
    authority.is_loopback()
        || authority.ip().is_some_and(|ip| bound.is_unspecified() || ip == bound)
        || is_named(config, authority.host())
}

fn is_named(config: &ServerConfig, host: &str) -> bool {
    let is_allowed = |name: &String| match name.parse::<Authority>() {
        Ok(name) => name.host() == host,
        // An IPv6 address without brackets.
        Err(_) => name.eq_ignore_ascii_case(host.trim_matches(['[', ']'])),
    };
    config.allowed_hosts.iter().any(is_allowed)
        || public_origin(config).is_some_and(|public| public.authority().host() == host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsFiles;

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
        let is_own = host.parse().is_ok_and(|host| is_own_host(&config(addr), &host));
        assert_eq!(is_own, expected, "{host} at {addr}");
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

    #[test]
    fn ambiguous_headers_and_unknown_encodings_are_rejected() {
        #[track_caller]
        fn check(headers: &[(&str, &str)], expected: u16) {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                let name: HeaderName = name.parse().unwrap();
                map.append(name, value.parse().unwrap());
            }
            let status = check_headers(&map).err().map_or(200, |(status, _)| status.as_u16());
            assert_eq!(status, expected, "{headers:?}");
        }
        for name in ONCE {
            check(&[(name.as_str(), "chunked")], 200);
            check(&[(name.as_str(), "chunked"), (name.as_str(), "chunked")], 400);
        }
        check(&[("cookie", "a"), ("cookie", "b"), ("accept", "a"), ("accept", "b")], 200);
        for encoding in
            ["gzip, chunked", "gzip", "identity", "chunked, gzip", "chunked, chunked", ""]
        {
            check(&[("transfer-encoding", encoding)], 501);
        }
        check(&[("transfer-encoding", "Chunked")], 200);
    }

    #[test]
    fn hsts_is_sent_by_servers_with_tls_except_to_loopback() {
        let plain = config("0.0.0.0:443");
        let files = TlsFiles { certificate: "c".into(), key: "k".into() };
        let tls = ServerConfig { tls: Some(files), ..plain.clone() };
        for (config, host, expected) in [
            (&tls, "tables.example.org", true),
            (&tls, "10.0.0.1:443", true),
            (&tls, "localhost:443", false),
            (&tls, "127.0.0.1", false),
            (&tls, "[::1]:443", false),
            (&plain, "tables.example.org", false),
        ] {
            assert_eq!(is_strict(config, &host.parse().unwrap()), expected, "{host}");
        }
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
        check_request("POST", &[host, ("origin", "http://localhost:80@evil.example")], false);
        let own = ("origin", "http://localhost:80");
        check_request("POST", &[host, own, own], false);
        check_request("POST", &[host, own, ("origin", "http://evil.example")], false);
        check_request("GET", &[host, host], false);
        check_request("GET", &[("host", "localhost:80@evil.example")], false);
        // Other headers that contain a host are ignored.
        for name in ["x-forwarded-host", "forwarded", "x-original-host"] {
            check_request("GET", &[("host", "evil.example"), (name, "localhost:80")], false);
        }
        check_request("DELETE", &[host, ("sec-fetch-site", "cross-site")], false);
        let upgrade = ("upgrade", "websocket");
        check_request("GET", &[host, upgrade, ("origin", "http://evil.example")], false);
        check_request("GET", &[host, upgrade, ("origin", "http://localhost:80")], true);
    }
}
