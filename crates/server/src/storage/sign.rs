//! Addresses that carry their own permission.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Slot, encode};
use crate::catalog::{hex, random_hex};
use crate::{clock, folder};

/// Where the secret is, in the data folder.
const FILE_NAME: &str = "signing-key";

/// Signs addresses of files: for a while, and as long as the key that asked for it is not revoked,
/// an address needs no other permission.
#[derive(Clone)]
pub(crate) struct Signer {
    secret: Vec<u8>,
    cookie_name: String,
}

impl Signer {
    /// Reads the secret in a folder, or makes one there that only its owner can read.
    ///
    /// Blocks.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE_NAME);
        let secret = match std::fs::read(&path) {
            Ok(secret) if secret.len() >= 32 => secret,
            Ok(_) => write_new(folder, &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => write_new(folder, &path)?,
            Err(error) => return Err(error),
        };
        Ok(Self::new(secret))
    }

    fn new(secret: Vec<u8>) -> Self {
        let mut this = Self { secret, cookie_name: String::new() };
        // Servers on other ports of the same host share a browser's cookies.
        this.cookie_name = format!("streamtable_{}", &this.sign("COOKIE\n0\n")[..8]);
        this
    }

    /// Returns the name of the cookie of sessions here.
    pub(crate) fn cookie_name(&self) -> &str {
        &self.cookie_name
    }

    /// Returns the address below `base` under which a method is allowed for `lifetime`, on behalf
    /// of a key.
    pub(crate) fn url(
        &self,
        base: &str,
        method: &str,
        slot: &Slot,
        key_id: &str,
        lifetime: Duration,
    ) -> String {
        let expires = clock::unix_seconds().saturating_add(lifetime.as_secs());
        let signature = self.sign(&message(method, slot, key_id, expires));
        let path = encode(&slot.text());
        format!("{base}/storage/{path}?expires={expires}&key={key_id}&signature={signature}")
    }

    /// Returns whether a signature is right and has not expired. Takes the same time for every
    /// wrong one. Whether the key was revoked is for the caller to check.
    pub(super) fn allows(
        &self,
        method: &str,
        slot: &Slot,
        key_id: &str,
        expires: u64,
        signature: &str,
    ) -> bool {
        let mut mac = self.mac();
        mac.update(message(method, slot, key_id, expires).as_bytes());
        let Some(bytes) = unhex(signature) else { return false };
        let is_id = !key_id.is_empty() && key_id.bytes().all(|b| b.is_ascii_alphanumeric());
        is_id && mac.verify_slice(&bytes).is_ok() && expires >= clock::unix_seconds()
    }

    fn sign(&self, message: &str) -> String {
        let mut mac = self.mac();
        mac.update(message.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.secret).expect("a secret may have any length")
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// Unambiguous, because no part has a line feed.
fn message(method: &str, slot: &Slot, key_id: &str, expires: u64) -> String {
    format!("{method}\n{expires}\n{key_id}\n{}", slot.text())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok());
    pairs.collect()
}

fn write_new(folder: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let secret = format!("{}{}", random_hex(30), random_hex(30)).into_bytes();
    let beside = folder.join(format!("{FILE_NAME}.new"));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    std::fs::rename(beside, path)?;
    // Without this a power cut may bring the old name back, and end every session.
    folder::sync(folder)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (u64, String) {
        let (_, query) = url.split_once("?expires=").unwrap();
        let (expires, rest) = query.split_once("&key=k1&signature=").unwrap();
        (expires.parse().unwrap(), rest.to_owned())
    }

    #[test]
    fn signatures() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::open(folder.path()).unwrap();
        let slot = Slot::RunFile { run: 7, path: "a b/é.png".into() };
        let url = signer.url("http://h:1", "PUT", &slot, "k1", Duration::from_secs(60));
        assert!(url.starts_with("http://h:1/storage/run/7/a%20b/%C3%A9.png?expires="), "{url}");
        let (expires, signature) = parts(&url);
        assert!(signer.allows("PUT", &slot, "k1", expires, &signature));
        for key in ["k2", "", "k1\n", "k1\nrun"] {
            assert!(!signer.allows("PUT", &slot, key, expires, &signature), "{key:?}");
        }

        let other = Slot::RunFile { run: 7, path: "a b/e.png".into() };
        assert!(!signer.allows("PUT", &other, "k1", expires, &signature));
        assert!(!signer.allows("GET", &slot, "k1", expires, &signature));
        assert!(!signer.allows("PUT", &slot, "k1", expires + 1, &signature));
        for forged in ["", "0", "zz", "é", &"0".repeat(64), &signature[..62]] {
            assert!(!signer.allows("PUT", &slot, "k1", expires, forged));
        }
        let old = signer.sign(&message("PUT", &slot, "k1", 1));
        assert!(!signer.allows("PUT", &slot, "k1", 1, &old));

        // The secret outlives the process, and is not another server's.
        assert!(
            Signer::open(folder.path()).unwrap().allows("PUT", &slot, "k1", expires, &signature)
        );
        let elsewhere = tempfile::tempdir().unwrap();
        let elsewhere = Signer::open(elsewhere.path()).unwrap();
        assert!(!elsewhere.allows("PUT", &slot, "k1", expires, &signature));
        assert_ne!(elsewhere.cookie_name(), signer.cookie_name());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_secret() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Signer::open(folder.path()).unwrap();
        let metadata = std::fs::metadata(folder.path().join(FILE_NAME)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}
