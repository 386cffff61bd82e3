//! `streamtable keys`: API keys.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use streamtable_server::{Catalog, Key, Right};

use crate::cli::Global;
use crate::commands::serve::make_files_private;
use crate::failure::Failure;
use crate::output::{Output, print};
use crate::remote::{Remote, encode};
use crate::style;
use crate::text::{Align, Grid, printable_cell, when};

const EXAMPLES: &str = "\
Examples:
  streamtable keys add --entity me laptop
  streamtable keys add --entity me --read dashboard
  streamtable keys ls
  streamtable keys revoke 3f9c01ab
  streamtable keys add --data /srv/tables --admin first
      Works without a running server: before the first start of a server that
      other machines can reach, or if the last key is lost.";

/// Create, list and revoke API keys
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Keys {
    #[command(subcommand)]
    action: Action,
    /// Change a server's data folder on this machine instead of using a running server
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a key and print it; it is shown only once
    Add(Add),
    /// List keys
    Ls {
        /// Include revoked keys
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key and end all browser sessions opened with it
    Revoke {
        /// The key's id, as shown by `keys ls`
        id: String,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// Name of the key
    #[arg(default_value = "streamtable keys add")]
    name: String,
    /// Restrict the key to an entity [default: every entity that your own key may access]
    #[arg(long)]
    entity: Option<String>,
    /// Allow reading only
    #[arg(long, group = "right")]
    read: bool,
    /// Allow reading and writing (default)
    #[arg(long, group = "right")]
    write: bool,
    /// Allow everything, including managing keys
    #[arg(long, group = "right")]
    admin: bool,
}

impl Add {
    fn right(&self) -> Right {
        match (self.read, self.admin) {
            (true, _) => Right::Read,
            (_, true) => Right::Admin,
            _ => Right::Write,
        }
    }
}

/// A key, as the server returns it.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    id: String,
    name: String,
    entity: Option<String>,
    right: String,
    created_at: String,
    revoked_at: Option<String>,
    #[serde(default, skip_serializing)]
    key: Option<String>,
}

impl From<Key> for Told {
    fn from(key: Key) -> Self {
        Self {
            id: key.id,
            name: key.name,
            entity: key.entity,
            right: key.right.to_string(),
            created_at: key.created_at.to_string(),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
            key: None,
        }
    }
}

/// Where keys are managed.
enum Keeper {
    Server(Box<Remote>),
    Folder(Catalog),
}

impl Keys {
    /// Runs the command against a server or a data folder.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let keeper = match &self.data {
            Some(folder) => Keeper::Folder(open(folder)?),
            None => Keeper::Server(Box::new(Remote::new(global)?)),
        };
        match self.action {
            Action::Add(add) => keeper.add(add).await,
            Action::Ls { all, json } => {
                let mut keys = keeper.list().await?;
                keys.retain(|key| all || key.revoked_at.is_none());
                if json {
                    return print(serde_json::to_string_pretty(&keys).map_err(Failure::failed)?);
                }
                list(&keys)
            }
            Action::Revoke { id } => {
                keeper.revoke(&id).await?;
                print(format!("revoked key {id}"))
            }
        }
    }
}

impl Keeper {
    async fn add(&self, add: Add) -> Result<(), Failure> {
        let right = add.right();
        let (told, secret) = match self {
            Self::Server(remote) => {
                let new = serde_json::json!({
                    "name": add.name,
                    "entity": add.entity,
                    "right": right.to_string(),
                });
                let mut told: Told = remote.post("/api/keys", &new).await?;
                let secret = told.key.take();
                (told, secret.ok_or_else(|| Failure::failed("the server did not return the key"))?)
            }
            Self::Folder(catalog) => {
                let made = catalog.add_key(&add.name, add.entity.as_deref(), right).await;
                let made = made.map_err(Failure::failed)?;
                (Told::from(made.key), made.secret)
            }
        };
        let entity = told.entity.as_deref().unwrap_or("all entities");
        style::note(format_args!(
            "created key {} ({}) for {}; it is shown only once:",
            told.id,
            told.right,
            style::printable(entity)
        ));
        print(secret)
    }

    async fn list(&self) -> Result<Vec<Told>, Failure> {
        match self {
            Self::Server(remote) => remote.get("/api/keys").await,
            Self::Folder(catalog) => {
                let keys = catalog.keys().await.map_err(Failure::failed)?;
                Ok(keys.into_iter().map(Told::from).collect())
            }
        }
    }

    async fn revoke(&self, id: &str) -> Result<(), Failure> {
        match self {
            Self::Server(remote) => remote.delete(&format!("/api/keys/{}", encode(id))).await,
            Self::Folder(catalog) => {
                match catalog.revoke_key(id).await.map_err(Failure::failed)? {
                    true => Ok(()),
                    false => Err(Failure::failed("there is no such key, or it is already revoked")),
                }
            }
        }
    }
}

/// Opens the catalog in a server's data folder. Creates the folder if it does not exist.
fn open(folder: &Path) -> Result<Catalog, Failure> {
    make_files_private();
    if !folder.is_dir() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(folder)
            .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
    }
    Catalog::open(&folder.join("catalog.db")).map_err(Failure::failed)
}

fn list(keys: &[Told]) -> Result<(), Failure> {
    let mut grid = Grid::new(&[
        ("id", Align::Left),
        ("name", Align::Left),
        ("entity", Align::Left),
        ("right", Align::Left),
        ("made", Align::Left),
        ("revoked", Align::Left),
    ]);
    for key in keys {
        grid.push(vec![
            printable_cell(&key.id),
            printable_cell(&key.name),
            printable_cell(key.entity.as_deref().unwrap_or("(all)")),
            printable_cell(&key.right),
            when(&key.created_at),
            key.revoked_at.as_deref().map(when).unwrap_or_default(),
        ]);
    }
    let mut out = Output::open(None)?;
    out.put(format!("{grid}\n").as_bytes())?;
    out.finish()
}
