//! What clients ask for under load, and what the only right answer to it is.
//!
//! Every request has a mark of its own, in its code and as its name, so that an answer to another's question is seen.

use serde_json::{Value, json};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Hello(Language),
    /// The same, told as it comes.
    Events,
    CompileError,
    Timeout,
    /// Prints far more than may be kept.
    Flood,
    ForkBomb,
    MemoryHog,
    /// A request that is refused.
    Nonsense,
    /// A client that does not wait for its answer.
    GoesAway,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Language {
    Rust,
    Python,
    JavaScript,
    Bash,
}

/// How often each comes, among as many.
const SHARES: [(Kind, usize); 12] = [
    (Kind::Hello(Language::Rust), 5),
    (Kind::Hello(Language::Python), 12),
    (Kind::Hello(Language::JavaScript), 8),
    (Kind::Hello(Language::Bash), 12),
    (Kind::Events, 5),
    (Kind::CompileError, 4),
    (Kind::Timeout, 1),
    (Kind::Flood, 3),
    (Kind::ForkBomb, 1),
    (Kind::MemoryHog, 2),
    (Kind::Nonsense, 3),
    (Kind::GoesAway, 2),
];

/// What a flood prints between its two marks.
const FLOOD_LINES: usize = 20_000;
const FLOOD_LINE: &str = "the quick brown fox jumps over the lazy dog and over the next one";

impl Kind {
    /// Each as often as its share says.
    pub(crate) fn mix(has: impl Fn(Language) -> bool) -> Vec<Kind> {
        let there = SHARES.iter().filter(|(kind, _)| match kind {
            Kind::Hello(language) => has(*language),
            _ => true,
        });
        there.flat_map(|(kind, share)| vec![*kind; *share]).collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Hello(Language::Rust) => "hello in Rust",
            Kind::Hello(Language::Python) => "hello in Python",
            Kind::Hello(Language::JavaScript) => "hello in JavaScript",
            Kind::Hello(Language::Bash) => "hello in Bash",
            Kind::Events => "hello as events",
            Kind::CompileError => "compile error",
            Kind::Timeout => "timeout",
            Kind::Flood => "flood of output",
            Kind::ForkBomb => "fork bomb",
            Kind::MemoryHog => "memory hog",
            Kind::Nonsense => "nonsense",
            Kind::GoesAway => "client goes away",
        }
    }

    pub(crate) fn accept(self) -> &'static str {
        match self {
            Kind::Events => "text/event-stream",
            _ => "application/json",
        }
    }

    pub(crate) fn request(self, mark: &str) -> Value {
        let (lang, code, limits) = match self {
            Kind::Hello(Language::Rust) => ("rust", format!("fn main() {{ println!(\"hello {mark}\"); }}"), json!({})),
            Kind::Hello(Language::Python) => ("python", format!("print('hello {mark}')"), json!({})),
            Kind::Hello(Language::JavaScript) => ("javascript", format!("console.log('hello {mark}')"), json!({})),
            Kind::Hello(Language::Bash) => ("bash", format!("echo hello {mark}"), json!({})),
            Kind::Events => ("bash", format!("echo hello; echo {mark} >&2; echo {mark}"), json!({})),
            Kind::CompileError => ("rust", format!("fn main() {{ let number: u32 = \"not {mark}\"; }}"), json!({})),
            Kind::Timeout => ("bash", format!("echo {mark}; sleep 100"), json!({"run_seconds": 0.4})),
            Kind::Flood => {
                let code = format!(
                    "import sys\nsys.stdout.write('{mark}\\n' + '{FLOOD_LINE}\\n' * {FLOOD_LINES} + '{mark}\\n')"
                );
                ("python", code, json!({"output_kb": 16}))
            }
            Kind::ForkBomb => {
                // All of them go on, and rest where there is no room for one more: it ends by the clock, not by the CPU time.
                let code = format!(
                    "import os, time\nprint('{mark}', flush=True)\nwhile True:\n    try:\n        os.fork()\n    except \
                     OSError:\n        time.sleep(0.05)"
                );
                ("python", code, json!({"run_seconds": 1, "tasks": 24}))
            }
            Kind::MemoryHog => {
                let code = format!("print('{mark}', flush=True)\nkept = []\nwhile True: kept.append(b'x' * (4 << 20))");
                ("python", code, json!({"memory_mb": 48}))
            }
            Kind::Nonsense => return json!({"trace_id": mark, "lang": "bash", "code": "echo", "tmieout": 1}),
            Kind::GoesAway => ("bash", format!("(sleep 100 &); echo {mark}; sleep 100"), json!({"run_seconds": 100})),
        };
        json!({"trace_id": mark, "lang": lang, "code": code, "limits": limits, "timeout": 120})
    }

    /// What is wrong with an answer, if anything is.
    pub(crate) fn check(self, mark: &str, code: u16, body: &str) -> Result<(), String> {
        let expected = if self == Kind::Nonsense { 400 } else { 200 };
        if code != expected {
            return Err(format!("answered by {code} and not {expected}"));
        }
        let outcome = match self {
            Kind::Events => self.told(mark, body)?,
            _ => serde_json::from_str(body).map_err(|error| format!("no JSON: {error}"))?,
        };
        self.check_outcome(mark, &outcome)
    }

    fn check_outcome(self, mark: &str, outcome: &Value) -> Result<(), String> {
        let is = |field: &str, expected: Value| match outcome[field] == expected {
            true => Ok(()),
            false => Err(format!("`{field}` is {} and not {expected}", outcome[field])),
        };
        let ended = |status: &str, exit_code: i32| is("status", status.into()).and(is("exit_code", exit_code.into()));
        if self == Kind::Nonsense {
            let field = &outcome["error"]["field"];
            return if field == "tmieout" { Ok(()) } else { Err(format!("the field at fault is said to be {field}")) };
        }
        is("trace_id", mark.into())?;
        match self {
            Kind::Hello(_) => {
                ended("ok", 0)?;
                is("stderr", "".into())?;
                is("stdout", format!("hello {mark}\n").into())
            }
            Kind::Events => {
                ended("ok", 0)?;
                is("stdout", format!("hello\n{mark}\n").into())?;
                is("stderr", format!("{mark}\n").into())
            }
            Kind::CompileError => {
                ended("compile_error", 1)?;
                is("stdout", "".into())?;
                let words = outcome["stderr"].as_str().unwrap_or_default();
                let told = words.contains("mismatched types") && words.contains(mark);
                if told { Ok(()) } else { Err(format!("the compiler is said to have said {words:?}")) }
            }
            Kind::Timeout | Kind::ForkBomb => {
                ended("timeout", 124)?;
                is("stdout", format!("{mark}\n").into())
            }
            Kind::MemoryHog => {
                ended("memory_limit", 137)?;
                is("stdout", format!("{mark}\n").into())
            }
            Kind::Flood => {
                ended("ok", 0)?;
                let kept = outcome["stdout"].as_str().unwrap_or_default();
                let dropped = outcome["truncated"]["stdout"]["dropped_bytes"].as_u64().unwrap_or_default();
                let written = 2 * (mark.len() + 1) + FLOOD_LINES * (FLOOD_LINE.len() + 1);
                let marked = kept.starts_with(&format!("{mark}\n")) && kept.ends_with(&format!("\n{mark}\n"));
                match marked && kept.len() <= 16 << 10 && kept.len() + dropped as usize == written {
                    true => Ok(()),
                    false => Err(format!("of {written} bytes, {} are kept and {dropped} dropped", kept.len())),
                }
            }
            Kind::Nonsense | Kind::GoesAway => Err("nothing was to be answered".to_owned()),
        }
    }

    /// The outcome at the end of events, whose output is what was told before.
    fn told(self, mark: &str, body: &str) -> Result<Value, String> {
        let (mut stdout, mut stderr, mut outcome) = (String::new(), String::new(), None);
        for event in body.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')) {
            let (name, data) = event
                .strip_prefix("event: ")
                .and_then(|event| event.split_once("\ndata: "))
                .ok_or_else(|| format!("no event: {event:?}"))?;
            let data: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {data:?}"))?;
            let text = data["text"].as_str().unwrap_or_default();
            match (name, data["stream"].as_str(), &outcome) {
                ("output", Some("stdout"), None) => stdout += text,
                ("output", Some("stderr"), None) => stderr += text,
                ("outcome", _, None) => outcome = Some(data),
                _ => return Err(format!("an event out of turn: {event:?}")),
            }
        }
        if (stdout, stderr) != (format!("hello\n{mark}\n"), format!("{mark}\n")) {
            return Err("the output that was told is not the program's".to_owned());
        }
        outcome.ok_or_else(|| "no outcome after the output".to_owned())
    }
}
