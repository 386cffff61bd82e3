//! Resolves the names of tables in SQL: entity, project, table.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use streamtable_schema::TablePath;

use super::mixed::KnownColumns;
use super::named::Named;
use super::view::view;
use crate::embedded::Snapshot;

/// The existing tables.
pub(crate) trait Tables: fmt::Debug + Send + Sync {
    /// Returns the names of all tables that have a row.
    fn names(&self) -> Vec<TablePath>;

    /// Returns a snapshot of a table.
    fn find(&self, path: &TablePath) -> Option<Snapshot>;
}

/// The tables that one query can see: those of the entities that its author may read, and no
/// others, so that nothing else has to be checked.
#[derive(Clone, Debug)]
pub(super) struct Visible {
    pub(super) tables: Arc<dyn Tables>,
    /// The visible entities; `None` for all.
    pub(super) entities: Option<Vec<String>>,
    /// Whether tables have a column with the positions of their rows.
    pub(super) positions: bool,
    /// The columns of wide tables that are needed.
    pub(super) named: Arc<Named>,
    /// The columns of the tables that were looked up.
    pub(super) known: Arc<KnownColumns>,
}

impl Visible {
    fn may_see(&self, entity: &str) -> bool {
        self.entities.as_ref().is_none_or(|it| it.iter().any(|visible| visible == entity))
    }

    fn names(&self) -> impl Iterator<Item = TablePath> + '_ {
        self.tables.names().into_iter().filter(|path| self.may_see(path.entity()))
    }

    fn find(&self, path: &TablePath) -> Option<Snapshot> {
        self.may_see(path.entity()).then(|| self.tables.find(path))?
    }
}

impl CatalogProviderList for Visible {
    fn register_catalog(
        &self,
        _: String,
        _: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        unique(self.names().map(|path| path.entity().to_owned()))
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        // Whether the entity exists is decided when a table is looked up: the result is the same
        // for an entity that does not exist and one that must not be seen.
        Some(Arc::new(Entity { visible: self.clone(), entity: name.to_owned() }))
    }
}

#[derive(Debug)]
struct Entity {
    visible: Visible,
    entity: String,
}

impl CatalogProvider for Entity {
    fn schema_names(&self) -> Vec<String> {
        let paths = self.visible.names().filter(|path| path.entity() == self.entity);
        unique(paths.map(|path| path.project().to_owned()))
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(Project {
            visible: self.visible.clone(),
            entity: self.entity.clone(),
            project: name.to_owned(),
        }))
    }
}

#[derive(Debug)]
struct Project {
    visible: Visible,
    entity: String,
    project: String,
}

impl Project {
    /// Parses a name: one quoted name may be a whole path.
    fn path(&self, name: &str) -> Option<TablePath> {
        let parts: Vec<&str> = name.split('/').collect();
        match parts[..] {
            [table] => TablePath::new(&self.entity, &self.project, table).ok(),
            [project, table] => TablePath::new(&self.entity, project, table).ok(),
            [entity, project, table] => TablePath::new(entity, project, table).ok(),
            _ => None,
        }
    }

    fn find(&self, name: &str) -> Option<Snapshot> {
        self.visible.find(&self.path(name)?)
    }
}

#[async_trait]
impl SchemaProvider for Project {
    fn table_names(&self) -> Vec<String> {
        let own = |path: &TablePath| path.entity() == self.entity && path.project() == self.project;
        self.visible.names().filter(own).map(|path| path.table().to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Visible { positions, named, known, .. } = &self.visible;
        let Some((path, table)) = self.path(name).and_then(|path| {
            let table = self.visible.find(&path)?;
            Some((path, table))
        }) else {
            return Ok(None);
        };
        known.add(&path, &table.columns);
        view(table, *positions, named).map(Some)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}
