//! The artifacts through which readers find tables.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use streamtable_schema::TablePath;
use streamtable_wire::{Manifest, md5_base64};

use crate::refusal::Refusal;

#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) table: TablePath,
    pub(crate) digest: String,
    /// The number of the version, once the artifact is committed.
    pub(crate) version: Option<u64>,
    /// The files in the order of their paths.
    files: BTreeMap<String, AnnouncedFile>,
    manifest: Option<AnnouncedFile>,
    /// Whether a manifest was requested, even one without content.
    pub(crate) has_manifest: bool,
}

#[derive(Debug)]
struct AnnouncedFile {
    md5: String,
    bytes: Option<Bytes>,
}

/// Returns the id that clients use for an artifact.
pub(crate) fn id(number: usize) -> String {
    format!("QXJ0aWZhY3Q6{number}")
}

/// Returns the number of the artifact with this id.
pub(crate) fn number(id: &str) -> Option<usize> {
    let number = id.strip_prefix("QXJ0aWZhY3Q6")?.parse().ok()?;
    (id == self::id(number)).then_some(number)
}

impl Artifact {
    pub(crate) fn new(table: TablePath, digest: String) -> Self {
        Self {
            table,
            digest,
            version: None,
            files: BTreeMap::new(),
            manifest: None,
            has_manifest: false,
        }
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.version.is_some()
    }

    /// Records a file and returns whether its bytes are still missing.
    pub(crate) fn announce(&mut self, path: &str, md5: &str) -> Result<bool, Refusal> {
        check_path(path)?;
        check_md5(md5)?;
        if let Some(file) = self.files.get(path) {
            if file.md5 != md5 {
                return Err(Refusal::bad(format!("{path:?} was announced with another digest")));
            }
            return Ok(file.bytes.is_none());
        }
        if self.is_committed() {
            return Err(Refusal::bad("the artifact is committed, no file can be added"));
        }
        self.files.insert(path.to_owned(), AnnouncedFile { md5: md5.to_owned(), bytes: None });
        Ok(true)
    }

    /// Records the manifest.
    pub(crate) fn announce_manifest(&mut self, md5: &str) -> Result<(), Refusal> {
        check_md5(md5)?;
        match &self.manifest {
            Some(manifest) if manifest.md5 == md5 => {}
            Some(_) if self.is_committed() => {
                return Err(Refusal::bad("the artifact is committed with another manifest"));
            }
            _ => self.manifest = Some(AnnouncedFile { md5: md5.to_owned(), bytes: None }),
        }
        Ok(())
    }

    pub(crate) fn put(&mut self, path: &str, bytes: Bytes) -> Result<(), Refusal> {
        match self.files.get_mut(path) {
            Some(file) => file.put(path, bytes),
            None => Err(Refusal::bad(format!("{path:?} was never announced"))),
        }
    }

    pub(crate) fn put_manifest(&mut self, md5: &str, bytes: Bytes) -> Result<(), Refusal> {
        match &mut self.manifest {
            Some(manifest) if manifest.md5 == md5 => manifest.put("the manifest", bytes),
            _ => Err(Refusal::bad("another manifest has been announced")),
        }
    }

    pub(crate) fn file(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path)?.bytes.as_ref()
    }

    pub(crate) fn manifest(&self) -> Option<&Bytes> {
        self.manifest.as_ref()?.bytes.as_ref()
    }

    /// Checks that everything was uploaded and that every digest is correct.
    pub(crate) fn check_whole(&self, own_id: &str) -> Result<(), Refusal> {
        let incomplete = |what: &str| Refusal::bad(format!("the artifact lacks {what}"));
        let Some(bytes) = self.manifest() else { return Err(incomplete("its manifest")) };
        let manifest: Manifest = serde_json::from_slice(bytes)
            .map_err(|error| Refusal::bad(format!("the manifest cannot be read: {error}")))?;
        let form = (manifest.version, &*manifest.storage_policy);
        if form != (1, "wandb-storage-policy-v1")
            || manifest.storage_policy_config.storage_layout != "V2"
        {
            return Err(Refusal::bad("the manifest has an unknown form"));
        }
        let mut text = "wandb-artifact-manifest-v1\n".to_owned();
        for (path, file) in &self.files {
            let Some(bytes) = &file.bytes else { return Err(incomplete(path)) };
            let entry = manifest.contents.get(path);
            let is_described = entry.is_some_and(|entry| {
                entry.digest == file.md5
                    && entry.size == bytes.len() as u64
                    && entry.birth_artifact_id.as_deref() == Some(own_id)
            });
            if !is_described {
                return Err(Refusal::bad(format!("the manifest does not describe {path:?}")));
            }
            text += &format!("{path}:{}\n", file.md5);
        }
        if manifest.contents.len() != self.files.len() {
            return Err(Refusal::bad("the manifest names a file that was never announced"));
        }
        if hex_md5(&text) != self.digest {
            return Err(Refusal::bad("the artifact's digest does not match its files"));
        }
        Ok(())
    }
}

impl AnnouncedFile {
    fn put(&mut self, what: &str, bytes: Bytes) -> Result<(), Refusal> {
        if md5_base64(&bytes) != self.md5 {
            return Err(Refusal::bad(format!("the bytes of {what} do not match its digest")));
        }
        self.bytes = Some(bytes);
        Ok(())
    }
}

/// Refuses a path that is invalid or leads out of its folder.
pub(crate) fn check_path(path: &str) -> Result<(), Refusal> {
    let is_odd = |segment: &str| matches!(segment, "" | "." | "..");
    if path.split('/').any(is_odd) || path.contains(|c: char| c.is_control() || c == '\\') {
        return Err(Refusal::bad(format!("{path:?} is not the path of a file")));
    }
    Ok(())
}

fn check_md5(md5: &str) -> Result<(), Refusal> {
    match BASE64_STANDARD.decode(md5) {
        Ok(bytes) if bytes.len() == 16 => Ok(()),
        _ => Err(Refusal::bad(format!("{md5:?} is not the base64 of an MD5"))),
    }
}

fn hex_md5(text: &str) -> String {
    let md5 = BASE64_STANDARD.decode(md5_base64(text.as_bytes())).unwrap_or_default();
    md5.iter().map(|byte| format!("{byte:02x}")).collect()
}
