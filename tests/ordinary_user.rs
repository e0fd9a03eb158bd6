//! Firebox started by an ordinary user: the same jail, with what the kernel grants to everybody.
//!
//! A job then runs with the user's own uid on the host, so the files and processes of that user are what it must not
//! reach.

#[path = "kit/mod.rs"]
mod kit;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use kit::{Guard, HostInventory, NOBODY, Ordinary, Running, firebox, job};

#[test]
fn an_ordinary_user_runs_programs_in_a_jail_and_is_told_what_is_only_watched() {
    let host = HostInventory::take();
    let user = Ordinary::new(NOBODY);
    for (language, code) in [
        ("bash", "echo hello"),
        ("c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }"),
        ("cpp", "#include <iostream>\nint main() { std::cout << \"hello\\n\"; }"),
    ] {
        let outcome = user.run(language, code, &[]);
        assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "hello\n"), "{outcome}");
        assert_eq!(outcome.json()["isolation"], "jail", "{outcome}");
        let held = &outcome.json()["enforcement"];
        let expected = [("memory", "watched"), ("tasks", "enforced"), ("cpu", "watched"), ("disk", "enforced")];
        for (limit, how) in expected {
            assert_eq!(held[limit], how, "{limit}\n{outcome}");
        }
    }
    host.assert_nothing_left();
}

#[test]
fn who_insists_on_enforcement_is_refused() {
    let host = HostInventory::take();
    let user = Ordinary::new(NOBODY);
    let call = user.call(firebox().args(["run", "--lang", "bash", "--code", "echo hi", "--require", "enforced"])).run();
    assert_eq!((call.code(), call.stdout().as_str()), (125, ""), "{call}");
    assert!(call.stderr().contains("watch"), "{call}");
    host.assert_nothing_left();
}

#[test]
fn every_limit_ends_a_program_of_an_ordinary_user_too() {
    let host = HostInventory::take();
    let user = Ordinary::new(NOBODY);
    let fill = "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n#include <stdio.h>\n\
        int main(void) { puts(\"before\"); fflush(stdout);\n\
        for (int i = 0; i < 2000; i++) { memset(malloc(1 << 20), 1, 1 << 20); usleep(1000); } }";
    let shell = |code: &str| format!("echo before; {code}");
    for (language, code, limits, verdict) in [
        ("c", fill.to_owned(), ["--memory", "64M"], ("memory_limit", "run", 137, None)),
        ("bash", shell("while :; do :; done"), ["--cpu-time", "500ms"], ("cpu_limit", "run", 152, None)),
        ("bash", shell("sleep 100"), ["--run-time", "500ms"], ("timeout", "run", 124, None)),
        ("bash", shell("head -c 9M /dev/zero > /tmp/x"), ["--disk", "8M"], ("disk_limit", "run", 153, None)),
        ("bash", shell("kill -SEGV $$"), ["--tasks", "9"], ("signaled", "run", 139, Some(11))),
    ] {
        let outcome = user.run(language, &code, &limits);
        assert_eq!((outcome.verdict(), outcome.stdout()), (verdict, "before\n"), "{outcome}");
    }
    host.assert_nothing_left();
}

#[test]
fn tasks_are_refused_at_the_limit() {
    let host = HostInventory::take();
    let code = "#include <stdio.h>\n#include <unistd.h>\nint main(void) { int made = 0;\n\
        for (; made < 100; made++) { int pid = fork(); if (pid < 0) break; if (!pid) { pause(); return 0; } }\n\
        printf(\"%d and myself\\n\", made); return 0; }";
    let outcome = Ordinary::new(NOBODY).run("c", code, &["--tasks", "8"]);
    assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "7 and myself\n"), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn the_users_own_files_and_processes_are_out_of_reach() {
    let host = HostInventory::take();
    let user = Ordinary::new(NOBODY);
    let secret = user.path("secret");
    fs::write(&secret, "the secret").expect("write");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("chmod");
    chown(&secret, Some(NOBODY), Some(NOBODY)).expect("chown");
    let reading = format!("cat {} 2>&1; echo mounts: $(wc -c < /proc/self/mountinfo)", secret.display());

    // Outside, that user can read the file, and signal a process that it has.
    let guard = Guard::new(kit::Allowance::CONTROL);
    let mut command = guard.command("sh");
    command.args(["-c", &user.words(&format!("sh -c '{reading}; sleep 9 & kill -9 $! && echo killable'"))]);
    let outside = Running::start(guard, command, None).wait();
    assert!(outside.stdout().contains("the secret") && outside.stdout().contains("killable"), "{outside}");

    // Inside, neither. The process is one of that user's, with a number that nothing in the jail has.
    let bystander = "echo 3000 > /proc/sys/kernel/ns_last_pid; \
        setpriv --reuid 65534 --regid 65534 --clear-groups sleep 100 & bystander=$!; ";
    let inside = user.words(&format!("{} \"$@\" -- $bystander", user.path("program").display()));
    let code = format!("{reading}; kill -9 $1; kill -0 $1 || echo nobody there; ls /proc | grep -c '^[0-9]'");
    let script = format!("{bystander} ({inside}); code=$?; grep State: /proc/$bystander/status >&2; exit $code");
    let outcome = job("bash", &code).contained_with(&format!("shift; {script}")).outcome();
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    let said = outcome.stdout();
    assert!(!said.contains("the secret") && said.contains("mounts: 0"), "{outcome}");
    assert!(said.contains("nobody there"), "{outcome}");
    assert!(outcome.call.stderr().contains("sleeping"), "the bystander does not just sleep\n{outcome}");
    host.assert_nothing_left();
}

#[test]
fn what_an_ordinary_users_job_started_is_gone_with_it() {
    let host = HostInventory::take();
    let user = Ordinary::new(NOBODY);
    let code = "(setsid sh -c 'trap \"\" TERM HUP INT; kill -STOP $$; sleep 1000' &) ; sleep 1000 & echo done";
    let outcome = user.run("bash", code, &[]);
    assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "done\n"), "{outcome}");
    host.assert_nothing_left();
}
