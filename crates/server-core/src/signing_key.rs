//! The server's secret, which signs URLs and names the session cookie.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

use crate::{folder, hex, random_hex};

/// Name of the file with the secret, in the data folder.
const FILE_NAME: &str = "signing-key";

/// The number of hexadecimal digits of a secret.
const SECRET_DIGITS: usize = 120;

/// The server's secret. It survives restarts. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey {
    secret: Arc<[u8]>,
    cookie_name: Arc<str>,
}

impl SigningKey {
    /// Reads the secret in a folder, or creates one that only its owner can read. Also returns a
    /// problem for operators: why signed links and sessions ended.
    ///
    /// `is_new` says that this is the first start in the folder, so that a missing secret was not
    /// lost. A damaged file is moved aside. If the file cannot be read, it stays in its place, and a
    /// secret that lasts until the next start is used.
    ///
    /// Blocks.
    pub fn open(folder: &Path, is_new: bool) -> io::Result<(Self, Option<String>)> {
        let path = folder.join(FILE_NAME);
        let (secret, reason) = match read(&path) {
            Ok(Stored::Current(secret)) => {
                close_to_others(&path)?;
                return Ok((Self::new(secret), None));
            }
            Ok(Stored::Old(secret)) => {
                write(folder, &path, &secret)?;
                return Ok((Self::new(secret), None));
            }
            Ok(Stored::Damaged) => {
                let aside = format!("{FILE_NAME}-damaged-{}", random_hex(4));
                std::fs::rename(&path, folder.join(&aside))?;
                let reason = format!("the signing key was damaged and was moved to {aside}");
                (write_new(folder, &path)?, Some(reason))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let reason = (!is_new).then(|| "the signing key was missing".to_owned());
                (write_new(folder, &path)?, reason)
            }
            Err(error) => (new_secret(), Some(format!("the signing key cannot be read: {error}"))),
        };
        let problem = reason.map(|reason| format!("{reason}; signed links and sessions ended"));
        Ok((Self::new(secret), problem))
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

/// The content of the file with the secret.
enum Stored {
    Current(Vec<u8>),
    /// A secret without a checksum, as earlier versions wrote it.
    Old(Vec<u8>),
    Damaged,
}

/// The start of the file, before the secret and its checksum.
const HEADER: &str = "streamtable-signing-key-1";

fn read(path: &Path) -> io::Result<Stored> {
    if !std::fs::metadata(path)?.is_file() {
        return Ok(Stored::Damaged);
    }
    let bytes = std::fs::read(path)?;
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if bytes.len() == SECRET_DIGITS && bytes.iter().all(is_digit) {
        return Ok(Stored::Old(bytes));
    }
    let secret = std::str::from_utf8(&bytes).ok().and_then(|text| {
        let secret = text.strip_prefix(HEADER)?.split(' ').nth(1)?.as_bytes();
        (content(secret) == text).then(|| secret.to_vec())
    });
    Ok(secret.map_or(Stored::Damaged, Stored::Current))
}

/// Returns the content of the file for a secret.
fn content(secret: &[u8]) -> String {
    let checksum = hex(&Sha256::digest(secret)[..8]);
    format!("{HEADER} {} {checksum}\n", String::from_utf8_lossy(secret))
}

fn new_secret() -> Vec<u8> {
    format!("{}{}", random_hex(SECRET_DIGITS / 4), random_hex(SECRET_DIGITS / 4)).into_bytes()
}

fn write_new(folder: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let secret = new_secret();
    write(folder, path, &secret)?;
    Ok(secret)
}

fn write(folder: &Path, path: &Path, secret: &[u8]) -> io::Result<()> {
    let beside = folder.join(format!("{FILE_NAME}.new"));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    // The file may exist with another mode.
    close_to_others(&beside)?;
    file.write_all(content(secret).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(beside, path)?;
    // Without this, a power cut may restore the old file and thereby end every session.
    folder::sync(folder)
}

/// Makes sure that only the owner can read a file.
fn close_to_others(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let old = format_args!("{mode:04o}");
            tracing::warn!(file = FILE_NAME, mode = old, "other accounts could read the secret");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::open(folder.path(), true).unwrap().0;
        let signature = key.sign("message");
        assert!(key.verify("message", &signature));
        assert!(!key.verify("massage", &signature));
        for forged in ["", "0", "zz", "é", &"0".repeat(64), &signature[..62]] {
            assert!(!key.verify("message", forged), "{forged:?}");
        }

        // The secret is kept across restarts, and differs between servers.
        assert!(open(&folder).0.verify("message", &signature));
        let elsewhere = tempfile::tempdir().unwrap();
        let elsewhere = SigningKey::open(elsewhere.path(), true).unwrap().0;
        assert!(!elsewhere.verify("message", &signature));
        assert_ne!(elsewhere.cookie_name(), key.cookie_name());
    }

    fn open(folder: &tempfile::TempDir) -> (SigningKey, Option<String>) {
        SigningKey::open(folder.path(), false).unwrap()
    }

    #[test]
    fn damaged_secrets_are_replaced_and_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let (first, problem) = SigningKey::open(folder.path(), true).unwrap();
        assert_eq!(problem, None);
        let whole = std::fs::read(&path).unwrap();
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let mut damages: Vec<Vec<u8>> = vec![vec![], vec![0; 120], vec![b' '; 32]];
        damages.push(whole[..60].to_vec());
        damages.extend((0..whole.len()).step_by(7).map(flipped));
        for damaged in damages {
            std::fs::write(&path, &damaged).unwrap();
            let (key, problem) = open(&folder);
            let problem = problem.unwrap();
            assert!(problem.contains("signed links and sessions ended"), "{problem}");
            assert_ne!(key.cookie_name(), first.cookie_name(), "{damaged:?}");
            assert_eq!(open(&folder).1, None);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(open(&folder).1.unwrap().contains("missing"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(open(&folder).1.unwrap().contains("damaged"));
    }

    #[test]
    fn secrets_of_earlier_versions_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let secret = new_secret();
        std::fs::write(&path, &secret).unwrap();
        for _ in 0..2 {
            let (key, problem) = open(&folder);
            assert_eq!(problem, None);
            assert_eq!(key.cookie_name(), SigningKey::new(secret.clone()).cookie_name());
        }
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(HEADER));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_secret() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        open(&folder);
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        open(&folder);
        assert_eq!(mode(), 0o600);
    }
}
