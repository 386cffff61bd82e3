//! The authority of a URL: a host and an optional port, as in `Host` and `Origin`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use axum::http::header::HOST;
use axum::http::{HeaderMap, Uri};

/// Maximum length of a host name.
const MAX_NAME_BYTES: usize = 253;

/// A host and an optional port. The server has no other parser for these.
///
/// Invariant: the host is a lower-case name of letters, digits, `-`, `.` and `_`, or an IP address
/// (IPv6 in brackets). It can be put into a URL without escaping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

/// A text that is not an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host with an optional port")]
pub struct NotAnAuthority;

/// Why a request has no usable host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongHost {
    /// It names none.
    #[error("the request names no host")]
    Missing,
    /// It names more than one.
    #[error("the request has more than one Host header")]
    Repeated,
    /// Its host is not an [`Authority`].
    #[error("the request's Host is not a host with an optional port")]
    Malformed,
}

/// The origin of a page: a scheme and an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    is_https: bool,
    authority: Authority,
}

impl Authority {
    /// Returns the authority to which a request was sent.
    ///
    /// A target in absolute form takes precedence over `Host`, which must be valid nevertheless
    /// (RFC 9112, section 3.2).
    pub fn of_request(uri: &Uri, headers: &HeaderMap) -> Result<Self, WrongHost> {
        let mut lines = headers.get_all(HOST).iter();
        let host = match (lines.next(), lines.next()) {
            (None, _) => None,
            (Some(host), None) => Some(host),
            (Some(_), Some(_)) => return Err(WrongHost::Repeated),
        };
        let host = host
            .map(|host| host.to_str().map_err(|_| WrongHost::Malformed))
            .transpose()?
            .map(|host| host.parse().map_err(|_| WrongHost::Malformed))
            .transpose()?;
        let target = uri.authority().map(|authority| authority.as_str().parse());
        let target = target.transpose().map_err(|_| WrongHost::Malformed)?;
        target.or(host).ok_or(WrongHost::Missing)
    }

    /// Returns the host: a lower-case name or an IP address, IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the host if it is an IP address.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.trim_matches(['[', ']']).parse().ok()
    }

    /// Returns whether the host always refers to the client's own machine.
    pub fn is_loopback(&self) -> bool {
        match self.ip() {
            Some(ip) => ip.is_loopback(),
            None => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    fn effective_port(&self, is_https: bool) -> u16 {
        self.port.unwrap_or(if is_https { 443 } else { 80 })
    }
}

impl FromStr for Authority {
    type Err = NotAnAuthority;

    fn from_str(text: &str) -> Result<Self, NotAnAuthority> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (ip, rest) = rest.split_once(']').ok_or(NotAnAuthority)?;
                let ip: Ipv6Addr = ip.parse().map_err(|_| NotAnAuthority)?;
                let port = match rest.strip_prefix(':') {
                    None if rest.is_empty() => None,
                    None => return Err(NotAnAuthority),
                    port => port,
                };
                (format!("[{ip}]"), port)
            }
            None => {
                let (name, port) = match text.split_once(':') {
                    Some((name, port)) => (name, Some(port)),
                    None => (text, None),
                };
                let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
                if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_allowed) {
                    return Err(NotAnAuthority);
                }
                (name.to_ascii_lowercase(), port)
            }
        };
        Ok(Self { host, port: port.map(parse_port).transpose()? })
    }
}

/// `u16::from_str` alone would accept `+80`.
fn parse_port(text: &str) -> Result<u16, NotAnAuthority> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().ok_or(NotAnAuthority)
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl WebOrigin {
    /// Returns the origin of a URL.
    pub fn of_url(url: &str) -> Result<Self, NotAnAuthority> {
        let (scheme, rest) = url.split_once("://").ok_or(NotAnAuthority)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        format!("{scheme}://{}", &rest[..end]).parse()
    }

    /// Returns the authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Returns whether a request to an authority goes to this origin. The scheme is ignored: behind
    /// a proxy that does TLS, the server does not know which one the browser used.
    pub fn is_at(&self, authority: &Authority) -> bool {
        self.authority.host == authority.host
            && self.authority.effective_port(self.is_https)
                == authority.effective_port(self.is_https)
    }
}

impl FromStr for WebOrigin {
    type Err = NotAnAuthority;

    fn from_str(text: &str) -> Result<Self, NotAnAuthority> {
        let (scheme, authority) = text.split_once("://").ok_or(NotAnAuthority)?;
        let is_https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(NotAnAuthority),
        };
        Ok(Self { is_https, authority: authority.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let parsed = text.parse::<Authority>().ok().map(|authority| authority.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn authorities() {
        check("localhost", Some("localhost"));
        check("Tables.Example.ORG:443", Some("tables.example.org:443"));
        check("a_b-c.example:0", Some("a_b-c.example:0"));
        check("127.0.0.1:65535", Some("127.0.0.1:65535"));
        check("[::1]", Some("[::1]"));
        check("[0:0::1]:8080", Some("[::1]:8080"));
    }

    #[test]
    fn invalid_authorities_are_rejected() {
        for text in [
            "",
            ":80",
            "localhost:",
            "localhost:+80",
            "localhost:65536",
            "localhost:8080:1",
            "localhost:80, evil.example",
            "localhost evil.example",
            "127.0.0.1:1@evil.example",
            "user@localhost",
            "localhost/",
            "localhost?x",
            "localhost#x",
            "localhost\\evil.example",
            "évil.example",
            "%6cocalhost",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[fe80::1%eth0]",
            "[localhost]",
            "::1",
            "a\tb",
        ] {
            check(text, None);
        }
    }

    #[track_caller]
    fn check_request(uri: &str, hosts: &[&str], expected: Result<&str, WrongHost>) {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        let found = Authority::of_request(&uri.parse().unwrap(), &headers);
        assert_eq!(found.map(|found| found.to_string()), expected.map(str::to_owned));
    }

    #[test]
    fn hosts_of_requests() {
        check_request("/", &["localhost:1"], Ok("localhost:1"));
        check_request("http://target:1/", &["localhost:1"], Ok("target:1"));
        check_request("http://target:1/", &[], Ok("target:1"));
        check_request("/", &[], Err(WrongHost::Missing));
        check_request("/", &["localhost", "localhost"], Err(WrongHost::Repeated));
        check_request("/", &["localhost:1, evil"], Err(WrongHost::Malformed));
        check_request("http://target/", &["a@b"], Err(WrongHost::Malformed));
        check_request("http://a:1@evil/", &["localhost"], Err(WrongHost::Malformed));
    }

    #[test]
    fn origins() {
        #[track_caller]
        fn check(origin: &str, authority: &str, expected: bool) {
            let authority = authority.parse().unwrap();
            let is_at = origin.parse::<WebOrigin>().is_ok_and(|origin| origin.is_at(&authority));
            assert_eq!(is_at, expected, "{origin} at {authority}");
        }
        check("http://localhost:80", "localhost", true);
        check("https://LOCALHOST", "localhost:443", true);
        check("https://localhost", "localhost", true);
        check("http://localhost:81", "localhost", false);
        check("http://localhost", "localhost:443", false);
        for none in ["null", "localhost", "ftp://localhost", "http://localhost/", "http://a@b"] {
            check(none, "localhost", false);
        }
        let public = WebOrigin::of_url("https://tables.example.org/base?x").unwrap();
        assert_eq!(public, "https://tables.example.org".parse().unwrap());
    }

    proptest! {
        /// Checks that an authority never yields a URL with another host, and that its text can be
        /// parsed again.
        #[test]
        fn urls_keep_the_host(text in "[a-z0-9:@/\\\\.\\[\\]#? ,%_-]{0,24}") {
            if let Ok(authority) = text.parse::<Authority>() {
                prop_assert_eq!(authority.to_string().parse(), Ok(authority.clone()));
                let uri: Uri = format!("http://{authority}/x").parse().unwrap();
                prop_assert_eq!(uri.host(), Some(authority.host()));
                prop_assert_eq!(uri.path(), "/x");
            }
        }
    }
}
