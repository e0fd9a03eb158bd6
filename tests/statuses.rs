//! Every status that a job can end with, reached from outside.
//!
//! Each test says status, step, exit code and signal, and what had been printed before.

mod kit;

use std::time::Duration;

use kit::{Firebox, HostInventory, Outcome, firebox, is_installed, job};
use rustix::process::Signal;

type Verdict = (&'static str, &'static str, i64, Option<i64>);

/// Runs a job that must end with `verdict` after having printed exactly `printed`.
fn check(call: Firebox, verdict: Verdict, printed: &str) -> Outcome {
    let host = HostInventory::take();
    let outcome = call.outcome();
    assert_eq!(outcome.verdict(), verdict, "{outcome}");
    assert_eq!(outcome.stdout(), printed, "{outcome}");
    host.assert_nothing_left();
    outcome
}

/// A Rust program with this in `main`, after it has printed `before`.
fn rust(body: &str) -> Firebox {
    job("rust", &format!("fn main() {{ println!(\"before\"); {body} }}"))
}

#[test]
fn a_program_that_ends_with_zero_is_ok_in_every_language() {
    for (language, code) in [
        ("rust", r#"fn main() { println!("hello") }"#),
        ("c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); }"),
        ("cpp", "#include <iostream>\nint main() { std::cout << \"hello\\n\"; }"),
        ("go", "package main\nimport \"fmt\"\nfunc main() { fmt.Println(\"hello\") }"),
        ("python", "print('hello')"),
        ("javascript", "console.log('hello')"),
        ("bash", "echo hello"),
    ]
    .into_iter()
    .filter(|(language, ..)| is_installed(language))
    {
        check(job(language, code), ("ok", "run", 0, None), "hello\n");
    }
}

#[test]
fn a_program_that_ends_with_another_code_is_a_runtime_error_with_that_code() {
    for (language, code) in [
        ("rust", "fn main() { println!(\"before\"); std::process::exit(7) }"),
        ("c", "#include <stdio.h>\nint main(void) { puts(\"before\"); return 7; }"),
        ("go", "package main\nimport \"os\"\nfunc main() { os.Stdout.WriteString(\"before\\n\"); os.Exit(7) }"),
        ("python", "import sys\nprint('before')\nsys.exit(7)"),
        ("javascript", "console.log('before'); process.exitCode = 7"),
        ("bash", "echo before; exit 7"),
    ]
    .into_iter()
    .filter(|(language, ..)| is_installed(language))
    {
        check(job(language, code), ("runtime_error", "run", 7, None), "before\n");
    }
}

#[test]
fn a_program_that_ends_with_a_code_of_ours_is_still_a_runtime_error() {
    for code in [1, 2, 124, 125, 126, 127, 130, 134, 137, 139, 152, 153, 255] {
        let verdict = ("runtime_error", "run", code, None);
        check(job("bash", &format!("echo before; exit {code}")), verdict, "before\n");
    }
}

#[test]
fn code_that_does_not_compile_is_a_compile_error_with_the_compilers_words() {
    for (language, code, exit_code, words) in [
        ("rust", "fn main() { let x: u8 = \"text\"; }", 1, "error[E0308]: mismatched types"),
        ("c", "int main(void) { return missing; }", 1, "‘missing’ undeclared"),
        ("cpp", "int main() { return missing; }", 1, "‘missing’ was not declared"),
        ("go", "package main\n\nfunc main() { missing() }", 2, "main.go:3:15: undefined: missing"),
    ]
    .into_iter()
    .filter(|(language, ..)| is_installed(language))
    {
        let outcome = check(job(language, code), ("compile_error", "compile", exit_code, None), "");
        assert!(outcome.stderr().contains(words), "stderr lacks {words:?}\n{outcome}");
    }
}

#[test]
fn a_compiler_that_breaks_down_is_a_compiler_crash_and_no_fault_of_ours() {
    // Their parsers recurse: so many parentheses overflow the stack. rustc dies of SIGSEGV, and of GCC the part that compiles does, and the rest says so.
    let within = |number: usize| format!("{}1{}", "(".repeat(number), ")".repeat(number));
    for (_, name, code, exit_code) in [
        ("rust", "main.rs", format!("fn main() {{ let _ = {}; }}", within(30_000)), 139),
        ("c", "main.c", format!("int main(void) {{ return {}; }}", within(1_000_000)), 4),
    ]
    .into_iter()
    .filter(|(language, ..)| is_installed(language))
    {
        let call = firebox().file(name, code).args(["run", name, "--json"]);
        check(call, ("compiler_crash", "compile", exit_code, None), "");
    }
}

#[test]
fn a_program_killed_by_its_own_signal_is_signaled_with_its_number() {
    for (language, code, number) in [
        ("rust", "fn main() { println!(\"before\"); std::process::abort() }", 6),
        ("python", "import os, signal\nprint('before', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)", 9),
        ("bash", "echo before; kill -TERM $$", 15),
        ("c", "#include <stdio.h>\nint main(void) { puts(\"before\"); fflush(0); *(volatile int *)8 = 1; }", 11),
        ("javascript", "console.log('before'); process.kill(process.pid, 'SIGHUP'); setTimeout(() => {}, 9000)", 1),
    ]
    .into_iter()
    .filter(|(language, ..)| is_installed(language))
    {
        let verdict = ("signaled", "run", 128 + number, Some(number));
        check(job(language, code), verdict, "before\n");
    }
}

#[test]
fn a_run_past_its_time_is_a_timeout_that_shows_what_it_had_printed() {
    for (language, code) in [
        ("rust", "fn main() { println!(\"before\"); std::thread::sleep(std::time::Duration::from_secs(60)) }"),
        ("go", "package main\nimport (\"fmt\"; \"time\")\nfunc main() { fmt.Println(\"before\"); time.Sleep(time.Minute) }"),
        ("python", "import time\nprint('before', flush=True)\ntime.sleep(60)"),
        ("javascript", "console.log('before'); setTimeout(() => {}, 60000)"),
        ("bash", "echo before; sleep 60"),
    ]
    .into_iter()
    .filter(|(language, ..)| is_installed(language))
    {
        let outcome = check(job(language, code).args(["--run-time", "1s"]), ("timeout", "run", 124, None), "before\n");
        let ran = outcome.json()["timing_ms"]["run"].as_f64().unwrap_or_default();
        assert!((1000.0..3000.0).contains(&ran), "a second was granted, it ran for {ran} ms\n{outcome}");
    }
}

#[test]
fn the_timeout_of_the_whole_job_ends_the_run_too() {
    let call = job("bash", "echo before; sleep 60").args(["--timeout", "1.5"]);
    check(call, ("timeout", "run", 124, None), "before\n");
}

const ENDLESS_CONST: &str = "#![allow(long_running_const_eval)]\nconst F: () = { loop {} };\nfn main() { F }";

#[test]
fn a_compilation_past_its_time_is_a_timeout_of_that_step() {
    // Each file reads the next one twice, a hundred deep: it takes for ever, and hardly any memory.
    let endless = "#if __INCLUDE_LEVEL__ < 100\n#include __FILE__\n#include __FILE__\n#endif";
    for (language, code) in
        [("rust", ENDLESS_CONST), ("c", endless)].into_iter().filter(|(language, ..)| is_installed(language))
    {
        check(job(language, code).args(["--compile-time", "2s"]), ("timeout", "compile", 124, None), "");
    }
}

#[test]
fn a_run_past_its_cpu_time_is_a_cpu_limit_and_no_timeout() {
    // What has begun soon: where a processor is emulated, to start an interpreter alone may take a second of one.
    for (language, code) in [
        ("rust", "fn main() { println!(\"before\"); loop { std::hint::spin_loop() } }"),
        ("bash", "echo before; while :; do :; done"),
    ]
    .into_iter()
    .filter(|(language, ..)| is_installed(language))
    {
        check(job(language, code).args(["--cpu-time", "2s"]), ("cpu_limit", "run", 152, None), "before\n");
    }
}

#[test]
fn cpu_time_is_summed_over_all_processes() {
    let code = "echo before; for i in 1 2 3 4; do (while :; do :; done) & done; wait";
    check(job("bash", code).args(["--cpu-time", "2s"]), ("cpu_limit", "run", 152, None), "before\n");
}

#[test]
fn a_run_past_its_memory_is_a_memory_limit() {
    for (language, code) in [
        ("rust", "fn main() { println!(\"before\"); let v = vec![1u8; 512 << 20]; println!(\"{}\", v.len()) }"),
        ("python", "print('before', flush=True)\nx = b'x' * (512 << 20)\nprint(len(x))"),
    ]
    .into_iter()
    .filter(|(language, ..)| is_installed(language))
    {
        // Each page may take its time where a processor is emulated: there are no more of them than tell, and time enough.
        let call =
            job(language, code).args(["--memory", "64M", "--disk", "8M", "--run-time", "30s", "--cpu-time", "30s"]);
        check(call, ("memory_limit", "run", 137, None), "before\n");
    }
}

#[test]
fn a_program_whose_code_does_not_fit_into_its_memory_lacks_memory_and_not_time() {
    let call = || job("python", "pass").args(["--memory", "4M", "--disk", "1M", "--run-time", "5s"]);
    let expected = ("memory_limit", "run", 137, None);
    check(call(), expected, "");
    // With nothing of Python in the page cache, its pages are the job's, and it reads them back without end. An ordinary
    // user cannot empty the cache, and sees the same as before.
    let _ = std::fs::write("/proc/sys/vm/drop_caches", "1");
    check(call(), expected, "");
}

#[test]
fn memory_taken_by_a_child_counts_even_where_the_program_itself_goes_on() {
    let host = HostInventory::take();
    let code = "echo before; (x=$(head -c 512M /dev/zero | tr '\\0' x); echo ${#x}); true";
    let outcome = job("bash", code).args(["--memory", "16M", "--disk", "4M"]).outcome();
    assert_eq!(outcome.verdict(), ("memory_limit", "run", 137, None), "{outcome}");
    assert_eq!(outcome.stdout(), "before\n", "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn a_compilation_past_its_memory_is_a_memory_limit_of_that_step() {
    // Each type holds its predecessor four times; the last one's name alone would fill a library.
    let types: String = (1..15).map(|i| format!("type T{i} = (T{0}, T{0}, T{0}, T{0});\n", i - 1)).collect();
    let code = format!("type T0 = u8;\n{types}fn main() {{ println!(\"{{}}\", std::any::type_name::<T14>().len()) }}");
    check(job("rust", &code), ("memory_limit", "compile", 137, None), "");
}

#[test]
fn a_run_that_fails_on_a_full_disk_is_a_disk_limit() {
    for (language, code) in [
        ("rust", "fn main() { println!(\"before\"); std::fs::write(\"/tmp/large\", vec![1u8; 32 << 20]).unwrap() }"),
        ("python", "print('before', flush=True)\nopen('large', 'wb').write(b'x' * (32 << 20))"),
        ("bash", "set -e; echo before; head -c 32M /dev/zero > /tmp/large"),
    ]
    .into_iter()
    .filter(|(language, ..)| is_installed(language))
    {
        check(job(language, code).args(["--disk", "8M"]), ("disk_limit", "run", 153, None), "before\n");
    }
}

#[test]
fn many_small_files_that_do_not_fit_are_a_disk_limit() {
    let code = "print('before', flush=True)\nfor i in range(20_000): open(f'/tmp/{i}', 'w').close()";
    check(job("python", code), ("disk_limit", "run", 153, None), "before\n");
}

#[test]
fn a_file_with_holes_that_grows_past_its_limit_is_a_signal_and_no_disk_limit() {
    let call = job("bash", "echo before; exec truncate -s 1G large").args(["--disk", "8M"]);
    check(call, ("signaled", "run", 153, Some(25)), "before\n");
}

#[test]
fn a_program_that_copes_with_a_full_disk_is_ok() {
    let code = "try:\n  open('/tmp/large', 'wb').write(b'x' * (32 << 20))\nexcept OSError as e: print(e.strerror)";
    check(job("python", code).args(["--disk", "8M"]), ("ok", "run", 0, None), "No space left on device\n");
}

#[test]
fn files_that_a_job_writes_are_its_disk_and_not_its_memory() {
    let code = "
        use std::fs::write;
        fn main() {
            let block = vec![7u8; 30 << 20];
            write(\"/tmp/one\", &block[..25 << 20]).unwrap();
            write(\"/tmp/two\", &block[..25 << 20]).unwrap();
            println!(\"wrote 50 MiB holding {}\", block.iter().map(|b| *b as u64).sum::<u64>());
        }";
    let call = job("rust", code).args(["--memory", "64M", "--disk", "64M"]);
    check(call, ("ok", "run", 0, None), "wrote 50 MiB holding 220200960\n");
}

#[test]
fn a_run_granted_enough_of_everything_is_ok_where_less_was_a_limit() {
    let call = rust("let v = vec![1u8; 100 << 20]; std::fs::write(\"large\", &v[..32 << 20]).unwrap()");
    check(call.args(["--memory", "256M", "--disk", "64M"]), ("ok", "run", 0, None), "before\n");
}

#[test]
fn a_run_at_its_limit_of_tasks_is_refused_more_and_goes_on() {
    let code = "
import os, time
born = 0
try:
    while born < 100:
        if os.fork() == 0: time.sleep(100)
        born += 1
except OSError as error:
    print(type(error).__name__, 1 < born < 8)";
    check(job("python", code).args(["--tasks", "8"]), ("ok", "run", 0, None), "BlockingIOError True\n");
}

#[test]
fn a_run_on_one_cpu_uses_no_more_than_one() {
    let code = "
import os, time
spinning = []
for _ in range(4):
    child = os.fork()
    while child == 0: pass
    spinning.append(child)
time.sleep(2)
for child in spinning: os.kill(child, 9)
print('over')";
    let outcome = check(job("python", code).args(["--vcpus", "1"]), ("ok", "run", 0, None), "over\n");
    let number =
        |pointer: &str| outcome.json().pointer(pointer).and_then(serde_json::Value::as_f64).unwrap_or_default();
    let cpus = number("/usage/cpu_ms") / number("/timing_ms/run");
    let is_held = outcome.json()["enforcement"]["cpu"] == "enforced";
    assert!(0.3 < cpus && (cpus < 1.3 || !is_held), "it used {cpus} of them\n{outcome}");
}

/// A signal to `firebox` while a job runs takes the job back.
fn check_cancelled(language: &str, code: &str, send: impl FnOnce(&kit::Running)) {
    let host = HostInventory::take();
    // Not `--json`, which says nothing until the end: output that streams shows that the job runs.
    let call = firebox().args(["run", "--lang", language, "--code", code]).start();
    call.wait_for_stdout("before\n");
    send(&call);
    let call = call.wait();
    assert_eq!(call.code(), 130, "{call}");
    assert_eq!(call.stdout(), "before\n", "{call}");
    assert!(call.wall < Duration::from_secs(30), "the job was not stopped\n{call}");
    host.assert_nothing_left();
}

#[test]
fn ctrl_c_cancels_the_job() {
    check_cancelled("bash", "echo before; sleep 100", |call| call.signal_group(Signal::INT));
}

#[test]
fn an_interrupt_of_the_process_alone_cancels_the_job() {
    check_cancelled("bash", "echo before; sleep 100", |call| call.signal(Signal::INT));
}

#[test]
fn a_request_to_terminate_cancels_the_job() {
    let code = "import time\nprint('before', flush=True)\ntime.sleep(100)";
    check_cancelled("python", code, |call| call.signal(Signal::TERM));
}

#[test]
fn a_job_that_ignores_every_signal_is_cancelled_all_the_same() {
    let code = "trap '' INT TERM HUP QUIT; echo before; while :; do sleep 1; done";
    check_cancelled("bash", code, |call| call.signal_group(Signal::INT));
}

#[test]
fn a_cancelled_job_says_so_in_its_response() {
    let host = HostInventory::take();
    let call = job("rust", ENDLESS_CONST).start();
    // With `--json` nothing is printed before the end, so the compiler's process shows that the job has begun.
    host.wait_for("`rustc`");
    call.signal(Signal::INT);
    let outcome = call.outcome();
    assert_eq!(outcome.verdict(), ("cancelled", "compile", 130, None), "{outcome}");
    host.assert_nothing_left();
}
