//! The fence: what it is for, what it holds a job to, and that nothing is left of it.
//!
//! Started by an ordinary user and, as in a container, by root. What it keeps a job from is in `fence_walls.rs`.

mod kit;

use std::time::Duration;

use kit::{Around, Fenced, HostInventory, OrdinaryUser, assert_none_left, is_installed, job, without_namespaces};

const HELLO: [(&str, &str); 6] = [
    ("bash", "echo hello"),
    ("c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }"),
    ("cpp", "#include <iostream>\nint main() { std::cout << \"hello\\n\"; }"),
    ("python", "print('hello')"),
    ("javascript", "console.log('hello')"),
    ("rust", "fn main() { println!(\"hello\"); }"),
];

/// Where a test needs root, for a PID namespace around the fence.
fn contained(test: &str) -> Option<HostInventory> {
    kit::is_root(test).then(HostInventory::take)
}

#[test]
fn every_language_runs_in_a_fence_and_all_limits_are_said_to_be_watched() {
    let Some(host) = contained("every_language_runs_in_a_fence") else { return };
    for fenced in [Fenced::by_a_user(), Fenced::by_root()] {
        for (language, code) in HELLO.into_iter().filter(|(language, _)| is_installed(language)) {
            // A toolchain in somebody's home is nobody's to read.
            if language == "rust" && fenced.is_a_user() && !OrdinaryUser::has("rustc") {
                kit::skip("rust in an ordinary user's fence", "the host has no `rustc` that everybody can read");
                continue;
            }
            let outcome = fenced.run(language, code, &[]);
            assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "hello\n"), "{outcome}");
            for limit in ["memory", "tasks", "cpu", "disk"] {
                assert_eq!(outcome.json()["enforcement"][limit], "watched", "{limit}\n{outcome}");
            }
        }
    }
    host.assert_nothing_left();
}

#[test]
fn the_filter_of_these_tests_denies_namespaces() {
    let Some(host) = contained("the_filter_of_these_tests_denies_namespaces") else { return };
    for call in ["unshare -U true", "unshare -m true", "unshare -p true"] {
        for (through, works) in [(String::new(), true), (without_namespaces(), false)] {
            let script = format!("{through} {call} && echo works; exit 0");
            let ended = kit::firebox().contained_with(&script).run();
            assert_eq!(ended.stdout().contains("works"), works, "{call}\n{ended}");
        }
    }
    host.assert_nothing_left();
}

#[test]
fn where_there_are_no_namespaces_run_falls_back_to_a_fence_and_says_so_in_one_line() {
    let Some(host) = contained("where_there_are_no_namespaces") else { return };
    let filter = without_namespaces();
    let around = Around { through: &filter, ..Around::default() };
    for fenced in [Fenced::by_a_user(), Fenced::by_root()] {
        let outcome = fenced.call_with(&around, job("bash", "echo hello")).outcome();
        assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "hello\n"), "{outcome}");
        assert_eq!(outcome.json()["isolation"], "fence", "{outcome}");
        let said = outcome.call.stderr();
        let words = ["fence", "weaker", "not permitted", "firebox doctor"];
        assert!(words.iter().all(|word| said.contains(word)), "it does not say what, and why\n{outcome}");
        assert_eq!(said.lines().count(), 1, "{outcome}");
        assert_none_left(&outcome.call);
    }
    host.assert_nothing_left();
}

#[test]
fn who_asks_for_more_than_a_fence_is_refused_where_there_is_no_more() {
    let Some(host) = contained("who_asks_for_more_than_a_fence") else { return };
    let filter = without_namespaces();
    let around = Around { through: &filter, ..Around::default() };
    for fenced in [Fenced::by_a_user(), Fenced::by_root()] {
        for (flags, word) in [(["--isolation", "jail"], "--isolation fence"), (["--require", "enforced"], "watch")] {
            let call = fenced.call_with(&around, job("bash", "echo hello").args(flags)).run();
            assert_eq!((call.code(), call.stdout().as_str()), (125, ""), "{call}");
            assert!(call.stderr().contains(word), "{word}\n{call}");
            assert_none_left(&call);
        }
    }
    host.assert_nothing_left();
}

#[test]
fn a_fence_is_never_had_without_being_asked_for_where_there_are_jails() {
    let Some(host) = contained("a_fence_is_never_had_without_being_asked_for") else { return };
    let outcome = Fenced::by_a_user().call_with(&Around::default(), job("bash", "echo hello")).outcome();
    assert_eq!((&outcome.json()["isolation"], outcome.call.stderr().as_str()), (&"jail".into(), ""), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn every_limit_ends_a_program() {
    let Some(host) = contained("every_limit_ends_a_program") else { return };
    let fill = "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n#include <stdio.h>\n\
        int main(void) { puts(\"before\"); fflush(stdout);\n\
        for (int i = 0; i < 2000; i++) { memset(malloc(1 << 20), 1, 1 << 20); usleep(1000); } }";
    // The first thread ends, and with it what the process shows of its memory under its own number.
    let unseen = "#include <pthread.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
        #include <unistd.h>\nvoid *fill(void *none) { puts(\"before\"); fflush(stdout);\n\
        for (int i = 0; i < 2000; i++) { memset(malloc(1 << 20), 1, 1 << 20); usleep(1000); } exit(0); }\n\
        int main(void) { pthread_t thread; pthread_create(&thread, 0, fill, 0); pthread_exit(0); }";
    let shell = |code: &str| format!("echo before; {code}");
    let files = shell("for i in {1..11000}; do : > $i; done; sleep 5");
    // Directories that are always on the move, so that the one who counts never comes back from where he went.
    let moving = shell(
        "mkdir -p a/d b; for i in {1..300}; do : > a/d/$i; done; (while :; do mv a/d b/d; mv b/d a/d; done) & \
         mkdir big; for i in 1 2 3 4; do head -c 4M /dev/zero > big/$i; done; sleep 5",
    );
    for (language, code, limits, verdict) in [
        ("c", fill.to_owned(), ["--memory", "64M"], ("memory_limit", "run", 137, None)),
        ("c", unseen.to_owned(), ["--memory", "64M"], ("memory_limit", "run", 137, None)),
        ("bash", shell("while :; do :; done"), ["--cpu-time", "500ms"], ("cpu_limit", "run", 152, None)),
        ("bash", shell("sleep 100"), ["--run-time", "500ms"], ("timeout", "run", 124, None)),
        ("bash", shell("head -c 9M /dev/zero > x; sleep 5"), ["--disk", "8M"], ("disk_limit", "run", 153, None)),
        ("bash", moving, ["--disk", "8M"], ("disk_limit", "run", 153, None)),
        ("bash", files, ["--disk", "8M"], ("disk_limit", "run", 153, None)),
    ] {
        let outcome = Fenced::by_a_user().run(language, &code, &limits);
        assert_eq!((outcome.verdict(), outcome.stdout()), (verdict, "before\n"), "{outcome}");
        assert!(outcome.call.wall < Duration::from_secs(9), "{outcome}");
    }
    host.assert_nothing_left();
}

#[test]
fn an_ordinary_users_job_is_refused_tasks_and_roots_is_ended_for_them() {
    let Some(host) = contained("an_ordinary_users_job_is_refused_tasks") else { return };
    let code = "#include <stdio.h>\n#include <unistd.h>\nint main(void) { int made = 0;\n\
        for (; made < 100; made++) { int pid = fork(); if (pid < 0) break; if (!pid) { pause(); return 0; } }\n\
        printf(\"%d and myself\\n\", made); fflush(stdout); sleep(5); return 0; }";
    // To the kernel root has no such limit; whoever watches sees it sooner or later.
    let watched = Fenced::by_root().run("c", code, &["--tasks", "8"]);
    assert_eq!(watched.verdict(), ("tasks_limit", "run", 137, None), "{watched}");
    assert!(watched.call.wall < Duration::from_secs(5), "{watched}");

    let refused = Fenced::by_a_user().run("c", code, &["--tasks", "8"]);
    assert_eq!((refused.verdict(), refused.stdout()), (("ok", "run", 0, None), "7 and myself\n"), "{refused}");
    host.assert_nothing_left();
}

#[test]
fn output_beyond_its_limit_is_cut_and_the_program_runs_on() {
    let Some(host) = contained("output_beyond_its_limit_is_cut") else { return };
    let outcome = Fenced::by_a_user().run("bash", "head -c 3000000 /dev/zero; exit 7", &["--output", "64K"]);
    assert_eq!(outcome.verdict(), ("runtime_error", "run", 7, None), "{outcome}");
    let (dropped, _) = outcome.truncated("stdout").unwrap_or_else(|| panic!("not cut\n{outcome}"));
    assert!(2_900_000 < dropped, "{dropped}");
    host.assert_nothing_left();
}

#[test]
fn a_program_that_does_not_read_its_input_is_no_fault_of_ours() {
    let Some(host) = contained("a_program_that_does_not_read_its_input") else { return };
    let firebox = job("bash", "exec 0<&-; sleep 0.5; echo hello").stdin(vec![b'x'; 1 << 20]);
    let outcome = Fenced::by_a_user().outcome_with(&Around::default(), firebox);
    assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "hello\n"), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn where_processes_are_hidden_there_is_no_fence() {
    let Some(host) = contained("where_processes_are_hidden") else { return };
    let around = Around { before: "mount -o remount,hidepid=2 /proc;", ..Around::default() };
    let call = Fenced::by_a_user().call_with(&around, job("bash", "echo hello").args(["--isolation", "fence"])).run();
    assert_eq!((call.code(), call.stdout().as_str()), (125, ""), "{call}");
    host.assert_nothing_left();
}
