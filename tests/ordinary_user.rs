//! Firebox started by an ordinary user: the same jail, with what the kernel grants to everybody.
//!
//! A job then runs with the user's own uid on the host. That user's files and processes are out of its reach all the same:
//! the attacks on them are among the others, `attacks_on_*`.

#[path = "kit/mod.rs"]
mod kit;

use kit::{HostInventory, OrdinaryUser, Outcome, Setting, firebox, is_installed, job};

fn run(language: &str, code: &str, limits: &[&str]) -> Outcome {
    job(language, code).by_ordinary_user().args(limits.iter().copied()).outcome()
}

#[test]
fn an_ordinary_user_runs_programs_in_a_jail_and_is_told_what_is_only_watched() {
    let host = HostInventory::take();
    OrdinaryUser::skip_without_an_account();
    for (language, code) in [
        ("bash", "echo hello"),
        ("python", "print('hello')"),
        ("javascript", "console.log('hello')"),
        ("rust", "fn main() { println!(\"hello\") }"),
        ("c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }"),
        ("cpp", "#include <iostream>\nint main() { std::cout << \"hello\\n\"; }"),
    ] {
        if !is_installed(language) || !Setting::UserJail.has(language) {
            continue;
        }
        let outcome = run(language, code, &[]);
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
    let call = firebox()
        .by_ordinary_user()
        .args(["run", "--lang", "bash", "--code", "echo hi", "--require", "enforced"])
        .run();
    assert_eq!((call.code(), call.stdout().as_str()), (125, ""), "{call}");
    assert!(call.stderr().contains("watch"), "{call}");
    host.assert_nothing_left();
}

#[test]
fn every_limit_ends_a_program_of_an_ordinary_user_too() {
    let host = HostInventory::take();
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
        let outcome = run(language, &code, &limits);
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
    let outcome = run("c", code, &["--tasks", "8"]);
    assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "7 and myself\n"), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn what_an_ordinary_users_job_started_is_gone_with_it() {
    let host = HostInventory::take();
    let code = "(setsid sh -c 'trap \"\" TERM HUP INT; kill -STOP $$; sleep 1000' &) ; sleep 1000 & echo done";
    let outcome = run("bash", code, &[]);
    assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "done\n"), "{outcome}");
    host.assert_nothing_left();
}
