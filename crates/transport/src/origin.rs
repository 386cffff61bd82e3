use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

use crate::TransportError;

/// The scheme, host and port of a URL.
///
/// Invariant: http or https, lower-case host, and the port is always known. Two spellings of one
/// origin are equal: `https://API.example` and `https://api.example:443/graphql`.
///
/// Made from an absolute URL without a user name or password, which would appear in logs. The error
/// is [`TransportError::InvalidRequest`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Returns whether the scheme is https.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the host; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, even if it is the scheme's default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns host and port as in [`TransportError`], without the scheme's default port.
    pub fn authority(&self) -> String {
        if self.port == default_port(self.secure) {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Returns whether requests to it stay on this machine: `localhost`, `127.0.0.0/8`, `::1`.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        match address.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

impl TryFrom<&Uri> for Origin {
    type Error = TransportError;

    fn try_from(uri: &Uri) -> Result<Self, TransportError> {
        let invalid = |reason: &str| TransportError::InvalidRequest { reason: reason.to_owned() };
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(invalid("its URL must start with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("its URL has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("its URL must not hold a user name or a password"));
        }
        if authority.host().is_empty() {
            return Err(invalid("its URL has no host"));
        }
        // Not `port_u16`, which also returns `None` for a port that is out of range.
        let port = match &authority.as_str()[authority.host().len()..] {
            "" | ":" => default_port(secure),
            port => port[1..].parse().map_err(|_| invalid("its URL has an invalid port"))?,
        };
        Ok(Self { secure, host: authority.host().to_ascii_lowercase(), port })
    }
}

impl FromStr for Origin {
    type Err = TransportError;

    fn from_str(url: &str) -> Result<Self, TransportError> {
        let uri: Uri = url.parse().map_err(|_| TransportError::InvalidRequest {
            reason: "its URL cannot be read".to_owned(),
        })?;
        Self::try_from(&uri)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<&str, &str>) {
        let found = url.parse::<Origin>().map(|origin| origin.to_string());
        let found = found.map_err(|error| error.to_string());
        let expected = expected.map_err(|reason| format!("cannot send this request: {reason}"));
        assert_eq!(found, expected.map(str::to_owned), "{url}");
    }

    #[test]
    fn parsed_from_urls() {
        check("https://api.wandb.ai/graphql?x=1", Ok("https://api.wandb.ai"));
        check("https://API.wandb.ai:443", Ok("https://api.wandb.ai"));
        check("http://127.0.0.1:8080/a", Ok("http://127.0.0.1:8080"));
        check("http://[::1]:80", Ok("http://[::1]"));
        check("https://h:80/", Ok("https://h:80"));
        check("/graphql", Err("its URL must start with http:// or https://"));
        check("ftp://host/", Err("its URL must start with http:// or https://"));
        check("https://user:secret@host/", Err("its URL must not hold a user name or a password"));
        check("https://:80/", Err("its URL has no host"));
        check("https://host:99999/", Err("its URL has an invalid port"));
        check("", Err("its URL cannot be read"));
    }

    #[track_caller]
    fn check_loopback(url: &str, expected: bool) {
        assert_eq!(url.parse::<Origin>().unwrap().is_loopback(), expected, "{url}");
    }

    #[test]
    fn loopback_is_recognised() {
        check_loopback("http://localhost:8080", true);
        check_loopback("http://board.localhost", true);
        check_loopback("http://127.9.9.9", true);
        check_loopback("http://[::1]:80", true);
        check_loopback("http://localhost.example", false);
        check_loopback("http://192.168.0.1", false);
        check_loopback("http://[::2]", false);
    }
}
