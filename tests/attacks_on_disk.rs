//! Attacks on the disk: bytes, names, and what is slow to remove. Each succeeds outside.

mod kit;

use std::time::Duration;

use kit::Expectation::HeldBy;
use kit::{Attack, Control, Setting, bare, leaving_nothing, words};

/// What `disk.py` tries in each place.
const WAYS: [&str; 6] = ["one_file", "allocated", "many_files", "long_names", "many_directories", "many_links"];

#[test]
fn disk_is_bounded_in_bytes_and_in_names() {
    // Outside, every place that a job has is a directory on a host that has room.
    for place in ["/tmp", "/dev/shm"] {
        let tried: Vec<String> = WAYS.iter().map(|way| format!("{way} in {place}")).collect();
        let tried: Vec<&str> = tried.iter().map(String::as_str).collect();
        Attack {
            name: &format!("filling {place} with bytes, names and directories"),
            layer: "sized tmpfs",
            source: "disk.py",
            args: words([place]),
            limits: &["--disk", "64M", "--run-time", "60s"],
            succeeds_outside: &tried,
            fence: HeldBy("watching"),
            ..Attack::PLAIN
        }
        .check();
    }
}

#[test]
fn the_work_directory_is_bounded_too() {
    // In an empty directory of its own, which goes with it.
    let outside = leaving_nothing(|| bare("disk.py", &words(["."]), Control::Bare));
    assert_eq!(outside.stdout().matches("ESCAPED:").count(), WAYS.len(), "not even outside\n{outside}");

    Attack { name: "filling the work directory", layer: "sized tmpfs", fence: HeldBy("watching"), ..Attack::PLAIN }
        .check_by(|setting| {
            let inside = setting.attack("disk.py").args(["--run-time", "60s"]).program_args(["."]).outcome();
            assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
            assert_eq!(inside.stdout().matches("blocked:").count(), WAYS.len(), "{inside}");
        });
}

#[test]
fn what_is_slow_to_remove_is_gone_at_once() {
    let removed_by_hand = "import os, shutil, sys, time
for i in range(3000):
    os.mkdir('d'); os.chdir('d')
print('made', flush=True)
for _ in range(3000): os.chdir('..')
try: shutil.rmtree('d')
except RecursionError: print('ESCAPED: too deep to be removed')";
    Attack {
        name: "three thousand directories in each other, a file of a terabyte",
        layer: "tmpfs that goes as a whole",
        ..Attack::PLAIN
    }
    .check_by(|setting: Setting| {
        let code =
            format!("import os\nos.truncate(os.open('sparse', os.O_CREAT | os.O_RDWR), 1 << 30)\n{removed_by_hand}");
        let inside = setting.job("python", &code).args(["--disk", "64M"]).outcome();
        assert!(inside.stdout().starts_with("made\n") || inside.stderr().contains("File too large"), "{inside}");
        assert!(inside.call.wall < Duration::from_secs(9), "it was waited for\n{inside}");
    });
}

#[test]
fn a_crash_leaves_no_core_and_wakes_no_helper_of_the_host() {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let raised: &[&str] = &["a higher core limit"];
    let dumped: &[&str] = &["a higher core limit", "a core file"];
    // With a helper of the host there is no file, and none of ours to be woken by a test.
    let is_plain = !pattern.trim().is_empty() && !pattern.contains(['|', '/']);
    Attack {
        name: "core dumps",
        layer: "rlimit: core, seccomp",
        source: "core.py",
        succeeds_outside: if is_plain { dumped } else { raised },
        ..Attack::PLAIN
    }
    .check();
}
