//! Who asks, and entities.

use async_graphql::{Context, ID, Object, SimpleObject};
use streamtable_wire::GZIP_FEATURE;

use super::asker;
use super::connection::connection;
use super::project::Project;
use super::scalar::{DateTime, Json};
use crate::access::Right;

/// The owner of a key.
pub(super) struct User {
    pub(super) name: String,
    pub(super) entity: Option<String>,
    pub(super) is_admin: bool,
}

/// The owner of a key.
#[Object]
impl User {
    async fn id(&self) -> ID {
        ID(format!("User:{}", self.name))
    }

    async fn name(&self) -> &str {
        &self.name
    }

    /// The name in addresses: the entity's.
    async fn username(&self) -> &str {
        self.entity.as_deref().unwrap_or(&self.name)
    }

    async fn email(&self) -> Option<String> {
        None
    }

    async fn admin(&self) -> bool {
        self.is_admin
    }

    /// JSON as a text.
    async fn flags(&self) -> &str {
        "{}"
    }

    /// The name of the entity in which the owner logs when none is named.
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
}

/// Whose projects these are.
pub(super) struct Entity {
    pub(super) name: String,
}

/// Whose projects these are.
#[Object]
impl Entity {
    async fn id(&self) -> ID {
        ID(format!("Entity:{}", self.name))
    }

    async fn name(&self) -> &str {
        &self.name
    }

    async fn read_only(&self, ctx: &Context<'_>) -> bool {
        !asker(ctx).principal.may(Right::Write, &self.name)
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
        Project::find(asker(ctx), name, Some(self.name.clone())).await
    }
}

connection!(EntityConnection, EntityEdge, Entity);

/// What entities may belong to; none does here.
#[derive(SimpleObject)]
pub(super) struct Organization {
    id: ID,
    name: String,
    core_weave_organization_id: Option<ID>,
}

/// A key, without its secret.
#[derive(SimpleObject)]
pub(super) struct ApiKey {
    id: ID,
    name: String,
    description: Option<String>,
}

connection!(ApiKeyConnection, ApiKeyEdge, ApiKey);

/// What the server is.
pub(super) struct ServerInfo;

/// What the server is.
#[Object]
impl ServerInfo {
    /// Only what there is: clients use what they find here.
    async fn features(&self) -> Vec<ServerFeature> {
        vec![ServerFeature { name: GZIP_FEATURE.to_owned(), is_enabled: true }]
    }

    async fn cli_version_info(&self) -> Json {
        Json(async_graphql::Value::Object(Default::default()))
    }

    async fn latest_local_version_info(&self) -> Option<LocalVersionInfo> {
        None
    }

    /// Where the pages are.
    async fn frontend_host(&self, ctx: &Context<'_>) -> String {
        asker(ctx).base.to_string()
    }
}

/// Something that servers may have.
#[derive(SimpleObject)]
pub(super) struct ServerFeature {
    name: String,
    is_enabled: bool,
}

/// How new a server is.
#[derive(SimpleObject)]
pub(super) struct LocalVersionInfo {
    out_of_date: bool,
    latest_version_string: String,
    version_on_this_instance_string: String,
}

/// Settings of which clients ask for the names only: where there is none, they ask no further.
#[derive(SimpleObject)]
pub(super) struct ServerSettings {
    #[graphql(visible = false)]
    pub(super) none: bool,
}
