//! Mutations of projects and runs.

use async_graphql::{Context, ID, MergedObject, Object, SimpleObject};
use streamtable_server_core::{Alert, AlertLevel, ApiError, random_hex};

use super::file::File;
use super::input::{
    AlertSeverity, CreateRunFilesInput, DeleteFilesInput, NotifyScriptableRunAlertInput,
    UpsertBucketInput, UpsertModelInput,
};
use super::mutation_artifact::ArtifactMutation;
use super::project::Project;
use super::refusals;
use super::request_context;
use super::run::Run;
use super::user::ServerSettings;
use crate::catalog::{self, Id, Kind, NO_PROJECT, RunLocation};
use crate::storage::{is_file_path, named_sha256};

/// Maximum number of files that one request announces.
pub(super) const MAX_FILES: usize = 10_000;

/// All mutations.
#[derive(Default, MergedObject)]
pub(super) struct Mutation(RunMutation, ArtifactMutation);

#[derive(Default)]
struct RunMutation;

/// Mutations of projects and runs.
#[Object]
impl RunMutation {
    /// Creates a project if it does not exist, or updates the one with the given id.
    async fn upsert_model(
        &self,
        ctx: &Context<'_>,
        input: UpsertModelInput,
    ) -> async_graphql::Result<Option<UpsertModelPayload>> {
        let request = request_context(ctx);
        let catalog = &request.state.catalog;
        let (entity, name) = match input.id.filter(|id| !id.is_empty()) {
            None => {
                let entity = request.entity(input.entity_name);
                request.check_write(&entity)?;
                (entity, input.name.unwrap_or_else(|| NO_PROJECT.to_owned()))
            }
            Some(id) => {
                let project: catalog::Project = request.writable(&id).await?;
                if input.name.is_some_and(|name| name != project.name) {
                    return Err(ApiError::bad_request(refusals::of("renameProject")).into());
                }
                (project.entity, project.name)
            }
        };
        let (project, inserted) = catalog.upsert_project(&entity, &name, input.description).await?;
        Ok(Some(UpsertModelPayload {
            model: Some(Project(project.clone())),
            project: Some(Project(project)),
            inserted,
        }))
    }

    /// Creates or updates a run. Null fields stay unchanged.
    async fn upsert_bucket(
        &self,
        ctx: &Context<'_>,
        input: UpsertBucketInput,
    ) -> async_graphql::Result<Option<UpsertBucketPayload>> {
        let request = request_context(ctx);
        let catalog = &request.state.catalog;
        if let (Some(id), None) = (&input.id, &input.name) {
            let run: catalog::Run = request.writable(id).await?;
            let run = catalog.change_run(run.id, input.change()).await?;
            let run = run.ok_or_else(|| ApiError::not_found("run not found"))?;
            return Ok(Some(UpsertBucketPayload::new(run, false)));
        }
        input.check_fork()?;
        let entity = request.entity(input.entity_name.clone());
        request.check_write(&entity)?;
        let project = input.model_name.clone().filter(|name| !name.is_empty());
        let project = project.unwrap_or_else(|| NO_PROJECT.to_owned());
        let name = input.name.clone().filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| random_hex(4));
        let at = RunLocation::new(&entity, &project, &name);
        let (run, inserted) = catalog.upsert_run(&at, &request.key.name, input.change()).await?;
        Ok(Some(UpsertBucketPayload::new(run, inserted)))
    }

    /// Announces files of a run and returns their upload URLs.
    async fn create_run_files(
        &self,
        ctx: &Context<'_>,
        input: CreateRunFilesInput,
    ) -> async_graphql::Result<Option<CreateRunFilesPayload>> {
        let request = request_context(ctx);
        let entity = request.entity(input.entity_name);
        request.check_write(&entity)?;
        let project = input.project_name.unwrap_or_else(|| NO_PROJECT.to_owned());
        let run = request.run_at(&RunLocation::new(&entity, &project, &input.run_name)).await?;
        if input.files.len() > MAX_FILES {
            let message = format!("a request may announce at most {MAX_FILES} files");
            return Err(ApiError::bad_request(message).into());
        }
        let mut files = Vec::new();
        for path in input.files {
            if !is_file_path(&path) {
                return Err(
                    ApiError::bad_request(format!("{path:?} is not a valid file path")).into()
                );
            }
            // If the path contains the content's hash, an existing file already has the right
            // content. A file that was lost can be uploaded again.
            let is_there = match named_sha256(&path) {
                Some(sha256) if request.state.catalog.run_file(run.id, &path).await?.is_some() => {
                    request.state.has_file(sha256).await
                }
                _ => false,
            };
            let to_come = File::to_come(run.id, path.clone());
            let upload_url = if is_there { None } else { to_come.upload_address(request) };
            files.push(RunFileAddress { name: path, upload_url });
        }
        Ok(Some(CreateRunFilesPayload {
            run_id: ID(Id::new(Kind::Run, run.id).to_string()),
            upload_headers: Vec::new(),
            files,
        }))
    }

    /// Deletes files of runs.
    async fn delete_files(
        &self,
        ctx: &Context<'_>,
        input: DeleteFilesInput,
    ) -> async_graphql::Result<Option<DeleteFilesPayload>> {
        let request = request_context(ctx);
        let catalog = &request.state.catalog;
        let mut ids = Vec::new();
        for id in &input.files {
            let file: catalog::RunFile = request.writable(id).await?;
            ids.push(file.id);
        }
        catalog.delete_run_files(ids).await?;
        Ok(Some(DeleteFilesPayload { success: true }))
    }

    /// Records an alert from a run, and reports it.
    async fn notify_scriptable_run_alert(
        &self,
        ctx: &Context<'_>,
        input: NotifyScriptableRunAlertInput,
    ) -> async_graphql::Result<Option<NotifyScriptableRunAlertPayload>> {
        let request = request_context(ctx);
        let entity = request.entity(input.entity_name);
        request.check_write(&entity)?;
        let project = input.project_name.unwrap_or_else(|| NO_PROJECT.to_owned());
        let run = request.run_at(&RunLocation::new(&entity, &project, &input.run_name)).await?;
        let level = match input.severity {
            Some(AlertSeverity::Error) => AlertLevel::Error,
            Some(AlertSeverity::Warn) => AlertLevel::Warn,
            Some(AlertSeverity::Info) | None => AlertLevel::Info,
        };
        let (title, text, run) = (input.title, input.text.unwrap_or_default(), run.name);
        request.state.alerts.raise(Alert { entity, project, run, title, text, level }).await?;
        Ok(Some(NotifyScriptableRunAlertPayload { success: true }))
    }
}

/// The created or existing project.
#[derive(SimpleObject)]
struct UpsertModelPayload {
    model: Option<Project>,
    project: Option<Project>,
    inserted: bool,
}

/// The created or updated run.
#[derive(SimpleObject)]
struct UpsertBucketPayload {
    bucket: Option<Run>,
    inserted: bool,
    server_settings: ServerSettings,
}

impl UpsertBucketPayload {
    fn new(run: crate::catalog::Run, inserted: bool) -> Self {
        let server_settings = ServerSettings { none: false };
        Self { bucket: Some(Run::started(run)), inserted, server_settings }
    }
}

/// The upload URLs of announced files.
#[derive(SimpleObject)]
struct CreateRunFilesPayload {
    #[graphql(name = "runID")]
    run_id: ID,
    upload_headers: Vec<String>,
    files: Vec<RunFileAddress>,
}

/// The upload URL of one file.
#[derive(SimpleObject)]
struct RunFileAddress {
    name: String,
    upload_url: Option<String>,
}

/// Whether the files were deleted.
#[derive(SimpleObject)]
struct DeleteFilesPayload {
    success: bool,
}

/// Whether the alert was accepted.
#[derive(SimpleObject)]
struct NotifyScriptableRunAlertPayload {
    success: bool,
}
