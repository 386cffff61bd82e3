//! The server over real sockets.

mod clients;
mod conformance;
mod http;
mod proxy;
mod reading;
mod security;
mod support;
