//! Requests through proxies.

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::Connection;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use streamtable_transport::{Origin, TransportError};
use tower_service::Service;

use crate::existing::ExistingConnection;
use crate::{ConfigError, ProxyConfig, cause};

pub(crate) use hyper_util::client::proxy::matcher::Intercept;

/// A validated [`ProxyConfig`].
#[derive(Debug)]
pub(crate) struct Proxies(Matcher);

impl Proxies {
    pub(crate) fn new(config: &ProxyConfig) -> Result<Self, ConfigError> {
        let checked = |scheme, url: &str| check(scheme, url).map(|()| url.to_owned());
        let matcher = Matcher::builder()
            .http(checked("http", config.for_http())?)
            .https(checked("https", config.for_https())?)
            .no(config.no_proxy.as_deref().unwrap_or_default())
            .build();
        Ok(Self(matcher))
    }

    /// Returns the proxy for `uri`, if any.
    pub(crate) fn intercept(&self, uri: &Uri) -> Result<Option<Intercept>, TransportError> {
        if Origin::try_from(uri)?.is_loopback() {
            return Ok(None);
        }
        Ok(self.0.intercept(uri))
    }
}

/// Sends `CONNECT` for the server of `uri` over `io`, a connection to the proxy `via`.
pub(crate) async fn tunnel<T>(
    proxy: &Intercept,
    via: &Origin,
    io: T,
    uri: &Uri,
) -> Result<T, TransportError>
where
    T: Connection + Read + Write + Send + Unpin + 'static,
{
    let mut tunnel = Tunnel::new(proxy.uri().clone(), ExistingConnection::new(io));
    if let Some(credentials) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(credentials.clone());
    }
    tunnel.call(uri.clone()).await.map_err(|error| {
        let (host, reason) = (via.authority(), cause::reason(&error));
        // The error's type is private, so only its text can be checked.
        if reason.contains("proxy authorization required") {
            TransportError::ProxyAuth { host }
        } else {
            TransportError::Proxy { host, reason }
        }
    })
}

/// Validates a proxy URL. The matcher ignores an invalid URL, and requests would bypass the proxy.
fn check(scheme: &'static str, url: &str) -> Result<(), ConfigError> {
    if url.is_empty() {
        return Ok(());
    }
    let understood = Matcher::builder().all(url).build();
    let reason = match understood.intercept(&Uri::from_static("http://anywhere")) {
        Some(proxy) if Origin::try_from(proxy.uri()).is_ok() => return Ok(()),
        Some(proxy) if proxy.uri().scheme_str().is_some_and(|name| name.starts_with("socks")) => {
            "speaks SOCKS, which is not supported: give an http:// proxy"
        }
        _ => "is not a URL such as http://proxy:3128",
    };
    Err(ConfigError::Proxy { scheme, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the proxy of a URL, given `NAME=value` variables.
    #[track_caller]
    fn check(vars: &[&str], url: &'static str, expected: Result<Option<&str>, ConfigError>) {
        let config = config(vars);
        let found = Proxies::new(&config).map(|proxies| {
            let proxy = proxies.intercept(&Uri::from_static(url)).unwrap();
            proxy.map(|proxy| proxy.uri().to_string())
        });
        assert_eq!(found, expected.map(|proxy| proxy.map(str::to_owned)), "{vars:?} {url}");
    }

    fn config(vars: &[&str]) -> ProxyConfig {
        ProxyConfig::from_vars(|wanted| {
            let mut pairs = vars.iter().filter_map(|var| var.split_once('='));
            pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
        })
    }

    #[test]
    fn environment_variables_are_used() {
        let (http, https) = ("http://table.example", "https://table.example");
        let (p, q) = (Ok(Some("http://p:1/")), Ok(Some("http://q:2/")));
        check(&[], https, Ok(None));
        check(&["HTTPS_PROXY=http://p:1"], https, p.clone());
        check(&["HTTPS_PROXY=http://p:1"], http, Ok(None));
        check(&["HTTP_PROXY=p:1"], http, p.clone());
        check(&["HTTP_PROXY=http://p:1"], https, Ok(None));
        check(&["ALL_PROXY=http://p:1"], http, p.clone());
        check(&["ALL_PROXY=http://p:1", "https_proxy=http://q:2"], https, q.clone());
        check(&["HTTPS_PROXY=http://p:1", "https_proxy=http://q:2"], https, q.clone());
        check(&["HTTPS_PROXY=http://p:1", "https_proxy="], https, Ok(None));
        check(&["HTTPS_PROXY=http://user:password@p:1"], https, p.clone());
        check(&["HTTPS_PROXY=https://p:1"], https, Ok(Some("https://p:1/")));
        check(&["HTTP_PROXY=http://p:1", "REQUEST_METHOD=GET"], http, Ok(None));
        check(&["http_proxy=http://p:1", "REQUEST_METHOD=GET"], http, p.clone());
    }

    #[test]
    fn some_hosts_are_reached_directly() {
        let proxied = Ok(Some("http://p:1/"));
        let no = |hosts: &str| ["ALL_PROXY=http://p:1".to_owned(), format!("NO_PROXY={hosts}")];
        let check = |hosts: &str, url, expected| {
            check(&no(hosts).each_ref().map(String::as_str), url, expected);
        };
        check("example", "https://table.example", Ok(None));
        check("able.example", "https://table.example", proxied.clone());
        check("a.test, .table.example", "https://table.example", Ok(None));
        check("*", "https://table.example", Ok(None));
        check("10.0.0.0/8", "http://10.1.2.3:8080", Ok(None));
        check("10.0.0.0/8", "http://11.1.2.3:8080", proxied);
        check("", "http://localhost:8080", Ok(None));
        check("", "http://127.0.0.1:8080", Ok(None));
        check("", "http://[::1]:8080", Ok(None));
    }

    #[test]
    fn an_unusable_proxy_is_an_error_and_not_bypassed() {
        let error = |scheme, reason| Err(ConfigError::Proxy { scheme, reason });
        let url = "is not a URL such as http://proxy:3128";
        let socks = "speaks SOCKS, which is not supported: give an http:// proxy";
        check(&["HTTPS_PROXY=http://p:x"], "http://t", error("https", url));
        check(&["HTTP_PROXY=ftp://p"], "http://t", error("http", url));
        check(&["ALL_PROXY=socks5://p:1"], "http://t", error("http", socks));
        let both = ["ALL_PROXY=socks5://p:1", "HTTP_PROXY=http://q:2", "HTTPS_PROXY=http://q:2"];
        check(&both, "http://t", Ok(Some("http://q:2/")));
    }

    #[test]
    fn passwords_are_not_shown() {
        let config = config(&["HTTPS_PROXY=http://user:sesame@p:x", "ALL_PROXY=sesame:x"]);
        let error = Proxies::new(&config).unwrap_err();
        let shown = format!("{config:?} {error:?} {error}");
        assert!(!shown.contains("sesame"), "{shown}");
        assert!(shown.starts_with("ProxyConfig { http: None, https: Some(…)"), "{shown}");
    }
}
