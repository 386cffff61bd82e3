//! API keys: who may come in.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use streamtable_schema::{TablePath, Timestamp};
use tokio::sync::watch;

use super::{Catalog, CatalogError, now};
use crate::access::{Principal, Right};

/// How many bytes of chance are in a key: 40 hexadecimal digits, which is what every version of
/// `wandb login` takes.
const KEY_BYTES: usize = 20;

/// The longest name of a key.
const MAX_NAME_CHARS: usize = 128;

/// A key as it is listed: without its secret, which nobody but its owner has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The id by which it is revoked.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The entity that it opens; `None` for all.
    pub entity: Option<String>,
    /// The most that it allows there.
    pub right: Right,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Key {
    /// Returns who comes in with the key.
    pub fn principal(&self) -> Principal {
        Principal { name: self.name.clone(), entity: self.entity.clone(), right: self.right }
    }
}

/// A key that was just made. The secret is told this once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What is kept of it.
    pub key: Key,
    /// The secret: 40 hexadecimal digits.
    pub secret: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Makes a key. Without an entity it opens all.
    pub async fn add_key(
        &self,
        name: &str,
        entity: Option<&str>,
        right: Right,
    ) -> Result<NewKey, CatalogError> {
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            let message = format!("a key's name has 1 to {MAX_NAME_CHARS} characters");
            return Err(CatalogError::refused(message));
        }
        if let Some(entity) = entity {
            TablePath::new(entity, "p", "t").map_err(|e| CatalogError::refused(e.to_string()))?;
        }
        let secret = random_hex(KEY_BYTES);
        let created_at = now();
        let key = Key {
            id: random_hex(4),
            name: name.to_owned(),
            entity: entity.map(str::to_owned),
            right,
            created_at: Timestamp::from_millis(created_at),
            revoked_at: None,
        };
        let (kept, hash) = (key.clone(), hash(&secret));
        self.write(move |db| {
            db.execute(
                "INSERT INTO keys (id, hash, name, entity, access, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![kept.id, hash, kept.name, kept.entity, rank(right), created_at],
            )?;
            Ok(())
        })
        .await?;
        Ok(NewKey { key, secret })
    }

    /// Lists the keys, revoked ones included, oldest first.
    pub async fn keys(&self) -> Result<Vec<Key>, CatalogError> {
        self.read(|db| {
            let mut query = db.prepare_cached(&format!("{SELECT} ORDER BY created_at, id"))?;
            let keys = query.query_map([], read_key)?;
            Ok(keys.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Revokes a key, with every browser session that began with it. Tells whether there was such
    /// a key that was not revoked.
    pub async fn revoke_key(&self, id: &str) -> Result<bool, CatalogError> {
        let id = id.to_owned();
        let revoke = self.write(move |db| {
            db.execute("DELETE FROM sessions WHERE key_id = ?1", [&id])?;
            let count = db.execute(
                "UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
                params![id, now()],
            )?;
            Ok(count > 0)
        });
        let is_revoked = revoke.await?;
        self.0.revoked.send_replace(());
        Ok(is_revoked)
    }

    /// Returns what changes when this process has revoked a key.
    pub(crate) fn revocations(&self) -> watch::Receiver<()> {
        self.0.revoked.subscribe()
    }

    /// Tells whether somebody could come in.
    pub async fn has_keys(&self) -> Result<bool, CatalogError> {
        self.read(|db| {
            let sql = "SELECT EXISTS (SELECT 1 FROM keys WHERE revoked_at IS NULL)";
            Ok(db.query_row(sql, [], |row| row.get(0))?)
        })
        .await
    }

    /// Returns whether a key with an id exists and was not revoked.
    pub(crate) async fn is_key_valid(&self, id: &str) -> Result<bool, CatalogError> {
        let id = id.to_owned();
        let key = self.read(move |db| key_where(db, "id = ?1 AND revoked_at IS NULL", id));
        Ok(key.await?.is_some())
    }

    /// Finds the key of a secret, unless it was revoked.
    pub(crate) async fn key_of(&self, secret: &str) -> Result<Option<Key>, CatalogError> {
        let hash = hash(secret);
        self.read(move |db| key_where(db, "hash = ?1 AND revoked_at IS NULL", hash)).await
    }
}

const SELECT: &str = "SELECT id, name, entity, access, created_at, revoked_at FROM keys";

/// Finds a key. That it is looked up by the hash of 160 bits of chance tells nobody who measures
/// the time anything about another key.
pub(super) fn key_where(
    db: &Connection,
    condition: &str,
    value: impl rusqlite::ToSql,
) -> Result<Option<Key>, CatalogError> {
    let mut query = db.prepare_cached(&format!("{SELECT} WHERE {condition}"))?;
    Ok(query.query_row([value], read_key).optional()?)
}

fn read_key(row: &Row<'_>) -> rusqlite::Result<Key> {
    let revoked_at: Option<i64> = row.get(5)?;
    Ok(Key {
        id: row.get(0)?,
        name: row.get(1)?,
        entity: row.get(2)?,
        right: match row.get(3)? {
            0_i64 => Right::Read,
            1 => Right::Write,
            _ => Right::Admin,
        },
        created_at: Timestamp::from_millis(row.get(4)?),
        revoked_at: revoked_at.map(Timestamp::from_millis),
    })
}

fn rank(right: Right) -> i64 {
    match right {
        Right::Read => 0,
        Right::Write => 1,
        Right::Admin => 2,
    }
}

/// Hashes a secret that is too long to be guessed, so that no salt is needed.
pub(super) fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// Makes hexadecimal digits of so many bytes of chance, at most 30.
pub(crate) fn random_hex(bytes: usize) -> String {
    // 122 bits of the system's generator each.
    let mut sha = Sha256::new();
    sha.update(uuid::Uuid::new_v4().as_bytes());
    sha.update(uuid::Uuid::new_v4().as_bytes());
    hex(&sha.finalize()[..bytes.min(30)])
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
