//! State shared by all protocols.

use tokio_util::sync::CancellationToken;

use crate::{BaseUrlConfig, Bodies, Catalog, SigningKey};

/// State shared by all protocols of a server. Cheap to clone.
///
/// A protocol's own state contains it and implements [`FromRef`](axum::extract::FromRef) for it.
#[derive(Clone, Debug)]
pub struct Core {
    /// Keys, sessions, and the tables that features add.
    pub catalog: Catalog,
    /// Signs URLs, and names the session cookie.
    pub signing_key: SigningKey,
    /// How the server derives its own URL.
    pub base_url: BaseUrlConfig,
    /// Reads request bodies.
    pub bodies: Bodies,
    /// Cancelled when the server shuts down: streams that wait for new rows then end.
    pub stopping: CancellationToken,
}
