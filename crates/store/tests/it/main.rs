//! The embedded store, from outside: conformance, crashes, damage, other readers.

mod conformance;
