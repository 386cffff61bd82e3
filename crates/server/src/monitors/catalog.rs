//! States, targets, rows to append and messages to deliver, in the catalog.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use streamtable_monitor::{Event, MAX_EVENTS, Message};
use streamtable_server_core::catalog::{FeatureTables, now};
use streamtable_server_core::{Catalog, CatalogError};
use uuid::Uuid;

use crate::documents::DocumentPath;

/// The tables of monitors in the catalog.
pub(crate) const TABLES: FeatureTables =
    FeatureTables { feature: "monitors", versions: &[include_str!("tables.sql")] };

/// Maximum number of messages of a project that wait for delivery. For more, the oldest are dropped.
const MAX_WAITING: i64 = 1_000;

/// Maximum number of targets of a project.
const MAX_TARGETS: i64 = 100;

/// Maximum number of rows or messages that are read at a time.
const PAGE: i64 = 500;

/// A monitor with its stored state.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) path: DocumentPath,
    pub(super) version: i64,
    pub(super) document: String,
    /// As JSON.
    pub(super) machine: Option<String>,
    pub(super) grouping: Option<String>,
    /// As JSON.
    pub(super) silences: Option<String>,
}

/// The results of a monitor's evaluation that must survive a restart.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) id: i64,
    pub(super) version: i64,
    /// As JSON.
    pub(super) machine: String,
    pub(super) grouping: String,
    pub(super) record: Record,
}

/// The rows and events of a project that a change of states causes.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) entity: String,
    pub(super) project: String,
    /// Rows for `_monitors`, as JSON.
    pub(super) rows: Vec<String>,
    /// Events, and the names of the targets that receive them.
    pub(super) events: Vec<(Event, Vec<String>)>,
}

/// A row that is to be appended.
#[derive(Debug)]
pub(super) struct WaitingRow {
    pub(super) id: i64,
    pub(super) entity: String,
    pub(super) project: String,
    pub(super) writer: String,
    pub(super) line: u64,
    pub(super) row: String,
}

/// A message that is to be delivered.
#[derive(Debug)]
pub(super) struct WaitingMessage {
    pub(super) id: i64,
    pub(super) entity: String,
    pub(super) project: String,
    pub(super) target: String,
    pub(super) message: String,
    pub(super) attempts: u32,
    pub(super) made_at: i64,
    /// The target's document; `None` if the target was deleted.
    pub(super) document: Option<String>,
}

/// A target, and what became of its last messages.
#[derive(Debug)]
pub(super) struct StoredTarget {
    pub(super) name: String,
    pub(super) document: String,
    pub(super) author: String,
    pub(super) saved_at: i64,
    pub(super) sent_at: Option<i64>,
    pub(super) failed_at: Option<i64>,
    pub(super) error: Option<String>,
}

/// The tables of monitors. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct MonitorCatalog(Catalog);

impl MonitorCatalog {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self(catalog)
    }

    /// Returns all monitors.
    pub(super) async fn monitors(&self) -> Result<Vec<Stored>, CatalogError> {
        self.0
            .read(|db| {
                let mut query = db.prepare_cached(
                    "SELECT m.id, m.entity, m.project, m.name, m.version, v.document,
                        s.machine, s.grouping, q.silences
                     FROM monitors m
                     JOIN monitor_versions v ON v.monitor_id = m.id AND v.version = m.version
                     LEFT JOIN monitor_states s ON s.monitor_id = m.id
                     LEFT JOIN monitor_silences q ON q.monitor_id = m.id
                     WHERE m.is_deleted = 0 ORDER BY m.entity, m.project, m.name",
                )?;
                let stored = query.query_map([], |row| {
                    Ok(Stored {
                        id: row.get(0)?,
                        path: DocumentPath {
                            entity: row.get(1)?,
                            project: row.get(2)?,
                            name: row.get(3)?,
                        },
                        version: row.get(4)?,
                        document: row.get(5)?,
                        machine: row.get(6)?,
                        grouping: row.get(7)?,
                        silences: row.get(8)?,
                    })
                })?;
                Ok(stored.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Stores new states, the rows and the messages about them: all or nothing. A monitor that was
    /// changed or deleted since its evaluation is left out.
    pub(super) async fn commit(&self, changes: Vec<Change>) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                let mut records = Vec::new();
                for change in changes {
                    let stored = db.execute(
                        "INSERT INTO monitor_states (monitor_id, machine, grouping)
                         SELECT id, ?3, ?4 FROM monitors
                         WHERE id = ?1 AND version = ?2 AND is_deleted = 0
                         ON CONFLICT (monitor_id)
                         DO UPDATE SET machine = excluded.machine, grouping = excluded.grouping",
                        params![change.id, change.version, change.machine, change.grouping],
                    )?;
                    if stored > 0 {
                        records.push(change.record);
                    }
                }
                record(db, records)
            })
            .await
    }

    /// Stores rows and messages that belong to no monitor.
    pub(super) async fn record(&self, one: Record) -> Result<(), CatalogError> {
        self.0.write(move |db| record(db, vec![one])).await
    }

    /// Forgets the state and the silences of a monitor that was deleted.
    pub(super) async fn forget(&self, path: DocumentPath) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                for table in ["monitor_states", "monitor_silences"] {
                    db.execute(
                        &format!(
                            "DELETE FROM {table} WHERE monitor_id IN (SELECT id FROM monitors WHERE
                             entity = ?1 AND project = ?2 AND name = ?3 AND is_deleted = 1)"
                        ),
                        [&path.entity, &path.project, &path.name],
                    )?;
                }
                Ok(())
            })
            .await
    }

    /// Replaces the silences of a monitor. Returns whether the monitor exists.
    pub(super) async fn set_silences(
        &self,
        path: DocumentPath,
        silences: String,
    ) -> Result<bool, CatalogError> {
        self.0
            .write(move |db| {
                let stored = db.execute(
                    "INSERT INTO monitor_silences (monitor_id, silences)
                     SELECT id, ?4 FROM monitors
                     WHERE entity = ?1 AND project = ?2 AND name = ?3 AND is_deleted = 0
                     ON CONFLICT (monitor_id) DO UPDATE SET silences = excluded.silences",
                    params![path.entity, path.project, path.name, silences],
                )?;
                Ok(stored > 0)
            })
            .await
    }

    /// Returns the writers of all tables `_monitors`: entity, project, writer.
    pub(super) async fn writers(&self) -> Result<Vec<(String, String, String)>, CatalogError> {
        self.0
            .read(|db| {
                let mut query =
                    db.prepare("SELECT entity, project, writer FROM monitor_writers")?;
                let rows =
                    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Raises the number of a writer's next line. An older copy of the catalog has a lower one than
    /// the table.
    pub(super) async fn raise_line(&self, writer: String, next: u64) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                db.execute(
                    "UPDATE monitor_writers SET next_line = max(next_line, ?2) WHERE writer = ?1",
                    params![writer, next as i64],
                )?;
                Ok(())
            })
            .await
    }

    /// Returns rows that are to be appended, in order.
    pub(super) async fn rows(&self) -> Result<Vec<WaitingRow>, CatalogError> {
        self.0
            .read(|db| {
                let mut query = db.prepare_cached(
                    "SELECT id, entity, project, writer, line, row FROM monitor_rows
                     ORDER BY writer, line LIMIT ?1",
                )?;
                let rows = query.query_map([PAGE], |row| {
                    Ok(WaitingRow {
                        id: row.get(0)?,
                        entity: row.get(1)?,
                        project: row.get(2)?,
                        writer: row.get(3)?,
                        line: row.get::<_, i64>(4)? as u64,
                        row: row.get(5)?,
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Removes rows that were appended.
    pub(super) async fn rows_done(&self, ids: Vec<i64>) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                for id in ids {
                    db.execute("DELETE FROM monitor_rows WHERE id = ?1", [id])?;
                }
                Ok(())
            })
            .await
    }

    /// Returns the oldest message of each target, if it is due.
    pub(super) async fn due(&self, at: i64) -> Result<Vec<WaitingMessage>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(
                    "SELECT m.id, m.entity, m.project, m.target, m.message, m.attempts, m.made_at,
                        t.document
                     FROM monitor_messages m
                     LEFT JOIN monitor_targets t ON t.entity = m.entity AND t.project = m.project
                        AND t.name = m.target
                     WHERE m.next_attempt <= ?1 AND m.id = (
                        SELECT min(id) FROM monitor_messages o WHERE o.entity = m.entity
                        AND o.project = m.project AND o.target = m.target)
                     ORDER BY m.id LIMIT ?2",
                )?;
                let rows = query.query_map([at, PAGE], |row| {
                    Ok(WaitingMessage {
                        id: row.get(0)?,
                        entity: row.get(1)?,
                        project: row.get(2)?,
                        target: row.get(3)?,
                        message: row.get(4)?,
                        attempts: row.get(5)?,
                        made_at: row.get(6)?,
                        document: row.get(7)?,
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Returns when the next message becomes due after `at`, if there is one.
    pub(super) async fn next_attempt(&self, at: i64) -> Result<Option<i64>, CatalogError> {
        self.0
            .read(move |db| {
                let sql = "SELECT min(next_attempt) FROM monitor_messages WHERE next_attempt > ?1";
                Ok(db.query_row(sql, [at], |row| row.get(0))?)
            })
            .await
    }

    /// Removes a message that was delivered, or that cannot be.
    pub(super) async fn message_done(
        &self,
        message: WaitingMessage,
        error: Option<String>,
    ) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                db.execute("DELETE FROM monitor_messages WHERE id = ?1", [message.id])?;
                note(db, &message, error.as_deref())
            })
            .await
    }

    /// Schedules another attempt.
    pub(super) async fn try_again(
        &self,
        message: WaitingMessage,
        at: i64,
        error: String,
    ) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                db.execute(
                    "UPDATE monitor_messages SET attempts = attempts + 1, next_attempt = ?2
                     WHERE id = ?1",
                    [message.id, at],
                )?;
                note(db, &message, Some(&error))
            })
            .await
    }

    /// Lists the targets of a project, sorted by name.
    pub(super) async fn targets(
        &self,
        entity: &str,
        project: &str,
    ) -> Result<Vec<StoredTarget>, CatalogError> {
        let (entity, project) = (entity.to_owned(), project.to_owned());
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(
                    "SELECT name, document, author, saved_at, sent_at, failed_at, error
                     FROM monitor_targets WHERE entity = ?1 AND project = ?2 ORDER BY name",
                )?;
                let rows = query.query_map([entity, project], stored_target)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Returns a target.
    pub(super) async fn target(
        &self,
        path: &DocumentPath,
    ) -> Result<Option<StoredTarget>, CatalogError> {
        let path = path.clone();
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(
                    "SELECT name, document, author, saved_at, sent_at, failed_at, error
                     FROM monitor_targets WHERE entity = ?1 AND project = ?2 AND name = ?3",
                )?;
                let values = [path.entity, path.project, path.name];
                Ok(query.query_row(values, stored_target).optional()?)
            })
            .await
    }

    /// Saves a target. Returns whether it is new.
    pub(super) async fn save_target(
        &self,
        path: &DocumentPath,
        document: String,
        author: &str,
    ) -> Result<bool, CatalogError> {
        let (path, author) = (path.clone(), author.to_owned());
        self.0
            .write(move |db| {
                let is_new = !has_target(db, &path.entity, &path.project, &path.name)?;
                let count: i64 = db.query_row(
                    "SELECT count(*) FROM monitor_targets WHERE entity = ?1 AND project = ?2",
                    [&path.entity, &path.project],
                    |row| row.get(0),
                )?;
                if is_new && count >= MAX_TARGETS {
                    let message = format!("a project may have at most {MAX_TARGETS} targets");
                    return Err(CatalogError::refused(message));
                }
                db.execute(
                    "INSERT INTO monitor_targets (entity, project, name, document, author, saved_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (entity, project, name) DO UPDATE SET document = excluded.document,
                        author = excluded.author, saved_at = excluded.saved_at,
                        failed_at = NULL, error = NULL",
                    params![path.entity, path.project, path.name, document, author, now()],
                )?;
                Ok(is_new)
            })
            .await
    }

    /// Deletes a target. Returns whether it existed.
    pub(super) async fn delete_target(&self, path: &DocumentPath) -> Result<bool, CatalogError> {
        let path = path.clone();
        self.0
            .write(move |db| {
                let deleted = db.execute(
                    "DELETE FROM monitor_targets WHERE entity = ?1 AND project = ?2 AND name = ?3",
                    [path.entity, path.project, path.name],
                )?;
                Ok(deleted > 0)
            })
            .await
    }
}

fn stored_target(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredTarget> {
    Ok(StoredTarget {
        name: row.get(0)?,
        document: row.get(1)?,
        author: row.get(2)?,
        saved_at: row.get(3)?,
        sent_at: row.get(4)?,
        failed_at: row.get(5)?,
        error: row.get(6)?,
    })
}

/// Notes what became of a message with its target.
fn note(
    db: &Transaction<'_>,
    message: &WaitingMessage,
    error: Option<&str>,
) -> Result<(), CatalogError> {
    let set = match error {
        None => "sent_at = ?4, failed_at = NULL, error = ?5",
        Some(_) => "failed_at = ?4, error = ?5",
    };
    let WaitingMessage { entity, project, target, .. } = message;
    db.execute(
        &format!(
            "UPDATE monitor_targets SET {set} WHERE entity = ?1 AND project = ?2 AND name = ?3"
        ),
        params![entity, project, target, now(), error],
    )?;
    Ok(())
}

fn has_target(
    db: &Connection,
    entity: &str,
    project: &str,
    name: &str,
) -> Result<bool, CatalogError> {
    let sql = "SELECT 1 FROM monitor_targets WHERE entity = ?1 AND project = ?2 AND name = ?3";
    Ok(db.prepare_cached(sql)?.exists([entity, project, name])?)
}

/// Adds rows and messages. The events of one project and target become one message.
fn record(db: &Transaction<'_>, records: Vec<Record>) -> Result<(), CatalogError> {
    let mut messages: Vec<(String, String, String, Message)> = Vec::new();
    for Record { entity, project, rows, events } in records {
        add_rows(db, &entity, &project, rows)?;
        for (event, targets) in events {
            for target in targets {
                if !has_target(db, &entity, &project, &target)? {
                    continue;
                }
                let fits = |(e, p, t, message): &&mut (String, String, String, Message)| {
                    (e, p, t) == (&entity, &project, &target) && message.events.len() < MAX_EVENTS
                };
                match messages.iter_mut().find(fits) {
                    Some((.., message)) => message.events.push(event.clone()),
                    None => {
                        let message = Message { events: vec![event.clone()] };
                        messages.push((entity.clone(), project.clone(), target, message));
                    }
                }
            }
        }
    }
    for (entity, project, target, message) in messages {
        let text = serde_json::to_string(&message)
            .map_err(|error| CatalogError::refused(error.to_string()))?;
        db.execute(
            "INSERT INTO monitor_messages
                (entity, project, target, message, attempts, made_at, next_attempt)
             VALUES (?1, ?2, ?3, ?4, 0, ?5, 0)",
            params![entity, project, target, text, now()],
        )?;
        db.execute(
            "DELETE FROM monitor_messages WHERE id IN (SELECT id FROM monitor_messages
             WHERE entity = ?1 AND project = ?2 ORDER BY id DESC LIMIT -1 OFFSET ?3)",
            params![entity, project, MAX_WAITING],
        )?;
    }
    Ok(())
}

fn add_rows(
    db: &Transaction<'_>,
    entity: &str,
    project: &str,
    rows: Vec<String>,
) -> Result<(), CatalogError> {
    if rows.is_empty() {
        return Ok(());
    }
    let (writer, end): (String, i64) = db.query_row(
        "INSERT INTO monitor_writers (entity, project, writer, next_line) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (entity, project) DO UPDATE SET next_line = next_line + ?4
         RETURNING writer, next_line",
        params![entity, project, Uuid::new_v4().to_string(), rows.len() as i64],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let first = end - rows.len() as i64;
    for (line, row) in (first..).zip(rows) {
        db.execute(
            "INSERT INTO monitor_rows (entity, project, writer, line, row)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![entity, project, writer, line, row],
        )?;
    }
    Ok(())
}
