//! The data folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Creates a folder if it does not exist, for its owner only, and syncs its parent.
///
/// Blocks.
pub fn make(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.is_dir())
        .collect();
    for path in missing.into_iter().rev() {
        make_private(path)?;
    }
    Ok(())
}

/// Creates one folder, for its owner only, and syncs its parent.
pub fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")))
}

/// Syncs a folder, which makes the names in it durable.
pub fn sync(folder: &Path) -> io::Result<()> {
    // Only POSIX systems can open folders as files.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Warns if other accounts of the machine can open the data folder.
#[cfg(unix)]
pub fn warn_if_open(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(folder)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let folder = folder.display();
        tracing::warn!(
            %folder,
            mode = format_args!("{mode:04o}"),
            "other accounts of this machine can open the data folder; `chmod 700` closes it"
        );
    }
    Ok(())
}

#[cfg(not(unix))]
pub fn warn_if_open(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_can_open_new_folders() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("a/b");
        make(&inner).unwrap();
        assert_eq!((mode(&inner), mode(inner.parent().unwrap())), (0o700, 0o700));
        // An existing folder keeps its mode.
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o750)).unwrap();
        make(&inner).unwrap();
        make_private(&inner).unwrap();
        assert_eq!(mode(&inner), 0o750);
    }
}
