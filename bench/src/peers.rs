//! Runs the client programs of other projects, and a sink for their rows.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Error;
use crate::client::Outcome;

/// Timeout for a client program.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Runs a program, and parses the measurements in the last line of its output.
pub(crate) fn outcome(process: &mut Command) -> Result<Outcome, Error> {
    Ok(serde_json::from_str(&last_line(process)?)?)
}

/// Runs a program, and returns the last line of its output.
pub(crate) fn last_line(process: &mut Command) -> Result<String, Error> {
    process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process.spawn()?;
    let (mut out, mut err) =
        (child.stdout.take().ok_or("no output")?, child.stderr.take().ok_or("no output")?);
    let complaints = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = err.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let said = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = out.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let start = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > TIMEOUT {
            child.kill()?;
            child.wait()?;
            return Err(format!("took more than {TIMEOUT:?}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (said, complaints) =
        (said.join().unwrap_or_default(), complaints.join().unwrap_or_default());
    if !status.success() {
        let last = complaints.lines().last().unwrap_or_default();
        return Err(format!("ended with {status}: {last}").into());
    }
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

/// Returns the command of a Python program, if its environment exists.
pub(crate) fn python(environments: Option<&Path>, name: &str, program: &str) -> Option<Command> {
    let python = environments?.join(name).join("bin/python");
    if !python.exists() {
        return None;
    }
    let mut command = Command::new(python);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    command.arg(folder.join(program)).env("PYTHONPATH", &folder);
    Some(command)
}

/// Starts an HTTP server that accepts and discards all requests, for clients whose own server
/// cannot be installed by pip or cargo. It runs until this process exits.
pub(crate) fn sink() -> Result<String, Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drain(stream));
        }
    });
    Ok(url)
}

/// Responds to the requests of one connection until it closes or a request cannot be parsed.
fn drain(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut block) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let head = loop {
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                break String::from_utf8_lossy(&buffer[..end + 4]).to_ascii_lowercase();
            }
            match stream.read(&mut block)? {
                0 => return Ok(()),
                read => buffer.extend_from_slice(&block[..read]),
            }
        };
        if head.contains("expect: 100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let mut left = (head.len() + length).saturating_sub(buffer.len());
        buffer.drain(..buffer.len().min(head.len() + length));
        while left > 0 {
            let most = left.min(block.len());
            match stream.read(&mut block[..most])? {
                0 => return Ok(()),
                read => left -= read,
            }
        }
        // QuestDB's client first requests the supported protocol versions.
        let body = match head.starts_with("get /settings") {
            true => r#"{"config":{"line.proto.support.versions":[1,2]}}"#,
            false => "{}",
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes())?;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
