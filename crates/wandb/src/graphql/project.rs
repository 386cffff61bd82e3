//! GraphQL type of projects.

use async_graphql::{Context, ID, Object};
use streamtable_server_core::{ApiError, Right};

use super::absent::{Sweep, SweepConnection, Trigger, ViewConnection};
use super::artifact::{
    Artifact, ArtifactCollection, ArtifactCollectionConnection, ArtifactType,
    ArtifactTypeConnection,
};
use super::artifact::{Membership, split_name};
use super::connection::connection;
use super::filter::{Filter, sort_runs};
use super::run::{Run, RunConnection};
use super::scalar::{DateTime, JsonString};
use super::user::{Entity, User};
use super::{RequestContext, request_context};
use crate::catalog::{self, Id, Kind, NO_PROJECT, RunLocation};

pub(super) struct Project(pub(super) catalog::Project);

impl Project {
    /// Returns a project if the caller may read it.
    pub(super) async fn find(
        request: &RequestContext,
        name: Option<String>,
        entity: Option<String>,
    ) -> async_graphql::Result<Option<Self>> {
        let entity = request.entity(entity);
        if !request.sees(&entity) {
            return Ok(None);
        }
        let name = name.unwrap_or_else(|| NO_PROJECT.to_owned());
        Ok(request.state.catalog.project(&entity, &name).await?.map(Self))
    }

    async fn find_run(
        &self,
        ctx: &Context<'_>,
        name: &str,
    ) -> async_graphql::Result<Option<catalog::Run>> {
        let at = RunLocation::new(&self.0.entity, &self.0.name, name);
        Ok(request_context(ctx).state.catalog.run(&at).await?)
    }

    async fn filtered_runs(
        &self,
        ctx: &Context<'_>,
        filters: Option<JsonString>,
    ) -> async_graphql::Result<Vec<catalog::Run>> {
        let filter = Filter::parse(filters.as_ref().map(|text| text.0.as_str()))
            .map_err(ApiError::bad_request)?;
        let mut runs = request_context(ctx).state.catalog.runs(self.0.id).await?;
        runs.retain(|run| filter.holds(run));
        Ok(runs)
    }
}

/// A project.
#[Object]
impl Project {
    async fn id(&self) -> ID {
        ID(Id::new(Kind::Project, self.0.id).to_string())
    }

    async fn internal_id(&self) -> ID {
        ID(Id::new(Kind::Project, self.0.id).to_string())
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn entity_name(&self) -> &str {
        &self.0.entity
    }

    async fn entity(&self) -> Entity {
        Entity { name: self.0.entity.clone() }
    }

    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    async fn created_at(&self) -> DateTime {
        DateTime::of_millis(self.0.created_at)
    }

    async fn updated_at(&self) -> Option<DateTime> {
        None
    }

    async fn read_only(&self, ctx: &Context<'_>) -> bool {
        !request_context(ctx).principal.may(Right::Write, &self.0.entity)
    }

    async fn is_benchmark(&self) -> bool {
        false
    }

    async fn access(&self) -> Option<String> {
        Some("PRIVATE".to_owned())
    }

    async fn views(&self) -> Option<JsonString> {
        None
    }

    async fn user(&self) -> Option<User> {
        None
    }

    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn run(
        &self,
        ctx: &Context<'_>,
        name: String,
        desc: Option<String>,
    ) -> async_graphql::Result<Option<Run>> {
        Ok(self.find_run(ctx, &name).await?.map(Run::new))
    }

    /// A run, under the name that older clients use. They also ask it for upload URLs.
    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn bucket(
        &self,
        ctx: &Context<'_>,
        name: String,
        missing_ok: Option<bool>,
        desc: Option<String>,
    ) -> async_graphql::Result<Option<Run>> {
        Ok(self.find_run(ctx, &name).await?.map(Run::bucket))
    }

    async fn run_count(
        &self,
        ctx: &Context<'_>,
        filters: Option<JsonString>,
    ) -> async_graphql::Result<i32> {
        Ok(i32::try_from(self.filtered_runs(ctx, filters).await?.len()).unwrap_or(i32::MAX))
    }

    async fn runs(
        &self,
        ctx: &Context<'_>,
        filters: Option<JsonString>,
        order: Option<String>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<RunConnection> {
        let mut runs = self.filtered_runs(ctx, filters).await?;
        sort_runs(&mut runs, order.as_deref());
        let runs = runs.into_iter().map(Run::new).collect();
        Ok(RunConnection::page(runs, after.as_deref(), first))
    }

    /// The runs, under the name that older clients use.
    async fn buckets(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<RunConnection> {
        let runs = self.filtered_runs(ctx, None).await?.into_iter().map(Run::new).collect();
        Ok(RunConnection::page(runs, after.as_deref(), first))
    }

    async fn repo(&self) -> Option<String> {
        None
    }

    async fn docker_image(&self) -> Option<String> {
        None
    }

    /// Reports and workspaces: none.
    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn all_views(
        &self,
        view_type: Option<String>,
        view_name: Option<String>,
        after: Option<String>,
        first: Option<i32>,
    ) -> ViewConnection {
        ViewConnection::page(Vec::new(), after.as_deref(), first)
    }

    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn sweeps(
        &self,
        filters: Option<JsonString>,
        after: Option<String>,
        first: Option<i32>,
    ) -> SweepConnection {
        SweepConnection::page(Vec::new(), after.as_deref(), first)
    }

    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn sweep(&self, sweep_name: String) -> Option<Sweep> {
        None
    }

    async fn total_sweeps(&self) -> i32 {
        0
    }

    async fn triggers(&self) -> Vec<Trigger> {
        Vec::new()
    }

    /// The artifact with the given name, `collection:alias`.
    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn artifact(
        &self,
        ctx: &Context<'_>,
        name: String,
        enable_tracking: Option<bool>,
    ) -> async_graphql::Result<Option<Artifact>> {
        let (collection, alias) = split_name(&name);
        let catalog = &request_context(ctx).state.catalog;
        let Some(collection) = catalog.collection(self.0.id, collection).await? else {
            return Ok(None);
        };
        Ok(catalog.artifact_named(collection.id, alias).await?.map(Artifact))
    }

    /// The collection membership of the artifact with the given name, `collection:alias`.
    async fn artifact_collection_membership(
        &self,
        ctx: &Context<'_>,
        name: String,
    ) -> async_graphql::Result<Option<Membership>> {
        let found = self.artifact(ctx, name, None).await?;
        Ok(found.map(|artifact| Membership(artifact.0)))
    }

    async fn artifact_collection(
        &self,
        ctx: &Context<'_>,
        name: String,
    ) -> async_graphql::Result<Option<ArtifactCollection>> {
        let found = request_context(ctx).state.catalog.collection(self.0.id, &name).await?;
        Ok(found.map(ArtifactCollection::from))
    }

    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn artifact_collections(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
        filters: Option<JsonString>,
        order: Option<String>,
    ) -> async_graphql::Result<ArtifactCollectionConnection> {
        let found = request_context(ctx).state.catalog.collections(self.0.id, None).await?;
        let found = found.into_iter().map(ArtifactCollection::from).collect();
        Ok(ArtifactCollectionConnection::page(found, after.as_deref(), first))
    }

    async fn artifact_type(
        &self,
        ctx: &Context<'_>,
        name: String,
    ) -> async_graphql::Result<Option<ArtifactType>> {
        let all = ArtifactType::of_project(request_context(ctx), &self.0).await?;
        Ok(all.into_iter().find(|ty| ty.name == name))
    }

    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn artifact_types(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
        include_all: Option<bool>,
    ) -> async_graphql::Result<ArtifactTypeConnection> {
        let all = ArtifactType::of_project(request_context(ctx), &self.0).await?;
        Ok(ArtifactTypeConnection::page(all, after.as_deref(), first))
    }
}

connection!(ProjectConnection, ProjectEdge, Project);

impl ProjectConnection {
    /// Returns a page of an entity's projects, of none if the caller may not read them.
    pub(super) async fn of_entity(
        request: &RequestContext,
        entity: Option<String>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<Self> {
        let entity = request.entity(entity);
        let projects = match request.sees(&entity) {
            true => request.state.catalog.projects(&entity).await?,
            false => Vec::new(),
        };
        let projects = projects.into_iter().map(Project).collect();
        Ok(Self::page(projects, after.as_deref(), first))
    }
}
