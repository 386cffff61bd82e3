//! Benchmarks of single hot paths: `cargo xtask bench --micro` and `--instructions`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{cargo, process};

/// The name of the benchmark program.
const NAME: &str = "micro";

/// Times the paths with divan.
pub(crate) fn time(is_debug: bool) -> Result<(), String> {
    process::run(Command::new(build(is_debug)?).arg("--bench"))
}

/// Counts the instructions of the paths with valgrind, and prints a Markdown table.
pub(crate) fn count(is_debug: bool) -> Result<(), String> {
    let mut probe = Command::new("valgrind");
    probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        let missing = "valgrind is missing: run `apt-get install valgrind`, or use your system's package manager";
        return Err(missing.to_owned());
    }
    let micro = build(is_debug)?;
    println!("| | instructions |\n| --- | ---: |");
    for line in output(Command::new(&micro).arg("paths"))?.0.lines() {
        let (path, times) = line.split_once(' ').ok_or_else(|| format!("{line:?} is no path"))?;
        let times: u64 = times.parse().map_err(|_| format!("{line:?} has no number"))?;
        // The difference of two runs excludes the setup.
        let [less, more] = [times, 2 * times].map(|times| collected(&micro, path, times));
        let each = more?.saturating_sub(less?) / times;
        println!("| {} | {} |", path.replace('_', " "), grouped(each));
    }
    Ok(())
}

/// Builds the program, and returns its path.
fn build(is_debug: bool) -> Result<PathBuf, String> {
    let what = ["--package", "streamtable-bench", "--bench", NAME, "--release"];
    let what = if is_debug { &what[..what.len() - 1] } else { &what };
    let messages = cargo::build(what)?;
    // The bench itself is built next to it.
    cargo::executable(&messages, NAME).ok_or_else(|| format!("cargo built no `{NAME}`"))
}

fn collected(micro: &Path, path: &str, times: u64) -> Result<u64, String> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(micro);
    let (_, said) = output(valgrind.args(["repeat", path, &times.to_string()]))?;
    read_collected(&said).ok_or_else(|| format!("cannot parse valgrind's output: {said}"))
}

/// Parses the last line of callgrind: `==7== Collected : 1234`.
fn read_collected(said: &str) -> Option<u64> {
    let counted = said.lines().find_map(|line| line.split_once("Collected :"))?.1;
    counted.trim().parse().ok()
}

/// Runs a process to its end, and returns its standard output and standard error.
fn output(process: &mut Command) -> Result<(String, String), String> {
    let name = process.get_program().to_string_lossy().into_owned();
    let ended = process.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    let [out, err] =
        [ended.stdout, ended.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    if !ended.status.success() {
        return Err(format!("{name} ended with {}: {err}", ended.status));
    }
    Ok((out, err))
}

fn grouped(number: u64) -> String {
    match number / 1_000 {
        0 => number.to_string(),
        thousands => format!("{},{:03}", grouped(thousands), number % 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_output_is_parsed() {
        let said = "==7== Events    : Ir\n==7== Collected : 1234567\n==7==\n";
        assert_eq!(read_collected(said), Some(1_234_567));
        assert_eq!(read_collected("==7== no such file"), None);
        let message = |name: &str, executable: &str| {
            let said = format!(r#"{{"target":{{"name":"{name}"}},"executable":{executable}}}"#);
            cargo::executable(&said, NAME)
        };
        assert_eq!(message("micro", r#""/a/micro-1""#), Some(PathBuf::from("/a/micro-1")));
        assert_eq!(message("streamtable-bench", r#""/a/streamtable-bench""#), None);
        assert_eq!(message("micro", "null"), None);
    }

    #[test]
    fn numbers_are_formatted() {
        for (number, expected) in [(7, "7"), (1_005, "1,005"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
