//! A server for one test.

use std::net::{Ipv4Addr, SocketAddr};

use streamtable_server::{Catalog, Server, ServerConfig};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server that is served until this is dropped.
pub struct Running {
    pub url: String,
    /// The key that the first start made: it opens all.
    pub key: String,
    pub catalog: Catalog,
    pub folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
}

impl Running {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ServerConfig {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: folder.path().to_owned(),
            default_entity: "me".to_owned(),
            ..ServerConfig::default()
        };
        change(&mut config);
        let server = Server::bind(config).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (url, key) = (server.local_url(), server.first_key().unwrap().secret.clone());
        let catalog = server.catalog().clone();
        let served = tokio::spawn(async move {
            server.run(async { drop(stopped.await) }).await.unwrap();
        });
        Self { url, key, catalog, folder, stop: Some(stop), served: Some(served) }
    }

    /// Stops the server as a signal would, and waits for its end.
    pub async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(served) = self.served.take() {
            served.await.unwrap();
        }
    }

    pub fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }
}
