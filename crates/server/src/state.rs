//! What every handler shares.

use std::sync::Arc;

use streamtable_store::{FileStore, Store};

/// What every handler shares. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// Where rows are.
    pub store: Arc<dyn Store>,
    /// Where files are.
    pub files: Arc<dyn FileStore>,
}
