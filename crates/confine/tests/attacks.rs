//! Confined processes that try to get out, against the kernel that runs the tests.
//!
//! Each attack is also made without confinement, where it must not fail in the same way: else it would prove nothing.
//! What cannot be tried there says why ([`Outside::Untried`]).

#![expect(clippy::print_stdout, reason = "a test that was skipped says so")]

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use rustix::thread::{CapabilitySet, capabilities};
use syscalls::Sysno;

use crate::kit::Cell;

mod kit;

const EPERM: &str = "errno 1";
const EINVAL: &str = "errno 22";
const ENOTTY: &str = "errno 25";
const ENOSYS: &str = "errno 38";

/// What a call that the filter refuses is answered with where there is no filter.
#[derive(Clone, Copy)]
enum Outside {
    /// Something else: it succeeds, or the kernel minds the zeroes that it is given.
    Differs,
    /// The same for root alone; to others the kernel may itself say no, in the same words.
    DiffersForRoot,
    /// Nobody asks, for this reason.
    Untried(&'static str),
}

use Outside::{Differs, DiffersForRoot, Untried};

fn privileged() -> bool {
    // In many a container, root is not.
    capabilities(None).expect("the kernel tells of our own").effective.contains(CapabilitySet::SYS_ADMIN)
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[track_caller]
fn check_allowed(call: Sysno, arguments: &[&str]) {
    let output = Cell::new().confined("call", &[&[call.id().to_string().as_str()], arguments].concat());
    assert_eq!(printed(&output), "done", "{call} {arguments:?}: {output:?}");
}

#[track_caller]
fn check_refused(call: Sysno, arguments: &[&str], expected: &str, outside: Outside) {
    check_refused_in(&Cell::new(), &call.to_string(), call.id(), arguments, expected, outside);
}

#[track_caller]
fn check_refused_in(cell: &Cell, call: &str, number: i32, arguments: &[&str], expected: &str, outside: Outside) {
    let number = number.to_string();
    let words = [&[number.as_str()], arguments].concat();
    let inside = cell.confined("call", &words);
    assert_eq!(printed(&inside), expected, "{call} {arguments:?}: {inside:?}");

    match outside {
        Untried(why) => return println!("not tried outside: {call} {arguments:?}: {why}"),
        DiffersForRoot if !privileged() => return println!("skipped: {call} outside: only root can do that"),
        Differs | DiffersForRoot => {}
    }
    let control = cell.unconfined("call", &words);
    match printed(&control).as_str() {
        ENOSYS if expected == ENOSYS => println!("skipped: {call} outside: this kernel does not have it"),
        answer => {
            assert!(!answer.is_empty(), "{call} {arguments:?} outside: {control:?}");
            assert_ne!(answer, expected, "{call} {arguments:?}: not even outside: {control:?}");
        }
    }
}

#[test]
fn the_kernel_answers_as_the_policy_says() {
    check_allowed(Sysno::getpid, &[]);
    check_refused(Sysno::mount, &["pointer", "pointer", "pointer"], EPERM, Differs);
    check_refused(Sysno::unshare, &["0x10000000"], EPERM, DiffersForRoot);
    check_refused(Sysno::clone, &["0x10000011"], EPERM, DiffersForRoot);
    check_refused(Sysno::ptrace, &[], EPERM, DiffersForRoot);
    check_refused(Sysno::bpf, &[], EPERM, DiffersForRoot);
    check_refused(Sysno::keyctl, &[], EPERM, Differs);
    check_refused(Sysno::clone3, &["pointer", "88"], ENOSYS, Differs);
    check_refused(Sysno::io_uring_setup, &["8", "pointer"], ENOSYS, Differs);
    check_refused(Sysno::seccomp, &["1", "0", "pointer"], ENOSYS, Differs);
    // No pointer: to an empty filter, the kernel too says EINVAL.
    check_refused(Sysno::prctl, &["22", "2", "0"], EINVAL, Differs);
    check_refused(Sysno::personality, &["0x40000"], EPERM, Differs);
}

#[test]
fn tiocsti_is_refused_with_any_upper_half() {
    // A terminal of the test's own, since anything else says ENOTTY by itself.
    let cell = Cell::with_input("/dev/ptmx");
    for command in ["0x5412", "0xffffffff00005412"] {
        check_refused_in(&cell, "ioctl", Sysno::ioctl.id(), &["0", command, "pointer"], ENOTTY, Differs);
    }
}

#[test]
fn rare_sockets_are_refused() {
    const MODULE: Outside = Untried("the host might load a module for it, and keep it");
    // Netlink, packet, alg, vsock.
    for (family, outside) in [("16", Differs), ("17", DiffersForRoot), ("38", MODULE), ("40", MODULE)] {
        check_refused(Sysno::socket, &[family, "3", "0"], EPERM, outside);
    }
    // SCTP.
    check_refused(Sysno::socket, &["2", "1", "132"], EPERM, MODULE);
    check_allowed(Sysno::socket, &["2", "1", "0"]);
}

#[test]
fn the_core_limit_cannot_be_lowered_to_where_the_host_dumps() {
    check_refused(Sysno::setrlimit, &["4", "pointer"], EPERM, Differs);
    check_refused(Sysno::prlimit64, &["0", "4", "pointer", "0"], EPERM, Differs);
    check_allowed(Sysno::setrlimit, &["7", "pointer"]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_32_bit_door_kills() {
    let output = Cell::new().confined("call-i386", &["20"]);

    // `timeout` reports a death by SIGSYS (31) as its own exit code, or dies of it itself.
    let death = output.status.signal().or(output.status.code().map(|code| code - 128));
    assert_eq!(death, Some(31), "{output:?}");
    let control = Cell::new().unconfined("call-i386", &["20"]);
    assert_eq!(printed(&control), "done", "not even outside: {control:?}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn x32_is_absent() {
    // `getpid` by that door, which many a kernel lacks.
    check_refused_in(&Cell::new(), "x32", 0x4000_0027, &[], ENOSYS, Differs);
}

#[test]
fn files_outside_the_rules_cannot_be_written() {
    let (cell, outside) = (Cell::new(), Cell::new());
    let target = outside.work.path().join("file");
    std::fs::write(&target, "before").unwrap();

    let script = format!(
        "echo inside > mine && mkdir -p a b && touch a/x && mv a/x b/y && cat mine; \
         echo no > {target}; rm {target}; truncate -s 0 {target}; ln {target} mine2; mv mine {target}",
        target = target.display()
    );
    let output = cell.confined("exec", &["bash", "-c", &script]);

    assert_eq!(String::from_utf8_lossy(&output.stdout), "inside\n", "{output:?}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "before");
    assert!(cell.work.path().join("b/y").exists(), "renaming between own directories failed: {output:?}");
    let control = Cell::new().unconfined("exec", &["bash", "-c", &script]);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "inside\n", "not even outside: {control:?}");
    check_refused(Sysno::chroot, &["pointer"], EPERM, Differs);
}

#[test]
fn processes_outside_cannot_be_signalled() {
    let cell = Cell::new();
    let report = cell.confined("report", &[]);
    if !String::from_utf8_lossy(&report.stdout).contains("scopes: Enforced") {
        println!("skipped: signals to processes outside: this kernel's Landlock has no scopes");
        return;
    }

    // Signal 0 only asks whether one may; this test's own process is outside.
    let command = ["bash", "-c", &format!("kill -0 {} || kill -0 $$ && echo kept", std::process::id())];
    let output = cell.confined("exec", &command);
    let control = cell.unconfined("exec", &command);

    assert_eq!(String::from_utf8_lossy(&output.stdout), "kept\n", "{output:?}");
    assert!(!output.stderr.is_empty(), "the test's own process could be signalled: {output:?}");
    assert!(control.stderr.is_empty(), "not even outside: {control:?}");
}

#[test]
fn nothing_is_left_of_privilege() {
    let status = Cell::new().succeeds(&["cat", "/proc/self/status"]);

    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
}

#[test]
fn confining_twice_adds_to_the_first_or_fails_whole() {
    let cell = Cell::new();
    let example = std::env::current_exe().unwrap().parent().unwrap().join("../examples/confined");
    let work = cell.work.path().to_str().unwrap();

    let output = cell.confined("exec", &[example.to_str().unwrap(), work, "report"]);

    // The filter closes the calls that confinement is made of, so a second try must say so and not pretend.
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn memory_of_other_processes_is_out_of_reach() {
    check_refused(Sysno::process_vm_readv, &["1", "pointer", "1", "pointer", "1"], EPERM, Differs);
    check_refused(Sysno::pidfd_getfd, &["0", "0"], EPERM, Differs);
    let command = ["bash", "-c", "exec 3< /proc/$PPID/mem"];
    let output = Cell::new().confined("exec", &command);
    assert!(!output.status.success(), "the memory of a process outside could be opened: {output:?}");
    if privileged() {
        let control = Cell::new().unconfined("exec", &command);
        assert!(control.status.success(), "not even outside: {control:?}");
    } else {
        println!("skipped: memory of another process outside: only root can always open it");
    }
}
