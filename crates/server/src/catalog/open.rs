//! How a server opens its catalog: one that is lost or damaged must not look like a first start.

use std::path::Path;

use super::copies::Copies;
use super::{Catalog, CatalogError};
use crate::config::LostCatalog;

impl Catalog {
    /// Opens a server's catalog. If it is damaged, or has no key although there are tables, does as
    /// `lost` says.
    ///
    /// Blocks.
    pub(crate) fn open_for_server(
        path: &Path,
        has_tables: bool,
        lost: LostCatalog,
    ) -> Result<Self, CatalogError> {
        let copies = Copies::of(path);
        let reason = match open_whole(path, has_tables, &copies) {
            Err(CatalogError::Damaged { reason } | CatalogError::Lost { reason }) => reason,
            opened => return opened,
        };
        let copy = copies.newest_usable()?;
        match (lost, &copy) {
            (LostCatalog::Refuse, Some(_)) => {
                let remedy = "there is a copy that is not damaged: `--lost-catalog copy` uses it, \
                              `--lost-catalog empty` begins an empty catalog with a new key";
                return Err(CatalogError::Lost { reason: format!("{reason}; {remedy}") });
            }
            (LostCatalog::Refuse, None) => {
                let remedy = "there is no copy that can be used; restore the data folder from a \
                              backup, or begin an empty catalog with a new key by \
                              `--lost-catalog empty` (tables and files stay)";
                return Err(CatalogError::Lost { reason: format!("{reason}; {remedy}") });
            }
            (LostCatalog::UseCopy, None) => {
                let reason = format!("{reason}; there is no copy that can be used");
                return Err(CatalogError::Lost { reason });
            }
            (LostCatalog::UseCopy, Some(_)) | (LostCatalog::BeginEmpty, _) => {}
        }
        let aside = copies.set_catalog_aside(lost == LostCatalog::BeginEmpty)?;
        let aside = aside.file_name().unwrap_or_default();
        if let (LostCatalog::UseCopy, Some(copy)) = (lost, &copy) {
            copies.restore(copy)?;
            tracing::error!(reason, ?aside, "the catalog was moved aside; a copy is used instead");
        } else {
            tracing::error!(reason, ?aside, "the catalog was moved aside; an empty one is begun");
        }
        let catalog = Self::open(path)?;
        catalog.report(format!("the catalog was replaced at this start: {reason}"));
        Ok(catalog)
    }
}

/// Opens a catalog, and fails if it looks lost: it has never had a key although there are tables, or
/// a copy has changes that it has not.
fn open_whole(path: &Path, has_tables: bool, copies: &Copies) -> Result<Catalog, CatalogError> {
    let catalog = Catalog::open(path)?;
    let has_had_keys = catalog.has_had_keys()?;
    if has_tables && !has_had_keys {
        let reason = "there are tables, but the catalog has no key: it seems to be lost";
        return Err(CatalogError::Lost { reason: reason.to_owned() });
    }
    let own = catalog.generation()?;
    if let Some(copy) = copies.newest_usable()?
        && copy.generation > own
    {
        let missing = copy.generation - own;
        let reason = format!("the catalog lacks at least {missing} changes that its copy has");
        return Err(CatalogError::Lost { reason });
    }
    Ok(catalog)
}
