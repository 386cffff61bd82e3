//! Objects that clients name by their ids.
//!
//! The ids are counted, so an object that the caller may not read must look like one that does not
//! exist: otherwise a key could list what other entities have.

use streamtable_server_core::{ApiError, CatalogError};

use super::RequestContext;
use crate::catalog::{self, Id, Kind, RunCatalog};

/// An object that clients name by its id.
pub(super) trait ById: Sized + Send {
    const KIND: Kind;

    /// What errors call the object.
    const NAME: &'static str;

    /// Returns the object, and the entity to which it belongs.
    fn find(
        catalog: &RunCatalog,
        number: i64,
    ) -> impl Future<Output = Result<Option<(Self, String)>, CatalogError>> + Send;
}

impl RequestContext {
    /// Returns the object with the given number if the caller may read it.
    pub(super) async fn by_number<T: ById>(&self, number: i64) -> Result<Option<T>, ApiError> {
        Ok(self.visible(number).await?.map(|(object, _)| object))
    }

    /// Returns the object with the given id if the caller may read it.
    pub(super) async fn by_id<T: ById>(&self, id: &str) -> Result<Option<T>, ApiError> {
        match Id::parse(T::KIND, id) {
            Some(number) => self.by_number(number).await,
            None => Ok(None),
        }
    }

    /// Returns the object with the given id. Fails with the same error if there is none and if the
    /// caller may not read it.
    pub(super) async fn readable<T: ById>(&self, id: &str) -> Result<T, ApiError> {
        self.by_id(id).await?.ok_or_else(unknown::<T>)
    }

    /// Same as [`readable`](Self::readable), but also fails if the caller may not change the object.
    pub(super) async fn writable<T: ById>(&self, id: &str) -> Result<T, ApiError> {
        let number = Id::parse(T::KIND, id).ok_or_else(unknown::<T>)?;
        let (object, entity) = self.visible(number).await?.ok_or_else(unknown::<T>)?;
        self.check_write(&entity)?;
        Ok(object)
    }

    async fn visible<T: ById>(&self, number: i64) -> Result<Option<(T, String)>, ApiError> {
        let found = T::find(&self.state.catalog, number).await?;
        Ok(found.filter(|(_, entity)| self.sees(entity)))
    }
}

fn unknown<T: ById>() -> ApiError {
    ApiError::not_found(format!("{} not found", T::NAME))
}

impl ById for catalog::Run {
    const KIND: Kind = Kind::Run;
    const NAME: &'static str = "run";

    async fn find(
        catalog: &RunCatalog,
        number: i64,
    ) -> Result<Option<(Self, String)>, CatalogError> {
        let found = catalog.run_by_id(number).await?;
        Ok(found.map(|run| (run.clone(), run.project.entity)))
    }
}

impl ById for catalog::Project {
    const KIND: Kind = Kind::Project;
    const NAME: &'static str = "project";

    async fn find(
        catalog: &RunCatalog,
        number: i64,
    ) -> Result<Option<(Self, String)>, CatalogError> {
        let found = catalog.project_by_id(number).await?;
        Ok(found.map(|project| (project.clone(), project.entity)))
    }
}

impl ById for catalog::Artifact {
    const KIND: Kind = Kind::Artifact;
    const NAME: &'static str = "artifact";

    async fn find(
        catalog: &RunCatalog,
        number: i64,
    ) -> Result<Option<(Self, String)>, CatalogError> {
        let found = catalog.artifact(number).await?;
        Ok(found.map(|artifact| (artifact.clone(), artifact.collection.project.entity)))
    }
}

impl ById for catalog::Collection {
    const KIND: Kind = Kind::Collection;
    const NAME: &'static str = "artifact collection";

    async fn find(
        catalog: &RunCatalog,
        number: i64,
    ) -> Result<Option<(Self, String)>, CatalogError> {
        let found = catalog.collection_by_id(number).await?;
        Ok(found.map(|collection| (collection.clone(), collection.project.entity)))
    }
}

impl ById for catalog::RunFile {
    const KIND: Kind = Kind::RunFile;
    const NAME: &'static str = "file";

    async fn find(
        catalog: &RunCatalog,
        number: i64,
    ) -> Result<Option<(Self, String)>, CatalogError> {
        let Some(file) = catalog.run_file_by_id(number).await? else { return Ok(None) };
        let run = catalog.run_by_id(file.run_id).await?;
        Ok(run.map(|run| (file, run.project.entity)))
    }
}

impl ById for catalog::Manifest {
    const KIND: Kind = Kind::Manifest;
    const NAME: &'static str = "manifest";

    async fn find(
        catalog: &RunCatalog,
        number: i64,
    ) -> Result<Option<(Self, String)>, CatalogError> {
        let Some(manifest) = catalog.manifest(number).await? else { return Ok(None) };
        let artifact = catalog.artifact(manifest.artifact_id).await?;
        Ok(artifact.map(|artifact| (manifest, artifact.collection.project.entity)))
    }
}
