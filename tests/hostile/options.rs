//! The command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// The `streamtable` command.
    pub(crate) server: PathBuf,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    /// The longest that `/healthz` may take in 99 of 100 cases; three times as long in any.
    pub(crate) max_health: Duration,
    /// The server's `--memory-limit`, in MiB.
    pub(crate) memory_mib: u64,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut options = Self {
            server: PathBuf::new(),
            time: Duration::from_secs(60),
            seed: now.as_nanos() as u64 % 1_000_000,
            max_health: Duration::from_secs(1),
            memory_mib: 1024,
        };
        let mut args = args.iter().flat_map(|arg| match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => vec![name, value],
            _ => vec![arg.as_str()],
        });
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("`{arg}` needs a value"));
            match arg {
                "--server" => options.server = value?.into(),
                "--seconds" => options.time = Duration::from_secs(number(arg, value?)?.max(1)),
                "--seed" => options.seed = number(arg, value?)?,
                "--max-health-ms" => {
                    options.max_health = Duration::from_millis(number(arg, value?)?);
                }
                "--memory-mib" => options.memory_mib = number(arg, value?)?,
                _ => return Err(format!("takes no `{arg}`; `cargo xtask hostile --help`")),
            }
        }
        if options.server.as_os_str().is_empty() {
            return Err("`--server` says where the streamtable command is".to_owned());
        }
        Ok(options)
    }
}

fn number(name: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{name}` is a whole number, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &str, expected: Result<(u64, u64, u128), &str>) {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let parsed = Options::parse(&args)
            .map(|options| (options.time.as_secs(), options.seed, options.max_health.as_millis()));
        assert_eq!(parsed, expected.map_err(str::to_owned));
    }

    #[test]
    fn arguments() {
        check("--server s --seconds 7 --seed=3 --max-health-ms 50", Ok((7, 3, 50)));
        check("--server s --seconds", Err("`--seconds` needs a value"));
        check("--server s --seed x", Err("`--seed` is a whole number, not \"x\""));
        check("--server s --fast 1", Err("takes no `--fast`; `cargo xtask hostile --help`"));
        check("", Err("`--server` says where the streamtable command is"));
    }
}
