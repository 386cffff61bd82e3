//! Queries.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::artifact::{Artifact, ArtifactCollection};
use super::project::{Project, ProjectConnection};
use super::request_context;
use super::user::{Entity, ServerInfo, ServerSettings, User, UserConnection};
use crate::catalog::{self, Id, Kind};

pub(super) struct Query;

/// All queries.
#[Object]
impl Query {
    /// The authenticated user.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<User> {
        Some(User::viewer(request_context(ctx)))
    }

    /// The users whose name or e-mail address is given. A key sees only its own owner.
    async fn users(&self, ctx: &Context<'_>, query: Option<String>) -> UserConnection {
        let request = request_context(ctx);
        let own = User::viewer(request);
        let is_own = query.is_none_or(|name| name == own.name || name == request.default_entity());
        UserConnection::page(is_own.then_some(own).into_iter().collect(), None, None)
    }

    async fn server_info(&self) -> Option<ServerInfo> {
        Some(ServerInfo)
    }

    async fn server_settings(&self) -> Option<ServerSettings> {
        Some(ServerSettings { none: false })
    }

    async fn entity(&self, ctx: &Context<'_>, name: Option<String>) -> Option<Entity> {
        let request = request_context(ctx);
        let name = request.entity(name);
        request.sees(&name).then_some(Entity { name })
    }

    async fn project(
        &self,
        ctx: &Context<'_>,
        name: Option<String>,
        entity_name: Option<String>,
    ) -> async_graphql::Result<Option<Project>> {
        Project::find(request_context(ctx), name, entity_name).await
    }

    /// A project, under the name that older clients use.
    async fn model(
        &self,
        ctx: &Context<'_>,
        name: Option<String>,
        entity_name: Option<String>,
    ) -> async_graphql::Result<Option<Project>> {
        Project::find(request_context(ctx), name, entity_name).await
    }

    /// The projects of an entity.
    async fn models(
        &self,
        ctx: &Context<'_>,
        entity_name: Option<String>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<ProjectConnection> {
        ProjectConnection::of_entity(request_context(ctx), entity_name, after, first).await
    }

    async fn artifact(&self, ctx: &Context<'_>, id: ID) -> async_graphql::Result<Option<Artifact>> {
        Ok(request_context(ctx).by_id(&id).await?.map(Artifact))
    }

    async fn artifact_collection(
        &self,
        ctx: &Context<'_>,
        id: ID,
    ) -> async_graphql::Result<Option<ArtifactCollection>> {
        let found: Option<catalog::Collection> = request_context(ctx).by_id(&id).await?;
        Ok(found.map(ArtifactCollection::from))
    }

    /// The server's id of an artifact, given the id that the client chose.
    #[graphql(name = "clientIDMapping")]
    async fn client_id_mapping(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "clientID")] client_id: ID,
    ) -> async_graphql::Result<Option<ClientIdMapping>> {
        let request = request_context(ctx);
        let found = request.state.catalog.artifact_of_client_id(&client_id).await?;
        let found = found.filter(|found| request.sees(&found.collection.project.entity));
        Ok(found.map(|found| ClientIdMapping {
            server_id: ID(Id::new(Kind::Artifact, found.id).to_string()),
        }))
    }
}

/// The server's id of an artifact, given the id that the client chose.
#[derive(SimpleObject)]
#[graphql(name = "ClientIDMapping")]
struct ClientIdMapping {
    #[graphql(name = "serverID")]
    server_id: ID,
}
