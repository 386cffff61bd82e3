//! `/api/monitors`: monitors, stored as versioned documents, and their states.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use streamtable_monitor::{Condition, Monitor, Silence, Span};
use streamtable_schema::Timestamp;

use super::Monitors;
use super::schedule::{Entry, groups_json, now, preview, value_json};
use super::targets::send_test;
use crate::documents::{Changed, DocumentInfo, DocumentPath, VersionParams, expected, path_of};
use crate::{ApiError, Principal, Right};

/// Maximum number of silences of a monitor.
const MAX_SILENCES: usize = 100;

/// Maximum length of a silence's reason and group in characters.
const MAX_TEXT: usize = 200;

/// The longest silence, in milliseconds.
const MAX_SILENCE: i64 = 366 * 24 * 3600 * 1000;

/// How long a test waits for the tests of others.
const TEST_WAIT: Duration = Duration::from_secs(5);

type Named = Path<(String, String, String)>;

/// A silence, as callers ask for it: until an instant, or for a time span.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSilence {
    until: Option<String>,
    #[serde(rename = "for")]
    span: Option<Span>,
    group: Option<String>,
    #[serde(default)]
    reason: String,
}

/// Whether a test also sends messages.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestParams {
    #[serde(default)]
    send: bool,
}

/// Lists the monitors of a project, with their states.
pub(crate) async fn list(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project)): Path<(String, String)>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, "-")?;
    let found = monitors.0.documents.list(&path.entity, &path.project).await?;
    let entries = monitors.0.entries.lock();
    let of = |name: &str| {
        let is_it = |entry: &&Entry| {
            (&entry.path.entity, &entry.path.project, entry.path.name.as_str())
                == (&path.entity, &path.project, name)
        };
        entries.values().find(is_it)
    };
    let listed = found.into_iter().map(|version| {
        let info = DocumentInfo::from(version);
        let mut shown = of(&info.name).map(summary).unwrap_or_else(|| json!({}));
        shown["name"] = info.name.into();
        shown["title"] = info.title.into();
        shown["version"] = info.version.into();
        shown["updated"] = info.updated.into();
        shown["author"] = info.author.into();
        shown
    });
    Ok(Json(listed.collect()))
}

fn summary(entry: &Entry) -> Value {
    let count = |state: &str| {
        entry.machine.groups().filter(|(_, group)| group.state().as_str() == state).count()
    };
    let groups = entry.machine.groups().count();
    let state = entry.machine.state();
    let worst = entry.machine.groups().find(|(_, group)| group.state() == state);
    json!({
        "table": entry.monitor.table.to_string(),
        "kind": entry.monitor.condition.kind(),
        "severity": entry.monitor.severity.as_str(),
        "state": state.as_str(),
        "value": worst.and_then(|(_, group)| group.value).map(value_json),
        "since": worst.filter(|(_, group)| group.since > 0)
            .map(|(_, group)| Timestamp::from_millis(group.since).to_string()),
        "bounds": entry.monitor.condition.bounds(),
        "groups": groups,
        "firing": count("firing"),
        "evaluated": entry.evaluated_at.map(|at| Timestamp::from_millis(at).to_string()),
        "silenced": entry.silences.iter().any(|silence| silence.until > now()),
    })
}

/// Returns the states of a monitor's groups.
pub(crate) async fn state(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
) -> Result<Json<Value>, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, &name)?;
    let entries = monitors.0.entries.lock();
    let entry = entries.values().find(|entry| entry.path == path);
    let entry = entry.ok_or_else(|| monitors.0.documents.missing(&path))?;
    let mut shown = summary(entry);
    shown["groups"] = groups_json(&entry.machine);
    shown["ignored"] = entry.machine.ignored().into();
    shown["silences"] = active(&entry.silences).iter().map(silence_json).collect();
    Ok(Json(shown))
}

/// Returns the document of a monitor.
pub(crate) async fn get(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
    params: Result<Query<VersionParams>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let path = path_of(&principal, Right::Read, &entity, &project, &name)?;
    monitors.0.documents.respond(&path, &params, &headers).await
}

/// Lists the stored versions of a monitor, newest first.
pub(crate) async fn versions(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
) -> Result<Json<Vec<DocumentInfo>>, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, &name)?;
    monitors.0.documents.respond_versions(&path).await
}

/// Saves a monitor, with the same preconditions as a board.
pub(crate) async fn put(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let expected = expected(&headers)?;
    let body = body.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let monitor = read(&monitors, &path, &body).await?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let documents = &monitors.0.documents;
    let saved = documents.save(&path, expected, &monitor.title, &principal.name, text).await?;
    if matches!(saved, Changed::Done { .. }) {
        monitors.0.changed.notify_one();
    }
    Ok(documents.respond_saved(saved))
}

/// Deletes a monitor and its states.
pub(crate) async fn delete(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let documents = &monitors.0.documents;
    match documents.delete(&path, expected(&headers)?).await? {
        Changed::Done { .. } => {
            monitors.0.catalog.forget(path.clone()).await?;
            monitors.0.changed.notify_one();
            Ok(documents.respond_deleted(&path, &principal))
        }
        Changed::Unexpected(found) => documents.refuse_deletion(&path, found),
    }
}

/// Evaluates a saved monitor now, without changing its states. With `send`, sends a test message to its
/// targets.
pub(crate) async fn test(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
    params: Result<Query<TestParams>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let found = monitors.0.documents.get(&path, None).await?;
    let (_, document) = found.ok_or_else(|| monitors.0.documents.missing(&path))?;
    let monitor = parse(document.as_bytes())?;
    let mut result = try_out(&monitors, &monitor).await?;
    if params.send {
        let mut sent = Vec::new();
        for target in &monitor.notify {
            let target = DocumentPath { name: target.clone(), ..path.clone() };
            sent.push(match send_test(&monitors, &target, &path.name).await {
                Ok(result) => result,
                Err(error) => {
                    json!({ "target": target.name, "sent": false, "error": error.message() })
                }
            });
        }
        result["messages"] = sent.into();
    }
    Ok(Json(result))
}

/// Evaluates a document that need not be saved.
pub(crate) async fn test_document(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, "-")?;
    let body = body.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let monitor = read(&monitors, &path, &body).await?;
    Ok(Json(try_out(&monitors, &monitor).await?))
}

async fn try_out(monitors: &Monitors, monitor: &Monitor) -> Result<Value, ApiError> {
    let busy = || ApiError::busy("the server is overloaded", Duration::from_secs(5));
    let permit = tokio::time::timeout(TEST_WAIT, monitors.0.testing.acquire()).await;
    let _permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
    let one = [std::sync::Arc::new(monitor.clone())];
    let found = monitors.0.tester.evaluate(&one, now()).await.pop().flatten();
    Ok(preview(monitor, found))
}

/// Adds a silence to a monitor.
pub(crate) async fn silence(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
    body: Result<Json<NewSilence>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let Json(new) = body.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let until = match (&new.until, new.span) {
        (Some(until), None) => until
            .parse::<Timestamp>()
            .map_err(|error| ApiError::bad_request(format!("`until`: {error}")))?
            .as_millis(),
        (None, Some(span)) => now().saturating_add(span.as_millis()),
        _ => return Err(ApiError::bad_request("a silence needs `until` or `for`")),
    };
    if until <= now() {
        return Err(ApiError::bad_request("the silence would end in the past"));
    }
    if until - now() > MAX_SILENCE {
        return Err(ApiError::bad_request("a silence may last at most 366 days"));
    }
    let is_long = |text: &str| text.chars().count() > MAX_TEXT;
    if is_long(&new.reason) || new.group.as_deref().is_some_and(is_long) {
        let message = format!("`group` and `reason` may have at most {MAX_TEXT} characters");
        return Err(ApiError::bad_request(message));
    }
    let stored = stored_silences(&monitors, &path).await?;
    let mut silences = active(&stored);
    if silences.len() >= MAX_SILENCES {
        let message = format!("a monitor may have at most {MAX_SILENCES} silences");
        return Err(ApiError::bad_request(message));
    }
    let by = principal.name;
    silences.push(Silence { until, group: new.group, reason: new.reason, by });
    save_silences(&monitors, path, silences).await
}

/// Ends all silences of a monitor.
pub(crate) async fn unsilence(
    State(monitors): State<Monitors>,
    principal: Principal,
    Path((entity, project, name)): Named,
) -> Result<Json<Value>, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    save_silences(&monitors, path, Vec::new()).await
}

async fn stored_silences(
    monitors: &Monitors,
    path: &DocumentPath,
) -> Result<Vec<Silence>, ApiError> {
    let all = monitors.0.catalog.monitors().await?;
    let stored = all.into_iter().find(|stored| stored.path == *path);
    let stored = stored.ok_or_else(|| monitors.0.documents.missing(path))?;
    let silences = stored.silences.and_then(|text| serde_json::from_str(&text).ok());
    Ok(silences.unwrap_or_default())
}

async fn save_silences(
    monitors: &Monitors,
    path: DocumentPath,
    silences: Vec<Silence>,
) -> Result<Json<Value>, ApiError> {
    let shown: Vec<Value> = silences.iter().map(silence_json).collect();
    let text = serde_json::to_string(&silences)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    if !monitors.0.catalog.set_silences(path.clone(), text).await? {
        return Err(monitors.0.documents.missing(&path));
    }
    monitors.0.changed.notify_one();
    Ok(Json(shown.into()))
}

fn active(silences: &[Silence]) -> Vec<Silence> {
    silences.iter().filter(|silence| silence.until > now()).cloned().collect()
}

fn silence_json(silence: &Silence) -> Value {
    json!({
        "until": Timestamp::from_millis(silence.until).to_string(),
        "group": silence.group,
        "reason": silence.reason,
        "by": silence.by,
    })
}

fn parse(document: &[u8]) -> Result<Monitor, ApiError> {
    Monitor::parse(document)
        .map_err(|error| ApiError::bad_request(format!("invalid monitor: {error}")))
}

/// Parses a document, and checks what depends on the project and on the query engine.
async fn read(
    monitors: &Monitors,
    path: &DocumentPath,
    document: &[u8],
) -> Result<Monitor, ApiError> {
    let monitor = parse(document)?;
    if monitor.table.entity() != path.entity {
        let message = format!(
            "invalid monitor: `table` must be a table of {}, as the monitor is",
            path.entity
        );
        return Err(ApiError::bad_request(message));
    }
    let column = match &monitor.condition {
        Condition::Drift { column, .. } | Condition::Match { column, .. } => Some(column),
        _ => None,
    };
    for (field, text) in [
        ("where", monitor.filter.as_ref()),
        ("group_by", monitor.group_by.as_ref()),
        ("condition.column", column),
    ] {
        if let Some(text) = text {
            monitors.0.store.row_expression(text).await.map_err(|error| {
                ApiError::bad_request(format!("invalid monitor: `{field}`: {error}"))
            })?;
        }
    }
    Ok(monitor)
}
