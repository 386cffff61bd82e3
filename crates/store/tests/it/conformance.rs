//! The suite of what any store must do, in every state that the embedded store can be in.

use streamtable_store::{EmbeddedStore, StoreConfig, conformance};

async fn store(folder: &tempfile::TempDir) -> EmbeddedStore {
    EmbeddedStore::open(StoreConfig::new(folder.path())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    assert_eq!(conformance::run_all(&store, "fresh").await, Vec::<String>::new());
    // Also beside tables that are at rest.
    store.put_to_rest().await.unwrap();
    assert_eq!(conformance::run_all(&store, "rested").await, Vec::<String>::new());
}
