//! Boards: versioned documents.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use streamtable_server_core::catalog::{FeatureTables, now};
use streamtable_server_core::{Catalog, CatalogError};

/// Number of versions stored per board.
const MAX_VERSIONS: i64 = 100;

/// Maximum number of boards per project.
const MAX_BOARDS: i64 = 10_000;

/// The path of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoardPath {
    pub(crate) entity: String,
    pub(crate) project: String,
    pub(crate) name: String,
}

/// The metadata of one version of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoardVersion {
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
    /// There must be no board with this name.
    Nothing,
    /// There must be a board with this name.
    Something,
    Version(i64),
}

/// The outcome of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// The change was made; `is_new` says whether the board was created.
    Done { board: BoardVersion, is_new: bool },
    /// The precondition failed. Holds the current version, if the board exists.
    Unexpected(Option<BoardVersion>),
}

impl Expected {
    fn fits(self, found: Option<&BoardVersion>) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => found.is_none(),
            Self::Something => found.is_some(),
            Self::Version(version) => found.is_some_and(|it| it.version == version),
        }
    }
}

const COLUMNS: &str = "b.name, v.title, v.version, v.saved_at, v.author";

/// The tables of boards in the catalog.
pub(crate) const TABLES: FeatureTables =
    FeatureTables { feature: "boards", versions: &[include_str!("tables.sql")] };

/// The boards in the catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BoardCatalog(Catalog);

impl BoardCatalog {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self(catalog)
    }

    /// Lists the boards of a project, sorted by name.
    pub(crate) async fn boards(
        &self,
        entity: &str,
        project: &str,
    ) -> Result<Vec<BoardVersion>, CatalogError> {
        let (entity, project) = (entity.to_owned(), project.to_owned());
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM boards b
                 JOIN board_versions v ON v.board_id = b.id AND v.version = b.version
                 WHERE b.entity = ?1 AND b.project = ?2 AND b.is_deleted = 0 ORDER BY b.name"
                ))?;
                let boards = query.query_map([entity, project], board)?;
                Ok(boards.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Returns a board and its document: the newest version, or an older one that is still stored.
    pub(crate) async fn board(
        &self,
        path: &BoardPath,
        version: Option<i64>,
    ) -> Result<Option<(BoardVersion, String)>, CatalogError> {
        let path = path.clone();
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(&format!(
                    "SELECT {COLUMNS}, v.document FROM boards b
                 JOIN board_versions v ON v.board_id = b.id AND v.version = coalesce(?4, b.version)
                 WHERE b.entity = ?1 AND b.project = ?2 AND b.name = ?3 AND b.is_deleted = 0"
                ))?;
                let values = params![path.entity, path.project, path.name, version];
                Ok(query.query_row(values, |row| Ok((board(row)?, row.get(5)?))).optional()?)
            })
            .await
    }

    /// Lists the stored versions of a board, newest first.
    pub(crate) async fn board_versions(
        &self,
        path: &BoardPath,
    ) -> Result<Vec<BoardVersion>, CatalogError> {
        let path = path.clone();
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM boards b JOIN board_versions v ON v.board_id = b.id
                 WHERE b.entity = ?1 AND b.project = ?2 AND b.name = ?3 AND b.is_deleted = 0
                 ORDER BY v.version DESC"
                ))?;
                let boards = query.query_map([path.entity, path.project, path.name], board)?;
                Ok(boards.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Saves a new version of a board.
    pub(crate) async fn save_board(
        &self,
        path: &BoardPath,
        expected: Expected,
        title: &str,
        author: &str,
        document: String,
    ) -> Result<Changed, CatalogError> {
        let (path, title, author) = (path.clone(), title.to_owned(), author.to_owned());
        self.0
            .write(move |db| {
                let found = newest(db, &path)?;
                if !expected.fits(found.as_ref()) {
                    return Ok(Changed::Unexpected(found));
                }
                if found.is_none() {
                    check_room(db, &path)?;
                }
                let mut raise = db.prepare_cached(
                    "INSERT INTO boards (entity, project, name, version, is_deleted)
                 VALUES (?1, ?2, ?3, 1, 0)
                 ON CONFLICT (entity, project, name)
                 DO UPDATE SET version = version + 1, is_deleted = 0 RETURNING id, version",
                )?;
                let values = params![path.entity, path.project, path.name];
                let (id, version): (i64, i64) =
                    raise.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
                let saved_at = now();
                db.execute(
                "INSERT INTO board_versions (board_id, version, title, author, saved_at, document)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id, version, title, author, saved_at, document],
            )?;
                db.execute(
                    "DELETE FROM board_versions WHERE board_id = ?1 AND version <= ?2",
                    [id, version - MAX_VERSIONS],
                )?;
                let board = BoardVersion { name: path.name, title, version, saved_at, author };
                Ok(Changed::Done { board, is_new: found.is_none() })
            })
            .await
    }

    /// Deletes a board and all its versions.
    pub(crate) async fn delete_board(
        &self,
        path: &BoardPath,
        expected: Expected,
    ) -> Result<Changed, CatalogError> {
        let path = path.clone();
        self.0
            .write(move |db| {
                let found = newest(db, &path)?;
                let Some(board) = found.filter(|it| expected.fits(Some(it))) else {
                    return Ok(Changed::Unexpected(newest(db, &path)?));
                };
                let values = params![path.entity, path.project, path.name];
                let id: i64 = db.query_row(
                    "UPDATE boards SET is_deleted = 1
                 WHERE entity = ?1 AND project = ?2 AND name = ?3 RETURNING id",
                    values,
                    |row| row.get(0),
                )?;
                db.execute("DELETE FROM board_versions WHERE board_id = ?1", [id])?;
                Ok(Changed::Done { board, is_new: false })
            })
            .await
    }

    /// Renames a board, including all its versions. Fails if a board with the new name exists.
    pub(crate) async fn rename_board(
        &self,
        path: &BoardPath,
        to: &str,
    ) -> Result<Changed, CatalogError> {
        let (path, to) = (path.clone(), to.to_owned());
        self.0
            .write(move |db| {
                let Some(board) = newest(db, &path)? else { return Ok(Changed::Unexpected(None)) };
                let new = BoardPath { name: to.clone(), ..path.clone() };
                if let Some(other) = newest(db, &new)? {
                    return Ok(Changed::Unexpected(Some(other)));
                }
                // If a board with the new name was deleted, its version numbers are not used again.
                let values = params![new.entity, new.project, new.name];
                let used: Option<i64> = db
                    .query_row(
                        "DELETE FROM boards WHERE entity = ?1 AND project = ?2 AND name = ?3
                     RETURNING version",
                        values,
                        |row| row.get(0),
                    )
                    .optional()?;
                let id: i64 = db.query_row(
                    "SELECT id FROM boards WHERE entity = ?1 AND project = ?2 AND name = ?3",
                    params![path.entity, path.project, path.name],
                    |row| row.get(0),
                )?;
                let version = board.version.max(used.unwrap_or(0)) + 1;
                db.execute(
                    "UPDATE boards SET name = ?2, version = ?3 WHERE id = ?1",
                    params![id, to, version],
                )?;
                db.execute(
                    "UPDATE board_versions SET version = ?3 WHERE board_id = ?1 AND version = ?2",
                    params![id, board.version, version],
                )?;
                // A page that still has the old name open must not mistake a new board for this one.
                db.execute(
                    "INSERT INTO boards (entity, project, name, version, is_deleted)
                 VALUES (?1, ?2, ?3, ?4, 1)",
                    params![path.entity, path.project, path.name, board.version],
                )?;
                Ok(Changed::Done {
                    board: BoardVersion { name: to, version, ..board },
                    is_new: false,
                })
            })
            .await
    }
}

fn board(row: &Row<'_>) -> rusqlite::Result<BoardVersion> {
    Ok(BoardVersion {
        name: row.get(0)?,
        title: row.get(1)?,
        version: row.get(2)?,
        saved_at: row.get(3)?,
        author: row.get(4)?,
    })
}

fn newest(db: &Connection, path: &BoardPath) -> Result<Option<BoardVersion>, CatalogError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM boards b
         JOIN board_versions v ON v.board_id = b.id AND v.version = b.version
         WHERE b.entity = ?1 AND b.project = ?2 AND b.name = ?3 AND b.is_deleted = 0"
    ))?;
    Ok(query.query_row(params![path.entity, path.project, path.name], board).optional()?)
}

fn check_room(db: &Transaction<'_>, path: &BoardPath) -> Result<(), CatalogError> {
    let count: i64 = db.query_row(
        "SELECT count(*) FROM boards WHERE entity = ?1 AND project = ?2 AND is_deleted = 0",
        [&path.entity, &path.project],
        |row| row.get(0),
    )?;
    if count >= MAX_BOARDS {
        return Err(CatalogError::refused(format!(
            "a project may have at most {MAX_BOARDS} boards"
        )));
    }
    Ok(())
}
