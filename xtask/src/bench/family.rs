//! The memory of all processes of ours: a driver, its warden, the agents of its cells and what waits in them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

/// Bytes of memory, where what several processes share is divided among them. Needs the right to look into processes of
/// other users, so root's.
pub(super) fn proportional_set_size(root: u32) -> Result<u64> {
    let mut sum = 0;
    for pid in members(root, &parents()?) {
        let path = format!("/proc/{pid}/smaps_rollup");
        match std::fs::read_to_string(&path) {
            Ok(text) => sum += pss_kib(&text).with_context(|| format!("{path} has no line Pss"))? * 1024,
            // It has ended since, or is about to and has no memory any more.
            Err(error) if matches!(error.raw_os_error(), Some(2 | 3)) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        }
    }
    Ok(sum)
}

fn pss_kib(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Each process of this host with its parent.
fn parents() -> Result<BTreeMap<u32, u32>> {
    let entries = std::fs::read_dir("/proc").context("cannot list /proc")?.filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(pids
        .filter_map(|pid| Some((pid, parent(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect())
}

/// The name before it may hold anything, brackets too, but ends with the last one.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn members(root: u32, parents: &BTreeMap<u32, u32>) -> BTreeSet<u32> {
    let mut members = BTreeSet::from([root]);
    loop {
        let children = parents.iter().filter(|(_, parent)| members.contains(parent)).map(|(&pid, _)| pid);
        let found: BTreeSet<u32> = members.iter().copied().chain(children).collect();
        if found.len() == members.len() {
            return found;
        }
        members = found;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_everybody_below_and_nobody_else() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 3), (9, 1)]);
        assert_eq!(members(2, &parents), BTreeSet::from([2, 3, 4]));
        assert_eq!(parent("7 (a) b (c)) S 3 7 7"), Some(3));
    }

    #[test]
    fn the_memory_of_a_process_is_what_the_kernel_says() {
        assert_eq!(pss_kib("1-2 ---p [rollup]\nRss: 900 kB\nPss:   123 kB\nPss_Dirty: 4 kB\n"), Some(123));
        let own = proportional_set_size(std::process::id()).unwrap();
        assert!((100_000..4 << 30).contains(&own), "{own}");
    }
}
