//! `streamtable sync`: delivers rows that wait in the spool.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use streamtable::spool::{self, SyncOptions, Tally};
use streamtable::{Backend, OpenError, Settings, WandbBackend};
use streamtable_transport_hyper::HyperTransport;

use crate::failure::Failure;
use crate::output::print;
use crate::progress;
use crate::style;
use crate::text::{count, counted};
use crate::trouble::Trouble;

const EXAMPLES: &str = "\
Examples:
  streamtable sync                    deliver all waiting rows once
  streamtable sync --follow           run as a service, until Ctrl-C
  streamtable sync /mnt/old/spool     deliver rows from another folder

Rows wait in the spool if a program was killed or its server was unreachable. Each
row is sent to the server that it was logged for, with this machine's API key for
that server. It is stored once, even if it is sent several times.";

/// Deliver rows that wait on disk
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sync {
    /// The spool folder [default: the one that programs on this machine use]
    dir: Option<PathBuf>,
    /// Check repeatedly until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Seconds between checks
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "follow")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
}

impl Sync {
    /// Delivers the waiting rows, and prints the tally.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let dir = dir(self.dir)?;
        loop {
            let tally = deliver(&dir).await?;
            let is_idle = tally.found == 0 && tally.left.is_empty();
            if !self.follow || !is_idle {
                report(&tally)?;
            }
            if !self.follow {
                return match tally.left.is_empty() && tally.rejected + tally.lost == 0 {
                    true => Ok(()),
                    false => Err(Failure::Told),
                };
            }
            tokio::time::sleep(Duration::from_secs(self.every)).await;
        }
    }
}

/// Returns the given spool folder, or the one of this machine.
pub(crate) fn dir(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(dir) = given {
        return match dir.is_dir() {
            true => Ok(dir),
            false => Err(Failure::failed(format!("{} is not a folder", dir.display()))),
        };
    }
    let settings = Settings::from_env().map_err(Failure::failed)?;
    settings.spool_dir.ok_or_else(|| {
        Failure::usage("this machine has no spool (STREAMTABLE_SPOOL is off, or HOME is not set)")
    })
}

async fn deliver(dir: &std::path::Path) -> Result<Tally, Failure> {
    let bar = progress::words();
    let connect = |server: &str| -> Result<Arc<dyn Backend>, OpenError> {
        let settings = Settings { base_url: server.to_owned(), ..Settings::from_env_for(server)? };
        let transport = HyperTransport::new()
            .map_err(|error| OpenError::Backend { reason: error.to_string() })?;
        Ok(Arc::new(WandbBackend::new(transport, &settings)?))
    };
    let mut trouble = Trouble::default();
    let show = |progress: spool::SyncProgress<'_>| {
        if let Some(error) = trouble.watch(progress.trouble.map(str::to_owned)) {
            bar.suspend(|| style::warn(format_args!("rows wait and are sent again: {error}")));
        }
        let Tally { acked, found, .. } = progress.tally;
        bar.set_message(format!(
            "{}: {} of {} delivered",
            progress.table,
            count(*acked),
            counted(*found, "row")
        ));
    };
    let tally = spool::sync(dir, &SyncOptions::default(), connect, show).await;
    bar.finish_and_clear();
    tally.map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))
}

fn report(tally: &Tally) -> Result<(), Failure> {
    for left in &tally.left {
        style::warn(format_args!("{} is not delivered: {}", left.dir.display(), left.reason));
    }
    let Tally { spools, busy, found, acked, rejected, .. } = tally;
    let mut text = format!(
        "{}: {} found, {} acked, {} rejected",
        counted(*spools, "spool"),
        counted(*found, "row"),
        count(*acked),
        count(*rejected)
    );
    if tally.media_uploaded + tally.media_failed > 0 {
        text.push_str(&format!(
            "; media: {} uploaded, {} failed",
            count(tally.media_uploaded),
            count(tally.media_failed)
        ));
    }
    if tally.damaged + tally.lost > 0 {
        let (damaged, lost) = (counted(tally.damaged, "damaged place"), counted(tally.lost, "row"));
        text.push_str(&format!("; {damaged} moved aside, {lost} lost"));
    }
    if *busy > 0 {
        text.push_str(&format!("; {} in use by running programs", counted(*busy, "spool")));
    }
    if !tally.left.is_empty() {
        text.push_str(&format!("; {} not delivered", counted(tally.left.len() as u64, "spool")));
    }
    print(text)
}
