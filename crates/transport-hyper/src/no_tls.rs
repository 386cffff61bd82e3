//! Replaces TLS if the feature `tls` is disabled: https requests fail.

use http::Uri;

use crate::{ConfigError, Roots};

pub(crate) const NOT_POSSIBLE: &str =
    "https needs the feature `tls` of streamtable-transport-hyper";

/// A connection without TLS.
pub(crate) type MaybeHttpsStream<T> = T;

/// There is no value of this type.
#[derive(Clone, Debug)]
pub(crate) enum Tls {}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Server,
    Proxy,
}

impl Tls {
    pub(crate) fn new(_: &Roots) -> Result<Option<Self>, ConfigError> {
        Ok(None)
    }

    pub(crate) async fn secure<T>(
        &self,
        _: T,
        _: &Uri,
        _: Peer,
    ) -> Result<T, crate::cause::BoxError> {
        match *self {}
    }
}
