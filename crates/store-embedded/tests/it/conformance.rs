//! Runs the conformance suite in the states that the embedded store can be in.

use streamtable_store::conformance;

use crate::support::{Folder, NOTHING};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_conforms() {
    let folder = Folder::new();
    let store = folder.open().await;
    assert_eq!(conformance::run_all(&store, "fresh").await, NOTHING);
    // Also with flushed tables in the store.
    store.flush().await.unwrap();
    assert_eq!(conformance::run_all(&store, "flushed").await, NOTHING);
}
