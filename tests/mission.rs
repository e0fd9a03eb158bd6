//! The examples of the page that started the project, through the binary and over HTTP: twelve programs and three errors.
//!
//! `tests/mission/*.json` hold their requests and responses word for word.

mod kit;

use kit::{HostInventory, Outcome, Service, firebox};
use serde_json::Value;

/// How the standard output of an example is compared.
enum Stdout {
    Exact,
    /// A hash map decides the order of some lines.
    LinesInAnyOrder,
}

impl Stdout {
    /// Checks what the page's response determines. Its standard error is compared only when it should be empty: compilers
    /// change their words.
    fn check(&self, outcome: &Value, response: &Value) {
        assert_eq!(text(outcome, "trace_id"), text(response, "trace_id"), "{outcome:#}");
        assert_eq!(outcome["exit_code"], response["exit_code"], "{outcome:#}");
        assert!(response["exit_code"].is_i64(), "{response:#}");
        assert_eq!(self.lines(text(outcome, "stdout")), self.lines(text(response, "stdout")), "{outcome:#}");
        if text(response, "stderr").is_empty() {
            assert_eq!(text(outcome, "stderr"), "", "{outcome:#}");
        }
    }

    fn lines<'a>(&self, stdout: &'a str) -> Vec<&'a str> {
        let mut lines: Vec<&str> = stdout.split('\n').collect();
        if let Stdout::LinesInAnyOrder = self {
            lines.sort_unstable();
        }
        lines
    }
}

/// Runs an example's request and checks what its response determines.
fn check(example: &str, compare: Stdout) -> Outcome {
    let host = HostInventory::take();
    let (request, response) = read(example);

    let outcome = firebox()
        .args(["run", "--json", "--lang", text(&request, "lang"), "--code", text(&request, "code")])
        .args(["--trace-id", text(&request, "trace_id"), "--timeout", &request["timeout"].to_string()])
        .outcome();

    compare.check(outcome.json(), &response);
    host.assert_nothing_left();
    outcome
}

fn read(example: &str) -> (Value, Value) {
    let path = format!("{}/../../tests/mission/{example}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    let mut example: Value = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    (example["request"].take(), example["response"].take())
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_else(|| panic!("no text in `{field}` of {object}"))
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

#[test]
fn every_example_is_answered_over_http_as_it_is_documented() {
    let host = HostInventory::take();
    let service = Service::start(&["--languages", "rust"]);
    let directory = format!("{}/../../tests/mission", env!("CARGO_MANIFEST_DIR"));
    let mut examples: Vec<String> = std::fs::read_dir(&directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect())
        .unwrap_or_else(|error| panic!("cannot list {directory}: {error}"));
    examples.sort();
    assert_eq!(examples.len(), 15, "{examples:?}");
    for example in examples.iter().filter_map(|name| name.strip_suffix(".json")) {
        let (request, response) = read(example);
        let answer = service.post("/api/v1/execute", request.to_string()).answer();
        assert_eq!(answer.code, 200, "{example}: {answer:?}");
        let compare = if example == "rust-complex-001" { Stdout::LinesInAnyOrder } else { Stdout::Exact };
        compare.check(&answer.json(), &response);
    }
    service.stop();
    host.assert_nothing_left();
}
