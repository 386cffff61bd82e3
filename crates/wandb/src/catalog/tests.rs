use streamtable_server_core::Catalog;

use super::{NewArtifact, RunCatalog, TABLES, artifacts};

#[tokio::test]
async fn deleted_artifacts_keep_their_version() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open_with(&folder.path().join("catalog.db"), &[TABLES]).unwrap();
    let catalog = RunCatalog::new(catalog);
    let commit = async |digest: &str, aliases: &[&str]| {
        let new = NewArtifact {
            entity: "me".to_owned(),
            project: "p".to_owned(),
            type_name: "dataset".to_owned(),
            collection: "data".to_owned(),
            digest: digest.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            dedupe: true,
            ..NewArtifact::default()
        };
        let artifact = catalog.create_artifact(new).await.unwrap();
        if artifact.version.is_some() {
            return artifact;
        }
        let id = artifact.id;
        catalog.0.write(move |db| artifacts::seal(db, &artifact, 0, 0)).await.unwrap();
        catalog.artifact(id).await.unwrap().unwrap()
    };
    let first = commit("a", &[]).await;
    let second = commit("b", &["prod"]).await;
    let collection = first.collection.id;
    let versions = async || {
        let versions = catalog.versions(collection).await.unwrap();
        versions.iter().map(|it| it.version.unwrap()).collect::<Vec<_>>()
    };
    let latest = async || {
        let latest = catalog.artifact_named(collection, "latest").await.unwrap();
        latest.map(|it| it.version.unwrap())
    };
    assert_eq!((versions().await, latest().await), (vec![1, 0], Some(1)));

    let error = catalog.delete_artifact(second.clone(), false).await.unwrap_err();
    assert!(error.to_string().contains("prod"), "{error}");
    assert_eq!((versions().await, latest().await), (vec![1, 0], Some(1)));
    catalog.delete_artifact(second.clone(), true).await.unwrap();
    assert_eq!((versions().await, latest().await), (vec![0], Some(0)));
    assert_eq!(catalog.artifact(second.id).await.unwrap(), None);
    assert_eq!(catalog.artifact_named(collection, "prod").await.unwrap(), None);

    // The same content is a new version.
    let again = commit("b", &[]).await;
    assert_eq!((versions().await, latest().await), (vec![2, 0], Some(2)));
    catalog.delete_artifact(again, false).await.unwrap();
    catalog.delete_artifact(first, false).await.unwrap();
    assert_eq!((versions().await, latest().await), (vec![], None));
}
