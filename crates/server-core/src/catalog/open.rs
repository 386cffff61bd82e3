//! How a server opens its catalog: a lost or damaged catalog must not be mistaken for a first
//! start.

use std::path::Path;

use super::copies::Copies;
use super::{Catalog, CatalogError, FeatureTables};

/// The reaction to a catalog (keys, runs, boards) that is damaged or has lost its keys. Has no
/// effect on an intact catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LostCatalog {
    /// Refuses to start; the error describes the remedies.
    #[default]
    Refuse,
    /// Moves the catalog aside and uses the newest of the daily copies.
    UseCopy,
    /// Moves the catalog aside and creates an empty one. FeatureTables and files are kept.
    BeginEmpty,
}

impl Catalog {
    /// Opens a server's catalog with its features' tables. If the catalog is damaged, or has no key although there are
    /// tables, does what `lost` selects.
    ///
    /// Blocks.
    pub fn open_for_server(
        path: &Path,
        features: &[FeatureTables],
        has_tables: bool,
        lost: LostCatalog,
    ) -> Result<Self, CatalogError> {
        let copies = Copies::of(path);
        let reason = match open_whole(path, features, has_tables, &copies) {
            Err(CatalogError::Damaged { reason } | CatalogError::Lost { reason }) => reason,
            opened => return opened,
        };
        let (copy, _) = copies.newest_usable();
        match (lost, &copy) {
            (LostCatalog::Refuse, Some(_)) => {
                let remedy = "an undamaged copy exists: `--lost-catalog copy` uses it, \
                              `--lost-catalog empty` creates an empty catalog with a new key";
                return Err(CatalogError::Lost { reason: format!("{reason}; {remedy}") });
            }
            (LostCatalog::Refuse, None) => {
                let remedy = "there is no usable copy; restore the data folder from a \
                              backup, or create an empty catalog with a new key by \
                              `--lost-catalog empty` (tables and files are kept)";
                return Err(CatalogError::Lost { reason: format!("{reason}; {remedy}") });
            }
            (LostCatalog::UseCopy, None) => {
                let reason = format!("{reason}; there is no usable copy");
                return Err(CatalogError::Lost { reason });
            }
            (LostCatalog::UseCopy, Some(_)) | (LostCatalog::BeginEmpty, _) => {}
        }
        let aside = copies.set_catalog_aside(lost == LostCatalog::BeginEmpty)?;
        let aside = aside.file_name().unwrap_or_default();
        if let (LostCatalog::UseCopy, Some(copy)) = (lost, &copy) {
            copies.restore(copy)?;
            tracing::error!(reason, ?aside, "the catalog was moved aside; a copy replaces it");
        } else {
            tracing::error!(
                reason,
                ?aside,
                "the catalog was moved aside; an empty one replaces it"
            );
        }
        let catalog = Self::open_with(path, features)?;
        catalog.report(format!("the catalog was replaced at startup: {reason}"));
        Ok(catalog)
    }
}

/// Opens a catalog. Fails if the catalog looks lost: it has never had a key although there are
/// tables, or a copy contains changes that are missing in it.
fn open_whole(
    path: &Path,
    features: &[FeatureTables],
    has_tables: bool,
    copies: &Copies,
) -> Result<Catalog, CatalogError> {
    let catalog = Catalog::open_with(path, features)?;
    let has_had_keys = catalog.has_had_keys()?;
    if has_tables && !has_had_keys {
        let reason = "there are tables, but the catalog has no key: it has probably been lost";
        return Err(CatalogError::Lost { reason: reason.to_owned() });
    }
    let own = catalog.generation()?;
    let (copy, problems) = copies.newest_usable();
    problems.into_iter().for_each(|problem| catalog.report(problem));
    if let Some(copy) = copy
        && copy.generation > own
    {
        let missing = copy.generation - own;
        let reason = format!("the catalog lacks at least {missing} changes that its copy contains");
        return Err(CatalogError::Lost { reason });
    }
    Ok(catalog)
}
