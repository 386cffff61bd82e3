//! A running server for tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use streamtable_server::{Catalog, Server, ServerConfig, ServerError};
use streamtable_store::Store;
use streamtable_store_embedded::{EmbeddedStore, LocalFiles, StoreConfig};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server that runs until this value is dropped.
pub(crate) struct Running {
    pub(crate) url: String,
    /// The key created by the first start. It has all rights.
    pub(crate) key: String,
    /// Taken when the server stops: an open catalog would keep its files locked.
    catalog: Option<Catalog>,
    pub(crate) folder: TempDir,
    config: ServerConfig,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl Fn(&mut ServerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config_in(&folder);
        change(&mut config);
        let server = Server::bind(config.clone()).await.unwrap();
        Self::of(server, folder, config)
    }

    fn of(server: Server, folder: TempDir, config: ServerConfig) -> Self {
        let (url, key) = (server.local_url(), server.first_key().unwrap().secret.clone());
        let catalog = Some(server.catalog().clone());
        let (stop, served) = serve(server);
        let (stop, served) = (Some(stop), Some(served));
        Self { url, key, catalog, folder, config, stop, served }
    }

    /// Stops the server and starts another one in its folder.
    pub(crate) async fn start_again(
        &mut self,
        change: impl Fn(&mut ServerConfig),
    ) -> Result<(), ServerError> {
        self.stop().await;
        let mut config = self.config.clone();
        change(&mut config);
        let server = Server::bind(config).await?;
        if let Some(key) = server.first_key() {
            self.key = key.secret.clone();
        }
        (self.url, self.catalog) = (server.local_url(), Some(server.catalog().clone()));
        let (stop, served) = serve(server);
        (self.stop, self.served) = (Some(stop), Some(served));
        Ok(())
    }

    /// Starts a server whose store is wrapped by `wrap`.
    pub(crate) async fn start_on(wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config_in(&folder);
        let store = EmbeddedStore::open(StoreConfig::new(folder.path().join("store"))).await;
        let files = LocalFiles::open(folder.path().join("files")).unwrap();
        let store = wrap(Arc::new(store.unwrap()));
        let server = Server::with_parts(config.clone(), store, Arc::new(files)).await.unwrap();
        Self::of(server, folder, config)
    }

    /// Restarts the server on the same folder.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let server = Server::bind(self.config.clone()).await.unwrap();
        assert_eq!(server.first_key(), None);
        (self.url, self.catalog) = (server.local_url(), Some(server.catalog().clone()));
        let (stop, served) = serve(server);
        (self.stop, self.served) = (Some(stop), Some(served));
    }

    /// Shuts the server down as a signal would, and waits until it has stopped.
    pub(crate) async fn stop(&mut self) {
        drop((self.stop.take(), self.catalog.take()));
        if let Some(served) = self.served.take() {
            served.await.unwrap();
        }
    }

    /// Returns the catalog of the running server.
    pub(crate) fn catalog(&self) -> &Catalog {
        self.catalog.as_ref().unwrap()
    }

    pub(crate) fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }
}

fn config_in(folder: &TempDir) -> ServerConfig {
    ServerConfig {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data_dir: folder.path().to_owned(),
        ..ServerConfig::default()
    }
}

fn serve(server: Server) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        server.run(async { drop(stopped.await) }).await.unwrap();
    });
    (stop, served)
}

/// A response with its complete body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request with exactly these headers, including `Host` if given.
pub(crate) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let uri: http::Uri = url.parse().unwrap();
    let authority = uri.authority().unwrap().as_str();
    let stream = tokio::net::TcpStream::connect(authority).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = hyper::Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", authority);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(http_body_util::Full::new(body.into())).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// Returns the `Authorization` header for a key.
pub(crate) fn basic(key: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("api:{key}")))
}

impl Running {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let auth = basic(&self.key);
        send("GET", &format!("{}{path}", self.url), &[("authorization", &auth)], "").await
    }

    /// Appends rows to a table: JSON objects.
    pub(crate) async fn append(&self, table: &str, rows: &str) {
        let url = format!("{}/api/tables/{table}/rows", self.url);
        let auth = basic(&self.key);
        let answer = send("POST", &url, &[("authorization", &auth)], rows.to_owned()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[cfg(feature = "wandb")]
impl Running {
    /// Runs a GraphQL operation with a key and returns its data.
    pub(crate) async fn ask_as(
        &self,
        key: &str,
        query: &str,
        variables: serde_json::Value,
    ) -> Answer {
        let body = serde_json::json!({ "query": query, "variables": variables });
        let headers = [("authorization", &*basic(key)), ("content-type", "application/json")];
        send("POST", &format!("{}/graphql", self.url), &headers, body.to_string()).await
    }

    pub(crate) async fn ask(&self, query: &str, variables: serde_json::Value) -> serde_json::Value {
        let answer = self.ask_as(&self.key, query, variables).await;
        let json = answer.json();
        assert!(answer.status == 200 && json.get("errors").is_none(), "{}", answer.text());
        json["data"].clone()
    }

    /// Creates a run.
    pub(crate) async fn make_run(
        &self,
        entity: &str,
        project: &str,
        run: &str,
    ) -> serde_json::Value {
        let query = "mutation U($e: String, $p: String, $r: String) {
            upsertBucket(input: {entityName: $e, modelName: $p, name: $r}) {
                inserted bucket { id name historyLineCount } } }";
        let variables = serde_json::json!({ "e": entity, "p": project, "r": run });
        self.ask(query, variables).await["upsertBucket"].clone()
    }

    /// Posts to a run's file stream.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let auth = basic(&self.key);
        let own = [("authorization", auth.as_str()), ("content-type", "application/json")];
        let headers = [&own, headers].concat();
        let url = format!("{}/files/{path}/file_stream", self.url);
        send("POST", &url, &headers, body.to_owned()).await
    }
}
