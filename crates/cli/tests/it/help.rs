//! The output of `--help`, and completion scripts.

use crate::support::Home;

#[test]
fn help() {
    let home = Home::new();
    let mut all = String::new();
    for command in [
        "",
        "demo",
        "serve",
        "config",
        "backup",
        "log",
        "query",
        "tail",
        "export",
        "tables",
        "schema",
        "board",
        "board put",
        "monitor",
        "monitor silence",
        "monitor target",
        "url",
        "open",
        "login",
        "keys",
        "keys add",
        "sync",
        "spool",
        "spool export",
        "completions",
    ] {
        let mut args: Vec<&str> = command.split_whitespace().collect();
        args.push("--help");
        let help = home.run(&args).ok();
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{command}: {line}");
        }
        all.push_str(&format!("$ streamtable {}\n{help}\n", args.join(" ")));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn completions() {
    let home = Home::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = home.run(&["completions", shell]).ok();
        for command in ["serve", "demo", "export"] {
            assert!(script.contains(command), "{command} is missing for {shell}");
        }
    }
}
