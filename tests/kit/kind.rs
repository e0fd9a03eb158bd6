//! The kind of cell that jobs run in where a test does not say, and in which languages there are any.
//!
//! That is a jail, and all languages of this host. Who runs the tests somewhere else, as the lab does, says so in variables.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::firebox::Outcome;
use super::freezing::has_snapshot;
use super::guard::Allowance;

/// What may be asked for instead of a jail.
const ISOLATION: &str = "FIREBOX_TEST_ISOLATION";
/// What there is, where not all is to be tested.
const LANGUAGES: &str = "FIREBOX_TEST_LANGUAGES";
/// What a job can be limited by in its cell.
const LIMITS: [&str; 9] =
    ["--timeout", "--compile-time", "--run-time", "--cpu-time", "--memory", "--tasks", "--disk", "--output", "--vcpus"];
/// How a job's time is bounded.
const TIMES: &[&str] = LIMITS.split_at(4).0;
/// What it has of that where a test is about something else: where machines are emulated, all takes its time.
const UNHURRIED: [&str; 8] = ["--timeout", "240s", "--compile-time", "120s", "--run-time", "60s", "--cpu-time", "60s"];
/// To boot, and to be slow afterwards.
const BOOTING: Duration = Duration::from_secs(240);

/// Whether there are jobs in this language. What is left out on purpose is not called skipped.
pub(crate) fn is_tested(language: &str) -> bool {
    let tested = std::env::var(LANGUAGES);
    tested.map_or(true, |tested| tested.split(',').any(|one| one == language))
}

/// Whether jobs run in microVMs where a test does not say.
pub(crate) fn is_microvm() -> bool {
    std::env::var_os(ISOLATION).is_some_and(|kind| kind == "microvm")
}

/// Tells as what a job ended that ran in what was asked for.
pub(crate) fn tell_of_end(outcome: &Outcome) {
    let Some(kind) = std::env::var_os(ISOLATION) else { return };
    assert_eq!(outcome.text("isolation"), kind, "it ran in something else\n{outcome}");
    println!("{} ended: {}", told(&kind), outcome.text("status"));
}

/// For whoever runs the tests, and counts.
fn told(kind: &OsStr) -> String {
    format!("a job in a {}", kind.display())
}

/// Has a call that runs a job run it in the kind of cell that was asked for. One that is to stay word for word as it is finds that by itself, and counts as well.
pub(crate) fn ask_for(arguments: &mut Vec<OsString>, is_word_for_word: bool, allowance: &mut Allowance) {
    let Some(kind) = std::env::var_os(ISOLATION) else { return };
    let says = |arguments: &[OsString], word: &str| arguments.iter().any(|argument| argument == word);
    let runs_a_job = arguments.first().is_some_and(|command| command == "run" || command == "host");
    if !runs_a_job || says(arguments, "--isolation") {
        return;
    }
    let goes_on = says(arguments, "--snapshot") || !is_word_for_word && is_microvm() && has_one_frozen(arguments);
    println!("{}{}", told(&kind), if goes_on { " from a snapshot" } else { "" });
    for limit in LIMITS.iter().filter(|limit| says(arguments, limit)) {
        println!("{} limited by: {limit}", told(&kind));
    }
    if !is_word_for_word {
        arguments.extend(["--isolation".into(), kind]);
        let is_about_time = TIMES.iter().any(|time| says(arguments, time));
        arguments.extend(UNHURRIED.iter().filter(|_| is_microvm() && !is_about_time).map(OsString::from));
    }
    allowance.wall += BOOTING;
}

/// Whether machines of its language go on from a snapshot, which is made then unless it is there. Those of all others boot.
fn has_one_frozen(arguments: &[OsString]) -> bool {
    let mut pairs = arguments.windows(2);
    let named = pairs.find(|pair| pair[0] == "--lang").and_then(|pair| pair[1].to_str());
    let frozen = named.filter(|language| is_tested(language));
    frozen.inspect(|language| has_snapshot(language)).is_some()
}
