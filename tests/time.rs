//! Time limits and input: what arrives on standard input, and how, neither stops the clock nor gets lost.

mod kit;

use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::time::Duration;

use kit::{Allowance, Guard, HostInventory, Outcome, Running, firebox, job, tool};

#[test]
fn limits_hold_where_several_read_from_one_pipe() {
    // A byte wakes everybody who waits for one, and only one gets it. Then there are no more, but the pipe stays open.
    let script = "
mkfifo pipe
\"$0\" -c 'import os, time
with open(\"pipe\", \"wb\", buffering=0) as pipe:
    for _ in range(75):
        pipe.write(b\"x\")
        time.sleep(0.02)
    time.sleep(1000)' &
writer=$!
exec 3<pipe
for number in 1 2 3 4 5 6; do
    \"$@\" <&3 3<&- &
    started=\"$started $!\"
done
for one in $started; do
    wait $one
    echo $?
done
kill $writer
wait $writer
true";
    let host = HostInventory::take();
    let through = [tool("sh").into_os_string(), "-c".into(), script.into(), tool("python3").into_os_string()];
    let call = firebox().through(through).args(["run", "--run-time", "2s", "--lang", "bash"]);
    let call = call.args(["--code", "while :; do :; done"]).run();
    assert_eq!(call.stdout(), "124\n".repeat(6), "{call}");
    assert_eq!(call.stderr().matches("firebox: timeout").count(), 6, "{call}");
    assert!(call.wall < Duration::from_secs(10), "the pipe held some of them up\n{call}");
    host.assert_nothing_left();
}

/// 5 MB in which every byte occurs, in no order that a lost block could hide behind.
fn input() -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(5_000_000).collect()
}

fn assert_passed_on(outcome: &Outcome, input: &[u8]) {
    let directory = kit::temp_dir();
    let copy = directory.path().join("copy");
    fs::write(&copy, input).expect("a temporary file");
    let sum = Command::new(tool("md5sum")).arg(copy).output().expect("the tests need md5sum");
    let sum = String::from_utf8_lossy(&sum.stdout);
    let sum = sum.split(' ').next().expect("the sum comes first");
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    assert_eq!(outcome.stdout(), format!("{sum}  -\n"), "{outcome}");
}

#[test]
fn input_is_passed_on_exactly() {
    let host = HostInventory::take();
    let input = input();
    let piped = job("bash", "md5sum").stdin(input.clone()).outcome();
    assert_passed_on(&piped, &input);
    let file = firebox().file("input", &input);
    let file = file.through([tool("sh").into_os_string(), "-c".into(), "exec \"$@\" <input".into(), "sh".into()]);
    let file = file.args(["run", "--lang", "bash", "--code", "md5sum", "--json"]).outcome();
    assert_passed_on(&file, &input);
    host.assert_nothing_left();
}

#[test]
fn input_for_a_slow_reader_is_passed_on_exactly() {
    let host = HostInventory::take();
    let input = input();
    let code = "import hashlib, sys, time
sum = hashlib.md5()
while block := sys.stdin.buffer.read1(200_000):
    sum.update(block)
    time.sleep(0.002)
print(sum.hexdigest(), ' -')";
    let outcome = job("python", code).stdin(input.clone()).outcome();
    assert_passed_on(&outcome, &input);
    host.assert_nothing_left();
}

/// What starts a command in the background of a terminal at which somebody types.
fn in_the_background() -> [OsString; 2] {
    [tool("python3").into(), kit::repository("tests/time/background.py").into()]
}

#[test]
fn a_terminal_does_not_stop_a_call_in_its_background() {
    let host = HostInventory::take();
    let guard = Guard::new(Allowance::CONTROL);
    let [python, background] = in_the_background();
    let mut command = guard.command(python);
    command.arg(background).arg(tool("cat"));
    let cat = Running::start(guard, command, None).wait();
    assert_eq!(cat.stdout(), "stopped by SIGTTIN\n", "not even `cat` is stopped\n{cat}");

    // A program that does not read ends by itself. One that does waits, because what is typed there is not for it.
    for (code, expected) in [("sleep 1; echo done", (0, "done\n")), ("cat; echo done", (124, ""))] {
        let call = firebox().through(in_the_background());
        let call = call.args(["run", "--run-time", "2s", "--lang", "bash", "--code", code]).run();
        assert_eq!((call.code(), call.stdout().as_str()), expected, "{code}\n{call}");
        assert!(call.wall < Duration::from_secs(10), "it ended late\n{call}");
    }
    host.assert_nothing_left();
}
