//! The server that a command connects to.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, Limited};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use streamtable::{LOCAL_API, Settings, TableName, TablePath};
use streamtable_transport::{ApiKey, Origin};
use streamtable_transport_hyper::HyperTransport;
use streamtable_url::{BaseUrl, form_encode};
use streamtable_wire::graphql::{WhoAmI, parse_answer, request_body};
use streamtable_wire::{GRAPHQL_PATH, NotAnAck};

use crate::cli::Global;
use crate::failure::Failure;

/// How long `log` and `url` wait for a login link, which is not their main result.
const LINK_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of a response that is read into memory, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Characters that are percent-encoded in paths and parameters.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The server that a command connects to, and the API key for it.
pub(crate) struct Remote {
    settings: Settings,
    base: BaseUrl,
    transport: HyperTransport,
}

/// A response whose body is read as a stream.
pub(crate) type Answer = Response<Incoming>;

impl Remote {
    /// Determines the server in the same way as the SDK.
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        Self::with_settings(settings(global)?)
    }

    /// Uses the server of these settings.
    pub(crate) fn with_settings(settings: Settings) -> Result<Self, Failure> {
        let base: BaseUrl = settings.base_url.parse().map_err(|error| {
            Failure::usage(format!("{:?} is not a server URL: {error}", settings.base_url))
        })?;
        let transport = HyperTransport::new().map_err(Failure::failed)?;
        Ok(Self { settings, base, transport })
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the URL of the server.
    pub(crate) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Returns the origin under which the server's key is stored.
    pub(crate) fn origin(&self) -> Result<Origin, Failure> {
        self.base.as_str().parse().map_err(Failure::usage)
    }

    /// Completes a table name from the settings, or with the default project. If the entity is still missing, asks the server
    /// for the default one.
    pub(crate) async fn table(&self, name: &str) -> Result<TablePath, Failure> {
        let name: TableName = name.parse().map_err(Failure::usage)?;
        let mut name = self.settings.complete(name).map_err(Failure::usage)?;
        if name.entity().is_none() {
            let entity = self.default_entity().await?;
            let entity = entity.ok_or_else(|| {
                Failure::usage("the entity is missing: write entity/project/table")
            })?;
            name = name.with_entity(&entity).map_err(Failure::usage)?;
        }
        name.to_path().map_err(Failure::usage)
    }

    /// Returns the default entity of the key's owner. Fails if the server does not know the key.
    pub(crate) async fn default_entity(&self) -> Result<Option<String>, Failure> {
        let body = request_body(&WhoAmI {});
        let answer =
            self.read(self.request(Method::POST, GRAPHQL_PATH, Some(body.into()))?).await?;
        let answer = parse_answer::<WhoAmI>(&answer).map_err(Failure::failed)?;
        let viewer = answer.viewer.ok_or_else(|| self.unknown_key("it has no owner"))?;
        Ok(viewer.default_entity.map(|entity| entity.name))
    }

    /// Gets JSON from a path below the server's URL.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.read(self.request(Method::GET, path, None)?).await?;
        self.parse(&answer)
    }

    /// Posts JSON, and returns the JSON response.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Failure> {
        let request = self.request(Method::POST, path, Some(body.to_string().into()))?;
        let answer = self.read(request).await?;
        self.parse(&answer)
    }

    /// Makes a link that logs a browser in once and goes on to an address of the server.
    ///
    /// Fails on servers that have no such links, such as W&B's.
    pub(crate) async fn login_link(&self, address: &str) -> Result<String, Failure> {
        #[derive(serde::Deserialize)]
        struct Link {
            url: String,
        }
        let nothing = serde_json::json!({});
        let post = self.post::<Link>("/api/login-links", &nothing);
        let link = tokio::time::timeout(LINK_TIMEOUT, post).await;
        let Link { url } = link.map_err(|_| {
            Failure::failed(format!("{} did not respond within {LINK_TIMEOUT:?}", self.base))
        })??;
        // The link goes on within the server: a board elsewhere has sessions of its own.
        let next = address.strip_prefix(self.base.as_str()).unwrap_or("/");
        Ok(format!("{url}&next={}", form_encode(next)))
    }

    /// Sends a DELETE request. Only status 204 counts as success.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        let answer = self.send(self.request(Method::DELETE, path, None)?).await?;
        match answer.status() {
            StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.not_acked(&answer, "the status is not 204")),
        }
    }

    /// Creates a request with the API key. A body is JSON unless the caller changes its type.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Request<Bytes>, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        request = request.header(AUTHORIZATION, self.authorization()?);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request = request.header(ACCEPT, "application/json");
        request.body(body.unwrap_or_default()).map_err(Failure::failed)
    }

    fn authorization(&self) -> Result<HeaderValue, Failure> {
        let key = self.settings.api_key.as_ref().map(ApiKey::expose).ok_or_else(|| {
            Failure::failed(format!(
                "there is no API key for {}: set WANDB_API_KEY, or run `streamtable login`",
                self.base
            ))
        })?;
        let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(Failure::failed)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Sends a request, and returns the response when its head has arrived. An error status is an
    /// error.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Answer, Failure> {
        let answer = self.attempt(request).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        // No command requests HTML, so it comes from a captive portal.
        let content = answer.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        if content.is_some_and(|content| content.starts_with("text/html")) {
            return Err(self.not_acked(&answer, "it is an HTML page"));
        }
        Ok(answer)
    }

    fn not_acked(&self, answer: &Answer, reason: &str) -> Failure {
        let mut head = Response::new(" ");
        *head.status_mut() = answer.status();
        head.headers_mut().clone_from(answer.headers());
        Failure::failed(format!("{} {}", self.base, NotAnAck::new(&head, reason)))
    }

    /// Sends a request, and returns the response when its head has arrived, whatever its status.
    pub(crate) async fn attempt(&self, request: Request<Bytes>) -> Result<Answer, Failure> {
        self.transport.stream(request).await.map_err(|error| {
            let is_own = matches!(error, streamtable_transport::TransportError::Unreachable { .. })
                && self.base.as_str() == LOCAL_API;
            match is_own {
                true => Failure::failed(format!(
                    "{error}; is a server running? `streamtable serve` starts one, and --base-url \
                     selects another"
                )),
                false => Failure::failed(error),
            }
        })
    }

    /// Converts an error response to a failure.
    pub(crate) async fn refusal(&self, answer: Answer) -> Failure {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let message = message(&body);
        match status {
            StatusCode::UNAUTHORIZED => self.unknown_key(&message),
            _ if message.is_empty() => {
                Failure::failed(format!("{} responded with {status}", self.base))
            }
            _ => Failure::failed(message),
        }
    }

    fn unknown_key(&self, message: &str) -> Failure {
        Failure::failed(format!(
            "{} does not accept the API key ({message}): set WANDB_API_KEY, or run `streamtable login`",
            self.base
        ))
    }

    async fn read(&self, request: Request<Bytes>) -> Result<Bytes, Failure> {
        let answer = self.send(request).await?;
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok(body.map_err(|error| self.broken(&error))?.to_bytes())
    }

    fn parse<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(answer).map_err(|error| {
            Failure::failed(format!(
                "{} did not respond as a StreamTable server does: {error}",
                self.base
            ))
        })
    }

    /// Returns the body of a response as a stream.
    pub(crate) fn body(
        &self,
        answer: Answer,
    ) -> impl Stream<Item = Result<Bytes, Failure>> + Unpin {
        let base = self.base.clone();
        BodyStream::new(answer.into_body()).map(move |frame| match frame {
            Ok(frame) => Ok(frame.into_data().unwrap_or_default()),
            Err(error) => Err(Failure::failed(format!(
                "{base} aborted its response, which is incomplete: {error}"
            ))),
        })
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::failed(format!("{} aborted its response: {error}", self.base))
    }
}

/// Reads the settings for the selected server.
pub(crate) fn settings(global: &Global) -> Result<Settings, Failure> {
    if let Some(base_url) = &global.base_url {
        return Settings::from_env_for(base_url.trim_end_matches('/')).map_err(Failure::failed);
    }
    Settings::from_env().map_err(Failure::failed)
}

/// Returns the path of a table in the native API, followed by `rest`.
pub(crate) fn table_path(table: &TablePath, rest: &str) -> String {
    let [entity, project, name] = [table.entity(), table.project(), table.table()].map(encode);
    format!("/api/tables/{entity}/{project}/{name}{rest}")
}

/// Percent-encodes a text for a path or a parameter.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// Returns the messages of an error response.
fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<Message>,
    }
    #[derive(serde::Deserialize)]
    struct Message {
        message: String,
    }
    match serde_json::from_slice::<Errors>(body) {
        Ok(Errors { errors }) => {
            errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; ")
        }
        Err(_) => String::from_utf8_lossy(body).trim().chars().take(200).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let table: TablePath = "me/my shop/t".parse().unwrap();
        assert_eq!(table_path(&table, "/rows"), "/api/tables/me/my%20shop/t/rows");
    }

    #[test]
    fn messages() {
        assert_eq!(message(br#"{"errors":[{"message":"a"},{"message":"b"}]}"#), "a; b");
        assert_eq!(message(b" plain\n"), "plain");
        assert_eq!(message(b""), "");
    }
}
