//! What is kept of a program's output, and that nothing it does with its streams holds a job.

mod kit;

use std::time::Duration;

use kit::{HostInventory, Outcome, job};

/// Runs Python code whose output is kept up to 4 KiB per stream.
fn python_within_4_kib(code: &str) -> Outcome {
    let host = HostInventory::take();
    // As much time as it takes on a processor that is emulated: this is about what comes, not when.
    let limits = ["--output", "4K", "--run-time", "60s", "--cpu-time", "60s", "--timeout", "100s"];
    let outcome = job("python", code).args(limits).outcome();
    host.assert_nothing_left();
    outcome
}

#[test]
fn output_past_the_limit_keeps_head_and_tail_and_counts_what_is_missing() {
    let code = "for i in range(100_000): print(f'{i:07}')";
    let written: String = (0..100_000).map(|i| format!("{i:07}\n")).collect();

    let outcome = python_within_4_kib(code);

    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    let (dropped, at) = outcome.truncated("stdout").unwrap_or_else(|| panic!("nothing was cut\n{outcome}"));
    let kept = outcome.stdout();
    assert!(kept.len() <= 4096, "{} bytes were kept\n{outcome}", kept.len());
    assert_eq!(kept.len() as u64 + dropped, written.len() as u64, "{outcome}");
    let (head, tail) = kept.split_at(at);
    assert!(!head.is_empty() && written.starts_with(head), "the head is not the beginning\n{outcome}");
    assert!(!tail.is_empty() && written.ends_with(tail), "the tail is not the end\n{outcome}");
    assert_eq!(outcome.truncated("stderr"), None, "{outcome}");
}

#[test]
fn a_cut_never_goes_through_a_character() {
    // Three bytes each after one of one byte: no power of two is a boundary.
    let outcome = python_within_4_kib("print('x' + '日' * 50_000, end='')");
    let (dropped, _) = outcome.truncated("stdout").unwrap_or_else(|| panic!("nothing was cut\n{outcome}"));
    let kept = outcome.stdout();
    assert!(kept.starts_with("x日") && kept.chars().skip(1).all(|c| c == '日'), "{outcome}");
    assert_eq!(kept.len() as u64 + dropped, 150_001, "{outcome}");
    assert!(outcome.json().get("stdout_base64").is_none_or(|v| v.is_null()), "text needs no base64\n{outcome}");
}

#[test]
fn output_of_exactly_the_limit_is_whole() {
    let outcome = python_within_4_kib("print('x' * 4096, end='')");
    assert_eq!((outcome.stdout().len(), outcome.truncated("stdout")), (4096, None), "{outcome}");
}

#[test]
fn one_byte_past_the_limit_is_cut() {
    let outcome = python_within_4_kib("print('x' * 4097, end='')");
    let (dropped, _) = outcome.truncated("stdout").unwrap_or_else(|| panic!("nothing was cut\n{outcome}"));
    assert_eq!(outcome.stdout().len() as u64 + dropped, 4097, "{outcome}");
}

#[test]
fn each_stream_has_the_limit_for_itself() {
    let code = "import sys\nprint('o' * 4000, end='')\nprint('e' * 9000, end='', file=sys.stderr)";
    let outcome = python_within_4_kib(code);
    assert_eq!((outcome.stdout().len(), outcome.truncated("stdout")), (4000, None), "{outcome}");
    let (dropped, _) = outcome.truncated("stderr").unwrap_or_else(|| panic!("nothing was cut\n{outcome}"));
    assert_eq!(outcome.stderr().len() as u64 + dropped, 9000, "{outcome}");
}

#[test]
fn bytes_that_are_no_text_come_lossy_and_exact() {
    let code = r"import sys; sys.stdout.buffer.write(b'a\xff\xfe\x00z')";
    let outcome = python_within_4_kib(code);
    assert_eq!(outcome.stdout(), "a\u{fffd}\u{fffd}\0z", "{outcome}");
    assert_eq!(outcome.text("stdout_base64"), "Yf/+AHo=", "{outcome}");
}

#[test]
fn what_a_killed_program_had_written_is_there() {
    let host = HostInventory::take();
    // As much as a pipe holds, and dead before anybody can have read it all.
    let code = "import os\nos.write(1, b'x' * 60_000)\nos.write(2, b'y' * 60_000)\nos.kill(os.getpid(), 9)";
    let outcome = job("python", code).outcome();
    assert_eq!(outcome.verdict(), ("signaled", "run", 137, Some(9)), "{outcome}");
    assert_eq!((outcome.stdout().len(), outcome.stderr().len()), (60_000, 60_000), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn a_daemon_that_keeps_the_output_open_does_not_hold_the_job() {
    let host = HostInventory::take();
    let code = "
import os, time
print('before', flush=True)
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(100)
    os._exit(0)
";
    let outcome = job("python", code).outcome();
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    assert_eq!(outcome.stdout(), "before\n", "{outcome}");
    assert!(outcome.run_time() < Duration::from_secs(9), "it was waited for\n{outcome}");
    host.assert_nothing_left();
}

#[test]
fn a_program_that_closes_its_output_runs_on() {
    let host = HostInventory::take();
    let outcome = job("bash", "echo before; exec >&- 2>&-; sleep 0.3; exit 7").outcome();
    assert_eq!(outcome.verdict(), ("runtime_error", "run", 7, None), "{outcome}");
    assert_eq!(outcome.stdout(), "before\n", "{outcome}");
    host.assert_nothing_left();
}
