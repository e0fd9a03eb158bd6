//! Attacks on memory, by every way that it can be taken. Each succeeds outside, under a guard of its own.

mod kit;

use std::time::{Duration, Instant};

use kit::Expectation::{Held, HeldBy, Open};
use kit::{Attack, Control, Expectation, Setting, bare, leaving_nothing, start_outside, words};
use rustix::process::Signal;

/// What a cell does to a program that takes 256 MiB with 64 MiB granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is ended for its memory.
    MemoryLimit,
    /// It is refused, by the limit of something else, and goes on.
    Refused,
}

struct Way {
    /// As `memory.c` calls it.
    way: &'static str,
    name: &'static str,
    end: End,
    layer: &'static str,
    /// Where memory is watched.
    user_jail: Expectation<'static>,
    /// Where the calls that hide memory are refused too, if a job can do without them.
    fence: Expectation<'static>,
}

const MEMORY: &str = "control group: memory";
const WATCHED: Expectation<'static> = HeldBy("watching");
/// Nobody maps it, so that watching does not see it: SECURITY.md says so.
const HIDDEN: Expectation<'static> = Open(&["256 MiB"]);
const SECCOMP: &str = "seccomp";
/// Not about time, also where a processor is emulated.
const UNHURRIED: [&str; 4] = ["--run-time", "60s", "--timeout", "100s"];

#[rustfmt::skip]
const WAYS: [Way; 11] = [
    Way { way: "heap", name: "memory: malloc", end: End::MemoryLimit, layer: MEMORY, user_jail: WATCHED, fence: WATCHED },
    Way { way: "children", name: "memory: a little in each of sixteen processes", end: End::MemoryLimit, layer: MEMORY, user_jail: WATCHED, fence: WATCHED },
    Way { way: "shared", name: "memory: shared mappings", end: End::MemoryLimit, layer: MEMORY, user_jail: WATCHED, fence: WATCHED },
    Way { way: "sysv", name: "memory: System V segments", end: End::MemoryLimit, layer: MEMORY, user_jail: WATCHED, fence: HeldBy(SECCOMP) },
    Way { way: "memfd", name: "memory: sixteen memfds", end: End::MemoryLimit, layer: MEMORY, user_jail: HIDDEN, fence: HeldBy(SECCOMP) },
    Way { way: "unix", name: "memory: buffers of Unix sockets", end: End::MemoryLimit, layer: MEMORY, user_jail: HIDDEN, fence: HIDDEN },
    Way { way: "tables", name: "memory: page tables", end: End::MemoryLimit, layer: MEMORY, user_jail: HIDDEN, fence: HIDDEN },
    Way { way: "semaphores", name: "memory: System V semaphores", end: End::MemoryLimit, layer: MEMORY, user_jail: HIDDEN, fence: HeldBy(SECCOMP) },
    Way { way: "pipes", name: "memory: pipes", end: End::Refused, layer: "limit of a user's pipes", user_jail: Held, fence: Held },
    Way { way: "locked", name: "memory: mlock", end: End::Refused, layer: "rlimit: locked memory", user_jail: Held, fence: Held },
    Way { way: "tmpfs", name: "memory: files in a tmpfs", end: End::Refused, layer: "sized tmpfs", user_jail: Held, fence: HeldBy("Landlock") },
];

#[test]
fn memory_is_bounded_by_whatever_way_it_is_taken() {
    for Way { way, name, end, layer, user_jail, fence } in WAYS {
        let outside = leaving_nothing(|| bare("memory.c", &words([way]), Control::Bare));
        assert!(outside.stdout().contains("ESCAPED: 256 MiB"), "not even outside\n{outside}");

        let attack = Attack { name, layer, user_jail, fence, ..Attack::PLAIN };
        attack.check_by(|setting| {
            let inside = setting.attack("memory.c").args(["--memory", "64M", "--disk", "64M"]).args(UNHURRIED);
            let inside = inside.program_args([way]).outcome();
            assert!(inside.stdout().starts_with("before taking memory"), "{inside}");
            let open = !attack.open_in(setting).is_empty();
            let refused = end == End::Refused || attack.layer_in(setting) == SECCOMP;
            let expected = if refused || open { ("ok", "run", 0, None) } else { ("memory_limit", "run", 137, None) };
            assert_eq!(inside.verdict(), expected, "{inside}");
            assert_eq!(inside.stdout().contains("ESCAPED"), open, "{inside}");
        });
    }
}

#[test]
fn files_that_are_read_stay_in_the_cells_memory() {
    // Outside, the kernel keeps every file that was read for as long as there is room, and counts it as nobody's.
    Attack {
        name: "memory: page cache of what is read and mapped",
        layer: MEMORY,
        user_jail: WATCHED,
        fence: WATCHED,
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        let inside = setting.attack("read_everything.py").args(["--memory", "32M", "--disk", "8M"]).args(UNHURRIED);
        let inside = inside.outcome();
        // There may be more to read than there is time for.
        let held = [("ok", "run", 0, None), ("memory_limit", "run", 137, None), ("timeout", "run", 124, None)];
        assert!(held.contains(&inside.verdict()), "{inside}");
        assert!(inside.stdout() != "read 0 bytes\n", "there was nothing to read\n{inside}");
        let peak = inside.json()["usage"]["memory_peak_bytes"].as_u64().unwrap_or_default();
        assert!(peak <= 48 << 20, "{peak} bytes at once\n{inside}");
    });
}

/// The memory that the buffers of all sockets of this host hold, in pages, whichever network they are of.
fn buffered_pages(protocol: &str) -> i64 {
    let statistics = std::fs::read_to_string("/proc/net/sockstat").expect("the tests need /proc/net");
    let line = statistics.lines().find(|line| line.starts_with(&format!("{protocol}:")));
    let pages = line.and_then(|line| line.split(" mem ").nth(1)?.split(' ').next()?.parse().ok());
    pages.unwrap_or_else(|| panic!("no pages of {protocol} in {statistics}"))
}

/// Fills 100 MiB, with 64 MiB granted for everything together.
fn check_sockets(protocol: &str) {
    const GRANTED: i64 = 16_384;
    let args = words([&protocol.to_lowercase()]);
    let grown = leaving_nothing(|| {
        let before = buffered_pages(protocol);
        let outside = start_outside("sockets.py", &args, Control::Bare);
        outside.wait_for_stdout("filled");
        let grown = buffered_pages(protocol) - before;
        outside.end();
        let until = Instant::now() + Duration::from_secs(10);
        while GRANTED / 8 < buffered_pages(protocol) - before {
            assert!(Instant::now() < until, "the control is still there");
            std::thread::yield_now();
        }
        grown
    });
    assert!(GRANTED < grown, "not even outside: {grown} pages");

    let name = format!("memory: buffers of {protocol} sockets");
    let open = Open(&["buffers"]);
    let attack = Attack { name: &name, layer: MEMORY, user_jail: open, fence: HeldBy("seccomp"), ..Attack::PLAIN };
    attack.check_by(|setting: Setting| {
        let inside = setting.run().attack("sockets.py").args(["--memory", "64M"]).program_args(args.iter().cloned());
        let before = buffered_pages(protocol);
        let inside = inside.start();
        inside.wait_for_stdout("filled");
        let grown = buffered_pages(protocol) - before;
        inside.signal(Signal::TERM);
        let inside = inside.wait();
        let open = !attack.open_in(setting).is_empty();
        assert_eq!(GRANTED < grown, open, "the buffers of {protocol} took {grown} pages\n{inside}");
    });
}

#[test]
fn buffers_of_sockets_are_bounded() {
    check_sockets("TCP");
    check_sockets("UDP");
}
