//! Tests of StreamTable across crates; they live in `it/`.
