//! Where messages go.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{DocumentError, Message, Secret};

/// Maximum size of a document in bytes.
const MAX_BYTES: usize = 32 << 10;

/// Maximum number of recipients of an e-mail.
const MAX_RECIPIENTS: usize = 20;

/// Maximum length of a URL, an address or a secret.
const MAX_TEXT: usize = 2_000;

/// Where PagerDuty receives events.
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// A place to which messages go. Made by [`parse`](Self::parse), so each field is valid.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// An HTTP server that gets a POST request with JSON.
    Webhook(Webhook),
    /// An incoming webhook of Slack. Its URL is a secret.
    Slack {
        /// The URL.
        url: Secret,
    },
    /// A webhook of Discord. Its URL is a secret.
    Discord {
        /// The URL.
        url: Secret,
    },
    /// A workflow of Microsoft Teams. Its URL is a secret.
    Teams {
        /// The URL.
        url: Secret,
    },
    /// PagerDuty's events.
    Pagerduty {
        /// The integration's key.
        routing_key: Secret,
        /// The URL, if it is not that of the United States' region.
        #[serde(default = "pagerduty_url")]
        url: Secret,
    },
    /// E-mail.
    Email(Email),
    /// The command that the operator of the server has set. It gets the message as JSON.
    Command {},
}

/// An HTTP server that gets a POST request with JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The URL. It may contain credentials, so only its origin is shown.
    pub url: Secret,
    /// The key with which bodies are signed.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// The body, with placeholders; see [`Message::fill`].
    #[serde(default)]
    pub template: Option<String>,
}

/// E-mail by SMTP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// Host name of the mail server.
    pub server: String,
    /// Its port. 465 with TLS, 587 with STARTTLS, 25 without by default.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub security: Security,
    /// The user name, if the server requires one.
    #[serde(default)]
    pub user: Option<String>,
    /// The password of the user.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after the command STARTTLS. A server without it gets no message.
    #[default]
    Starttls,
    /// None. Passwords are not sent.
    None,
}

impl Security {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Starttls => "starttls",
            Self::None => "none",
        }
    }
}

impl Email {
    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            Security::Tls => 465,
            Security::Starttls => 587,
            Security::None => 25,
        })
    }

    fn check(&self) -> Result<(), DocumentError> {
        let wrong = |field: &str, reason: &str| Err(DocumentError::field(field, reason));
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        if self.server.is_empty() || self.server.len() > 253 || !self.server.chars().all(is_host) {
            return wrong("server", "is not a host name");
        }
        if !is_address(&self.from) {
            return wrong("from", "is not an e-mail address");
        }
        if self.to.is_empty() || self.to.len() > MAX_RECIPIENTS {
            return wrong("to", &format!("must have 1 to {MAX_RECIPIENTS} addresses"));
        }
        if !self.to.iter().all(|to| is_address(to)) {
            return wrong("to", "contains something that is not an e-mail address");
        }
        match (&self.user, &self.password, self.security) {
            (Some(_), None, _) | (None, Some(_), _) => {
                wrong("user", "and `password` are needed together")
            }
            (Some(_), Some(_), Security::None) => {
                wrong("security", "must be `tls` or `starttls` if there is a password")
            }
            _ => Ok(()),
        }
    }
}

impl Target {
    /// Parses and validates a document. The error names the field and quotes no secret.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge);
        }
        let target: Self = serde_json::from_slice(bytes)
            .map_err(|error| DocumentError::Form { message: error.to_string() })?;
        target.check()?;
        Ok(target)
    }

    /// Returns the name of the kind, as documents write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Slack { .. } => "slack",
            Self::Discord { .. } => "discord",
            Self::Teams { .. } => "teams",
            Self::Pagerduty { .. } => "pagerduty",
            Self::Email(_) => "email",
            Self::Command {} => "command",
        }
    }

    /// Returns the URL to which messages are posted, for the kinds that have one.
    pub fn url(&self) -> Option<&Secret> {
        match self {
            Self::Webhook(Webhook { url, .. })
            | Self::Slack { url }
            | Self::Discord { url }
            | Self::Teams { url }
            | Self::Pagerduty { url, .. } => Some(url),
            Self::Email(_) | Self::Command {} => None,
        }
    }

    /// Returns the document without its secrets: of a URL only the origin, of keys and passwords only
    /// whether they exist.
    pub fn shown(&self) -> Value {
        let mut shown = match self {
            Self::Webhook(Webhook { secret, template, .. }) => {
                json!({ "has_secret": secret.is_some(), "template": template })
            }
            Self::Pagerduty { .. } => json!({ "has_routing_key": true }),
            Self::Email(email) => json!({
                "server": email.server,
                "port": email.port(),
                "security": email.security.as_str(),
                "user": email.user,
                "has_password": email.password.is_some(),
                "from": email.from,
                "to": email.to,
            }),
            Self::Slack { .. } | Self::Discord { .. } | Self::Teams { .. } | Self::Command {} => {
                json!({})
            }
        };
        shown["kind"] = self.kind().into();
        if let Some(url) = self.url() {
            shown["url"] = format!("{}/…", origin(url.expose())).into();
        }
        shown
    }

    fn check(&self) -> Result<(), DocumentError> {
        if let Some(url) = self.url() {
            check_url(url.expose())?;
        }
        match self {
            Self::Webhook(Webhook { secret, template, .. }) => {
                if secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
                    return Err(DocumentError::field("secret", "is empty"));
                }
                let Some(template) = template else { return Ok(()) };
                let filled = Message::default().fill(template);
                match serde_json::from_str::<Value>(&filled).is_ok() {
                    true => Ok(()),
                    false => Err(DocumentError::field("template", "does not make JSON")),
                }
            }
            Self::Pagerduty { routing_key, .. } if routing_key.expose().is_empty() => {
                Err(DocumentError::field("routing_key", "is empty"))
            }
            Self::Email(email) => email.check(),
            _ => Ok(()),
        }
    }
}

fn pagerduty_url() -> Secret {
    Secret::new(PAGERDUTY_URL)
}

/// Returns the scheme, host and port of a URL that was checked.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

fn check_url(url: &str) -> Result<(), DocumentError> {
    let wrong = |reason: &str| Err(DocumentError::field("url", reason));
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return wrong("must begin with https:// or http://");
    };
    if url.len() > MAX_TEXT || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return wrong("is too long, or has characters that must be percent-encoded");
    }
    if origin(url).contains('@') {
        return wrong("may not have a user name; use another way to authenticate");
    }
    if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) {
        return wrong("has no host");
    }
    Ok(())
}

/// A rough check; the mail library has the exact one.
fn is_address(text: &str) -> bool {
    let is_plain =
        text.len() <= MAX_TEXT && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let parts = text.rsplit_once('@');
    is_plain && parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: Value, error: Option<&str>) {
        match (Target::parse(document.to_string().as_bytes()), error) {
            (Ok(target), None) => {
                let (shown, debug) = (target.shown().to_string(), format!("{target:?}"));
                for text in [shown, debug] {
                    assert!(!text.contains("s3cret"), "{text}");
                }
            }
            (Err(found), Some(error)) => {
                let found = found.to_string();
                assert!(found.contains(error) && !found.contains("s3cret"), "{found}");
            }
            (found, error) => panic!("expected {error:?}, got {found:?}"),
        }
    }

    #[test]
    fn targets_are_validated_and_show_no_secret() {
        check(
            json!({"kind": "webhook", "url": "https://a.example/s3cret", "secret": "s3cret"}),
            None,
        );
        check(json!({"kind": "webhook", "url": "https://a.example?s3cret"}), None);
        check(
            json!({"kind": "webhook", "url": "https://a.example/s3cret", "template": "{\"a\":{{text}}}"}),
            Some("`template`"),
        );
        check(
            json!({"kind": "webhook", "url": "https://a.example/s3cret", "template": "{\"a\":\"{{text}}\",\"v\":{{value}},\"n\":{{count}}}"}),
            None,
        );
        check(json!({"kind": "webhook", "url": "ftp://a.example/s3cret"}), Some("`url`"));
        check(json!({"kind": "webhook", "url": "https://me:s3cret@a.example/"}), Some("`url`"));
        check(json!({"kind": "webhook", "url": "https:///s3cret"}), Some("`url`"));
        check(json!({"kind": "slack", "url": "https://hooks.slack.com/services/s3cret"}), None);
        check(json!({"kind": "slack", "uri": "s3cret"}), Some("uri"));
        check(json!({"kind": "discord", "url": "https://discord.com/api/webhooks/s3cret"}), None);
        check(json!({"kind": "teams", "url": "https://a.example/s3cret"}), None);
        check(json!({"kind": "pagerduty", "routing_key": "s3cret"}), None);
        check(json!({"kind": "command"}), None);
        check(json!({"kind": "command", "command": "rm"}), Some("command"));
        let mail = |change: Value| {
            let mut email = json!({
                "kind": "email", "server": "mail.example", "from": "a@b.example", "to": ["c@d.example"],
            });
            for (name, value) in change.as_object().unwrap() {
                email[name] = value.clone();
            }
            email
        };
        check(mail(json!({"user": "u", "password": "s3cret"})), None);
        check(mail(json!({"user": "u"})), Some("`user`"));
        check(
            mail(json!({"user": "u", "password": "s3cret", "security": "none"})),
            Some("`security`"),
        );
        check(mail(json!({"server": "a b"})), Some("`server`"));
        check(mail(json!({"to": []})), Some("`to`"));
        check(mail(json!({"to": ["a@b\r\nRCPT TO:<x@y>"]})), Some("`to`"));
    }

    #[test]
    fn only_the_origin_of_a_url_is_shown() {
        let shown = |url: &str| {
            let document = json!({ "kind": "webhook", "url": url }).to_string();
            Target::parse(document.as_bytes()).unwrap().shown()["url"].clone()
        };
        assert_eq!(shown("https://a.example:8443/x?y"), "https://a.example:8443/…");
        assert_eq!(shown("http://a.example"), "http://a.example/…");
    }
}
