//! API keys.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use streamtable_schema::{TablePath, Timestamp};
use tokio::sync::watch;

use super::{Catalog, CatalogError, now};
use crate::{Principal, Right, random_hex};

/// Number of random bytes in a key: 40 hexadecimal digits, the length that every version of `wandb
/// login` accepts.
const KEY_BYTES: usize = 20;

/// Maximum length of a key's name in characters.
const MAX_NAME_CHARS: usize = 128;

/// A key as it is listed, without its secret. Only the owner has the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The id, with which the key can be revoked.
    pub id: String,
    /// The name.
    pub name: String,
    /// The entity that the key gives access to; `None` for all.
    pub entity: Option<String>,
    /// The maximum right that the key gives.
    pub right: Right,
    /// When the key was created.
    pub created_at: Timestamp,
    /// When the key was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Key {
    /// Returns the principal that the key authenticates.
    pub fn principal(&self) -> Principal {
        Principal { name: self.name.clone(), entity: self.entity.clone(), right: self.right }
    }
}

/// A newly created key. Its secret cannot be retrieved later.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The stored part of the key.
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
    /// Creates a key. Without an entity it gives access to all.
    pub async fn add_key(
        &self,
        name: &str,
        entity: Option<&str>,
        right: Right,
    ) -> Result<NewKey, CatalogError> {
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            let message = format!("a key's name must have 1 to {MAX_NAME_CHARS} characters");
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

    /// Revokes a key and ends every browser session that was started with it. Returns whether a
    /// valid key with this id existed.
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

    /// Returns a receiver that changes when this process revokes a key.
    pub fn revocations(&self) -> watch::Receiver<()> {
        self.0.revoked.subscribe()
    }

    /// Returns whether any valid key exists.
    pub async fn has_keys(&self) -> Result<bool, CatalogError> {
        self.read(|db| {
            let sql = "SELECT EXISTS (SELECT 1 FROM keys WHERE revoked_at IS NULL)";
            Ok(db.query_row(sql, [], |row| row.get(0))?)
        })
        .await
    }

    /// Returns whether a key with this id exists and was not revoked.
    pub async fn is_key_valid(&self, id: &str) -> Result<bool, CatalogError> {
        let id = id.to_owned();
        let key = self.read(move |db| key_where(db, "id = ?1 AND revoked_at IS NULL", id));
        Ok(key.await?.is_some())
    }

    /// Returns the key with the given secret, unless it was revoked.
    pub async fn key_of(&self, secret: &str) -> Result<Option<Key>, CatalogError> {
        let hash = hash(secret);
        self.read(move |db| key_where(db, "hash = ?1 AND revoked_at IS NULL", hash)).await
    }
}

const SELECT: &str = "SELECT id, name, entity, access, created_at, revoked_at FROM keys";

/// Returns the key that matches a condition. Keys are looked up by the hash of 160 random bits, so
/// the time of the lookup reveals nothing about other keys.
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

/// Hashes a secret. No salt is needed, since secrets are too long to be guessed.
pub(super) fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}
