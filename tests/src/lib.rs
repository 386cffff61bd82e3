//! Tests of StreamTable across crates; the tests are in `it/`.
