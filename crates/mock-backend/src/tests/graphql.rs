//! The operations, and invalid variables.

use streamtable_wire::graphql::{
    Artifact, CommitArtifact, CreateArtifactFiles, CreateManifest, CreateRunFiles, CreateTable,
    FindTable, WhoAmI,
};
use streamtable_wire::{StreamTableArtifact, md5_base64};

use super::*;

#[track_caller]
fn refuses_body(body: &str, message: &str) {
    let bench = Bench::new();
    bench.expect_violation(bench.post_graphql(body.to_owned()), 400, message);
}

#[test]
fn bodies() {
    refuses_body("", "not a GraphQL request");
    refuses_body("[]", "not a GraphQL request");
    refuses_body(
        r#"{"operationName": "Viewer", "query": "{ viewer { id } }"}"#,
        "operation Viewer",
    );
    refuses_body(r#"{"query": "{ viewer { id } }"}"#, "without a name");
    let who = String::from_utf8(request_body(&WhoAmI {})).unwrap();
    refuses_body(&who.replace("defaultEntity", "entity"), "or its document");
    refuses_body(&who.replace(r#""variables":{}"#, r#""variables":{"x":1}"#), "unknown field");
}

#[track_caller]
fn refuses<O: Operation>(bench: &Bench, operation: &O, message: &str) {
    bench.expect_violation(bench.post_graphql(request_body(operation)), 400, message);
}

/// A table whose creation has reached the manifest without content.
struct Made {
    bench: Bench,
    content: StreamTableArtifact,
    artifact: Artifact,
    manifest: String,
}

impl Made {
    fn new() -> Self {
        let bench = Bench::empty(MockConfig::default());
        let content = StreamTableArtifact::new(&bench.table);
        let created = bench.ask(&CreateTable::new(&bench.table, &content));
        let artifact = created.artifact().unwrap().clone();
        let manifest = bench.ask(&CreateManifest::new(&bench.table, &artifact, None));
        let manifest = manifest.manifest().unwrap().id.clone();
        Self { bench, content, artifact, manifest }
    }

    fn files(&self) -> CreateArtifactFiles {
        CreateArtifactFiles::new(&self.artifact.id, &self.manifest, &self.content)
    }

    fn commit(&self) -> CommitArtifact {
        CommitArtifact { artifact: self.artifact.id.clone() }
    }

    #[track_caller]
    fn put(&self, url: &str, headers: &[String], bytes: &[u8]) {
        let (status, _) = self.try_put(url, headers, bytes).unwrap();
        assert_eq!(status, StatusCode::OK);
    }

    fn try_put(&self, url: &str, headers: &[String], bytes: &[u8]) -> Answered {
        let headers: Vec<_> =
            headers.iter().map(|header| header.split_once(':').unwrap()).collect();
        self.bench.send(Method::PUT, url, &headers, bytes.to_vec())
    }

    fn put_files(&self) {
        let files = self.bench.ask(&self.files()).create_artifact_files.unwrap().files;
        for (edge, file) in files.edges.into_iter().zip(&self.content.files) {
            let (url, headers) = (edge.node.upload_url.unwrap(), edge.node.upload_headers.unwrap());
            self.put(&url, &headers, &file.bytes);
        }
    }

    fn put_manifest(&self, bytes: &[u8]) {
        let digest = md5_base64(bytes);
        let create = CreateManifest::new(&self.bench.table, &self.artifact, Some(&digest));
        let file = self.bench.ask(&create).manifest().unwrap().file.clone().unwrap();
        self.put(&file.upload_url.unwrap(), &file.upload_headers.unwrap(), bytes);
    }
}

#[test]
fn names_and_digests_of_tables() {
    let bench = Bench::empty(MockConfig::default());
    let content = StreamTableArtifact::new(&bench.table);
    let good = CreateTable::new(&bench.table, &content);
    let check = |change: fn(&mut CreateTable), message: &str| {
        let bench = Bench::empty(MockConfig::default());
        let mut create = good.clone();
        change(&mut create);
        refuses(&bench, &create, message);
        assert!(bench.mock.tables().is_empty());
    };
    check(|create| create.entity = "Me".into(), "the entity");
    check(|create| create.project = "a/b".into(), "the project");
    check(|create| create.table = String::new(), "is empty");
    check(|create| create.digest = "0".repeat(32), "does not match the table's artifact");
    check(|create| create.metadata = "{}".into(), "not the metadata of a stream table");

    let mut find = FindTable::new(&bench.table, &content);
    find.table = "..".into();
    refuses(&bench, &find, "may not be");
}

#[test]
fn invalid_artifacts() {
    let made = || {
        let made = Made::new();
        made.bench.mock.assert_no_violations();
        made
    };
    let manifest = |change: fn(&mut CreateManifest), message: &str| {
        let made = made();
        let mut create =
            CreateManifest::new(&made.bench.table, &made.artifact, Some(&md5_base64(b"")));
        change(&mut create);
        refuses(&made.bench, &create, message);
    };
    manifest(|create| create.artifact = "QXJ0aWZhY3Q6007".into(), "there is no artifact");
    manifest(|create| create.artifact = "7".into(), "there is no artifact");
    manifest(|create| create.base_artifact = Some("7".into()), "there is no artifact");
    manifest(|create| create.table = "other".into(), "belongs to another table");
    manifest(|create| create.name = "wandb_manifest.patch.json".into(), "wandb_manifest.json");
    manifest(|create| create.with_upload = false, "it has a digest");
    manifest(|create| create.digest = String::new(), "it has a digest");
    manifest(|create| create.digest = "0".repeat(32), "not the base64 of an MD5");

    let files = |change: fn(&mut CreateArtifactFiles), message: &str| {
        let made = made();
        let mut create = made.files();
        change(&mut create);
        refuses(&made.bench, &create, message);
    };
    files(|create| create.artifact = "7".into(), "there is no artifact");
    files(|create| create.manifest = "7".into(), "belongs to another artifact");
    files(|create| create.second_name = create.first_name.clone(), "announced twice");
    files(|create| create.first_name = "../x".into(), "not the path of a file");
    files(|create| create.first_name = "a\\b".into(), "not the path of a file");
    files(|create| create.first_md5 = "md5".into(), "not the base64 of an MD5");

    let made = made();
    made.bench.ask(&made.files());
    let mut again = made.files();
    again.first_md5 = md5_base64(b"other");
    refuses(&made.bench, &again, "with another digest");
}

#[test]
fn early_or_invalid_commits_of_artifacts() {
    let made = Made::new();
    refuses(&made.bench, &made.commit(), "lacks its manifest");

    let made = Made::new();
    made.bench.ask(&made.files());
    made.put_manifest(&made.content.manifest(&made.artifact.id).0);
    refuses(&made.bench, &made.commit(), "lacks obj.object.json");

    let check = |from: &str, to: &str, message: &str| {
        let made = Made::new();
        made.put_files();
        let manifest = String::from_utf8(made.content.manifest(&made.artifact.id).0).unwrap();
        assert!(manifest.contains(from), "{manifest}");
        made.put_manifest(manifest.replacen(from, to, 1).as_bytes());
        refuses(&made.bench, &made.commit(), message);
        assert!(!made.bench.mock.has_artifact(&made.bench.table));
    };
    check("{", "[", "cannot be read");
    check(r#""version":1"#, r#""version":2"#, "has an unknown form");
    check("V2", "V1", "has an unknown form");
    check(r#""size":"#, r#""size":1"#, "does not describe \"obj.object.json\"");
    check("QXJ0aWZhY3Q6", "other", "does not describe \"obj.object.json\"");
    check("obj.type.json", "obj.types.json", "does not describe \"obj.type.json\"");
    check(r#""contents":{"#, r#""contents":{"extra":{"digest":"","size":0},"#, "never announced");

    let made = Made::new();
    let mut files = made.files();
    files.first_name = "other.json".into();
    let answer = made.bench.ask(&files).create_artifact_files.unwrap();
    for (edge, file) in answer.files.edges.into_iter().zip(&made.content.files) {
        let (url, headers) = (edge.node.upload_url.unwrap(), edge.node.upload_headers.unwrap());
        made.put(&url, &headers, &file.bytes);
    }
    let manifest = String::from_utf8(made.content.manifest(&made.artifact.id).0).unwrap();
    made.put_manifest(manifest.replace("obj.object.json", "other.json").as_bytes());
    refuses(&made.bench, &made.commit(), "the artifact's digest");
}

#[test]
fn valid_artifacts() {
    let made = Made::new();
    made.put_files();
    // An existing file is not requested again.
    let files = made.bench.ask(&made.files()).create_artifact_files.unwrap().files;
    assert!(files.edges.iter().all(|edge| edge.node.upload_url.is_none()));
    made.put_manifest(&made.content.manifest(&made.artifact.id).0);
    for _ in 0..2 {
        made.bench.ask(&made.commit());
    }
    assert!(made.bench.mock.has_artifact(&made.bench.table));
    let create = CreateTable::new(&made.bench.table, &made.content);
    let again = made.bench.ask(&create);
    assert!(again.artifact().unwrap().is_committed());
    assert_eq!(again.artifact().unwrap().base_id(), Some(made.artifact.id.clone()));
    made.bench.mock.assert_no_violations();
}

#[test]
fn uploads_with_wrong_bytes() {
    let made = Made::new();
    let files = made.bench.ask(&made.files()).create_artifact_files.unwrap().files;
    let node = &files.edges[0].node;
    let (url, headers) = (node.upload_url.as_ref().unwrap(), node.upload_headers.as_ref().unwrap());
    let answered = made.try_put(url, headers, b"{}");
    made.bench.expect_violation(answered, 400, "do not match its digest");

    let made = Made::new();
    let create = CreateManifest::new(&made.bench.table, &made.artifact, Some(&md5_base64(b"{}")));
    let file = made.bench.ask(&create).manifest().unwrap().file.clone().unwrap();
    let (url, headers) = (file.upload_url.unwrap(), file.upload_headers.unwrap());
    let answered = made.try_put(&url, &headers, b"{ }");
    made.bench.expect_violation(answered, 400, "do not match its digest");
    made.put_manifest(b"[]");
    let answered = made.try_put(&url, &headers, b"{}");
    made.bench.expect_refusal(answered, 400, "another manifest has been announced");
}

#[test]
fn files_of_runs() {
    let check = |files: &[&str], message: &str| {
        let bench = Bench::new();
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        refuses(&bench, &CreateRunFiles::new(&bench.table, files), message);
    };
    check(&["a", "a"], "announced twice");
    check(&["/a"], "not the path of a file");
    check(&["a/../b"], "not the path of a file");
    check(&[""], "not the path of a file");

    let bench = Bench::empty(MockConfig::default());
    let create = CreateRunFiles::new(&bench.table, vec!["a".into()]);
    bench.expect_violation(bench.post_graphql(request_body(&create)), 404, "never created");
}
