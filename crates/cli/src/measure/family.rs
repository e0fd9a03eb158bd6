//! The processes of ours, seen from outside: one, what it started, and what those did.
//!
//! What is done in the background (a cell removed, the next one made ready) is our work as much as what a job waits for.
//! Whether it is going on is read off the CPU time that the processes use, so that it does not matter who does it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

/// What the kernel counts in `stat`: a hundredth of a second, on every architecture that we run on.
const TICK: Duration = Duration::from_millis(10);

/// Nothing is going on when less CPU time than `LITTLE` was used in a `WHILE`, by anybody but who looks.
const WHILE: Duration = Duration::from_millis(10);
const LITTLE: Duration = Duration::from_micros(300);
/// So many quiet whiles in a row: a process may wait for something that takes a moment.
const IN_A_ROW: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found while waiting for quiet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quiet {
    /// False when there was none within a few seconds.
    pub(super) came: bool,
    pub(super) waited: Duration,
    /// The CPU time of all of them so far, those included that have ended and been waited for.
    pub(super) cpu: Duration,
    /// What of that went into looking whether there is quiet, this time.
    pub(super) looking: Duration,
}

/// A line of `/proc/PID/stat`, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Its own, user and system.
    own: Duration,
    /// Its children's that it has waited for, and theirs.
    children: Duration,
}

/// Waits until nothing is going on in a process and those that descend from it.
pub(super) fn wait_for_quiet(root: u32) -> Quiet {
    let (start, looked_before) = (Instant::now(), used_by_this_thread());
    let (mut before, mut quiet) = (recent(&family(root)), 0);
    while quiet < IN_A_ROW && start.elapsed() < PATIENCE {
        thread::sleep(WHILE);
        let now = recent(&family(root));
        let same = now.keys().eq(before.keys());
        let used: Duration =
            now.iter().map(|(task, cpu)| cpu.saturating_sub(before.get(task).copied().unwrap_or_default())).sum();
        quiet = if same && used < LITTLE { quiet + 1 } else { 0 };
        before = now;
    }
    let cpu = family(root).iter().map(|(&pid, stat)| stat.own.max(exact(pid)) + stat.children).sum();
    let looking = used_by_this_thread().saturating_sub(looked_before);
    Quiet { came: quiet == IN_A_ROW, waited: start.elapsed(), cpu, looking }
}

/// Bytes of memory of each, where what several processes share is divided among them. Needs the right to look into processes of
/// other users, so root's.
pub(super) fn proportional_set_sizes(root: u32) -> anyhow::Result<BTreeMap<u32, u64>> {
    let mut sizes = BTreeMap::new();
    for &pid in family(root).keys() {
        let path = format!("/proc/{pid}/smaps_rollup");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let kib = pss_kib(&text).with_context(|| format!("{path} has no line Pss"))?;
                sizes.insert(pid, kib * 1024);
            }
            // It has ended since, or is about to and has no memory any more.
            Err(error) if matches!(error.raw_os_error(), Some(2 | 3)) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        }
    }
    Ok(sizes)
}

fn pss_kib(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// A process and all that descend from it, by number.
fn family(root: u32) -> BTreeMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut all: BTreeMap<u32, Stat> =
        numbers.filter_map(|pid| Some((pid, stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?))).collect();
    let mut members = BTreeSet::from([root]);
    loop {
        let children = all.iter().filter(|(_, stat)| members.contains(&stat.parent)).map(|(&pid, _)| pid);
        let found: BTreeSet<u32> = members.iter().copied().chain(children).collect();
        if found.len() == members.len() {
            break;
        }
        members = found;
    }
    all.retain(|pid, _| members.contains(pid));
    all
}

/// The name may hold anything, blanks and brackets too, but ends with the last bracket.
fn stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok()).map(|ticks| TICK * ticks);
    let parent = fields.get(1)?.parse().ok()?;
    Some(Stat { parent, own: ticks(11)? + ticks(12)?, children: ticks(13)? + ticks(14)? })
}

/// What each thread has used, to the nanosecond where the kernel tells that, without the one that looks.
fn recent(family: &BTreeMap<u32, Stat>) -> BTreeMap<u32, Duration> {
    let mut recent = BTreeMap::new();
    for (pid, stat) in family {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
        for task in tasks.filter_map(|task| task.file_name().to_str()?.parse::<u32>().ok()) {
            // The first thread is the one that reads questions, and does this.
            if task != std::process::id() {
                let exact = used(&format!("/proc/{pid}/task/{task}/schedstat"));
                recent.insert(task, exact.unwrap_or(stat.own));
            }
        }
    }
    recent
}

/// What the living threads of a process have used; zero where the kernel does not tell. A process of our kind uses less
/// than a tick as long as it lives, and one whose threads have ended is counted better in ticks.
fn exact(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    tasks.filter_map(|task| used(&format!("{}/schedstat", task.path().display()))).sum()
}

fn used_by_this_thread() -> Duration {
    used("/proc/thread-self/schedstat").unwrap_or_default()
}

/// None where the kernel does not count so finely.
fn used(schedstat: &str) -> Option<Duration> {
    let text = fs::read_to_string(schedstat).ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_line_of_stat_is_read_whatever_the_process_is_called() {
        let text = "7 (a) b (c)) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 1000 10 20 0 1 0 1 2 3";
        let expected = Stat { parent: 3, own: Duration::from_secs(2), children: Duration::from_millis(10_100) };
        assert_eq!(stat(text), Some(expected));
        assert_eq!(stat("7 (a"), None);
    }

    #[test]
    fn the_memory_of_a_process_is_what_the_kernel_says() {
        assert_eq!(pss_kib("1-2 ---p [rollup]\nRss: 900 kB\nPss:   123 kB\nPss_Dirty: 4 kB\n"), Some(123));
        let own = std::process::id();
        let held = proportional_set_sizes(own).unwrap()[&own];
        assert!((100_000..4 << 30).contains(&held), "{held}");
    }

    #[test]
    fn a_busy_child_is_no_quiet_and_counts_once_it_has_ended() {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        let mut before = recent(&family(std::process::id()));
        // It takes a moment until it has begun.
        while start.elapsed() < Duration::from_secs(5) {
            thread::sleep(WHILE);
            let now = recent(&family(std::process::id()));
            if LITTLE
                < now
                    .get(&busy.id())
                    .copied()
                    .unwrap_or_default()
                    .saturating_sub(before.get(&busy.id()).copied().unwrap_or_default())
            {
                break;
            }
            before = now;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "a process that only computes is not seen to");
        thread::sleep(TICK * 5);
        busy.kill().unwrap();
        busy.wait().unwrap();
        let ours = family(std::process::id());
        let counted = ours.get(&std::process::id()).map(|stat| stat.children);
        assert!(counted.is_some_and(|cpu| TICK <= cpu), "{ours:?}");
    }
}
