use std::fmt;

/// Which requests go through a proxy; the fields are named after the environment variables.
///
/// A proxy is a URL, `http://proxy:3128` or `http://user:password@proxy:3128`; without a scheme,
/// http is assumed. https requests use a `CONNECT` tunnel. Requests to this machine (`localhost`,
/// `127.0.0.0/8`, `::1`) never use a proxy.
///
/// Without the feature `proxy`, a request for which a proxy is set fails, unless it is to this machine;
/// `no_proxy` is not read.
///
/// `Debug` shows only which fields are set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// `HTTP_PROXY`: for plain http.
    pub http: Option<String>,
    /// `HTTPS_PROXY`: for https.
    pub https: Option<String>,
    /// `ALL_PROXY`: used if `http` or `https` is not set.
    pub all: Option<String>,
    /// `NO_PROXY`: hosts to reach directly, separated by commas. A name includes its subdomains, an
    /// address may have a mask (`10.0.0.0/8`), and `*` means all.
    pub no_proxy: Option<String>,
}

impl ProxyConfig {
    /// Reads the environment variables, once.
    ///
    /// A lower-case name (`https_proxy`) takes precedence over the upper-case name; an empty value
    /// counts as unset. Under CGI, `HTTP_PROXY` is ignored, because the web server's client
    /// controls it.
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    pub(crate) fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let cgi = var("REQUEST_METHOD").is_some();
        let read = |name: &str| {
            let forged = cgi && name == "http_proxy";
            let upper = || if forged { None } else { var(&name.to_ascii_uppercase()) };
            var(name).or_else(upper).filter(|value| !value.trim().is_empty())
        };
        Self {
            http: read("http_proxy"),
            https: read("https_proxy"),
            all: read("all_proxy"),
            no_proxy: read("no_proxy"),
        }
    }

    /// Returns the proxy for plain http; empty if there is none.
    pub(crate) fn for_http(&self) -> &str {
        self.or_all(&self.http)
    }

    /// Returns the proxy for https; empty if there is none.
    pub(crate) fn for_https(&self) -> &str {
        self.or_all(&self.https)
    }

    fn or_all<'a>(&'a self, own: &'a Option<String>) -> &'a str {
        own.as_deref().or(self.all.as_deref()).unwrap_or_default().trim()
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.as_ref().map(|_| format_args!("…"));
        f.debug_struct("ProxyConfig")
            .field("http", &shown(&self.http))
            .field("https", &shown(&self.https))
            .field("all", &shown(&self.all))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}
