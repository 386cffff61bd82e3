//! Signed URLs.

use std::time::Duration;

use streamtable_server_core::{SigningKey, clock};

use super::{Slot, encode};

/// Signs URLs of files. Until it expires or the key that requested it is revoked, a signed URL
/// needs no other permission.
#[derive(Debug)]
pub(crate) struct Signer<'a> {
    key: &'a SigningKey,
}

impl<'a> Signer<'a> {
    pub(crate) fn new(key: &'a SigningKey) -> Self {
        Self { key }
    }

    /// Returns a URL below `base` that allows a method for `lifetime`, on behalf of a key.
    pub(crate) fn url(
        &self,
        base: &str,
        method: &str,
        slot: &Slot,
        key_id: &str,
        lifetime: Duration,
    ) -> String {
        let expires = clock::unix_seconds().saturating_add(lifetime.as_secs());
        let signature = self.key.sign(&message(method, slot, key_id, expires));
        let path = encode(&slot.text());
        format!("{base}/storage/{path}?expires={expires}&key={key_id}&signature={signature}")
    }

    /// Returns whether a signature is valid and has not expired. Takes the same time for every
    /// invalid one. The caller must check whether the key was revoked.
    pub(super) fn allows(
        &self,
        method: &str,
        slot: &Slot,
        key_id: &str,
        expires: u64,
        signature: &str,
    ) -> bool {
        let is_valid = self.key.verify(&message(method, slot, key_id, expires), signature);
        let is_id = !key_id.is_empty() && key_id.bytes().all(|b| b.is_ascii_alphanumeric());
        is_id && is_valid && expires >= clock::unix_seconds()
    }
}

/// The message is unambiguous, because no part contains a line feed.
fn message(method: &str, slot: &Slot, key_id: &str, expires: u64) -> String {
    format!("{method}\n{expires}\n{key_id}\n{}", slot.text())
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
        let key = SigningKey::open(folder.path(), true).unwrap().0;
        let signer = Signer::new(&key);
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
        let old = key.sign(&message("PUT", &slot, "k1", 1));
        assert!(!signer.allows("PUT", &slot, "k1", 1, &old));
    }
}
