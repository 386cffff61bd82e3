//! GraphQL types of users and entities.

use async_graphql::{Context, ID, Name, Object, SimpleObject, Value};
use streamtable_server_core::Right;
use streamtable_wire::GZIP_FEATURE;

use super::absent::{IntegrationConnection, Member};
use super::connection::connection;
use super::project::{Project, ProjectConnection};
use super::scalar::{DateTime, Int64, Json};
use super::{RequestContext, request_context};

/// The owner of an API key.
pub(super) struct User {
    pub(super) name: String,
    pub(super) entity: Option<String>,
    pub(super) is_admin: bool,
}

impl User {
    /// Returns the owner of the request's key.
    pub(super) fn viewer(request: &RequestContext) -> Self {
        Self {
            name: request.key.name.clone(),
            entity: Some(request.default_entity().to_owned()),
            is_admin: request.principal.right == Right::Admin,
        }
    }
}

/// The owner of an API key.
#[Object]
impl User {
    async fn id(&self) -> ID {
        ID(format!("User:{}", self.name))
    }

    async fn name(&self) -> &str {
        &self.name
    }

    /// The name used in URLs: the entity's name if there is one.
    async fn username(&self) -> &str {
        self.entity.as_deref().unwrap_or(&self.name)
    }

    async fn email(&self) -> Option<String> {
        None
    }

    async fn admin(&self) -> bool {
        self.is_admin
    }

    /// Feature flags, as JSON text.
    async fn flags(&self) -> &str {
        "{}"
    }

    /// The user's default entity.
    async fn entity(&self) -> Option<&str> {
        self.entity.as_deref()
    }

    async fn default_entity(&self) -> Option<Entity> {
        self.entity.clone().map(|name| Entity { name })
    }

    async fn teams(&self) -> EntityConnection {
        EntityConnection::page(Vec::new(), None, None)
    }

    async fn api_keys(&self) -> ApiKeyConnection {
        ApiKeyConnection::page(Vec::new(), None, None)
    }

    async fn deleted_at(&self) -> Option<DateTime> {
        None
    }

    async fn photo_url(&self) -> Option<String> {
        None
    }

    async fn account_type(&self) -> Option<String> {
        None
    }

    /// The projects of the user's default entity.
    async fn projects(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<ProjectConnection> {
        ProjectConnection::of_entity(request_context(ctx), self.entity.clone(), after, first).await
    }
}

connection!(UserConnection, UserEdge, User);

/// An entity: the owner of projects.
pub(super) struct Entity {
    pub(super) name: String,
}

/// An entity: the owner of projects.
#[Object]
impl Entity {
    async fn id(&self) -> ID {
        ID(format!("Entity:{}", self.name))
    }

    async fn name(&self) -> &str {
        &self.name
    }

    async fn read_only(&self, ctx: &Context<'_>) -> bool {
        !request_context(ctx).principal.may(Right::Write, &self.name)
    }

    async fn is_team(&self) -> bool {
        false
    }

    async fn organization(&self) -> Option<Organization> {
        None
    }

    async fn project(
        &self,
        ctx: &Context<'_>,
        name: Option<String>,
    ) -> async_graphql::Result<Option<Project>> {
        Project::find(request_context(ctx), name, Some(self.name.clone())).await
    }

    async fn projects(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<ProjectConnection> {
        ProjectConnection::of_entity(request_context(ctx), Some(self.name.clone()), after, first)
            .await
    }

    async fn entity_type(&self) -> &str {
        "user"
    }

    /// Whether the name could be given to a new entity.
    async fn available(&self) -> bool {
        false
    }

    async fn photo_url(&self) -> Option<String> {
        None
    }

    async fn read_only_admin(&self) -> bool {
        false
    }

    async fn private_only(&self) -> bool {
        true
    }

    async fn storage_bytes(&self) -> Int64 {
        Int64(0)
    }

    async fn code_saving_enabled(&self) -> bool {
        true
    }

    async fn default_access(&self) -> Option<String> {
        Some("PRIVATE".to_owned())
    }

    async fn is_paid(&self) -> bool {
        true
    }

    /// Whether clients compute digests with another algorithm. The server stores MD5 digests.
    async fn xxhash_digests_enabled(&self) -> bool {
        false
    }

    /// The members of a team. The server has keys instead.
    async fn members(&self) -> Vec<Member> {
        Vec::new()
    }

    /// The services that the server notifies for W&B automations: none.
    async fn integrations(
        &self,
        after: Option<String>,
        first: Option<i32>,
    ) -> IntegrationConnection {
        IntegrationConnection::page(Vec::new(), after.as_deref(), first)
    }
}

connection!(EntityConnection, EntityEdge, Entity);

/// An organization. The server has none.
#[derive(SimpleObject)]
pub(super) struct Organization {
    id: ID,
    name: String,
    core_weave_organization_id: Option<ID>,
}

/// An API key, without its secret.
#[derive(SimpleObject)]
pub(super) struct ApiKey {
    id: ID,
    name: String,
    description: Option<String>,
}

connection!(ApiKeyConnection, ApiKeyEdge, ApiKey);

/// Information about the server.
pub(super) struct ServerInfo;

/// Information about the server.
#[Object]
impl ServerInfo {
    /// Lists supported features only, because clients use every listed feature.
    async fn features(&self) -> Vec<ServerFeature> {
        vec![ServerFeature { name: GZIP_FEATURE.to_owned(), is_enabled: true }]
    }

    /// The versions of the clients that the server supports: all of them.
    async fn cli_version_info(&self) -> Json {
        let versions = [("min_cli_version", "0.15.0"), ("max_cli_version", "99.0.0")];
        let versions = versions.map(|(name, version)| (Name::new(name), Value::from(version)));
        Json(Value::Object(versions.into_iter().collect()))
    }

    async fn latest_local_version_info(&self) -> Option<LocalVersionInfo> {
        None
    }

    /// The base URL of the web pages.
    async fn frontend_host(&self, ctx: &Context<'_>) -> String {
        request_context(ctx).base.to_string()
    }
}

/// An optional feature of the server.
#[derive(SimpleObject)]
pub(super) struct ServerFeature {
    name: String,
    is_enabled: bool,
}

/// Whether a newer server version exists.
#[derive(SimpleObject)]
pub(super) struct LocalVersionInfo {
    out_of_date: bool,
    latest_version_string: String,
    version_on_this_instance_string: String,
}

/// Settings. Clients query only the names of the fields; without fields they query nothing else.
#[derive(SimpleObject)]
pub(super) struct ServerSettings {
    #[graphql(visible = false)]
    pub(super) none: bool,
}
