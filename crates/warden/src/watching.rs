//! Watching a cell's processes where there are no control groups: what they use, read from the host's `/proc`.
//!
//! This is less than holding them. Memory that nobody has mapped (a file in memory, a segment of System V shared
//! memory) is not seen, and the CPU time of a process that nobody waited for is lost when it is gone.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::Pid;

/// The kernel counts CPU time for `/proc` in hundredths of a second, whatever it does inside.
const TICK: Duration = Duration::from_millis(10);

/// The most that is read of a file there.
const MOST_BYTES: usize = 16 * 1024;

/// What is known of a cell's processes.
#[derive(Debug)]
pub struct Watching {
    proc: OwnedFd,
    /// What all processes but the agent had used when the step began.
    before: Duration,
    memory_peak: u64,
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// CPU time since the step began.
    pub cpu: Duration,
    /// Bytes that all processes but the agent have by themselves.
    pub memory: u64,
    /// The most that has been seen of it; none when nothing has.
    pub memory_peak: Option<u64>,
    /// Processes and threads, but the agent.
    pub tasks: u64,
    /// Whether there is anybody but the agent.
    pub others: bool,
}

/// What is there at a moment.
#[derive(Default)]
struct Now {
    cpu: Duration,
    memory: u64,
    tasks: u64,
    others: bool,
}

/// One process, as far as it matters.
struct Process {
    /// Its own time, and that of the children it has waited for.
    own: Duration,
    children: Duration,
    memory: u64,
    threads: u64,
}

impl Watching {
    /// In this `/proc`.
    pub fn new(proc: &OwnedFd) -> Result<Watching, Errno> {
        Ok(Watching { proc: proc.try_clone().map_err(|_| Errno::MFILE)?, before: Duration::ZERO, memory_peak: 0 })
    }

    /// Begins a step. Who is there already.
    pub fn begin(&mut self, agent: Pid) -> Result<Seen, Errno> {
        self.process(agent)?;
        self.memory_peak = 0;
        let Now { cpu, memory, tasks, others } = self.now(agent);
        self.before = cpu;
        Ok(Seen { cpu: Duration::ZERO, memory, memory_peak: None, tasks, others })
    }

    /// Looks at every process that descends from the agent. One that ends meanwhile is passed over: its time is its
    /// parent's as soon as that has waited for it.
    pub fn look(&mut self, agent: Pid) -> Result<Seen, Errno> {
        let Now { cpu, memory, tasks, others } = self.now(agent);
        self.memory_peak = self.memory_peak.max(memory);
        let memory_peak = (self.memory_peak != 0).then_some(self.memory_peak);
        Ok(Seen { cpu: cpu.saturating_sub(self.before), memory, memory_peak, tasks, others })
    }

    fn now(&self, agent: Pid) -> Now {
        let mut now = Now::default();
        for (pid, process) in self.tree(agent) {
            if pid != agent.as_raw_nonzero().get() {
                now.cpu += process.own;
                now.memory += process.memory;
                now.tasks += process.threads;
            }
            now.cpu += process.children;
        }
        // Not whom the walk has met: one that forks and ends under it may not be met, nor what it forked. But whoever loses
        // its parent is the agent's child at the same moment, so when that has none, nobody is left.
        now.others = self.children(agent).map_or(true, |children| !children.is_empty());
        now
    }

    fn tree(&self, agent: Pid) -> BTreeMap<i32, Process> {
        let mut found = BTreeMap::new();
        let mut to_look_at = vec![agent.as_raw_nonzero().get()];
        while let Some(pid) = to_look_at.pop() {
            let Some(process) = Pid::from_raw(pid).and_then(|pid| self.process(pid).ok()) else {
                continue;
            };
            if found.insert(pid, process).is_none() {
                to_look_at.extend(self.children_of(pid).unwrap_or_default());
            }
        }
        found
    }

    /// The children of a process.
    pub fn children(&self, parent: Pid) -> Result<Vec<Pid>, Errno> {
        Ok(self.children_of(parent.as_raw_nonzero().get())?.into_iter().filter_map(Pid::from_raw).collect())
    }

    /// How many processes and threads a user has on the whole host.
    pub fn tasks_of_user(&self, uid: u32) -> Result<u64, Errno> {
        let mut tasks = 0;
        for entry in Dir::read_from(open_directory(&self.proc, ".")?)? {
            let entry = entry?;
            let Some(pid) = entry.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // One that has ended meanwhile is none.
            let Ok(status) = read(self.proc.as_fd(), &format!("{pid}/status")) else { continue };
            if number(&status, "Uid:") == Some(uid.into()) {
                tasks += number(&status, "Threads:").unwrap_or(1);
            }
        }
        Ok(tasks)
    }

    /// The children of all threads of a process.
    fn children_of(&self, pid: i32) -> Result<Vec<i32>, Errno> {
        let tasks = open_directory(&self.proc, &format!("{pid}/task"))?;
        let mut children = Vec::new();
        for task in Dir::read_from(&tasks)? {
            let task = task?;
            let Ok(name) = task.file_name().to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            let listed = read(tasks.as_fd(), &format!("{name}/children")).unwrap_or_default();
            children.extend(listed.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
        Ok(children)
    }

    fn process(&self, pid: Pid) -> Result<Process, Errno> {
        let pid = pid.as_raw_nonzero();
        let stat = read(self.proc.as_fd(), &format!("{pid}/stat"))?;
        let status = read(self.proc.as_fd(), &format!("{pid}/status"))?;
        let (own, children) = times(&stat).ok_or(Errno::BADMSG)?;
        let threads = number(&status, "Threads:").unwrap_or(1);
        let memory = match resident(&status) {
            // The first thread may have ended before the others, and its memory is told with each of theirs.
            None if 1 < threads => self.resident_by_threads(pid.get()).unwrap_or(0),
            memory => memory.unwrap_or(0),
        };
        Ok(Process { own, children, memory, threads })
    }

    fn resident_by_threads(&self, pid: i32) -> Result<u64, Errno> {
        let tasks = open_directory(&self.proc, &format!("{pid}/task"))?;
        for task in Dir::read_from(&tasks)? {
            let task = task?;
            let Ok(name) = task.file_name().to_str() else { continue };
            if let Some(memory) = read(tasks.as_fd(), &format!("{name}/status")).ok().as_deref().and_then(resident) {
                return Ok(memory);
            }
        }
        Ok(0)
    }
}

fn open_directory(proc: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    openat(proc, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// A process's own CPU time and that of the children it has waited for.
fn times(stat: &str) -> Option<(Duration, Duration)> {
    // The name before it may hold anything, also parentheses and spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u32>().ok();
    let (user, system, waited_user, waited_system) = (ticks(11)?, ticks(12)?, ticks(13)?, ticks(14)?);
    Some((TICK * (user + system), TICK * (waited_user + waited_system)))
}

/// Memory that a process has by itself, on disk as well: not the pages of the files that it maps, which are the host's
/// cache. A thread that has ended has no memory any more, and no such lines.
fn resident(status: &str) -> Option<u64> {
    let anonymous = number(status, "RssAnon:")?;
    let others = ["RssShmem:", "VmSwap:"].map(|key| number(status, key).unwrap_or(0));
    Some(1024 * (anonymous + others.iter().sum::<u64>()))
}

/// The number in a line of a process's status.
fn number(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn read(directory: BorrowedFd<'_>, path: &str) -> Result<String, Errno> {
    let file = openat(directory, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = vec![0; MOST_BYTES];
    let mut length = 0;
    while length < bytes.len() {
        match rustix::io::read(&file, &mut bytes[length..])? {
            0 => break,
            read => length += read,
        }
    }
    bytes.truncate(length);
    // A process names itself as it likes; what matters here are numbers.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_whatever_a_process_calls_itself() {
        for name in ["sh", "a b", ") (", "x) R 1 2 3"] {
            let stat = format!("7 ({name}) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 20 5 20 0 1 0 1 2 3\n");
            let seconds = |own, children| Some((Duration::from_secs_f64(own), Duration::from_secs_f64(children)));
            assert_eq!(times(&stat), seconds(2.0, 0.25), "{name}");
        }
    }

    #[test]
    fn memory_is_what_a_process_has_by_itself() {
        let status = "VmRSS:\t    5000 kB\nRssAnon:\t    1000 kB\nRssFile:\t    3900 kB\nRssShmem:\t     100 kB\n\
            VmSwap:\t      20 kB\n";
        assert_eq!(resident(status), Some(1120 * 1024));
        assert_eq!(resident("State:\tZ (zombie)\nThreads:\t2\n"), None);
    }
}
