//! The page that started the project: its requests and responses, word for word.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// One of its examples.
pub(crate) struct Example {
    pub(crate) request: Value,
    pub(crate) response: Value,
}

/// How the standard output of an example is compared.
pub(crate) enum Stdout {
    Exact,
    /// A hash map decides the order of some lines.
    LinesInAnyOrder,
}

impl Example {
    pub(crate) fn read(name: &str) -> Example {
        let path = folder().join(name).with_extension("json");
        let text = fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let mut example: Value =
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Example { request: example["request"].take(), response: example["response"].take() }
    }

    /// What `firebox run` is called with for it.
    pub(crate) fn words(&self) -> [String; 9] {
        let of = |field: &str| text(&self.request, field).to_owned();
        let flag = str::to_owned;
        let timeout = self.request["timeout"].to_string();
        [
            flag("--json"),
            flag("--lang"),
            of("lang"),
            flag("--code"),
            of("code"),
            flag("--trace-id"),
            of("trace_id"),
            flag("--timeout"),
            timeout,
        ]
    }

    /// Checks what the page's response determines. Its standard error is compared only when it should be empty: compilers
    /// change their words.
    pub(crate) fn check(&self, outcome: &Value, compare: Stdout) {
        let response = &self.response;
        assert_eq!(text(outcome, "trace_id"), text(response, "trace_id"), "{outcome:#}");
        assert_eq!(outcome["exit_code"], response["exit_code"], "{outcome:#}");
        assert!(response["exit_code"].is_i64(), "{response:#}");
        assert_eq!(compare.lines(text(outcome, "stdout")), compare.lines(text(response, "stdout")), "{outcome:#}");
        if text(response, "stderr").is_empty() {
            assert_eq!(text(outcome, "stderr"), "", "{outcome:#}");
        }
    }
}

impl Stdout {
    fn lines<'a>(&self, stdout: &'a str) -> Vec<&'a str> {
        let mut lines: Vec<&str> = stdout.split('\n').collect();
        if let Stdout::LinesInAnyOrder = self {
            lines.sort_unstable();
        }
        lines
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_else(|| panic!("no text in `{field}` of {object}"))
}

/// What its examples are called, in order.
pub(crate) fn names_of_examples() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap_or_else(|error| panic!("cannot list the examples: {error}"));
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    names.sort();
    names
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/mission")
}
