//! Runs other programs.

use std::process::Command as Process;

/// Runs a process to its end and passes its output on.
pub(crate) fn run(process: &mut Process) -> Result<(), String> {
    let name = shown(process);
    match process.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("cannot start {name}: {error}")),
    }
}

/// Replaces this process (`exec`), so that signals reach only the program, and the shell waits for
/// its last output. Returns only on error.
#[cfg(unix)]
pub(crate) fn replace(mut process: Process) -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    let error = process.exec();
    Err(format!("cannot start {}: {error}", shown(&process)))
}

#[cfg(not(unix))]
pub(crate) fn replace(mut process: Process) -> Result<(), String> {
    run(&mut process)
}

/// Formats a process as a command line, without its environment.
fn shown(process: &Process) -> String {
    let words = [process.get_program()].into_iter().chain(process.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_command() {
        let error = run(Process::new("cargo").arg("--no-such-option")).unwrap_err();
        assert!(error.starts_with("cargo --no-such-option ended with exit status: 1"), "{error}");
        let error = run(&mut Process::new("no-such-program")).unwrap_err();
        assert!(error.starts_with("cannot start no-such-program: "), "{error}");
    }
}
