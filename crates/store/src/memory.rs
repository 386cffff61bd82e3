//! The limit on the memory of the process.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::StoreError;

/// How long a measurement is used before the next one.
const MAX_AGE: Duration = Duration::from_millis(50);

/// The share of the machine's memory that the process may use by default, in percent.
const DEFAULT_PERCENT: u64 = 75;

/// A ceiling on the memory of the whole process, enforced on everything that can be refused or
/// stopped: above it, new queries and new rows are refused until memory is freed, and the largest
/// query is stopped.
///
/// Memory is measured, not reserved: the anonymous memory that the system reports for the process,
/// at most 50 ms old. On systems without `/proc`, nothing is measured and nothing is refused.
#[derive(Debug)]
pub struct MemoryCeiling {
    limit: u64,
    started: Instant,
    /// When `used` was measured, in milliseconds since `started`, plus one; 0 for never.
    measured: AtomicU64,
    used: AtomicU64,
}

impl MemoryCeiling {
    /// Creates a ceiling of `limit` bytes. The default is three quarters of the memory of the
    /// machine or of the process's control group, whichever is less.
    pub fn new(limit: Option<u64>) -> Self {
        Self {
            limit: limit.or_else(default_limit).unwrap_or(u64::MAX),
            started: Instant::now(),
            measured: AtomicU64::new(0),
            used: AtomicU64::new(0),
        }
    }

    /// Returns the ceiling, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Returns how many bytes the process uses.
    pub fn used(&self) -> u64 {
        let now = self.started.elapsed().as_millis() as u64 + 1;
        let measured = self.measured.load(Ordering::Acquire);
        if measured != 0 && now.saturating_sub(measured) < MAX_AGE.as_millis() as u64 {
            return self.used.load(Ordering::Acquire);
        }
        let used = resident().unwrap_or(0);
        self.used.store(used, Ordering::Release);
        self.measured.store(now, Ordering::Release);
        used
    }

    /// Returns whether the process uses more memory than the ceiling.
    pub fn is_exceeded(&self) -> bool {
        self.used() > self.limit
    }

    /// Returns an [unavailable](StoreError::Unavailable) error while the process exceeds the
    /// ceiling.
    pub fn check(&self) -> Result<(), StoreError> {
        let used = self.used();
        if used <= self.limit {
            return Ok(());
        }
        let (used, limit) = (Mebibytes(used), Mebibytes(self.limit));
        Err(StoreError::Unavailable {
            reason: format!("the server uses {used} of memory; its limit is {limit}"),
        })
    }
}

impl Default for MemoryCeiling {
    fn default() -> Self {
        Self::new(None)
    }
}

struct Mebibytes(u64);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0 >> 20)
    }
}

/// Returns the resident memory of the process without file-backed pages.
fn resident() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/self/status").ok()?, "RssAnon:")
}

/// Returns a field of a file in `/proc` in bytes; the file has it in kB.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn machine_memory() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn default_limit() -> Option<u64> {
    let machine = machine_memory();
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_files(&groups)
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
        .min();
    let memory = [machine, group].into_iter().flatten().min()?;
    Some(memory / 100 * DEFAULT_PERCENT)
}

/// Returns the files that may hold the memory limit of the process's control group or of one of its
/// parents, for both versions of control groups.
fn group_files(cgroup: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            it if it.split(',').any(|it| it == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut group = group.trim_end_matches('/');
        loop {
            files.push(format!("{root}{group}/{name}"));
            let Some((around, _)) = group.rsplit_once('/') else { break };
            group = around;
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(field("MemFree: 1 kB\nMemTotal:   2048 kB\n", "MemTotal:"), Some(2 << 20));
        assert_eq!(field("MemFree: 1 kB\n", "MemTotal:"), None);
        assert_eq!(field("MemTotal: much\n", "MemTotal:"), None);
        assert_eq!(
            group_files("4:cpu,memory:/a\n3:cpu:/x\n0::/b/c/\n"),
            [
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/b/c/memory.max",
                "/sys/fs/cgroup/b/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
    }

    #[test]
    fn memory_above_the_ceiling_is_refused() {
        assert!(MemoryCeiling::new(Some(u64::MAX)).check().is_ok());
        let ceiling = MemoryCeiling::new(Some(1));
        if ceiling.used() > 0 {
            assert!(ceiling.is_exceeded());
            let error = ceiling.check().unwrap_err();
            assert!(error.is_retryable() && error.to_string().contains("its limit is 0 MiB"));
        }
    }

    #[test]
    fn the_default_is_below_the_machine() {
        if let Some(machine) = machine_memory() {
            let limit = MemoryCeiling::default().limit();
            assert!(limit > 0 && limit < machine, "{limit} of {machine}");
        }
    }
}
