//! `/api/targets`: where messages about monitors go.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use streamtable_monitor::{Event, Message, Severity, State as MonitorState, Target};
use streamtable_schema::Timestamp;
use uuid::Uuid;

use super::Monitors;
use super::catalog::StoredTarget;
use super::schedule::now;
use crate::documents::{DocumentPath, path_of};
use crate::{ApiError, Principal, Right};

type Named = Path<(String, String, String)>;

/// Lists the targets of a project, without their secrets.
pub(crate) async fn list(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project)): Path<(String, String)>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, "-")?;
    let targets = monitors.0.catalog.targets(&path.entity, &path.project).await?;
    Ok(Json(targets.iter().map(shown).collect()))
}

/// Returns a target, without its secrets.
pub(crate) async fn get(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
) -> Result<Json<Value>, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, &name)?;
    let target = monitors.0.catalog.target(&path).await?.ok_or_else(|| no_target(&path))?;
    Ok(Json(shown(&target)))
}

/// Saves a target.
pub(crate) async fn put(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let body = body.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let wrong = |error: String| ApiError::bad_request(format!("invalid target: {error}"));
    Target::parse(&body).map_err(|error| wrong(error.to_string()))?;
    let text = String::from_utf8(body.to_vec()).map_err(|_| wrong("not UTF-8".to_owned()))?;
    let is_new = monitors.0.catalog.save_target(&path, text, &principal.name).await?;
    let (name, by) = (&path.name, &principal.name);
    tracing::info!(target: "audit", entity, project, name, by, "a target was saved");
    monitors.0.reported.notify_one();
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::OK })
}

/// Deletes a target. Messages that wait for it are dropped.
pub(crate) async fn delete(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
) -> Result<StatusCode, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    if !monitors.0.catalog.delete_target(&path).await? {
        return Err(no_target(&path));
    }
    let (name, by) = (&path.name, &principal.name);
    tracing::info!(target: "audit", entity, project, name, by, "a target was deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test message to a target, and returns whether that succeeded.
pub(crate) async fn test(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let result = send_test(&monitors, &path, "test").await?;
    Ok(Json(result).into_response())
}

/// Sends a test message to a target.
pub(super) async fn send_test(
    monitors: &Monitors,
    path: &DocumentPath,
    monitor: &str,
) -> Result<Value, ApiError> {
    let target = monitors.0.catalog.target(path).await?.ok_or_else(|| no_target(path))?;
    let parsed = Target::parse(target.document.as_bytes())
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    let DocumentPath { entity, project, name } = path;
    let event = Event {
        id: Uuid::new_v4().to_string(),
        monitor: format!("{entity}/{project}/{monitor}"),
        title: format!("Test of the target {name}"),
        group: String::new(),
        from: None,
        to: MonitorState::Firing,
        value: None,
        severity: Severity::Info,
        message: "This is a test. Nothing is wrong.".to_owned(),
        at: now(),
    };
    let id = event.id.clone();
    let sent = monitors.0.sender.send(&parsed, &Message { events: vec![event] }, &id).await;
    Ok(json!({
        "target": name,
        "sent": sent.is_ok(),
        "error": sent.err().map(|error| error.reason()),
    }))
}

fn shown(target: &StoredTarget) -> Value {
    let mut shown = match Target::parse(target.document.as_bytes()) {
        Ok(target) => target.shown(),
        Err(_) => json!({ "kind": null }),
    };
    let time = |at: Option<i64>| at.map(|at| Timestamp::from_millis(at).to_string());
    shown["name"] = target.name.as_str().into();
    shown["author"] = target.author.as_str().into();
    shown["updated"] = time(Some(target.saved_at)).into();
    shown["sent"] = time(target.sent_at).into();
    shown["failed"] = time(target.failed_at).into();
    shown["error"] = target.error.clone().into();
    shown
}

fn no_target(path: &DocumentPath) -> ApiError {
    let DocumentPath { entity, project, name } = path;
    ApiError::not_found(format!("no target {entity}/{project}/{name}"))
}
