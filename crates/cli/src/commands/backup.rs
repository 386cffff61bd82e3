//! `streamtable backup`: copies a server's data folder.

use std::path::PathBuf;

use clap::Args;
use streamtable_server::back_up;

use super::serve::make_files_private;
use crate::failure::Failure;
use crate::output::print;
use crate::progress;
use crate::text::{counted, size};

const EXAMPLES: &str = "\
Examples:
  streamtable backup --data /var/lib/streamtable /backup/streamtable
      Copies everything into a new folder, /backup/streamtable/20261128T031500.000Z.
  streamtable backup --data /var/lib/streamtable --keep 7 /backup/streamtable
      The same, and removes all but the newest seven backups. For cron or a timer.
  cp -a /backup/streamtable/20261128T031500.000Z /srv/restored
  streamtable serve --data /srv/restored
      A backup is a data folder: to restore it, start a server in a copy of it.

The server may be running. The backup has all rows, files and keys from before the
command, and is verified before it gets its name. Rows and uploads that are in the
backup before are hard links to it, so that only new ones take time and space.
Tables in a bucket (serve --store) are not in the backup.";

/// Back up a server's data folder, also while the server runs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Backup {
    /// Data folder of the server
    #[arg(long, value_name = "DIR", default_value = "streamtable-data")]
    data: PathBuf,
    /// Number of backups to keep; older ones are removed [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
    /// Folder of backups, on another disk or machine; created if it does not exist
    target: PathBuf,
}

impl Backup {
    /// Makes a backup, and prints where it is.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        make_files_private();
        let work = move || {
            let bar = progress::bytes(None);
            let Self { data, keep, target } = self;
            let made = back_up(&data, &target, keep.map(usize::from), &mut |copied| {
                bar.set_message(counted(copied.files, "file"));
                bar.set_position(copied.bytes);
            });
            bar.finish_and_clear();
            made
        };
        let made = tokio::task::spawn_blocking(work).await.map_err(Failure::failed)?;
        let made = made.map_err(Failure::failed)?;
        let copied = made.copied;
        let mut text = format!(
            "{}: {}, {} ({} new), verified",
            made.folder.display(),
            counted(copied.files, "file"),
            size(copied.bytes),
            size(copied.new_bytes),
        );
        if !made.removed.is_empty() {
            let removed = counted(made.removed.len() as u64, "older backup");
            text.push_str(&format!("; removed {removed}"));
        }
        if let Some(url) = made.tables_at {
            text.push_str(&format!("; the tables in {url} are not in it"));
        }
        print(text)
    }
}
