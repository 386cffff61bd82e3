//! Manifests and files of artifacts.

use rusqlite::{Connection, OptionalExtension, Row, params};
use streamtable_server_core::CatalogError;
use streamtable_server_core::catalog::now;
use streamtable_store::StoredObject;

use super::artifacts::{artifact_where, seal};
use super::files::size;
use super::{AnnouncedFile, Artifact, RunCatalog};

/// How a manifest describes its artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ManifestKind {
    /// Completely.
    Full,
    /// Relative to the base artifact.
    Incremental,
    /// One of several writers' additions to the artifact.
    Patch,
}

/// An announced manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) id: i64,
    pub(crate) artifact_id: i64,
    pub(crate) name: String,
    pub(crate) kind: ManifestKind,
    /// MD5 of the content in base64; empty as long as it is unknown.
    pub(crate) digest: String,
    pub(crate) base_id: Option<i64>,
    /// SHA-256 of the content, once it is uploaded.
    pub(crate) sha256: Option<String>,
}

impl Manifest {
    /// Returns whether the manifest was announced after its artifact was committed. It must describe
    /// the same files, and is not used.
    pub(crate) fn is_repetition(&self) -> bool {
        self.name == repetition_name(&self.name, &self.digest)
    }
}

/// Parameters for announcing a manifest.
#[derive(Clone, Debug)]
pub(crate) struct NewManifest {
    pub(crate) artifact_id: i64,
    pub(crate) name: String,
    pub(crate) kind: ManifestKind,
    pub(crate) digest: String,
    pub(crate) base_id: Option<i64>,
}

/// The content of a committed artifact.
#[derive(Clone, Debug)]
pub(crate) struct WholeArtifact {
    /// The merged manifest of the complete artifact.
    pub(crate) manifest: StoredObject,
    /// The files whose content this server stores.
    pub(crate) files: Vec<ManifestFile>,
    pub(crate) file_count: i64,
    pub(crate) size: i64,
}

/// A file listed in a manifest.
#[derive(Clone, Debug)]
pub(crate) struct ManifestFile {
    pub(crate) name: String,
    pub(crate) md5: String,
    pub(crate) birth_id: Option<i64>,
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArtifactFile {
    pub(crate) id: i64,
    pub(crate) artifact_id: i64,
    pub(crate) name: String,
    pub(crate) md5: String,
    pub(crate) birth_id: i64,
    pub(crate) sha256: Option<String>,
    pub(crate) size: Option<i64>,
    pub(crate) updated_at: i64,
}

impl RunCatalog {
    /// Records a manifest. Names are unique per artifact; announcing the same name again updates
    /// it.
    pub(crate) async fn announce_manifest(
        &self,
        new: NewManifest,
    ) -> Result<Manifest, CatalogError> {
        self.0
            .write(move |db| {
                let artifact = artifact_where(db, "a.id = ?1", params![new.artifact_id])?;
                let artifact = artifact.ok_or_else(|| CatalogError::refused("no such artifact"))?;
                let condition = "artifact_id = ?1 AND name = ?2";
                let known = manifest_where(db, condition, params![new.artifact_id, new.name])?;
                let Some(known) = known else {
                    check_open(&artifact)?;
                    db.execute(
                        "INSERT INTO manifests (artifact_id, name, kind, digest, base_id)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                        params![
                            new.artifact_id,
                            new.name,
                            new.kind.name(),
                            new.digest,
                            new.base_id
                        ],
                    )?;
                    let id = db.last_insert_rowid();
                    let made = manifest_where(db, "id = ?1", params![id])?;
                    return made
                        .ok_or_else(|| CatalogError::refused("the manifest no longer exists"));
                };
                redigest(db, &artifact, known, &new.digest, new.base_id, new.kind)
            })
            .await
    }

    /// Sets a manifest's digest, once its client knows it.
    pub(crate) async fn update_manifest(
        &self,
        id: i64,
        digest: Option<String>,
        base_id: Option<i64>,
    ) -> Result<Option<Manifest>, CatalogError> {
        self.0
            .write(move |db| {
                let Some(known) = manifest_where(db, "id = ?1", params![id])? else {
                    return Ok(None);
                };
                let artifact = artifact_where(db, "a.id = ?1", params![known.artifact_id])?;
                let artifact = artifact.ok_or_else(|| CatalogError::refused("no such artifact"))?;
                let digest = digest.unwrap_or_default();
                let kind = known.kind;
                redigest(db, &artifact, known, &digest, base_id, kind).map(Some)
            })
            .await
    }

    pub(crate) async fn manifest(&self, id: i64) -> Result<Option<Manifest>, CatalogError> {
        self.0.read(move |db| manifest_where(db, "id = ?1", params![id])).await
    }

    /// Lists the manifests of an artifact in the order in which they were announced.
    pub(crate) async fn manifests(&self, artifact: i64) -> Result<Vec<Manifest>, CatalogError> {
        self.0
            .read(move |db| {
                let sql = format!("{SELECT_MANIFEST} WHERE artifact_id = ?1 ORDER BY id");
                let mut query = db.prepare_cached(&sql)?;
                let found = query.query_map([artifact], read_manifest)?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Returns the manifest of the complete artifact, once it is committed.
    pub(crate) async fn current_manifest(
        &self,
        artifact: i64,
    ) -> Result<Option<Manifest>, CatalogError> {
        let condition = "artifact_id = ?1 AND is_current = 1";
        self.0.read(move |db| manifest_where(db, condition, params![artifact])).await
    }

    /// Records the content of a manifest. It must match the announced digest.
    pub(crate) async fn put_manifest(
        &self,
        id: i64,
        object: StoredObject,
    ) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                let count = db.execute(
                    "UPDATE manifests SET sha256 = ?2 WHERE id = ?1 AND digest = ?3",
                    params![id, object.sha256, object.md5],
                )?;
                if count == 0 {
                    return Err(CatalogError::refused("the content does not match the digest"));
                }
                Ok(())
            })
            .await
    }

    /// Records a file of an artifact that is not committed yet.
    pub(crate) async fn announce_file(
        &self,
        artifact: i64,
        name: &str,
        md5: &str,
    ) -> Result<AnnouncedFile, CatalogError> {
        let (name, md5) = (name.to_owned(), md5.to_owned());
        self.0
            .write(move |db| {
                let found = artifact_where(db, "a.id = ?1", params![artifact])?;
                let found = found.ok_or_else(|| CatalogError::refused("no such artifact"))?;
                let known =
                    file_where(db, "artifact_id = ?1 AND name = ?2", params![artifact, name])?;
                if let Some(known) = known.filter(|known| known.md5 == md5) {
                    let is_there = known.sha256.is_some();
                    return Ok(AnnouncedFile { id: known.id, birth_id: known.birth_id, is_there });
                }
                check_open(&found)?;
                let twin = twin(db, &found, &md5)?;
                let birth_id = twin.as_ref().map_or(artifact, |twin| twin.birth_id);
                let is_there = twin.is_some();
                let (sha256, size) = twin.map_or((None, None), |twin| (twin.sha256, twin.size));
                db.execute(
                    "INSERT INTO artifact_files (artifact_id, name, md5, birth_id, sha256, size,
                                             updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (artifact_id, name) DO UPDATE SET md5 = excluded.md5,
                     birth_id = excluded.birth_id, sha256 = excluded.sha256,
                     size = excluded.size, updated_at = excluded.updated_at",
                    params![artifact, name, md5, birth_id, sha256, size, now()],
                )?;
                let id = db.query_row(
                    "SELECT id FROM artifact_files WHERE artifact_id = ?1 AND name = ?2",
                    params![artifact, name],
                    |row| row.get(0),
                )?;
                Ok(AnnouncedFile { id, birth_id, is_there })
            })
            .await
    }

    /// Records the content of a file. It must match the announced digest.
    pub(crate) async fn put_artifact_file(
        &self,
        id: i64,
        object: StoredObject,
    ) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                let count = db.execute(
                    "UPDATE artifact_files SET sha256 = ?2, size = ?3, updated_at = ?5
                 WHERE id = ?1 AND md5 = ?4",
                    params![id, object.sha256, size(&object), object.md5, now()],
                )?;
                if count == 0 {
                    return Err(CatalogError::refused("the content does not match the digest"));
                }
                Ok(())
            })
            .await
    }

    pub(crate) async fn artifact_file(
        &self,
        id: i64,
    ) -> Result<Option<ArtifactFile>, CatalogError> {
        self.0.read(move |db| file_where(db, "id = ?1", params![id])).await
    }

    /// Lists the files of an artifact, sorted by name.
    pub(crate) async fn artifact_files(
        &self,
        artifact: i64,
    ) -> Result<Vec<ArtifactFile>, CatalogError> {
        self.0
            .read(move |db| {
                let sql = format!("{SELECT_FILE} WHERE artifact_id = ?1 ORDER BY name");
                let mut query = db.prepare_cached(&sql)?;
                let files = query.query_map([artifact], read_file)?;
                Ok(files.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Returns the content of an artifact file of an entity, given its digest.
    pub(crate) async fn file_of_entity(
        &self,
        entity: &str,
        md5: &str,
    ) -> Result<Option<ArtifactFile>, CatalogError> {
        let (entity, md5) = (entity.to_owned(), md5.to_owned());
        self.0
            .read(move |db| {
                let condition = "md5 = ?2 AND sha256 IS NOT NULL AND artifact_id IN
                (SELECT a.id FROM artifacts a JOIN collections c ON c.id = a.collection_id
                 JOIN projects p ON p.id = c.project_id WHERE p.entity = ?1) LIMIT 1";
                file_where(db, condition, params![entity, md5])
            })
            .await
    }

    /// Commits an artifact if it is not committed yet.
    pub(crate) async fn commit_artifact(
        &self,
        id: i64,
        whole: WholeArtifact,
    ) -> Result<Artifact, CatalogError> {
        self.0
            .write(move |db| {
                let gone = || CatalogError::refused("no such artifact");
                let artifact = artifact_where(db, "a.id = ?1", params![id])?.ok_or_else(gone)?;
                if artifact.version.is_some() {
                    return Ok(artifact);
                }
                for file in &whole.files {
                    adopt(db, &artifact, file)?;
                }
                let missing = file_where(db, "artifact_id = ?1 AND sha256 IS NULL", params![id])?;
                if let Some(missing) = missing {
                    let message =
                        format!("the file {:?} of the artifact is not uploaded", missing.name);
                    return Err(CatalogError::refused(message));
                }
                set_current(db, &artifact, &whole.manifest)?;
                seal(db, &artifact, whole.file_count, whole.size)?;
                artifact_where(db, "a.id = ?1", params![id])?.ok_or_else(gone)
            })
            .await
    }
}

impl ManifestKind {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Incremental => "INCREMENTAL",
            Self::Patch => "PATCH",
        }
    }
}

fn check_open(artifact: &Artifact) -> Result<(), CatalogError> {
    match artifact.version {
        Some(_) => Err(CatalogError::refused("the artifact is committed and cannot be changed")),
        None => Ok(()),
    }
}

fn redigest(
    db: &Connection,
    artifact: &Artifact,
    known: Manifest,
    digest: &str,
    base_id: Option<i64>,
    kind: ManifestKind,
) -> Result<Manifest, CatalogError> {
    // A client that repeats the announcement must not discard an uploaded manifest.
    if !digest.is_empty() && digest != known.digest {
        if artifact.version.is_some() {
            return repeat(db, &known, digest, kind);
        }
        db.execute(
            "UPDATE manifests SET digest = ?2, sha256 = NULL WHERE id = ?1",
            params![known.id, digest],
        )?;
    }
    if artifact.version.is_none() {
        db.execute(
            "UPDATE manifests SET base_id = coalesce(?2, base_id) WHERE id = ?1",
            params![known.id, base_id],
        )?;
    }
    let manifest = manifest_where(db, "id = ?1", params![known.id])?;
    manifest.ok_or_else(|| CatalogError::refused("the manifest no longer exists"))
}

/// Announces a manifest of a committed artifact, whose client uploads lost files again. Its manifest
/// describes the same files, but need not have the same bytes.
fn repeat(
    db: &Connection,
    known: &Manifest,
    digest: &str,
    kind: ManifestKind,
) -> Result<Manifest, CatalogError> {
    let name = repetition_name(&known.name, digest);
    let condition = "artifact_id = ?1 AND name = ?2";
    if let Some(found) = manifest_where(db, condition, params![known.artifact_id, name])? {
        return Ok(found);
    }
    db.execute(
        "INSERT INTO manifests (artifact_id, name, kind, digest) VALUES (?1, ?2, ?3, ?4)",
        params![known.artifact_id, name, kind.name(), digest],
    )?;
    let made = manifest_where(db, "id = ?1", params![db.last_insert_rowid()])?;
    made.ok_or_else(|| CatalogError::refused("the manifest no longer exists"))
}

/// Returns the name of a repeated manifest: names are unique per artifact.
fn repetition_name(name: &str, digest: &str) -> String {
    let mark = format!(" again {digest}");
    format!("{}{mark}", name.strip_suffix(&mark).unwrap_or(name))
}

/// Returns a file with the same content in the artifact's collection.
fn twin(
    db: &Connection,
    artifact: &Artifact,
    md5: &str,
) -> Result<Option<ArtifactFile>, CatalogError> {
    let condition = "md5 = ?1 AND sha256 IS NOT NULL AND artifact_id IN
        (SELECT id FROM artifacts WHERE collection_id = ?2) ORDER BY id LIMIT 1";
    file_where(db, condition, params![md5, artifact.collection.id])
}

/// Adds a file to an artifact whose manifest names content that another artifact uploaded.
fn adopt(db: &Connection, artifact: &Artifact, file: &ManifestFile) -> Result<(), CatalogError> {
    let own = params![artifact.id, file.name];
    if file_where(db, "artifact_id = ?1 AND name = ?2", own)?.is_some() {
        return Ok(());
    }
    // Only content of the same entity: guessing a digest must not give access to foreign content.
    let born = file.birth_id.unwrap_or(artifact.id);
    let condition = "md5 = ?1 AND sha256 IS NOT NULL AND artifact_id IN
        (SELECT a.id FROM artifacts a JOIN collections c ON c.id = a.collection_id
         JOIN projects p ON p.id = c.project_id WHERE p.entity = ?2)
        ORDER BY artifact_id = ?3 DESC, id LIMIT 1";
    let entity = &artifact.collection.project.entity;
    let Some(twin) = file_where(db, condition, params![file.md5, entity, born])? else {
        return Ok(());
    };
    db.execute(
        "INSERT INTO artifact_files (artifact_id, name, md5, birth_id, sha256, size, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            artifact.id,
            file.name,
            file.md5,
            twin.birth_id,
            twin.sha256,
            twin.size,
            twin.updated_at
        ],
    )?;
    Ok(())
}

fn set_current(
    db: &Connection,
    artifact: &Artifact,
    object: &StoredObject,
) -> Result<(), CatalogError> {
    let count = db.execute(
        "UPDATE manifests SET is_current = 1
         WHERE id = (SELECT min(id) FROM manifests WHERE artifact_id = ?1 AND sha256 = ?2)",
        params![artifact.id, object.sha256],
    )?;
    if count == 0 {
        db.execute(
            "INSERT INTO manifests (artifact_id, name, kind, digest, sha256, is_current)
             VALUES (?1, ?2, ?3, ?4, ?5, 1)",
            params![
                artifact.id,
                streamtable_wire::MANIFEST_NAME,
                ManifestKind::Full.name(),
                object.md5,
                object.sha256
            ],
        )?;
    }
    Ok(())
}

const SELECT_MANIFEST: &str =
    "SELECT id, artifact_id, name, kind, digest, base_id, sha256 FROM manifests";

fn manifest_where(
    db: &Connection,
    condition: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Option<Manifest>, CatalogError> {
    let mut query = db.prepare_cached(&format!("{SELECT_MANIFEST} WHERE {condition}"))?;
    Ok(query.query_row(params, read_manifest).optional()?)
}

fn read_manifest(row: &Row<'_>) -> rusqlite::Result<Manifest> {
    let kind: String = row.get(3)?;
    Ok(Manifest {
        id: row.get(0)?,
        artifact_id: row.get(1)?,
        name: row.get(2)?,
        kind: match kind.as_str() {
            "INCREMENTAL" => ManifestKind::Incremental,
            "PATCH" => ManifestKind::Patch,
            _ => ManifestKind::Full,
        },
        digest: row.get(4)?,
        base_id: row.get(5)?,
        sha256: row.get(6)?,
    })
}

const SELECT_FILE: &str =
    "SELECT id, artifact_id, name, md5, birth_id, sha256, size, updated_at FROM artifact_files";

fn file_where(
    db: &Connection,
    condition: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Option<ArtifactFile>, CatalogError> {
    let mut query = db.prepare_cached(&format!("{SELECT_FILE} WHERE {condition}"))?;
    Ok(query.query_row(params, read_file).optional()?)
}

fn read_file(row: &Row<'_>) -> rusqlite::Result<ArtifactFile> {
    Ok(ArtifactFile {
        id: row.get(0)?,
        artifact_id: row.get(1)?,
        name: row.get(2)?,
        md5: row.get(3)?,
        birth_id: row.get(4)?,
        sha256: row.get(5)?,
        size: row.get(6)?,
        updated_at: row.get(7)?,
    })
}
