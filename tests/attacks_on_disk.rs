//! Attacks on the disk: bytes, names, and what is slow to remove. Each succeeds outside.

mod kit;

use kit::Expectation::{HeldBy, Open};
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
            fence: HeldBy("Landlock"),
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

    Attack {
        name: "filling the work directory",
        layer: "sized tmpfs",
        fence: HeldBy("watching, rlimit: file size"),
        ..Attack::PLAIN
    }
    .check_by(|setting| match setting {
        Setting::RootJail | Setting::UserJail | Setting::MicroVm => check_refused_in(setting, "."),
        Setting::Fence => [".", "$TMPDIR"].iter().for_each(|place| check_ended_in(setting, place)),
    });
}

/// Each way is refused, and the program goes on.
fn check_refused_in(setting: Setting, place: &str) {
    let inside = setting.attack("disk.py").args(["--run-time", "60s"]).program_args([place]).outcome();
    assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
    assert_eq!(inside.stdout().matches("blocked:").count(), WAYS.len(), "{inside}");
}

/// One file is refused, and many end the job.
fn check_ended_in(setting: Setting, place: &str) {
    for way in WAYS {
        let inside = setting.attack("disk.py").args(["--run-time", "60s"]).program_args([place, way]).outcome();
        let refused = inside.stdout() == format!("blocked: {way} in {place}: EFBIG\n");
        let ended = inside.verdict() == ("disk_limit", "run", 153, None);
        assert!(ended || refused && ["one_file", "allocated"].contains(&way), "{way} in {place}\n{inside}");
    }
}

#[test]
fn files_without_a_name_are_bounded_where_a_file_system_counts_them() {
    const FILLED: &str = "without_names in .";
    Attack {
        name: "filling the work directory with files that have no name",
        layer: "sized tmpfs",
        source: "disk.py",
        args: words([".", "without_names"]),
        limits: &["--disk", "64M", "--run-time", "60s"],
        succeeds_outside: &[FILLED],
        fence: Open(&[FILLED]),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn what_is_slow_to_remove_is_gone_with_the_job() {
    const MADE: [&str; 3] = ["three thousand directories in each other", "six thousand files", "a hole of a terabyte"];
    let outside = leaving_nothing(|| bare("slow_to_remove.py", &words(["remove"]), Control::Bare));
    for what in MADE {
        assert!(outside.stdout().contains(&format!("ESCAPED: {what}\n")), "not even outside\n{outside}");
    }

    Attack {
        name: "directories in each other, thousands of files, a hole of a terabyte",
        layer: "tmpfs that goes as a whole",
        fence: HeldBy("rlimit: file size, limit of inodes"),
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        let inside = setting.attack("slow_to_remove.py").outcome();
        assert_eq!(inside.verdict().1, "run", "{inside}");
        // All that it is refused is the hole. What it has made is for the inventory to look for.
        assert!(inside.stdout().contains(&format!("ESCAPED: {}\n", MADE[0])), "{inside}");
        assert!(!inside.stdout().contains(&format!("ESCAPED: {}\n", MADE[2])), "{inside}");
        let total = inside.json()["timing_ms"]["total"].as_f64().expect("a number");
        let run = inside.json()["timing_ms"]["run"].as_f64().expect("a number");
        // On the host's file system each goes by itself, and there are no more than the limit of inodes.
        let granted = if setting == Setting::Fence { 10_000.0 } else { 1000.0 };
        assert!(total - run < granted, "{} ms were spent on something else than the run\n{inside}", total - run);
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
