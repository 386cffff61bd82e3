//! Versioned documents in the catalog, such as boards.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use streamtable_server_core::catalog::now;
use streamtable_server_core::{Catalog, CatalogError};

/// Number of versions stored per document.
const MAX_VERSIONS: i64 = 100;

/// The path of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentPath {
    pub(crate) entity: String,
    pub(crate) project: String,
    pub(crate) name: String,
}

/// The metadata of one version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentVersion {
    pub(crate) name: String,
    pub(crate) title: String,
    /// Increases with each change. Two documents under one name never have the same version.
    pub(crate) version: i64,
    /// In milliseconds since 1970.
    pub(crate) saved_at: i64,
    pub(crate) author: String,
}

/// The precondition of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Anything,
    /// There must be no document with this name.
    Nothing,
    /// There must be a document with this name.
    Something,
    Version(i64),
}

/// The outcome of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// The change was made; `is_new` says whether the document was created.
    Done { document: DocumentVersion, is_new: bool },
    /// The precondition failed. Holds the current version, if the document exists.
    Unexpected(Option<DocumentVersion>),
}

impl Expected {
    fn fits(self, found: Option<&DocumentVersion>) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => found.is_none(),
            Self::Something => found.is_some(),
            Self::Version(version) => found.is_some_and(|it| it.version == version),
        }
    }
}

const COLUMNS: &str = "b.name, v.title, v.version, v.saved_at, v.author";

/// A kind of documents, and the tables that they are in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The name of the kind, such as `board`. Its tables are then `boards` and `board_versions`.
    pub(crate) noun: &'static str,
    /// Maximum number of documents per project.
    pub(crate) max: i64,
}

/// The documents of one kind in the catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct DocumentCatalog {
    catalog: Catalog,
    kind: Kind,
}

impl DocumentCatalog {
    pub(crate) fn new(catalog: Catalog, kind: Kind) -> Self {
        Self { catalog, kind }
    }

    /// Returns the name of the kind.
    pub(super) fn noun(&self) -> &'static str {
        self.kind.noun
    }

    /// Lists the documents of a project, sorted by name.
    pub(crate) async fn list(
        &self,
        entity: &str,
        project: &str,
    ) -> Result<Vec<DocumentVersion>, CatalogError> {
        let (entity, project) = (entity.to_owned(), project.to_owned());
        let noun = self.kind.noun;
        self.catalog
            .read(move |db| {
                let mut query = db.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM {noun}s b
                 JOIN {noun}_versions v ON v.{noun}_id = b.id AND v.version = b.version
                 WHERE b.entity = ?1 AND b.project = ?2 AND b.is_deleted = 0 ORDER BY b.name"
                ))?;
                let found = query.query_map([entity, project], version_of)?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Returns a document and its document: the newest version, or an older one that is still stored.
    pub(crate) async fn get(
        &self,
        path: &DocumentPath,
        version: Option<i64>,
    ) -> Result<Option<(DocumentVersion, String)>, CatalogError> {
        let path = path.clone();
        let noun = self.kind.noun;
        self.catalog
            .read(move |db| {
                let mut query = db.prepare_cached(&format!(
                    "SELECT {COLUMNS}, v.document FROM {noun}s b
                 JOIN {noun}_versions v ON v.{noun}_id = b.id AND v.version = coalesce(?4, b.version)
                 WHERE b.entity = ?1 AND b.project = ?2 AND b.name = ?3 AND b.is_deleted = 0"
                ))?;
                let values = params![path.entity, path.project, path.name, version];
                Ok(query.query_row(values, |row| Ok((version_of(row)?, row.get(5)?))).optional()?)
            })
            .await
    }

    /// Lists the stored versions of a document, newest first.
    pub(crate) async fn versions(
        &self,
        path: &DocumentPath,
    ) -> Result<Vec<DocumentVersion>, CatalogError> {
        let path = path.clone();
        let noun = self.kind.noun;
        self.catalog
            .read(move |db| {
                let mut query = db.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM {noun}s b JOIN {noun}_versions v ON v.{noun}_id = b.id
                 WHERE b.entity = ?1 AND b.project = ?2 AND b.name = ?3 AND b.is_deleted = 0
                 ORDER BY v.version DESC"
                ))?;
                let found = query.query_map([path.entity, path.project, path.name], version_of)?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Saves a new version of a document.
    pub(crate) async fn save(
        &self,
        path: &DocumentPath,
        expected: Expected,
        title: &str,
        author: &str,
        text: String,
    ) -> Result<Changed, CatalogError> {
        let (path, title, author) = (path.clone(), title.to_owned(), author.to_owned());
        let kind = self.kind;
        let noun = kind.noun;
        self.catalog
            .write(move |db| {
                let found = newest(db, kind, &path)?;
                if !expected.fits(found.as_ref()) {
                    return Ok(Changed::Unexpected(found));
                }
                if found.is_none() {
                    check_room(db, kind, &path)?;
                }
                let mut raise = db.prepare_cached(&format!(
                    "INSERT INTO {noun}s (entity, project, name, version, is_deleted)
                 VALUES (?1, ?2, ?3, 1, 0)
                 ON CONFLICT (entity, project, name)
                 DO UPDATE SET version = version + 1, is_deleted = 0 RETURNING id, version"
                ))?;
                let values = params![path.entity, path.project, path.name];
                let (id, version): (i64, i64) =
                    raise.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
                let saved_at = now();
                db.execute(
                &format!("INSERT INTO {noun}_versions ({noun}_id, version, title, author, saved_at, document)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
                params![id, version, title, author, saved_at, text],
            )?;
                db.execute(
                    &format!("DELETE FROM {noun}_versions WHERE {noun}_id = ?1 AND version <= ?2"),
                    [id, version - MAX_VERSIONS],
                )?;
                let document = DocumentVersion { name: path.name, title, version, saved_at, author };
                Ok(Changed::Done { document, is_new: found.is_none() })
            })
            .await
    }

    /// Deletes a document and all its versions.
    pub(crate) async fn delete(
        &self,
        path: &DocumentPath,
        expected: Expected,
    ) -> Result<Changed, CatalogError> {
        let path = path.clone();
        let kind = self.kind;
        let noun = kind.noun;
        self.catalog
            .write(move |db| {
                let found = newest(db, kind, &path)?;
                let Some(document) = found.filter(|it| expected.fits(Some(it))) else {
                    return Ok(Changed::Unexpected(newest(db, kind, &path)?));
                };
                let values = params![path.entity, path.project, path.name];
                let id: i64 = db.query_row(
                    &format!(
                        "UPDATE {noun}s SET is_deleted = 1
                 WHERE entity = ?1 AND project = ?2 AND name = ?3 RETURNING id"
                    ),
                    values,
                    |row| row.get(0),
                )?;
                db.execute(&format!("DELETE FROM {noun}_versions WHERE {noun}_id = ?1"), [id])?;
                Ok(Changed::Done { document, is_new: false })
            })
            .await
    }

    /// Renames a document, including all its versions. Fails if a document with the new name exists.
    pub(crate) async fn rename(
        &self,
        path: &DocumentPath,
        to: &str,
    ) -> Result<Changed, CatalogError> {
        let (path, to) = (path.clone(), to.to_owned());
        let kind = self.kind;
        let noun = kind.noun;
        self.catalog
            .write(move |db| {
                let Some(document) = newest(db, kind, &path)? else { return Ok(Changed::Unexpected(None)) };
                let new = DocumentPath { name: to.clone(), ..path.clone() };
                if let Some(other) = newest(db, kind, &new)? {
                    return Ok(Changed::Unexpected(Some(other)));
                }
                // If a document with the new name was deleted, its version numbers are not used again.
                let values = params![new.entity, new.project, new.name];
                let used: Option<i64> = db
                    .query_row(
                        &format!("DELETE FROM {noun}s WHERE entity = ?1 AND project = ?2 AND name = ?3
                     RETURNING version"),
                        values,
                        |row| row.get(0),
                    )
                    .optional()?;
                let id: i64 = db.query_row(
                    &format!("SELECT id FROM {noun}s WHERE entity = ?1 AND project = ?2 AND name = ?3"),
                    params![path.entity, path.project, path.name],
                    |row| row.get(0),
                )?;
                let version = document.version.max(used.unwrap_or(0)) + 1;
                db.execute(
                    &format!("UPDATE {noun}s SET name = ?2, version = ?3 WHERE id = ?1"),
                    params![id, to, version],
                )?;
                db.execute(
                    &format!("UPDATE {noun}_versions SET version = ?3 WHERE {noun}_id = ?1 AND version = ?2"),
                    params![id, document.version, version],
                )?;
                // A page that still has the old name open must not mistake a new document for this one.
                db.execute(
                    &format!("INSERT INTO {noun}s (entity, project, name, version, is_deleted)
                 VALUES (?1, ?2, ?3, ?4, 1)"),
                    params![path.entity, path.project, path.name, document.version],
                )?;
                Ok(Changed::Done {
                    document: DocumentVersion { name: to, version, ..document },
                    is_new: false,
                })
            })
            .await
    }
}

fn version_of(row: &Row<'_>) -> rusqlite::Result<DocumentVersion> {
    Ok(DocumentVersion {
        name: row.get(0)?,
        title: row.get(1)?,
        version: row.get(2)?,
        saved_at: row.get(3)?,
        author: row.get(4)?,
    })
}

fn newest(
    db: &Connection,
    kind: Kind,
    path: &DocumentPath,
) -> Result<Option<DocumentVersion>, CatalogError> {
    let noun = kind.noun;
    let mut query = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM {noun}s b
         JOIN {noun}_versions v ON v.{noun}_id = b.id AND v.version = b.version
         WHERE b.entity = ?1 AND b.project = ?2 AND b.name = ?3 AND b.is_deleted = 0"
    ))?;
    Ok(query.query_row(params![path.entity, path.project, path.name], version_of).optional()?)
}

fn check_room(db: &Transaction<'_>, kind: Kind, path: &DocumentPath) -> Result<(), CatalogError> {
    let Kind { noun, max } = kind;
    let count: i64 = db.query_row(
        &format!(
            "SELECT count(*) FROM {noun}s WHERE entity = ?1 AND project = ?2 AND is_deleted = 0"
        ),
        [&path.entity, &path.project],
        |row| row.get(0),
    )?;
    if count >= max {
        return Err(CatalogError::refused(format!("a project may have at most {max} {noun}s")));
    }
    Ok(())
}
