//! What every handler shares.

use std::sync::Arc;

use streamtable_store::{FileStore, Store};
use streamtable_url::BaseUrl;
use tokio_util::sync::CancellationToken;

/// What every handler shares. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// Where rows are.
    pub store: Arc<dyn Store>,
    /// Where files are.
    pub files: Arc<dyn FileStore>,
    /// What links to this server begin with.
    pub public_url: BaseUrl,
    /// Cancelled when the server stops: what waits for more ends then.
    pub shutdown: CancellationToken,
}
