//! `streamtable config`: the settings that `serve` would use.

use clap::Args;

use super::serve::Serve;
use crate::failure::Failure;
use crate::output::print;
use crate::settings::{Setting, Source};

const EXAMPLES: &str = "\
Examples:
  streamtable config
      All settings, as a file that `serve --config` reads.
  streamtable config --config /etc/streamtable.toml --addr 0.0.0.0:80
      What `streamtable serve` would do with the same options.

Every option of `serve` can be set on the command line, by an environment variable
(--slow-query: STREAMTABLE_SERVER_SLOW_QUERY) or in a file (slow-query = \"5s\"). The
command line takes precedence over variables, and variables over the file.";

/// Show the settings of the server, and where each comes from
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Config {
    #[command(flatten)]
    /// Parsed to check the values.
    serve: Serve,
}

impl Config {
    /// Prints the settings as TOML.
    pub(crate) fn run(self, settings: &[Setting]) -> Result<(), Failure> {
        print(text(settings))
    }
}

fn text(settings: &[Setting]) -> String {
    let mut text = String::new();
    for Setting { name, values, source } in settings {
        let source = match source {
            Source::CommandLine => "command line".to_owned(),
            Source::Environment(variable) => variable.clone(),
            Source::File(path) => path.display().to_string(),
            Source::Default => "default".to_owned(),
        };
        let quoted = |value: &String| toml::Value::from(value.as_str()).to_string();
        let line = match &values[..] {
            [] => format!("# {name} = …"),
            [value] => format!("{name} = {}", quoted(value)),
            values => {
                let values: Vec<String> = values.iter().map(quoted).collect();
                format!("{name} = [{}]", values.join(", "))
            }
        };
        text.push_str(&format!("{line:<44} # {source}\n"));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_shown_as_a_file() {
        let setting = |name: &str, values: &[&str], source| Setting {
            name: name.to_owned(),
            values: values.iter().map(|&it| it.to_owned()).collect(),
            source,
        };
        let shown = text(&[
            setting("data", &["/srv/\"x\""], Source::CommandLine),
            setting("allow-host", &["a", "b"], Source::File("/etc/s.toml".into())),
            setting("tls-key", &[], Source::Default),
            setting("addr", &["[::1]:1"], Source::Environment("STREAMTABLE_SERVER_ADDR".into())),
        ]);
        let table: toml::Table = shown.parse().unwrap();
        assert_eq!(table["data"].as_str(), Some("/srv/\"x\""));
        assert_eq!(table["allow-host"].as_array().map(Vec::len), Some(2));
        assert!(!table.contains_key("tls-key") && shown.contains("# tls-key = …"), "{shown}");
        let sources = ["# command line", "# /etc/s.toml", "# STREAMTABLE_SERVER_ADDR", "# default"];
        assert!(sources.iter().all(|source| shown.contains(source)), "{shown}");
    }
}
