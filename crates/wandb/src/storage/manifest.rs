//! Merging of artifact manifests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use streamtable_server_core::CatalogError;

use crate::catalog::{Id, Kind, ManifestFile, ManifestKind};

/// Maximum size of a manifest in bytes.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// The result of merging an artifact's manifests.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    /// The manifest of the complete artifact.
    pub(crate) bytes: Vec<u8>,
    pub(crate) files: Vec<ManifestFile>,
    pub(crate) file_count: i64,
    pub(crate) size: i64,
}

/// A manifest, as far as the server parses it. All other fields are preserved.
#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(default)]
    contents: BTreeMap<String, Map<String, Value>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Merges the manifests of an artifact. If its last manifest is not a full one, the result is the
/// base version's manifest with the artifact's own manifests applied in order.
pub(crate) fn merge(
    base: Option<&[u8]>,
    own: &[(ManifestKind, bytes::Bytes)],
) -> Result<Merged, CatalogError> {
    let Some((last_kind, last)) = own.last() else {
        return Err(CatalogError::refused("the artifact has no manifest"));
    };
    let is_whole = *last_kind == ManifestKind::Full;
    let mut whole = parse(last)?;
    if !is_whole {
        let mut contents = match base {
            Some(base) => parse(base)?.contents,
            None => BTreeMap::new(),
        };
        for (_, bytes) in own {
            contents.extend(parse(bytes)?.contents);
        }
        whole.contents = contents;
    }
    let mut files = Vec::new();
    let mut size = 0_i64;
    for (name, entry) in &whole.contents {
        size = size.saturating_add(entry.get("size").and_then(Value::as_i64).unwrap_or(0));
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        // Referenced files are stored elsewhere.
        if let (Some(md5), None) = (text("digest"), text("ref")) {
            files.push(ManifestFile {
                name: name.clone(),
                md5: md5.to_owned(),
                birth_id: text("birthArtifactID").and_then(|id| Id::parse(Kind::Artifact, id)),
            });
        }
    }
    let bytes = if is_whole {
        last.to_vec()
    } else {
        serde_json::to_vec(&whole).map_err(|e| CatalogError::refused(e.to_string()))?
    };
    let file_count = i64::try_from(whole.contents.len()).unwrap_or(i64::MAX);
    Ok(Merged { bytes, files, file_count, size })
}

/// A file that a manifest lists, but whose content is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) address: String,
    /// Whatever identifies the content at its address, such as an ETag.
    pub(crate) digest: String,
    pub(crate) size: i64,
}

/// Returns the references of a manifest.
pub(crate) fn references(manifest: &[u8]) -> Result<Vec<Reference>, CatalogError> {
    let contents = parse(manifest)?.contents.into_iter();
    let references = contents.filter_map(|(name, entry)| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Reference {
            address: text("ref")?,
            digest: text("digest").unwrap_or_default(),
            size: entry.get("size").and_then(Value::as_i64).unwrap_or(0),
            name,
        })
    });
    Ok(references.collect())
}

/// Returns whether a manifest describes the same files as the complete one of its artifact, or if it
/// is not a full manifest, some of them.
pub(crate) fn is_same(
    whole: &[u8],
    kind: ManifestKind,
    manifest: &[u8],
) -> Result<bool, CatalogError> {
    let (whole, found) = (parse(whole)?.contents, parse(manifest)?.contents);
    let is_known = |(name, entry): (&String, &Map<String, Value>)| {
        whole.get(name).is_some_and(|known| {
            ["digest", "ref"].iter().all(|key| known.get(*key) == entry.get(*key))
        })
    };
    let has_all = kind != ManifestKind::Full || found.len() == whole.len();
    Ok(has_all && found.iter().all(is_known))
}

fn parse(bytes: &[u8]) -> Result<Document, CatalogError> {
    serde_json::from_slice(bytes)
        .map_err(|error| CatalogError::refused(format!("invalid manifest: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(entries: &[(&str, &str, u64)]) -> bytes::Bytes {
        let contents: Vec<String> = entries
            .iter()
            .map(|(name, md5, size)| format!(r#""{name}":{{"digest":"{md5}","size":{size}}}"#))
            .collect();
        format!(r#"{{"version":1,"contents":{{{}}}}}"#, contents.join(",")).into()
    }

    fn names(merged: &Merged) -> Vec<(&str, &str)> {
        merged.files.iter().map(|file| (file.name.as_str(), file.md5.as_str())).collect()
    }

    #[test]
    fn manifests_are_merged() {
        use ManifestKind::{Full, Incremental, Patch};
        let (a, b) = (manifest(&[("a", "1", 3), ("b", "2", 4)]), manifest(&[("b", "3", 5)]));
        let whole = merge(None, &[(Full, a.clone())]).unwrap();
        assert_eq!((names(&whole), whole.size), (vec![("a", "1"), ("b", "2")], 7));
        assert_eq!(whole.bytes, a);
        let more = merge(Some(&a), &[(Incremental, b.clone())]).unwrap();
        assert_eq!((names(&more), more.size), (vec![("a", "1"), ("b", "3")], 8));
        assert!(String::from_utf8_lossy(&more.bytes).contains(r#""version":1"#));
        let patched = merge(None, &[(Patch, a.clone()), (Patch, b.clone())]).unwrap();
        assert_eq!(names(&patched), [("a", "1"), ("b", "3")]);
        let full = merge(Some(&a), &[(Full, b)]).unwrap();
        assert_eq!(names(&full), [("b", "3")]);
        assert!(merge(None, &[]).is_err());
        assert!(merge(None, &[(Full, "x".into())]).is_err());
    }

    #[test]
    fn manifests_of_the_same_files_are_the_same() {
        use ManifestKind::{Full, Patch};
        #[track_caller]
        fn check(kind: ManifestKind, entries: &[(&str, &str, u64)], expected: bool) {
            let whole = manifest(&[("a", "1", 3), ("b", "2", 4)]);
            assert_eq!(is_same(&whole, kind, &manifest(entries)).unwrap(), expected);
        }
        check(Full, &[("b", "2", 4), ("a", "1", 3)], true);
        check(Full, &[("a", "1", 3)], false);
        check(Patch, &[("a", "1", 3)], true);
        check(Patch, &[("a", "2", 3)], false);
        check(Patch, &[("c", "1", 3)], false);
    }

    #[test]
    fn only_references_have_an_address() {
        let manifest = br#"{"contents":{"a":{"digest":"1","size":3},
            "b":{"digest":"2","ref":"s3://c/b","size":5}}}"#;
        let reference = Reference {
            name: "b".to_owned(),
            address: "s3://c/b".to_owned(),
            digest: "2".to_owned(),
            size: 5,
        };
        assert_eq!(references(manifest).unwrap(), [reference]);
    }
}
