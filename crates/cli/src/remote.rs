//! The server that a command speaks to.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, Limited};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use streamtable::{Settings, TableName, TablePath, WANDB_API};
use streamtable_transport::{ApiKey, Origin};
use streamtable_transport_hyper::HyperTransport;
use streamtable_url::BaseUrl;
use streamtable_wire::graphql::{WhoAmI, parse_answer, request_body};
use streamtable_wire::{GRAPHQL_PATH, NotAnAck};

use crate::cli::Global;
use crate::failure::Failure;

/// Where a server is by default: on this machine, where `serve` puts it.
pub(crate) const DEFAULT_BASE_URL: &str = "http://127.0.0.1:8080";

/// The most bytes of an answer that is read whole.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// What a name shows as it is in a path or behind a `?`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The server that a command speaks to, and the key that it shows.
pub(crate) struct Remote {
    settings: Settings,
    base: BaseUrl,
    transport: HyperTransport,
}

/// An answer that is read as it comes.
pub(crate) type Answer = Response<Incoming>;

impl Remote {
    /// Finds out where the server is, as the SDK does.
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        Self::with_settings(settings(global)?)
    }

    /// Speaks to the server of these settings.
    pub(crate) fn with_settings(settings: Settings) -> Result<Self, Failure> {
        let base: BaseUrl = settings.base_url.parse().map_err(|error| {
            Failure::usage(format!("{:?} is no server's address: {error}", settings.base_url))
        })?;
        let transport = HyperTransport::new().map_err(Failure::failed)?;
        Ok(Self { settings, base, transport })
    }

    /// Returns what the machine's settings say.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the server's address.
    pub(crate) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Returns the address as keys are kept for it.
    pub(crate) fn origin(&self) -> Result<Origin, Failure> {
        self.base.as_str().parse().map_err(Failure::usage)
    }

    /// Completes a table's name: from the settings, then, where the entity is missing, by the
    /// server's word.
    pub(crate) async fn table(&self, name: &str) -> Result<TablePath, Failure> {
        let mut name: TableName = name.parse().map_err(Failure::usage)?;
        if let (None, Some(project)) = (name.project(), &self.settings.project) {
            name = name.with_project(project).map_err(Failure::usage)?;
        }
        if let (None, Some(entity)) = (name.entity(), &self.settings.entity) {
            name = name.with_entity(entity).map_err(Failure::usage)?;
        }
        if name.project().is_some() && name.entity().is_none() {
            let entity = self.default_entity().await?;
            let entity = entity.ok_or_else(|| {
                Failure::usage("the entity is missing: write entity/project/table")
            })?;
            name = name.with_entity(&entity).map_err(Failure::usage)?;
        }
        name.to_path().map_err(Failure::usage)
    }

    /// Asks for the entity to which the key's owner logs by default; fails where the key is not
    /// known.
    pub(crate) async fn default_entity(&self) -> Result<Option<String>, Failure> {
        let body = request_body(&WhoAmI {});
        let answer =
            self.read(self.request(Method::POST, GRAPHQL_PATH, Some(body.into()))?).await?;
        let answer = parse_answer::<WhoAmI>(&answer).map_err(Failure::failed)?;
        let viewer = answer.viewer.ok_or_else(|| self.unknown_key("it knows no owner"))?;
        Ok(viewer.default_entity.map(|entity| entity.name))
    }

    /// Gets JSON from a path below the server's address.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.read(self.request(Method::GET, path, None)?).await?;
        self.parse(&answer)
    }

    /// Posts JSON, and gets some.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Failure> {
        let request = self.request(Method::POST, path, Some(body.to_string().into()))?;
        let answer = self.read(request).await?;
        self.parse(&answer)
    }

    /// Deletes what a path names. Only the status 204 says that this was done.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        let answer = self.send(self.request(Method::DELETE, path, None)?).await?;
        match answer.status() {
            StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.not_acked(&answer, "the status is not 204")),
        }
    }

    /// Makes a request with the key; a body is JSON unless the caller says otherwise.
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

    /// Sends a request, and returns the answer once its head is there, if it is no refusal.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Answer, Failure> {
        let answer = self.attempt(request).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        // No command asks for a page, but a captive portal answers with one.
        let content = answer.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        if content.is_some_and(|content| content.starts_with("text/html")) {
            return Err(self.not_acked(&answer, "no page was asked for"));
        }
        Ok(answer)
    }

    fn not_acked(&self, answer: &Answer, reason: &str) -> Failure {
        let mut head = Response::new(" ");
        *head.status_mut() = answer.status();
        head.headers_mut().clone_from(answer.headers());
        Failure::failed(format!("{} {}", self.base, NotAnAck::new(&head, reason)))
    }

    /// Sends a request, and returns the answer once its head is there, whatever its status.
    pub(crate) async fn attempt(&self, request: Request<Bytes>) -> Result<Answer, Failure> {
        self.transport.stream(request).await.map_err(|error| {
            let is_own = matches!(error, streamtable_transport::TransportError::Unreachable { .. })
                && self.base.as_str() == DEFAULT_BASE_URL;
            match is_own {
                true => Failure::failed(format!(
                    "{error}; is a server running? `streamtable serve` starts one, and --base-url \
                     names another"
                )),
                false => Failure::failed(error),
            }
        })
    }

    /// Reads what a server says no with.
    pub(crate) async fn refusal(&self, answer: Answer) -> Failure {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let message = message(&body);
        match status {
            StatusCode::UNAUTHORIZED => self.unknown_key(&message),
            _ if message.is_empty() => Failure::failed(format!("{} answers {status}", self.base)),
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
                "{} does not answer as a StreamTable server: {error}",
                self.base
            ))
        })
    }

    /// Returns an answer's body, piece by piece.
    pub(crate) fn body(
        &self,
        answer: Answer,
    ) -> impl Stream<Item = Result<Bytes, Failure>> + Unpin {
        let base = self.base.clone();
        BodyStream::new(answer.into_body()).map(move |frame| match frame {
            Ok(frame) => Ok(frame.into_data().unwrap_or_default()),
            Err(error) => Err(Failure::failed(format!(
                "{base} broke off its answer, which is not whole: {error}"
            ))),
        })
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::failed(format!("{} broke off its answer: {error}", self.base))
    }
}

/// Reads the machine's settings for the server that is meant.
pub(crate) fn settings(global: &Global) -> Result<Settings, Failure> {
    if let Some(base_url) = &global.base_url {
        return Settings::from_env_for(base_url.trim_end_matches('/')).map_err(Failure::failed);
    }
    let settings = Settings::from_env().map_err(Failure::failed)?;
    let is_named = std::env::var_os("WANDB_BASE_URL").is_some_and(|url| !url.is_empty());
    if is_named || settings.base_url != WANDB_API {
        return Ok(settings);
    }
    Settings::from_env_for(DEFAULT_BASE_URL).map_err(Failure::failed)
}

/// The path of a table, or of something of it, in the native API.
pub(crate) fn table_path(table: &TablePath, rest: &str) -> String {
    let [entity, project, name] = [table.entity(), table.project(), table.table()].map(encode);
    format!("/api/tables/{entity}/{project}/{name}{rest}")
}

/// Writes a text as a part of a path or as a parameter.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// Takes the sentences out of an answer that says no.
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
