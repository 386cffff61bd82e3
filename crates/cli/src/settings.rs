//! Settings of the server from a file and from environment variables, besides the command line.
//!
//! Each option `--some-name` of `serve` is also the key `some-name` of the file, and the environment
//! variable `STREAMTABLE_SERVER_SOME_NAME`. The command line takes precedence over the environment,
//! and the environment over the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::failure::Failure;

/// The prefix of environment variables.
const PREFIX: &str = "STREAMTABLE_SERVER_";

/// The option that names the file.
const FILE: &str = "config";

/// The commands that take settings of a server.
const COMMANDS: [&str; 2] = ["serve", "config"];

/// The command line, with the settings of the environment and the file.
pub(crate) struct Parsed {
    pub(crate) cli: Cli,
    /// Where each setting comes from, for the commands that have them.
    pub(crate) settings: Vec<Setting>,
}

/// The effective value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// Several if the option may be repeated; none if it has no value and no default.
    pub(crate) values: Vec<String>,
    pub(crate) source: Source,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    CommandLine,
    Environment(String),
    File(PathBuf),
    Default,
}

/// Parses the command line. Ends the process if it is invalid (code 2) or asks for help (code 0).
pub(crate) fn parse(args: Vec<OsString>) -> Result<Parsed, Failure> {
    let mut command = command();
    let mut all = args;
    let (mut file, mut from_file) = (None, BTreeMap::new());
    if may_have_file(&all) {
        // Without the file, to learn which one it is. An error is reported by the next parse.
        let found = command.clone().ignore_errors(true).try_get_matches_from(&all).ok();
        let part = found.as_ref().and_then(settings_of);
        file = part.and_then(|(_, part)| part.try_get_one::<PathBuf>(FILE).ok()?.cloned());
        if let Some((file, (name, part))) = file.as_ref().zip(part) {
            let options = options(&command, name).filter(|option| option.get_id() != FILE);
            from_file = read(file, options)?;
            from_file.retain(|name, _| is_default(part, name));
            for (name, values) in &from_file {
                all.extend(values.iter().map(|value| OsString::from(format!("--{name}={value}"))));
            }
        }
    }
    let matches = command.try_get_matches_from_mut(all).unwrap_or_else(|error| {
        if let (Some(file), false) = (&file, from_file.is_empty()) {
            crate::style::note(format_args!("some options are from {}", file.display()));
        }
        error.exit()
    });
    let settings = settings_of(&matches).map_or_else(Vec::new, |(name, part)| {
        let options = options(&command, name);
        options.filter_map(|it| setting(part, it, file.as_deref(), &from_file)).collect()
    });
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    Ok(Parsed { cli, settings })
}

/// Returns the command with an environment variable for each setting.
fn command() -> Command {
    let mut command = Cli::command();
    for name in COMMANDS {
        command = command.mut_subcommand(name, |command| {
            command.mut_args(|arg| match arg.get_long().map(variable) {
                // In the description, a line for each would hide everything else.
                Some(variable) if !arg.is_global_set() => arg.env(variable).hide_env(true),
                _ => arg,
            })
        });
    }
    command
}

fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.replace('-', "_").to_uppercase())
}

/// Returns whether the command line or the environment may name a file of settings.
fn may_have_file(args: &[OsString]) -> bool {
    let option = format!("--{FILE}");
    let is_option = |arg: &OsString| arg.as_encoded_bytes().starts_with(option.as_bytes());
    args.iter().any(is_option) || std::env::var_os(variable(FILE)).is_some()
}

/// Returns the options of a subcommand.
fn options<'a>(command: &'a Command, name: &str) -> impl Iterator<Item = &'a Arg> {
    command.find_subcommand(name).into_iter().flat_map(Command::get_arguments)
}

/// Returns the part of a command line that has settings of a server.
fn settings_of(matches: &ArgMatches) -> Option<(&str, &ArgMatches)> {
    matches.subcommand().filter(|(name, _)| COMMANDS.contains(name))
}

/// Returns whether neither the command line nor the environment sets an option.
fn is_default(matches: &ArgMatches, option: &str) -> bool {
    let source = matches.value_source(&option.replace('-', "_"));
    !matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// Reads a file of settings: each option and its values.
fn read<'a>(
    path: &Path,
    options: impl Iterator<Item = &'a Arg>,
) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("cannot use {}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let names: Vec<&str> = options.filter_map(Arg::get_long).collect();
    settings(&text, &names).map_err(|error| failed(&error))
}

/// Parses the text of a file of settings.
fn settings(text: &str, names: &[&str]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
    let mut settings = BTreeMap::new();
    for (name, value) in table {
        if !names.contains(&name.as_str()) {
            let names = names.join(", ");
            return Err(format!("unknown setting `{name}`; the settings are {names}"));
        }
        let values = match value {
            toml::Value::Array(values) => values,
            value => vec![value],
        };
        let texts = values.into_iter().map(|value| match value {
            toml::Value::String(text) => Ok(text),
            toml::Value::Integer(number) => Ok(number.to_string()),
            toml::Value::Float(number) => Ok(number.to_string()),
            toml::Value::Boolean(is_on) => Ok(is_on.to_string()),
            other => Err(format!(
                "`{name}` must be a text, a number or a boolean, not {}",
                other.type_str()
            )),
        });
        settings.insert(name.clone(), texts.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(settings)
}

fn setting(
    matches: &ArgMatches,
    option: &Arg,
    file: Option<&Path>,
    from_file: &BTreeMap<String, Vec<String>>,
) -> Option<Setting> {
    let name = option.get_long()?.to_owned();
    if option.is_global_set() || name == "help" || name == FILE {
        return None;
    }
    let id = option.get_id().as_str();
    let values = matches.get_raw(id).into_iter().flatten();
    let values = values.map(|value| value.to_string_lossy().into_owned()).collect();
    let source = match (matches.value_source(id), file) {
        (_, Some(file)) if from_file.contains_key(&name) => Source::File(file.to_owned()),
        (Some(ValueSource::CommandLine), _) => Source::CommandLine,
        (Some(ValueSource::EnvVariable), _) => Source::Environment(variable(&name)),
        _ => Source::Default,
    };
    Some(Setting { name, values, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let text = "addr = \"127.0.0.1:9000\"\nallow-host = [\"a.example\", \"b.example\"]\n\
                    slow-query = 2.5";
        let names = ["addr", "allow-host", "slow-query"];
        let found = settings(text, &names).unwrap();
        assert_eq!(found["addr"], ["127.0.0.1:9000"]);
        assert_eq!(found["allow-host"], ["a.example", "b.example"]);
        assert_eq!(found["slow-query"], ["2.5"]);
        assert_eq!(settings("allow = true", &["allow"]).unwrap()["allow"], ["true"]);
        #[track_caller]
        fn check_refused(text: &str, part: &str) {
            let error = settings(text, &["addr", "data"]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        check_refused("adr = 1", "unknown setting `adr`; the settings are addr, data");
        check_refused(
            "addr = 2026-01-01",
            "`addr` must be a text, a number or a boolean, not datetime",
        );
        check_refused("addr = [[1]]", "not array");
        check_refused("addr =", "line 1");
    }

    /// Every setting can be in the file, and has a variable of its own.
    #[test]
    fn every_option_has_a_variable() {
        let command = command();
        for name in COMMANDS {
            let command = command.find_subcommand(name).unwrap();
            for option in command.get_arguments().filter(|it| it.get_long().is_some()) {
                let long = option.get_long().unwrap();
                let has_variable = option.get_env().is_some();
                assert!(has_variable || option.is_global_set() || long == "help", "{long}");
                assert_eq!(option.get_id().as_str().replace('_', "-"), long);
            }
        }
        assert_eq!(variable("slow-query"), "STREAMTABLE_SERVER_SLOW_QUERY");
    }
}
