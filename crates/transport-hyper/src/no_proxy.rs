//! Replaces proxies if the feature `proxy` is disabled: requests that need one fail.
#![cfg_attr(feature = "proxy", expect(dead_code, reason = "with the feature, only for the test"))]

use http::{HeaderValue, Uri};
use streamtable_transport::{Origin, TransportError};

use crate::{ConfigError, ProxyConfig};

const NOT_POSSIBLE: &str = "a proxy is set for it, which needs the feature `proxy` of \
                            streamtable-transport-hyper";

/// For which schemes a proxy is set.
#[derive(Debug)]
pub(crate) struct Proxies {
    http: bool,
    https: bool,
}

/// There is no value of this type.
#[derive(Debug)]
pub(crate) enum Intercept {}

impl Intercept {
    pub(crate) fn uri(&self) -> &Uri {
        match *self {}
    }

    pub(crate) fn basic_auth(&self) -> Option<&HeaderValue> {
        match *self {}
    }
}

impl Proxies {
    pub(crate) fn new(config: &ProxyConfig) -> Result<Self, ConfigError> {
        Ok(Self { http: !config.for_http().is_empty(), https: !config.for_https().is_empty() })
    }

    /// Fails if a proxy is set for `uri`.
    pub(crate) fn intercept(&self, uri: &Uri) -> Result<Option<Intercept>, TransportError> {
        let origin = Origin::try_from(uri)?;
        let is_set = if origin.is_secure() { self.https } else { self.http };
        if is_set && !origin.is_loopback() {
            return Err(TransportError::InvalidRequest { reason: NOT_POSSIBLE.to_owned() });
        }
        Ok(None)
    }
}

pub(crate) async fn tunnel<T>(
    proxy: &Intercept,
    _: &Origin,
    _: T,
    _: &Uri,
) -> Result<T, TransportError> {
    match *proxy {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_needs_a_proxy_fails() {
        let config = ProxyConfig { https: Some("http://p:1".to_owned()), ..Default::default() };
        let proxies = Proxies::new(&config).unwrap();
        let intercept = |url| proxies.intercept(&Uri::from_static(url));
        assert!(matches!(intercept("http://table.example"), Ok(None)));
        assert!(matches!(intercept("https://localhost"), Ok(None)));
        let error = intercept("https://table.example").unwrap_err().to_string();
        assert!(error.contains("the feature `proxy` of streamtable-transport-hyper"), "{error}");
    }
}
