//! The artifact through which readers find a table: two small files and their manifest (protocol
//! notes §11).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

use crate::media_file::hex;
use crate::{Json, python_json};

/// The type of the artifact and of the object inside it.
pub const STREAM_TABLE_TYPE: &str = "stream_table";

/// The file name of an artifact's manifest.
pub const MANIFEST_NAME: &str = "wandb_manifest.json";

/// The artifact's metadata, as JSON text.
pub const STREAM_TABLE_METADATA: &str =
    r#"{"_weave_meta": {"is_weave_obj": true, "type_name": "stream_table", "is_panel": false}}"#;

/// The artifact of one table, in the form that weave 0.50 writes. The same table always gives the
/// same bytes and digests, whichever client creates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTableArtifact {
    /// The files, sorted by path.
    pub files: [ArtifactFile; 2],
    /// The digest of the whole artifact: 32 hexadecimal digits.
    pub digest: String,
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Its path inside the artifact.
    pub path: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The base64 of the MD5 of its bytes.
    pub digest: String,
}

impl StreamTableArtifact {
    /// Makes the artifact of a table.
    pub fn new(table: &TablePath) -> Self {
        let names = [
            ("table_name", table.table()),
            ("project_name", table.project()),
            ("entity_name", table.entity()),
        ];
        let object = names.map(|(key, name)| (key.to_owned(), Json::String(name.to_owned())));
        let object = Json::Object(object.to_vec());
        let files = [
            ArtifactFile::new("obj.object.json", python_json::to_string(&object)),
            ArtifactFile::new("obj.type.json", OBJECT_TYPE.to_owned()),
        ];
        let mut md5 = Md5::new();
        md5.update("wandb-artifact-manifest-v1\n");
        for file in &files {
            md5.update(format!("{}:{}\n", file.path, file.digest));
        }
        Self { files, digest: hex(&md5.finalize()) }
    }

    /// Writes the manifest, once the server has returned the id of the artifact that first had the
    /// files.
    ///
    /// Returns its bytes and the base64 of their MD5.
    pub fn manifest(&self, birth_artifact_id: &str) -> (Vec<u8>, String) {
        let contents = self.files.iter().map(|file| {
            let entry = ManifestEntry {
                digest: file.digest.clone(),
                birth_artifact_id: Some(birth_artifact_id.to_owned()),
                size: file.bytes.len() as u64,
            };
            (file.path.to_owned(), entry)
        });
        let manifest = Manifest {
            version: 1,
            storage_policy: "wandb-storage-policy-v1".to_owned(),
            storage_policy_config: StoragePolicyConfig { storage_layout: "V2".to_owned() },
            contents: contents.collect(),
        };
        let bytes =
            serde_json::to_vec(&manifest).expect("writing a manifest to a vector cannot fail");
        let digest = md5_base64(&bytes);
        (bytes, digest)
    }
}

impl ArtifactFile {
    fn new(path: &'static str, text: String) -> Self {
        Self { path, digest: md5_base64(text.as_bytes()), bytes: text.into_bytes() }
    }
}

const OBJECT_TYPE: &str = r#"{"type": "stream_table", "_base_type": {"type": "Object"}, "_relocatable": true, "_is_object": true, "table_name": "string", "project_name": "string", "entity_name": "string"}"#;

/// An artifact's manifest: the list of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The version of the format: 1.
    pub version: u32,
    /// How files are stored.
    pub storage_policy: String,
    /// Parameters of the storage policy.
    pub storage_policy_config: StoragePolicyConfig,
    /// The files, by path.
    pub contents: std::collections::BTreeMap<String, ManifestEntry>,
}

/// The layout in which an artifact's files are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoragePolicyConfig {
    /// `V1` or `V2`.
    pub storage_layout: String,
}

/// A file in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestEntry {
    /// The base64 of the MD5 of its bytes.
    pub digest: String,
    /// The artifact that first had the file.
    #[serde(rename = "birthArtifactID", skip_serializing_if = "Option::is_none")]
    pub birth_artifact_id: Option<String>,
    /// Its length in bytes.
    pub size: u64,
}

/// Returns the base64 of the MD5 of some bytes, which the protocol uses as content digest.
pub fn md5_base64(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected text and digests were computed with Python's `json` and `hashlib` from the
    /// protocol notes, without this code.
    #[track_caller]
    fn check(table: [&str; 3], object: &str, file: &str, digest: &str, manifest: &str) {
        let [entity, project, table] = table;
        let artifact = StreamTableArtifact::new(&TablePath::new(entity, project, table).unwrap());
        let [first, second] = &artifact.files;
        assert_eq!(first.path, "obj.object.json");
        assert_eq!(std::str::from_utf8(&first.bytes), Ok(object));
        assert_eq!(first.digest, file);
        assert_eq!(second.path, "obj.type.json");
        assert_eq!(second.bytes.len(), 175);
        assert_eq!(second.digest, "sOdTwwLkzSvMIhHBm/rugw==");
        assert_eq!(artifact.digest, digest);
        let (bytes, manifest_digest) = artifact.manifest("birth");
        assert_eq!(manifest_digest, manifest);
        let manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(manifest.contents["obj.object.json"].size, first.bytes.len() as u64);
        assert_eq!(serde_json::to_vec(&manifest).unwrap(), bytes);
    }

    #[test]
    fn artifacts() {
        check(
            ["stacey", "mesa", "my_stream_table"],
            r#"{"table_name": "my_stream_table", "project_name": "mesa", "entity_name": "stacey"}"#,
            "jgRU/fUJWyjHKGpD2HQLbg==",
            "31f2decb5d046c56ca027276cfb9a98e",
            "guHzYGh4KGycIZdU4icSaQ==",
        );
        check(
            ["me", "été '😀", "t"],
            r#"{"table_name": "t", "project_name": "\u00e9t\u00e9 '\ud83d\ude00", "entity_name": "me"}"#,
            "8oHAEy2epvqRQHreN2ZgGg==",
            "8cff39f2d7cbd8b9e531a1d3c9de28ce",
            "0eNXqHYOicuPv4Gc4oYaaw==",
        );
    }

    #[test]
    fn bytes() {
        let table = TablePath::new("stacey", "mesa", "my_stream_table").unwrap();
        let artifact = StreamTableArtifact::new(&table);
        let [object, ty] = &artifact.files;
        let (manifest, digest) = artifact.manifest("QXJ0aWZhY3Q6MQ==");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        insta::assert_snapshot!(
            [
                format!("{} {}\n{}", object.path, object.digest, text(&object.bytes)),
                format!("{} {}\n{}", ty.path, ty.digest, text(&ty.bytes)),
                format!("{MANIFEST_NAME} {digest}\n{}", text(&manifest)),
                format!("artifact {}\n{STREAM_TABLE_METADATA}", artifact.digest),
            ]
            .join("\n\n")
        );
        assert_eq!(digest, "epM/pHUNixTc8lkOsnXNIw==");
    }

    /// A manifest as the Go core writes it.
    #[test]
    fn foreign_manifest() {
        let text = r#"{"version":1,"storagePolicy":"wandb-storage-policy-v1","storagePolicyConfig":{"storageLayout":"V1"},"contents":{"t.table.json":{"digest":"d","size":3,"local_path":"/x","skip_cache":false}}}"#;
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        assert_eq!(manifest.contents["t.table.json"].birth_artifact_id, None);
    }
}
