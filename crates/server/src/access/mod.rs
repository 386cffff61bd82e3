//! Keys, browser sessions, and checks of every request.

mod guard;
mod keys;
mod login;

pub(crate) use guard::{Peer, guard};
pub(crate) use keys::router as keys_router;
pub(crate) use login::{LoginState, router as login_router};
