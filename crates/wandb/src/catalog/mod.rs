//! Projects, runs and artifacts: the protocol's tables in the server's catalog.

mod artifacts;
mod files;
mod id;
mod lines;
mod manifests;
mod runs;
#[cfg(test)]
mod tests;

use streamtable_server_core::Catalog;
use streamtable_server_core::catalog::FeatureTables;

pub(crate) use artifacts::{Artifact, ArtifactChange, Collection, NewArtifact};
pub(crate) use files::{AnnouncedFile, RunFile};
pub(crate) use id::{Id, Kind};
pub(crate) use lines::LineFile;
pub(crate) use manifests::{
    ArtifactFile, Manifest, ManifestFile, ManifestKind, NewManifest, WholeArtifact,
};
pub(crate) use runs::{NO_PROJECT, Project, Run, RunChange, RunEvent, RunLocation};

/// The protocol's tables in the catalog.
pub const TABLES: FeatureTables =
    FeatureTables { feature: "wandb", versions: &[include_str!("tables.sql")] };

/// Projects, runs and artifacts in the catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RunCatalog(Catalog);

impl RunCatalog {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self(catalog)
    }
}
