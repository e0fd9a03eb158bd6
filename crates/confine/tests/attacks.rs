//! Confined processes that try to get out, against the kernel that runs the tests.

#![expect(clippy::print_stdout, reason = "a test that was skipped says so")]

use std::os::unix::process::ExitStatusExt;

use syscalls::Sysno;

use crate::kit::Cell;

mod kit;

const EPERM: &str = "errno 1";
const EINVAL: &str = "errno 22";
const ENOTTY: &str = "errno 25";
const ENOSYS: &str = "errno 38";

#[track_caller]
fn check(call: Sysno, arguments: &[&str], expected: &str) {
    let number = call.id().to_string();
    let output = Cell::new().confined("call", &[&[number.as_str()], arguments].concat());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{call} {arguments:?}: {output:?}");
}

#[test]
fn the_kernel_answers_as_the_policy_says() {
    check(Sysno::getpid, &[], "done");
    check(Sysno::mount, &["pointer", "pointer", "pointer"], EPERM);
    check(Sysno::unshare, &["0x10000000"], EPERM);
    check(Sysno::clone, &["0x10000011"], EPERM);
    check(Sysno::ptrace, &[], EPERM);
    check(Sysno::bpf, &[], EPERM);
    check(Sysno::keyctl, &[], EPERM);
    check(Sysno::clone3, &["pointer", "88"], ENOSYS);
    check(Sysno::io_uring_setup, &["8", "pointer"], ENOSYS);
    check(Sysno::seccomp, &["1", "0", "pointer"], ENOSYS);
    check(Sysno::prctl, &["22", "2", "pointer"], EINVAL);
    check(Sysno::personality, &["0x40000"], EPERM);
}

#[test]
fn tiocsti_is_refused_with_any_upper_half() {
    check(Sysno::ioctl, &["0", "0x5412", "pointer"], ENOTTY);
    check(Sysno::ioctl, &["0", "0xffffffff00005412", "pointer"], ENOTTY);
}

#[test]
fn rare_sockets_are_refused() {
    // Netlink, packet, alg, vsock.
    for family in ["16", "17", "38", "40"] {
        check(Sysno::socket, &[family, "3", "0"], EPERM);
    }
    check(Sysno::socket, &["2", "1", "132"], EPERM);
    check(Sysno::socket, &["2", "1", "0"], "done");
}

#[test]
fn the_core_limit_cannot_be_lowered_to_where_the_host_dumps() {
    check(Sysno::setrlimit, &["4", "pointer"], EPERM);
    check(Sysno::prlimit64, &["0", "4", "pointer", "0"], EPERM);
    check(Sysno::setrlimit, &["7", "pointer"], "done");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_32_bit_door_kills() {
    let output = Cell::new().confined("call-i386", &["20"]);

    // `timeout` reports a death by SIGSYS (31) as its own exit code, or dies of it itself.
    let death = output.status.signal().or(output.status.code().map(|code| code - 128));
    assert_eq!(death, Some(31), "{output:?}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn x32_is_absent() {
    let output = Cell::new().confined("call", &["1073741863"]);

    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), ENOSYS, "{output:?}");
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
    check(Sysno::chroot, &["pointer"], EPERM);
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
    let output =
        cell.confined("exec", &["bash", "-c", &format!("kill -0 {} || kill -0 $$ && echo kept", std::process::id())]);

    assert_eq!(String::from_utf8_lossy(&output.stdout), "kept\n", "{output:?}");
    assert!(!output.stderr.is_empty(), "the test's own process could be signalled: {output:?}");
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
    check(Sysno::process_vm_readv, &["1", "pointer", "1", "pointer", "1"], EPERM);
    check(Sysno::pidfd_getfd, &["0", "0"], EPERM);
    let output = Cell::new().confined("exec", &["bash", "-c", "exec 3< /proc/$PPID/mem"]);
    assert!(!output.status.success(), "the memory of a process outside could be opened: {output:?}");
}
