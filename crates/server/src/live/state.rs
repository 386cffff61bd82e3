//! State of the live views' handlers.

use std::sync::Arc;

use axum::extract::FromRef;
use streamtable_live::{TableAccess, ViewCache};
use streamtable_server_core::Core;
use streamtable_store::MemoryCeiling;

/// State of the live views' handlers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LiveState {
    pub(crate) core: Core,
    pub(crate) access: TableAccess,
    /// The views that pages have open.
    pub(crate) cache: Arc<ViewCache>,
    /// The memory limit of the process.
    pub(crate) memory: Arc<MemoryCeiling>,
}

impl FromRef<LiveState> for Core {
    fn from_ref(state: &LiveState) -> Self {
        state.core.clone()
    }
}
