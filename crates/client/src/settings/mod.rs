//! Settings from this machine: environment variables, netrc and settings files.

mod ini;
mod netrc;

use std::path::{Path, PathBuf};

use streamtable_schema::{NameError, TableName};
use streamtable_transport::{ApiKey, ApiKeyError, Origin};

/// The base URL of W&B's own API.
pub const WANDB_API: &str = "https://api.wandb.ai";

/// The base URL of the server that `streamtable serve` starts on this machine.
pub const LOCAL_API: &str = "http://127.0.0.1:8080";

/// Settings for opening a table that the caller did not specify.
///
/// [`from_env`](Self::from_env) uses the same sources as the Python clients (protocol notes §3). It
/// reads the environment and some small files when it is called, and never writes. To override a
/// setting, set its field.
///
/// ```
/// use streamtable::Settings;
///
/// let settings = Settings { base_url: "http://127.0.0.1:8080".into(), ..Settings::default() };
/// assert!(settings.api_key.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The base URL of the server's API, without a trailing slash. The default is [`LOCAL_API`].
    pub base_url: String,
    /// The API key.
    pub api_key: Option<ApiKey>,
    /// The default entity: a user or team.
    pub entity: Option<String>,
    /// The default project, used when the table name has none.
    pub project: Option<String>,
    /// The base URL of boards, if it differs from the API's.
    pub board_url: Option<String>,
    /// The base URL of run pages, if it cannot be derived from the API's.
    pub app_url: Option<String>,
    /// The folder in which rows are spooled until they are stored. If it is `None` and the builder
    /// sets no spool, rows are only kept in memory.
    pub spool_dir: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_url: LOCAL_API.to_owned(),
            api_key: None,
            entity: None,
            project: None,
            board_url: None,
            app_url: None,
            spool_dir: None,
        }
    }
}

/// Why the settings of this machine cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// An API key is invalid.
    #[error("the API key from {source_name} is invalid: {error}")]
    Key {
        /// The variable or file that contains the key.
        source_name: String,
        /// Why the key is invalid.
        error: ApiKeyError,
    },
    /// A file exists but cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The message of the operating system.
        reason: String,
    },
}

/// The project of tables whose name and settings contain none.
pub const DEFAULT_PROJECT: &str = "stream-tables";

impl Settings {
    /// Completes a table name: the project comes from the settings, or is [`DEFAULT_PROJECT`]; the
    /// entity comes from the settings, or is left to the server.
    pub fn complete(&self, mut name: TableName) -> Result<TableName, NameError> {
        if name.project().is_none() {
            name = name.with_project(self.project.as_deref().unwrap_or(DEFAULT_PROJECT))?;
        }
        match &self.entity {
            Some(entity) if name.entity().is_none() => name.with_entity(entity),
            _ => Ok(name),
        }
    }

    /// Reads the environment, `~/.netrc` and the settings files.
    ///
    /// - base URL: `WANDB_BASE_URL`, then settings files; without either, W&B's own if
    ///   `WANDB_API_KEY` is set, or if netrc or settings files have a key for it and netrc has none
    ///   for [`LOCAL_API`]; otherwise [`LOCAL_API`];
    /// - key: `WANDB_API_KEY`, then netrc (`$NETRC`, otherwise `~/.netrc`, otherwise `~/_netrc`;
    ///   the entry for `host:port`, then the one for `host`, then `default`), then settings files;
    /// - entity: `WANDB_ENTITY`, then settings files; the project likewise, with `WANDB_PROJECT`;
    /// - board and app: `WEAVE_SERVER_URL` and `WANDB_APP_URL`;
    /// - spool: `STREAMTABLE_SPOOL`, a folder or `off`, then `streamtable/spool` in
    ///   `$XDG_STATE_HOME`, otherwise in `~/.local/state`.
    ///
    /// Settings files are `./wandb/settings`, then `settings` in `$WANDB_CONFIG_DIR`, otherwise in
    /// `~/.config/wandb`. A file that this user may not read counts as missing. Fails only if a file
    /// cannot be read for another reason, or a key contains invalid characters.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_machine(None, true)
    }

    /// Reads the settings like [`from_env`](Self::from_env), for the server at `base_url`.
    pub fn from_env_for(base_url: &str) -> Result<Self, SettingsError> {
        Self::from_machine(Some(base_url), true)
    }

    pub(crate) fn from_machine(
        base_url: Option<&str>,
        needs_key: bool,
    ) -> Result<Self, SettingsError> {
        Self::read(&|name| std::env::var(name).ok(), &read_file, base_url, needs_key)
    }

    fn read(
        env: &dyn Fn(&str) -> Option<String>,
        file: &dyn Fn(&Path) -> Result<Option<String>, SettingsError>,
        base_url: Option<&str>,
        needs_key: bool,
    ) -> Result<Self, SettingsError> {
        let env = |name| env(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let home = env("HOME").or_else(|| env("USERPROFILE")).map(PathBuf::from);

        let config_dir = env("WANDB_CONFIG_DIR").map(PathBuf::from);
        let config_dir = config_dir.or_else(|| Some(home.as_ref()?.join(".config/wandb")));
        let places = [Some(PathBuf::from("wandb")), config_dir];
        let mut files = Vec::new();
        for folder in places.into_iter().flatten() {
            files.extend(file(&folder.join("settings"))?);
        }
        let in_files = |key| {
            let found = files.iter().find_map(|text| ini::default_section(text, key));
            found.map(str::to_owned)
        };

        let netrc = first_netrc(&env, file, home.as_deref())?;
        let has_netrc = |base_url: &str| {
            let text = netrc.as_ref().map(|(_, text)| text);
            text.is_some_and(|text| netrc::machine_password(text, &hosts(base_url)).is_some())
        };
        let named_url = base_url.map(str::to_owned).or_else(|| env("WANDB_BASE_URL"));
        let named_url = named_url.or_else(|| in_files("base_url"));
        let base_url = named_url.unwrap_or_else(|| {
            let is_wandb_named = env("WANDB_API_KEY").is_some()
                || (!has_netrc(LOCAL_API)
                    && (has_netrc(WANDB_API) || in_files("api_key").is_some()));
            (if is_wandb_named { WANDB_API } else { LOCAL_API }).to_owned()
        });
        let base_url = base_url.trim_end_matches('/').to_owned();

        let api_key = match env("WANDB_API_KEY") {
            _ if !needs_key => None,
            Some(key) => Some(parse_key(&key, "WANDB_API_KEY")?),
            None => {
                let in_netrc = netrc.as_ref().and_then(|(path, text)| {
                    let key = netrc::password(text, &hosts(&base_url))?;
                    Some((key, path.display().to_string()))
                });
                let in_files = || Some((in_files("api_key")?, "the settings files".to_owned()));
                let found = in_netrc.or_else(in_files);
                found.map(|(key, source_name)| parse_key(&key, &source_name)).transpose()?
            }
        };
        Ok(Self {
            base_url,
            api_key,
            entity: env("WANDB_ENTITY").or_else(|| in_files("entity")),
            project: env("WANDB_PROJECT").or_else(|| in_files("project")),
            board_url: env("WEAVE_SERVER_URL"),
            app_url: env("WANDB_APP_URL"),
            spool_dir: spool_dir(&env, home.as_deref()),
        })
    }
}

/// Returns the first netrc file that exists, and its text.
fn first_netrc(
    env: &dyn Fn(&'static str) -> Option<String>,
    file: &dyn Fn(&Path) -> Result<Option<String>, SettingsError>,
    home: Option<&Path>,
) -> Result<Option<(PathBuf, String)>, SettingsError> {
    let candidates = match (env("NETRC"), home) {
        (Some(netrc), _) => vec![PathBuf::from(netrc)],
        (None, Some(home)) => vec![home.join(".netrc"), home.join("_netrc")],
        (None, None) => Vec::new(),
    };
    for path in candidates {
        if let Some(text) = file(&path)? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

fn spool_dir(env: &dyn Fn(&'static str) -> Option<String>, home: Option<&Path>) -> Option<PathBuf> {
    match env("STREAMTABLE_SPOOL") {
        Some(off) if off == "off" => return None,
        Some(dir) => return Some(dir.into()),
        None => {}
    }
    // The XDG specification requires ignoring relative paths.
    let state = env("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(home?.join(".local/state")))?;
    Some(state.join("streamtable/spool"))
}

/// Returns the machine names of a server in netrc: the current SDK writes `host:port`, older ones
/// only the host.
fn hosts(base_url: &str) -> Vec<String> {
    match base_url.parse::<Origin>() {
        Ok(origin) => {
            let with_port = format!("{}:{}", origin.host(), origin.port());
            vec![with_port, origin.host().to_owned()]
        }
        Err(_) => Vec::new(),
    }
}

fn parse_key(key: &str, source_name: &str) -> Result<ApiKey, SettingsError> {
    let error = |error| SettingsError::Key { source_name: source_name.to_owned(), error };
    ApiKey::new(key.trim()).map_err(error)
}

fn read_file(path: &Path) -> Result<Option<String>, SettingsError> {
    use std::io::ErrorKind;
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        // A folder of that name, or a file in place of the parent folder, counts as missing.
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
            ) =>
        {
            Ok(None)
        }
        // A container may run with the home folder of another user.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            tracing::warn!(path = %path.display(), "no permission to read a file; it is ignored");
            Ok(None)
        }
        Err(e) => Err(SettingsError::Unreadable { path: path.to_owned(), reason: e.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Reads the settings of a machine with only these variables and files.
    fn read(env: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let env: HashMap<_, _> = env.iter().copied().collect();
        let files: HashMap<_, _> = files.iter().copied().collect();
        Settings::read(
            &|name| env.get(name).map(|v| (*v).to_owned()),
            &|path| Ok(files.get(path.to_str().unwrap()).map(|t| (*t).to_owned())),
            None,
            true,
        )
    }

    #[track_caller]
    fn check(env: &[(&str, &str)], files: &[(&str, &str)], expected: [Option<&str>; 4]) {
        let found = read(env, files).unwrap();
        let key = found.api_key.as_ref().map(ApiKey::expose);
        let found =
            [Some(&*found.base_url), key, found.entity.as_deref(), found.project.as_deref()];
        let [base, rest @ ..] = expected;
        assert_eq!(found[0], base.or(Some(LOCAL_API)));
        assert_eq!(found[1..], rest);
    }

    #[test]
    fn the_first_source_wins() {
        let home = ("HOME", "/home/me");
        let global = "/home/me/.config/wandb/settings";
        check(&[], &[], [None, None, None, None]);
        check(
            &[("WANDB_BASE_URL", "http://localhost:8080/"), ("WANDB_API_KEY", " k1\n")],
            &[],
            [Some("http://localhost:8080"), Some("k1"), None, None],
        );
        check(
            &[home, ("WANDB_ENTITY", "env")],
            &[
                (
                    global,
                    "[default]\nentity = global\nproject: p\nbase_url=http://h:1\napi_key = g\n",
                ),
                ("wandb/settings", "[other]\nproject = no\n[default]\n; note\nproject = local\n"),
            ],
            [Some("http://h:1"), Some("g"), Some("env"), Some("local")],
        );
        check(
            &[home, ("WANDB_CONFIG_DIR", "/etc/wandb"), ("WANDB_ENTITY", "")],
            &[
                ("/etc/wandb/settings", "[default]\nentity = there\n"),
                (global, "[default]\nentity = not\n"),
            ],
            [None, None, Some("there"), None],
        );
    }

    #[test]
    fn wandb_is_used_only_if_there_is_a_key_for_it() {
        let home = ("HOME", "/home/me");
        let wandb = "machine api.wandb.ai login user password w\n";
        let both = "machine 127.0.0.1:8080 login user password l\n\
                    machine api.wandb.ai login user password w\n";
        let default = "default login user password d\n";
        let netrc = |text| [("/home/me/.netrc", text)];
        check(&[("WANDB_API_KEY", "k")], &[], [Some(WANDB_API), Some("k"), None, None]);
        check(&[home], &netrc(wandb), [Some(WANDB_API), Some("w"), None, None]);
        check(&[home], &netrc(both), [Some(LOCAL_API), Some("l"), None, None]);
        check(&[home], &netrc(default), [Some(LOCAL_API), Some("d"), None, None]);
        let file = [("wandb/settings", "[default]\napi_key = s\n")];
        check(&[], &file, [Some(WANDB_API), Some("s"), None, None]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_permission_counts_as_missing() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings");
        std::fs::write(&path, "[default]").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
        let found = read_file(&path).unwrap();
        // The superuser may read it nevertheless.
        assert!(found.is_none() || found.as_deref() == Some("[default]"));
    }

    #[test]
    fn the_spool_folder_follows_the_environment() {
        #[track_caller]
        fn check(env: &[(&str, &str)], expected: Option<&str>) {
            assert_eq!(read(env, &[]).unwrap().spool_dir, expected.map(PathBuf::from));
        }
        let home = ("HOME", "/home/me");
        check(&[], None);
        check(&[home], Some("/home/me/.local/state/streamtable/spool"));
        check(&[home, ("XDG_STATE_HOME", "/state")], Some("/state/streamtable/spool"));
        check(&[home, ("XDG_STATE_HOME", "x")], Some("/home/me/.local/state/streamtable/spool"));
        check(&[home, ("STREAMTABLE_SPOOL", "/spool")], Some("/spool"));
        check(&[home, ("STREAMTABLE_SPOOL", "off")], None);
    }

    #[test]
    fn keys_are_read_from_netrc() {
        let netrc = "machine h login user password bare\nmachine h:8080 login user password exact\n\
                     default login user password any\n";
        let home = ("HOME", "/home/me");
        let at = |base| [home, ("WANDB_BASE_URL", base)];
        let file = [("/home/me/.netrc", netrc)];
        check(&at("http://h:8080"), &file, [Some("http://h:8080"), Some("exact"), None, None]);
        check(&at("http://h:9"), &file, [Some("http://h:9"), Some("bare"), None, None]);
        check(&at("https://other"), &file, [Some("https://other"), Some("any"), None, None]);
        let other = [("/home/me/_netrc", netrc)];
        check(&at("http://h"), &other, [Some("http://h"), Some("bare"), None, None]);
        check(
            &[home, ("NETRC", "/n"), ("WANDB_BASE_URL", "http://h")],
            &[("/n", "machine x password y"), ("/home/me/.netrc", netrc)],
            [Some("http://h"), None, None, None],
        );
    }

    #[test]
    fn invalid_keys_are_reported_but_not_shown() {
        let error = read(&[("WANDB_API_KEY", "sec\u{7}ret")], &[]).unwrap_err();
        assert!(error.to_string().starts_with("the API key from WANDB_API_KEY is invalid"));
        assert!(!error.to_string().contains("ret"));
    }

    #[test]
    fn unneeded_keys_are_not_read() {
        let env = |name: &str| (name == "WANDB_API_KEY").then(|| "sec\u{7}ret".to_owned());
        let file = |_: &Path| Ok(Some("[default]\nentity = e\napi_key = a\u{7}".to_owned()));
        let found = Settings::read(&env, &file, None, false).unwrap();
        assert_eq!((found.api_key, found.entity.as_deref()), (None, Some("e")));
    }
}
