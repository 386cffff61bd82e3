//! Files of runs and artifacts, and artifact manifests.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::artifact::Artifact;
use super::connection::{PageInfo, page};
use super::scalar::{DateTime, Int64};
use super::{RequestContext, request_context};
use crate::catalog::{self, Id, Kind};
use crate::storage::{Reference, Signer, Slot, mimetype};

/// A file of a run, of an artifact, or a manifest.
pub(super) struct File {
    id: Id,
    pub(super) name: String,
    /// `None` for a reference, whose content is elsewhere.
    slot: Option<Slot>,
    /// The address of a reference's content.
    reference: Option<String>,
    size: i64,
    updated_at: Option<i64>,
    /// MD5 of the content, in base64.
    md5: Option<String>,
    /// Whether the server has the content.
    is_there: bool,
    /// Whether the client should upload the content.
    wants_upload: bool,
    birth_id: Option<i64>,
}

impl File {
    pub(super) fn of_run(file: catalog::RunFile) -> Self {
        Self {
            id: Id::new(Kind::RunFile, file.id),
            slot: Some(Slot::RunFile { run: file.run_id, path: file.path.clone() }),
            reference: None,
            name: file.path,
            size: file.size,
            updated_at: Some(file.updated_at),
            md5: Some(file.md5),
            is_there: true,
            wants_upload: false,
            birth_id: None,
        }
    }

    /// Returns a file of a run that is not uploaded yet.
    pub(super) fn to_come(run: i64, path: String) -> Self {
        Self {
            id: Id::new(Kind::RunFile, 0),
            slot: Some(Slot::RunFile { run, path: path.clone() }),
            reference: None,
            name: path,
            size: 0,
            updated_at: None,
            md5: None,
            is_there: false,
            wants_upload: true,
            birth_id: None,
        }
    }

    pub(super) fn of_artifact(file: catalog::ArtifactFile) -> Self {
        let is_there = file.sha256.is_some();
        Self {
            id: Id::new(Kind::ArtifactFile, file.id),
            slot: Some(Slot::ArtifactFile { id: file.id }),
            reference: None,
            name: file.name,
            size: file.size.unwrap_or(0),
            updated_at: Some(file.updated_at),
            md5: Some(file.md5),
            is_there,
            wants_upload: !is_there,
            birth_id: Some(file.birth_id),
        }
    }

    /// Returns a file that an artifact lists, but whose content is elsewhere.
    pub(super) fn of_reference(reference: Reference) -> Self {
        Self {
            id: Id::new(Kind::ArtifactFile, 0),
            name: reference.name,
            slot: None,
            reference: Some(reference.address),
            size: reference.size,
            updated_at: None,
            md5: Some(reference.digest),
            is_there: true,
            wants_upload: false,
            birth_id: None,
        }
    }

    fn of_manifest(manifest: &catalog::Manifest) -> Self {
        Self {
            id: Id::new(Kind::Manifest, manifest.id),
            slot: Some(Slot::Manifest { id: manifest.id }),
            reference: None,
            name: manifest.name.clone(),
            size: 0,
            updated_at: None,
            md5: Some(manifest.digest.clone()),
            is_there: manifest.sha256.is_some(),
            // A second upload is idempotent; without a URL the client would fail.
            wants_upload: true,
            birth_id: None,
        }
    }

    /// Returns a signed URL for `method`, valid for the configured lifetime. Returns the address of
    /// a reference as it is.
    fn signed(&self, request: &RequestContext, method: &str) -> String {
        let Some(slot) = &self.slot else { return self.reference.clone().unwrap_or_default() };
        let state = &request.state;
        let signer = Signer::new(&state.core.signing_key);
        let lifetime = state.config.signed_url_lifetime;
        signer.url(&request.base.0, method, slot, &request.key.id, lifetime)
    }

    pub(super) fn upload_address(&self, request: &RequestContext) -> Option<String> {
        self.wants_upload.then(|| self.signed(request, "PUT"))
    }
}

/// A file of a run, of an artifact, or a manifest.
#[Object]
impl File {
    async fn id(&self) -> ID {
        ID(self.id.to_string())
    }

    async fn name(&self) -> &str {
        &self.name
    }

    async fn display_name(&self) -> &str {
        &self.name
    }

    /// The download URL, or with `upload: true` the upload URL.
    async fn url(&self, ctx: &Context<'_>, upload: Option<bool>) -> Option<String> {
        match upload {
            Some(true) => Some(self.signed(request_context(ctx), "PUT")),
            _ => self.is_there.then(|| self.signed(request_context(ctx), "GET")),
        }
    }

    async fn direct_url(&self, ctx: &Context<'_>) -> String {
        self.signed(request_context(ctx), "GET")
    }

    async fn size_bytes(&self) -> Int64 {
        Int64(self.size)
    }

    async fn mimetype(&self) -> &str {
        mimetype(&self.name)
    }

    async fn updated_at(&self) -> Option<DateTime> {
        self.updated_at.map(DateTime::of_millis)
    }

    async fn md5(&self) -> Option<&str> {
        self.md5.as_deref()
    }

    async fn digest(&self) -> Option<&str> {
        self.md5.as_deref()
    }

    async fn storage_path(&self) -> String {
        self.id.to_string()
    }

    /// The upload URL. Null if the server already has the content.
    async fn upload_url(&self, ctx: &Context<'_>) -> Option<String> {
        self.upload_address(request_context(ctx))
    }

    async fn upload_headers(&self) -> Vec<String> {
        Vec::new()
    }

    /// Always null: the server has no multipart uploads.
    async fn upload_multipart_urls(&self) -> Option<UploadMultipartUrls> {
        None
    }

    /// The artifact in which the file first appeared.
    async fn artifact(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Artifact>> {
        let Some(id) = self.birth_id else { return Ok(None) };
        Ok(request_context(ctx).by_number(id).await?.map(Artifact))
    }
}

/// The upload URLs of a file's parts.
#[derive(SimpleObject)]
pub(super) struct UploadMultipartUrls {
    #[graphql(name = "uploadID")]
    upload_id: ID,
    upload_url_parts: Vec<UploadUrlPart>,
}

/// The upload URL of one part of a file.
#[derive(SimpleObject)]
pub(super) struct UploadUrlPart {
    part_number: Int64,
    upload_url: String,
}

/// A page of files, with the headers that uploads must send.
#[derive(SimpleObject)]
pub(super) struct FileConnection {
    edges: Vec<FileEdge>,
    page_info: PageInfo,
    total_count: i32,
    upload_headers: Vec<String>,
}

/// An edge of a file connection.
#[derive(SimpleObject)]
pub(super) struct FileEdge {
    node: File,
    cursor: String,
}

impl FileConnection {
    pub(super) fn page(all: Vec<File>, after: Option<&str>, first: Option<i32>) -> Self {
        let page = page(all, after, first);
        let edges = page.nodes.into_iter().enumerate();
        let edges = edges.map(|(i, node)| FileEdge { node, cursor: (page.start + i).to_string() });
        Self {
            edges: edges.collect(),
            page_info: page.page_info,
            total_count: page.total_count,
            upload_headers: Vec::new(),
        }
    }
}

/// A manifest: the list of an artifact's files.
pub(super) struct ArtifactManifest(pub(super) catalog::Manifest);

/// A manifest: the list of an artifact's files.
#[Object]
impl ArtifactManifest {
    async fn id(&self) -> ID {
        ID(Id::new(Kind::Manifest, self.0.id).to_string())
    }

    async fn digest(&self) -> &str {
        &self.0.digest
    }

    async fn file(&self) -> File {
        File::of_manifest(&self.0)
    }
}
