//! Files and pipes with rows.

mod columnar;
mod csv;
mod detect;
mod input;
mod lines;
mod media;
mod metadata;
mod number;
mod options;
mod shape;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod types;

pub use input::{Input, Item, Position};
pub use metadata::TimeUnit;
pub use options::{Format, InputError, Options};
pub use stream::Source;
