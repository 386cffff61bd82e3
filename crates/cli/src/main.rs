//! The `streamtable` command.
fn main() {}
