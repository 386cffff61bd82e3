//! Types of objects that the server does not have. Clients get empty lists of them.

use async_graphql::{ID, SimpleObject};

use super::connection::connection;
use super::scalar::{DateTime, JsonString};
use super::user::User;

/// A member of a team.
#[derive(SimpleObject)]
pub(super) struct Member {
    id: ID,
    role: Option<String>,
    pending: bool,
    email: Option<String>,
    username: Option<String>,
    name: String,
    photo_url: Option<String>,
    account_type: Option<String>,
    api_key: Option<String>,
}

/// A service that is notified for W&B automations.
#[derive(SimpleObject)]
pub(super) struct Integration {
    id: ID,
}

connection!(IntegrationConnection, IntegrationEdge, Integration);

/// A W&B automation.
#[derive(SimpleObject)]
pub(super) struct Trigger {
    id: ID,
    name: String,
}

/// A sweep: a search for hyperparameters.
#[derive(SimpleObject)]
pub(super) struct Sweep {
    id: ID,
    name: String,
    display_name: Option<String>,
    method: String,
    state: String,
    description: Option<String>,
    best_loss: Option<f64>,
    config: String,
    created_at: DateTime,
    updated_at: Option<DateTime>,
    heartbeat_at: Option<DateTime>,
    run_count: i32,
    run_count_expected: Option<i32>,
    controller: Option<JsonString>,
    scheduler: Option<JsonString>,
    controller_run_name: Option<String>,
}

connection!(SweepConnection, SweepEdge, Sweep);

/// A report or a workspace.
#[derive(SimpleObject)]
pub(super) struct View {
    id: ID,
    name: String,
    display_name: String,
    description: Option<String>,
    user: Option<User>,
    spec: JsonString,
    created_at: DateTime,
    updated_at: DateTime,
}

connection!(ViewConnection, ViewEdge, View);
