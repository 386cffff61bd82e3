//! Projects and runs. A table is a run whose rows are its history.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use streamtable_schema::{NameError, TablePath};
use streamtable_server_core::catalog::now;
use streamtable_server_core::{CatalogError, hex};

use super::{LineFile, RunCatalog};

/// The SDK's project name for runs that name no project.
pub(crate) const NO_PROJECT: &str = "uncategorized";

/// Maximum length of a run id in characters.
const MAX_RUN_CHARS: usize = 256;

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Project {
    pub(crate) id: i64,
    pub(crate) entity: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) created_at: i64,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Run {
    pub(crate) id: i64,
    pub(crate) project: Project,
    pub(crate) name: String,
    pub(crate) table_name: String,
    pub(crate) display_name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) job_type: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) program: Option<String>,
    pub(crate) repo: Option<String>,
    pub(crate) sweep: Option<String>,
    /// A JSON object as text, in the JSON dialect of W&B clients.
    pub(crate) config: Option<String>,
    /// A JSON object as text, like `config`.
    pub(crate) summary: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) owner: Option<String>,
    pub(crate) state: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) heartbeat_at: i64,
}

impl Run {
    /// Returns the path of the table that holds the run's rows.
    pub(crate) fn table(&self) -> Result<TablePath, NameError> {
        TablePath::new(&self.project.entity, &self.project.name, &self.table_name)
    }
}

/// The location of a run, as clients specify it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RunLocation {
    pub(crate) entity: String,
    pub(crate) project: String,
    pub(crate) run: String,
}

impl RunLocation {
    pub(crate) fn new(entity: &str, project: &str, run: &str) -> Self {
        Self { entity: entity.to_owned(), project: project.to_owned(), run: run.to_owned() }
    }
}

/// Changes to a run. Fields that are `None` stay unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunChange {
    pub(crate) display_name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) job_type: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) program: Option<String>,
    pub(crate) repo: Option<String>,
    pub(crate) sweep: Option<String>,
    pub(crate) config: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) state: Option<String>,
}

/// The content of a post to a run's file stream, except its rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunEvent {
    /// Lines of each file, with the number of the first one.
    pub(crate) lines: Vec<(LineFile, u64, Vec<String>)>,
    pub(crate) summary: Option<String>,
    /// The new state of the run.
    pub(crate) state: Option<&'static str>,
    pub(crate) exit_code: Option<i64>,
}

impl RunEvent {
    /// Returns whether the post only signals that the client is alive.
    pub(crate) fn is_heartbeat(&self) -> bool {
        self.lines.is_empty() && self.summary.is_none() && self.state.is_none()
    }
}

impl RunCatalog {
    /// Creates a project if it does not exist.
    pub(crate) async fn upsert_project(
        &self,
        entity: &str,
        name: &str,
        description: Option<String>,
    ) -> Result<(Project, bool), CatalogError> {
        check_project(entity, name)?;
        let (entity, name) = (entity.to_owned(), name.to_owned());
        self.0
            .write(move |db| {
                let (project, inserted) = upsert_project(db, &entity, &name)?;
                let Some(description) = description else { return Ok((project, inserted)) };
                db.execute(
                    "UPDATE projects SET description = ?2 WHERE id = ?1",
                    params![project.id, description],
                )?;
                Ok((Project { description: Some(description), ..project }, inserted))
            })
            .await
    }

    pub(crate) async fn project(
        &self,
        entity: &str,
        name: &str,
    ) -> Result<Option<Project>, CatalogError> {
        let (entity, name) = (entity.to_owned(), name.to_owned());
        self.0.read(move |db| project(db, &entity, &name)).await
    }

    pub(crate) async fn project_by_id(&self, id: i64) -> Result<Option<Project>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(&format!("{SELECT_PROJECT} WHERE p.id = ?1"))?;
                Ok(query.query_row([id], |row| read_project(row, 0)).optional()?)
            })
            .await
    }

    /// Lists the projects of an entity, newest first.
    pub(crate) async fn projects(&self, entity: &str) -> Result<Vec<Project>, CatalogError> {
        let entity = entity.to_owned();
        self.0
            .read(move |db| {
                let sql = format!("{SELECT_PROJECT} WHERE p.entity = ?1 ORDER BY p.id DESC");
                let mut query = db.prepare_cached(&sql)?;
                let projects = query.query_map([entity], |row| read_project(row, 0))?;
                Ok(projects.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Creates or updates a run, and returns whether it is new. Creates the project if it does not
    /// exist.
    pub(crate) async fn upsert_run(
        &self,
        at: &RunLocation,
        owner: &str,
        change: RunChange,
    ) -> Result<(Run, bool), CatalogError> {
        check_project(&at.entity, &at.project)?;
        check_run(&at.run)?;
        let (at, owner) = (at.clone(), owner.to_owned());
        self.0
            .write(move |db| {
                let (project, _) = upsert_project(db, &at.entity, &at.project)?;
                let now = now();
                let inserted = db.execute(
                    "INSERT INTO runs (project_id, name, table_name, owner, state,
                                   created_at, updated_at, heartbeat_at)
                 VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?5, ?5)
                 ON CONFLICT (project_id, name) DO NOTHING",
                    params![project.id, at.run, table_name(&at.run), owner, now],
                )? > 0;
                let id = db.query_row(
                    "SELECT id FROM runs WHERE project_id = ?1 AND name = ?2",
                    params![project.id, at.run],
                    |row| row.get(0),
                )?;
                // A client that opens a run by its name is about to log to it.
                let state = change.state.clone().or_else(|| Some("running".to_owned()));
                change_run(db, id, &RunChange { state, ..change })?;
                let run = run_where(db, "r.id = ?1", params![id])?;
                let run = run.ok_or_else(|| CatalogError::refused("the run no longer exists"))?;
                Ok((run, inserted))
            })
            .await
    }

    /// Updates an existing run.
    pub(crate) async fn change_run(
        &self,
        id: i64,
        change: RunChange,
    ) -> Result<Option<Run>, CatalogError> {
        self.0
            .write(move |db| {
                change_run(db, id, &change)?;
                run_where(db, "r.id = ?1", params![id])
            })
            .await
    }

    pub(crate) async fn run(&self, at: &RunLocation) -> Result<Option<Run>, CatalogError> {
        let at = at.clone();
        self.0
            .read(move |db| {
                let condition = "p.entity = ?1 AND p.name = ?2 AND r.name = ?3";
                run_where(db, condition, params![at.entity, at.project, at.run])
            })
            .await
    }

    pub(crate) async fn run_by_id(&self, id: i64) -> Result<Option<Run>, CatalogError> {
        self.0.read(move |db| run_where(db, "r.id = ?1", params![id])).await
    }

    /// Lists the runs of a project, oldest first.
    pub(crate) async fn runs(&self, project: i64) -> Result<Vec<Run>, CatalogError> {
        self.0
            .read(move |db| {
                let sql = format!("{SELECT_RUN} WHERE r.project_id = ?1 ORDER BY r.id");
                let mut query = db.prepare_cached(&sql)?;
                let runs = query.query_map([project], read_run)?;
                Ok(runs.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Records the content of a post to the run's file stream.
    pub(crate) async fn record(&self, run: i64, event: RunEvent) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                for (file, offset, texts) in &event.lines {
                    super::lines::write_lines(db, run, *file, *offset, texts)?;
                }
                let now = now();
                db.prepare_cached(
                    "UPDATE runs SET heartbeat_at = ?2, summary = coalesce(?3, summary),
                     updated_at = CASE WHEN ?3 IS NULL THEN updated_at ELSE ?2 END
                 WHERE id = ?1",
                )?
                .execute(params![run, now, event.summary])?;
                if let Some(state) = event.state {
                    db.execute(
                        "UPDATE runs SET state = ?2, exit_code = ?3, updated_at = ?4 WHERE id = ?1",
                        params![run, state, event.exit_code, now],
                    )?;
                }
                Ok(())
            })
            .await
    }
}

/// Checks entity and project names before anything is created.
fn check_project(entity: &str, project: &str) -> Result<(), CatalogError> {
    TablePath::new(entity, project, "t").map_err(|e| CatalogError::refused(e.to_string()))?;
    Ok(())
}

fn check_run(name: &str) -> Result<(), CatalogError> {
    let is_odd = |c: char| c.is_control() || ":;,#?/\\'".contains(c);
    let refused = |what: String| Err(CatalogError::refused(what));
    if name.is_empty() || name.trim() != name || matches!(name, "." | "..") {
        return refused(format!("{name:?} is not a valid run id"));
    }
    if name.chars().count() > MAX_RUN_CHARS {
        return refused(format!("a run id may have at most {MAX_RUN_CHARS} characters"));
    }
    match name.chars().find(|&c| is_odd(c)) {
        Some(c) => refused(format!("a run id may not contain {c:?}")),
        None => Ok(()),
    }
}

/// Returns the table name for a run's rows: the run id if it is a valid table name, otherwise a
/// name derived from the id and its hash.
fn table_name(run: &str) -> String {
    if TablePath::new("e", "p", run).is_ok() {
        return run.to_owned();
    }
    let keeps = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let start: String = run.chars().take(64).map(keeps).collect();
    format!("{start}.{}", hex(&Sha256::digest(run.as_bytes())[..12]))
}

fn upsert_project(
    db: &Connection,
    entity: &str,
    name: &str,
) -> Result<(Project, bool), CatalogError> {
    let inserted = db.execute(
        "INSERT INTO projects (entity, name, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (entity, name) DO NOTHING",
        params![entity, name, now()],
    )? > 0;
    let found = project(db, entity, name)?;
    Ok((found.ok_or_else(|| CatalogError::refused("the project no longer exists"))?, inserted))
}

fn project(db: &Connection, entity: &str, name: &str) -> Result<Option<Project>, CatalogError> {
    let sql = format!("{SELECT_PROJECT} WHERE p.entity = ?1 AND p.name = ?2");
    let mut query = db.prepare_cached(&sql)?;
    Ok(query.query_row([entity, name], |row| read_project(row, 0)).optional()?)
}

fn change_run(db: &Connection, id: i64, change: &RunChange) -> Result<(), CatalogError> {
    let tags = change.tags.as_ref().map(|tags| texts_to_json(tags));
    db.execute(
        "UPDATE runs SET
             display_name = coalesce(?2, display_name),
             description = coalesce(?3, description),
             notes = coalesce(?4, notes),
             group_name = coalesce(?5, group_name),
             job_type = coalesce(?6, job_type),
             git_commit = coalesce(?7, git_commit),
             host = coalesce(?8, host),
             program = coalesce(?9, program),
             repo = coalesce(?10, repo),
             sweep = coalesce(?11, sweep),
             config = coalesce(?12, config),
             summary = coalesce(?13, summary),
             tags = coalesce(?14, tags),
             state = coalesce(?15, state),
             updated_at = ?16,
             heartbeat_at = CASE WHEN ?15 = 'running' THEN ?16 ELSE heartbeat_at END
         WHERE id = ?1",
        params![
            id,
            change.display_name,
            change.description,
            change.notes,
            change.group,
            change.job_type,
            change.commit,
            change.host,
            change.program,
            change.repo,
            change.sweep,
            change.config,
            change.summary,
            tags,
            change.state,
            now(),
        ],
    )?;
    Ok(())
}

const SELECT_PROJECT: &str =
    "SELECT p.id, p.entity, p.name, p.description, p.created_at FROM projects p";

const SELECT_RUN: &str = "SELECT p.id, p.entity, p.name, p.description, p.created_at,
    r.id, r.name, r.table_name, r.display_name, r.description, r.notes, r.group_name, r.job_type,
    r.git_commit, r.host, r.program, r.repo, r.sweep, r.config, r.summary, r.tags, r.owner,
    r.state, r.created_at, r.updated_at, r.heartbeat_at
    FROM runs r JOIN projects p ON p.id = r.project_id";

pub(super) fn run_where(
    db: &Connection,
    condition: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Option<Run>, CatalogError> {
    let mut query = db.prepare_cached(&format!("{SELECT_RUN} WHERE {condition}"))?;
    Ok(query.query_row(params, read_run).optional()?)
}

pub(super) fn read_project(row: &Row<'_>, from: usize) -> rusqlite::Result<Project> {
    Ok(Project {
        id: row.get(from)?,
        entity: row.get(from + 1)?,
        name: row.get(from + 2)?,
        description: row.get(from + 3)?,
        created_at: row.get(from + 4)?,
    })
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let tags: Option<String> = row.get(20)?;
    Ok(Run {
        project: read_project(row, 0)?,
        id: row.get(5)?,
        name: row.get(6)?,
        table_name: row.get(7)?,
        display_name: row.get(8)?,
        description: row.get(9)?,
        notes: row.get(10)?,
        group: row.get(11)?,
        job_type: row.get(12)?,
        commit: row.get(13)?,
        host: row.get(14)?,
        program: row.get(15)?,
        repo: row.get(16)?,
        sweep: row.get(17)?,
        config: row.get(18)?,
        summary: row.get(19)?,
        tags: tags.map_or(Vec::new(), |tags| texts_from_json(&tags)),
        owner: row.get(21)?,
        state: row.get(22)?,
        created_at: row.get(23)?,
        updated_at: row.get(24)?,
        heartbeat_at: row.get(25)?,
    })
}

/// Serializes a list of strings for storage.
pub(super) fn texts_to_json(texts: &[String]) -> String {
    serde_json::to_string(texts).expect("texts serialize into a string")
}

pub(super) fn texts_from_json(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_become_valid_table_names() {
        #[track_caller]
        fn check(run: &str, expected: &str) {
            let name = table_name(run);
            assert!(name.starts_with(expected), "{name}");
            assert!(TablePath::new("e", "p", &name).is_ok());
            assert_eq!(table_name(run), name);
        }
        check("my_stream_table", "my_stream_table");
        check("a b", "a_b.");
        check("été", "_t_.");
        check(&"x".repeat(200), "xxxx");
        assert_ne!(table_name("a b"), table_name("a_b"));
        assert_ne!(table_name("a b"), table_name("a\tb"));
    }
}
