//! The server's secret, which signs URLs and names the session cookie.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{folder, hex, random_hex};

/// Name of the file with the secret, in the data folder.
const FILE_NAME: &str = "signing-key";

/// The server's secret. It survives restarts. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey {
    secret: Arc<[u8]>,
    cookie_name: Arc<str>,
}

impl SigningKey {
    /// Reads the secret in a folder, or creates one that only its owner can read.
    ///
    /// Blocks.
    pub fn open(folder: &Path) -> io::Result<Self> {
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
        let mut this = Self { secret: secret.into(), cookie_name: Arc::from("") };
        // Servers on other ports of the same host share a browser's cookies.
        this.cookie_name = format!("streamtable_{}", &this.sign("COOKIE\n0\n")[..8]).into();
        this
    }

    /// Returns the name of this server's session cookie.
    pub fn cookie_name(&self) -> &str {
        &self.cookie_name
    }

    /// Returns the signature of a message, as hexadecimal digits.
    pub fn sign(&self, message: &str) -> String {
        let mut mac = self.mac();
        mac.update(message.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// Returns whether a text is the signature of a message. Takes the same time for every invalid
    /// one.
    pub fn verify(&self, message: &str, signature: &str) -> bool {
        let mut mac = self.mac();
        mac.update(message.as_bytes());
        unhex(signature).is_some_and(|bytes| mac.verify_slice(&bytes).is_ok())
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.secret).expect("a secret may have any length")
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
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
    // Without this, a power cut may restore the old file and thereby end every session.
    folder::sync(folder)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::open(folder.path()).unwrap();
        let signature = key.sign("message");
        assert!(key.verify("message", &signature));
        assert!(!key.verify("massage", &signature));
        for forged in ["", "0", "zz", "é", &"0".repeat(64), &signature[..62]] {
            assert!(!key.verify("message", forged), "{forged:?}");
        }

        // The secret is kept across restarts, and differs between servers.
        assert!(SigningKey::open(folder.path()).unwrap().verify("message", &signature));
        let elsewhere = tempfile::tempdir().unwrap();
        let elsewhere = SigningKey::open(elsewhere.path()).unwrap();
        assert!(!elsewhere.verify("message", &signature));
        assert_ne!(elsewhere.cookie_name(), key.cookie_name());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_secret() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        SigningKey::open(folder.path()).unwrap();
        let metadata = std::fs::metadata(folder.path().join(FILE_NAME)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}
