//! The embedded store, from outside: conformance, crashes, damage.

mod conformance;
mod crashes;
mod damage;
mod support;
