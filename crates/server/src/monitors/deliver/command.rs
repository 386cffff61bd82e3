//! The command that the operator has set.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use streamtable_monitor::Message;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::SendError;

/// Maximum time of a command.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the command with a message as JSON on its standard input. Its output is not read.
pub(super) async fn run(command: &Path, message: &Message) -> Result<(), SendError> {
    match tokio::time::timeout(TIMEOUT, run_to_end(command, message)).await {
        Ok(result) => result,
        Err(_) => Err(SendError::Later(format!("the command did not end within {TIMEOUT:?}"))),
    }
}

async fn run_to_end(command: &Path, message: &Message) -> Result<(), SendError> {
    // The path is a setting of the operator, and not for users.
    let failed = |error: std::io::Error| {
        tracing::warn!(command = %command.display(), %error, "the command of monitors failed");
        SendError::Later("the command cannot be run".to_owned())
    };
    let mut child = Command::new(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // A command need not read its input.
        let _ = input.write_all(message.webhook().to_string().as_bytes()).await;
    }
    let status = child.wait().await.map_err(failed)?;
    match status.success() {
        true => Ok(()),
        false => Err(SendError::Later(format!("the command ended with {status}"))),
    }
}
