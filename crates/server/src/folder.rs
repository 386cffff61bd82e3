//! The data folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes a folder if it does not exist, for its owner alone, and makes its name durable.
///
/// Blocks.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.is_dir())
        .collect();
    for path in missing.into_iter().rev() {
        make_private(path)?;
    }
    Ok(())
}

/// Makes one folder, for its owner alone, and makes its name durable.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
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

/// Makes the names in a folder durable.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    // Only POSIX systems open folders as files.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Warns if other accounts of the machine can open the data folder.
#[cfg(unix)]
pub(crate) fn warn_if_open(folder: &Path) -> io::Result<()> {
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
pub(crate) fn warn_if_open(_: &Path) -> io::Result<()> {
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
    fn new_folders_are_for_their_owner_alone() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("a/b");
        make(&inner).unwrap();
        assert_eq!((mode(&inner), mode(inner.parent().unwrap())), (0o700, 0o700));
        // One that exists is left as it is.
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o750)).unwrap();
        make(&inner).unwrap();
        make_private(&inner).unwrap();
        assert_eq!(mode(&inner), 0o750);
    }
}
