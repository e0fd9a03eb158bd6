//! The ways of calling `firebox run`.

mod kit;

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use kit::{Firebox, HostInventory, Outcome, firebox, is_installed, job, tool};
use rustix::process::Signal;
use serde_json::Value;

/// A call whose program must print `stdout`, keep quiet otherwise and end with 0.
fn check(call: Firebox, stdout: &str) {
    let host = HostInventory::take();
    let call = call.run();
    let seen = (call.code(), call.stdout(), call.stderr());
    assert_eq!(seen, (0, stdout.to_owned(), String::new()), "{call}");
    host.assert_nothing_left();
}

/// A call that answers in JSON, whose program must end with 0.
fn check_json(call: Firebox) -> Outcome {
    let host = HostInventory::take();
    let outcome = call.outcome();
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    host.assert_nothing_left();
    outcome
}

/// A small program in each language, and the name of its file.
const HELLOS: [(&str, &str, &str); 7] = [
    ("rust", "main.rs", "fn main() { println!(\"hello\") }"),
    ("c", "hello.c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); }"),
    ("cpp", "hello.cpp", "#include <iostream>\nint main() { std::cout << \"hello\\n\"; }"),
    ("go", "hello.go", "package main\nimport \"fmt\"\nfunc main() { fmt.Println(\"hello\") }"),
    ("python", "hello.py", "print('hello')"),
    ("javascript", "hello.js", "console.log('hello')"),
    ("bash", "hello.sh", "echo hello"),
];

#[test]
fn a_file_is_run_by_what_its_name_ends_with() {
    for (_, name, code) in HELLOS.into_iter().filter(|(language, ..)| is_installed(language)) {
        check(firebox().file(name, code).args(["run", name]), "hello\n");
    }
}

#[test]
fn code_is_run_from_the_command_line() {
    for (language, _, code) in HELLOS.into_iter().filter(|(language, ..)| is_installed(language)) {
        check(firebox().args(["run", "--lang", language, "--code", code]), "hello\n");
    }
}

#[test]
fn code_is_run_from_standard_input_and_the_program_then_has_none() {
    check(firebox().args(["run", "--lang", "bash", "-"]).stdin("echo hello; cat"), "hello\n");
}

#[test]
fn every_alias_of_a_language_runs_it() {
    for (alias, code) in [
        ("rs", "fn main() { println!(\"hello\") }"),
        ("c++", "#include <cstdio>\nint main() { std::puts(\"hello\"); }"),
        ("py", "print('hello')"),
        ("python3", "print('hello')"),
        ("js", "console.log('hello')"),
        ("node", "console.log('hello')"),
        ("sh", "echo hello"),
    ]
    .into_iter()
    .filter(|(alias, _)| is_installed(alias))
    {
        check(firebox().args(["run", "--lang", alias, "--code", code]), "hello\n");
    }
}

#[test]
fn the_examples_of_the_repository_run() {
    for (language, name, says) in [
        ("rust", "hello.rs", "Hello from Rust!\n"),
        ("c", "average.c", "the average of 4 numbers is 2.50\n"),
        ("cpp", "words.cpp", "2 fire\n1 box\n"),
        ("java", "Names.java", "Ada, Grace, Alan\n"),
        ("go", "squares.go", "[0 1 4 9 16]\n"),
        ("python", "primes.py", "2 3 5 7 11 13 17 19 23 29\n"),
        ("javascript", "temperatures.js", "0 °C is 32 °F\n100 °C is 212 °F\n"),
        ("bash", "countdown.sh", "3\n2\n1\nlift-off\n"),
    ] {
        if !is_installed(language) {
            continue;
        }
        // What is made once of a toolchain is made now, if that has not been: it is said, and can take a minute.
        let prepared = firebox().args(["languages", "prepare", language]).within(Duration::from_secs(300)).run();
        assert_eq!(prepared.code(), 0, "{prepared}");
        let path = format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
        check(firebox().args(["run", &path]), says);
    }
}

#[test]
fn the_program_reads_the_standard_input_of_the_call() {
    check(firebox().args(["run", "--lang", "bash", "--code", "tr a-z A-Z"]).stdin("quiet\n"), "QUIET\n");
}

#[test]
fn the_program_reads_the_file_named_by_stdin() {
    let call = firebox().file("input", "from a file\n").stdin("from the call\n");
    check(call.args(["run", "--lang", "python", "--stdin", "input", "--code", "print(input())"]), "from a file\n");
}

#[test]
fn a_dash_as_stdin_is_the_standard_input_of_the_call() {
    check(firebox().args(["run", "--lang", "bash", "--stdin", "-", "--code", "cat"]).stdin("hello\n"), "hello\n");
}

#[test]
fn input_larger_than_a_pipe_arrives_whole() {
    let lines = "0123456789abcde\n".repeat(1 << 16);
    check(firebox().args(["run", "--lang", "bash", "--code", "wc -c"]).stdin(lines), "1048576\n");
}

#[test]
fn arguments_after_two_dashes_reach_the_program_as_they_are() {
    let code = "import sys; print(sys.argv[1:])";
    let call = firebox().args(["run", "--lang", "python", "--code", code]);
    let call = call.program_args(["--json", "two words", "", "*", "-", "ünï", "--", "$HOME"]);
    check(call, "['--json', 'two words', '', '*', '-', 'ünï', '--', '$HOME']\n");
}

#[test]
fn the_environment_of_the_program_is_the_asked_one_and_not_the_callers() {
    let code = "import os; print(os.environ.get('ASKED'), os.environ.get('EMPTY'), os.environ.get('CALLERS'))";
    let call = firebox().args(["run", "--lang", "python", "--env", "ASKED=a=b c", "--env", "EMPTY=", "--code", code]);
    check(call.env("CALLERS", "secret"), "a=b c  None\n");
}

#[test]
fn rust_programs_see_the_documented_environment() {
    let code = "fn main() { for (name, value) in std::env::vars() { println!(\"{name}={value}\") } }";
    let outcome = check_json(job("rust", code));
    for line in [
        "HOME=/tmp",
        "CARGO_HOME=/opt/cargo",
        "RUSTUP_HOME=/opt/rustup",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/cargo/bin",
    ] {
        assert!(outcome.stdout().lines().any(|seen| seen == line), "no line {line}\n{outcome}");
    }
    let lines = outcome.stdout().lines().count();
    assert!(lines <= 8, "{lines} variables are more than a program needs\n{outcome}");
}

#[test]
fn several_files_stand_beside_each_other() {
    let call = firebox().file("main.py", "import helper\nhelper.greet()");
    let call = call.file("helper.py", "def greet(): print('from the helper')");
    check(call.args(["run", "main.py", "--file", "helper.py"]), "from the helper\n");
}

#[test]
fn a_second_rust_file_is_a_module() {
    let call = firebox().file("main.rs", "mod helper;\nfn main() { helper::greet() }");
    let call = call.file("helper.rs", "pub fn greet() { println!(\"from the helper\") }");
    check(call.args(["run", "main.rs", "--file", "helper.rs"]), "from the helper\n");
}

#[test]
fn names_are_taken_as_people_write_them() {
    let call = firebox().file("main.py", "print('not this')").file("app.py", "print(open('a=b').read())");
    let call = call.file("a=b", "hello").file("a", "not this");
    check(call.args(["run", "./main.py", "--file", "./app.py", "--file", "a=b", "--entry", "./app.py"]), "hello\n");
}

#[test]
fn a_rust_file_may_be_called_anything() {
    let code = "fn main() { println!(\"{}\", module_path!()) }";
    for name in ["my file.rs", "1.2.rs", "@x.rs", "-dash.rs", "main.rs"] {
        check(firebox().file(name, code).args(["run", &format!("./{name}")]), "main\n");
    }
}

#[test]
fn a_folder_is_run_with_everything_below_it() {
    let call = firebox().file("project/main.py", "from tools import say\nsay.hello(open('data/name').read())");
    let call =
        call.file("project/tools/say.py", "def hello(name): print('hello', name)").file("project/data/name", "you");
    check(call.args(["run", "project"]), "hello you\n");
}

#[test]
fn a_file_of_any_bytes_arrives_as_it_is() {
    let bytes: Vec<u8> = (0..=255).collect();
    let call = firebox().file("main.py", "print(open('data', 'rb').read() == bytes(range(256)))").file("data", bytes);
    check(call.args(["run", "main.py", "--file", "data"]), "True\n");
}

#[test]
fn the_exit_code_is_the_programs() {
    let host = HostInventory::take();
    for code in [1, 42, 255] {
        let call = firebox().args(["run", "--lang", "bash", "--code", &format!("exit {code}")]).run();
        assert_eq!((call.code(), call.stderr().as_str()), (code, ""), "{call}");
    }
    host.assert_nothing_left();
}

#[test]
fn the_streams_are_kept_apart() {
    let host = HostInventory::take();
    let call = firebox().args(["run", "--lang", "bash", "--code", "echo out; echo err >&2"]).run();
    assert_eq!((call.stdout(), call.stderr()), ("out\n".to_owned(), "err\n".to_owned()), "{call}");
    host.assert_nothing_left();
}

#[test]
fn output_arrives_while_the_program_still_runs() {
    let host = HostInventory::take();
    let call = firebox().args(["run", "--lang", "bash", "--code", "echo first; sleep 100; echo second"]).start();
    call.wait_for_stdout("first\n");
    call.signal(Signal::INT);
    let call = call.wait();
    assert_eq!((call.code(), call.stdout()), (130, "first\n".to_owned()), "{call}");
    host.assert_nothing_left();
}

#[test]
fn limits_are_taken_with_units_and_shown_in_the_response() {
    let call = job("bash", "true").args(["--memory", "256M", "--disk", "16MiB", "--output", "64K", "--tasks", "32"]);
    let outcome = check_json(call.args(["--timeout", "20s", "--run-time", "1500ms", "--cpu-time", "1s"]));
    let limits = &outcome.json()["limits"];
    for (name, value) in [
        ("memory_mb", 256.0),
        ("disk_mb", 16.0),
        ("output_kb", 64.0),
        ("tasks", 32.0),
        ("timeout", 20.0),
        ("run_seconds", 1.5),
        ("cpu_seconds", 1.0),
        ("vcpus", 1.0),
    ] {
        assert_eq!(limits[name].as_f64(), Some(value), "limit {name}\n{outcome}");
    }
}

#[test]
fn the_response_has_every_documented_field() {
    let outcome = check_json(job("rust", "fn main() { println!(\"hello\") }"));
    let json = outcome.json();
    for path in [
        "/trace_id",
        "/stdout",
        "/stderr",
        "/exit_code",
        "/status",
        "/step",
        "/signal",
        "/truncated",
        "/timing_ms/queue",
        "/timing_ms/compile",
        "/timing_ms/run",
        "/timing_ms/total",
        "/timing_ms/stages/cell",
        "/timing_ms/stages/store",
        "/timing_ms/stages/prepare",
        "/timing_ms/stages/limit",
        "/timing_ms/stages/start",
        "/timing_ms/stages/compile",
        "/timing_ms/stages/run",
        "/timing_ms/stages/measure",
        "/timing_ms/stages/end",
        "/usage/cpu_ms",
        "/usage/memory_peak_bytes",
        "/limits",
        "/isolation",
        "/enforcement/memory",
        "/enforcement/tasks",
        "/enforcement/cpu",
        "/enforcement/disk",
    ] {
        assert!(json.pointer(path).is_some(), "the response lacks {path}\n{outcome}");
    }
    assert_eq!(json["isolation"], "jail", "{outcome}");
    assert_eq!((&json["signal"], &json["truncated"]), (&Value::Null, &Value::Null), "{outcome}");
    // Where memory is only watched, so short a program is seen by nobody.
    let peak = json["usage"]["memory_peak_bytes"].as_u64();
    let unseen = peak.is_none() && json["enforcement"]["memory"] == "watched";
    let plausible = peak.is_some_and(|peak| (100_000..64 << 20).contains(&peak));
    assert!(plausible || unseen, "a hello that held {peak:?} bytes\n{outcome}");
    let time = |part: &str| json["timing_ms"][part].as_f64().unwrap_or_default();
    assert!(time("compile") + time("run") <= time("total") + 1.0, "the parts exceed the whole\n{outcome}");
    let stage = |name: &str| json["timing_ms"]["stages"][name].as_f64().unwrap_or_default();
    let sum: f64 = json["timing_ms"]["stages"].as_object().into_iter().flatten().map(|(name, _)| stage(name)).sum();
    assert!((time("total") - sum).abs() < 1.0, "the stages are {sum} ms together, and not the whole\n{outcome}");
    for name in ["compile", "run"] {
        assert!(0.0 < stage(name) && stage(name) <= time(name), "{name} is no part of its step\n{outcome}");
    }
}

#[test]
fn a_trace_id_is_echoed_and_else_made_anew() {
    let given = check_json(job("bash", "true").args(["--trace-id", "mine-001"]));
    assert_eq!(given.text("trace_id"), "mine-001", "{given}");
    let (one, other) = (check_json(job("bash", "true")), check_json(job("bash", "true")));
    assert!(!one.text("trace_id").is_empty(), "{one}");
    assert_ne!(one.text("trace_id"), other.text("trace_id"), "{one}");
}

#[test]
fn rust_runs_as_debug_unless_release_is_asked_for() {
    let code = "fn main() { println!(\"{}\", cfg!(debug_assertions)) }";
    check(firebox().args(["run", "--lang", "rust", "--code", code]), "true\n");
    check(firebox().args(["run", "--lang", "rust", "--profile", "debug", "--code", code]), "true\n");
    check(firebox().args(["run", "--lang", "rust", "--profile", "release", "--code", code]), "false\n");
}

#[test]
fn an_overflow_panics_in_debug_and_wraps_in_release() {
    let code = "fn main() { let x = std::env::args().count() as u8 + 254; println!(\"{}\", x + 1) }";
    let host = HostInventory::take();
    let debug = job("rust", code).outcome();
    assert_eq!(debug.verdict(), ("runtime_error", "run", 101, None), "{debug}");
    host.assert_nothing_left();
    drop(host);
    check(firebox().args(["run", "--lang", "rust", "--profile", "release", "--code", code]), "0\n");
}

#[test]
fn rust_is_edition_2024_unless_another_is_asked_for() {
    // `gen` is a keyword from 2024 on, `async` from 2018 on.
    let code = "fn main() { let gen = 1; println!(\"{gen}\") }";
    check(firebox().args(["run", "--lang", "rust", "--edition", "2021", "--code", code]), "1\n");
    let host = HostInventory::take();
    let outcome = job("rust", code).outcome();
    assert_eq!(outcome.verdict(), ("compile_error", "compile", 1, None), "{outcome}");
    host.assert_nothing_left();
    drop(host);
    let code = "fn main() { let async = 1; println!(\"{}\", async) }";
    check(firebox().args(["run", "--lang", "rust", "--edition", "2015", "--code", code]), "1\n");
}

#[test]
fn warnings_are_shown_only_when_asked_for() {
    let code = "fn main() { let unused = 1; println!(\"hello\") }";
    check(firebox().args(["run", "--lang", "rust", "--code", code]), "hello\n");
    let host = HostInventory::take();
    let call = firebox().args(["run", "--lang", "rust", "--warnings", "--code", code]).run();
    assert_eq!((call.code(), call.stdout().as_str()), (0, "hello\n"), "{call}");
    assert!(call.stderr().contains("unused variable: `unused`"), "no warning on stderr\n{call}");
    host.assert_nothing_left();
}

#[test]
fn a_compile_error_without_json_goes_to_stderr_with_the_compilers_code() {
    let host = HostInventory::take();
    let call = firebox().args(["run", "--lang", "rust", "--code", "fn main() { missing() }"]).run();
    assert_eq!((call.code(), call.stdout().as_str()), (1, ""), "{call}");
    assert!(call.stderr().contains("error[E0425]") && call.stderr().contains("main.rs:1:13"), "{call}");
    host.assert_nothing_left();
}

#[test]
fn a_verdict_of_ours_is_said_on_stderr_too() {
    let host = HostInventory::take();
    let call = firebox().args(["run", "--lang", "bash", "--run-time", "1s", "--code", "echo before; sleep 60"]).run();
    assert_eq!((call.code(), call.stdout().as_str()), (124, "before\n"), "{call}");
    for words in ["firebox: timeout: the run took longer than 1 s", "--run-time"] {
        assert!(call.stderr().contains(words), "it does not say {words:?}\n{call}");
    }
    host.assert_nothing_left();
}

#[test]
fn ctrl_c_ends_firebox_by_its_signal_and_sigterm_by_an_exit_code() {
    let host = HostInventory::take();
    for (signal, words, how) in
        [(Signal::INT, "stopped by Ctrl-C", (None, Some(2))), (Signal::TERM, "stopped by SIGTERM", (Some(130), None))]
    {
        let call = firebox().args(["run", "--lang", "bash", "--code", "echo before; sleep 100"]).start();
        call.wait_for_stdout("before\n");
        call.signal(signal);
        let call = call.wait();
        assert_eq!((call.status.code(), call.status.signal()), how, "{call}");
        assert_eq!(call.stderr(), format!("firebox: cancelled: {words}\n"), "{call}");
    }
    host.assert_nothing_left();
}

#[test]
fn ctrl_c_ends_firebox_by_its_signal_after_the_response_was_printed() {
    let host = HostInventory::take();
    let call = job("bash", "sleep 100").start();
    // With `--json` nothing is printed before the end, so the program's process shows that the job runs.
    host.wait_for("`sleep`");
    call.signal(Signal::INT);
    let outcome = call.outcome();
    assert_eq!(outcome.verdict(), ("cancelled", "run", 130, None), "{outcome}");
    assert_eq!(outcome.call.status.signal(), Some(2), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn ctrl_c_ends_the_loop_of_a_shell() {
    let host = HostInventory::take();
    let script = "for number in 1 2; do \"$0\" \"$@\"; done; echo after";
    let call = firebox().args(["run", "--lang", "bash", "--code", "echo before; sleep 100"]);
    // A shell that was started with SIGINT ignored, as one in the background is, stays deaf to it.
    let shell = [tool("env").into(), "--default-signal=INT".into(), tool("bash").into(), "-c".into()];
    let call = call.through(shell.into_iter().chain([std::ffi::OsString::from(script)])).start();
    call.wait_for_stdout("before\n");
    call.signal_group(Signal::INT);
    let call = call.wait();
    assert_eq!((call.status.signal(), call.stdout().as_str()), (Some(2), "before\n"), "{call}");
    host.assert_nothing_left();
}
