//! The GraphQL operations.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use streamtable_wire::graphql::{
    self, ArtifactFileNode, ArtifactManifest, ArtifactSequence, CommitArtifact,
    CommitArtifactAnswer, CommittedArtifact, CreateArtifactFiles, CreateArtifactFilesAnswer,
    CreateManifest, CreateManifestAnswer, CreateRunFiles, CreateRunFilesAnswer, CreateTable,
    CreateTableAnswer, CreatedArtifact, CreatedFiles, CreatedManifest, CreatedRunFiles, Feature,
    FindTable, FindTableAnswer, FoundCollection, FoundMembership, FoundProject, FoundRun,
    GraphqlRequest, Identified, Named, Operation, ReadProject, ReadRows, ReadRowsAnswer, ReadRun,
    RunFile, ServerFeatures, ServerFeaturesAnswer, ServerInfo, Upload, UpsertedRun, Viewer, WhoAmI,
    WhoAmIAnswer,
};
use streamtable_wire::{GZIP_FEATURE, MANIFEST_NAME, STREAM_TABLE_METADATA, StreamTableArtifact};

use crate::artifact::{self, Artifact, check_path};
use crate::auth::Who;
use crate::file_stream::with_step;
use crate::refusal::{Refusal, json_response};
use crate::route::table;
use crate::state::State;
use crate::upload::{self, Slot, named_sha256, upload_headers};

/// The context of an operation besides its variables.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) base: &'a str,
    pub(crate) who: &'a Who,
    pub(crate) gzip: bool,
}

/// An operation that the mock supports.
trait Answered: Operation {
    fn answer(self, context: &mut Context<'_>) -> Result<Self::Answer, Refusal>;
}

/// Executes the operation that a body requests.
pub(crate) fn execute(context: &mut Context<'_>, body: &[u8]) -> Result<Response<Bytes>, Refusal> {
    let request = GraphqlRequest::parse(body)
        .map_err(|error| Refusal::bad(format!("the body is not a GraphQL request: {error}")))?;
    macro_rules! try_each {
        ($($operation:ty),*) => {$(
            if let Some(operation) = request.variables_of::<$operation>() {
                return run::<$operation>(context, operation);
            }
        )*};
    }
    try_each!(
        WhoAmI,
        ServerFeatures,
        FindTable,
        CreateTable,
        CreateManifest,
        CreateArtifactFiles,
        CommitArtifact,
        CreateRunFiles,
        ReadRows
    );
    let name = request.operation_name.as_deref().unwrap_or("without a name");
    Err(Refusal::bad(format!("the operation {name}, or its document, is unknown")))
}

fn run<O: Answered>(
    context: &mut Context<'_>,
    operation: serde_json::Result<O>,
) -> Result<Response<Bytes>, Refusal> {
    let operation = operation
        .map_err(|error| Refusal::bad(format!("the variables of {}: {error}", O::NAME)))?;
    let answer = operation.answer(context)?;
    Ok(json_response(StatusCode::OK, graphql::answer_body::<O>(&answer)))
}

impl Answered for WhoAmI {
    fn answer(self, context: &mut Context<'_>) -> Result<WhoAmIAnswer, Refusal> {
        let default_entity = context.who.default_entity.clone().map(|name| Named { name });
        Ok(WhoAmIAnswer { viewer: Some(Viewer { default_entity }) })
    }
}

impl Answered for ServerFeatures {
    fn answer(self, context: &mut Context<'_>) -> Result<ServerFeaturesAnswer, Refusal> {
        let gzip = Feature { name: GZIP_FEATURE.to_owned(), is_enabled: context.gzip };
        Ok(ServerFeaturesAnswer { server_info: Some(ServerInfo { features: vec![gzip] }) })
    }
}

impl Answered for FindTable {
    fn answer(self, context: &mut Context<'_>) -> Result<FindTableAnswer, Refusal> {
        context.who.may_use(&self.entity)?;
        let path = table(&self.entity, &self.project, &self.table)?;
        let state = &context.state;
        if !state.has_project(&path) {
            return Ok(FindTableAnswer { project: None });
        }
        let run = state.runs.get(&path);
        let run = run.map(|run| FoundRun { history_keys: Some(run.history_keys()) });
        let mut of_table = state.artifacts_of(&path).peekable();
        let artifact_collection = of_table.peek().is_some().then(|| FoundCollection {
            artifact_membership: of_table.find(|(_, artifact)| artifact.digest == self.digest).map(
                |(_, artifact)| FoundMembership {
                    commit_hash: artifact.is_committed().then(|| artifact.digest.clone()),
                },
            ),
        });
        Ok(FindTableAnswer { project: Some(FoundProject { run, artifact_collection }) })
    }
}

impl Answered for CreateTable {
    fn answer(self, context: &mut Context<'_>) -> Result<CreateTableAnswer, Refusal> {
        context.who.may_use(&self.entity)?;
        let path = table(&self.entity, &self.project, &self.table)?;
        if self.metadata != STREAM_TABLE_METADATA {
            return Err(Refusal::bad(
                "the artifact's metadata is not the metadata of a stream table",
            ));
        }
        if self.digest != StreamTableArtifact::new(&path).digest {
            return Err(Refusal::bad("the digest does not match the table's artifact"));
        }
        let state = &mut context.state;
        state.runs.entry(path.clone()).or_default();
        let known = state.artifacts_of(&path).find(|(_, known)| known.digest == self.digest);
        let number = match known.map(|(number, _)| number) {
            Some(number) => number,
            None => {
                state.artifacts.push(Artifact::new(path.clone(), self.digest));
                state.artifacts.len() - 1
            }
        };
        let is_committed = state.artifacts[number].is_committed();
        let latest = state.latest_artifact(&path);
        let artifact = graphql::Artifact {
            id: artifact::id(number),
            state: if is_committed { "COMMITTED" } else { "PENDING" }.to_owned(),
            artifact_sequence: Some(ArtifactSequence {
                latest_artifact: latest.map(|number| Identified { id: artifact::id(number) }),
            }),
        };
        Ok(CreateTableAnswer {
            upsert_bucket: Some(UpsertedRun { bucket: Some(Named { name: self.table }) }),
            create_artifact: Some(CreatedArtifact { artifact: Some(artifact) }),
        })
    }
}

impl Answered for CreateManifest {
    fn answer(self, context: &mut Context<'_>) -> Result<CreateManifestAnswer, Refusal> {
        context.who.may_use(&self.entity)?;
        let path = table(&self.entity, &self.project, &self.table)?;
        let number = context.artifact(&self.artifact)?;
        if let Some(base) = &self.base_artifact {
            context.artifact(base)?;
        }
        let state = &mut context.state;
        let artifact = &mut state.artifacts[number];
        if artifact.table != path {
            return Err(Refusal::bad("the artifact belongs to another table"));
        }
        if self.name != MANIFEST_NAME {
            return Err(Refusal::bad(format!(
                "the manifest of a complete artifact is {MANIFEST_NAME}"
            )));
        }
        if self.with_upload == self.digest.is_empty() {
            return Err(Refusal::bad("a manifest is uploaded if, and only if, it has a digest"));
        }
        artifact.has_manifest = true;
        let mut file = None;
        if self.with_upload {
            artifact.announce_manifest(&self.digest)?;
            let slot = Slot::Manifest { artifact: number, md5: self.digest };
            file = Some(Upload {
                upload_url: Some(upload::url(context.base, state.slot(slot))),
                upload_headers: Some(upload_headers()),
            });
        }
        let manifest = ArtifactManifest { id: manifest_id(number), file };
        Ok(CreateManifestAnswer {
            create_artifact_manifest: Some(CreatedManifest { artifact_manifest: Some(manifest) }),
        })
    }
}

fn manifest_id(artifact: usize) -> String {
    format!("QXJ0aWZhY3RNYW5pZmVzdDo{artifact}")
}

impl Answered for CreateArtifactFiles {
    fn answer(self, context: &mut Context<'_>) -> Result<CreateArtifactFilesAnswer, Refusal> {
        let number = context.artifact(&self.artifact)?;
        let state = &mut context.state;
        if !state.artifacts[number].has_manifest || self.manifest != manifest_id(number) {
            return Err(Refusal::bad("the manifest belongs to another artifact"));
        }
        if self.first_name == self.second_name {
            return Err(Refusal::bad(format!("{:?} is announced twice", self.first_name)));
        }
        let mut nodes = Vec::new();
        for (path, md5) in [(self.first_name, self.first_md5), (self.second_name, self.second_md5)]
        {
            let upload_url = if state.artifacts[number].announce(&path, &md5)? {
                let slot = Slot::ArtifactFile { artifact: number, path: path.clone() };
                Some(upload::url(context.base, state.slot(slot)))
            } else {
                None
            };
            nodes.push(ArtifactFileNode {
                display_name: Some(path),
                artifact: Some(Identified { id: self.artifact.clone() }),
                upload_url,
                upload_headers: Some(upload_headers()),
            });
        }
        let files = nodes.into_iter().collect();
        Ok(CreateArtifactFilesAnswer { create_artifact_files: Some(CreatedFiles { files }) })
    }
}

impl Answered for CommitArtifact {
    fn answer(self, context: &mut Context<'_>) -> Result<CommitArtifactAnswer, Refusal> {
        let number = context.artifact(&self.artifact)?;
        let state = &mut context.state;
        state.artifacts[number].check_whole(&self.artifact)?;
        if !state.artifacts[number].is_committed() {
            let table = state.artifacts[number].table.clone();
            let versions = state.artifacts_of(&table).filter(|(_, a)| a.is_committed()).count();
            state.artifacts[number].version = Some(versions as u64);
        }
        let artifact = Some(Identified { id: self.artifact });
        Ok(CommitArtifactAnswer { commit_artifact: Some(CommittedArtifact { artifact }) })
    }
}

impl Answered for CreateRunFiles {
    fn answer(self, context: &mut Context<'_>) -> Result<CreateRunFilesAnswer, Refusal> {
        context.who.may_use(&self.entity)?;
        let path = table(&self.entity, &self.project, &self.table)?;
        let state = &mut context.state;
        let mut names = BTreeSet::new();
        for name in &self.files {
            check_path(name)?;
            if !names.insert(name) {
                return Err(Refusal::bad(format!("{name:?} is announced twice")));
            }
        }
        let mut files = Vec::new();
        for name in self.files {
            // The file's name is derived from its content, so the existing bytes are correct.
            let is_there = state.run_mut(&path)?.files.contains_key(&name);
            let upload_url = if is_there && named_sha256(&name).is_some() {
                None
            } else {
                let slot = Slot::RunFile { table: path.clone(), path: name.clone() };
                Some(upload::url(context.base, state.slot(slot)))
            };
            files.push(RunFile { name, upload_url });
        }
        let upload_headers = Some(upload_headers());
        Ok(CreateRunFilesAnswer {
            create_run_files: Some(CreatedRunFiles { upload_headers, files }),
        })
    }
}

impl Answered for ReadRows {
    fn answer(self, context: &mut Context<'_>) -> Result<ReadRowsAnswer, Refusal> {
        context.who.may_use(&self.entity)?;
        let path = table(&self.entity, &self.project, &self.table)?;
        let state = &context.state;
        if !state.has_project(&path) {
            return Ok(ReadRowsAnswer { project: None });
        }
        let bounded = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let (min, max, limit) = (bounded(self.min), bounded(self.max), bounded(self.limit));
        let run = state.runs.get(&path).map(|run| {
            let rows = run.lines().iter().enumerate().take(max).skip(min).take(limit);
            ReadRun { history: rows.map(|(step, line)| with_step(&line.text, step)).collect() }
        });
        Ok(ReadRowsAnswer { project: Some(ReadProject { run }) })
    }
}

impl Context<'_> {
    /// Finds an artifact by its id, if the key may access it.
    fn artifact(&self, id: &str) -> Result<usize, Refusal> {
        let number = artifact::number(id).filter(|&number| number < self.state.artifacts.len());
        let number = number.ok_or_else(|| Refusal::bad(format!("there is no artifact {id:?}")))?;
        self.who.may_use(self.state.artifacts[number].table.entity())?;
        Ok(number)
    }
}
