//! `streamtable login`: stores an API key on this machine.

use std::io::{IsTerminal, Read};

use clap::Args;
use streamtable_transport::ApiKey;

use crate::cli::Global;
use crate::failure::Failure;
use crate::netrc;
use crate::output::print;
use crate::remote::{Remote, settings};
use crate::style;

/// Maximum length of a key read from standard input, in bytes.
const MAX_KEY_BYTES: u64 = 4096;

const EXAMPLES: &str = "\
Examples:
  streamtable login                                  ask for the key
  streamtable login --base-url https://tables.example.org
  pass show tables | streamtable login --key -

The key is checked with the server and stored in the netrc file ($NETRC or
~/.netrc), like `wandb login` does. This command and all W&B clients read it
from there.";

/// Store an API key for a server in the netrc file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Login {
    /// Read the key from standard input
    #[arg(long, value_name = "-", value_parser = only_dash)]
    key: Option<()>,
}

fn only_dash(text: &str) -> Result<(), String> {
    match text {
        "-" => Ok(()),
        _ => Err("a key on the command line is visible to other users; pipe it and pass --key -"
            .to_owned()),
    }
}

impl Login {
    /// Asks for the key, checks it with the server, and stores it.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let mut settings = settings(global)?;
        let key = match self.key {
            Some(()) => read_key()?,
            None if std::io::stdin().is_terminal() => {
                let prompt = format!("API key for {}: ", settings.base_url);
                rpassword::prompt_password(prompt)
                    .map_err(|error| Failure::failed(format!("cannot read the key: {error}")))?
            }
            None => {
                return Err(Failure::usage(
                    "standard input is not a terminal: pipe the key and pass --key -",
                ));
            }
        };
        let key = ApiKey::new(key.trim()).map_err(Failure::failed)?;
        settings.api_key = Some(key.clone());
        let remote = Remote::with_settings(settings)?;
        let entity = remote.default_entity().await?;
        let path = netrc::keep(&remote.origin()?, &key)?;
        let who = entity.map_or(String::new(), |entity| format!(" as {entity}"));
        print(format!(
            "logged in to {}{who}; the key is stored in {}",
            remote.base(),
            path.display()
        ))?;
        if std::env::var_os("WANDB_API_KEY").is_some_and(|key| !key.is_empty()) {
            style::warn(
                "WANDB_API_KEY is set and overrides the netrc file; weave refuses to start with both",
            );
        }
        Ok(())
    }
}

fn read_key() -> Result<String, Failure> {
    let mut key = String::new();
    let read = std::io::stdin().lock().take(MAX_KEY_BYTES).read_to_string(&mut key);
    read.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    Ok(key)
}
