//! Damage in the store is reported, and costs no other table.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::{Running, send};

/// Returns the Parquet files of rows below a folder.
fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(parquet_files(&path));
        } else if path.extension().is_some_and(|it| it == "parquet") {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_file_is_reported_and_its_table_can_be_read() {
    let mut server = Running::start().await;
    for table in ["me/p/good", "me/p/bad"] {
        server.append(table, "{\"a\":1}\n{\"a\":2}").await;
    }
    let url = format!("{}/readyz", server.url);
    let ready = send("GET", &url, &[], "").await;
    assert_eq!((ready.status, &ready.json()["tables_with_problems"]), (200, &0.into()));
    server.stop().await;
    for file in parquet_files(&server.folder.path().join("store/tables/me/p/bad")) {
        fs::remove_file(file).unwrap();
    }
    server.restart().await;

    let rows = server.get("/api/tables/me/p/bad/rows").await;
    assert_eq!(rows.status, 200, "{}", rows.text());
    let url = format!("{}/readyz", server.url);
    let ready = send("GET", &url, &[], "").await;
    let expected = json!({
        "ready": true, "problems": [],
        "tables_with_problems": 1, "store_problems": { "file_lost": 1 },
    });
    assert_eq!((ready.status, ready.json()), (200, expected));
    let tables = server.get("/api/tables").await.json();
    let tables = tables["tables"].as_array().unwrap();
    let [bad, good] = &tables[..] else { panic!("{tables:?}") };
    assert_eq!((&bad["rows"], &bad["problems"][0]["kind"]), (&0.into(), &"file_lost".into()));
    assert_eq!(bad["problems"][0]["rows"], 2);
    assert_eq!((&good["rows"], good.get("problems")), (&2.into(), None));
}

/// Announces a run's media file, and returns its upload URL unless the server has the file.
async fn announce(server: &Running, path: &str) -> Option<String> {
    let query = "mutation F($files: [String!]!) { createRunFiles(input: {entityName: \"me\",
        projectName: \"p\", runName: \"r\", files: $files}) { runID uploadHeaders
        files { name uploadUrl } } }";
    let data = server.ask(query, json!({ "files": [path] })).await;
    data["createRunFiles"]["files"][0]["uploadUrl"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_damaged_media_file_is_reported_and_can_be_uploaded_again() {
    const SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let damages: [fn(&Path); 3] = [
        |path| fs::write(path, "jello").unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let path = format!("media/images/{SHA256}.png");
    for damage in damages {
        let url = announce(&server, &path).await.unwrap();
        assert_eq!(send("PUT", &url, &[], "hello").await.status, 200);
        assert_eq!(announce(&server, &path).await, None);
        let ready = format!("{}/readyz", server.url);
        assert_eq!(send("GET", &ready, &[], "").await.json()["store_problems"], json!({}));

        damage(&server.folder.path().join("files").join(&SHA256[..2]).join(SHA256));
        assert_eq!(server.get(&format!("/files/me/p/r/{path}")).await.status, 404);
        let problems = &send("GET", &ready, &[], "").await.json()["store_problems"];
        assert_eq!(*problems, json!({ "media_lost": 1 }));
    }
}

const MANIFEST: &str = r#"{"version":1,"contents":{"a.txt":{"digest":"XUFAKrxLKna5cZ2REBfFkg==",
    "size":5},"b.txt":{"digest":"fXkwN6B2AYZXSwKC8vQ15w==","size":5}}}"#;

const COMMIT: &str = "mutation { commitArtifact(input: {artifactID: \"QXJ0aWZhY3Q6MQ==\"})
    { artifact { state versionIndex } } }";

/// The MD5 of the manifest.
const MD5: &str = "U75GODzvf/4gSPVmiIG3BQ==";

/// Announces a manifest of the artifact with the id 1, and uploads it.
async fn upload_manifest(server: &Running, md5: &str, manifest: String) {
    let announce = "mutation M($digest: String!) { createArtifactManifest(input:
        {artifactID: \"QXJ0aWZhY3Q6MQ==\", name: \"m.json\", digest: $digest})
        { artifactManifest { file { uploadUrl } } } }";
    let file = server.ask(announce, json!({ "digest": md5 })).await;
    let file = &file["createArtifactManifest"]["artifactManifest"]["file"];
    let stored = send("PUT", file["uploadUrl"].as_str().unwrap(), &[], manifest).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
}

/// Logs an artifact with two files as W&B's clients do: a file is uploaded only if the server asks
/// for it. Returns whether the artifact was committed before, and the names of the uploaded files.
async fn log_artifact(server: &Running, is_first: bool) -> (bool, Vec<String>) {
    let create = "mutation { createArtifact(input: {entityName: \"me\", projectName: \"p\",
        artifactTypeName: \"data\", artifactCollectionName: \"c\", digest: \"d\",
        enableDigestDeduplication: true}) { artifact { id state } } }";
    let made = server.ask(create, json!({})).await["createArtifact"]["artifact"].clone();
    if made["state"] == "COMMITTED" {
        return (true, Vec::new());
    }
    assert_eq!(made["state"], "PENDING");
    let mut uploaded = Vec::new();
    // A repeated manifest describes the same files, but need not have the same bytes.
    let manifest = if is_first { MANIFEST.to_owned() } else { format!("{MANIFEST}\n") };
    upload_manifest(server, if is_first { MD5 } else { "ebqU5JqY8FJlcu8lUn0PWQ==" }, manifest)
        .await;
    let specs = [("a.txt", "XUFAKrxLKna5cZ2REBfFkg=="), ("b.txt", "fXkwN6B2AYZXSwKC8vQ15w==")]
        .map(|(name, md5)| json!({ "artifactID": made["id"], "name": name, "md5": md5 }));
    let files = "mutation F($files: [CreateArtifactFileSpecInput!]!) { createArtifactFiles(input:
        {artifactFiles: $files}) { files { edges { node { name uploadUrl } } } } }";
    let files = server.ask(files, json!({ "files": specs })).await["createArtifactFiles"].clone();
    for edge in files["files"]["edges"].as_array().unwrap() {
        let Some(url) = edge["node"]["uploadUrl"].as_str() else { continue };
        let name = edge["node"]["name"].as_str().unwrap();
        let content = if name == "a.txt" { "hello" } else { "world" };
        assert_eq!(send("PUT", url, &[], content).await.status, 200);
        uploaded.push(name.to_owned());
    }
    let done = server.ask(COMMIT, json!({})).await["commitArtifact"].clone();
    assert_eq!(done["artifact"], json!({ "state": "COMMITTED", "versionIndex": 0 }));
    (false, uploaded)
}

#[tokio::test]
async fn a_damaged_artifact_file_is_reported_and_can_be_uploaded_again() {
    const A: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    const B: &str = "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7";
    let damages: [fn(&Path, &Path); 5] = [
        |a, _| fs::remove_file(a).unwrap(),
        |a, _| fs::write(a, "").unwrap(),
        |a, _| fs::write(a, "hell").unwrap(),
        |a, _| fs::write(a, "hellO").unwrap(),
        |a, b| {
            let kept = a.with_extension("kept");
            fs::rename(a, &kept).unwrap();
            fs::rename(b, a).unwrap();
            fs::rename(kept, b).unwrap();
        },
    ];
    let mut server = Running::start().await;
    assert_eq!(log_artifact(&server, true).await, (false, vec!["a.txt".into(), "b.txt".into()]));
    for (i, damage) in damages.into_iter().enumerate() {
        assert_eq!(log_artifact(&server, false).await, (true, vec![]), "{i}");
        server.stop().await;
        let files = server.folder.path().join("files");
        damage(&files.join(&A[..2]).join(A), &files.join(&B[..2]).join(B));
        server.restart().await;
        let is_swapped = i == 4;
        let by_digest = async |hex: &str| {
            let answer = server.get(&format!("/artifacts/me/{hex}")).await;
            (answer.status, answer.text())
        };
        let (a, b) = ("5d41402abc4b2a76b9719d911017c592", "7d793037a0760186574b0282f2f435e7");
        assert_eq!(by_digest(a).await.0, 404, "{i}");
        assert_eq!(by_digest(b).await.0, if is_swapped { 404 } else { 200 }, "{i}");
        let ready = server.get("/readyz").await.json();
        let lost = if is_swapped { 2 } else { 1 };
        assert_eq!(ready["store_problems"], json!({ "media_lost": lost }), "{i}");
        // A commit without the file is no acknowledgement.
        let refused = server.ask_as(&server.key, COMMIT, json!({})).await.text();
        assert!(refused.contains("is not uploaded"), "{i}: {refused}");
        let mut expected = vec!["a.txt".to_owned()];
        expected.extend(is_swapped.then(|| "b.txt".to_owned()));
        assert_eq!(log_artifact(&server, false).await, (false, expected), "{i}");
        assert_eq!(by_digest(a).await, (200, "hello".to_owned()), "{i}");
        assert_eq!(by_digest(b).await, (200, "world".to_owned()), "{i}");
        let ready = server.get("/readyz").await.json();
        assert_eq!(ready["store_problems"], json!({}), "{i}");
    }
    // A manifest of other files does not change the artifact.
    upload_manifest(&server, "3fkTfvFGl/8b83G3d7Wpvw==", r#"{"contents":{}}"#.to_owned()).await;
    let refused = server.ask_as(&server.key, COMMIT, json!({})).await.text();
    assert!(refused.contains("cannot be changed"), "{refused}");
}

#[tokio::test]
async fn a_damaged_signing_key_is_reported() {
    let mut server = Running::start().await;
    server.stop().await;
    fs::write(server.folder.path().join("signing-key"), [0; 120]).unwrap();
    server.restart().await;
    let ready = send("GET", &format!("{}/readyz", server.url), &[], "").await.json();
    let problem = ready["problems"][0].as_str().unwrap();
    assert!(problem.contains("signed links and sessions ended"), "{problem}");
}
