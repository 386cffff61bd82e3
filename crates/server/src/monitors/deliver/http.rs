//! Delivery by HTTP requests.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use serde_json::Value;
use sha2::Sha256;
use streamtable_monitor::{Message, Secret, Target};
use streamtable_server_core::{clock, hex};
use streamtable_transport::{Transport, TransportError};
use streamtable_transport_hyper::{Addresses, HyperConfig, HyperTransport};

use super::SendError;

/// Maximum time of a request.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Maximum size of a response. Nothing in it is used.
const MAX_RESPONSE: usize = 64 << 10;

/// Identifies a message: a repetition has the same.
const ID_HEADER: &str = "x-streamtable-id";

/// The time of the request in seconds since 1970; it is signed together with the body.
const TIME_HEADER: &str = "x-streamtable-timestamp";

/// `sha256=` and the HMAC-SHA256 of the time, a dot and the body, in hexadecimal digits.
const SIGNATURE_HEADER: &str = "x-streamtable-signature";

#[derive(Debug)]
pub(super) struct Client(HyperTransport);

impl Client {
    pub(super) fn new(addresses: Addresses) -> Result<Self, String> {
        let config = HyperConfig {
            connect_timeout: TIMEOUT / 3,
            request_timeout: TIMEOUT,
            max_response_bytes: MAX_RESPONSE,
            addresses,
            ..HyperConfig::default()
        };
        HyperTransport::with_config(config).map(Self).map_err(|error| error.to_string())
    }

    pub(super) async fn send(
        &self,
        target: &Target,
        message: &Message,
        id: &str,
    ) -> Result<(), SendError> {
        let Some(url) = target.url() else {
            return Err(SendError::Never("the target has no URL".to_owned()));
        };
        let secret = match target {
            Target::Webhook(webhook) => webhook.secret.as_ref(),
            _ => None,
        };
        // A repetition of those that were accepted already is harmless: they have the same id.
        for body in bodies(target, message) {
            self.post(url, secret, id, body).await?;
        }
        Ok(())
    }

    async fn post(
        &self,
        url: &Secret,
        secret: Option<&Secret>,
        id: &str,
        body: String,
    ) -> Result<(), SendError> {
        let time = clock::unix_seconds().to_string();
        let mut request = Request::post(url.expose())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("streamtable/", env!("CARGO_PKG_VERSION")))
            .header(ID_HEADER, id)
            .header(TIME_HEADER, &time);
        if let Some(secret) = secret {
            request = request.header(SIGNATURE_HEADER, signature(secret.expose(), &time, &body));
        }
        // The error of an invalid URL could quote it.
        let request = request
            .body(Bytes::from(body))
            .map_err(|_| SendError::Never("the URL is not valid".to_owned()))?;
        match self.0.send(request).await {
            Ok(response) => judge(response.status()),
            // The body of the response is too long, but it is a response.
            Err(TransportError::BodyTooLarge { .. }) => Ok(()),
            Err(error) => Err(SendError::Later(error.to_string())),
        }
    }
}

fn bodies(target: &Target, message: &Message) -> Vec<String> {
    let one = |body: Value| vec![body.to_string()];
    match target {
        Target::Webhook(webhook) => match &webhook.template {
            Some(template) => vec![message.fill(template)],
            None => one(message.webhook()),
        },
        Target::Slack { .. } => one(message.slack()),
        Target::Discord { .. } => one(message.discord()),
        Target::Teams { .. } => one(message.teams()),
        Target::Pagerduty { routing_key, .. } => {
            message.pagerduty(routing_key.expose()).iter().map(Value::to_string).collect()
        }
        Target::Email(_) | Target::Command {} => Vec::new(),
    }
}

/// Redirects are not followed: their destination was chosen by somebody else.
fn judge(status: StatusCode) -> Result<(), SendError> {
    let reason = format!("the server answered {}", status.as_u16());
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Err(SendError::Later(reason))
        }
        status if status.is_server_error() => Err(SendError::Later(reason)),
        _ => Err(SendError::Never(reason)),
    }
}

fn signature(secret: &str, time: &str, body: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes())
        .expect("HMAC accepts keys of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected value is of `printf '1700000000.{}' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn bodies_are_signed_with_their_time() {
        assert_eq!(
            signature("key", "1700000000", "{}"),
            "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
        );
    }

    #[test]
    fn only_some_failures_are_tried_again() {
        let is_final = |status: u16| {
            matches!(judge(StatusCode::from_u16(status).unwrap()), Err(SendError::Never(_)))
        };
        for status in [301, 307, 400, 401, 404, 410] {
            assert!(is_final(status), "{status}");
        }
        for status in [200, 204, 408, 429, 500, 503] {
            assert!(!is_final(status), "{status}");
        }
    }
}
