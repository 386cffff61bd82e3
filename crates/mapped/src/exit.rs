/// Calls a function when the process ends normally: when `main` returns or a thread calls
/// [`std::process::exit`].
///
/// It is not called if the process is killed or aborts. The other threads still run while it is
/// called, and `static` values have not been dropped. The function must not panic and must not call
/// `exit`. Returns whether it was registered.
pub fn at_exit(hook: extern "C" fn()) -> bool {
    #[expect(unsafe_code, reason = "C11 7.22.4.2 and POSIX declare it so; any thread may call it")]
    unsafe extern "C" {
        safe fn atexit(hook: extern "C" fn()) -> std::ffi::c_int;
    }
    atexit(hook) == 0
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set in the process that ends with a hook.
    const IS_CHILD: &str = "STREAMTABLE_TEST_EXIT";

    #[expect(clippy::print_stdout, reason = "the parent process reads it")]
    extern "C" fn say_goodbye() {
        println!("goodbye");
    }

    #[test]
    fn the_hook_is_called_at_exit() {
        if std::env::var_os(IS_CHILD).is_some() {
            assert!(at_exit(say_goodbye));
            std::process::exit(0);
        }
        let name = "exit::tests::the_hook_is_called_at_exit";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(IS_CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.matches("goodbye").count(), 1, "{text}");
    }
}
