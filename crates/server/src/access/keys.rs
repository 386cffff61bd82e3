//! `/api/keys`: the HTTP API behind the command `streamtable keys`.

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use serde::{Deserialize, Serialize};
use streamtable_server_core::{BaseUrl, Core};

use crate::{ApiError, Key, Principal, Right};

/// Lifetime of a login link.
const LINK_LIFETIME: Duration = Duration::from_secs(600);

pub(crate) fn router(core: Core) -> Router {
    Router::new()
        .route("/api/keys", get(list).post(add))
        .route("/api/keys/{id}", delete(revoke))
        .route("/api/login-links", post(link))
        .with_state(core)
}

/// A key in a response.
#[derive(Serialize)]
struct KeyAnswer {
    id: String,
    name: String,
    entity: Option<String>,
    right: &'static str,
    created_at: String,
    revoked_at: Option<String>,
    /// Only in the response to the key's creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl From<Key> for KeyAnswer {
    fn from(key: Key) -> Self {
        Self {
            id: key.id,
            name: key.name,
            entity: key.entity,
            right: key.right.as_str(),
            created_at: key.created_at.to_string(),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
            key: None,
        }
    }
}

async fn list(
    State(core): State<Core>,
    principal: Principal,
) -> Result<Json<Vec<KeyAnswer>>, ApiError> {
    check_admin(&principal, None)?;
    let keys = core.catalog.keys().await?;
    let own = keys.into_iter().filter(|key| sees(&principal, key));
    Ok(Json(own.map(KeyAnswer::from).collect()))
}

#[derive(Deserialize)]
struct NewKeyRequest {
    name: String,
    #[serde(default)]
    entity: Option<String>,
    right: String,
}

async fn add(
    State(core): State<Core>,
    principal: Principal,
    Json(new): Json<NewKeyRequest>,
) -> Result<(StatusCode, Json<KeyAnswer>), ApiError> {
    let entity = new.entity.or_else(|| principal.entity.clone());
    check_admin(&principal, Some(entity.as_deref()))?;
    let right: Right = new.right.parse().map_err(|e| ApiError::bad_request(format!("{e}")))?;
    let made = core.catalog.add_key(&new.name, entity.as_deref(), right).await?;
    let (id, by) = (&made.key.id, &principal.name);
    tracing::info!(target: "audit", id, entity, %right, by, "a key was created");
    let answer = KeyAnswer { key: Some(made.secret), ..KeyAnswer::from(made.key) };
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn revoke(
    State(core): State<Core>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    check_admin(&principal, None)?;
    let keys = core.catalog.keys().await?;
    let is_own = keys.iter().any(|key| key.id == id && sees(&principal, key));
    if !is_own || !core.catalog.revoke_key(&id).await? {
        return Err(ApiError::not_found("no such key, or it was already revoked"));
    }
    tracing::info!(target: "audit", id, by = principal.name, "a key was revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// Creates a link that starts one browser session for the owner of the key.
async fn link(
    State(core): State<Core>,
    key: Key,
    base: BaseUrl,
) -> Result<Json<serde_json::Value>, ApiError> {
    let token = core.catalog.login_token(&key, LINK_LIFETIME).await?;
    Ok(Json(serde_json::json!({ "url": format!("{base}/login?token={token}") })))
}

fn check_admin(principal: &Principal, entity: Option<Option<&str>>) -> Result<(), ApiError> {
    let is_own = match (entity, principal.entity.as_deref()) {
        (None, _) | (Some(_), None) => true,
        (Some(wanted), own) => wanted == own,
    };
    if principal.right == Right::Admin && is_own {
        return Ok(());
    }
    tracing::warn!(target: "audit", key = principal.name, "may not manage keys");
    Err(ApiError::new(StatusCode::FORBIDDEN, "only an admin key may manage keys"))
}

fn sees(principal: &Principal, key: &Key) -> bool {
    principal.entity.is_none() || principal.entity == key.entity
}
