//! Attacks on the clock: spinning, sleeping, hiding CPU time, asking for no limit at all. Each succeeds outside.

mod kit;

use std::ffi::OsString;
use std::time::Duration;

use kit::Expectation::{HeldBy, Open};
use kit::{Attack, Control, Setting, bare, leaving_nothing, skip, words};

const LIMITS: [&str; 4] = ["--cpu-time", "1s", "--run-time", "4s"];

/// Seconds of CPU time that a program of ours takes outside, by its own words.
fn taken_outside(way: &str) -> f64 {
    let outside = leaving_nothing(|| bare("spin.c", &words([way]), Control::Bare));
    let said = outside.stdout();
    let taken = said.lines().find_map(|line| line.strip_prefix("took ")?.parse().ok());
    taken.unwrap_or_else(|| panic!("it does not say what it took\n{outside}"))
}

#[test]
fn cpu_time_is_bounded_however_many_share_it() {
    assert!(1.5 < taken_outside("together"), "not even outside");
    Attack {
        name: "CPU time in eight processes at once",
        layer: "control group: CPU",
        user_jail: HeldBy("watching"),
        fence: HeldBy("watching"),
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        let inside = setting.attack("spin.c").args(LIMITS).program_args(["together"]).outcome();
        assert_eq!(inside.verdict(), ("cpu_limit", "run", 152, None), "{inside}");
    });
}

#[test]
fn cpu_time_cannot_be_hidden_in_processes_that_nobody_waits_for() {
    assert!(1.5 < taken_outside("hidden"), "not even outside");
    let hidden = Open(&["hidden CPU time"]);
    let attack = Attack {
        name: "CPU time in processes that nobody waits for",
        layer: "control group: CPU",
        user_jail: hidden,
        fence: hidden,
        ..Attack::PLAIN
    };
    attack.check_by(|setting| {
        let inside = setting.attack("spin.c").args(LIMITS).program_args(["hidden"]).outcome();
        // Where it cannot be seen, the wall's clock ends it, or it ends by itself.
        let seen = inside.verdict() == ("cpu_limit", "run", 152, None);
        assert_eq!(seen, attack.open_in(setting).is_empty(), "{inside}");
        assert!(inside.call.wall < setting.patience(Duration::from_secs(9)), "{inside}");
    });
}

#[test]
fn no_signal_that_a_program_handles_keeps_it_past_its_time() {
    let code = "import signal, time
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, lambda *_: None)
print('before', flush=True)
while True:
    try: time.sleep(1000)
    except BaseException: pass";
    Attack { name: "sleeping for ever, with a handler for every signal", layer: "engine: clock", ..Attack::PLAIN }
        .check_by(|setting| {
            // Where each instruction may be emulated, Python takes a while to begin.
            let time = if setting == Setting::MicroVm { "4s" } else { "500ms" };
            let inside = setting.job("python", code).args(["--run-time", time]).outcome();
            assert_eq!((inside.verdict(), inside.stdout()), (("timeout", "run", 124, None), "before\n"), "{inside}");
            assert!(inside.call.wall < setting.patience(Duration::from_secs(5)), "{inside}");
        });
}

#[test]
fn a_limit_of_zero_is_no_way_to_have_none() {
    Attack { name: "a limit of zero, below zero, or of everything", layer: "edge: parsing", ..Attack::PLAIN }.check_by(
        |setting| {
            for flag in ["--timeout", "--run-time", "--compile-time", "--cpu-time", "--memory", "--tasks", "--disk"] {
                for value in ["0", "-1", "18446744073709551616", "inf", "NaN", ""] {
                    let asked = format!("{flag}={value}");
                    let call = setting.run().args([asked.as_str(), "--lang", "bash", "--code", "echo ran"]).run();
                    assert_eq!((call.code(), call.stdout().as_str()), (2, ""), "{asked} is taken\n{call}");
                }
            }
        },
    );
}

/// Whether we may raise limits, and so can show that it can be done: not every root may.
fn may_raise_limits() -> bool {
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let status = std::fs::read_to_string("/proc/self/status").expect("the tests need /proc");
    let held = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    held.is_some_and(|held| held & CAP_SYS_RESOURCE != 0)
}

#[test]
fn no_limit_of_its_own_can_be_raised() {
    let limits = ["NOFILE", "NPROC", "MEMLOCK", "MSGQUEUE", "SIGPENDING", "RTPRIO", "NICE", "CORE"];
    let raised: Vec<String> = limits.iter().map(|limit| format!("a higher {limit}")).collect();
    let raised: Vec<&str> = raised.iter().map(String::as_str).collect();
    let outside = may_raise_limits();
    if !outside {
        skip("raising limits outside", "we lack CAP_SYS_RESOURCE ourselves");
    }
    Attack {
        name: "raising its own limits",
        layer: "no capabilities, seccomp",
        source: "raise.py",
        args: limits.iter().map(OsString::from).collect(),
        succeeds_outside: if outside { &raised } else { &[] },
        ..Attack::PLAIN
    }
    .check();
}
