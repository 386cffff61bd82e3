//! Browser sessions, and links that open one.

use std::time::Duration;

use rusqlite::params;

use super::keys::{hash, key_where, random_hex};
use super::{Catalog, CatalogError, Key, now};

/// How many bytes of chance are in a token.
const TOKEN_BYTES: usize = 30;

impl Catalog {
    /// Begins a browser session for a key's owner, and returns the token that the browser keeps.
    pub(crate) async fn begin_session(
        &self,
        key: &Key,
        lifetime: Duration,
    ) -> Result<String, CatalogError> {
        self.new_token(key, false, lifetime).await
    }

    /// Makes the token of a link that opens one session for a key's owner, once, before it
    /// expires.
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

    /// Finds the key with which a session began.
    pub(crate) async fn key_of_session(&self, token: &str) -> Result<Option<Key>, CatalogError> {
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

    /// Finds the key of a link's token, which stays usable.
    pub(crate) async fn key_of_login_token(
        &self,
        token: &str,
    ) -> Result<Option<Key>, CatalogError> {
        self.key_of_token(token, true).await
    }

    /// Takes the token of a link, which opens nothing from then on.
    pub(crate) async fn use_login_token(&self, token: &str) -> Result<Option<Key>, CatalogError> {
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
    pub(crate) async fn end_session(&self, token: &str) -> Result<(), CatalogError> {
        let hash = hash(token);
        self.write(move |db| {
            db.execute("DELETE FROM sessions WHERE hash = ?1 AND is_link = 0", [hash])?;
            Ok(())
        })
        .await
    }
}
