//! Migrations: the catalog's own tables, and those that features add.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::CatalogError;

/// The catalog's own versions. Version 2 belonged to a feature.
const VERSIONS: &[&str] =
    &[include_str!("keys.sql"), "", include_str!("generation.sql"), include_str!("features.sql")];

/// The tables that a feature adds to the catalog.
///
/// They are created when a server with the feature opens the catalog, and kept by servers without
/// it.
#[derive(Clone, Copy, Debug)]
pub struct FeatureTables {
    /// Name of the feature, under which the catalog records the version of its tables.
    pub feature: &'static str,
    /// SQL of each version, applied once and in order. Versions are only ever appended.
    pub versions: &'static [&'static str],
}

/// Applies the missing versions: all of them or none.
pub(super) fn migrate(
    connection: &mut Connection,
    features: &[FeatureTables],
) -> Result<(), CatalogError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if let Some(version) = apply(&transaction, version, VERSIONS)? {
        transaction.pragma_update(None, "user_version", version)?;
    }
    for FeatureTables { feature, versions } in features {
        let sql = "SELECT version FROM features WHERE name = ?1";
        let version = transaction.query_row(sql, [feature], |row| row.get(0)).optional()?;
        if let Some(version) = apply(&transaction, version.unwrap_or(0), versions)? {
            let sql = "INSERT INTO features (name, version) VALUES (?1, ?2)
                       ON CONFLICT (name) DO UPDATE SET version = excluded.version";
            transaction.execute(sql, rusqlite::params![feature, version])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Applies the versions after `version`. Returns the new version if there were any.
fn apply(
    transaction: &Transaction<'_>,
    version: i64,
    versions: &[&str],
) -> Result<Option<i64>, CatalogError> {
    let newer = || CatalogError::Newer { version };
    let done = usize::try_from(version).map_err(|_| newer())?;
    let missing = versions.get(done..).ok_or_else(newer)?;
    for sql in missing {
        transaction.execute_batch(sql)?;
    }
    Ok((!missing.is_empty()).then_some(versions.len() as i64))
}
