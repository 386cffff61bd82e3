//! Output and exit codes of the command line.

use crate::xtask;

/// Checks the exit code, and the start of standard output and standard error.
#[track_caller]
fn check(args: &[&str], code: i32, stdout: &str, stderr: &str) {
    let output = xtask(args);
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}{complained}");
    assert!(said.starts_with(stdout), "{said}");
    assert!(complained.starts_with(stderr), "{complained}");
    let expected_lines = usize::from(!stderr.is_empty());
    assert_eq!(complained.lines().count(), expected_lines, "{complained}");
}

#[test]
fn help() {
    let list = "The commands of this repository: cargo xtask <command> [--help]\n\n  ci  ";
    check(&[], 0, list, "");
    check(&["--help"], 0, list, "");
    check(&["help"], 0, list, "");
    check(&["ci", "--help"], 0, "Runs every check", "");
    check(&["ci", "--only", "fmt", "-h"], 0, "Runs every check", "");
    check(&["check-layers", "--help"], 0, "Checks the workspace's crate graph", "");
    check(&["demo", "--help"], 0, "Runs `streamtable demo`", "");
    check(&["ci", "--list"], 0, "fmt           the code is formatted\ntypos  ", "");
}

#[test]
fn bad_arguments_get_one_line_and_exit_code_2() {
    check(&["cl"], 2, "", "xtask: unknown command `cl`; `cargo xtask` lists the commands");
    check(
        &["ci", "--only", "cl"],
        2,
        "",
        "xtask: ci: unknown step `cl` (`--list` prints all); see `cargo xtask ci --help`\n",
    );
    check(
        &["check-layers", "wire"],
        2,
        "",
        "xtask: check-layers: unexpected argument \"wire\"; see `cargo xtask check-layers --help`\n",
    );
}
