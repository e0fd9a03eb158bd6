//! The examples of the page that started the project, through the binary and over HTTP: twelve programs and three errors.
//!
//! `tests/mission/*.json` hold their requests and responses word for word.

mod kit;

use kit::{Example, HostInventory, Outcome, Service, Stdout, firebox, is_microvm, names_of_examples};

/// Runs an example's request and checks what its response determines.
fn check(example: &str, compare: Stdout) -> Outcome {
    let host = HostInventory::take();
    let example = Example::read(example);
    // Emulated within what is emulated, a compiler takes its time.
    let patience: &[&str] = if is_microvm() { &["--compile-time", "60s"] } else { &[] };
    let outcome = firebox().arg("run").args(patience.iter().copied()).args(example.words()).outcome();
    example.check(outcome.json(), compare);
    host.assert_nothing_left();
    outcome
}

/// A program of the page that ends well.
fn check_program(example: &str) {
    let outcome = check(example, Stdout::Exact);
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
}

#[test]
fn hello_world_says_hello() {
    check_program("rust-hello-001");
}

#[test]
fn the_complex_program_prints_the_documented_lines_whatever_order_its_hash_map_has() {
    let outcome = check("rust-complex-001", Stdout::LinesInAnyOrder);
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
}

#[test]
fn variables_and_types_print_as_documented() {
    check_program("rust-vars-001");
}

#[test]
fn functions_print_as_documented() {
    check_program("rust-func-001");
}

#[test]
fn ownership_and_borrowing_print_as_documented() {
    check_program("rust-ownership-001");
}

#[test]
fn vectors_print_as_documented() {
    check_program("rust-vec-001");
}

#[test]
fn structs_print_as_documented() {
    check_program("rust-struct-001");
}

#[test]
fn enums_print_as_documented_and_the_warning_about_dead_code_stays_off_stderr() {
    check_program("rust-enum-001");
}

#[test]
fn option_and_result_print_as_documented() {
    check_program("rust-option-001");
}

#[test]
fn iterators_and_closures_print_as_documented() {
    check_program("rust-iter-001");
}

#[test]
fn traits_print_as_documented() {
    check_program("rust-trait-001");
}

#[test]
fn a_file_written_to_tmp_is_read_back() {
    check_program("rust-file-001");
}

/// An error of the page: its verdict, and the words that a reader needs.
fn check_error(example: &str, verdict: (&str, &str, i64, Option<i64>), words: &[&str]) {
    let outcome = check(example, Stdout::Exact);
    assert_eq!(outcome.verdict(), verdict, "{outcome}");
    for word in words {
        assert!(outcome.stderr().contains(word), "stderr lacks {word:?}\n{outcome}");
    }
}

#[test]
fn a_missing_semicolon_is_a_compile_error_that_shows_where() {
    // The page's compiler pointed at the next line; today's points at the end of this one.
    let words = ["error: expected `;`, found `println`", "--> main.rs:2:15", "let x = 10"];
    check_error("rust-err-compile", ("compile_error", "compile", 1, None), &words);
}

#[test]
fn a_move_out_of_a_borrow_is_a_compile_error_with_its_code() {
    let words = ["error[E0505]: cannot move out of `s` because it is borrowed", "--> main.rs:4:10", "drop(s);"];
    check_error("rust-err-borrow", ("compile_error", "compile", 1, None), &words);
}

#[test]
fn a_panic_is_a_runtime_error_that_shows_where() {
    let words = ["index out of bounds: the len is 3 but the index is 10", "main.rs:3:", "RUST_BACKTRACE=1"];
    check_error("rust-err-panic", ("runtime_error", "run", 101, None), &words);
}

/// As it stands on the page, but for the snapshot. Where there are a kernel and an image of that name, it takes them by itself.
#[test]
fn the_pages_command_prints_its_number() {
    let host = HostInventory::take();
    let code = "fn main() {\n    let x = 42;\n    println!(\"{}\", x);\n}";
    let words = ["host", "--lang", "rust", "--code", code, "--mem", "512", "--vcpus", "1"];
    let finished = firebox().word_for_word().args(words).run();
    assert_eq!((finished.code(), finished.stdout()), (0, "42\n".to_owned()), "{finished}");
    assert!(!(is_microvm() && finished.stderr().contains("runs in no microVM")), "{finished}");
    host.assert_nothing_left();
}

#[test]
fn every_example_is_answered_over_http_as_it_is_documented() {
    let host = HostInventory::take();
    let service = Service::start(&["--languages", "rust"]);
    let examples = names_of_examples();
    assert_eq!(examples.len(), 15, "{examples:?}");
    for name in examples {
        let example = Example::read(&name);
        let answer = service.post("/api/v1/execute", example.request.to_string()).answer();
        assert_eq!(answer.code, 200, "{name}: {answer:?}");
        let compare = if name == "rust-complex-001" { Stdout::LinesInAnyOrder } else { Stdout::Exact };
        example.check(&answer.json(), compare);
    }
    service.stop();
    host.assert_nothing_left();
}
