//! Queries.

use async_graphql::{Context, ID, Object, SimpleObject};
use streamtable_server_core::Right;

use super::artifact::{Artifact, ArtifactCollection};
use super::asker;
use super::project::{Project, ProjectConnection};
use super::user::{Entity, ServerInfo, ServerSettings, User};
use crate::catalog::{Id, Kind};

pub(super) struct Query;

/// All queries.
#[Object]
impl Query {
    /// The authenticated user.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<User> {
        let asker = asker(ctx);
        Some(User {
            name: asker.key.name.clone(),
            entity: Some(asker.default_entity().to_owned()),
            is_admin: asker.principal.right == Right::Admin,
        })
    }

    async fn server_info(&self) -> Option<ServerInfo> {
        Some(ServerInfo)
    }

    async fn server_settings(&self) -> Option<ServerSettings> {
        Some(ServerSettings { none: false })
    }

    async fn entity(&self, ctx: &Context<'_>, name: Option<String>) -> Option<Entity> {
        let asker = asker(ctx);
        let name = asker.entity(name);
        asker.sees(&name).then_some(Entity { name })
    }

    async fn project(
        &self,
        ctx: &Context<'_>,
        name: Option<String>,
        entity_name: Option<String>,
    ) -> async_graphql::Result<Option<Project>> {
        Project::find(asker(ctx), name, entity_name).await
    }

    /// A project, under the name that older clients use.
    async fn model(
        &self,
        ctx: &Context<'_>,
        name: Option<String>,
        entity_name: Option<String>,
    ) -> async_graphql::Result<Option<Project>> {
        Project::find(asker(ctx), name, entity_name).await
    }

    /// The projects of an entity.
    async fn models(
        &self,
        ctx: &Context<'_>,
        entity_name: Option<String>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<ProjectConnection> {
        let asker = asker(ctx);
        let entity = asker.entity(entity_name);
        let projects = if asker.sees(&entity) {
            asker.state.catalog.projects(&entity).await?
        } else {
            Vec::new()
        };
        let projects = projects.into_iter().map(Project).collect();
        Ok(ProjectConnection::page(projects, after.as_deref(), first))
    }

    async fn artifact(&self, ctx: &Context<'_>, id: ID) -> async_graphql::Result<Option<Artifact>> {
        let asker = asker(ctx);
        let Some(id) = Id::parse(Kind::Artifact, &id) else { return Ok(None) };
        let found = asker.state.catalog.artifact(id).await?;
        let found = found.filter(|found| asker.sees(&found.collection.project.entity));
        Ok(found.map(Artifact))
    }

    async fn artifact_collection(
        &self,
        ctx: &Context<'_>,
        id: ID,
    ) -> async_graphql::Result<Option<ArtifactCollection>> {
        let asker = asker(ctx);
        let Some(id) = Id::parse(Kind::Collection, &id) else { return Ok(None) };
        let found = asker.state.catalog.collection_by_id(id).await?;
        let found = found.filter(|found| asker.sees(&found.project.entity));
        Ok(found.map(ArtifactCollection::from))
    }

    /// The server's id of an artifact, given the id that the client chose.
    #[graphql(name = "clientIDMapping")]
    async fn client_id_mapping(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "clientID")] client_id: ID,
    ) -> async_graphql::Result<Option<ClientIdMapping>> {
        let asker = asker(ctx);
        let found = asker.state.catalog.artifact_of_client_id(&client_id).await?;
        let found = found.filter(|found| asker.sees(&found.collection.project.entity));
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
