//! Browser sessions and login links.

use std::time::Duration;

use rusqlite::params;

use super::keys::{hash, key_where};
use super::{Catalog, CatalogError, Key, now};
use crate::random_hex;

/// Number of random bytes in a token.
const TOKEN_BYTES: usize = 30;

impl Catalog {
    /// Starts a browser session for the owner of a key, and returns the session's token.
    pub async fn begin_session(
        &self,
        key: &Key,
        lifetime: Duration,
    ) -> Result<String, CatalogError> {
        self.new_token(key, false, lifetime).await
    }

    /// Creates the token of a login link. The link starts one session for the owner of a key,
    /// before it expires.
    pub async fn login_token(&self, key: &Key, lifetime: Duration) -> Result<String, CatalogError> {
        self.new_token(key, true, lifetime).await
    }

    async fn new_token(
        &self,
        key: &Key,
        is_link: bool,
        lifetime: Duration,
    ) -> Result<String, CatalogError> {
        let token = random_hex(TOKEN_BYTES);
        let (hash, key_id) = (hash(&token), key.id.clone());
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        self.write(move |db| {
            let now = now();
            db.execute("DELETE FROM sessions WHERE expires_at <= ?1", [now])?;
            db.execute(
                "INSERT INTO sessions (hash, key_id, is_link, expires_at) VALUES (?1, ?2, ?3, ?4)",
                params![hash, key_id, is_link, now.saturating_add(lifetime)],
            )?;
            Ok(())
        })
        .await?;
        Ok(token)
    }

    /// Returns the key with which a session was started.
    pub async fn key_of_session(&self, token: &str) -> Result<Option<Key>, CatalogError> {
        self.key_of_token(token, false).await
    }

    async fn key_of_token(&self, token: &str, is_link: bool) -> Result<Option<Key>, CatalogError> {
        let hash = hash(token);
        self.read(move |db| {
            let now = now();
            let condition = format!(
                "revoked_at IS NULL AND id = (SELECT key_id FROM sessions
                 WHERE hash = ?1 AND is_link = {is_link} AND expires_at > {now})"
            );
            key_where(db, &condition, hash)
        })
        .await
    }

    /// Returns the key of a login token, without using the token up.
    pub async fn key_of_login_token(&self, token: &str) -> Result<Option<Key>, CatalogError> {
        self.key_of_token(token, true).await
    }

    /// Uses up a login token, and returns its key.
    pub async fn use_login_token(&self, token: &str) -> Result<Option<Key>, CatalogError> {
        let hash = hash(token);
        self.write(move |db| {
            let mut query = db.prepare_cached(
                "DELETE FROM sessions WHERE hash = ?1 AND is_link = 1
                 RETURNING key_id, expires_at > ?2",
            )?;
            let mut rows = query.query(params![hash, now()])?;
            let found: Option<(String, bool)> = match rows.next()? {
                Some(row) => Some((row.get(0)?, row.get(1)?)),
                None => None,
            };
            match found {
                Some((key_id, true)) => key_where(db, "id = ?1 AND revoked_at IS NULL", key_id),
                _ => Ok(None),
            }
        })
        .await
    }

    /// Ends a session.
    pub async fn end_session(&self, token: &str) -> Result<(), CatalogError> {
        let hash = hash(token);
        self.write(move |db| {
            db.execute("DELETE FROM sessions WHERE hash = ?1 AND is_link = 0", [hash])?;
            Ok(())
        })
        .await
    }
}
