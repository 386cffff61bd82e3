//! Artifacts: versions of named collections of files.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use streamtable_server_core::catalog::now;
use streamtable_server_core::{CatalogError, hex};

use super::RunCatalog;
use super::runs::{Project, Run, read_project, run_where, texts_from_json, texts_to_json};

/// Maximum length of the name of an artifact's collection, type, alias or file, in characters.
const MAX_NAME_CHARS: usize = 1024;

/// The alias of a collection's newest version.
const LATEST: &str = "latest";

/// An artifact collection: all versions under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collection {
    pub(crate) project: Project,
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) type_id: i64,
    pub(crate) type_name: String,
    pub(crate) type_description: Option<String>,
    pub(crate) type_created_at: i64,
}

/// An artifact: one version of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub(crate) collection: Collection,
    pub(crate) id: i64,
    pub(crate) run_id: Option<i64>,
    pub(crate) digest: String,
    /// The version number, once the artifact is committed.
    pub(crate) version: Option<i64>,
    pub(crate) commit_hash: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Option<String>,
    pub(crate) history_step: Option<i64>,
    pub(crate) ttl_seconds: Option<i64>,
    pub(crate) tags: Vec<String>,
    pub(crate) file_count: i64,
    pub(crate) size: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// Changes to an artifact. Fields that are `None` stay unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArtifactChange {
    pub(crate) description: Option<String>,
    pub(crate) metadata: Option<String>,
    pub(crate) ttl_seconds: Option<i64>,
    pub(crate) tags: Option<Vec<String>>,
}

/// Parameters for creating an artifact.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewArtifact {
    pub(crate) entity: String,
    pub(crate) project: String,
    pub(crate) run: Option<String>,
    pub(crate) type_name: String,
    pub(crate) collection: String,
    pub(crate) digest: String,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Option<String>,
    pub(crate) history_step: Option<i64>,
    pub(crate) ttl_seconds: Option<i64>,
    pub(crate) aliases: Vec<String>,
    pub(crate) tags: Vec<String>,
    /// Whether to return an existing artifact with the same content instead of creating one.
    pub(crate) dedupe: bool,
    pub(crate) client_id: Option<String>,
    pub(crate) sequence_client_id: Option<String>,
}

/// An alias: its id and its text.
pub(crate) type Alias = (i64, String);

impl RunCatalog {
    /// Creates an artifact type in a project if it does not exist, and returns its id.
    pub(crate) async fn upsert_artifact_type(
        &self,
        project: &Project,
        name: &str,
        description: Option<String>,
    ) -> Result<i64, CatalogError> {
        check_name("type", name)?;
        let (project, name) = (project.id, name.to_owned());
        self.0.write(move |db| upsert_type(db, project, &name, description.as_deref())).await
    }

    /// Returns the artifact with the given content, creating it if it does not exist.
    pub(crate) async fn create_artifact(&self, new: NewArtifact) -> Result<Artifact, CatalogError> {
        check_name("type", &new.type_name)?;
        check_name("artifact", &new.collection)?;
        for alias in &new.aliases {
            check_name("alias", alias)?;
        }
        let (project, _) = self.upsert_project(&new.entity, &new.project, None).await?;
        self.0.write(move |db| create(db, &project, &new)).await
    }

    pub(crate) async fn artifact(&self, id: i64) -> Result<Option<Artifact>, CatalogError> {
        self.0.read(move |db| artifact_where(db, "a.id = ?1", params![id])).await
    }

    pub(crate) async fn collection(
        &self,
        project: i64,
        name: &str,
    ) -> Result<Option<Collection>, CatalogError> {
        let name = name.to_owned();
        self.0
            .read(move |db| {
                let sql = format!("{SELECT_COLLECTION} WHERE c.project_id = ?1 AND c.name = ?2");
                let mut query = db.prepare_cached(&sql)?;
                Ok(query.query_row(params![project, name], read_collection).optional()?)
            })
            .await
    }

    pub(crate) async fn collection_by_id(
        &self,
        id: i64,
    ) -> Result<Option<Collection>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query =
                    db.prepare_cached(&format!("{SELECT_COLLECTION} WHERE c.id = ?1"))?;
                Ok(query.query_row([id], read_collection).optional()?)
            })
            .await
    }

    /// Lists the collections of a project, optionally only those of one type.
    pub(crate) async fn collections(
        &self,
        project: i64,
        type_id: Option<i64>,
    ) -> Result<Vec<Collection>, CatalogError> {
        self.0
            .read(move |db| {
                let sql = format!(
                    "{SELECT_COLLECTION} WHERE c.project_id = ?1 AND (?2 IS NULL OR c.type_id = ?2)
                 ORDER BY c.id"
                );
                let mut query = db.prepare_cached(&sql)?;
                let found = query.query_map(params![project, type_id], read_collection)?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Lists the artifact types of a project: id, name, description, creation time.
    pub(crate) async fn artifact_types(
        &self,
        project: i64,
    ) -> Result<Vec<(i64, String, Option<String>, i64)>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(
                    "SELECT id, name, description, created_at FROM artifact_types
                 WHERE project_id = ?1 ORDER BY id",
                )?;
                let types = query.query_map([project], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?;
                Ok(types.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Returns the committed artifact with the given alias, commit hash or digest.
    pub(crate) async fn artifact_named(
        &self,
        collection: i64,
        alias: &str,
    ) -> Result<Option<Artifact>, CatalogError> {
        let alias = alias.to_owned();
        self.0
            .read(move |db| {
                let by_alias = "a.version IS NOT NULL AND a.id =
                (SELECT artifact_id FROM aliases WHERE collection_id = ?1 AND alias = ?2)";
                let found = artifact_where(db, by_alias, params![collection, alias])?;
                if found.is_some() {
                    return Ok(found);
                }
                let by_content = "a.collection_id = ?1 AND a.version IS NOT NULL
                AND (a.commit_hash = ?2 OR a.digest = ?2) ORDER BY a.version DESC LIMIT 1";
                artifact_where(db, by_content, params![collection, alias])
            })
            .await
    }

    /// Lists the committed artifacts of a collection, newest first.
    pub(crate) async fn versions(&self, collection: i64) -> Result<Vec<Artifact>, CatalogError> {
        let condition = "a.collection_id = ?1 AND a.version IS NOT NULL ORDER BY a.version DESC";
        self.artifacts(condition, collection).await
    }

    /// Returns the newest committed artifact of a collection.
    pub(crate) async fn latest(&self, collection: i64) -> Result<Option<Artifact>, CatalogError> {
        self.0.read(move |db| latest(db, collection)).await
    }

    /// Lists the committed artifacts that a run created.
    pub(crate) async fn artifacts_of_run(&self, run: i64) -> Result<Vec<Artifact>, CatalogError> {
        let condition = "a.run_id = ?1 AND a.version IS NOT NULL ORDER BY a.id";
        self.artifacts(condition, run).await
    }

    /// Lists the artifacts that a run used.
    pub(crate) async fn inputs_of_run(&self, run: i64) -> Result<Vec<Artifact>, CatalogError> {
        let condition =
            "a.id IN (SELECT artifact_id FROM run_inputs WHERE run_id = ?1) ORDER BY a.id";
        self.artifacts(condition, run).await
    }

    async fn artifacts(
        &self,
        condition: &'static str,
        value: i64,
    ) -> Result<Vec<Artifact>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(&format!("{SELECT_ARTIFACT} AND {condition}"))?;
                let found = query.query_map([value], read_artifact)?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Lists the aliases of an artifact, including its version alias.
    pub(crate) async fn aliases(&self, artifact: i64) -> Result<Vec<Alias>, CatalogError> {
        let sql = "SELECT id, alias FROM aliases WHERE artifact_id = ?1 ORDER BY id";
        self.alias_list(sql, artifact).await
    }

    /// Lists the aliases of all artifacts of a collection.
    pub(crate) async fn aliases_of_collection(
        &self,
        collection: i64,
    ) -> Result<Vec<Alias>, CatalogError> {
        let sql = "SELECT id, alias FROM aliases WHERE collection_id = ?1 ORDER BY id";
        self.alias_list(sql, collection).await
    }

    async fn alias_list(&self, sql: &'static str, id: i64) -> Result<Vec<Alias>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(sql)?;
                let aliases = query.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(aliases.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Adds aliases to a committed artifact and removes others.
    pub(crate) async fn change_aliases(
        &self,
        artifact: Artifact,
        add: Vec<String>,
        remove: Vec<String>,
    ) -> Result<(), CatalogError> {
        for alias in &add {
            check_name("alias", alias)?;
        }
        self.0
            .write(move |db| {
                give_aliases(db, &artifact, &add)?;
                for alias in remove.iter().filter(|alias| !is_version(alias)) {
                    db.execute(
                        "DELETE FROM aliases WHERE artifact_id = ?1 AND alias = ?2",
                        params![artifact.id, alias],
                    )?;
                }
                Ok(())
            })
            .await
    }

    /// Updates an artifact. Fields that are `None` stay unchanged.
    pub(crate) async fn change_artifact(
        &self,
        artifact: i64,
        change: ArtifactChange,
    ) -> Result<Option<Artifact>, CatalogError> {
        for tag in change.tags.iter().flatten() {
            check_name("tag", tag)?;
        }
        self.0
            .write(move |db| {
                db.execute(
                    "UPDATE artifacts SET description = coalesce(?2, description),
                     metadata = coalesce(?3, metadata), ttl_seconds = coalesce(?4, ttl_seconds),
                     tags = coalesce(?5, tags), updated_at = ?6
                 WHERE id = ?1",
                    params![
                        artifact,
                        change.description,
                        change.metadata,
                        change.ttl_seconds,
                        change.tags.map(|tags| texts_to_json(&tags)),
                        now(),
                    ],
                )?;
                artifact_where(db, "a.id = ?1", params![artifact])
            })
            .await
    }

    /// Deletes an artifact. Its files stay as long as another version has them. Refuses to delete an
    /// artifact with an alias of its own, unless `with_aliases`. If it was the latest version, the
    /// one before it becomes the latest.
    pub(crate) async fn delete_artifact(
        &self,
        artifact: Artifact,
        with_aliases: bool,
    ) -> Result<(), CatalogError> {
        self.0.write(move |db| {
            let sql = "SELECT alias FROM aliases WHERE artifact_id = ?1 ORDER BY id";
            let mut query = db.prepare_cached(sql)?;
            let aliases = query.query_map([artifact.id], |row| row.get(0))?;
            let aliases: Vec<String> = aliases.collect::<Result<_, _>>()?;
            let own = aliases.iter().find(|alias| !is_version(alias) && *alias != LATEST);
            if let Some(own) = own.filter(|_| !with_aliases) {
                let message = format!(
                    "the artifact has the alias {own:?}: remove it, or delete the artifact with its \
                     aliases"
                );
                return Err(CatalogError::refused(message));
            }
            db.execute("DELETE FROM aliases WHERE artifact_id = ?1", [artifact.id])?;
            db.execute("DELETE FROM run_inputs WHERE artifact_id = ?1", [artifact.id])?;
            match artifact.version {
                Some(_) => db.execute(
                    "UPDATE artifacts SET commit_hash = NULL, updated_at = ?2 WHERE id = ?1",
                    params![artifact.id, now()],
                )?,
                None => db.execute(
                    "UPDATE artifacts SET version = -id, commit_hash = NULL WHERE id = ?1",
                    [artifact.id],
                )?,
            };
            match latest(db, artifact.collection.id)? {
                Some(newest) if aliases.iter().any(|alias| alias == LATEST) => {
                    insert_alias(db, &newest, LATEST)
                }
                _ => Ok(()),
            }
        })
        .await
    }

    /// Records that a run uses an artifact.
    pub(crate) async fn use_artifact(&self, run: i64, artifact: i64) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                db.execute(
                    "INSERT INTO run_inputs (run_id, artifact_id) VALUES (?1, ?2)
                 ON CONFLICT DO NOTHING",
                    params![run, artifact],
                )?;
                Ok(())
            })
            .await
    }

    /// Lists the runs that use an artifact.
    pub(crate) async fn users_of_artifact(&self, artifact: i64) -> Result<Vec<Run>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query =
                    db.prepare_cached("SELECT run_id FROM run_inputs WHERE artifact_id = ?1")?;
                let ids: Vec<i64> =
                    query.query_map([artifact], |row| row.get(0))?.collect::<Result<_, _>>()?;
                let runs = ids.into_iter().map(|id| run_where(db, "r.id = ?1", params![id]));
                runs.filter_map(Result::transpose).collect()
            })
            .await
    }

    /// Returns the artifact that was created under a client id, or the newest one of the collection
    /// with that client id.
    pub(crate) async fn artifact_of_client_id(
        &self,
        client_id: &str,
    ) -> Result<Option<Artifact>, CatalogError> {
        let client_id = client_id.to_owned();
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(
                    "SELECT artifact_id, collection_id FROM client_ids WHERE client_id = ?1",
                )?;
                let ids: Option<(Option<i64>, Option<i64>)> = query
                    .query_row([client_id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                match ids {
                    Some((Some(artifact), _)) => artifact_where(db, "a.id = ?1", params![artifact]),
                    Some((None, Some(collection))) => latest(db, collection),
                    _ => Ok(None),
                }
            })
            .await
    }
}

fn create(db: &Connection, project: &Project, new: &NewArtifact) -> Result<Artifact, CatalogError> {
    let run_id: Option<i64> = match &new.run {
        Some(run) => db
            .query_row(
                "SELECT id FROM runs WHERE project_id = ?1 AND name = ?2",
                params![project.id, run],
                |row| row.get(0),
            )
            .optional()?,
        None => None,
    };
    let type_id = upsert_type(db, project.id, &new.type_name, None)?;
    let now = now();
    db.execute(
        "INSERT INTO collections (project_id, type_id, name, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (project_id, name) DO NOTHING",
        params![project.id, type_id, new.collection, now],
    )?;
    let (collection_id, found_type): (i64, i64) = db.query_row(
        "SELECT id, type_id FROM collections WHERE project_id = ?1 AND name = ?2",
        params![project.id, new.collection],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if found_type != type_id {
        let message = format!("{:?} is an artifact collection of another type", new.collection);
        return Err(CatalogError::refused(message));
    }
    let known = if new.dedupe {
        let condition = "a.collection_id = ?1 AND a.digest = ?2
            ORDER BY a.version IS NULL, a.version DESC, a.id DESC LIMIT 1";
        artifact_where(db, condition, params![collection_id, new.digest])?
    } else {
        None
    };
    let id = match &known {
        Some(known) => {
            if known.version.is_some() {
                give_aliases(db, known, &new.aliases)?;
            }
            known.id
        }
        None => {
            db.execute(
                "INSERT INTO artifacts (collection_id, run_id, digest, description, metadata,
                     history_step, ttl_seconds, wanted_aliases, tags, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
                params![
                    collection_id,
                    run_id,
                    new.digest,
                    new.description,
                    new.metadata,
                    new.history_step,
                    new.ttl_seconds,
                    texts_to_json(&new.aliases),
                    texts_to_json(&new.tags),
                    now,
                ],
            )?;
            db.last_insert_rowid()
        }
    };
    for (client_id, artifact, collection) in
        [(&new.client_id, Some(id), None), (&new.sequence_client_id, None, Some(collection_id))]
    {
        if let Some(client_id) = client_id {
            check_name("client id", client_id)?;
            db.execute(
                "INSERT INTO client_ids (client_id, artifact_id, collection_id)
                 VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![client_id, artifact, collection],
            )?;
        }
    }
    let artifact = artifact_where(db, "a.id = ?1", params![id])?;
    artifact.ok_or_else(|| CatalogError::refused("the artifact no longer exists"))
}

fn upsert_type(
    db: &Connection,
    project: i64,
    name: &str,
    description: Option<&str>,
) -> Result<i64, CatalogError> {
    db.execute(
        "INSERT INTO artifact_types (project_id, name, description, created_at)
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (project_id, name)
         DO UPDATE SET description = coalesce(excluded.description, description)",
        params![project, name, description, now()],
    )?;
    Ok(db.query_row(
        "SELECT id FROM artifact_types WHERE project_id = ?1 AND name = ?2",
        params![project, name],
        |row| row.get(0),
    )?)
}

/// Commits an artifact: assigns the next version number, its commit hash and its aliases.
pub(super) fn seal(
    db: &Connection,
    artifact: &Artifact,
    file_count: i64,
    size: i64,
) -> Result<(), CatalogError> {
    let collection = artifact.collection.id;
    let version: i64 = db.query_row(
        "SELECT max(coalesce(max(version) + 1, 0), 0) FROM artifacts WHERE collection_id = ?1",
        [collection],
        |row| row.get(0),
    )?;
    let now = now();
    let hash = Sha256::digest(format!("{collection}\n{version}\n{}", artifact.digest));
    db.execute(
        "UPDATE artifacts SET version = ?2, commit_hash = ?3, file_count = ?4, size = ?5,
             updated_at = ?6
         WHERE id = ?1",
        params![artifact.id, version, hex(&hash[..10]), file_count, size, now],
    )?;
    db.execute("UPDATE collections SET updated_at = ?2 WHERE id = ?1", params![collection, now])?;
    let wanted: String =
        db.query_row("SELECT wanted_aliases FROM artifacts WHERE id = ?1", [artifact.id], |row| {
            row.get(0)
        })?;
    insert_alias(db, artifact, &format!("v{version}"))?;
    insert_alias(db, artifact, LATEST)?;
    give_aliases(db, artifact, &texts_from_json(&wanted))
}

fn give_aliases(
    db: &Connection,
    artifact: &Artifact,
    aliases: &[String],
) -> Result<(), CatalogError> {
    aliases
        .iter()
        .filter(|alias| !is_version(alias))
        .try_for_each(|alias| insert_alias(db, artifact, alias))
}

fn insert_alias(db: &Connection, artifact: &Artifact, alias: &str) -> Result<(), CatalogError> {
    db.execute(
        "INSERT INTO aliases (collection_id, alias, artifact_id) VALUES (?1, ?2, ?3)
         ON CONFLICT (collection_id, alias) DO UPDATE SET artifact_id = excluded.artifact_id",
        params![artifact.collection.id, alias, artifact.id],
    )?;
    Ok(())
}

/// Returns whether an alias is reserved for the server: `v` and a version number.
fn is_version(alias: &str) -> bool {
    let digits = alias.strip_prefix('v');
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn check_name(what: &str, name: &str) -> Result<(), CatalogError> {
    let chars = name.chars().count();
    if chars == 0 || chars > MAX_NAME_CHARS || name.contains(|c: char| c.is_control()) {
        let message = format!(
            "the {what}'s name must have 1 to {MAX_NAME_CHARS} characters, none of them control ones"
        );
        return Err(CatalogError::refused(message));
    }
    Ok(())
}

fn latest(db: &Connection, collection: i64) -> Result<Option<Artifact>, CatalogError> {
    let condition =
        "a.collection_id = ?1 AND a.version IS NOT NULL ORDER BY a.version DESC LIMIT 1";
    artifact_where(db, condition, params![collection])
}

const SELECT_COLLECTION: &str = "SELECT p.id, p.entity, p.name, p.description, p.created_at,
    c.id, c.name, c.description, c.created_at, c.updated_at,
    t.id, t.name, t.description, t.created_at
    FROM collections c JOIN projects p ON p.id = c.project_id
    JOIN artifact_types t ON t.id = c.type_id";

/// Selects artifacts. A deleted one keeps its version, so that no other gets the same, but has no
/// commit hash.
const SELECT_ARTIFACT: &str = "SELECT p.id, p.entity, p.name, p.description, p.created_at,
    c.id, c.name, c.description, c.created_at, c.updated_at,
    t.id, t.name, t.description, t.created_at,
    a.id, a.run_id, a.digest, a.version, a.commit_hash, a.description, a.metadata, a.history_step,
    a.ttl_seconds, a.tags, a.file_count, a.size, a.created_at, a.updated_at
    FROM artifacts a JOIN collections c ON c.id = a.collection_id
    JOIN projects p ON p.id = c.project_id JOIN artifact_types t ON t.id = c.type_id
    WHERE (a.version IS NULL OR a.commit_hash IS NOT NULL)";

pub(super) fn artifact_where(
    db: &Connection,
    condition: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Option<Artifact>, CatalogError> {
    let mut query = db.prepare_cached(&format!("{SELECT_ARTIFACT} AND {condition}"))?;
    Ok(query.query_row(params, read_artifact).optional()?)
}

fn read_collection(row: &Row<'_>) -> rusqlite::Result<Collection> {
    Ok(Collection {
        project: read_project(row, 0)?,
        id: row.get(5)?,
        name: row.get(6)?,
        description: row.get(7)?,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
        type_id: row.get(10)?,
        type_name: row.get(11)?,
        type_description: row.get(12)?,
        type_created_at: row.get(13)?,
    })
}

fn read_artifact(row: &Row<'_>) -> rusqlite::Result<Artifact> {
    let tags: String = row.get(23)?;
    Ok(Artifact {
        collection: read_collection(row)?,
        id: row.get(14)?,
        run_id: row.get(15)?,
        digest: row.get(16)?,
        version: row.get(17)?,
        commit_hash: row.get(18)?,
        description: row.get(19)?,
        metadata: row.get(20)?,
        history_step: row.get(21)?,
        ttl_seconds: row.get(22)?,
        tags: texts_from_json(&tags),
        file_count: row.get(24)?,
        size: row.get(25)?,
        created_at: row.get(26)?,
        updated_at: row.get(27)?,
    })
}
