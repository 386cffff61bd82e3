//! Runs the conformance suite in the states that the embedded store can be in.

use std::sync::Arc;

use streamtable_store::conformance;

use crate::support::{Folder, NOTHING};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_conforms() {
    let folder = Folder::new();
    let store = Arc::new(folder.open().await);
    assert_eq!(conformance::run_all(&*store, "fresh").await, NOTHING);
    // Also with flushed tables in the store, and through a shared handle.
    store.flush().await.unwrap();
    assert_eq!(conformance::run_all(&store, "flushed").await, NOTHING);
}
