//! The command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The role of this process.
#[derive(Debug, PartialEq)]
pub(crate) enum Role {
    /// The process that starts and kills the others.
    Driver(Options),
    /// A process that logs.
    Writer(WriterRole),
}

/// The behaviour of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriterRole {
    /// Logs until it is killed.
    Endless,
    /// Delivers the rows that other writers left, then exits.
    Last,
}

impl WriterRole {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Endless => "endless",
            Self::Last => "last",
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// The `streamtable` command.
    pub(crate) server: PathBuf,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) is_json: bool,
}

impl Role {
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        if let [flag, role] = args
            && flag == "--writer"
        {
            let roles = [WriterRole::Endless, WriterRole::Last];
            let role = roles.into_iter().find(|it| it.name() == role);
            return role.map(Self::Writer).ok_or_else(|| "unknown writer behaviour".to_owned());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut options = Options {
            server: PathBuf::new(),
            time: Duration::from_secs(60),
            seed: now.as_nanos() as u64 % 1_000_000,
            is_json: false,
        };
        let mut args = args.iter().flat_map(|arg| match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => vec![name, value],
            _ => vec![arg.as_str()],
        });
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("`{arg}` needs a value"));
            match arg {
                "--json" => options.is_json = true,
                "--server" => options.server = value()?.into(),
                "--seconds" => options.time = Duration::from_secs(number(arg, value()?)?.max(1)),
                "--seed" => options.seed = number(arg, value()?)?,
                _ => return Err(format!("unknown argument `{arg}`; `cargo xtask crash --help`")),
            }
        }
        if options.server.as_os_str().is_empty() {
            return Err("`--server` must give the path of the streamtable command".to_owned());
        }
        Ok(Self::Driver(options))
    }
}

fn number(name: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{name}` must be a whole number, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &str, expected: Result<(u64, u64, bool), &str>) {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let parsed = Role::parse(&args).map(|role| match role {
            Role::Driver(options) => (options.time.as_secs(), options.seed, options.is_json),
            Role::Writer(role) => panic!("{role:?}"),
        });
        assert_eq!(parsed, expected.map_err(str::to_owned));
    }

    #[test]
    fn arguments() {
        check("--server s --seconds 7 --seed=3 --json", Ok((7, 3, true)));
        check("--server s --seed 4", Ok((60, 4, false)));
        check("--server s --seconds", Err("`--seconds` needs a value"));
        check("--server s --seed x", Err("`--seed` must be a whole number, not \"x\""));
        check("--server s --fast", Err("unknown argument `--fast`; `cargo xtask crash --help`"));
        check("", Err("`--server` must give the path of the streamtable command"));
    }
}
