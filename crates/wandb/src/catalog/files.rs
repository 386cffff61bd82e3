//! Files of runs, such as images: the content of each path.

use rusqlite::{OptionalExtension, Row, params};
use streamtable_server_core::CatalogError;
use streamtable_server_core::catalog::now;
use streamtable_store::StoredObject;

use super::RunCatalog;

/// A file of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunFile {
    pub(crate) id: i64,
    pub(crate) run_id: i64,
    pub(crate) path: String,
    pub(crate) sha256: String,
    pub(crate) md5: String,
    pub(crate) size: i64,
    pub(crate) mimetype: String,
    pub(crate) updated_at: i64,
}

/// A file that a client is about to upload, and whether its content is already stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnnouncedFile {
    pub(crate) id: i64,
    /// The artifact in which the file first appeared.
    pub(crate) birth_id: i64,
    pub(crate) is_there: bool,
}

impl RunCatalog {
    /// Records a run's file, replacing the one with the same path.
    pub(crate) async fn put_run_file(
        &self,
        run: i64,
        path: &str,
        object: &StoredObject,
        mimetype: &str,
    ) -> Result<(), CatalogError> {
        let (path, object, mimetype) = (path.to_owned(), object.clone(), mimetype.to_owned());
        self.0
            .write(move |db| {
                db.execute(
                    "INSERT INTO run_files (run_id, path, sha256, md5, size, mimetype, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (run_id, path) DO UPDATE SET sha256 = excluded.sha256,
                     md5 = excluded.md5, size = excluded.size, mimetype = excluded.mimetype,
                     updated_at = excluded.updated_at",
                    params![run, path, object.sha256, object.md5, size(&object), mimetype, now()],
                )?;
                Ok(())
            })
            .await
    }

    pub(crate) async fn run_file(
        &self,
        run: i64,
        path: &str,
    ) -> Result<Option<RunFile>, CatalogError> {
        let path = path.to_owned();
        self.0
            .read(move |db| {
                let sql = format!("{SELECT} WHERE run_id = ?1 AND path = ?2");
                let mut query = db.prepare_cached(&sql)?;
                Ok(query.query_row(params![run, path], read_file).optional()?)
            })
            .await
    }

    /// Returns a file of a run by its id.
    pub(crate) async fn run_file_by_id(&self, id: i64) -> Result<Option<RunFile>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
                Ok(query.query_row([id], read_file).optional()?)
            })
            .await
    }

    /// Deletes files of runs. Their content stays as long as something else has it.
    pub(crate) async fn delete_run_files(&self, ids: Vec<i64>) -> Result<(), CatalogError> {
        self.0
            .write(move |db| {
                let mut delete = db.prepare_cached("DELETE FROM run_files WHERE id = ?1")?;
                ids.into_iter().try_for_each(|id| delete.execute([id]).map(drop))?;
                Ok(())
            })
            .await
    }

    /// Lists the files of a run, sorted by path.
    pub(crate) async fn run_files(&self, run: i64) -> Result<Vec<RunFile>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query =
                    db.prepare_cached(&format!("{SELECT} WHERE run_id = ?1 ORDER BY path"))?;
                let files = query.query_map([run], read_file)?;
                Ok(files.collect::<Result<_, _>>()?)
            })
            .await
    }
}

impl RunCatalog {
    /// Returns the hashes of stored files that follow `last`, in order; none at the end.
    pub(crate) async fn file_names_after(&self, last: String) -> Result<Vec<String>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(
                    "SELECT sha256 FROM run_files WHERE sha256 > ?1
                     UNION SELECT sha256 FROM artifact_files WHERE sha256 > ?1
                     UNION SELECT sha256 FROM manifests WHERE sha256 > ?1
                     ORDER BY 1 LIMIT 1000",
                )?;
                let names = query.query_map([last], |row| row.get(0))?;
                Ok(names.collect::<Result<_, _>>()?)
            })
            .await
    }
}

const SELECT: &str =
    "SELECT id, run_id, path, sha256, md5, size, mimetype, updated_at FROM run_files";

fn read_file(row: &Row<'_>) -> rusqlite::Result<RunFile> {
    Ok(RunFile {
        id: row.get(0)?,
        run_id: row.get(1)?,
        path: row.get(2)?,
        sha256: row.get(3)?,
        md5: row.get(4)?,
        size: row.get(5)?,
        mimetype: row.get(6)?,
        updated_at: row.get(7)?,
    })
}

pub(super) fn size(object: &StoredObject) -> i64 {
    i64::try_from(object.size).unwrap_or(i64::MAX)
}
