//! Resource usage of processes on Linux.

use std::time::Duration;

use crate::Error;

/// The resource usage of a process so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// CPU time of all threads.
    pub(crate) cpu: Duration,
    /// Peak resident memory.
    pub(crate) peak_bytes: u64,
}

impl Usage {
    /// Returns the usage of a process id; `self` is this process.
    pub(crate) fn of(process: &str) -> Result<Self, Error> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name may contain any characters, so parse after its end: user and system time are
        // fields 14 and 15.
        let (_, fields) = stat.rsplit_once(") ").ok_or("no name in stat")?;
        let mut ticks = fields.split(' ').skip(11).map(str::parse::<u64>);
        let mut next = || -> Result<u64, Error> { Ok(ticks.next().ok_or("stat is too short")??) };
        let ticks = next()? + next()?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse()?;
        // A clock tick is 10 ms on every Linux that Rust supports.
        Ok(Self { cpu: Duration::from_millis(ticks * 10), peak_bytes: kib << 10 })
    }
}

/// Returns this machine's CPU model and its memory in bytes.
pub(crate) fn machine() -> (String, u64) {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("0 kB");
    let kib: u64 = total.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    (format!("{cores} × {}", model.trim_start_matches([' ', '\t', ':'])), kib << 10)
}
