//! State of the API's handlers.

use std::sync::Arc;

use axum::extract::FromRef;
use streamtable_server_core::{Core, RowsStored};
use streamtable_store::Store;

use super::tail::Tails;
use crate::boards::BoardCatalog;
use crate::live::LiveState;
use crate::monitors::Monitors;

/// State of the API's handlers. Those of live views and boards only take their part.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) core: Core,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) live: LiveState,
    pub(crate) boards: BoardCatalog,
    pub(crate) monitors: Monitors,
    pub(crate) tails: Arc<Tails>,
    /// Records the binary rows of a run, which the W&B protocol shows.
    pub(crate) runs: Option<Arc<dyn RowsStored>>,
}

impl FromRef<ApiState> for Core {
    fn from_ref(state: &ApiState) -> Self {
        state.core.clone()
    }
}

impl FromRef<ApiState> for LiveState {
    fn from_ref(state: &ApiState) -> Self {
        state.live.clone()
    }
}

impl FromRef<ApiState> for BoardCatalog {
    fn from_ref(state: &ApiState) -> Self {
        state.boards.clone()
    }
}

impl FromRef<ApiState> for Monitors {
    fn from_ref(state: &ApiState) -> Self {
        state.monitors.clone()
    }
}
