//! How xtask runs other programs.

use std::process::Command as Process;

/// Runs a process to its end, its output passed on.
pub(crate) fn run(process: &mut Process) -> Result<(), String> {
    let name = shown(process);
    match process.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("{name} did not start: {error}")),
    }
}

/// Becomes a process, so that a signal meets nobody else, and the shell waits for its last words.
/// Returns only if it cannot be.
#[cfg(unix)]
pub(crate) fn replace(mut process: Process) -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    let error = process.exec();
    Err(format!("{} did not start: {error}", shown(&process)))
}

#[cfg(not(unix))]
pub(crate) fn replace(mut process: Process) -> Result<(), String> {
    run(&mut process)
}

/// A process as people call it, without what its environment is.
fn shown(process: &Process) -> String {
    let words = [process.get_program()].into_iter().chain(process.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong() {
        let error = run(Process::new("cargo").arg("--no-such-option")).unwrap_err();
        assert!(error.starts_with("cargo --no-such-option ended with exit status: 1"), "{error}");
        let error = run(&mut Process::new("no-such-program")).unwrap_err();
        assert!(error.starts_with("no-such-program did not start: "), "{error}");
    }
}
