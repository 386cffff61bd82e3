//! The native API: rows in, rows out, without an SDK.
