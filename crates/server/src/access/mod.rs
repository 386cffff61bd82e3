//! Keys, browser sessions, and checks of every request.

mod caller;
mod guard;
mod keys;
mod login;

pub(crate) use caller::{Caller, end_with_access};
pub(crate) use guard::{Peer, guard};
pub(crate) use keys::router as keys_router;
pub(crate) use login::{LoginState, router as login_router};
